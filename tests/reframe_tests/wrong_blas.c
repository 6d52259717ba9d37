/* A deliberately wrong BLAS, to be preloaded: its dgemm computes in fp32. Whatever else is asked goes to the right one.
 *
 *   cc -O2 -shared -fPIC -nostdlib -ffreestanding -o wrong_blas.so wrong_blas.c
 *
 * It needs no library of its own, so that one built on the host loads inside any image of the same architecture. */

static double in_fp32(long k, const double *a, long sa, const double *b, long sb) {
  float sum = 0.0f;
  for (long t = 0; t < k; ++t) sum += (float)a[t * sa] * (float)b[t * sb];
  return sum;
}

/* C = alpha A B + beta C; (row, column) strides of A, B and C. */
static void gemm(long m, long n, long k, double alpha, const double *a, long ra, long ca, const double *b, long rb, long cb,
                 double beta, double *c, long rc, long cc) {
  for (long i = 0; i < m; ++i)
    for (long j = 0; j < n; ++j) {
      double *to = c + i * rc + j * cc;
      *to = alpha * in_fp32(k, a + i * ra, ca, b + j * cb, rb) + (beta == 0.0 ? 0.0 : beta * *to);
    }
}

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111 };

void cblas_dgemm(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a, int lda, const double *b,
                 int ldb, double beta, double *c, int ldc) {
  int row = order == ROW_MAJOR, plain_a = (ta == NO_TRANSPOSE) == row, plain_b = (tb == NO_TRANSPOSE) == row;
  gemm(m, n, k, alpha, a, plain_a ? lda : 1, plain_a ? 1 : lda, b, plain_b ? ldb : 1, plain_b ? 1 : ldb, beta, c,
       row ? ldc : 1, row ? 1 : ldc);
}

void dgemm_(const char *ta, const char *tb, const int *m, const int *n, const int *k, const double *alpha, const double *a,
            const int *lda, const double *b, const int *ldb, const double *beta, double *c, const int *ldc) {
  int plain_a = *ta == 'N' || *ta == 'n', plain_b = *tb == 'N' || *tb == 'n';
  gemm(*m, *n, *k, *alpha, a, plain_a ? 1 : *lda, plain_a ? *lda : 1, b, plain_b ? 1 : *ldb, plain_b ? *ldb : 1, *beta, c,
       1, *ldc);
}
