/* Exact integer all-reduce and a ring of messages. Argument: the number of ranks that were started. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 100000 };
static int64_t mine[N], sum[N], out[N], in[N];

static int64_t value(int rank, int i) { return ((int64_t)(rank + 1) << 40) + (int64_t)i * (2 * rank + 1); }

/* What is wrong on all ranks, told by the first that has something. Gathered, since the sums are what is judged. */
static void tell(const char *name, int rank, int size, const int64_t *mine) {
  int64_t *all = calloc((size_t)size, 4 * sizeof *all), count = mine[0];
  int first = 0;
  for (int r = 0; r < size; ++r) all[4 * r] = 1; /* a rank that is not heard is wrong */
  MPI_Gather(mine, 4, MPI_INT64_T, all, 4, MPI_INT64_T, 0, MPI_COMM_WORLD);
  for (int r = 1; r < size; ++r) count += all[4 * r];
  while (!mine[0] && first + 1 < size && !all[4 * first]) ++first;
  const int64_t *said = mine[0] ? mine : all + 4 * first;
  if (rank == 0) {
    printf("{\"sovstack\": \"metric\", \"name\": \"%s\", \"value\": %lld", name, (long long)count);
    if (count)
      printf(", \"detail\": \"%d values of 8 bytes, %d ranks, rank %d, value %lld: expected %lld, got %lld\"", N, size,
             first, (long long)said[1], (long long)said[2], (long long)said[3]);
    printf("}\n");
  }
  free(all);
}

static void expect(int64_t *wrong, int64_t at, int64_t want, int64_t got) {
  if (want != got && !wrong[0]++) wrong[1] = at, wrong[2] = want, wrong[3] = got;
}

int main(int argc, char **argv) {
  int rank, size;
  int64_t summed[4] = {0}, moved[4] = {0}; /* how many are wrong; the first of them, its value, and what it is */
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);

  for (int i = 0; i < N; ++i) mine[i] = value(rank, i);
  MPI_Allreduce(mine, sum, N, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  for (int i = 0; i < N; ++i) {
    int64_t expected = 0;
    for (int r = 0; r < size; ++r) expected += value(r, i);
    expect(summed, i, expected, sum[i]);
  }
  tell("allreduce_wrong", rank, size, summed);

  int next = (rank + 1) % size, previous = (rank + size - 1) % size;
  for (int round = 0; round < size; ++round) {
    for (int i = 0; i < N; ++i) out[i] = round == 0 ? mine[i] : in[i];
    MPI_Sendrecv(out, N, MPI_INT64_T, next, round, in, N, MPI_INT64_T, previous, round, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
  }
  for (int i = 0; i < N; ++i) expect(moved, i, mine[i], in[i]);
  tell("ring_wrong", rank, size, moved);
  if (rank == 0) {
    int started = argc > 1 ? atoi(argv[1]) : 2;
    printf("{\"sovstack\": \"metric\", \"name\": \"ranks_missing\", \"value\": %d", abs(started - size));
    printf(", \"detail\": \"expected %d ranks, got %d\"}\n{\"sovstack\": \"done\"}\n", started, size);
  }
  MPI_Finalize();
  return 0;
}
