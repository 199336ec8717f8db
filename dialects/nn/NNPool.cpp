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
    Adaptor op(operands, nullptr, *p.as<Properties *>());                                          \
    FailureOr<SmallVector<int64_t>> shape = inferPoolShape(context, loc, op);                      \
    if (failed(shape))                                                                             \
      return failure();                                                                            \
    types.push_back(cast<RankedTensorType>(operands[0].getType()).clone(*shape));                  \
    if (hasIndices<Op>)                                                                            \
      types.push_back(RankedTensorType::get(*shape, IntegerType::get(context, 64)));               \
    return success();                                                                              \
  }

template <typename Op>
static constexpr bool hasIndices = std::is_same_v<Op, MaxPoolWithIndicesOp>;

POOL_OP(MaxPoolOp)
POOL_OP(MaxPoolWithIndicesOp)
POOL_OP(AvgPoolOp)
POOL_OP(LpPoolOp)

LogicalResult LpPoolOp::verify() {
  if (getP() < 1)
    return emitOpError("expects a positive p, found ") << getP();
  return success();
}
