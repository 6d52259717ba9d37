/* Two distributed problems whose solutions are known: a system of whole numbers, and the eigenvalues of min(i, j).
   Argument: the number of ranks that were started. */
#include <mpi.h>

#include "report.h"

enum { N = 128, BLOCK = 16, RATIO = 30 };
#define U 0x1p-53
#define GRID "n = %d, blocks of %d, %d by %d processes"
#define WHERE N, BLOCK, rows, columns
#define SYSTEM "pdgesv, a_ij = (37 i + 101 j + i j) mod 9 - 4, x_i = i mod 19 - 9, " GRID
#define MINIMA "pdsyev of min(i, j), " GRID

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

/* high + low, never rounded: about 106 bits (Dekker 1971), where not every compiler has a type of 113. */
typedef struct {
  double high, low;
} Wide;

static Wide sum_of(double x, double y) {
  double sum = x + y, back = sum - x;
  return (Wide){sum, (x - (sum - back)) + (y - back)};
}

static Wide product_of(double x, double y) {
  volatile double product = x * y; /* a compiler must not make one operation of it and a sum */
  return (Wide){product, fma(x, y, -product)};
}

static Wide plus(Wide x, Wide y) {
  Wide sum = sum_of(x.high, y.high);
  return sum_of(sum.high, sum.low + (x.low + y.low));
}

static Wide times(Wide x, Wide y) {
  Wide product = product_of(x.high, y.high);
  return sum_of(product.high, product.low + (x.high * y.low + x.low * y.high));
}

static Wide over(Wide x, Wide y) {
  double first = x.high / y.high;
  Wide part = times((Wide){-first, 0}, y), rest = plus(x, part);
  return sum_of(first, rest.high / y.high);
}

/* sum + x[i] y[i] + ... as if it were computed in twice the precision: Ogita, Rump and Oishi 2005, algorithm 5.3. */
static double dot(const double *x, int step, const double *y, Wide sum) {
  for (int i = 0; i < N; ++i) {
    Wide product = product_of(x[(size_t)i * (size_t)step], y[i]), next = sum_of(sum.high, product.high);
    sum = (Wide){next.high, sum.low + (next.low + product.low)};
  }
  return sum.high + sum.low;
}

/* 1 / (4 sin^2(m pi / (4 n + 2))) by Taylor's series, m pi / (4 n + 2) below pi / 2. */
static Wide known_value(int m) {
  const Wide pi = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53};
  Wide angle = over(times(pi, (Wide){m, 0}), (Wide){4 * N + 2, 0}), sine = angle, term = angle;
  Wide square = times(angle, angle);
  for (int i = 2; i < 40; i += 2) {
    term = over(times(term, square), (Wide){-i * (i + 1), 0});
    sine = plus(sine, term);
  }
  return over((Wide){0.25, 0}, times(sine, sine));
}

/* The largest of several sizes, and where it was; not-a-number is larger than all. */
typedef struct {
  double value;
  int row, column;
} Worst;

static void take(Worst *worst, double value, int i, int j) {
  value = fabs(value);
  if (!isnan(worst->value) && !(value <= worst->value)) *worst = (Worst){value, i, j};
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

static double largest(const double *values) {
  Worst most = {0};
  for (int i = 0; i < N; ++i) take(&most, values[i], i, 0);
  return most.value;
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
  Worst residual = {0}, error = {0};
  double unit = row_sums() * largest(got) * N * U, bound = RATIO * row_sums() * largest(x) * N * U / slack;
  for (int i = 0; i < N; ++i) {
    take(&residual, dot(a + i, N, got, (Wide){-b[i], 0}), i, 0);
    take(&error, got[i] - x[i], i, 0);
  }
  if (rank == 0) {
    if (info) report_fault("pdgesv says %d", info);
    report_metric("solve_ratio", residual.value / unit,
                  SYSTEM ": row %d of |A x - b|, where b is %g: expected at most %g, got %g", WHERE, residual.row,
                  b[residual.row], RATIO * unit, residual.value);
    report_metric("solve_error", error.value / bound, SYSTEM ": x[%d]: expected %g to within %g, got %.17g", WHERE,
                  error.row, x[error.row], bound, got[error.row]);
    memcpy(at, a, sizeof a);
    Number said = {.name = "scalapack_solve_fp64", .said = "pdgesv: 128 unknowns, whole numbers, diagonally dominant",
                   .basis = "residual ratio 30 of ScaLAPACK's tests; inverse by Varah 1975"};
    tell(&said, got, bound, error.value / bound);
  }
  free(part), free(right), free(pivots);
}

/* min(i, j): its inverse has three diagonals, and its eigenvalues are 1 / (4 sin^2((2k - 1) pi / (4n + 2))). */
static void eigen(void) {
  double values[N], *work;
  Wide known[N];
  const int n = N, one = 1, high = local(N, row, rows), ask = -1;
  int description[9], info = -1;
  for (int j = 0; j < N; ++j)
    for (int i = 0; i < N; ++i) a[i + j * N] = (i < j ? i : j) + 1;
  for (int k = 0; k < N; ++k) known[k] = known_value(2 * (N - k) - 1);
  describe(description, N, high);
  double *part = scattered(a, N, high), *vectors = scattered(z, N, high), wanted[4] = {0};
  pdsyev_("V", "U", &n, part, &one, &one, description, values, vectors, &one, &one, description, wanted, &ask, &info);
  int length = (int)wanted[0] + 4 * N;
  work = malloc((size_t)length * sizeof *work);
  pdsyev_("V", "U", &n, part, &one, &one, description, values, vectors, &one, &one, description, work, &length, &info);
  gathered(z, vectors, N, high);
  double unit = known[N - 1].high * N * U; /* of the largest singular value */
  Worst residual = {0}, angle = {0}, error = {0};
  for (int k = 0; k < N; ++k) {
    double rest = 0;
    for (int i = 0; i < N; ++i) {
      double one_value = dot(a + i, N, z + k * N, product_of(-values[k], z[i + k * N]));
      take(&angle, dot(z + i * N, 1, z + k * N, (Wide){i == k ? -1 : 0, 0}), i, k);
      rest += one_value * one_value;
    }
    take(&residual, sqrt(rest), k, k);
    take(&error, (values[k] - known[k].high) - known[k].low, k, k);
  }
  if (rank == 0) {
    int k = residual.row, e = error.row;
    if (info) report_fault("pdsyev says %d", info);
    report_metric("eigen_ratio", residual.value / unit,
                  MINIMA ": ||A z - lambda z|| of number %d, lambda = %.17g: expected at most %g, got %g", WHERE, k,
                  values[k], RATIO * unit, residual.value);
    report_metric("orthogonality_ratio", angle.value / (N * U),
                  MINIMA ": entry (%d, %d) of Z'Z: expected %d to within %g, got it off by %g", WHERE, angle.row,
                  angle.column, angle.row == angle.column, RATIO * N * U, angle.value);
    report_metric("eigenvalue_ratio", error.value / unit,
                  MINIMA ": eigenvalue %d: expected %.17g to within %g, got %.17g", WHERE, e, known[e].high,
                  RATIO * unit, values[e]);
    memcpy(at, a, sizeof a);
    Number said = {.name = "scalapack_eigenvalues_fp64", .said = "pdsyev: eigenvalues of min(i, j), 128 by 128",
                   .basis = "Weyl; ratio 30 of ScaLAPACK's tests"};
    tell(&said, values, RATIO * unit, error.value / (RATIO * unit));
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
