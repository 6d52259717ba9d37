/* Deliberately wrong MPI libraries, and a wrong ScaLAPACK, to be loaded before the right one. WRONG says which.
 *
 *   mpicc -O2 -shared -fPIC -ffreestanding -Wl,-z,lazy -DWRONG=SUMS -o wrong_mpi.so wrong_mpi.c
 *
 * It reaches the right MPI, with which it is linked, by its profiling names, and the right ScaLAPACK by dlsym.
 * Handles are pointers or integers, passed on as they are. */
#include <stdint.h>

#define SUMS 1     /* all-reduces of many values of 8 bytes lose the last bit of the last one: without -DWRONG */
#define NO_SUMS 2  /* all-reduces leave what they should return as it is */
#define MESSAGES 3 /* what a rank other than the first receives has a wrong bit in its last byte */
#define WRITES 4   /* collective writes to a file have a wrong bit in their first byte */
#define SOLVE 5    /* pdgesv: the last of a process's unknowns is off by 2^-24 of itself */
#define EIGEN 6    /* pdsyev: one eigenvalue is off by 2^-30 of itself, a process's first vector by 2^-40 */
#define LOST 7     /* pdsyev: one entry of Z is not a number */
#define SECOND 8   /* all-reduces of some values of 8 bytes have a wrong bit in the first, on the second rank alone */
#ifndef WRONG
#define WRONG SUMS
#endif

typedef intptr_t Handle;
extern int PMPI_Comm_rank(Handle comm, int *rank);
extern int PMPI_Sendrecv(const void *out, int sent, Handle out_type, int to, int out_tag, void *in, int count,
                         Handle type, int from, int tag, Handle comm, Handle *status);
extern int PMPI_Type_size(Handle type, int *size);
extern int PMPI_File_write_at_all(Handle file, int64_t offset, const void *data, int count, Handle type, Handle *status);
extern void *dlsym(void *handle, const char *name);

#if WRONG == SUMS || WRONG == NO_SUMS || WRONG == SECOND
#define ALLREDUCE(call, Count)                                                                               \
  extern int P##call(const void *in, void *out, Count count, Handle type, Handle op, Handle comm);           \
  int call(const void *in, void *out, Count count, Handle type, Handle op, Handle comm) {                    \
    if (WRONG == NO_SUMS) return 0;                                                                          \
    int size = 0, rank = 0, status = P##call(in, out, count, type, op, comm);                                \
    PMPI_Type_size(type, &size), PMPI_Comm_rank(comm, &rank);                                                \
    if (WRONG == SUMS && count > 100 && size == 8) ((uint64_t *)out)[count - 1] ^= 1;                        \
    if (WRONG == SECOND && count > 60 && size == 8 && rank == 1) ((uint64_t *)out)[0] ^= (uint64_t)1 << 40;  \
    return status;                                                                                           \
  }
ALLREDUCE(MPI_Allreduce, int)
ALLREDUCE(MPI_Allreduce_c, int64_t) /* of MPI 4, which mpi4py calls where there is one */
#endif

#if WRONG == MESSAGES
static void spoil(void *data, int64_t count, Handle type, Handle comm) {
  int size = 0, rank = 0;
  PMPI_Type_size(type, &size), PMPI_Comm_rank(comm, &rank);
  if (rank > 0 && count * size > 4096) ((unsigned char *)data)[count * size - 1] ^= 1;
}

#define RECEIVE(call, Count)                                                                                 \
  extern int P##call(void *data, Count count, Handle type, int from, int tag, Handle comm, Handle *status);  \
  int call(void *data, Count count, Handle type, int from, int tag, Handle comm, Handle *status) {           \
    int said = P##call(data, count, type, from, tag, comm, status);                                          \
    spoil(data, count, type, comm);                                                                          \
    return said;                                                                                             \
  }
RECEIVE(MPI_Recv, int)
RECEIVE(MPI_Recv_c, int64_t)

int MPI_Sendrecv(const void *out, int sent, Handle out_type, int to, int out_tag, void *in, int count, Handle type,
                 int from, int tag, Handle comm, Handle *status) {
  int said = PMPI_Sendrecv(out, sent, out_type, to, out_tag, in, count, type, from, tag, comm, status);
  spoil(in, count, type, comm);
  return said;
}
#endif

#if WRONG == WRITES
int MPI_File_write_at_all(Handle file, int64_t offset, const void *data, int count, Handle type, Handle *status) {
  if (data) ((unsigned char *)(uintptr_t)data)[0] ^= 1;
  return PMPI_File_write_at_all(file, offset, data, count, type, status);
}
#endif

#define NEXT ((void *)(intptr_t)-1) /* what would have been taken without this library */

#if WRONG == SOLVE
typedef void Solve(const int *n, const int *right, double *a, const int *ia, const int *ja, const int *about, int *pivots,
                   double *b, const int *ib, const int *jb, const int *side, int *info);

void pdgesv_(const int *n, const int *right, double *a, const int *ia, const int *ja, const int *about, int *pivots,
             double *b, const int *ib, const int *jb, const int *side, int *info) {
  ((Solve *)dlsym(NEXT, "pdgesv_"))(n, right, a, ia, ja, about, pivots, b, ib, jb, side, info);
  b[side[8] - 1] *= 1 + 0x1p-24; /* the ninth: how many rows a process has */
}
#endif

#if WRONG == EIGEN || WRONG == LOST
typedef void Eigen(const char *job, const char *half, const int *n, double *a, const int *ia, const int *ja,
                   const int *about, double *values, double *z, const int *iz, const int *jz, const int *at, double *work,
                   const int *length, int *info);

void pdsyev_(const char *job, const char *half, const int *n, double *a, const int *ia, const int *ja, const int *about,
             double *values, double *z, const int *iz, const int *jz, const int *at, double *work, const int *length,
             int *info) {
  ((Eigen *)dlsym(NEXT, "pdsyev_"))(job, half, n, a, ia, ja, about, values, z, iz, jz, at, work, length, info);
  if (*length < 0) return;
  if (WRONG == EIGEN) values[*n - 2] *= 1 + 0x1p-30;
  for (int i = 0; i < at[8] && WRONG == EIGEN; ++i) z[i] *= 1 + 0x1p-40; /* the ninth: how many rows a process has */
  if (WRONG == LOST) z[at[8] + 1] = __builtin_nan("");
}
#endif
