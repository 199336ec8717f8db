/* The compiler's C API from a plain C program: c_compiler_test FOLDER. */
#include "compiler/api/nacre_compiler.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;
#define EXPECT(condition)                                                      \
  do {                                                                         \
    if (!(condition)) {                                                        \
      printf("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,               \
             nacre_compile_last_error());                                      \
      ++failures;                                                              \
    }                                                                          \
  } while (0)

static const char model_text[] =
    "func.func @main(%x: tensor<?x4xf32> {nn.name = \"x\", nn.symbols = [\"N\", \"\"]})"
    " -> (tensor<?x4xf32> {nn.name = \"y\"}) {\n"
    "  %0 = nn.relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>\n"
    "  return %0 : tensor<?x4xf32>\n"
    "}\n";

static void run(nacre_model *model) {
  nacre_session *session = NULL;
  float values[4] = {-1, 2, -3, 4};
  nacre_tensor x = {0}, y = {0};
  x.data = values;
  x.dtype = NACRE_F32;
  x.rank = 2;
  x.dims[0] = 1;
  x.dims[1] = 4;
  EXPECT(nacre_session_create(model, NULL, &session) == NACRE_OK);
  EXPECT(nacre_session_run(session, 0, &x, 1, &y, 1) == NACRE_OK);
  EXPECT(y.data && ((float *)y.data)[0] == 0 && ((float *)y.data)[3] == 4);
  nacre_tensor_release(&y);
  nacre_session_destroy(session);
}

static int32_t count_phases(void *data, const char *phase, int32_t number,
                            int32_t count) {
  ++*(int *)data;
  EXPECT(phase && *phase && number >= 1 && number <= count);
  return 0;
}
static int32_t refuse(void *data, const char *phase, int32_t number,
                      int32_t count) {
  (void)data, (void)phase, (void)count;
  return number == 2;
}


/* Lines of the log that say what is looked for. */
struct lines {
  int all, phases, results;
};
static void count_lines(void *data, const char *line) {
  struct lines *lines = data;
  ++lines->all;
  lines->phases += strstr(line, "import: ") != NULL;
  lines->results += strstr(line, "/kinds") != NULL;
}

/* The length of a file that begins with `start`, -1 of none. */
static long check_file(const char *folder, const char *name, const char *start) {
  char path[1000], text[100] = "";
  long size;
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  file = fopen(path, "rb");
  if (!file)
    return -1;
  if (fread(text, 1, sizeof text - 1, file) == 0 || strncmp(text, start, strlen(start)) != 0)
    printf("%s begins with: %s\n", path, text);
  fseek(file, 0, SEEK_END);
  size = strncmp(text, start, strlen(start)) == 0 ? ftell(file) : -1;
  fclose(file);
  remove(path);
  return size;
}

/* What else there is to ask for: kinds of files, the machine, the log. */
static void test_files(const char *folder, const char *path) {
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  const nacre_emit kinds[] = {NACRE_EMIT_EXECUTABLE, NACRE_EMIT_HEADER, NACRE_EMIT_ASSEMBLY, NACRE_EMIT_MLIR};
  const nacre_emit object[] = {NACRE_EMIT_OBJECT}, twice[] = {NACRE_EMIT_MLIR, NACRE_EMIT_MLIR};
  const int unknown[] = {NACRE_EMIT_SHARED, 8};
  struct lines lines = {0, 0, 0};
  unsigned char head[20];
  char target[1000];
  FILE *file;
  options.cache_dir = "";
  options.emit = kinds;
  options.emit_count = 4;
  options.log = count_lines;
  options.log_data = &lines;
  snprintf(target, sizeof target, "%s/kinds", folder);
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_OK);
  EXPECT(check_file(folder, "kinds", "\177ELF") > 10000);
  EXPECT(check_file(folder, "kinds.h", "/* Made by nacre compile") > 100);
  EXPECT(check_file(folder, "kinds.s", "") > 100);
  EXPECT(check_file(folder, "kinds.mlir", "") > 100);
  EXPECT(check_file(folder, "kinds.so", "") == -1);
  EXPECT(lines.all > 5 && lines.phases > 0 && lines.results == 4);

  /* For another machine: byte 18 of an object says which. */
  options.log = NULL;
  options.emit = object;
  options.emit_count = 1;
  options.target_triple = "aarch64-linux-gnu";
  snprintf(target, sizeof target, "%s/arm.o", folder);
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_OK);
  file = fopen(target, "rb");
  EXPECT(file && fread(head, 1, sizeof head, file) == sizeof head && head[18] == 183); /* EM_AARCH64 */
  if (file)
    fclose(file);
  EXPECT(check_file(folder, "arm.o", "\177ELF") > 100);
  EXPECT(check_file(folder, "arm.h", "/* Made by nacre compile") > 100);
  options.target_triple = "no-such-machine";
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "no-such-machine"));
  options.target_triple = NULL;

  options.emit = twice;
  options.emit_count = 2;
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "'mlir' is asked for twice"));
  options.emit = (const nacre_emit *)(const void *)unknown;
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "emit[1] is 8"));
  options.emit = NULL;
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_INVALID_ARGUMENT);
  options.emit_count = 0;
  options.cache_bytes = -1;
  EXPECT(nacre_compile_to_file(path, target, &options) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "cache_bytes is -1"));
}

/* Callers built with older headers: what is behind their struct is not looked at. */
static void test_older_callers(const char *path) {
  const size_t sizes[] = {offsetof(nacre_compile_options, cache_dir), offsetof(nacre_compile_options, emit),
                          offsetof(nacre_compile_options, memory_budget), offsetof(nacre_compile_options, tune), sizeof(nacre_compile_options)};
  nacre_model *model = NULL;
  size_t i;
  for (i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
    memset((char *)&options + sizes[i], 0xa5, sizeof options - sizes[i]);
    options.struct_size = sizes[i];
    EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
    run(model);
    nacre_model_release(model);
    options.target_cpu = "no-such-cpu"; /* a field that all of them have */
    EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  }
}

/* Faster code for given sizes, beside that for all. */
static void test_specialize(const char *path) {
  const int64_t sizes[2] = {1, 8}, none[1] = {-1};
  nacre_sizes_option asked = {"N", 2, sizes};
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  nacre_model *model = NULL;
  nacre_model_info info;
  int32_t i, found = 0;
  options.cache_dir = "";
  options.specialize = &asked;
  options.specialize_count = 1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
  run(model);
  EXPECT(nacre_model_get_info(model, &info) == NACRE_OK && info.function_count == 1);
  EXPECT(strstr(info.provenance, "\"specialize\":{\"N\":[1,8]}"));
  for (i = 0; i < info.kernel_count; ++i) {
    nacre_kernel_info kernel;
    EXPECT(nacre_model_get_kernel(model, i, &kernel) == NACRE_OK);
    found += strstr(kernel.name, ".N_1") != NULL || strstr(kernel.name, ".N_8") != NULL;
  }
  EXPECT(found == 2 && info.kernel_count == 3);
  nacre_model_release(model);
  asked.sizes = none;
  asked.count = 1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "malformed size"));
  asked.name = "M";
  asked.sizes = sizes;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "no open dimension of an input has that name; expected 'N'"));
  asked.sizes = NULL;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "specialize[0]"));
}

/* Tuning without measuring, and decisions that are none about the model. */
static void test_tuning(const char *path) {
  nacre_dim_option size = {"N", 4};
  nacre_tune_option tune = {0, 2, 1, &size};
  nacre_decision_option decision = {"tiles.0", "1x1"};
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  nacre_model *model = NULL;
  nacre_model_info info;
  options.cache_dir = "";
  options.tune = &tune;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
  run(model);
  EXPECT(nacre_model_get_info(model, &info) == NACRE_OK && strstr(info.provenance, "\"tuning\":{\"decisions\":{}}"));
  nacre_model_release(model);
  size.name = "M";
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "no open dimension of an input has that name"));
  tune.seconds = -1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  tune.sizes = NULL;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "tune->sizes"));
  options.tune = NULL;
  options.decisions = &decision;
  options.decision_count = 1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "no kernel of the model can be decided 'tiles.0=1x1'"));
  decision.choice = NULL;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "decisions[0]"));
}

static const char trained_text[] =
    "nn.parameter trainable @w = dense<1.0> : tensor<4xf32>\n"
    "func.func @main(%x: tensor<?x4xf32> {nn.name = \"x\", nn.symbols = [\"N\", \"\"]})"
    " -> (tensor<?x4xf32> {nn.name = \"y\"}) {\n"
    "  %w = nn.get_parameter @w : tensor<4xf32>\n"
    "  %y = nn.mul %x, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>\n"
    "  return %y : tensor<?x4xf32>\n"
    "}\n";

/* A training step: every option reaches it. */
static void test_training(const char *folder) {
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  nacre_model *model = NULL;
  nacre_session *session = NULL;
  char path[1000];
  int32_t step = -1, i, found = 0;
  nacre_model_info info;
  float values[4] = {1, -1, 2, -2}, goal[4] = {0, 0, 0, 0}, rate = 1, loss = 0, norm = 0;
  nacre_tensor inputs[3] = {{0}}, output = {0};
  const int64_t batch[2] = {100, 4};
  nacre_shape_option shapes[2] = {{"x", 2, batch}, {"targets", 2, batch}};
  FILE *file;
  snprintf(path, sizeof path, "%s/c_train_test.mlir", folder);
  file = fopen(path, "w");
  if (!file || fputs(trained_text, file) < 0 || fclose(file))
    return;
  options.cache_dir = "";
  options.loss = "mse:reduction=sum";
  options.optimizer = "sgd:momentum=0.5";
  options.groups = "*:lr_factor=2";
  options.clip_norm = 0.25;
  options.average = 0.5;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
  EXPECT(nacre_model_find_function(model, "step", &step) == NACRE_OK);
  EXPECT(nacre_session_create(model, NULL, &session) == NACRE_OK);
  for (i = 0; i < 2; ++i) {
    inputs[i].data = i == 0 ? values : goal;
    inputs[i].dtype = NACRE_F32;
    inputs[i].rank = 2;
    inputs[i].dims[0] = 1;
    inputs[i].dims[1] = 4;
  }
  inputs[2].data = &rate;
  inputs[2].dtype = NACRE_F32;
  output.data = &loss;
  output.size = sizeof loss;
  EXPECT(nacre_session_run(session, step, inputs, 3, &output, 1) == NACRE_OK);
  EXPECT(loss == 10); /* 1 + 1 + 4 + 4 */
  EXPECT(nacre_model_get_info(model, &info) == NACRE_OK);
  for (i = 0; i < info.parameter_count; ++i) {
    nacre_tensor_info parameter;
    float value[4] = {0};
    int k;
    EXPECT(nacre_model_get_parameter(model, i, &parameter) == NACRE_OK);
    found += strcmp(parameter.name, "w.momentum") == 0 || strcmp(parameter.name, "w.average") == 0;
    if (strcmp(parameter.name, "w") != 0)
      continue;
    EXPECT(nacre_session_read_parameter(session, i, value, sizeof value) == NACRE_OK);
    for (k = 0; k < 4; ++k)
      norm += (1 - value[k]) * (1 - value[k]);
  }
  EXPECT(norm > 0.2499 && norm < 0.2501); /* (2 * 0.25)^2 */
  EXPECT(found == 2);
  nacre_session_destroy(session);
  nacre_model_release(model);

  values[1] = strtof("nan", NULL);
  options.detect_anomaly = 1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
  EXPECT(nacre_model_find_function(model, "step", &step) == NACRE_OK);
  EXPECT(nacre_session_create(model, NULL, &session) == NACRE_OK);
  EXPECT(nacre_session_run(session, step, inputs, 3, &output, 1) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_last_error(), "the input 'x' has a NaN"));
  nacre_session_destroy(session);
  nacre_model_release(model);
  options.detect_anomaly = 0;

  options.optimizer = "adem";
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "unknown optimizer 'adem', expected sgd"));
  options.optimizer = NULL;
  options.clip_norm = -1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "expected clip-norm"));
  options.clip_norm = 0;
  options.precision = "f8";
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "unknown precision 'f8', expected f32, bf16 or f16"));
  options.precision = "bf16"; /* of products, which this model has none of */
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "there is nothing to compute in bf16"));
  options.precision = NULL;

  /* A budget, which needs the sizes that the model leaves open. */
  options.memory_budget = 1000000;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "which the model leaves open"));
  options.open_size = 1000000;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "MB of memory at least, and the budget is 1.00 MB"));
  options.batch_shapes = shapes;
  options.batch_shape_count = 2;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_OK);
  nacre_model_release(model);
  shapes[1].dims = NULL;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "batch_shapes[1]: a count of 2 entries, and the list is NULL"));
  options.batch_shape_count = 0;
  options.memory_budget = -1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "memory_budget or open_size is less than 0"));
  remove(path);
}

int main(int argc, char **argv) {
  char path[1000], artifact[1000];
  nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
  nacre_model *model = NULL;
  nacre_compile_task *task = NULL;
  nacre_compile_state state;
  int32_t done = 0;
  int phases = 0;
  FILE *file;
  if (argc != 2)
    return 2;
  snprintf(path, sizeof path, "%s/c_compiler_test.mlir", argv[1]);
  snprintf(artifact, sizeof artifact, "%s/c_compiler_test.so", argv[1]);
  file = fopen(path, "w");
  if (!file || fputs(model_text, file) < 0 || fclose(file))
    return 2;
  remove(artifact);

  EXPECT(nacre_compile(path, NULL, &model) == NACRE_OK);
  run(model);
  nacre_model_release(model);

  options.progress = count_phases;
  options.progress_data = &phases;
  EXPECT(nacre_compile_to_file(path, artifact, &options) == NACRE_OK);
  EXPECT(phases >= 5);
  EXPECT(nacre_model_load(artifact, &model) == NACRE_OK);
  run(model);
  nacre_model_release(model);

  EXPECT(nacre_compile_start(path, &options, &task) == NACRE_OK);
  EXPECT(nacre_compile_task_wait(task, -1, &done) == NACRE_OK && done);
  EXPECT(nacre_compile_task_poll(task, &state) == NACRE_OK && state.done);
  EXPECT(state.phase == state.phase_count && strcmp(state.phase_name, "artifact") == 0);
  EXPECT(nacre_compile_task_status(task) == NACRE_OK);
  EXPECT(nacre_compile_task_take(task, &model) == NACRE_OK);
  run(model);
  nacre_model_release(model);
  EXPECT(nacre_compile_task_take(task, &model) == NACRE_INVALID_ARGUMENT && !model);
  nacre_compile_task_destroy(task);

  options.progress = refuse;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_CANCELLED && !model);
  options.progress = NULL;
  EXPECT(nacre_compile_start_to_file(path, artifact, &options, &task) == NACRE_OK);
  EXPECT(nacre_compile_task_cancel(task) == NACRE_OK);
  nacre_compile_task_destroy(task);

  /* Errors: whole in this API's text, and in the runtime's. */
  EXPECT(nacre_compile_bytes("no model", 8, NULL, &model) == NACRE_INVALID_VALUE && !model);
  EXPECT(*nacre_compile_last_error());
  EXPECT(strncmp(nacre_compile_last_error(), nacre_last_error(), 100) == 0);
  EXPECT(nacre_compile_start_bytes("no model", 8, NULL, &task) == NACRE_OK);
  EXPECT(nacre_compile_task_take(task, &model) == NACRE_INVALID_VALUE);
  nacre_compile_task_destroy(task);
  EXPECT(nacre_compile(NULL, NULL, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(nacre_compile(path, NULL, NULL) == NACRE_INVALID_ARGUMENT);
  EXPECT(nacre_compile_task_cancel(NULL) == NACRE_INVALID_ARGUMENT);
  nacre_compile_task_destroy(NULL);
  options.struct_size = 1000;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  EXPECT(strstr(nacre_compile_last_error(), "struct_size is 1000"));
  options.struct_size = sizeof options;
  options.dim_count = 1;
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_ARGUMENT);
  options.dim_count = 0;
  options.target_cpu = "no-such-cpu";
  EXPECT(nacre_compile(path, &options, &model) == NACRE_INVALID_VALUE);
  EXPECT(strstr(nacre_compile_last_error(), "no-such-cpu"));

  test_files(argv[1], path);
  test_older_callers(path);
  test_specialize(path);
  test_tuning(path);
  test_training(argv[1]);

  if (failures == 0)
    puts("the compiler's C API works");
  return failures != 0;
}
