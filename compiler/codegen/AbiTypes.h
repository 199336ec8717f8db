//===- AbiTypes.h - runtime/abi for generated code --------------*- C++ -*-===//
//
// The one place where the compiler learns the layout of the ABI's structs.
// Generated code reads a context or a tensor by byte offset; the descriptor of
// a model is a constant of the struct types below. The compiler runs on the
// machine it compiles for (x86-64 System V), so offsetof is the answer;
// test/unit checks that LLVM lays out the struct types in the same way.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_ABITYPES_H
#define NACRE_COMPILER_CODEGEN_ABITYPES_H

#include "runtime/abi/nacre_abi.h"
#include "runtime/abi/nacre_host.h"
#include <cstddef>
#include <cstdint>

namespace llvm {
class LLVMContext;
class StructType;
} // namespace llvm

namespace nacre::codegen::abi {

/// Byte offsets of the fields that generated code reads.
namespace offset {
inline constexpr int64_t arena = offsetof(nacre_abi_context, arena);
inline constexpr int64_t parameters = offsetof(nacre_abi_context, parameters);
inline constexpr int64_t state = offsetof(nacre_abi_context, state);
inline constexpr int64_t parallelFor = offsetof(nacre_abi_context, parallel_for);
inline constexpr int64_t release = offsetof(nacre_abi_context, release);
inline constexpr int64_t scratch = offsetof(nacre_abi_context, scratch);
inline constexpr int64_t fail = offsetof(nacre_abi_context, fail);
inline constexpr int64_t onKernel = offsetof(nacre_abi_context, on_kernel);
inline constexpr int64_t threadCount = offsetof(nacre_abi_context, thread_count);
inline constexpr int64_t stop = offsetof(nacre_abi_context, stop);
inline constexpr int64_t seed = offsetof(nacre_abi_context, seed);
inline constexpr int64_t runNumber = offsetof(nacre_abi_context, run_number);
inline constexpr int64_t work = offsetof(nacre_abi_context, work);
inline constexpr int64_t allocateFor = offsetof(nacre_abi_context, allocate_for);
inline constexpr int64_t outputFor = offsetof(nacre_abi_context, output_for);
inline constexpr int64_t mark = offsetof(nacre_abi_context, mark);
inline constexpr int64_t releaseSince = offsetof(nacre_abi_context, release_since);

inline constexpr int64_t tensorSize = sizeof(nacre_abi_tensor);
inline constexpr int64_t tensorData = offsetof(nacre_abi_tensor, data);
inline constexpr int64_t tensorDims = offsetof(nacre_abi_tensor, dims);

inline constexpr int64_t hostTensorSize = sizeof(nacre_host_tensor);
inline constexpr int64_t hostTensorData = offsetof(nacre_host_tensor, data);
inline constexpr int64_t hostTensorDims = offsetof(nacre_host_tensor, dims);
inline constexpr int64_t hostTensorDtype = offsetof(nacre_host_tensor, dtype);
inline constexpr int64_t hostTensorRank = offsetof(nacre_host_tensor, rank);
inline constexpr int64_t hostCallSize = sizeof(nacre_host_call);
inline constexpr int64_t hostCallInputs = offsetof(nacre_host_call, inputs);
inline constexpr int64_t hostCallOutputs = offsetof(nacre_host_call, outputs);
inline constexpr int64_t hostCallNumbers = offsetof(nacre_host_call, numbers);
inline constexpr int64_t hostCallNode = offsetof(nacre_host_call, node);
inline constexpr int64_t hostCallInputCount = offsetof(nacre_host_call, input_count);
inline constexpr int64_t hostCallOutputCount = offsetof(nacre_host_call, output_count);
inline constexpr int64_t hostCallNumberCount = offsetof(nacre_host_call, number_count);
} // namespace offset

/// The struct types of a model's descriptor.
struct DescriptorTypes {
  explicit DescriptorTypes(llvm::LLVMContext &context);
  llvm::StructType *dim, *tensorInfo, *valueInfo, *function, *kernelInfo, *parameterInfo, *model;
};

} // namespace nacre::codegen::abi

#endif // NACRE_COMPILER_CODEGEN_ABITYPES_H
