/* Deliberately wrong BLAS libraries, to be preloaded. WRONG says which; whatever else is asked goes to the right one.
 *
 *   cc -O2 -shared -fPIC -nostdlib -ffreestanding -DWRONG=FP32 -DABOVE=140 -o wrong_blas.so wrong_blas.c
 *
 * It needs no library of its own, so that one built on the host loads inside any image of the same architecture. */

#define FP32 1    /* dgemm in fp32: without -DWRONG */
#define BF16X3 2  /* dgemm of operands split into three bfloat16, the six larger products, summed in fp64 */
#define TF32 3    /* sgemm of operands cut to 11 bits */
#define SLICES 4  /* dgemm of operands in six slices of 8 bits below the largest of their row or column, summed in fp64 */
#define LARGE_K 5 /* dgemm in fp32, but only where k is more than 1000 */
#define TRSM 6    /* only dtrsm in fp32 */
#define SYRK 7    /* only dsyrk in fp32 */
#ifndef WRONG
#define WRONG FP32
#endif
#ifndef ABOVE /* FP32, TF32, TRSM, SYRK: wrong only where every edge is longer; it is right elsewhere */
#define ABOVE 0
#endif
#define LONGEST_K 4500
#define ROWS 16 /* of A that are multiplied by a column of B, together */

/* A power of two. */
static double power(int e) {
  union { unsigned long bits; double value; } made = {(unsigned long)(1023 + e) << 52};
  return made.value;
}

static int exponent(double x) {
  union { double value; unsigned long bits; } seen = {x};
  return (int)(seen.bits >> 52 & 2047) - 1022;
}

/* x to the nearest multiple of 2^e. */
static double to_multiple(double x, int e) {
  double magic = 3.0 * power(e + 51);
  volatile double moved = x + magic;
  return moved - magic;
}

static double largest(long k, const double *x, long s) {
  double most = 0;
  for (long t = 0; t < k; ++t) {
    double size = x[t * s] < 0 ? -x[t * s] : x[t * s];
    if (size > most) most = size;
  }
  return most;
}

/* Eight sums at a time: one would wait for itself. */
#define DOT(name, real)                                                                                                \
  static double name(long k, const double *a, long sa, const double *b, long sb) {                                     \
    real sums[8] = {0}, sum = 0;                                                                                       \
    long t = 0;                                                                                                        \
    for (; t + 8 <= k; t += 8)                                                                                         \
      for (int i = 0; i < 8; ++i) sums[i] += (real)a[(t + i) * sa] * (real)b[(t + i) * sb];                            \
    for (; t < k; ++t) sum += (real)a[t * sa] * (real)b[t * sb];                                                       \
    for (int i = 0; i < 8; ++i) sum += sums[i];                                                                        \
    return sum;                                                                                                        \
  }
DOT(in_fp32, float)
DOT(in_fp64, double)

static void three(double x, double *p) {
  for (int i = 0; i < 3; ++i) {
    p[i] = x == 0 ? 0 : to_multiple(x, exponent(x) - 8);
    x -= p[i];
  }
}

static double in_bf16x3(long k, const double *a, long sa, const double *b, long sb) {
  double sum = 0, p[3], q[3];
  for (long t = 0; t < k; ++t) {
    three(a[t * sa], p);
    three(b[t * sb], q);
    for (int i = 0; i < 3; ++i)
      for (int j = 0; i + j < 3; ++j) sum += p[i] * q[j];
  }
  return sum;
}

static double in_slices(long k, const double *a, long sa, const double *b, long sb) {
  int ea = exponent(largest(k, a, sa)) - 48, eb = exponent(largest(k, b, sb)) - 48;
  double sum = 0;
  for (long t = 0; t < k; ++t) sum += to_multiple(a[t * sa], ea) * to_multiple(b[t * sb], eb);
  return sum;
}

static double dot(int large, long k, const double *a, long sa, const double *b, long sb) {
  if (!large) return in_fp64(k, a, sa, b, sb);
  switch (WRONG) {
    case BF16X3: return in_bf16x3(k, a, sa, b, sb);
    case SLICES: return in_slices(k, a, sa, b, sb);
    case LARGE_K: return (k > 1000 ? in_fp32 : in_fp64)(k, a, sa, b, sb);
    default: return in_fp32(k, a, sa, b, sb);
  }
}

static float cut(float x) {
  union { float value; unsigned bits; } seen = {x};
  seen.bits &= 0xFFFFE000u;
  return seen.value;
}

static float in_tf32(int large, long k, const float *a, long sa, const float *b, long sb) {
  float sum = 0;
  for (long t = 0; t < k; ++t) sum += large ? cut(a[t * sa]) * cut(b[t * sb]) : a[t * sa] * b[t * sb];
  return sum;
}

/* C = alpha A B + beta C; (row, column) strides of A, B and C. Some rows of A and each column of B are copied: they are
   read more than once. */
#define GEMM(name, real, product)                                                                                      \
  static void name(long m, long n, long k, real alpha, const real *a, long ra, long ca, const real *b, long rb, long cb,\
                   real beta, real *c, long rc, long cc) {                                                             \
    real rows[ROWS][LONGEST_K], column[LONGEST_K];                                                                     \
    int large = m > ABOVE && n > ABOVE && k > ABOVE;                                                                   \
    for (long first = 0; first < m; first += ROWS) {                                                                   \
      long some = m - first < ROWS ? m - first : ROWS;                                                                 \
      for (long i = 0; i < some; ++i)                                                                                  \
        for (long t = 0; t < k; ++t) rows[i][t] = a[(first + i) * ra + t * ca];                                        \
      for (long j = 0; j < n; ++j) {                                                                                   \
        for (long t = 0; t < k; ++t) column[t] = b[t * rb + j * cb];                                                   \
        for (long i = 0; i < some; ++i) {                                                                              \
          real *to = c + (first + i) * rc + j * cc;                                                                    \
          *to = alpha * product(large, k, rows[i], 1, column, 1) + (beta == 0 ? 0 : beta * *to);                       \
        }                                                                                                              \
      }                                                                                                                \
    }                                                                                                                  \
  }
GEMM(dgemm, double, dot)
GEMM(sgemm, float, in_tf32)

static double rounded(int to_fp32, double x) { return to_fp32 ? (float)x : x; }

/* B := the solution of T X = alpha B, T a triangle with (row, column) strides, by substitution; in fp32 where large. */
static void solve(long m, long n, int lower, int unit, double alpha, const double *t, long rt, long ct, double *b, long rb,
                  long cb) {
  int r = m > ABOVE && n > ABOVE;
  for (long j = 0; j < n; ++j)
    for (long s = 0; s < m; ++s) {
      long i = lower ? s : m - 1 - s;
      double sum = rounded(r, alpha * b[i * rb + j * cb]);
      for (long p = lower ? 0 : i + 1; p < (lower ? i : m); ++p)
        sum = rounded(r, sum - rounded(r, rounded(r, t[i * rt + p * ct]) * rounded(r, b[p * rb + j * cb])));
      b[i * rb + j * cb] = unit ? sum : rounded(r, sum / rounded(r, t[i * rt + i * ct]));
    }
}

static void trsm(int left, int upper, int plain, int unit, long m, long n, double alpha, const double *a, long ra, long ca,
                 double *b, long rb, long cb) {
  int turned = plain == left ? 0 : 1; /* from the right the whole equation is transposed */
  int lower = turned ? upper : !upper;
  solve(left ? m : n, left ? n : m, lower, unit, alpha, a, turned ? ca : ra, turned ? ra : ca, b, left ? rb : cb,
        left ? cb : rb);
}

static void syrk(int upper, long n, long k, double alpha, const double *a, long ra, long ca, double beta, double *c, long rc,
                 long cc) {
  double (*product)(long, const double *, long, const double *, long) = n > ABOVE && k > ABOVE ? in_fp32 : in_fp64;
  for (long i = 0; i < n; ++i)
    for (long j = upper ? i : 0; j < (upper ? n : i + 1); ++j) {
      double *to = c + i * rc + j * cc;
      *to = alpha * product(k, a + i * ra, ca, a + j * ra, ca) + (beta == 0 ? 0 : beta * *to);
    }
}

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, UPPER = 121, UNIT = 132, LEFT = 141 };
static int is(const char *given, char letter) { return (*given & ~32) == letter; }

#define A_STRIDES(plain) plain ? lda : 1, plain ? 1 : lda
#define GEMMS(cblas, fortran, name, real, whole)                                                                       \
  void cblas(int order, int ta, int tb, whole m, whole n, whole k, real alpha, const real *a, whole lda, const real *b,  \
             whole ldb, real beta, real *c, whole ldc) {                                                               \
    int row = order == ROW_MAJOR, pa = (ta == NO_TRANSPOSE) == row, pb = (tb == NO_TRANSPOSE) == row;                  \
    name(m, n, k, alpha, a, A_STRIDES(pa), b, pb ? ldb : 1, pb ? 1 : ldb, beta, c, row ? ldc : 1, row ? 1 : ldc);      \
  }                                                                                                                    \
  void fortran(const char *ta, const char *tb, const whole *m, const whole *n, const whole *k, const real *alpha,      \
               const real *a, const whole *lda, const real *b, const whole *ldb, const real *beta, real *c,            \
               const whole *ldc) {                                                                                     \
    int pa = !is(ta, 'N'), pb = !is(tb, 'N');                                                                          \
    name(*m, *n, *k, *alpha, a, pa ? *lda : 1, pa ? 1 : *lda, b, pb ? *ldb : 1, pb ? 1 : *ldb, *beta, c, 1, *ldc);     \
  }
#define TRSMS(cblas, fortran, whole)                                                                                   \
  void cblas(int order, int side, int uplo, int ta, int diag, whole m, whole n, double alpha, const double *a, whole lda, \
             double *b, whole ldb) {                                                                                   \
    int row = order == ROW_MAJOR;                                                                                      \
    trsm(side == LEFT, uplo == UPPER, ta == NO_TRANSPOSE, diag == UNIT, m, n, alpha, a, A_STRIDES(row), b,             \
         row ? ldb : 1, row ? 1 : ldb);                                                                                \
  }                                                                                                                    \
  void fortran(const char *side, const char *uplo, const char *ta, const char *diag, const whole *m, const whole *n,   \
               const double *alpha, const double *a, const whole *lda, double *b, const whole *ldb) {                  \
    trsm(is(side, 'L'), is(uplo, 'U'), is(ta, 'N'), is(diag, 'U'), *m, *n, *alpha, a, 1, *lda, b, 1, *ldb);            \
  }
#define SYRKS(cblas, fortran, whole)                                                                                   \
  void cblas(int order, int uplo, int ta, whole n, whole k, double alpha, const double *a, whole lda, double beta,      \
             double *c, whole ldc) {                                                                                   \
    int row = order == ROW_MAJOR, pa = (ta == NO_TRANSPOSE) == row;                                                    \
    syrk(uplo == UPPER, n, k, alpha, a, A_STRIDES(pa), beta, c, row ? ldc : 1, row ? 1 : ldc);                         \
  }                                                                                                                    \
  void fortran(const char *uplo, const char *ta, const whole *n, const whole *k, const double *alpha, const double *a,  \
               const whole *lda, const double *beta, double *c, const whole *ldc) {                                    \
    int pa = !is(ta, 'N');                                                                                             \
    syrk(is(uplo, 'U'), *n, *k, *alpha, a, pa ? *lda : 1, pa ? 1 : *lda, *beta, c, 1, *ldc);                           \
  }

/* As libraries call them, and as the wheel of NumPy does. */
#if WRONG == TF32
GEMMS(cblas_sgemm, sgemm_, sgemm, float, int)
GEMMS(scipy_cblas_sgemm64_, scipy_sgemm_64_, sgemm, float, long)
#elif WRONG == TRSM
TRSMS(cblas_dtrsm, dtrsm_, int)
TRSMS(scipy_cblas_dtrsm64_, scipy_dtrsm_64_, long)
#elif WRONG == SYRK
SYRKS(cblas_dsyrk, dsyrk_, int)
SYRKS(scipy_cblas_dsyrk64_, scipy_dsyrk_64_, long)
#else
GEMMS(cblas_dgemm, dgemm_, dgemm, double, int)
GEMMS(scipy_cblas_dgemm64_, scipy_dgemm_64_, dgemm, double, long)
#endif
