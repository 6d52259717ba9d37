/* An MPI whose sums over ranks lose the last bit of their last value, and whose parallel writes lose a byte: loaded before
   the real one, which is reached by its profiling names. Handles are pointers or integers, passed on as they are. */
#include <stdint.h>

typedef intptr_t Handle;
extern int PMPI_Allreduce(const void *in, void *out, int count, Handle type, Handle op, Handle comm);
extern int PMPI_Type_size(Handle type, int *size);
extern int PMPI_File_write_at_all(Handle file, int64_t offset, const void *data, int count, Handle type, Handle *status);

int MPI_Allreduce(const void *in, void *out, int count, Handle type, Handle op, Handle comm) {
  int size = 0, status = PMPI_Allreduce(in, out, count, type, op, comm);
  PMPI_Type_size(type, &size);
  if (count > 100 && size == 8) ((uint64_t *)out)[count - 1] ^= 1;
  return status;
}

int MPI_File_write_at_all(Handle file, int64_t offset, const void *data, int count, Handle type, Handle *status) {
  if (data) ((unsigned char *)(uintptr_t)data)[0] ^= 1;
  return PMPI_File_write_at_all(file, offset, data, count, type, status);
}
