//===- NNVectors.h - Operands that are lists of sizes -----------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNVECTORS_H
#define NACRE_DIALECTS_NN_NNVECTORS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Value.h"

namespace nacre::nn {

/// The length of a vector, kDynamic if it is not known; reports a tensor of another rank.
inline llvm::FailureOr<int64_t> inferLength(std::optional<mlir::Location> loc, mlir::Value vector,
                                            llvm::StringRef what) {
  auto type = llvm::cast<mlir::RankedTensorType>(vector.getType());
  if (type.getRank() != 1)
    return mlir::emitOptionalError(loc, what, " must be a vector, found ", type);
  return type.getDimSize(0);
}

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNVECTORS_H
