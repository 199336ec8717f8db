/* What a model's typed C functions call (m.h, which `nacre compile` writes
 * beside m.so): they hand their arguments on, the runtime reads what is in them
 * off the model's descriptor. C11.
 *
 * The arguments of a function are 64-bit slots:
 * - one for each open size of its inputs, in order: a symbol once, where it is
 *   first met; a dimension without a name has a slot of its own;
 * - for each input the address of its elements;
 * - for each output an address, or NULL if it is not wanted. An output whose
 *   sizes are static or symbols of inputs has room for its elements there; any
 *   other, and one of strings, is a nacre_tensor (runtime/api/nacre.h). */
#ifndef NACRE_RUNTIME_ENTRY_H
#define NACRE_RUNTIME_ENTRY_H

#include "runtime/abi/nacre_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(NACRE_API)
#define NACRE_API __attribute__((visibility("default")))
#endif

/* A session on `threads` threads (0: all cores), which holds the only reference
 * to the model; NULL after a failure, which nacre_last_error tells. */
NACRE_API void *nacre_entry_create(const nacre_abi_model *model,
                                   int32_t threads);

/* Runs a function; a nacre_status. Thread-safe. */
NACRE_API int32_t nacre_entry_run(void *session, int32_t function,
                                  const uint64_t *slots);

/* nacre_session_save without metadata, and nacre_session_load of all that is
 * mutable. A nacre_status. */
NACRE_API int32_t nacre_entry_save(void *session, const char *path);
NACRE_API int32_t nacre_entry_load(void *session, const char *path);

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_ENTRY_H */
