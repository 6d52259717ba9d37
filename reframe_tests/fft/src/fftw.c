/* FFTW: round trip, Parseval, and against the definition of the transform in 113 bits. Bounds as in transform.py. */
#include <complex.h>
#include <fftw3.h>
#include "report.h"

typedef _Float128 wide;
enum { LENGTHS = 6, MOST = 512, SEED = 20260501 };
static const int lengths[LENGTHS] = {8, 60, 64, 97, 360, 512};
static const double u = 0x1p-53;

/* SplitMix64 and odd multiples of 2^-53, as identity.py makes them. */
static double drawn(uint64_t seed, uint64_t at) {
  uint64_t z = seed + (at + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return (double)((int64_t)(z >> 11) * 2 + 1 - ((int64_t)1 << 53)) * 0x1p-53;
}

/* cos and sin of 2 pi k / n by Taylor's series, the angle brought into (-pi, pi]. */
static void root(int k, int n, wide *c, wide *s) {
  const wide pi = 3.14159265358979323846264338327950288419716939937510582097494459230781640628F128;
  wide x = 2 * pi * (2 * k > n ? k - n : k) / n, term = 1;
  *c = *s = 0;
  for (int i = 0; i < 60; ++i) {
    *(i % 2 ? s : c) += i % 4 < 2 ? term : -term;
    term *= x / (i + 1);
  }
}

static double gamma_of(double k) { return k * u / (1 - k * u); }

static double powers(double t) {
  const double mu = 2 * u, eta = mu + gamma_of(4) * (sqrt(2) + mu);
  return t * eta / (1 - t * eta);
}

/* Higham 24.2 for powers of two; a prime factor by its definition, or all by a convolution (transform.py). */
static double bound_of(int n) {
  double direct = 0;
  int rest = n, largest = 1;
  for (int p = 2; rest > 1;)
    if (rest % p)
      ++p;
    else {
      direct += p == 2 ? powers(1) : sqrt(p) * gamma_of(2 * p + 4);
      rest /= p;
      largest = p;
    }
  double convolution = 2 * sqrt(n) * 3 * powers(ceil(log2(4.0 * n)));
  return largest > 11 && convolution > direct ? convolution : direct;
}

static double norm(const double complex *x, int n) {
  wide sum = 0;
  for (int i = 0; i < n; ++i) sum += (wide)creal(x[i]) * creal(x[i]) + (wide)cimag(x[i]) * cimag(x[i]);
  return sqrt((double)sum);
}

static void transform(double complex *from, double complex *to, int n, int sign) {
  fftw_plan plan = fftw_plan_dft_1d(n, from, to, sign, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
  fftw_execute(plan);
  fftw_destroy_plan(plan);
}

#define ENTRY "entry %d: expected %.17g%+.17gi, got %.17g%+.17gi"
#define SAID(entry) entry.at, creal(entry.want), cimag(entry.want), creal(entry.got), cimag(entry.got)

/* The entry where a result is farthest from what it should be. */
typedef struct {
  int at;
  double far;
  double complex want, got;
} Entry;

static void look(Entry *entry, int at, double far, double complex want, double complex got) {
  if (!isnan(entry->far) && !(far < entry->far)) *entry = (Entry){at, far, want, got};
}

/* ||y - F x||, F x by its definition. */
static double error_of(const double complex *x, const double complex *y, int n, Entry *entry) {
  wide sum = 0, c, s;
  static wide cosine[MOST], sine[MOST];
  for (int k = 0; k < n; ++k) {
    root(k, n, &c, &s);
    cosine[k] = c, sine[k] = s;
  }
  for (int k = 0; k < n; ++k) {
    wide re = 0, im = 0;
    for (int j = 0; j < n; ++j) {
      int at = (int)((long)j * k % n);
      wide a = creal(x[j]), b = cimag(x[j]);
      re += a * cosine[at] + b * sine[at];
      im += b * cosine[at] - a * sine[at];
    }
    double complex want = (double)re + I * (double)im;
    re -= creal(y[k]), im -= cimag(y[k]);
    sum += re * re + im * im;
    look(entry, k, (double)(re * re + im * im), want, y[k]);
  }
  return sqrt((double)sum);
}

typedef struct {
  double value;
  int length;
  Entry entry;
} Worst;

static void add(Worst *worst, double value, int n, Entry entry) {
  if (!(value <= worst->value) && !isnan(worst->value)) *worst = (Worst){value, n, entry};
}

static void tell(const char *name, const char *what, Worst worst) {
  Entry at = worst.entry;
  report_metric(name, worst.value, "%s, n = %d, seed %d, " ENTRY "; in norm %.3g times the bound", what, worst.length,
                SEED + worst.length, SAID(at), worst.value);
}

static void number(const double complex *x, const double complex *y, int n, double bound, double ratio) {
  static double bounds[2 * MOST];
  char name[40], said[120];
  for (int i = 0; i < 2 * n; ++i) bounds[i] = bound;
  snprintf(name, sizeof name, "fftw_fp64_n%d", n);
  snprintf(said, sizeof said, "the transform of %d complex numbers, real and imaginary parts in turn, seed %d", n, SEED);
  Number made = {.name = name, .precision = "fp64", .said = said, .basis = "t eta ||y||; Higham 24.2", .ratio = ratio,
                 .count = 2 * (size_t)n, .doubles = (const double *)y, .bounds = bounds};
  sha_start(&made.inputs);
  sha_start(&made.result);
  sha_array(&made.inputs, "complex128", x, (size_t)n, sizeof *x);
  sha_array(&made.result, "complex128", y, (size_t)n, sizeof *y);
  report_number(&made);
}

/* Four integers: the roots are 1, -i, -1, i. */
static int integers_wrong(Entry *first) {
  double complex x[4], y[4], want[4] = {0, 0, 0, 0}, turn[4] = {1, -I, -1, I};
  for (int j = 0; j < 4; ++j) x[j] = trunc(drawn(1, 2 * j) * 0x1p40) + I * trunc(drawn(1, 2 * j + 1) * 0x1p40);
  transform(x, y, 4, FFTW_FORWARD);
  int wrong = 0;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 4; ++j) want[k] += turn[j * k % 4] * x[j];
    if (y[k] != want[k] && !wrong++) *first = (Entry){k, 0, want[k], y[k]};
  }
  return wrong;
}

int main(void) {
  static double complex x[MOST], y[MOST], z[MOST];
  Worst forward = {0}, back = {0}, energy = {0};
  for (int l = 0; l < LENGTHS; ++l) {
    int n = lengths[l];
    double bound = bound_of(n);
    for (int i = 0; i < n; ++i) x[i] = drawn(SEED + n, 2 * i) + I * drawn(SEED + n, 2 * i + 1);
    transform(x, y, n, FFTW_FORWARD);
    transform(y, z, n, FFTW_BACKWARD);
    Entry there = {0}, again = {0}, norms = {0};
    double ratio = error_of(x, y, n, &there) / (bound * norm(y, n));
    add(&forward, ratio, n, there);
    for (int i = 0; i < n; ++i) {
      double complex got = z[i] / n;
      z[i] = got - x[i];
      look(&again, i, cabs(z[i]), x[i], got);
    }
    add(&back, norm(z, n) / (2.001 * (bound + 2 * u) * norm(x, n)), n, again);
    /* eight roundings: of two roots, of three factors, of a quotient */
    norms.want = norm(x, n) * sqrt(n), norms.got = norm(y, n);
    add(&energy, fabs(creal(norms.got) / creal(norms.want) - 1) / (bound + gamma_of(8)), n, norms);
    number(x, y, n, bound * norm(y, n), ratio);
  }
  tell("fp64_error", "the transform", forward);
  tell("fp64_round_trip", "there and back", back);
  tell("fp64_parseval", "||y|| = sqrt(n) ||x||, as the only", energy);
  Entry first = {0};
  int wrong = integers_wrong(&first);
  report_metric("integers_wrong", wrong, "four integers of 40 bits, seed 1, " ENTRY, SAID(first));
  report_done();
  return 0;
}
