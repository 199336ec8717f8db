/* A model that is trained in a C program, without a compiler. Two steps, and nothing else
 * to build:
 *
 *   nacre compile digits.onnx --train softmax-cross-entropy --optimizer adam -o digits.so
 *   cc train.c digits.so -o train && ./train
 *
 * digits.onnx is a classifier of 8 x 8 grey images: f32[N, 64] to f32[N, 10]. The images
 * are made here: noise, and a bright row and column for each class. */
#include "digits.h"

#include <stdio.h>

enum { batch = 64, pixels = 64, classes = 10 };

static unsigned state = 1;
static float noise(void) { return (float)((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24); }

static void draw(float *data, int64_t *labels) {
  for (int i = 0; i < batch; ++i) {
    int label = (int)(noise() * classes);
    labels[i] = label;
    for (int p = 0; p < pixels; ++p)
      data[i * pixels + p] = noise() + (p / 8 == label % 8 || p % 8 == label / 2);
  }
}

static int complain(const char *what) {
  fprintf(stderr, "%s: %s\n", what, digits_last_error());
  return 1;
}

int main(void) {
  static float data[batch * pixels], logits[batch * classes];
  static int64_t labels[batch];
  float loss = 0, before = 0;
  digits *model = digits_create(0); /* threads; 0: on all cores */
  if (!model)
    return complain("create");

  /* 1. Training: each step updates the model's parameters. */
  for (int step = 0; step < 200; ++step) {
    const float rate = 3e-3f;
    draw(data, labels);
    digits_step_args args = {.N = batch, .data = data, .labels = labels, .learning_rate = &rate, .loss = &loss};
    if (digits_step(model, &args) != 0)
      return complain("step");
    if (step == 0 || step == 199)
      printf("step %d: loss %.3f\n", step + 1, loss);
  }

  /* 2. The parameters and the optimizer's state into a file, and into another model. */
  draw(data, labels);
  digits_evaluate_args measured = {.N = batch, .data = data, .labels = labels, .loss = &before};
  if (digits_evaluate(model, &measured) != 0)
    return complain("evaluate");
  if (digits_save(model, "digits.safetensors") != 0)
    return complain("save");
  digits *other = digits_create(1);
  if (!other || digits_load(other, "digits.safetensors") != 0)
    return complain("load");
  measured.loss = &loss;
  if (digits_evaluate(other, &measured) != 0)
    return complain("evaluate");
  printf("loss %.3f before, %.3f after\n", before, loss);

  /* 3. Prediction. */
  digits_run_args run = {.N = batch, .data = data, .logits = logits};
  if (digits_run(other, &run) != 0)
    return complain("run");
  int right = 0;
  for (int i = 0; i < batch; ++i) {
    int best = 0;
    for (int c = 1; c < classes; ++c)
      if (logits[i * classes + c] > logits[i * classes + best])
        best = c;
    right += best == labels[i];
  }
  printf("%d of %d right\n", right, batch);

  /* What is no checkpoint fails with a sentence. */
  if (digits_load(other, "train.c") != 0)
    printf("%s\n", digits_last_error());
  digits_destroy(other);
  digits_destroy(model);
  return before == loss ? 0 : 1;
}
