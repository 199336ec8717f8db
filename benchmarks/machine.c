/* What this machine reaches now: `machine THREADS [BYTES...]` prints GFLOP/s of f32 multiply-adds, and for each
 * number of bytes GB/s of reading that many, again and again, on each thread. All threads begin together; a figure
 * is the sum of what they do in the best of some short runs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __AVX512F__
#define VECTOR_BYTES 64
#else
#define VECTOR_BYTES 32
#endif
#define LANES (VECTOR_BYTES / 4)
#define CHAINS 12 /* independent ones hide the latency */
#define RUNS 20
typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

static pthread_barrier_t barrier;
static long bytes; /* to read; 0: multiply */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double multiply_adds(long count) {
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
  for (int i = 0; i < CHAINS; ++i)
    __asm__ volatile("" : : "v"(sum[i]));
  return 2.0 * LANES * CHAINS * (double)count;
}

static double read_all(const vector *data, long times) {
  vector sum[8];
  memset(sum, 0, sizeof sum);
  for (long k = 0; k < times; ++k) {
    for (long i = 0; i + 8 <= bytes / VECTOR_BYTES; i += 8)
#pragma clang loop unroll(full)
      for (int j = 0; j < 8; ++j)
        sum[j] += data[i + j];
    __asm__ volatile("" : : : "memory");
  }
  for (int j = 0; j < 8; ++j)
    __asm__ volatile("" : : "v"(sum[j]));
  return (double)times * (double)bytes;
}

/* The best rate of a thread, in units of 10^9 a second. */
static void *work(void *result) {
  vector *data = NULL;
  if (bytes) {
    if (posix_memalign((void **)&data, 4096, (size_t)bytes))
      abort();
    memset(data, 1, (size_t)bytes);
    read_all(data, 1);
  }
  double best = 0;
  for (int run = 0; run < RUNS; ++run) {
    pthread_barrier_wait(&barrier);
    double start = now();
    double done = bytes ? read_all(data, 1 + 100000000 / bytes) : multiply_adds(2000000);
    double rate = done / (now() - start) / 1e9;
    if (rate > best)
      best = rate;
  }
  free(data);
  *(double *)result = best;
  return NULL;
}

static double sum_of_threads(int threads) {
  pthread_t ids[threads];
  double rates[threads], sum = 0;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; ++i)
    pthread_create(&ids[i], NULL, work, &rates[i]);
  for (int i = 0; i < threads; ++i) {
    pthread_join(ids[i], NULL);
    sum += rates[i];
  }
  pthread_barrier_destroy(&barrier);
  return sum;
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1)
    return 2;
  printf("%.2f\n", sum_of_threads(threads));
  for (int i = 2; i < count; ++i) {
    bytes = atol(arguments[i]);
    if (bytes < 8 * VECTOR_BYTES)
      return 2;
    printf("%.2f\n", sum_of_threads(threads));
  }
  return 0;
}
