//===- NNChecks.h - Checks of what tensors hold -----------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNCHECKS_H
#define NACRE_DIALECTS_NN_NNCHECKS_H

#include "dialects/nn/NNInterfaces.h"
#include "mlir/IR/Builders.h"

namespace nacre::nn {

/// Adds the check that all elements of a tensor of numbers lie in [0, most], which a run
/// finds out from the smallest and the largest. NaN does not; a tensor without elements is
/// good.
void pushRangeCheck(mlir::OpBuilder &b, mlir::Location loc, mlir::Value tensor, mlir::OpFoldResult most,
                    llvm::StringRef text, llvm::SmallVectorImpl<RuntimeCheck> &checks);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNCHECKS_H
