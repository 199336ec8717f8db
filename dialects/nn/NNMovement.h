//===- NNMovement.h - Following elements through an op ----------*- C++ -*-===//
//
// What the ops of MovementOpInterface share: small static shapes are walked element
// by element, for folding and for following shape arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNMOVEMENT_H
#define NACRE_DIALECTS_NN_NNMOVEMENT_H

#include "dialects/nn/NNInterfaces.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"

namespace nacre::nn {

/// Tensors of more elements are not followed or folded element by element.
constexpr int64_t maxFollowedElements = 1024;

/// Whether a value is a tensor of static shape, small enough to be followed.
bool isFollowed(mlir::Value value);

/// Calls `fn` with each index of a static shape, in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> shape, llvm::function_ref<void(llvm::ArrayRef<int64_t>)> fn);
/// The row-major position of an index.
int64_t linearIndex(llvm::ArrayRef<int64_t> index, llvm::ArrayRef<int64_t> shape);

/// Pushes one source for each result element: `map` makes an index into operand 0 of
/// an index into the result.
mlir::LogicalResult
pushMappedSources(mlir::Operation *op,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t> result, llvm::MutableArrayRef<int64_t> input)> map,
                  llvm::SmallVectorImpl<ElementSource> &sources);
/// Pushes the elements of operand 0 in their order.
mlir::LogicalResult pushSameSources(mlir::Operation *op, llvm::SmallVectorImpl<ElementSource> &sources);

/// The folder of MovementOpInterface: the result's value, if the operands that it is
/// taken from are constants.
mlir::OpFoldResult foldMovement(mlir::Operation *op, llvm::ArrayRef<mlir::Attribute> operands);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNMOVEMENT_H
