// Checks what the caller gave against the function's signature, before anything
// of it is touched.
#ifndef NACRE_RUNTIME_CORE_SIGNATURE_H
#define NACRE_RUNTIME_CORE_SIGNATURE_H

#include "runtime/core/Model.h"

namespace nacre::runtime {

// The size that a symbol has in this run, and which dimension said so first.
struct SymbolValue {
  int64_t size = -1;
  int32_t input = -1;
  int32_t dim = -1;
};

// Bytes of a tensor of these dims as callers hold it, or -1 if one is negative
// or it is too much. An element of strings is a nacre_string.
int64_t bytesOf(int32_t dtype, int32_t rank, const int64_t *dims);

// Checks a tensor that is to be read, "input 'x': ..."; not its symbols.
nacre_status checkTensor(const char *kind, const nacre_tensor &tensor,
                         const nacre_abi_tensor_info &info);

// Checks the inputs and puts them into the function's order. `bound` has room
// for its inputs, `symbols` for its symbols.
nacre_status bindInputs(const Model &model, int32_t function,
                        const nacre_tensor *inputs, int32_t count,
                        nacre_abi_tensor *bound, SymbolValue *symbols);

// Checks the outputs that the caller gave and sets targets[i] to the one for
// output i, or null.
nacre_status bindOutputs(const Model &model, int32_t function,
                         nacre_tensor *outputs, int32_t count,
                         nacre_tensor **targets);

// Bytes that the caller's memory of an output holds; -1 if it says nonsense.
int64_t capacityOf(const nacre_tensor &output, int32_t dtype);

// A range of memory that a run reads or writes.
struct Range {
  uintptr_t begin, end;
  bool isOutput;
  int32_t index;
};

// Finds an output that overlaps an input or another output.
nacre_status checkOverlap(const nacre_abi_function &function, Range *ranges,
                          int64_t count);

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_SIGNATURE_H
