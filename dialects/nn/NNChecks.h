//===- NNChecks.h - Checks of what tensors hold -----------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNCHECKS_H
#define NACRE_DIALECTS_NN_NNCHECKS_H

#include "dialects/nn/NNInterfaces.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/IR/Builders.h"

namespace nacre::nn {

/// Adds the check that all elements of a tensor of numbers lie in [0, most], which a run
/// finds out from the smallest and the largest. NaN does not; a tensor without elements is
/// good.
void pushRangeCheck(mlir::OpBuilder &b, mlir::Location loc, mlir::Value tensor, mlir::OpFoldResult most,
                    llvm::StringRef text, llvm::SmallVectorImpl<RuntimeCheck> &checks);

/// Adds the check that two sizes are equal, unless they are known to be.
void checkSame(SizeMath &m, mlir::OpFoldResult lhs, mlir::OpFoldResult rhs, const llvm::Twine &text,
               llvm::SmallVectorImpl<RuntimeCheck> &checks);
/// Adds the check that dimensions that are read from have elements.
void checkNotEmpty(SizeMath &m, llvm::ArrayRef<mlir::OpFoldResult> sizes, llvm::SmallVectorImpl<RuntimeCheck> &checks);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNCHECKS_H
