/* Two distributed problems whose solutions are known: a system of whole numbers, and the eigenvalues of min(i, j).
   Argument: the number of ranks that were started. */
#include <mpi.h>

#include "report.h"

enum { N = 128, BLOCK = 16, RATIO = 30 };
#define U 0x1p-53

extern void Cblacs_get(int, int, int *);
extern void Cblacs_gridinit(int *, const char *, int, int);
extern void Cblacs_gridinfo(int, int *, int *, int *, int *);
extern void Cblacs_gridexit(int);
extern void descinit_(int *, const int *, const int *, const int *, const int *, const int *, const int *, const int *,
                      const int *, int *);
extern void pdgesv_(const int *, const int *, double *, const int *, const int *, const int *, int *, double *,
                    const int *, const int *, const int *, int *);
extern void pdsyev_(const char *, const char *, const int *, double *, const int *, const int *, const int *, double *,
                    double *, const int *, const int *, const int *, double *, const int *, int *);

static int rank, size, context, rows, columns, row, column;
static double a[N * N], z[N * N], at[N * N]; /* whole matrices, by columns */

/* Sum of x[i] y[i] as if it were computed in twice the precision: Ogita, Rump and Oishi 2005, algorithm 5.3. */
static double dot(const double *x, int step, const double *y, double sum) {
  double error = 0;
  for (int i = 0; i < N; ++i) {
    double product = x[(size_t)i * (size_t)step] * y[i], rest = fma(x[(size_t)i * (size_t)step], y[i], -product);
    double next = sum + product, back = next - sum;
    error += (sum - (next - back)) + (product - back) + rest;
    sum = next;
  }
  return sum + error;
}

static int local(int count, int me, int of) { /* rows or columns that a process has */
  int found = 0;
  for (int i = 0; i < count; ++i) found += i / BLOCK % of == me;
  return found;
}

static int mine(int i, int j) { return i / BLOCK % rows == row && j / BLOCK % columns == column; }

static size_t place(int i, int j, int high) {
  return (size_t)(i / BLOCK / rows * BLOCK + i % BLOCK) + (size_t)(j / BLOCK / columns * BLOCK + j % BLOCK) * (size_t)high;
}

static double *scattered(const double *whole, int wide, int high) {
  double *part = calloc((size_t)N * (size_t)wide + 1, sizeof *part);
  for (int j = 0; j < wide; ++j)
    for (int i = 0; i < N; ++i)
      if (mine(i, j)) part[place(i, j, high)] = whole[i + j * N];
  return part;
}

static void gathered(double *whole, const double *part, int wide, int high) {
  memset(whole, 0, sizeof *whole * (size_t)N * (size_t)wide);
  for (int j = 0; j < wide; ++j)
    for (int i = 0; i < N; ++i)
      if (mine(i, j)) whole[i + j * N] = part[place(i, j, high)];
  MPI_Allreduce(MPI_IN_PLACE, whole, N * wide, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD); /* each has one owner */
}

static void describe(int *description, int wide, int high) {
  const int n = N, block = BLOCK, zero = 0, lead = high > 0 ? high : 1;
  int info = 0;
  descinit_(description, &n, &wide, &block, &block, &zero, &zero, &context, &lead, &info);
  if (info) report_fault("descinit says %d", info);
}

static double largest(const double *values, int count, int step) {
  double most = 0;
  for (int i = 0; i < count; ++i)
    if (!(fabs(values[i * step]) <= most)) most = fabs(values[i * step]);
  return most;
}

static double row_sums(void) { /* the norm that belongs to the largest value of a vector */
  double most = 0;
  for (int i = 0; i < N; ++i) {
    double sum = 0;
    for (int j = 0; j < N; ++j) sum += fabs(a[i + j * N]);
    most = sum > most ? sum : most;
  }
  return most;
}

static void tell(Number *number, const double *values, double bound, double ratio) {
  double bounds[N];
  for (int i = 0; i < N; ++i) bounds[i] = bound;
  sha_start(&number->inputs), sha_start(&number->result);
  sha_array(&number->inputs, "float64", at, N * N, sizeof *at);
  sha_array(&number->result, "float64", values, N, sizeof *values);
  number->precision = "fp64", number->count = N, number->doubles = values, number->bounds = bounds, number->ratio = ratio;
  report_number(number);
}

/* A X = B with |a_ii| - sum |a_ij| >= 1: then the inverse has a norm of at most 1 (Varah 1975). */
static void solve(void) {
  double x[N], b[N], got[N], slack = 1e300;
  const int n = N, one = 1, high = local(N, row, rows);
  int description[9], side[9], info = -1, *pivots = calloc(N + BLOCK, sizeof *pivots);
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) a[i + j * N] = i == j ? 0 : (i * 37 + j * 101 + i * j) % 9 - 4;
  for (int i = 0; i < N; ++i) {
    double sum = 0;
    for (int j = 0; j < N; ++j) sum += fabs(a[i + j * N]);
    a[i + i * N] = (i % 2 ? -1 : 1) * (sum + 1 + i % 3), x[i] = i % 19 - 9;
    slack = fmin(slack, fabs(a[i + i * N]) - sum);
  }
  for (int i = 0; i < N; ++i) { /* whole numbers far below 2^53: exact */
    b[i] = 0;
    for (int j = 0; j < N; ++j) b[i] += a[i + j * N] * x[j];
  }
  describe(description, N, high), describe(side, 1, high);
  double *part = scattered(a, N, high), *right = scattered(b, 1, high);
  pdgesv_(&n, &one, part, &one, &one, description, pivots, right, &one, &one, side, &info);
  gathered(got, right, 1, high);
  double residual = 0, error = 0, scale = row_sums() * largest(got, N, 1) * N * U;
  for (int i = 0; i < N; ++i) {
    double rest = fabs(dot(a + i, N, got, -b[i]));
    if (!(rest <= residual)) residual = rest;
    if (!(fabs(got[i] - x[i]) <= error)) error = fabs(got[i] - x[i]);
  }
  double bound = RATIO * row_sums() * largest(x, N, 1) * N * U / slack;
  if (rank == 0) {
    if (info) report_fault("pdgesv says %d", info);
    report_metric("solve_ratio", residual / scale, "||Ax - b|| / (||A|| ||x|| n u), n = %d, %d by %d processes", N, rows, columns);
    report_metric("solve_error", error / bound, "largest |x - known| is %g", error);
    memcpy(at, a, sizeof a);
    Number said = {.name = "scalapack_solve_fp64", .said = "pdgesv: 128 unknowns, whole numbers, diagonally dominant",
                   .basis = "residual ratio 30 of ScaLAPACK's tests; inverse by Varah 1975"};
    tell(&said, got, bound, error / bound);
  }
  free(part), free(right), free(pivots);
}

/* min(i, j): its inverse has three diagonals, and its eigenvalues are 1 / (4 sin^2((2k - 1) pi / (4n + 2))). */
static void eigen(void) {
  double values[N], known[N], *work, pi = acos(-1);
  const int n = N, one = 1, high = local(N, row, rows), ask = -1;
  int description[9], info = -1;
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) a[i + j * N] = (i < j ? i : j) + 1;
  for (int k = 0; k < N; ++k) known[k] = 0.25 / pow(sin((2 * (N - k) - 1) * pi / (4 * N + 2)), 2);
  describe(description, N, high);
  double *part = scattered(a, N, high), *vectors = scattered(z, N, high), wanted[4] = {0};
  pdsyev_("V", "U", &n, part, &one, &one, description, values, vectors, &one, &one, description, wanted, &ask, &info);
  int length = (int)wanted[0] + 4 * N;
  work = malloc((size_t)length * sizeof *work);
  pdsyev_("V", "U", &n, part, &one, &one, description, values, vectors, &one, &one, description, work, &length, &info);
  gathered(z, vectors, N, high);
  double norm = known[N - 1], residual = 0, angle = 0, error = 0;
  for (int k = 0; k < N; ++k) {
    double rest = 0;
    for (int i = 0; i < N; ++i) {
      double one_value = dot(a + i, N, z + k * N, 0) - values[k] * z[i + k * N];
      double turned = dot(z + i * N, 1, z + k * N, i == k ? -1 : 0);
      rest += one_value * one_value;
      if (!(fabs(turned) <= angle)) angle = fabs(turned);
    }
    if (!(sqrt(rest) <= residual)) residual = sqrt(rest);
    if (!(fabs(values[k] - known[k]) <= error)) error = fabs(values[k] - known[k]);
  }
  if (rank == 0) {
    double scale = norm * N * U;
    if (info) report_fault("pdsyev says %d", info);
    report_metric("eigen_ratio", residual / scale, "largest ||A z - lambda z|| / (||A|| n u), n = %d", N);
    report_metric("orthogonality_ratio", angle / (N * U), "largest entry of |Z'Z - I| / (n u)");
    report_metric("eigenvalue_ratio", error / scale, "largest |lambda - known| / (||A|| n u)");
    memcpy(at, a, sizeof a);
    Number said = {.name = "scalapack_eigenvalues_fp64", .said = "pdsyev: eigenvalues of min(i, j), 128 by 128",
                   .basis = "Weyl; ratio 30 of ScaLAPACK's tests"};
    tell(&said, values, RATIO * scale, error / (RATIO * scale));
  }
  free(part), free(vectors), free(work);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int started = argc > 1 ? atoi(argv[1]) : 2;
  for (rows = 1; (rows + 1) * (rows + 1) <= size; ++rows) continue;
  while (size % rows) --rows;
  columns = size / rows;
  Cblacs_get(-1, 0, &context);
  Cblacs_gridinit(&context, "Row", rows, columns);
  Cblacs_gridinfo(context, &rows, &columns, &row, &column);
  if (rank == 0) report_metric("ranks_missing", abs(started - size), "expected %d ranks, got %d", started, size);
  double start = MPI_Wtime();
  solve();
  eigen();
  if (rank == 0) report_metric("time", MPI_Wtime() - start, "both problems and their residuals");
  if (rank == 0) report_done();
  Cblacs_gridexit(context);
  MPI_Finalize();
  return 0;
}
