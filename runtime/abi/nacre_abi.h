/* The binary contract between generated code and the runtime.
 *
 * One C11 header used by both sides: the runtime includes it, and the compiler
 * lays out the same structs in LLVM types (compiler/codegen; a test compares
 * offsetof with the emitted types). Nothing else may be assumed by either side.
 *
 * Any change to a struct or to the meaning of a field raises NACRE_ABI_VERSION.
 * Fields are only ever appended. All sizes are in bytes unless stated.
 */
#ifndef NACRE_RUNTIME_ABI_H
#define NACRE_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 2: strings and values of outputs. 3: the context's seed and run_number.
 * 4: values of inputs. 5: the context's work. 6: the memory of loops; memory that
 * is asked for with the node that wants it. 7: elements below a byte are bytes
 * in a run; values of which a run tells more. 8: fallbacks for other CPUs.
 * 9: maps; inputs that are sequences of any length. 10: outputs of any rank. */
#define NACRE_ABI_VERSION 10u
/* The oldest version that a runtime of this one runs: docs/abi.md. */
#define NACRE_ABI_OLDEST 4u
/* The version since which nacre_abi_model.fallback exists. */
#define NACRE_ABI_WITH_FALLBACKS 8u
/* "NACR" read as a little-endian 32-bit integer. */
#define NACRE_ABI_MAGIC 0x5243414Eu
/* The name of the exported nacre_abi_model in an artefact. */
#define NACRE_ABI_MODEL_SYMBOL "nacre_model"
/* Alignment of the arena, of every buffer in it, of every parameter, and of
 * what allocate and scratch return. Inputs and outputs may be the caller's
 * memory: they are aligned to their element size only. */
#define NACRE_ABI_ALIGNMENT 64
#define NACRE_ABI_MAX_RANK 16

/* Element types; the numbers are ONNX's TensorProto.DataType. Sub-byte types
 * are packed, lowest bits first, but in a run (nacre_abi_tensor). Booleans are one byte, 0 or 1. */
enum nacre_abi_dtype {
  NACRE_DTYPE_UNDEFINED = 0,
  NACRE_DTYPE_F32 = 1,
  NACRE_DTYPE_U8 = 2,
  NACRE_DTYPE_I8 = 3,
  NACRE_DTYPE_U16 = 4,
  NACRE_DTYPE_I16 = 5,
  NACRE_DTYPE_I32 = 6,
  NACRE_DTYPE_I64 = 7,
  NACRE_DTYPE_STRING = 8,
  NACRE_DTYPE_BOOL = 9,
  NACRE_DTYPE_F16 = 10,
  NACRE_DTYPE_F64 = 11,
  NACRE_DTYPE_U32 = 12,
  NACRE_DTYPE_U64 = 13,
  NACRE_DTYPE_C64 = 14,
  NACRE_DTYPE_C128 = 15,
  NACRE_DTYPE_BF16 = 16,
  NACRE_DTYPE_F8E4M3FN = 17,
  NACRE_DTYPE_F8E4M3FNUZ = 18,
  NACRE_DTYPE_F8E5M2 = 19,
  NACRE_DTYPE_F8E5M2FNUZ = 20,
  NACRE_DTYPE_U4 = 21,
  NACRE_DTYPE_I4 = 22,
  NACRE_DTYPE_F4E2M1FN = 23,
  NACRE_DTYPE_F8E8M0FNU = 24,
  NACRE_DTYPE_U2 = 25,
  NACRE_DTYPE_I2 = 26,
  NACRE_DTYPE_F6E2M3FN = 27,
  NACRE_DTYPE_F6E3M2FN = 28
};

/* Why a run failed; 0 is success. Passed to nacre_abi_context.fail. */
enum nacre_abi_status {
  NACRE_ABI_OK = 0,
  NACRE_ABI_OUT_OF_MEMORY = 1,
  NACRE_ABI_INVALID_SHAPE = 2, /* run-time shapes that do not fit together */
  NACRE_ABI_INVALID_VALUE = 3, /* an index, axis, or size out of range */
  NACRE_ABI_CANCELLED = 4
};

typedef struct nacre_abi_context nacre_abi_context;

/* A string: bytes, by convention UTF-8; zeros may be among them. An element of a
 * tensor of strings is the address of one, or NULL for the empty string; it is
 * never changed, and lives until the run ends. */
typedef struct nacre_abi_string {
  const char *data; /* may be NULL only if size is 0 */
  int64_t size;     /* never negative */
} nacre_abi_string;

/* A dense, row-major tensor. data may be NULL only when it has no elements.
 * Inputs overlap no output. Elements below a byte take one here: i4 and i2 as
 * their values, others as their bits with zeros above. So do the outputs'. */
typedef struct nacre_abi_tensor {
  void *data;
  const int64_t *dims; /* rank values, never negative */
} nacre_abi_tensor;

/* The body of a parallel loop: runs iterations [begin, end), in rising order.
 */
typedef void (*nacre_abi_body)(nacre_abi_context *context, void *environment,
                               int64_t begin, int64_t end);

/* Added to a grain: loops that have it take their ranges in turn forwards and backwards. One
 * that reads the same memory again and again, a little more than a cache holds, so finds most of
 * it there. */
#define NACRE_ABI_ALTERNATE (INT64_C(1) << 62)

/* What generated code sees of a run. The runtime owns it; one per run in
 * flight. Generated code reads fields and calls the functions; it writes
 * nothing but `work`. */
struct nacre_abi_context {
  uint8_t *arena;            /* arena_size bytes of the running function */
  const uint8_t *parameters; /* the parameter section, read only */
  uint8_t *state;            /* the mutable parameters (training), or NULL */

  /* Runs body over [0, count) on the session's threads and returns when all is
   * done. Ranges are multiples of `grain` but for the last; how many there are
   * and who runs them may differ from run to run, so a result must not depend
   * on it. Within a body the call runs serially. Once `stop` is set, ranges may
   * be left out. */
  void (*parallel_for)(nacre_abi_context *context, nacre_abi_body body,
                       void *environment, int64_t count, int64_t grain);

  /* Memory whose size is known only during the run. NULL after a failed
   * allocation (the runtime has recorded the failure): the caller returns.
   * What is not released by the end of the run is released then. */
  void *(*allocate)(nacre_abi_context *context, int64_t size);
  void (*release)(nacre_abi_context *context, void *pointer);

  /* Scratch of the calling worker, valid until the body that asked for it
   * returns (outside of a body: until the run ends). Several pieces may be held
   * at once. Same failure rule as allocate. Thread-safe. */
  void *(*scratch)(nacre_abi_context *context, int64_t size);

  /* Memory for output `index` of the given shape: the caller's if it gave some
   * (a failure if that is too small), else the session's. Never NULL but after
   * a failure, even with no elements. Same failure rule as allocate. */
  void *(*output)(nacre_abi_context *context, int32_t index, int32_t rank,
                  const int64_t *dims);

  /* Records a failure and sets `stop`; of several, the one that a serial run
   * would meet first wins. `message` names the node; it is copied.
   * Thread-safe; the caller goes on in a memory-safe way or returns. */
  void (*fail)(nacre_abi_context *context, int32_t status, const char *message);

  /* NULL, or called before (end = 0) and after (end = 1) each kernel with its
   * index in nacre_abi_model.kernels. A non-zero answer ends the run. */
  int32_t (*on_kernel)(nacre_abi_context *context, int32_t kernel, int32_t end);

  int64_t thread_count; /* threads that parallel_for may use, at least 1 */

  /* Not 0 once the run has failed or was cancelled: what buffers hold is then
   * meaningless. Host code reads it (a relaxed atomic load) after each kernel
   * and in each iteration of a loop, and returns; the runtime knows the status.
   */
  volatile int32_t stop;
  int32_t reserved;

  /* What random numbers are made from: the session's seed, and how many runs
   * the session had begun before this one since the seed was set. */
  int64_t seed;
  int64_t run_number;

  /* Before each kernel whose floating-point operations depend on dynamic sizes
   * (nacre_abi_kernel_info.flops is -1), the host code adds their number; the
   * runtime takes it at the kernel's end. It may wrap if nobody does. */
  uint64_t work;

  /* allocate and output, with what stands in front of the message if
   * there is no memory ("node 'x' (Op): "); NULL or "" if no node is known. What
   * allocate_for gave, release_since takes back as well. */
  void *(*allocate_for)(nacre_abi_context *context, int64_t size,
                        const char *node);
  void *(*output_for)(nacre_abi_context *context, int32_t index, int32_t rank,
                      const int64_t *dims, const char *node);

  /* The memory of a loop. mark is called in front of it; release_since at the
   * end of each iteration, with that mark and an address in each buffer that
   * lives on: what allocate_for has given since, and is not among them, is
   * released. Both by the run's own thread, outside of parallel loops. */
  int64_t (*mark)(nacre_abi_context *context);
  void (*release_since)(nacre_abi_context *context, int64_t mark,
                        const void *const *kept, int64_t kept_count);
};

/* A dimension of the signature: a size, or dynamic with an optional name.
 * Dynamic dimensions with equal names have equal sizes in every run. */
typedef struct nacre_abi_dim {
  int64_t size;       /* -1 if dynamic */
  const char *symbol; /* NULL if static or unnamed */
} nacre_abi_dim;

typedef struct nacre_abi_tensor_info {
  const char *name;
  int32_t dtype; /* enum nacre_abi_dtype */
  int32_t rank;
  const nacre_abi_dim *dims;
} nacre_abi_tensor_info;

/* What an input or output of the model is, as its author sees it. */
enum nacre_abi_value_kind {
  NACRE_ABI_TENSOR = 0,   /* one tensor */
  NACRE_ABI_SEQUENCE = 1, /* as many tensors as it has elements */
  NACRE_ABI_NOTHING = 2,  /* an optional without an element: no tensor */
  /* A sequence whose length a run tells: its elements' elements one after the
   * other, and i64[length, rank], the sizes of each; -1 behind those of an
   * element of a lower rank. */
  NACRE_ABI_PACKED = 3,
  /* A map: its keys and its values, two vectors of one length. */
  NACRE_ABI_MAP = 4,
  /* A sequence of maps that have the same keys: these, and [length, keys], the
   * values of each. */
  NACRE_ABI_MAPS = 5,
  /* A tensor whose rank a run tells: its elements one after the other, and
   * i64[rank], its sizes. */
  NACRE_ABI_ANY_RANK = 6
};

typedef struct nacre_abi_value_info {
  const char *name;
  int32_t kind;        /* enum nacre_abi_value_kind */
  /* 1: declared optional, whether it has an element or not. 2: a run tells
   * whether it has one, by one more tensor, a boolean, behind the others. */
  int32_t is_optional;
  int32_t first;       /* which of the function's tensors it is made of */
  int32_t count;
} nacre_abi_value_info;

/* One entry of the model: "main" for inference, "step" for a training step. */
typedef struct nacre_abi_function {
  const char *name;
  /* Returns enum nacre_abi_status; outputs are obtained with context->output.
   */
  int32_t (*run)(nacre_abi_context *context, const nacre_abi_tensor *inputs);
  const nacre_abi_tensor_info *inputs;
  const nacre_abi_tensor_info *outputs;
  int32_t input_count;
  int32_t output_count;
  int64_t arena_size;
  /* What the outputs are together; NULL and 0: each is a tensor for itself.
   * Values follow each other and cover all outputs. */
  const nacre_abi_value_info *output_values;
  int32_t output_value_count;
  int32_t input_value_count;
  /* The same for the inputs. */
  const nacre_abi_value_info *input_values;
} nacre_abi_function;

/* A kernel, for profiles and reports. Work is per run at the static shapes;
 * -1 where it depends on dynamic ones. */
typedef struct nacre_abi_kernel_info {
  const char *name;  /* the kernel's symbol */
  const char *nodes; /* the ONNX nodes it came from, comma-separated */
  int64_t flops;
  int64_t bytes;
} nacre_abi_kernel_info;

/* A named parameter: in the parameter section, or in the mutable state. */
typedef struct nacre_abi_parameter_info {
  nacre_abi_tensor_info tensor; /* always static */
  int64_t offset; /* into the section, or into the state if is_state */
  int64_t size;
  int32_t is_state; /* 1: lives in the session's mutable state */
  int32_t reserved;
  int64_t initial_offset; /* is_state: where in the section its initial value
                             lies; -1: zeros */
} nacre_abi_parameter_info;

typedef struct nacre_abi_model {
  uint32_t magic;
  uint32_t abi_version;
  uint32_t struct_size; /* sizeof(nacre_abi_model) of the writer */
  uint32_t pointer_bits;
  const nacre_abi_function *functions;
  const nacre_abi_kernel_info *kernels;
  const nacre_abi_parameter_info *parameters;
  int32_t function_count;
  int32_t kernel_count;
  int32_t parameter_count;
  int32_t reserved;
  /* The parameter section: initial values, NACRE_ABI_ALIGNMENT-aligned. NULL in
   * a model compiled just in time, whose parameters the compiler hands over. */
  const uint8_t *parameter_data;
  int64_t parameter_size;
  int64_t state_size;
  uint64_t parameter_checksum; /* nacre_checksum.h, of the whole section */
  const char *target_cpu;      /* LLVM's name, e.g. "znver5" */
  const char *target_features; /* CPU features the code needs, by LLVM's names,
                                  as in "avx2,fma" */
  const char *provenance; /* JSON: source name and hash, options, version */
  /* Since version 8: the same model, of the same signature, for a CPU with fewer
   * or other features, in turn with a fallback; or NULL. Each has kernels,
   * arenas and a table of parameters of its own. The parameter section is one.
   * The first whose target_features the machine has is the one that runs. */
  const struct nacre_abi_model *fallback;
} nacre_abi_model;

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_ABI_H */
