//===- SpecializeSizes.h - Versions of @main for given sizes ----*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_SPECIALIZESIZES_H
#define NACRE_COMPILER_GRAPH_SPECIALIZESIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace nacre::graph {

/// On a version of @main: the sizes that it is for, a dictionary by symbol, or place where there is none.
inline constexpr llvm::StringLiteral kSizesAttr = "nacre.sizes";
/// On a kernel's call in a version: the name that its kernel would have, had no equal one taken its
/// place.
inline constexpr llvm::StringLiteral kLabelAttr = "nacre.label";

/// What an input's dimension is called that has no symbol: x[0].
mlir::StringAttr getPlaceName(mlir::StringAttr input, int64_t dim);

/// @main, then its versions for given sizes; nothing if the module has no @main.
llvm::SmallVector<mlir::func::FuncOp> getMainAndVersions(mlir::ModuleOp module);

/// What the names of a version's kernels end with, ".batch_1"; nothing of any other function.
llvm::StringRef getVersionSuffix(mlir::func::FuncOp func);

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_SPECIALIZESIZES_H
