// The time that an input may take of the processor. libFuzzer's own limit is the wall's, which
// other work on the machine uses up as well: it is for what never ends.
#ifndef NACRE_TEST_FUZZ_BUDGET_H
#define NACRE_TEST_FUZZ_BUDGET_H

#include <cstdio>
#include <cstdlib>
#include <ctime>

struct Budget {
  static constexpr double kSeconds = 10; // many times what it takes without sanitizers
  std::clock_t start = std::clock();
  ~Budget() {
    double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
    if (seconds > kSeconds) {
      std::fprintf(stderr, "ERROR: the input took %.1f s of the processor, expected %.0f s at most\n", seconds, kSeconds);
      std::abort();
    }
  }
};

#endif // NACRE_TEST_FUZZ_BUDGET_H
