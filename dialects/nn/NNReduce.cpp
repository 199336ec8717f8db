//===- NNReduce.cpp - Reductions and cumulative ops -------------*- C++ -*-===//
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre::nn;

/// Sizes without those along `axes`, or with `one` in their places.
template <typename Size>
static SmallVector<Size> reduceSizes(ArrayRef<Size> sizes, ArrayRef<int64_t> axes, bool keepdims,
                                     Size one) {
  SmallVector<Size> result;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(i));
    if (!reduced)
      result.push_back(size);
    else if (keepdims)
      result.push_back(one);
  }
  return result;
}

static bool areAxes(ArrayRef<int64_t> axes, int64_t rank) {
  for (auto [i, axis] : llvm::enumerate(axes))
    if (axis < 0 || axis >= rank || (i > 0 && axis <= axes[i - 1]))
      return false;
  return true;
}

/// One operation for each element.
static OpFoldResult countElements(OpBuilder &b, Value value) {
  SizeMath m(b, value.getLoc());
  return m.product(m.dims(value));
}

//===----------------------------------------------------------------------===//
// ReduceOp
//===----------------------------------------------------------------------===//

static LogicalResult verifyKind(Operation *op, ReduceKind kind) {
  if (getElementTypeOrSelf(op->getOperand(0)).isInteger(1) && kind != ReduceKind::max &&
      kind != ReduceKind::min)
    return op->emitOpError("of booleans expects max (any) or min (all)");
  return success();
}

LogicalResult ReduceOp::verify() { return verifyKind(*this, getKind()); }

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ValueRange operands, DictionaryAttr attributes,
                                         OpaqueProperties properties, RegionRange regions,
                                         SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = cast<RankedTensorType>(operands[0].getType());
  if (!areAxes(op.getAxes(), type.getRank()))
    return emitOptionalError(loc, "expected rising axes below ", type.getRank(), ", found [",
                             op.getAxes(), "]");
  types.push_back(type.clone(reduceSizes(type.getShape(), op.getAxes(), op.getKeepdims(), int64_t(1))));
  return success();
}

LogicalResult ReduceOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getInput());
  dims.push_back(reduceSizes<OpFoldResult>(sizes, getAxes(), getKeepdims(), b.getIndexAttr(1)));
  return success();
}

/// All of a constant vector of integers, as shape arithmetic does it.
static Attribute foldVector(ReduceOp op, DenseIntElementsAttr elements) {
  auto type = cast<RankedTensorType>(op.getType());
  if (!elements || elements.getType().getRank() != 1 || op.getAxes().size() != 1 ||
      elements.getNumElements() == 0 || op.getKind() == ReduceKind::mean || !type.hasStaticShape())
    return {};
  bool isUnsigned = !elements.getElementType().isSignlessInteger() || elements.getElementType().isInteger(1);
  std::optional<APInt> result;
  for (const APInt &element : elements.getValues<APInt>()) {
    if (!result)
      result = element;
    else if (op.getKind() == ReduceKind::sum)
      *result += element;
    else if (op.getKind() == ReduceKind::prod)
      *result *= element;
    else {
      bool isLess = isUnsigned ? element.ult(*result) : element.slt(*result);
      if (element != *result && isLess == (op.getKind() == ReduceKind::min))
        result = element;
    }
  }
  return DenseElementsAttr::get(type, *result);
}

LogicalResult ReduceOp::buildScalars(OpBuilder &b, ArrayRef<SmallVector<Value>> operands,
                                     SmallVectorImpl<Value> &results) {
  // All elements of a vector of integers: what shape arithmetic needs.
  if (operands[0].empty() || getInput().getType().getRank() != 1 || getAxes().size() != 1 ||
      !getInput().getType().getElementType().isSignlessInteger(64))
    return failure();
  Value result = operands[0].front();
  for (Value element : ArrayRef(operands[0]).drop_front()) {
    switch (getKind()) {
    case ReduceKind::sum:
      result = arith::AddIOp::create(b, getLoc(), result, element);
      continue;
    case ReduceKind::prod:
      result = arith::MulIOp::create(b, getLoc(), result, element);
      continue;
    case ReduceKind::max:
      result = arith::MaxSIOp::create(b, getLoc(), result, element);
      continue;
    case ReduceKind::min:
      result = arith::MinSIOp::create(b, getLoc(), result, element);
      continue;
    case ReduceKind::mean:
      return failure();
    }
  }
  results.push_back(result);
  return success();
}

OpFoldResult ReduceOp::fold(FoldAdaptor adaptor) {
  if (getAxes().empty() && getInput().getType() == getType())
    return getInput();
  return foldVector(*this, dyn_cast_if_present<DenseIntElementsAttr>(adaptor.getInput()));
}

KernelRole ReduceOp::getKernelRole() { return KernelRole::Reduction; }
OpFoldResult ReduceOp::buildFlops(OpBuilder &b) { return countElements(b, getInput()); }

FailureOr<Operation *> ReduceOp::buildBeforeTranspose(OpBuilder &b, ArrayRef<int64_t> permutation,
                                                      ValueRange operands) {
  // Dimensions that go away leave a smaller permutation.
  if (!getKeepdims())
    return failure();
  SmallVector<int64_t> axes;
  for (int64_t axis : getAxes())
    axes.push_back(permutation[axis]);
  llvm::sort(axes);
  return ReduceOp::create(b, getLoc(), getKind(), operands[0], axes, /*keepdims=*/true).getOperation();
}

//===----------------------------------------------------------------------===//
// ReduceMarkedOp
//===----------------------------------------------------------------------===//

LogicalResult ReduceMarkedOp::verify() { return verifyKind(*this, getKind()); }

LogicalResult ReduceMarkedOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                               ValueRange operands, DictionaryAttr,
                                               OpaqueProperties, RegionRange,
                                               SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  auto marksType = cast<RankedTensorType>(operands[1].getType());
  if (marksType.getRank() != 1 || marksType.getDimSize(0) != type.getRank())
    return emitOptionalError(loc, "expected a mark for each of ", type.getRank(),
                             " dimensions, found ", marksType);
  KnownInts marks = getKnownInts(operands[1]).value_or(KnownInts(type.getRank()));
  SmallVector<int64_t> shape;
  for (auto [size, mark] : llvm::zip(type.getShape(), marks)) {
    bool isReduced = mark ? *mark != 0 : size == 1;
    shape.push_back(isReduced ? 1 : mark ? size : ShapedType::kDynamic);
  }
  types.push_back(type.clone(shape));
  return success();
}

LogicalResult ReduceMarkedOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> sizes;
  for (auto [i, size] : llvm::enumerate(m.dims(getInput())))
    sizes.push_back(m.select(SizeMath::Predicate::eq, m.element(getMarks(), i), m.constant(0), size,
                             m.constant(1)));
  dims.push_back(std::move(sizes));
  return success();
}

LogicalResult ReduceMarkedOp::canonicalize(ReduceMarkedOp op, PatternRewriter &rewriter) {
  std::optional<KnownInts> marks = getKnownInts(op.getMarks());
  if (!marks || !llvm::all_of(*marks, [](auto mark) { return mark.has_value(); }))
    return rewriter.notifyMatchFailure(op, "which dimensions are reduced is not known");
  SmallVector<int64_t> axes;
  for (auto [i, mark] : llvm::enumerate(*marks))
    if (*mark != 0)
      axes.push_back(i);
  rewriter.replaceOpWithNewOp<ReduceOp>(op, op.getType(), op.getKind(), op.getInput(), axes,
                                        /*keepdims=*/true);
  return success();
}

SmallVector<unsigned> ReduceMarkedOp::getShapeOperands() { return {1}; }
KernelRole ReduceMarkedOp::getKernelRole() { return KernelRole::Window; }
OpFoldResult ReduceMarkedOp::buildFlops(OpBuilder &b) { return countElements(b, getInput()); }

//===----------------------------------------------------------------------===//
// ArgReduceOp
//===----------------------------------------------------------------------===//

LogicalResult ArgReduceOp::verify() {
  if (getKind() != ReduceKind::max && getKind() != ReduceKind::min)
    return emitOpError("expects the kind max or min");
  return success();
}

LogicalResult ArgReduceOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                            ValueRange operands, DictionaryAttr attributes,
                                            OpaqueProperties properties, RegionRange regions,
                                            SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = cast<RankedTensorType>(operands[0].getType());
  int64_t axis = op.getAxis();
  if (axis < 0 || axis >= type.getRank())
    return emitOptionalError(loc, "axis ", axis, " is out of range for rank ", type.getRank());
  types.push_back(RankedTensorType::get(
      reduceSizes(type.getShape(), axis, op.getKeepdims(), int64_t(1)), IntegerType::get(context, 64)));
  return success();
}

LogicalResult ArgReduceOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getInput());
  int64_t axis = getAxis();
  dims.push_back(reduceSizes<OpFoldResult>(sizes, axis, getKeepdims(), b.getIndexAttr(1)));
  return success();
}

KernelRole ArgReduceOp::getKernelRole() { return KernelRole::Reduction; }
OpFoldResult ArgReduceOp::buildFlops(OpBuilder &b) { return countElements(b, getInput()); }

//===----------------------------------------------------------------------===//
// CumulativeOp
//===----------------------------------------------------------------------===//

LogicalResult CumulativeOp::verify() {
  if (getKind() != ReduceKind::sum && getKind() != ReduceKind::prod)
    return emitOpError("expects the kind sum or prod");
  return success();
}

LogicalResult CumulativeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                             ValueRange operands, DictionaryAttr attributes,
                                             OpaqueProperties properties, RegionRange regions,
                                             SmallVectorImpl<Type> &types) {
  Adaptor op(operands, attributes, properties, regions);
  auto type = cast<RankedTensorType>(operands[0].getType());
  int64_t axis = op.getAxis();
  if (axis < 0 || axis >= type.getRank())
    return emitOptionalError(loc, "axis ", axis, " is out of range for rank ", type.getRank());
  types.push_back(type);
  return success();
}

LogicalResult CumulativeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInput()));
  return success();
}

KernelRole CumulativeOp::getKernelRole() { return KernelRole::Alone; }
OpFoldResult CumulativeOp::buildFlops(OpBuilder &b) { return countElements(b, getInput()); }
