/* A C program that trains (test_c_training.py):
 *
 *   trainer MODEL columns|numbers|stream [NAME=VALUE ...]
 *
 * MODEL is an ONNX file, which is compiled, or a shared library. In the current folder
 * are data.raw, f32[700, 64], and labels.raw, i64[700], and the same of 200 others,
 * valid.raw and valid_labels.raw. Prints losses to the bit. */
#include "nacre_compiler.h"
#include "nacre_trainer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { rows = 700, other_rows = 200, pixels = 64 };

/* Examples in memory, and what becomes of those that are given. */
struct examples {
  const char *file, *labels_file;
  int count;
  float *data;
  int64_t *labels;
  float *batch; /* of the one that was given last */
  int64_t *batch_labels;
  int calls, fails_at;
  const char *fault;
  int never; /* given by number, they end in no epoch */
};

static void *allocate(size_t size) {
  void *data = malloc(size);
  if (!data)
    exit(2);
  return data;
}

static void fill(const char *name, void *data, size_t size) {
  FILE *file = fopen(name, "rb");
  if (!file || fread(data, 1, size, file) != size) {
    fprintf(stderr, "%s: cannot be read\n", name);
    exit(2);
  }
  fclose(file);
}

static void load(struct examples *of) {
  size_t bytes = (size_t)of->count * pixels * sizeof(float);
  of->data = allocate(bytes);
  of->labels = allocate((size_t)of->count * sizeof(int64_t));
  fill(of->file, of->data, bytes);
  fill(of->labels_file, of->labels, (size_t)of->count * sizeof(int64_t));
}

/* Memory of its own for each batch, so that what stays too short a time is found. */
static void renew(struct examples *of, int64_t count) {
  free(of->batch);
  free(of->batch_labels);
  of->batch = allocate((size_t)count * pixels * sizeof(float) + 1);
  of->batch_labels = allocate((size_t)count * sizeof(int64_t) + 1);
}

static void put(struct examples *of, int64_t row, int64_t example) {
  memcpy(of->batch + row * pixels, of->data + example * pixels, pixels * sizeof(float));
  of->batch_labels[row] = of->labels[example];
}

static void expect(int holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "a callback was given what it should not: %s\n", what);
    exit(3);
  }
}

/* What a callback does wrong when its time has come; 0: nothing. */
static nacre_status spoil(struct examples *of, nacre_batch *batch) {
  const char *fault = of->fault;
  if (!fault || of->calls++ != of->fails_at)
    return NACRE_OK;
  if (!strcmp(fault, "error"))
    return nacre_error_set(NACRE_IO_ERROR, "the disk is gone");
  if (!strcmp(fault, "silent"))
    return NACRE_NOT_FOUND;
  if (!strcmp(fault, "unknown"))
    return (nacre_status)77;
  if (!strcmp(fault, "dtype"))
    batch->columns[0].dtype = NACRE_F64;
  if (!strcmp(fault, "rank"))
    batch->columns[0].rank = 40;
  if (!strcmp(fault, "shape"))
    batch->columns[0].dims[1] = 63;
  if (!strcmp(fault, "rows"))
    batch->columns[0].dims[0] = batch->columns[1].dims[0] -= 1;
  if (!strcmp(fault, "other rows"))
    batch->columns[1].dims[0] -= 1;
  if (!strcmp(fault, "negative"))
    batch->columns[0].dims[0] = -5;
  if (!strcmp(fault, "huge"))
    batch->columns[0].dims[0] = INT64_MAX / 2;
  if (!strcmp(fault, "size"))
    batch->columns[0].size = 100;
  if (!strcmp(fault, "null"))
    batch->columns[1].data = NULL;
  if (!strcmp(fault, "label"))
    of->batch_labels[2] = 10;
  if (!strcmp(fault, "strides")) {
    static const int64_t strides[] = {1, 48};
    batch->columns[0].strides = strides;
  }
  return NACRE_OK;
}

static nacre_status give(void *user_data, nacre_batch *batch) {
  struct examples *of = user_data;
  int64_t i;
  expect(batch->struct_size == sizeof *batch && batch->column_count == 2 && batch->examples && batch->count > 0, "counts");
  expect(!strcmp(batch->columns[0].name, "data") && batch->columns[0].dtype == NACRE_F32 && batch->columns[0].rank == 2 &&
             batch->columns[0].dims[0] == batch->count && batch->columns[0].dims[1] == pixels && !batch->columns[0].data,
         "data");
  expect(!strcmp(batch->columns[1].name, "labels") && batch->columns[1].dtype == NACRE_I64 && batch->columns[1].rank == 1 &&
             batch->columns[1].dims[0] == batch->count,
         "labels");
  renew(of, batch->count);
  for (i = 0; i < batch->count; ++i) {
    expect(batch->examples[i] >= 0 && batch->examples[i] < of->count, "an example");
    put(of, i, batch->examples[i]);
  }
  batch->columns[0].data = of->batch;
  batch->columns[1].data = of->batch_labels;
  return spoil(of, batch);
}

/* Batches of 100, 37, 100, 37, ... in the order that there is. */
static nacre_status flow(void *user_data, nacre_batch *batch) {
  struct examples *of = user_data;
  int64_t first = batch->step / 2 * 137 + batch->step % 2 * 100, count = batch->step % 2 ? 37 : 100, i;
  expect(!batch->examples && batch->count == 0 && batch->columns[0].dims[0] == -1 && batch->columns[1].dims[0] == -1,
         "no numbers");
  if (first >= of->count) {
    batch->ended = !of->never;
    if (batch->ended)
      return NACRE_OK;
    first %= of->count;
  }
  count = first + count > of->count ? of->count - first : count;
  renew(of, count);
  for (i = 0; i < count; ++i)
    put(of, i, first + i);
  for (i = 0; i < 2; ++i)
    batch->columns[i].dims[0] = count;
  batch->columns[0].data = of->batch;
  batch->columns[1].data = of->batch_labels;
  return spoil(of, batch);
}

struct listener {
  int64_t seen, stop_after, kill_after, last_epoch;
};

static int32_t on_step(void *user_data, const nacre_step_info *step) {
  struct listener *listener = user_data;
  printf("step %a %a %lld\n", step->loss, step->rate, (long long)step->examples);
  fflush(stdout);
  ++listener->seen;
  if (listener->seen == listener->kill_after)
    raise(SIGKILL);
  return listener->seen == listener->stop_after;
}

static int32_t on_epoch(void *user_data, const nacre_epoch_info *epoch) {
  struct listener *listener = user_data;
  int32_t i;
  printf("epoch %lld %a", (long long)epoch->epoch, epoch->loss);
  for (i = 0; i < epoch->metric_count; ++i)
    printf(" %a", epoch->metrics[i]);
  if (epoch->has_validation)
    printf(" %a", epoch->validation_loss);
  for (i = 0; i < epoch->metric_count && epoch->has_validation; ++i)
    printf(" %a", epoch->validation_metrics[i]);
  printf("\n");
  return epoch->epoch == listener->last_epoch;
}

static void on_warning(void *user_data, const char *message) {
  (void)user_data;
  printf("warning %s\n", message);
}

/* What stands behind NAME= among the arguments; NULL: it does not. */
static const char *find(int argc, char **argv, const char *name) {
  size_t length = strlen(name);
  int i;
  for (i = 3; i < argc; ++i)
    if (!strncmp(argv[i], name, length) && argv[i][length] == '=')
      return argv[i] + length + 1;
  return NULL;
}
static int64_t number(int argc, char **argv, const char *name, int64_t otherwise) {
  const char *text = find(argc, argv, name);
  return text ? strtoll(text, NULL, 10) : otherwise;
}

/* Examples as `kind` says; columns at `columns`. */
static nacre_data describe(struct examples *of, const char *kind, nacre_tensor *columns) {
  nacre_data data = NACRE_DATA_INIT;
  load(of);
  if (!strcmp(kind, "columns")) {
    memset(columns, 0, 2 * sizeof *columns);
    columns[0].name = "data";
    columns[0].data = of->data;
    columns[0].dtype = NACRE_F32;
    columns[0].rank = 2;
    columns[0].dims[0] = columns[1].dims[0] = of->count;
    columns[0].dims[1] = pixels;
    columns[1].name = "labels";
    columns[1].data = of->labels;
    columns[1].dtype = NACRE_I64;
    columns[1].rank = 1;
    data.columns = columns;
    data.column_count = 2;
  } else {
    data.callback = strcmp(kind, "stream") ? give : flow;
    data.user_data = of;
    data.examples = strcmp(kind, "stream") ? of->count : 0;
  }
  return data;
}

static int complain(const char *what, nacre_status status) {
  printf("%s: %s: %s\n", what, nacre_status_name(status), nacre_compile_last_error());
  return 1;
}

int main(int argc, char **argv) {
  struct examples own = {"data.raw", "labels.raw", rows, 0, 0, 0, 0, 0, 0, 0, 0};
  struct examples others = {"valid.raw", "valid_labels.raw", other_rows, 0, 0, 0, 0, 0, 0, 0, 0};
  struct listener listener = {0, -1, -1, -1};
  nacre_compile_options compiling = NACRE_COMPILE_OPTIONS_INIT;
  nacre_session_options sessions = NACRE_SESSION_OPTIONS_INIT;
  nacre_train_options options = NACRE_TRAIN_OPTIONS_INIT;
  nacre_train_result result = NACRE_TRAIN_RESULT_INIT;
  nacre_tensor columns[2], other_columns[2];
  nacre_data data, validation;
  nacre_model *model = NULL;
  nacre_session *session = NULL;
  nacre_status status;
  const char *metrics[] = {"accuracy"}, *kind, *text;
  double loss, accuracy;
  if (argc < 3)
    return 2;
  kind = argv[2];
  compiling.loss = "softmax-cross-entropy";
  compiling.optimizer = (text = find(argc, argv, "optimizer")) ? text : "adam:lr=0.01";
  compiling.average = find(argc, argv, "average") ? atof(find(argc, argv, "average")) : 0;
  status = strstr(argv[1], ".so") ? nacre_model_load(argv[1], &model) : nacre_compile(argv[1], &compiling, &model);
  if (status)
    return complain("compile", status);
  sessions.thread_count = (int32_t)number(argc, argv, "threads", 2);
  if ((status = nacre_session_create(model, &sessions, &session)))
    return complain("session", status);

  own.fault = find(argc, argv, "fault");
  own.fails_at = (int)number(argc, argv, "fails_at", 0);
  own.never = find(argc, argv, "never") != NULL;
  data = describe(&own, kind, columns);
  data.steps = number(argc, argv, "stream_steps", 0);
  options.epochs = number(argc, argv, "epochs", 0);
  options.steps = number(argc, argv, "steps", 0);
  options.batch_size = number(argc, argv, "batch", 0);
  options.seed = (uint64_t)number(argc, argv, "seed", 0);
  options.schedule = find(argc, argv, "schedule");
  options.metrics = metrics;
  options.metric_count = 1;
  options.no_read_ahead = (int32_t)number(argc, argv, "no_read_ahead", 0);
  options.patience = number(argc, argv, "patience", 0);
  options.monitor = find(argc, argv, "monitor");
  options.checkpoint = find(argc, argv, "checkpoint");
  options.checkpoint_every = find(argc, argv, "every");
  options.keep = number(argc, argv, "keep", 0);
  options.resume = (int32_t)number(argc, argv, "resume", 0);
  listener.stop_after = number(argc, argv, "stop_after", -1);
  listener.kill_after = number(argc, argv, "kill_after", -1);
  listener.last_epoch = number(argc, argv, "last_epoch", -1);
  options.on_step = on_step;
  options.on_epoch = on_epoch;
  options.on_warning = on_warning;
  options.user_data = &listener;
  if (find(argc, argv, "validation")) {
    validation = describe(&others, find(argc, argv, "validation"), other_columns);
    options.validation = &validation;
  }
  /* Callers built with older headers: what is behind their struct is not looked at. */
  if (find(argc, argv, "older")) {
    memset(&options.checkpoint, 0xa5, sizeof options - offsetof(nacre_train_options, checkpoint));
    options.struct_size = offsetof(nacre_train_options, checkpoint);
  }
  status = nacre_train(session, &data, &options, &result);
  printf("result %lld epochs, %lld steps, from %lld, best %lld, early %d\n", (long long)result.epochs,
         (long long)result.steps, (long long)result.resumed_step, (long long)result.best_epoch, (int)result.ended_early);
  if (status)
    return complain("train", status);
  if (options.validation) {
    if ((status = nacre_evaluate(session, &validation, options.batch_size, metrics, 1, &loss, &accuracy)))
      return complain("evaluate", status);
    printf("evaluated %a %a\n", loss, accuracy);
  }
  if (find(argc, argv, "average") && (status = nacre_use_averages(session)))
    return complain("averages", status);
  if (find(argc, argv, "out") && (status = nacre_export(session, find(argc, argv, "source"), find(argc, argv, "out"))))
    return complain("export", status);
  nacre_session_destroy(session);
  nacre_model_release(model);
  return 0;
}
