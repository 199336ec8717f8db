// Two models in one C++ program: a shared library and a static one.
//
//   nacre compile digits.onnx -o digits.so
//   nacre compile letters.onnx --emit static-library -o letters.a
//   c++ -std=c++20 main.cpp digits.so letters.a -o main && ./main
//
// Each has its own header and its own copy of Nacre's runtime, which nobody else sees.
#include "digits.h"
#include "letters.h"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

struct Delete {
  void operator()(digits *model) const { digits_destroy(model); }
  void operator()(letters *model) const { letters_destroy(model); }
};

// Throws what the model says went wrong.
void check(bool good, const char *(*lastError)()) {
  if (!good)
    throw std::runtime_error(lastError());
}

} // namespace

int main() try {
  std::unique_ptr<digits, Delete> first(digits_create(2));
  check(first != nullptr, digits_last_error);
  std::unique_ptr<letters, Delete> second(letters_create(1));
  check(second != nullptr, letters_last_error);

  std::vector<float> data(2 * 64, 0.5f), logits(2 * 10), scores(2 * 26);
  digits_run_args one = {.N = 2, .data = data.data(), .logits = logits.data()};
  check(digits_run(first.get(), &one) == 0, digits_last_error);
  letters_run_args other = {.N = 2, .data = data.data(), .logits = scores.data()};
  check(letters_run(second.get(), &other) == 0, letters_last_error);
  std::printf("digits %.4f, letters %.4f\n", logits[9], scores[25]);
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
