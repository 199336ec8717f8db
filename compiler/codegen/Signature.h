//===- Signature.h - The model as plain data --------------------*- C++ -*-===//
//
// What the descriptor says of a model, read from attributes before the IR is
// taken apart.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_SIGNATURE_H
#define NACRE_COMPILER_CODEGEN_SIGNATURE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include <string>
#include <vector>

namespace nacre::codegen {

/// enum nacre_abi_dtype of an element type; 0 if it has none.
int32_t getDtype(mlir::Type type);

struct TensorInfo {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> sizes; // -1: dynamic
  std::vector<std::string> symbols;

  static mlir::FailureOr<TensorInfo> get(mlir::Location loc, llvm::StringRef name,
                                         mlir::ShapedType type, mlir::ArrayAttr symbols = {});
};

/// A nacre_abi_value_info.
struct ValueInfo {
  std::string name;
  int32_t kind = 0, isOptional = 0, first = 0, count = 0;
};

struct FunctionInfo {
  std::string name;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<ValueInfo> inputValues, outputValues; // empty: each is a tensor for itself
  int64_t arenaSize = 0;

  static mlir::FailureOr<FunctionInfo> get(mlir::func::FuncOp function);
};

/// The nodes of a kernel as one string; null gives none.
std::string joinNodes(mlir::ArrayAttr nodes);

struct KernelInfo {
  std::string name, nodes;
  int64_t flops = -1, bytes = -1;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_SIGNATURE_H
