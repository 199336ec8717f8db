/* The machine's peak of f32 multiply-adds on one thread: GFLOP/s, the best of
 * some short runs, printed. Twelve independent chains hide the latency. */
#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
#define BYTES 64
#else
#define BYTES 32
#endif
#define LANES (BYTES / 4)
#define CHAINS 12
typedef float vector __attribute__((vector_size(BYTES)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float multiply_adds(long count) {
  vector sum[CHAINS], factor, term;
  for (int lane = 0; lane < LANES; ++lane) {
    factor[lane] = 0.999f;
    term[lane] = 0.001f;
  }
  for (int i = 0; i < CHAINS; ++i)
    sum[i] = factor * (float)i;
  for (long k = 0; k < count; ++k) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; ++i)
      sum[i] = sum[i] * factor + term;
    __asm__ volatile("" : "+v"(factor), "+v"(term)); /* keep every iteration */
  }
  float result = 0;
  for (int i = 0; i < CHAINS; ++i)
    for (int lane = 0; lane < LANES; ++lane)
      result += sum[i][lane];
  return result;
}

int main(void) {
  const long count = 2000000;
  double best = 1e30;
  for (int run = 0; run < 20; ++run) {
    double start = now();
    volatile float result = multiply_adds(count);
    (void)result;
    double seconds = now() - start;
    if (seconds < best)
      best = seconds;
  }
  printf("%.2f\n", 2.0 * LANES * CHAINS * (double)count / best / 1e9);
  return 0;
}
