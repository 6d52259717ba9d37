/* Messages between two ranks, and the collectives, at several sizes: exact on integers, floating sums within their
   bound of the exact ones. Argument: the number of ranks that were started. */
#include <mpi.h>
#include <unistd.h>

#include "report.h"

enum { SIZES = 4, LARGEST = 1 << 17, FLOATS = 64, BATCHES = 4, SHIFTS = 16 };
static const int sizes[SIZES] = {1, 128, 1 << 13, LARGEST}; /* values of 8 bytes, of each rank */
static int rank, size;

typedef struct {
  const char *name;
  int64_t wrong, at, want, got, length;
  double seconds[SIZES];
} Kind;

/* A value that no other rank, place, or partner has. */
static int64_t value(int from, int to, int64_t i) { return ((int64_t)(from + 1) << 44) + ((int64_t)to << 28) + i; }

static void expect(Kind *kind, int64_t want, int64_t got, int64_t at, int64_t length) {
  if (want != got && !kind->wrong++) kind->at = at, kind->want = want, kind->got = got, kind->length = length;
}

static void clear(int64_t *values, int64_t count) { memset(values, 0xff, (size_t)count * sizeof *values); }

static int64_t sum_of(int to, int64_t i) {
  int64_t sum = 0;
  for (int r = 0; r < size; ++r) sum += value(r, to, i);
  return sum;
}

static void bcast(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  (void)out;
  if (!check) {
    MPI_Bcast(in, n, MPI_INT64_T, size - 1, MPI_COMM_WORLD);
    return;
  }
  clear(in, n);
  for (int64_t i = 0; i < n && rank == size - 1; ++i) in[i] = value(rank, 0, i);
  MPI_Bcast(in, n, MPI_INT64_T, size - 1, MPI_COMM_WORLD);
  for (int64_t i = 0; i < n; ++i) expect(kind, value(size - 1, 0, i), in[i], i, n);
}

static void allgather(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  for (int64_t i = 0; i < n && check; ++i) in[i] = value(rank, 0, i);
  if (check) clear(out, (int64_t)n * size);
  MPI_Allgather(in, n, MPI_INT64_T, out, n, MPI_INT64_T, MPI_COMM_WORLD);
  for (int64_t i = 0; i < (int64_t)n * size && check; ++i) expect(kind, value((int)(i / n), 0, i % n), out[i], i, n);
}

static void alltoall(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  for (int64_t i = 0; i < (int64_t)n * size && check; ++i) in[i] = value(rank, (int)(i / n), i % n);
  if (check) clear(out, (int64_t)n * size);
  MPI_Alltoall(in, n, MPI_INT64_T, out, n, MPI_INT64_T, MPI_COMM_WORLD);
  for (int64_t i = 0; i < (int64_t)n * size && check; ++i) expect(kind, value((int)(i / n), rank, i % n), out[i], i, n);
}

static void reduce_scatter(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  for (int64_t i = 0; i < (int64_t)n * size && check; ++i) in[i] = value(rank, (int)(i / n), i % n);
  if (check) clear(out, n);
  MPI_Reduce_scatter_block(in, out, n, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  for (int64_t i = 0; i < n && check; ++i) expect(kind, sum_of(rank, i), out[i], i, n);
}

static void allreduce(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  for (int64_t i = 0; i < n && check; ++i) in[i] = value(rank, 0, i);
  if (check) clear(out, n);
  MPI_Allreduce(in, out, n, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  for (int64_t i = 0; i < n && check; ++i) expect(kind, sum_of(0, i), out[i], i, n);
}

/* There and back between the first and the last rank: half a round trip is the time. */
static void point_to_point(int64_t *in, int64_t *out, int n, Kind *kind, int check) {
  int other = rank ? 0 : size - 1, plays = size > 1 && (rank == 0 || rank == size - 1);
  for (int64_t i = 0; i < n && check; ++i) in[i] = value(0, n % 97, i);
  if (check) clear(out, n);
  if (!plays) return;
  if (rank == 0) {
    MPI_Send(in, n, MPI_INT64_T, other, 1, MPI_COMM_WORLD);
    MPI_Recv(out, n, MPI_INT64_T, other, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  } else {
    MPI_Recv(out, n, MPI_INT64_T, other, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(out, n, MPI_INT64_T, other, 2, MPI_COMM_WORLD);
  }
  for (int64_t i = 0; i < n && check; ++i) expect(kind, value(0, n % 97, i), out[i], i, n);
}

typedef void Exchange(int64_t *, int64_t *, int, Kind *, int);

/* Once with every value looked at; then for the time, the best of some batches. */
static void run(Exchange *exchange, Kind *kind, int64_t *in, int64_t *out) {
  for (int s = 0; s < SIZES; ++s) {
    int n = sizes[s], rounds = (n > 1 << 12 ? 8 : 64) / report_patience() + 1;
    exchange(in, out, n, kind, 1);
    kind->seconds[s] = 1e30;
    for (int batch = 0; batch < BATCHES; ++batch) {
      MPI_Barrier(MPI_COMM_WORLD);
      double start = MPI_Wtime(), took;
      for (int round = 0; round < rounds; ++round) exchange(in, out, n, kind, 0);
      took = (MPI_Wtime() - start) / rounds;
      MPI_Allreduce(MPI_IN_PLACE, &took, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
      if (took < kind->seconds[s]) kind->seconds[s] = took;
    }
  }
}

/* What went wrong on any rank, told by the first of them. Gathered, since an all-reduce is among what is judged. */
static void tell(Kind *kind) {
  int64_t mine[5] = {kind->wrong, kind->at, kind->want, kind->got, kind->length}, all = 0, *every;
  char name[60];
  every = calloc((size_t)size, sizeof mine);
  for (int r = 0; r < size; ++r) every[5 * r] = 1; /* a rank that is not heard is wrong */
  MPI_Gather(mine, 5, MPI_INT64_T, every, 5, MPI_INT64_T, 0, MPI_COMM_WORLD);
  if (rank == 0) memcpy(every, mine, sizeof mine);
  for (int r = 0; r < size; ++r) all += every[5 * r];
  if (rank == 0) {
    int where = 0;
    while (where + 1 < size && !every[5 * where]) ++where;
    int64_t *first = every + 5 * where;
    snprintf(name, sizeof name, "%s_wrong", kind->name);
    if (all)
      report_metric(name, (double)all, "%lld values a rank, rank %d of %d, value %lld: expected %lld, got %lld",
                    (long long)first[4], where, size, (long long)first[1], (long long)first[2], (long long)first[3]);
    else
      report_metric(name, 0, "1 to %d values of each of %d ranks", LARGEST, size);
  }
  free(every);
}

/* 53 bits of a generator that is the same everywhere (splitmix64), with a sign, times a power of two of the rank. */
static double number(int from, int i) {
  uint64_t x = ((uint64_t)from * FLOATS + (uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return ldexp((double)(int64_t)(x >> 11) * (x & 1 ? 1 : -1), 3 * (from % SHIFTS));
}

/* The largest error of any rank: its rank, entry, exact sum, sum, and bound. */
static void tell_floating(const double *mine) {
  enum { WIDTH = 5 }; /* error by bound, entry, exact, got, bound */
  double *every = malloc((size_t)size * WIDTH * sizeof *every);
  int worst = 0;
  for (int r = 0; r < size; ++r) every[WIDTH * r] = INFINITY; /* a rank that is not heard is wrong */
  MPI_Gather(mine, WIDTH, MPI_DOUBLE, every, WIDTH, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  if (rank == 0) memcpy(every, mine, WIDTH * sizeof *every);
  for (int r = 1; r < size; ++r)
    if (every[WIDTH * r] > every[WIDTH * worst]) worst = r;
  const double *said = every + WIDTH * worst;
  const char *words = "%d numbers a rank, splitmix64, rank %d of %d, value %d: expected %a to within %a, got %a";
  if (rank == 0)
    report_metric("allreduce_error", said[0], words, FLOATS, worst, size, (int)said[1], said[2], said[4], said[3]);
  free(every);
}

/* Sums of p such numbers against exact ones, in integers of 128 bits. */
static void floating(void) {
  double mine[FLOATS], sum[FLOATS], bounds[FLOATS], all[FLOATS], worst[5] = {-1}, unit = ldexp(1, -53);
  double gamma = (size > 1 ? size - 1 : 1) * unit / (1 - (size > 1 ? size - 1 : 1) * unit);
  for (int i = 0; i < FLOATS; ++i) mine[i] = number(rank, i);
  MPI_Allreduce(mine, sum, FLOATS, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  Number said = {.name = "mpi_allreduce_fp64", .precision = "fp64", .basis = "gamma_(p-1), u = 2^-53; Higham 4.2",
                 .count = FLOATS, .doubles = sum, .bounds = bounds};
  sha_start(&said.inputs), sha_start(&said.result);
  for (int r = 0; r < size && rank == 0; ++r) {
    for (int i = 0; i < FLOATS; ++i) all[i] = number(r, i);
    sha_array(&said.inputs, "float64", all, FLOATS, sizeof(double));
  }
  for (int i = 0; i < FLOATS; ++i) {
    __int128 exact = 0;
    double most = 0, ratio;
    for (int r = 0; r < size; ++r) exact += (__int128)number(r, i), most += fabs(number(r, i));
    bounds[i] = gamma * most;
    ratio = INFINITY; /* a sum of whole numbers that is none has a part below 1 too */
    if (fabs(sum[i]) < ldexp(1, 126))
      ratio = fabs((double)((__int128)sum[i] - exact) + (sum[i] - trunc(sum[i]))) / bounds[i];
    if (ratio > worst[0]) memcpy(worst, (double[]){ratio, i, (double)exact, sum[i], bounds[i]}, sizeof worst);
  }
  tell_floating(worst);
  if (rank) return;
  char words[120];
  snprintf(words, sizeof words, "all-reduce: sums of %d numbers each over %d ranks, splitmix64", FLOATS, size);
  said.said = words, said.ratio = worst[0];
  sha_array(&said.result, "float64", sum, FLOATS, sizeof(double));
  report_number(&said);
}

/* Sums of whole numbers: the same bits on every machine, for as many ranks. */
static void whole(int64_t *in, int64_t *out) {
  Number said = {.name = "mpi_allreduce_int64", .precision = "int64", .count = LARGEST, .whole = out,
                 .basis = "integer sums are exact in any order"};
  char words[120];
  Kind kind = {.name = "allreduce"};
  allreduce(in, out, LARGEST, &kind, 1);
  if (rank) return; /* this is rank 0's result; lines of several ranks would get into one another */
  if (kind.wrong)
    report_fault("another all-reduce of %d values, rank 0 of %d, value %lld: expected %lld, got %lld", LARGEST, size,
                 (long long)kind.at, (long long)kind.want, (long long)kind.got);
  snprintf(words, sizeof words, "all-reduce: sums of %d whole numbers each over %d ranks", LARGEST, size);
  said.said = words;
  sha_start(&said.inputs), sha_start(&said.result);
  for (int r = 0; r < size; ++r) {
    for (int64_t i = 0; i < LARGEST; ++i) in[i] = value(r, 0, i);
    sha_array(&said.inputs, "int64", in, LARGEST, sizeof *in);
  }
  sha_array(&said.result, "int64", out, LARGEST, sizeof *out);
  report_number(&said);
}

/* How many hosts the ranks are on. */
static int hosts(void) {
  enum { WIDTH = 256 };
  const char *told = getenv("SLURMD_NODENAME"); /* nodes of a test may be on one host */
  char mine[WIDTH] = "", *all = malloc((size_t)size * WIDTH);
  int found = 0;
  if (told)
    snprintf(mine, WIDTH, "%s", told);
  else
    gethostname(mine, WIDTH - 1);
  MPI_Allgather(mine, WIDTH, MPI_CHAR, all, WIDTH, MPI_CHAR, MPI_COMM_WORLD);
  for (int i = 0; i < size; ++i) {
    int seen = 0;
    for (int j = 0; j < i; ++j) seen |= !strcmp(all + (size_t)i * WIDTH, all + (size_t)j * WIDTH);
    found += !seen;
  }
  free(all);
  return found;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const char *names[] = {"point_to_point", "bcast", "allgather", "alltoall", "reduce_scatter", "allreduce"};
  Exchange *exchanges[] = {point_to_point, bcast, allgather, alltoall, reduce_scatter, allreduce};
  enum { KINDS = sizeof names / sizeof *names };
  Kind kinds[KINDS];
  int64_t *in = malloc((size_t)size * LARGEST * 8), *out = malloc((size_t)size * LARGEST * 8);
  int started = argc > 1 ? atoi(argv[1]) : 2, nodes = hosts();
  if (!in || !out) {
    report_fault("rank %d has no memory for %d values of every rank", rank, LARGEST);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  if (rank == 0) report_metric("ranks_missing", abs(started - size), "expected %d ranks, got %d", started, size);
  for (int k = 0; k < KINDS; ++k) {
    kinds[k] = (Kind){.name = names[k]};
    run(exchanges[k], kinds + k, in, out);
    tell(kinds + k);
  }
  whole(in, out);
  floating();
  if (rank == 0) {
    report_metric("nodes", nodes, "that %d ranks are on", size);
    report_metric("latency", kinds[0].seconds[0] / 2 * 1e6, "half a round trip of 8 bytes");
    report_metric("bandwidth", 8e-9 * LARGEST / (kinds[0].seconds[SIZES - 1] / 2), "messages of %d bytes", 8 * LARGEST);
    for (int k = 1; k < KINDS; ++k) {
      char name[60];
      snprintf(name, sizeof name, "%s_latency", names[k]);
      report_metric(name, kinds[k].seconds[0] * 1e6, "8 bytes of each of %d ranks", size);
      snprintf(name, sizeof name, "%s_time", names[k]);
      report_metric(name, kinds[k].seconds[SIZES - 1] * 1e6, "%d bytes of each of %d ranks", 8 * LARGEST, size);
    }
    report_done();
  }
  free(in), free(out);
  MPI_Finalize();
  return 0;
}
