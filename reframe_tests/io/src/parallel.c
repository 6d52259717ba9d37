/* One file written by all ranks through MPI-IO, a band of rows each, and read back by columns.
   Arguments: the number of ranks that were started, and the file. */
#include <hdf5.h>
#include <mpi.h>
#include <unistd.h>

#include "report.h"

enum { ROWS = 64, COLUMNS = 96 }; /* of each rank */

static int64_t value(int64_t row, int64_t column) { return (row + 1) * 1000003 - column * 7919; }

/* Take a value into account: how many are wrong; the row and column of the first of them, and what it is. */
static void expect(int64_t *wrong, int64_t row, int64_t column, int64_t got) {
  if (got != value(row, column) && !wrong[0]++) wrong[1] = row, wrong[2] = column, wrong[3] = got;
}

static void part(hid_t space, hsize_t row, hsize_t column, hsize_t rows, hsize_t columns) {
  hsize_t start[2] = {row, column}, count[2] = {rows, columns};
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
}

/* What another program finds in the file: the first value of the last row, and how many there are. */
static int dumped(const char *path, int64_t rows, int64_t columns, char *words, size_t size) {
  char command[600], line[400], text[4000] = "", want[60], extent[80];
  snprintf(command, sizeof command, "h5dump -d '/values[%lld,0;;1,1;]' '%s' 2>&1", (long long)rows - 1, path);
  snprintf(want, sizeof want, "(%lld,0): %lld\n", (long long)rows - 1, (long long)value(rows - 1, 0));
  snprintf(extent, sizeof extent, "( %lld, %lld )", (long long)rows, (long long)columns);
  FILE *pipe = popen(command, "r");
  while (pipe && fgets(line, sizeof line, pipe))
    if (strlen(text) + strlen(line) < sizeof text) strcat(text, line);
  int status = pipe ? pclose(pipe) : -1;
  if (status == 0 && strstr(text, want) && strstr(text, extent)) return 0;
  snprintf(words, size, "h5dump: expected %s and %s, got status %d and %.600s", extent, want, status, text);
  return 1;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size, started = argc > 1 ? atoi(argv[1]) : 2;
  const char *path = argc > 2 ? argv[2] : "parallel.h5";
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const hsize_t rows = (hsize_t)ROWS * (hsize_t)size, columns = (hsize_t)COLUMNS * (hsize_t)size;
  const size_t mine = ROWS * (size_t)columns, across = COLUMNS * (size_t)rows;
  int64_t *out = malloc(mine * 8), *in = malloc(across * 8), wrong[4] = {0}, all = 0;
  int64_t *every = calloc((size_t)size, sizeof wrong);
  double write = 0, read = 0;

  hid_t access = H5Pcreate(H5P_FILE_ACCESS), transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL);
  H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
  hsize_t extent[2] = {rows, columns}, band[2] = {ROWS, columns}, strip[2] = {rows, COLUMNS};
  for (size_t i = 0; i < mine; ++i)
    out[i] = value((int64_t)rank * ROWS + (int64_t)(i / columns), (int64_t)(i % columns));

  MPI_Barrier(MPI_COMM_WORLD);
  double start = MPI_Wtime();
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access), space = H5Screate_simple(2, extent, NULL);
  hid_t data = H5Dcreate2(file, "values", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hid_t memory = H5Screate_simple(2, band, NULL);
  part(space, (hsize_t)rank * ROWS, 0, ROWS, columns);
  int failed = H5Dwrite(data, H5T_NATIVE_INT64, memory, space, transfer, out) < 0;
  H5Sclose(memory), H5Dclose(data), H5Fclose(file);
  MPI_Barrier(MPI_COMM_WORLD);
  write = MPI_Wtime() - start, start = MPI_Wtime();

  memset(in, 0xff, across * 8);
  file = H5Fopen(path, H5F_ACC_RDONLY, access), data = H5Dopen2(file, "values", H5P_DEFAULT);
  memory = H5Screate_simple(2, strip, NULL);
  part(space, 0, (hsize_t)rank * COLUMNS, rows, COLUMNS);
  failed |= H5Dread(data, H5T_NATIVE_INT64, memory, space, transfer, in) < 0;
  H5Sclose(memory), H5Dclose(data), H5Sclose(space), H5Fclose(file), H5Pclose(access), H5Pclose(transfer);
  MPI_Barrier(MPI_COMM_WORLD);
  read = MPI_Wtime() - start;

  for (size_t i = 0; i < across; ++i)
    expect(wrong, (int64_t)(i / COLUMNS), (int64_t)rank * COLUMNS + (int64_t)(i % COLUMNS), in[i]);
  MPI_Gather(wrong, 4, MPI_INT64_T, every, 4, MPI_INT64_T, 0, MPI_COMM_WORLD);
  MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  if (rank == 0) {
    char words[REPORT_TEXT] = "h5dump shows the last row";
    int first = 0, unseen = dumped(path, (int64_t)rows, (int64_t)columns, words, sizeof words);
    report_metric("ranks_missing", abs(started - size), "expected %d ranks, got %d", started, size);
    if (failed) report_fault("HDF5 said that writing or reading %s failed", path);
    for (int r = size; r-- > 0;) {
      all += every[4 * r];
      if (every[4 * r]) memcpy(wrong, every + 4 * r, sizeof wrong), first = r;
    }
    report_metric("wrong_values", (double)all,
                  "%lld by %lld values, read by rank %d of %d, row %lld, column %lld: expected %lld, got %lld",
                  (long long)rows, (long long)columns, first, size, (long long)wrong[1], (long long)wrong[2],
                  (long long)value(wrong[1], wrong[2]), (long long)(all ? wrong[3] : in[0]));
    report_metric("unseen_by_h5dump", unseen, "%s", words);
    report_metric("write", 8e-9 * (double)(rows * columns) / write, "%lld by %lld values", (long long)rows, (long long)columns);
    report_metric("read", 8e-9 * (double)(rows * columns) / read, "%lld by %lld values", (long long)rows, (long long)columns);
    report_done();
  }
  unlink(rank == 0 && getenv("SOVSTACK_KEEP") == NULL ? path : "");
  return 0;
}
