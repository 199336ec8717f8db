//===- NNShapes.h - Helpers for shape inference -----------------*- C++ -*-===//
//
// Shared by the ops' inferReturnTypes and reifyResultShapes.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNSHAPES_H
#define NACRE_DIALECTS_NN_NNSHAPES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include <optional>

namespace nacre::nn {

using mlir::RankedTensorType;
using mlir::Value;

/// The integers of a constant tensor (nn.constant, arith.constant), or nullopt.
std::optional<llvm::SmallVector<int64_t>> getConstantInts(Value value);

/// What is known of each element of a tensor of integers, looking through shape
/// arithmetic (nn.shape, concat, slice, …); nullopt if nothing can be.
using KnownInts = llvm::SmallVector<std::optional<int64_t>>;
std::optional<KnownInts> getKnownInts(Value value);

/// The shape that two shapes broadcast to. A dynamic size against a static one
/// other than 1 takes the static one (the run checks it). Fails on a mismatch.
llvm::FailureOr<llvm::SmallVector<int64_t>> broadcastShapes(llvm::ArrayRef<int64_t> lhs,
                                                            llvm::ArrayRef<int64_t> rhs);

/// A builder's listener that knows sizes of tensors by other means than asking the
/// tensor: getDim asks it first.
class SizeResolver : public mlir::OpBuilder::Listener {
public:
  /// Null if it does not know.
  virtual mlir::OpFoldResult resolveDim(Value tensor, int64_t index) = 0;
};

/// Size `index` of a ranked tensor value: an IntegerAttr where static, else what the
/// builder's SizeResolver says, else a (folded) tensor.dim.
mlir::OpFoldResult getDim(mlir::OpBuilder &builder, mlir::Location loc, Value tensor,
                          int64_t index);
/// All sizes of a value.
llvm::SmallVector<mlir::OpFoldResult> getDims(mlir::OpBuilder &builder, mlir::Location loc,
                                              Value tensor);
/// Element `index` of a 1-D integer tensor as an index value, folded if constant.
mlir::OpFoldResult getElementAsIndex(mlir::OpBuilder &builder, mlir::Location loc, Value tensor,
                                     int64_t index);
/// The size that an element of an operand tells; kDynamic if it is not known, or none.
int64_t getKnownSize(Value operand, int64_t index = 0);
/// The same for the size of a result; reports one that is known and negative.
llvm::FailureOr<int64_t> inferSize(std::optional<mlir::Location> loc, Value operand, llvm::StringRef what,
                                   int64_t index = 0);
/// The sizes of a result: from its type where static, else what `dynamic` says.
llvm::SmallVector<mlir::OpFoldResult> mixSizes(mlir::OpBuilder &builder, Value result,
                                               llvm::function_ref<mlir::OpFoldResult(int64_t)> dynamic);
/// No machine holds a tensor of more elements: sizes of results that are known are within it,
/// each and all together, so that arithmetic on them does not overflow.
inline constexpr int64_t kMaxElements = int64_t(1) << 40;
/// Reports a type with a negative size, or with more elements than that.
llvm::LogicalResult verifySizes(std::optional<mlir::Location> loc, mlir::TypeRange types);
/// Reports a value that is not a scalar.
llvm::LogicalResult verifyScalars(std::optional<mlir::Location> loc, mlir::ValueRange values);
/// The element type of a sum of products of elements of two types: theirs, or i32 of two of 8-bit
/// integers. Null if there is none.
mlir::Type getProductType(mlir::Type lhs, mlir::Type rhs);
/// nn.reshape to constant sizes, of which one may be -1 (what is left).
Value reshapeTo(mlir::OpBuilder &builder, Value tensor, llvm::ArrayRef<int64_t> sizes);
/// Sizes as an i64 vector, or the only one as a scalar: a constant, or scalars put together.
Value createSizes(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> sizes);
Value createSizeScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::OpFoldResult size);

/// An affine expression over sizes, simplified and folded; the smallest, the largest
/// of several. Nothing is built where all symbols are constant.
mlir::OpFoldResult computeAffine(mlir::OpBuilder &builder, mlir::Location loc,
                                 mlir::AffineExpr expr, llvm::ArrayRef<mlir::OpFoldResult> symbols);
mlir::OpFoldResult computeAffineMin(mlir::OpBuilder &builder, mlir::Location loc,
                                    llvm::ArrayRef<mlir::AffineExpr> exprs,
                                    llvm::ArrayRef<mlir::OpFoldResult> symbols);
mlir::OpFoldResult computeAffineMax(mlir::OpBuilder &builder, mlir::Location loc,
                                    llvm::ArrayRef<mlir::AffineExpr> exprs,
                                    llvm::ArrayRef<mlir::OpFoldResult> symbols);

/// Marks ops whose isCompatibleReturnTypes is areCompatibleTypes.
template <typename ConcreteOp>
struct InferredTypes : mlir::OpTrait::TraitBase<ConcreteOp, InferredTypes> {};

/// The size that dynamic sizes broadcast to: the first that is not 1 at run time.
mlir::OpFoldResult reifyBroadcastSize(mlir::OpBuilder &builder, mlir::Location loc,
                                      llvm::ArrayRef<mlir::OpFoldResult> sizes);

namespace detail {
/// Whether types differ at most in how precisely their sizes are known.
bool areCompatibleTypes(mlir::TypeRange lhs, mlir::TypeRange rhs);
/// Infers the type of an element-wise op. The element type is `elementType`, or if that
/// is null the operands', which must agree.
llvm::LogicalResult inferBroadcastType(std::optional<mlir::Location> loc, mlir::TypeRange operands,
                                       mlir::Type elementType,
                                       llvm::SmallVectorImpl<mlir::Type> &types);
/// Sizes of an element-wise op's results.
llvm::LogicalResult reifyBroadcastShape(mlir::OpBuilder &builder, mlir::Operation *op,
                                        mlir::ReifiedRankedShapedTypeDims &dims);
/// Reports at `loc`, if there is one, and fails: for inferReturnTypes.
llvm::LogicalResult inferenceError(std::optional<mlir::Location> loc, const llvm::Twine &message);
} // namespace detail

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNSHAPES_H
