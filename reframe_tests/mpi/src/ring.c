/* Exact integer all-reduce and a ring of messages. Argument: the number of ranks that were started. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 100000 };
static int64_t mine[N], sum[N], out[N], in[N];

static int64_t value(int rank, int i) { return ((int64_t)(rank + 1) << 40) + (int64_t)i * (2 * rank + 1); }

static void metric(const char *name, long long count, int at, long long want, long long got) {
  printf("{\"sovstack\": \"metric\", \"name\": \"%s\", \"value\": %lld", name, count);
  if (count) printf(", \"detail\": \"value %d: expected %lld, got %lld\"", at, want, got);
  printf("}\n");
}

int main(int argc, char **argv) {
  int rank, size, at = 0;
  int64_t wrong = 0, all = 0, want = 0, got = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);

  for (int i = 0; i < N; ++i) mine[i] = value(rank, i);
  MPI_Allreduce(mine, sum, N, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  for (int i = 0; i < N; ++i) {
    int64_t expected = 0;
    for (int r = 0; r < size; ++r) expected += value(r, i);
    if (sum[i] != expected && !wrong++) at = i, want = expected, got = sum[i];
  }
  MPI_Allreduce(&wrong, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) metric("allreduce_wrong", all, at, want, got);

  wrong = 0;
  int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  for (int round = 0; round < size; ++round) {
    for (int i = 0; i < N; ++i) out[i] = round == 0 ? mine[i] : in[i];
    MPI_Sendrecv(out, N, MPI_INT64_T, next, round, in, N, MPI_INT64_T, previous, round, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
  }
  for (int i = 0; i < N; ++i)
    if (in[i] != mine[i] && !wrong++) at = i, want = mine[i], got = in[i];
  MPI_Allreduce(&wrong, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) {
    int started = argc > 1 ? atoi(argv[1]) : 2;
    metric("ring_wrong", all, at, want, got);
    metric("ranks_missing", llabs((long long)started - size), 0, started, size);
    printf("{\"sovstack\": \"done\"}\n");
  }
  MPI_Finalize();
  return 0;
}
