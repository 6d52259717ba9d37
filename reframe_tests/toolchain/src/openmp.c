#include <omp.h>
#include <stdio.h>

int main(void) {
  int sum = 0, threads = 0;
  omp_set_dynamic(0);
#pragma omp parallel num_threads(2) reduction(+ : sum)
  {
#pragma omp single
    threads = omp_get_num_threads();
#pragma omp for
    for (int i = 1; i <= 100; ++i) sum += i;
  }
  printf("hello OpenMP %d %d\n", sum, threads);
  return 0;
}
