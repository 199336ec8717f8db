//===- Indexing.h - Reading and writing at computed places ------*- C++ -*-===//
//
// What the lowerings of gathers, scatters, sorts and interpolations share.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_LOWER_INDEXING_H
#define NACRE_COMPILER_LOWER_INDEXING_H

#include "compiler/lower/Lowering.h"

namespace nacre::lower {

/// Builds one element from the inputs' elements and its place in the result.
using ElementBuilder = llvm::function_ref<mlir::Value(
    mlir::OpBuilder &, mlir::Location, mlir::ValueRange inputs, mlir::ValueRange places)>;

/// A tensor computed element by element: a linalg.generic whose loops are all parallel.
/// `maps` say how inputs are read; they may be fewer than the loops' identity.
mlir::Value createElements(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange inputs,
                           llvm::ArrayRef<mlir::AffineMap> maps, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                           mlir::Type elementType, ElementBuilder body);
/// Several tensors of the same sizes at once, an element of each.
using ElementsBuilder = llvm::function_ref<llvm::SmallVector<mlir::Value>(
    mlir::OpBuilder &, mlir::Location, mlir::ValueRange inputs, mlir::ValueRange places)>;
llvm::SmallVector<mlir::Value> createElements(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange inputs,
                                              llvm::ArrayRef<mlir::AffineMap> maps,
                                              llvm::ArrayRef<mlir::OpFoldResult> sizes,
                                              llvm::ArrayRef<mlir::Type> elementTypes, ElementsBuilder body);

/// An affine expression of indices, as a value.
mlir::Value buildIndex(mlir::OpBuilder &builder, mlir::Location loc, mlir::AffineExpr expr,
                       llvm::ArrayRef<mlir::OpFoldResult> symbols);
/// Whether an index lies in [0, size): one unsigned comparison covers both ends.
mlir::Value isWithin(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value index, mlir::Value size);

/// An integer of the tensor element type `original` as an index.
mlir::Value toIndex(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value integer, mlir::Type original);
/// A position that may be negative, brought into [0, size), whatever it is.
mlir::Value clampPosition(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value position, mlir::Value size);
/// The same for a position read from an index tensor; nothing where it is known to be good.
mlir::Value loadPosition(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value integer,
                         mlir::Type original, mlir::Value size, bool inBounds);

/// Whether an element (of the original type) is not zero; NaN is not.
mlir::Value isNonZero(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value element);

/// A copy of a tensor, made in memory that may be written.
mlir::Value createCopy(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor,
                       llvm::ArrayRef<mlir::OpFoldResult> sizes);

/// Nested loops over `sizes`, that carry values.
llvm::SmallVector<mlir::Value>
createLoops(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> sizes,
            mlir::ValueRange inits,
            llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::OpBuilder &, mlir::Location,
                                                              mlir::ValueRange places, mlir::ValueRange carried)>
                body);

/// A parallel loop over `counts`, each iteration of which computes a part of each
/// tensor in `outs`: `parts` tells where the part lies, `body` computes it from what
/// was there.
struct Part {
  llvm::SmallVector<mlir::OpFoldResult> offsets, sizes;
  /// The part as the body sees it, with some of its dimensions of size 1 dropped.
  mlir::RankedTensorType type;
};
llvm::SmallVector<mlir::Value> createParallelParts(
    mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> counts, mlir::ValueRange outs,
    llvm::function_ref<llvm::SmallVector<Part>(mlir::ValueRange places)> parts,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::OpBuilder &, mlir::Location, mlir::ValueRange places,
                                                      mlir::ValueRange parts)>
        body);

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_INDEXING_H
