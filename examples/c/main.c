/* A model in a C program. Two steps, and nothing else to build:
 *
 *   nacre compile digits.onnx -o digits.so       (writes digits.h, too)
 *   cc main.c digits.so -o main && ./main
 *
 * digits.onnx is a classifier of 8 x 8 grey images: f32[N, 64] to f32[N, 10]. The
 * names below come from the file's name and from the model's inputs and outputs,
 * which digits.h lists. */
#include "digits.h"

#include <stdio.h>

enum { images = 3, pixels = 64, classes = 10 };

int main(void) {
  static float data[images * pixels], logits[images * classes];
  for (int i = 0; i < images * pixels; ++i)
    data[i] = (float)(i * 7 % 17);

  digits *model = digits_create(0); /* threads; 0: on all cores */
  digits_run_args args = {.N = images, .data = data, .logits = logits};
  if (!model || digits_run(model, &args) != 0) {
    fprintf(stderr, "%s\n", digits_last_error());
    return 1;
  }
  for (int i = 0; i < images; ++i) {
    int best = 0;
    for (int c = 1; c < classes; ++c)
      if (logits[i * classes + c] > logits[i * classes + best])
        best = c;
    printf("image %d: class %d (%.4f)\n", i, best, logits[i * classes + best]);
  }

  /* A call that is wrong fails with a sentence. */
  args.N = -1;
  if (digits_run(model, &args) != 0)
    printf("N = -1: %s\n", digits_last_error());
  digits_destroy(model);
  return 0;
}
