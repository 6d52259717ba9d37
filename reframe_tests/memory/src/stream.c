/* STREAM's four kernels (J. D. McCalpin), on integers: with these few repeats no product or sum is ever rounded.
   Argument: values in each array, 0 for four times the last cache. */
#include <omp.h>
#include <unistd.h>

#include "report.h"

enum { REPEATS = 12, SCALAR = 3 }; /* 15^12 < 2^53 */

static size_t wanted(const char *said) {
  size_t given = said ? strtoull(said, NULL, 10) : 0, least = (size_t)1 << 22, most = (size_t)1 << 25;
  if (given) return given;
  if (report_patience() > 1) return (size_t)1 << 19; /* emulated: no bandwidth is measured anyway */
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  size_t size = cache > 0 ? 4 * (size_t)cache / sizeof(double) : least;
  return size < least ? least : size > most ? most : size;
}

static void best(double *least, double start) {
  double took = omp_get_wtime() - start;
  if (took < *least) *least = took;
}

int main(int argc, char **argv) {
  const size_t n = wanted(argc > 1 ? argv[1] : NULL), width = sizeof(double);
  double *a = malloc(n * width), *b = malloc(n * width), *c = malloc(n * width);
  double copy = 1e30, scale = 1e30, add = 1e30, triad = 1e30, start;
  if (!a || !b || !c) {
    report_fault("there is no memory for three arrays of %zu values", n);
    return 1;
  }
#pragma omp parallel for
  for (size_t i = 0; i < n; ++i) a[i] = 1, b[i] = 2, c[i] = 0;

  for (int repeat = 0; repeat < REPEATS; ++repeat) {
    start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < n; ++i) c[i] = a[i];
    best(&copy, start), start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < n; ++i) b[i] = SCALAR * c[i];
    best(&scale, start), start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < n; ++i) c[i] = a[i] + b[i];
    best(&add, start), start = omp_get_wtime();
#pragma omp parallel for
    for (size_t i = 0; i < n; ++i) a[i] = b[i] + SCALAR * c[i];
    best(&triad, start);
  }

  int64_t x = 1, y = 2, z = 0; /* the same in whole numbers */
  for (int repeat = 0; repeat < REPEATS; ++repeat) z = x, y = SCALAR * z, z = x + y, x = y + SCALAR * z;
  size_t wrong = 0, at = 0;
  for (size_t i = n; i-- > 0;)
    if (a[i] != (double)x || b[i] != (double)y || c[i] != (double)z) ++wrong, at = i;
  report_metric("wrong_values", (double)wrong,
                "%zu values: at %zu expected (%lld, %lld, %lld), got (%.17g, %.17g, %.17g)", n, at, (long long)x,
                (long long)y, (long long)z, a[at], b[at], c[at]);
  int threads = 0;
#pragma omp parallel
#pragma omp single
  threads = omp_get_num_threads();
  report_metric("threads", threads, "of OpenMP");
  report_metric("copy", 2e-9 * (double)(n * width) / copy, "arrays of %zu values", n);
  report_metric("scale", 2e-9 * (double)(n * width) / scale, "arrays of %zu values", n);
  report_metric("add", 3e-9 * (double)(n * width) / add, "arrays of %zu values", n);
  report_metric("triad", 3e-9 * (double)(n * width) / triad, "arrays of %zu values", n);
  report_done();
  return 0;
}
