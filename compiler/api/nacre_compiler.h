/* Nacre's public C API of the compiler: ONNX models to code, in this process or
 * into a file. C11. What nacre.h says of conventions holds here.
 *
 *   nacre_compile_options options = NACRE_COMPILE_OPTIONS_INIT;
 *   nacre_dim_option batch = {"N", 8};
 *   options.dims = &batch;
 *   options.dim_count = 1;
 *   nacre_model *model;
 *   if (nacre_compile("mlp.onnx", &options, &model))
 *     puts(nacre_compile_last_error());
 *   ... nacre_session_create(model, NULL, &session) ...
 *
 * In the background:
 *
 *   nacre_compile_task *task;
 *   int32_t done = 0;
 *   nacre_compile_start("mlp.onnx", &options, &task);
 *   while (!done) {
 *     nacre_compile_task_wait(task, 100, &done);
 *     if (the user lost patience)
 *       nacre_compile_task_cancel(task);
 *   }
 *   status = nacre_compile_task_take(task, &model);
 *   nacre_compile_task_destroy(task);
 *
 * A model at fault is NACRE_INVALID_VALUE, a file that cannot be written
 * NACRE_IO_ERROR, a compilation that was cancelled NACRE_CANCELLED, a fault of
 * the compiler's own NACRE_INTERNAL.
 */
#ifndef NACRE_COMPILER_H
#define NACRE_COMPILER_H

#include "runtime/api/nacre.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Options ------------------------------------------------------------- */

/* The size of a dimension that the model gives a name. */
typedef struct nacre_dim_option {
  const char *name;
  int64_t size;
} nacre_dim_option;

/* The shape of an input, -1 for a size that stays open. That of a sequence is
 * each element's; an element "x[0]" of it may have one of its own. */
typedef struct nacre_shape_option {
  const char *name;
  int32_t rank;
  const int64_t *dims;
} nacre_shape_option;

/* How many elements an input has that is a sequence, which else is open; 1 of an
 * optional tensor, -1 of an optional without an element. */
typedef struct nacre_length_option {
  const char *name;
  int64_t length;
} nacre_length_option;

/* Sizes of a dimension that the model gives a name. */
typedef struct nacre_sizes_option {
  const char *name;
  int32_t count;
  const int64_t *sizes;
} nacre_sizes_option;

/* How other decisions than the cost models' are measured, on this machine. */
typedef struct nacre_tune_option {
  double seconds;  /* so long at most, beside compiling and a first run; 0: nothing
                      is measured, but what the cache has learnt is used */
  int32_t threads; /* of the runs that are measured; 0: all cores */
  int32_t size_count;
  const nacre_dim_option *sizes; /* of open dimensions in these runs; others: 1 */
} nacre_tune_option;

/* A decision about kernels, as the provenance of a tuned model has it
 * ("tuning"). */
typedef struct nacre_decision_option {
  const char *key;
  const char *choice;
} nacre_decision_option;

/* What a model can become as a file. */
typedef enum nacre_emit {
  NACRE_EMIT_SHARED = 0,         /* .so: a shared library with the runtime inside */
  NACRE_EMIT_OBJECT = 1,         /* .o: to be linked with libnacre-runtime */
  NACRE_EMIT_STATIC_LIBRARY = 2, /* .a: with the runtime inside */
  NACRE_EMIT_EXECUTABLE = 3,     /* a program that reads and writes .npy files */
  NACRE_EMIT_HEADER = 4,         /* .h: the signature as C functions */
  NACRE_EMIT_MLIR = 5,           /* .mlir: the imported model in the nn dialect */
  NACRE_EMIT_LLVM_IR = 6,        /* .ll: all code, optimized */
  NACRE_EMIT_ASSEMBLY = 7        /* .s: the same as assembly */
} nacre_emit;

/* Called on the thread that compiles with each phase before it runs: its name,
 * its number from 1, and how many there are. Another answer than 0 cancels. */
typedef int32_t (*nacre_compile_progress)(void *user_data, const char *phase,
                                          int32_t number, int32_t count);

/* Called with a line for each event (phases and their times, remarks, the cache,
 * results), on the threads that compile, though not by two at once. The line is
 * the callee's until it returns. */
typedef void (*nacre_compile_log)(void *user_data, const char *line);

/* What a cache keeps unless it is told otherwise: 1 GiB. */
#define NACRE_DEFAULT_CACHE_BYTES ((int64_t)1 << 30)

/* Start from NACRE_COMPILE_OPTIONS_INIT and change what you need. Everything is
 * copied but the callbacks' data. The struct grows at its end: `struct_size` says
 * which fields the caller knew, and the rest has the values of the INIT. */
typedef struct nacre_compile_options {
  size_t struct_size; /* sizeof(nacre_compile_options) */
  const nacre_dim_option *dims;
  int32_t dim_count;
  int32_t input_shape_count;
  const nacre_shape_option *input_shapes;
  const nacre_length_option *input_lengths;
  int32_t input_length_count;
  int32_t allow_symlinks;      /* 1: weights may lie behind links out of the folder */
  const char *target_cpu;      /* LLVM's name; NULL: this machine's. A file
                                   can be for several, "x86-64-v3,x86-64-v4" */
  const char *target_features; /* "+avx2,-fma"; NULL: the CPU's */
  /* One of the two makes a function "step" beside "main", for training: what
   * is minimised, "softmax-cross-entropy" (default), "mse + 0.4*mae@NAME" or
   * "output:NAME", and the optimizer, "sgd" (default) or
   * "adamw:weight_decay=0.1"; docs/training.md lists them. */
  const char *loss;
  const char *optimizer;
  nacre_compile_progress progress;
  void *progress_data;
  /* Where compiled kernels are kept and found again: a folder of the user's
   * own. NULL: $NACRE_CACHE_DIR, else $XDG_CACHE_HOME/nacre, else
   * ~/.cache/nacre; "": nowhere. */
  const char *cache_dir;
  /* What nacre_compile_to_file writes, each kind once. The first has the name
   * that is asked for, the others stand beside it with endings of their own, a
   * library's header always. None: NACRE_EMIT_SHARED. */
  const nacre_emit *emit;
  int32_t emit_count;
  /* The machine, "aarch64-linux-gnu"; NULL: this one. Shared libraries and
   * programs for another one need its C library here, as a distribution's cross
   * compilers have it. */
  const char *target_triple;
  /* Where the compiler leaves a module that shows the fault if the fault is its
   * own (NACRE_INTERNAL): a file, or a folder. The error says what to run on it.
   * NULL: nowhere. */
  const char *reproducer;
  nacre_compile_log log;
  void *log_data;
  /* About so many bytes stay in the cache, 0: without limit. The longest unused
   * go first. */
  int64_t cache_bytes;
  /* Of training: settings by parameters' names,
   * "*.bias:weight_decay=0 + encoder.*:frozen"; the largest norm of all
   * gradients, and element of one (0: any); how many steps' gradients make an
   * update (0: 1); the decay of a moving average NAME.average (0: none). */
  const char *groups;
  double clip_norm, clip_value;
  int64_t accumulate;
  double average;
  /* 1: a step ends with an error that names the node at the first NaN, and at
   * the first gradient that is not finite. */
  int32_t detect_anomaly;
  /* What products are computed in that the model has in f32: "bf16" or "f16";
   * NULL: "f32". With loss or optimizer it is the training that is, "f16" with a
   * scaled loss ("f16:scale=1024"), and "main" stays in the model's types. */
  const char *precision;
  /* Bytes that parameters, the optimizer's state and a training step may take
   * together, 0: any number. The step computes again what it does not keep.
   * Sizes that the model leaves open are those of the shapes of a batch, by
   * inputs' and targets' names, or else all `open_size`. */
  int64_t memory_budget, open_size;
  const nacre_shape_option *batch_shapes;
  int32_t batch_shape_count;
  /* 1: convolutions sum the products of their windows, none by Winograd's
   * transforms, whose results are about twice as far from exact ones. */
  int32_t exact_conv;
  /* Sizes of open dimensions, by their names or, without one, by their places
   * ("x[0]"), for which there is faster code beside that for all sizes: a version for each combination, in which any of them may stay open.
   * A run takes the one with most sizes that its inputs have. Weights are
   * shared. Not with loss or optimizer. */
  const nacre_sizes_option *specialize;
  int32_t specialize_count;
  /* Measures tiles and algorithms that the cost models are unsure of, and uses
   * what is better, within the same bounds of error. What is learnt goes into
   * the cache, which only compilations that tune use. NULL: no. Not with loss or
   * optimizer, several CPUs or another machine's. */
  const nacre_tune_option *tune;
  /* The same code as a tuned model's without measuring. */
  const nacre_decision_option *decisions;
  int32_t decision_count;
} nacre_compile_options;

#define NACRE_COMPILE_OPTIONS_INIT                                             \
  {sizeof(nacre_compile_options), NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL,    \
   NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL,              \
   NACRE_DEFAULT_CACHE_BYTES, NULL, 0, 0, 0, 0, 0, NULL, 0, 0, NULL, 0, 0,     \
   NULL, 0, NULL, NULL, 0}

/* ---- Compiling ----------------------------------------------------------- */

/* Every line of why the calling thread's last call of this header failed; "" if
 * none has. (nacre_last_error() holds the first 1023 bytes.) Owned by the
 * thread: valid until its next failing call. Thread-safe. */
NACRE_API const char *nacre_compile_last_error(void);

/* Compiles an ONNX file in process. NULL options: the defaults. The model owns
 * code and weights; the caller releases *model. Thread-safe. */
NACRE_API nacre_status nacre_compile(const char *path,
                                     const nacre_compile_options *options,
                                     nacre_model **model);

/* The same for a model in memory: `size` bytes, which may go after the call.
 * External data is refused. Thread-safe. */
NACRE_API nacre_status nacre_compile_bytes(const void *data, size_t size,
                                           const nacre_compile_options *options,
                                           nacre_model **model);

/* Compiles an ONNX file into one self-contained shared library, or the files
 * that options->emit asks for. Each appears complete or not at all. A model's C
 * functions are called after the artefact: m_run of m.so. Thread-safe. */
NACRE_API nacre_status
nacre_compile_to_file(const char *path, const char *artifact,
                      const nacre_compile_options *options);

/* ---- In the background --------------------------------------------------- */

/* A compilation on a thread of its own. */
typedef struct nacre_compile_task nacre_compile_task;

/* Where a task is. */
typedef struct nacre_compile_state {
  int32_t done;        /* 1: it has ended, in whatever way */
  int32_t phase;       /* the number of the phase that runs, 0 before the first */
  int32_t phase_count;
  const char *phase_name; /* "" before the first; lives as long as the process */
} nacre_compile_state;

/* The three functions above, without waiting for the end. The caller destroys
 * *task. Thread-safe. */
NACRE_API nacre_status nacre_compile_start(const char *path,
                                           const nacre_compile_options *options,
                                           nacre_compile_task **task);
NACRE_API nacre_status nacre_compile_start_bytes(
    const void *data, size_t size, const nacre_compile_options *options,
    nacre_compile_task **task);
NACRE_API nacre_status nacre_compile_start_to_file(
    const char *path, const char *artifact,
    const nacre_compile_options *options, nacre_compile_task **task);

/* Says where the task is, at once. Thread-safe. */
NACRE_API nacre_status nacre_compile_task_poll(const nacre_compile_task *task,
                                               nacre_compile_state *state);

/* Waits until the task is done, but not longer than `milliseconds` (negative:
 * as long as it takes). *done is 1 if it is. Thread-safe. */
NACRE_API nacre_status nacre_compile_task_wait(const nacre_compile_task *task,
                                               int64_t milliseconds,
                                               int32_t *done);

/* Ends the task within a second, with NACRE_CANCELLED unless it has ended
 * already. Does not wait. Thread-safe. */
NACRE_API nacre_status nacre_compile_task_cancel(nacre_compile_task *task);

/* Waits for the end, and says how it was: the status that the function without
 * a task would have returned, with its message. Thread-safe. */
NACRE_API nacre_status
nacre_compile_task_status(const nacre_compile_task *task);

/* The same, and hands over the model, once. A task that writes a file has none:
 * NACRE_INVALID_ARGUMENT. The caller releases *model. */
NACRE_API nacre_status nacre_compile_task_take(nacre_compile_task *task,
                                               nacre_model **model);

/* Cancels the task if it runs, waits for its end, and gives everything back
 * that was not taken. NULL is allowed. */
NACRE_API void nacre_compile_task_destroy(nacre_compile_task *task);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_COMPILER_H */
