/* Nacre's public C API of training: whole trainings of models that were compiled
 * for it, with epochs, batches, schedules, metrics, validation, checkpoints. C11;
 * part of libnacre. What nacre.h says of conventions holds here.
 *
 *   static nacre_status read(void *files, nacre_batch *batch) {
 *     for (int64_t i = 0; i < batch->count; ++i)
 *       ... copy the example number batch->examples[i] to pixels and labels ...
 *     batch->columns[0].data = pixels;
 *     batch->columns[1].data = labels;
 *     return NACRE_OK;
 *   }
 *
 *   nacre_data data = NACRE_DATA_INIT;
 *   data.callback = read;
 *   data.user_data = &files;
 *   data.examples = 60000;
 *   nacre_train_options options = NACRE_TRAIN_OPTIONS_INIT;
 *   options.epochs = 10;
 *   options.checkpoint = "run1";
 *   options.resume = 1;
 *   if (nacre_train(session, &data, &options, NULL))
 *     puts(nacre_compile_last_error());
 *
 * The session is of a model with a function "step": of nacre_compile with a loss
 * (nacre_compiler.h), or of a file that `nacre compile --train` made, by
 * nacre_model_load. Losses, schedules and metrics are those of docs/training.md,
 * and results have the same bits as those of `nacre train` with the same data.
 * nacre_compile_last_error() has every line of why a call failed, and
 * nacre_last_error() the first 1023 bytes.
 */
#ifndef NACRE_TRAINER_H
#define NACRE_TRAINER_H

#include "runtime/api/nacre.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Data ---------------------------------------------------------------- */

/* A batch that a callback is asked for. */
typedef struct nacre_batch {
  size_t struct_size;
  /* Of examples by number: `count` numbers, from 0 to nacre_data.examples - 1, in
   * the order in which they are wanted. Of a stream NULL and 0. */
  const int64_t *examples;
  int64_t count;
  /* Of a stream: the epoch and the number of the batch in it, from 0; each is asked
   * for once, in turn. Of examples by number 0. */
  int64_t epoch, step;
  /* What the model takes, inputs and the loss's targets in the order of its function
   * "step", with name, dtype, rank and dims; -1 is a size that the batch decides. By
   * number dims[0] is `count`. The callback sets `data` and the sizes that are -1. */
  nacre_tensor *columns;
  int32_t column_count;
  /* A stream's callback sets it to 1, and nothing else, where the epoch has no more
   * batches. */
  int32_t ended;
} nacre_batch;

/* Gives a batch. Its memory stays the callback's: it is copied before the callback
 * is called again and before the call that trains returns, and only after dtypes,
 * ranks and sizes have been compared with what the model takes (`size` too, unless
 * it is 0, which is what is left there). It needs no alignment.
 *
 * Called on another thread than the one that trains, which computes meanwhile,
 * unless nacre_train_options.no_read_ahead is set; never by two at once, and never
 * after the call that trains has returned. The numbers and structs are the callee's
 * until it returns.
 *
 * Another answer than NACRE_OK ends the training with that status, and with what
 * the callback gave to nacre_error_set as the message. Steps that were made by then
 * count. */
typedef nacre_status (*nacre_batch_callback)(void *user_data,
                                             nacre_batch *batch);

/* Examples, from one of
 * - `columns`: arrays with an entry for each example along dims[0], by the names of
 *   what the model takes. The memory stays the caller's and must stay during the
 *   call; it needs no alignment.
 * - `callback`, with `examples` > 0: by number. They are shuffled and cut into batches
 *   as arrays are, the last one of an epoch too, and a training goes on with them in
 *   the middle of an epoch.
 * - `callback`, with `examples` 0: a stream of batches of any size, in the callback's
 *   own order. An epoch ends where the callback says so, or after `steps` batches. A
 *   training goes on with them only where an epoch begins, and to the same bits if an
 *   epoch's batches do not depend on those before.
 * The struct grows at its end: start from NACRE_DATA_INIT. */
typedef struct nacre_data {
  size_t struct_size; /* sizeof(nacre_data) */
  const nacre_tensor *columns;
  int32_t column_count;
  nacre_batch_callback callback;
  void *user_data;
  int64_t examples;
  int64_t steps; /* of a stream, 0: not known; a schedule that looks at the end needs it */
} nacre_data;

#define NACRE_DATA_INIT {sizeof(nacre_data), NULL, 0, NULL, NULL, 0, 0}

/* ---- Training ------------------------------------------------------------ */

/* A step that has just been made. */
typedef struct nacre_step_info {
  size_t struct_size;
  int64_t epoch, step; /* from 0, the step within the epoch */
  int64_t examples;    /* of the epoch, seen by now */
  double loss;         /* of this step, with the parameters before it */
  double mean_loss;    /* over these examples */
  double rate;         /* the learning rate that it took */
} nacre_step_info;

/* An epoch that has just been made. Metrics are in the order of the options'. */
typedef struct nacre_epoch_info {
  size_t struct_size;
  int64_t epoch; /* from 0 */
  int64_t examples;
  double loss;
  const double *metrics;
  double rate;    /* of the last step */
  double seconds; /* without validation */
  int32_t metric_count;
  int32_t has_validation; /* 1: the next two are the validation's */
  double validation_loss;
  const double *validation_metrics;
} nacre_epoch_info;

/* Called on the thread that trains, with structs that are the callee's until it
 * returns. Another answer than 0 ends the training: after a step with NACRE_CANCELLED,
 * after an epoch as if it had been the last, with NACRE_OK. The session may be read
 * (nacre_session_read_parameter), and run too. */
typedef int32_t (*nacre_step_callback)(void *user_data,
                                       const nacre_step_info *step);
typedef int32_t (*nacre_epoch_callback)(void *user_data,
                                        const nacre_epoch_info *epoch);

/* Start from NACRE_TRAIN_OPTIONS_INIT and change what you need; 0 and NULL are the
 * defaults that are said here. The struct grows at its end: `struct_size` says which
 * fields the caller knew. */
typedef struct nacre_train_options {
  size_t struct_size; /* sizeof(nacre_train_options) */
  int64_t epochs;     /* 0: 1 */
  int64_t steps;      /* 0: as many as the epochs have; else the length in steps */
  int64_t batch_size; /* 0: what the model is fixed to, or 32. Not of a stream */
  uint64_t seed;      /* of the examples' order; random numbers are the session's */
  double learning_rate; /* 0: that of the optimizer that the model was compiled with */
  const char *schedule; /* "cosine:warmup=100"; NULL: the rate stays */
  const char *const *metrics; /* "accuracy" */
  int32_t metric_count;
  int32_t no_read_ahead; /* 1: batches are made on the thread that trains */
  const nacre_data *validation; /* evaluated after each epoch; NULL: none. No stream */
  /* Ends after so many epochs in which the validation became no better, and sets the
   * parameters to those of the best; 0: does not. `monitor`: what is looked at, "loss"
   * (NULL) or a metric. */
  int64_t patience;
  const char *monitor;
  /* A folder for checkpoints; NULL: none are written. How often, "2epochs" or
   * "500steps" (NULL: after each epoch), and how many of the newest are kept (0: 3).
   * With `resume` 1 the training goes on from the newest of them, bit for bit as if it
   * had never ended, if there is one; model, data and options must be the same but for
   * the length. Of data that a callback gives, only their number is compared. */
  const char *checkpoint;
  const char *checkpoint_every;
  int64_t keep;
  int32_t resume;
  nacre_step_callback on_step;
  nacre_epoch_callback on_epoch;
  /* Told of what does not end a training: a checkpoint that cannot be written, or read
   * when there is one before it. NULL: nobody is. */
  void (*on_warning)(void *user_data, const char *message);
  void *user_data; /* of these three */
} nacre_train_options;

#define NACRE_TRAIN_OPTIONS_INIT                                               \
  {sizeof(nacre_train_options), 0, 0, 0, 0, 0, NULL, NULL, 0, 0, NULL, 0,      \
   NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL}

/* What a training came to, those before a checkpoint included. */
typedef struct nacre_train_result {
  size_t struct_size; /* the caller's: sizeof(nacre_train_result) */
  int64_t epochs;
  int64_t steps;
  int64_t resumed_step; /* the step of the checkpoint that it went on from, or 0 */
  int64_t best_epoch;   /* from 0; -1: none was looked for */
  int32_t ended_early;  /* 1: by `patience` */
} nacre_train_result;

#define NACRE_TRAIN_RESULT_INIT {sizeof(nacre_train_result), 0, 0, 0, 0, 0}

/* Trains the session's parameters on `data`. NULL options: the defaults; `result` may
 * be NULL. What does not fit the model is refused with a list of both sides, before
 * the first step where that can be known. A loss that is not finite ends it with
 * NACRE_INVALID_VALUE; after a failure the parameters are those of the last whole
 * step. nacre_session_cancel ends the step that is being made. Not for two threads
 * with one session at a time. */
NACRE_API nacre_status nacre_train(nacre_session *session,
                                   const nacre_data *data,
                                   const nacre_train_options *options,
                                   nacre_train_result *result);

/* The mean loss over examples and, at `metrics`, a number for each of `metric_count`
 * names, without training and without Dropout. `data` is no stream. batch_size 0:
 * what the model is fixed to, or 32. */
NACRE_API nacre_status nacre_evaluate(nacre_session *session,
                                      const nacre_data *data,
                                      int64_t batch_size,
                                      const char *const *metric_names,
                                      int32_t metric_count, double *loss,
                                      double *metrics);

/* Sets each parameter that has a moving average (nacre_compile_options.average) to
 * it. */
NACRE_API nacre_status nacre_use_averages(nacre_session *session);

/* Writes the file that the session's model was compiled from again, an ONNX file or
 * the text of a module, with the values that its parameters have now. The file
 * appears complete or not at all; it may replace the source. */
NACRE_API nacre_status nacre_export(nacre_session *session, const char *source,
                                    const char *path);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_TRAINER_H */
