//===- NNPool.cpp - Pooling -------------------------------------*- C++ -*-===//
#include "dialects/nn/NNShapes.h"
#include "dialects/nn/NNWindow.h"

using namespace mlir;
using namespace nacre::nn;

/// The shape of a pooling op's results.
template <typename Adaptor>
static FailureOr<SmallVector<int64_t>> inferPoolShape(MLIRContext *context,
                                                      std::optional<Location> loc, Adaptor op) {
  auto input = cast<RankedTensorType>(op.getInput().getType());
  int64_t rank = input.getRank();
  if (rank < 3)
    return emitOptionalError(loc, "expected an input of rank 3 or more, found ", input);
  if (failed(verifyWindow(loc, rank - 2, op.getStrides(), op.getDilations(), op.getPads())))
    return failure();
  if (static_cast<int64_t>(op.getKernel().size()) != rank - 2)
    return emitOptionalError(loc, "expected ", rank - 2, " kernel sizes, found ",
                             op.getKernel().size());
  for (int64_t size : op.getKernel())
    if (size < 1 || size > kMaxElements)
      return emitOptionalError(loc, "kernel sizes must be from 1 to ", kMaxElements, ", found ", size);
  SmallVector<int64_t> shape(input.getShape());
  for (int64_t i = 0; i < rank - 2; ++i) {
    int64_t dim = getFirstSpatialDim(op.getChannelsLast()) + i;
    FailureOr<int64_t> count =
        inferWindowCount(context, loc, shape[dim], op.getKernel()[i], getPoolDim(op, i, {}));
    if (failed(count))
      return failure();
    shape[dim] = *count;
  }
  return shape;
}

template <typename Op>
static SmallVector<OpFoldResult> reifyPoolShape(OpBuilder &b, Op op) {
  SmallVector<OpFoldResult> sizes = getDims(b, op.getLoc(), op.getInput());
  for (int64_t i = 0, e = op.getKernel().size(); i < e; ++i) {
    OpFoldResult &size = sizes[getFirstSpatialDim(op.getChannelsLast()) + i];
    size = getWindowCount(b, op.getLoc(), getPoolDim(op, i, size));
  }
  return sizes;
}

template <typename Op>
static void buildPoolChecks(OpBuilder &b, Op op, SmallVectorImpl<RuntimeCheck> &checks) {
  int64_t first = getFirstSpatialDim(op.getChannelsLast());
  for (int64_t i = 0, e = op.getKernel().size(); i < e; ++i)
    pushWindowCheck(b, op.getLoc(),
                    getPoolDim(op, i, getDim(b, op.getLoc(), op.getInput(), first + i)), checks);
}

/// The type that holds the taps of a window, and their number; null if none does.
static Type getTapType(MLIRContext *context, ArrayRef<int64_t> kernel) {
  int64_t taps = 1;
  for (int64_t size : kernel)
    taps = std::min(taps, kMaxElements) * std::min(size, kMaxElements >> 20);
  return taps <= INT8_MAX    ? IntegerType::get(context, 8)
         : taps <= INT32_MAX ? IntegerType::get(context, 32)
                             : IntegerType();
}

/// The types of a pooling op's results.
template <typename Op>
static LogicalResult inferPoolTypes(MLIRContext *context, std::optional<Location> loc, typename Op::Adaptor op,
                                    SmallVectorImpl<Type> &types) {
  FailureOr<SmallVector<int64_t>> shape = inferPoolShape(context, loc, op);
  if (failed(shape))
    return failure();
  Type element = getElementTypeOrSelf(op.getInput().getType());
  if constexpr (std::is_same_v<Op, MaxPoolTapsOp>)
    element = getTapType(context, op.getKernel());
  if (!element)
    return emitOptionalError(loc, "the window has more taps than ", INT32_MAX);
  types.push_back(RankedTensorType::get(*shape, element));
  if constexpr (std::is_same_v<Op, MaxPoolWithIndicesOp>)
    types.push_back(RankedTensorType::get(*shape, IntegerType::get(context, 64)));
  return success();
}

// What all pooling ops answer alike.
#define POOL_OP(Op)                                                                                \
  LogicalResult Op::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {           \
    dims.assign((*this)->getNumResults(), reifyPoolShape(b, *this));                               \
    return success();                                                                              \
  }                                                                                                \
  void Op::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {                      \
    buildPoolChecks(b, *this, checks);                                                             \
  }                                                                                                \
  KernelRole Op::getKernelRole() { return KernelRole::Window; }                                    \
  OpFoldResult Op::buildFlops(OpBuilder &b) {                                                      \
    SizeMath m(b, getLoc());                                                                       \
    return m.mul(m.product(m.dims(getResult())), m.constant(llvm::product_of(getKernel())));       \
  }                                                                                                \
  LogicalResult Op::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,            \
                                     ValueRange operands, DictionaryAttr, OpaqueProperties p,      \
                                     RegionRange, SmallVectorImpl<Type> &types) {                  \
    return inferPoolTypes<Op>(context, loc, Adaptor(operands, nullptr, *p.as<Properties *>()), types); \
  }

POOL_OP(MaxPoolOp)
POOL_OP(MaxPoolWithIndicesOp)
POOL_OP(MaxPoolTapsOp)
POOL_OP(AvgPoolOp)
POOL_OP(LpPoolOp)

LogicalResult LpPoolOp::verify() {
  if (getP() < 1)
    return emitOpError("expects a positive p, found ") << getP();
  return success();
}

LogicalResult MaxPoolTapsOp::verify() {
  RankedTensorType input = getInput().getType(), pooled = getPooled().getType();
  if (input.getElementType() != pooled.getElementType())
    return emitOpError("expects operands of one element type, found ") << input << " and " << pooled;
  if (failed(verifyCompatibleShape(pooled, getType())))
    return emitOpError("expects an element for each window as in ") << getType() << ", found " << pooled;
  return success();
}

//===----------------------------------------------------------------------===//
// ScatterTapsOp
//===----------------------------------------------------------------------===//

LogicalResult ScatterTapsOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties p, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  Adaptor op(operands, nullptr, *p.as<Properties *>());
  auto input = cast<RankedTensorType>(operands[0].getType());
  int64_t spatial = op.getKernel().size();
  if (input.getRank() != spatial + 2 || spatial == 0)
    return emitOptionalError(loc, "expected an input of rank ", spatial + 2, ", found ", input);
  if (failed(verifyWindow(loc, spatial, op.getStrides(), op.getDilations(), op.getPads())))
    return failure();
  if (cast<RankedTensorType>(op.getSizes().getType()).getShape() != ArrayRef(spatial))
    return emitOptionalError(loc, "expected ", spatial, " sizes, found ", op.getSizes().getType());
  SmallVector<int64_t> shape(input.getShape());
  for (int64_t i = 0; i < spatial; ++i) {
    FailureOr<int64_t> size = inferSize(loc, op.getSizes(), "a size", i);
    if (failed(size))
      return failure();
    shape[getFirstSpatialDim(op.getChannelsLast()) + i] = *size;
  }
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ScatterTapsOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t first = getFirstSpatialDim(getChannelsLast()), spatial = getKernel().size();
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i >= first && i < first + spatial ? getElementAsIndex(b, getLoc(), getSizes(), i - first)
                                             : getDim(b, getLoc(), getInput(), i);
  }));
  return success();
}

void ScatterTapsOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  using Predicate = SizeMath::Predicate;
  SizeMath m(b, getLoc());
  int64_t first = getFirstSpatialDim(getChannelsLast());
  for (int64_t i = 0, e = getKernel().size(); i < e; ++i) {
    OpFoldResult size = m.element(getSizes(), i);
    checks.push_back({m.compare(Predicate::sge, size, m.constant(0)), RuntimeCheck::Shape, "a size is negative"});
    OpFoldResult windows = getWindowCount(b, getLoc(), getPoolDim(*this, i, size));
    checks.push_back({m.compare(Predicate::eq, windows, m.dim(getInput(), first + i)), RuntimeCheck::Shape,
                      "there is not one element for each window"});
  }
}

SmallVector<unsigned> ScatterTapsOp::getShapeOperands() { return {2}; }

KernelRole ScatterTapsOp::getKernelRole() { return KernelRole::Window; }

OpFoldResult ScatterTapsOp::buildFlops(OpBuilder &b) { return b.getIndexAttr(0); }

LogicalResult ScatterTapsOp::verify() {
  if (failed(verifyCompatibleShape(getInput().getType(), getTaps().getType())))
    return emitOpError("expects one tap for each element of ") << getInput().getType() << ", found " << getTaps().getType();
  for (int64_t size : getKernel())
    if (size < 1 || size > kMaxElements)
      return emitOpError("expects kernel sizes from 1 to ") << kMaxElements << ", found " << size;
  return success();
}
