/* Nacre's public C API: load a compiled model and run it. C11; needs libc only.
 *
 *   nacre_model *model;
 *   nacre_session *session;
 *   nacre_tensor x = {.data = pixels, .dtype = NACRE_F32,
 *                     .rank = 2, .dims = {1, 784}}, y = {0};
 *   if (nacre_model_load("mlp.so", &model) ||
 *       nacre_session_create(model, NULL, &session) ||
 *       nacre_session_run(session, 0, &x, 1, &y, 1))
 *     puts(nacre_last_error());
 *   ... y.data, y.dims ...
 *   nacre_tensor_release(&y);
 *   nacre_session_destroy(session);
 *   nacre_model_release(model);
 *
 * Conventions
 * - Every function that can fail returns nacre_status, 0 for success; the
 *   sentence that says what was found and what was expected is
 *   nacre_last_error(). Out-parameters come last; after a failure they hold
 *   NULL or zeros.
 * - No call aborts the process, whatever its arguments hold; a NULL handle or
 *   out-parameter is NACRE_INVALID_ARGUMENT. Functions that give something back
 *   accept NULL.
 * - Strings are UTF-8 and zero-terminated. Strings and pointers that a model
 *   hands out live as long as the model.
 * - Thread-safe means: may be called from any thread at any time, with the same
 *   handles too. What is not marked so needs the caller's care.
 */
#ifndef NACRE_H
#define NACRE_H

#include <stddef.h>
#include <stdint.h>

#if !defined(NACRE_API) /* empty: the functions stay inside of one library */
#define NACRE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define NACRE_VERSION_MAJOR 0
#define NACRE_VERSION_MINOR 1
#define NACRE_VERSION_PATCH 0
/* The most dimensions that a tensor can have. */
#define NACRE_MAX_RANK 16

/* Element types; the numbers are ONNX's. Types below a byte are packed, lowest
 * bits first; a boolean is one byte, 0 or 1. */
typedef enum nacre_dtype {
  NACRE_UNDEFINED = 0,
  NACRE_F32 = 1,
  NACRE_U8 = 2,
  NACRE_I8 = 3,
  NACRE_U16 = 4,
  NACRE_I16 = 5,
  NACRE_I32 = 6,
  NACRE_I64 = 7,
  NACRE_STRING = 8,
  NACRE_BOOL = 9,
  NACRE_F16 = 10,
  NACRE_F64 = 11,
  NACRE_U32 = 12,
  NACRE_U64 = 13,
  NACRE_C64 = 14,
  NACRE_C128 = 15,
  NACRE_BF16 = 16,
  NACRE_F8E4M3FN = 17,
  NACRE_F8E4M3FNUZ = 18,
  NACRE_F8E5M2 = 19,
  NACRE_F8E5M2FNUZ = 20,
  NACRE_U4 = 21,
  NACRE_I4 = 22,
  NACRE_F4E2M1FN = 23,
  NACRE_F8E8M0FNU = 24,
  NACRE_U2 = 25,
  NACRE_I2 = 26,
  NACRE_F6E2M3FN = 27,
  NACRE_F6E3M2FN = 28
} nacre_dtype;

typedef enum nacre_status {
  NACRE_OK = 0,
  NACRE_OUT_OF_MEMORY = 1,
  NACRE_INVALID_SHAPE = 2,    /* a dtype, rank or size that does not fit */
  NACRE_INVALID_VALUE = 3,    /* data out of range, such as an index */
  NACRE_CANCELLED = 4,        /* by nacre_session_cancel */
  NACRE_INVALID_ARGUMENT = 5, /* the call is wrong: NULL, index out of range */
  NACRE_NOT_FOUND = 6,        /* no such file, function, input, ... */
  NACRE_INCOMPATIBLE = 7,     /* made for another ABI version, CPU or model */
  NACRE_CORRUPT = 8,          /* no artefact or checkpoint, or a damaged one */
  NACRE_IO_ERROR = 9,         /* the operating system refused */
  NACRE_INTERNAL = 10         /* a fault of Nacre's own */
} nacre_status;

/* ---- Errors and versions ------------------------------------------------- */

/* Why the calling thread's last failing call failed; "" if none has. Owned by
 * the thread: valid until its next failing call. Thread-safe. */
NACRE_API const char *nacre_last_error(void);

/* Makes `message` the calling thread's last error, cut to 1023 bytes, and
 * returns `status`: for libraries that add to this API. Thread-safe. */
NACRE_API nacre_status nacre_error_set(nacre_status status,
                                       const char *message);

/* The code in words, "invalid shape". Never NULL. Thread-safe. */
NACRE_API const char *nacre_status_name(nacre_status status);

/* The library's version, "0.1.0". Thread-safe. */
NACRE_API const char *nacre_version(void);

/* The short name of an element type ("f32"; "undefined" for none). Thread-safe.
 */
NACRE_API const char *nacre_dtype_name(int32_t dtype);

/* Bits of an element; 0 for NACRE_STRING and what is no type. Thread-safe. */
NACRE_API int32_t nacre_dtype_bits(int32_t dtype);

/* Packs elements of a type below a byte, which stand in the low bits of a byte
 * each, as tensors have them: (count * bits + 7) / 8 bytes. The reverse gives
 * i4 and i2 their sign back. Nothing is done for other types. Thread-safe. */
NACRE_API void nacre_dtype_pack(int32_t dtype, const void *elements,
                                int64_t count, void *packed);
NACRE_API void nacre_dtype_unpack(int32_t dtype, const void *packed,
                                  int64_t count, void *elements);

/* ---- Models -------------------------------------------------------------- */

/* A compiled model: code, signature and weights. Immutable and
 * reference-counted; any number of sessions share it, and with it one copy of
 * the weights. */
typedef struct nacre_model nacre_model;

/* The descriptor inside an artefact, declared in runtime/abi/nacre_abi.h. */
struct nacre_abi_model;

/* Loads an artefact (`nacre compile m.onnx -o m.so`) and checks that this
 * runtime and this CPU can run it and that the file is complete. The weights
 * are mapped, not read. An artefact is code: load none that you do not trust.
 * The caller releases *model. Thread-safe. */
NACRE_API nacre_status nacre_model_load(const char *path, nacre_model **model);

/* Makes a model of a descriptor in memory, as code compiled just in time has
 * it. `parameter_data` (descriptor->parameter_size bytes, 64-byte aligned)
 * replaces the descriptor's own unless it is NULL. Both must stay until
 * `release_callback(user_data)` is called: once, when the last user of the
 * model is gone, on whatever thread that happens. It may be NULL. After a
 * failure it is not called. The caller releases *model. Thread-safe. */
NACRE_API nacre_status nacre_model_create(
    const struct nacre_abi_model *descriptor, const void *parameter_data,
    void (*release_callback)(void *user_data), void *user_data,
    nacre_model **model);

/* Gives the caller's reference back; sessions hold their own. NULL is allowed.
 * Thread-safe. */
NACRE_API void nacre_model_release(nacre_model *model);

/* Reads all weights and compares their checksum: NACRE_CORRUPT if they were
 * altered. Thread-safe. */
NACRE_API nacre_status nacre_model_verify(const nacre_model *model);

typedef struct nacre_model_info {
  int32_t function_count;
  int32_t kernel_count;
  int32_t parameter_count;
  uint32_t abi_version;
  int64_t parameter_size;      /* bytes of weights, shared */
  int64_t state_size;          /* bytes of mutable parameters per session */
  const char *target_cpu;      /* LLVM's name of the CPU the code is for */
  const char *target_features; /* CPU features it needs, comma-separated */
  const char *provenance;      /* JSON: source, hash, options, version */
} nacre_model_info;

/* One of the CPUs that a model has code for. */
typedef struct nacre_version_info {
  const char *target_cpu;
  const char *target_features;
  int32_t is_chosen; /* 1: this code runs */
} nacre_version_info;

typedef struct nacre_function_info {
  const char *name; /* "main": inference; "step": one training step */
  int32_t input_count;
  int32_t output_count;
  int64_t arena_size; /* bytes of intermediate memory per run in flight */
  int32_t output_value_count; /* see nacre_value_info */
  int32_t input_value_count;
} nacre_function_info;

typedef enum nacre_value_kind {
  NACRE_VALUE_TENSOR = 0,
  NACRE_VALUE_SEQUENCE = 1,
  NACRE_VALUE_NOTHING = 2, /* an optional without an element */
  NACRE_VALUE_PACKED = 3,  /* a sequence whose length a run tells */
  NACRE_VALUE_MAP = 4,
  NACRE_VALUE_MAPS = 5,    /* a sequence of maps that have the same keys */
  NACRE_VALUE_ANY_RANK = 6 /* a tensor whose rank a run tells; outputs alone */
} nacre_value_kind;

/* An input or output as the model's author sees it. Runs deal in tensors alone:
 * a sequence is `count` inputs or outputs of the function, from `first` on; a
 * tensor is one, an optional without an element none. A packed sequence is two:
 * the elements of all its tensors one after the other, and i64[length, rank], a
 * row with the sizes of each tensor; one of a lower rank than others has -1
 * behind its sizes. A map is two: its keys, all different and in any order, and
 * as many values. A sequence of maps is two: the keys of all of them, and
 * [length, keys], the values of each. A tensor of any rank is two: its elements
 * one after the other, and i64[rank], its sizes. */
typedef struct nacre_value_info {
  const char *name;
  int32_t kind;        /* nacre_value_kind */
  /* 1: declared optional. 2: only a run tells whether it has an element, by a
   * boolean behind the other tensors, which hold anything where it is false
   * (an input's: of sizes that fit it, 0 where these are open). */
  int32_t is_optional;
  int32_t first;
  int32_t count;
} nacre_value_info;

/* What an input, an output or a parameter must look like. */
typedef struct nacre_tensor_info {
  const char *name;
  int32_t dtype; /* nacre_dtype */
  int32_t rank;
  int64_t dims[NACRE_MAX_RANK]; /* -1: known only in a run */
  /* Of dynamic dimensions: NULL or a name. Dimensions with equal names have
   * equal sizes within a run. */
  const char *symbols[NACRE_MAX_RANK];
  int32_t is_mutable; /* 1: a parameter that each session has its own of */
} nacre_tensor_info;

typedef struct nacre_kernel_info {
  const char *name;
  const char *nodes; /* the model's nodes that it computes, comma-separated */
  int64_t flops;     /* per run, -1 where it depends on dynamic sizes */
  int64_t bytes;
} nacre_kernel_info;

/* Queries. The result is filled in for the caller, its strings are the model's.
 * An index out of range is NACRE_INVALID_ARGUMENT, a name that does not exist
 * NACRE_NOT_FOUND. Thread-safe, all of them. */
NACRE_API nacre_status nacre_model_get_info(const nacre_model *model,
                                            nacre_model_info *info);
/* What the model is compiled for, the best first; a model compiled for one CPU
 * has one version. All else that is told of a model is that of the one chosen:
 * the first that the machine can run, or what the environment variable
 * NACRE_TARGET_CPU named when the model was loaded. */
NACRE_API nacre_status nacre_model_get_version_count(const nacre_model *model,
                                                     int32_t *count);
NACRE_API nacre_status nacre_model_get_version(const nacre_model *model,
                                               int32_t version,
                                               nacre_version_info *info);
NACRE_API nacre_status nacre_model_get_function(const nacre_model *model,
                                                int32_t function,
                                                nacre_function_info *info);
NACRE_API nacre_status nacre_model_find_function(const nacre_model *model,
                                                 const char *name,
                                                 int32_t *function);
NACRE_API nacre_status nacre_model_get_input(const nacre_model *model,
                                             int32_t function, int32_t index,
                                             nacre_tensor_info *info);
NACRE_API nacre_status nacre_model_get_output(const nacre_model *model,
                                              int32_t function, int32_t index,
                                              nacre_tensor_info *info);
NACRE_API nacre_status nacre_model_get_input_value(const nacre_model *model,
                                                   int32_t function,
                                                   int32_t index,
                                                   nacre_value_info *info);
NACRE_API nacre_status nacre_model_get_output_value(const nacre_model *model,
                                                    int32_t function,
                                                    int32_t index,
                                                    nacre_value_info *info);
NACRE_API nacre_status nacre_model_get_kernel(const nacre_model *model,
                                              int32_t kernel,
                                              nacre_kernel_info *info);
NACRE_API nacre_status nacre_model_get_parameter(const nacre_model *model,
                                                 int32_t parameter,
                                                 nacre_tensor_info *info);
NACRE_API nacre_status nacre_model_find_parameter(const nacre_model *model,
                                                  const char *name,
                                                  int32_t *parameter);

/* ---- Tensors ------------------------------------------------------------- */

/* An element of a tensor of strings: `size` bytes at `data`, by convention UTF-8.
 * Zeros may be among them, and none need follow. */
typedef struct nacre_string {
  const char *data; /* may be NULL only if size is 0 */
  int64_t size;
} nacre_string;

/* A tensor in memory. Zero-initialise it ({0}) and set what is known.
 *
 * As an input: data, dtype, rank, dims; data stays the caller's and is only
 * read. It must be aligned to its element size.
 *
 * As an output, one of
 * - data == NULL: the runtime provides memory and sets `owner`. It belongs to
 *   the tensor until nacre_tensor_release. If the tensor goes into another run
 *   as an output, its memory is used again (or released, if it is too small)
 *   and the earlier contents are gone. It may outlive the session.
 * - data != NULL, owner == NULL: the caller's memory of `size` bytes. A run
 *   whose result needs more fails with NACRE_INVALID_SHAPE and leaves the
 *   needed dims and size here.
 *
 * Strings (NACRE_STRING): data points to nacre_strings, whose bytes must stay
 * as they are during the run. As an output only the runtime's memory will do;
 * the strings' bytes are in it too, behind the elements that `size` counts. */
typedef struct nacre_tensor {
  const char *name; /* NULL: the input or output at this array position */
  void *data;       /* may be NULL only with no elements */
  int64_t size;     /* bytes at data; 0: what dtype and dims say */
  int32_t dtype;    /* nacre_dtype; an output may say NACRE_UNDEFINED */
  int32_t rank;
  int64_t dims[NACRE_MAX_RANK];
  /* NULL: row-major. Else rank strides in elements, which must describe
   * row-major memory without gaps; any other is refused. */
  const int64_t *strides;
  void *owner; /* the runtime's; copy it only to move the ownership */
} nacre_tensor;

/* Gives back memory that the runtime provided and clears data, size and owner;
 * without an owner it does nothing. NULL is allowed. Thread-safe but for the
 * tensor itself. */
NACRE_API void nacre_tensor_release(nacre_tensor *tensor);

/* DLPack's structs (<dlpack/dlpack.h>), which frameworks exchange tensors by. */
struct DLTensor;
struct DLManagedTensor;

/* Describes a DLPack tensor in *tensor: its memory, which stays the producer's,
 * as an input of a run, or as the caller's memory for an output. It must be in
 * this machine's memory, of one lane, and row-major without gaps (else
 * NACRE_INVALID_SHAPE); it must stay while the tensor is used. Thread-safe. */
NACRE_API nacre_status nacre_tensor_from_dlpack(const struct DLTensor *dlpack,
                                                nacre_tensor *tensor);

/* Hands a run's output over as a DLPack tensor, without copying: memory that
 * the runtime provided goes with it and is given back by (*dlpack)->deleter,
 * which the consumer calls; *tensor is then empty. The caller's own memory, of
 * which the runtime does not know how long it lives, is refused
 * (NACRE_INVALID_ARGUMENT); so are types that DLPack lacks. Thread-safe but for
 * the tensor itself. */
NACRE_API nacre_status nacre_tensor_to_dlpack(nacre_tensor *tensor,
                                              struct DLManagedTensor **dlpack);

/* ---- Sessions ------------------------------------------------------------ */

/* A model ready to run: threads, memory and (for training) its own mutable
 * parameters. */
typedef struct nacre_session nacre_session;

typedef enum nacre_profiling {
  NACRE_PROFILING_OFF = 0,    /* costs nothing */
  NACRE_PROFILING_TOTALS = 1, /* times per kernel */
  NACRE_PROFILING_TRACE = 2   /* and each launch, for nacre_session_write_trace
                               */
} nacre_profiling;

/* Start from NACRE_SESSION_OPTIONS_INIT and change what you need. */
typedef struct nacre_session_options {
  size_t struct_size;   /* sizeof(nacre_session_options) */
  int32_t thread_count; /* 0: as many as cores that the process may use */
  /* 0: threads float. Else the entries of `cpus`: thread i >= 1 stays on CPU
   * cpus[i % cpu_count]; thread 0 is the caller of nacre_session_run and is
   * left alone. The array is copied. */
  int32_t cpu_count;
  const int32_t *cpus;
  int64_t memory_limit;  /* bytes runs may hold; 0: the machine's memory */
  int32_t no_huge_pages; /* 1: do not ask for huge pages */
  int32_t profiling;     /* nacre_profiling */
  uint64_t seed;         /* see nacre_session_set_seed */
  /* 1: the parameters of a model file are copied to memory of the process, on
   * huge pages, once for all sessions of the model. Runs that wait for weights
   * get them faster; the memory is not shared with other processes, and making
   * the session takes as long as the copy. Nothing is done for a model that was
   * compiled in this process, whose parameters lie so already. */
  int32_t copy_parameters;
} nacre_session_options;

#define NACRE_SESSION_OPTIONS_INIT                                             \
  {sizeof(nacre_session_options), 0, 0, NULL, 0, 0, 0, 0, 0}

/* Makes a session. NULL options: the defaults. The session keeps the model
 * alive. The caller destroys *session. Thread-safe. */
NACRE_API nacre_status
nacre_session_create(nacre_model *model, const nacre_session_options *options,
                     nacre_session **session);

/* Ends the session; outputs that it provided stay valid. No run may be in
 * flight. NULL is allowed. */
NACRE_API void nacre_session_destroy(nacre_session *session);

/* The session's model, for queries; the caller gets no reference of its own.
 * Thread-safe. */
NACRE_API nacre_status nacre_session_get_model(const nacre_session *session,
                                               nacre_model **model);

/* The threads that a run may use, the caller's included. Thread-safe. */
NACRE_API nacre_status
nacre_session_get_thread_count(const nacre_session *session, int32_t *count);

/* Runs a function of the model to its end; 0 is the first one (all others:
 * nacre_model_find_function).
 *
 * All inputs must be given: by position, or by name where nacre_tensor.name is
 * set. Everything about them is checked before anything is read. `outputs` may
 * be fewer than the function has (also 0 and NULL); what is not asked for is
 * dropped. On success each output has dtype, rank, dims, data and size set; see
 * nacre_tensor for its memory. Outputs must overlap neither inputs nor each
 * other. After a failure the contents of outputs are undefined; the session can
 * be used on.
 *
 * Thread-safe: runs of one session may overlap, each has memory of its own;
 * while the threads are busy with one run, another computes on its caller's
 * thread alone. The results are the same bits in any case. Runs of a model with
 * mutable parameters wait for each other instead. The caller's thread computes
 * too: it needs 1 MiB of stack. */
NACRE_API nacre_status nacre_session_run(
    nacre_session *session, int32_t function, const nacre_tensor *inputs,
    int32_t input_count, nacre_tensor *outputs, int32_t output_count);

/* Sets what the session's random numbers (RandomNormal, Dropout, ...) are made
 * from, and begins to count its runs anew. The numbers depend on the seed, on
 * how many runs of the session began before (those that failed count), and on
 * the node: they differ from run to run, and a new session with the same seed
 * repeats them, with any number of threads. Until then the seed is that of the
 * options, 0 by default. A node with a seed of its own depends on that instead
 * of the session's. Thread-safe; runs in flight keep what they have. */
NACRE_API nacre_status nacre_session_set_seed(nacre_session *session,
                                              uint64_t seed);

/* What the next run's random numbers depend on: the seed, and how many runs
 * began since it was set. Setting both goes on where another session was, bit
 * for bit. Thread-safe. */
NACRE_API nacre_status nacre_session_get_random_state(nacre_session *session,
                                                      uint64_t *seed,
                                                      int64_t *run_count);
NACRE_API nacre_status nacre_session_set_random_state(nacre_session *session,
                                                      uint64_t seed,
                                                      int64_t run_count);

/* Ends the runs in flight soon, with NACRE_CANCELLED; later runs are not
 * affected. Thread-safe, and may be called from a signal handler. */
NACRE_API nacre_status nacre_session_cancel(nacre_session *session);

/* Gives memory that is only kept for later runs back to the system.
 * Thread-safe. */
NACRE_API nacre_status nacre_session_trim(nacre_session *session);

/* ---- Parameters ---------------------------------------------------------- */

/* Describes a parameter in *tensor. Its data points into the session's mutable
 * state, or, for a constant, into the model's weights, which must not be
 * written. Not synchronised with runs. Valid as long as the session. */
NACRE_API nacre_status nacre_session_get_parameter(nacre_session *session,
                                                   int32_t parameter,
                                                   nacre_tensor *tensor);

/* Copies a parameter to `size` bytes at `data`, between runs. Thread-safe. */
NACRE_API nacre_status nacre_session_read_parameter(nacre_session *session,
                                                    int32_t parameter,
                                                    void *data, int64_t size);

/* Replaces a mutable parameter by *tensor (same dtype and dims), between runs.
 * Constants are refused: they are shared. Thread-safe. */
NACRE_API nacre_status nacre_session_write_parameter(
    nacre_session *session, int32_t parameter, const nacre_tensor *tensor);

/* Sets all mutable parameters to their initial values, between runs.
 * Thread-safe. */
NACRE_API nacre_status nacre_session_reset_parameters(nacre_session *session);

/* ---- Checkpoints --------------------------------------------------------- */

/* A text that a checkpoint carries beside its tensors. */
typedef struct nacre_metadata {
  const char *key; /* those that begin with "nacre." are the runtime's */
  const char *value;
} nacre_metadata;

/* Writes all mutable parameters (weights, running statistics, optimiser state,
 * moving averages) by their names as one .safetensors file, between runs. What
 * is constant is the model's, and is not in it; nor is the random state.
 * `metadata` may be NULL if `metadata_count` is 0.
 *
 * The file appears complete or not at all, and is on the disk when the call
 * returns; it replaces a file of that name. Element types that .safetensors
 * files lack, and names that are no UTF-8, are refused. Thread-safe. */
NACRE_API nacre_status nacre_session_save(nacre_session *session,
                                          const char *path,
                                          const nacre_metadata *metadata,
                                          int32_t metadata_count);

/* What nacre_session_load need not find; several are added. */
typedef enum nacre_load_flags {
  NACRE_LOAD_ALL = 0, /* the file has the mutable parameters, no more or less */
  /* State beside the weights may be missing, and stays as it is: parameters
   * NAME.slot of a parameter NAME, and optimizer.*. For weights alone. */
  NACRE_LOAD_WITHOUT_STATE = 1,
  /* The file may have tensors of other names, constants' too: left alone. */
  NACRE_LOAD_OTHER_TENSORS = 2
} nacre_load_flags;

/* Sets the mutable parameters to what a .safetensors file has for them, whoever
 * made it, between runs. The file may come from strangers: it is checked whole
 * before anything changes, and there is no second copy of its tensors. Types
 * and shapes must be the parameters'.
 *
 * Once the file is known to be whole, and before its tensors are compared with
 * the parameters, `metadata_callback(user_data, key, value)` is called for each
 * of its texts but the runtime's own, in the order of their keys; what it
 * returns other than NACRE_OK ends the call (nacre_error_set says why). It may
 * be NULL.
 *
 * Should the file fail to be read when parameters are being set, some have
 * been: the message says so. Thread-safe. */
NACRE_API nacre_status nacre_session_load(
    nacre_session *session, const char *path, uint32_t flags,
    nacre_status (*metadata_callback)(void *user_data, const char *key,
                                      const char *value),
    void *user_data);

/* ---- Profiles ------------------------------------------------------------ */

typedef struct nacre_kernel_time {
  int64_t launches;
  int64_t total_ns;
  int64_t min_ns;
  int64_t max_ns;
  int64_t flops; /* floating-point operations of all launches together */
} nacre_kernel_time;

/* Changes what later runs record. Turning it off keeps what was recorded.
 * Thread-safe. */
NACRE_API nacre_status nacre_session_set_profiling(nacre_session *session,
                                                   nacre_profiling profiling);

/* The accumulated times of a kernel over the finished runs. Thread-safe. */
NACRE_API nacre_status nacre_session_get_kernel_time(nacre_session *session,
                                                     int32_t kernel,
                                                     nacre_kernel_time *time);

/* Forgets times and trace. Thread-safe. */
NACRE_API nacre_status nacre_session_reset_profile(nacre_session *session);

/* Writes the recorded launches as a Chrome trace (chrome://tracing,
 * ui.perfetto.dev): process 1 has the runs and their kernels, within which the
 * calling thread's parts in parallel loops have the category "part"; process 2
 * has the parts of the session's other threads. Thread-safe. */
NACRE_API nacre_status nacre_session_write_trace(nacre_session *session,
                                                 const char *path);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_H */
