//===- BatchSizes.h - Open sizes, for one batch -----------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_BATCHSIZES_H
#define NACRE_COMPILER_GRAPH_BATCHSIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

namespace nacre::graph {

/// A number for each size that a model leaves open: that of a batch's shapes ("x=64x128", by
/// inputs' names), or else one for all.
class BatchSizes {
public:
  BatchSizes(int64_t openSize, llvm::ArrayRef<std::string> shapes);

  /// Whether sizes may be open at all.
  bool isGiven() const { return openSize > 0; }
  /// A size of an input.
  int64_t getSize(llvm::StringRef input, int64_t dim) const;
  /// A size as a host function computes it of its inputs' sizes, of tensors or of buffers.
  int64_t evaluate(mlir::Value size) const;
  /// Bytes of a tensor or buffer, with these values of its open sizes, in a planned place.
  int64_t getBytes(mlir::Type type, mlir::ValueRange openSizes = {}) const;
  /// Bytes of a function's inputs ("nacre.inputs").
  int64_t getInputBytes(mlir::func::FuncOp func) const;

private:
  int64_t align(mlir::ShapedType type, llvm::function_ref<int64_t(unsigned)> getOpenSize) const;

  int64_t openSize;
  llvm::StringMap<llvm::SmallVector<int64_t>> batch;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_BATCHSIZES_H
