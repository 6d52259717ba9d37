/* Where ranks and threads are bound. Arguments: ranks that were started, threads of each, and what was asked for:
   `ranks` (every rank its own cores), `threads` (every thread its own place), both, or nothing. `apart`: the launcher
   is not the parent of a rank, and has a core of the node for each that it starts there.
   With -DALONE there is no MPI: one rank. */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <unistd.h>
#ifndef ALONE
#include <mpi.h>
#endif

#include "report.h"

enum { BYTES = 512, TEXT = 200, MOST = 64 }; /* 4096 CPUs */

typedef struct {
  unsigned char mask[BYTES];
  int rank, thread, cpu, failed, allowed; /* allowed: cores that the launcher, its parent, may give */
  char host[64];
} Place;

static int has(const unsigned char *mask, int cpu) {
  return cpu >= 0 && cpu < 8 * BYTES && (mask[cpu / 8] >> (cpu % 8) & 1);
}

/* The CPUs of a mask as Linux writes them: 0-3,8 */
static const char *words(const unsigned char *mask, char *text) {
  size_t used = 0;
  text[0] = 0;
  for (int cpu = 0; cpu < 8 * BYTES && used < TEXT - 30; ++cpu) {
    if (!has(mask, cpu)) continue;
    int last = cpu;
    while (last + 1 < 8 * BYTES && has(mask, last + 1)) ++last;
    used += (size_t)snprintf(text + used, TEXT - used, last > cpu ? "%s%d-%d" : "%s%d", used ? "," : "", cpu, last);
    cpu = last;
  }
  return text;
}

static int shared(const unsigned char *a, const unsigned char *b) {
  int count = 0;
  for (int cpu = 0; cpu < 8 * BYTES; ++cpu) count += has(a, cpu) && has(b, cpu);
  return count;
}

static int inside(const unsigned char *a, const unsigned char *of) {
  for (int i = 0; i < BYTES; ++i)
    if (a[i] & ~of[i]) return 0;
  return 1;
}

static int count(const unsigned char *mask) { return shared(mask, mask); }

/* The first CPU of the core that a CPU belongs to; itself where the kernel does not say. */
static int core(int cpu) {
  char path[90];
  int first = cpu;
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
  FILE *file = fopen(path, "r");
  if (!file) return cpu;
  if (fscanf(file, "%d", &first) != 1) first = cpu;
  fclose(file);
  return first;
}

static int cores(const unsigned char *mask) {
  unsigned char found[BYTES] = {0};
  for (int cpu = 0; cpu < 8 * BYTES; ++cpu)
    if (has(mask, cpu)) found[core(cpu) / 8] |= (unsigned char)(1 << core(cpu) % 8);
  return count(found);
}

/* Cores of this node that are online; none where the kernel does not say. */
static int cores_online(void) {
  unsigned char mask[BYTES] = {0};
  FILE *file = fopen("/sys/devices/system/cpu/online", "r");
  if (!file) return 0;
  for (int low, high, end = ','; end == ',' && fscanf(file, "%d", &low) == 1;) {
    high = low, end = fgetc(file);
    if (end == '-' && fscanf(file, "%d", &high) == 1) end = fgetc(file);
    for (int cpu = low; cpu <= high && cpu < 8 * BYTES; ++cpu) mask[cpu / 8] |= (unsigned char)(1 << cpu % 8);
  }
  fclose(file);
  return cores(mask);
}

static void look(Place *place, int rank, int thread) {
  place->rank = rank, place->thread = thread;
  memset(place->mask, 0, BYTES);
  place->failed = sched_getaffinity(0, BYTES, (cpu_set_t *)place->mask) != 0;
  place->cpu = sched_getcpu();
  gethostname(place->host, sizeof place->host - 1);
}

/* The mask that the process was started with. OpenMP's library binds the first thread when it is loaded, so that it has
   to be read before any library's own start: the loader calls these first. */
static Place started_at;
static void before_all(int argc, char **argv, char **env) {
  (void)argc, (void)argv, (void)env;
  unsigned char parent[BYTES] = {0};
  look(&started_at, 0, 0);
  started_at.allowed = sched_getaffinity(getppid(), BYTES, (cpu_set_t *)parent) < 0 ? 0 : cores(parent);
}
__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = before_all;

/* How many ranks are on the host of one of them. */
static int together(const Place *own, int ranks, int one) {
  int found = 0;
  for (int i = 0; i < ranks; ++i) found += !strcmp(own[i].host, own[one].host);
  return found;
}

/* What the places show. `own` of a rank is the mask of its process, before there was any thread. */
static void judge(const Place *own, const Place *threads, int ranks, int each, int asked_ranks, int asked_threads) {
  char a[TEXT], b[TEXT], unbound[TEXT * 2] = "", outside[TEXT * 2] = "", twice[TEXT * 3] = "", both[TEXT * 3] = "";
  int wrong_outside = 0, wrong_twice = 0, wrong_both = 0, unknown = 0;
  for (int i = 0; i < ranks * each; ++i) {
    const Place *one = threads + i, *rank = own + i / each;
    unknown += one->failed || one->cpu < 0;
    if (!inside(one->mask, rank->mask) || !has(one->mask, one->cpu)) {
      if (!wrong_outside++)
        snprintf(outside, sizeof outside, "rank %d thread %d is on CPU %d, may run on %s, its rank on %s", one->rank,
                 one->thread, one->cpu, words(one->mask, a), words(rank->mask, b));
    }
    for (int j = i + 1; j < (i / each + 1) * each && asked_threads && cores(rank->mask) >= each; ++j)
      if (shared(one->mask, threads[j].mask) && !wrong_twice++)
        snprintf(twice, sizeof twice, "threads %d and %d of rank %d may both run on %s and %s", one->thread,
                 threads[j].thread, one->rank, words(one->mask, a), words(threads[j].mask, b));
  }
  for (int i = 0; i < ranks; ++i)
    for (int j = i + 1; j < ranks && asked_ranks && own[i].allowed >= together(own, ranks, i); ++j)
      if (!strcmp(own[i].host, own[j].host) && shared(own[i].mask, own[j].mask) && !wrong_both++)
        snprintf(both, sizeof both, "ranks %d and %d of %s may both run on %s and %s", i, j, own[i].host,
                 words(own[i].mask, a), words(own[j].mask, b));
  if (unknown) snprintf(unbound, sizeof unbound, "the kernel did not say where %d threads are", unknown);
  report_metric("unknown_places", unknown, "%s", unbound);
  report_metric("outside_mask", wrong_outside, "%s", outside);
  if (asked_threads) report_metric("threads_overlap", wrong_twice, "%s", twice);
#ifndef ALONE
  report_metric("asked_to_bind", asked_ranks, "%s", "");
#endif
  if (asked_ranks) report_metric("ranks_overlap", wrong_both, "%s", both);
  for (int i = 0; i < ranks && i < MOST; ++i)
    for (int j = 0; j < each; ++j)
      fprintf(stderr, "%s rank %d thread %d: CPU %d of %s\n", own[i].host, i, j, threads[i * each + j].cpu,
              words(threads[i * each + j].mask, a));
}

int main(int argc, char **argv) {
  int rank = 0, size = 1, started = argc > 1 ? atoi(argv[1]) : 1, each = argc > 2 ? atoi(argv[2]) : 1;
  int asked_ranks = 0, asked_threads = 0;
  for (int i = 3; i < argc; ++i) {
    asked_ranks |= !strcmp(argv[i], "ranks"), asked_threads |= !strcmp(argv[i], "threads");
    if (!strcmp(argv[i], "apart")) started_at.allowed = cores_online();
  }
#ifndef ALONE
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
#endif
  Place *own = calloc((size_t)size, sizeof *own), *places = calloc((size_t)(size * each), sizeof *places), mine;
  Place *threads = calloc((size_t)each, sizeof *threads);
  mine = started_at, mine.rank = rank;
  int made = 0;
#pragma omp parallel num_threads(each)
  {
    look(threads + omp_get_thread_num(), rank, omp_get_thread_num());
#pragma omp single
    made = omp_get_num_threads();
  }
#ifndef ALONE
  MPI_Gather(&mine, sizeof mine, MPI_BYTE, own, sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD);
  MPI_Gather(threads, each * (int)sizeof mine, MPI_BYTE, places, each * (int)sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD);
  MPI_Allreduce(MPI_IN_PLACE, &made, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
#else
  own[0] = mine;
  memcpy(places, threads, (size_t)each * sizeof mine);
#endif
  if (rank == 0) {
    report_metric("ranks_missing", abs(started - size), "expected %d ranks, got %d", started, size);
    report_metric("threads_missing", each - made, "expected %d threads, got %d", each, made);
    judge(own, places, size, each, asked_ranks, asked_threads);
    report_done();
  }
#ifndef ALONE
  MPI_Finalize();
#endif
  return 0;
}
