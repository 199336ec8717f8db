/* What generated code and the host library (runtime/host) agree on.
 *
 * The host library computes what is not numeric: strings above all. It is no
 * part of the runtime: the compiler links it into the models that need it.
 * C11.
 *
 * A string element, in all that generated code sees, is the address of a
 * nacre_abi_string, or NULL for the empty string. Strings are never changed and
 * live until the run ends: they are the model's constants, or made from the
 * run's inputs, or allocated with context->allocate.
 */
#ifndef NACRE_RUNTIME_HOST_H
#define NACRE_RUNTIME_HOST_H

#include "runtime/abi/nacre_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A dense, row-major tensor. data is never NULL unless it has no elements. */
typedef struct nacre_host_tensor {
  void *data;
  const int64_t *dims; /* rank values, never negative */
  int32_t dtype;       /* enum nacre_abi_dtype */
  int32_t rank;
} nacre_host_tensor;

/* Operands and attributes of an operator. Outputs are not initialised, and
 * overlap nothing. */
typedef struct nacre_host_call {
  const nacre_host_tensor *inputs;
  const nacre_host_tensor *outputs;
  const int64_t *numbers; /* which mean what is up to the function */
  const char *node;       /* "node 'x' (Op): ", the start of every message */
  int32_t input_count;
  int32_t output_count;
  int32_t number_count;
  int32_t reserved;
} nacre_host_call;

/* A function of the host library, called on the run's own thread outside of
 * parallel loops. It checks whatever depends on elements, and writes all
 * elements of all outputs, after a failure (context->fail) too. */
typedef void (*nacre_host_function)(nacre_abi_context *context,
                                    const nacre_host_call *call);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_HOST_H */
