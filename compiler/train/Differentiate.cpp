//===- Differentiate.cpp - Reverse-mode differentiation ---------*- C++ -*-===//
//
// Each op that a gradient reaches builds those of its operands
// (DifferentiableOpInterface). What is the same for all ops is done here: which values
// need a gradient, the sum of a value's gradients, and the sums over the dimensions that
// an operand was broadcast along.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiate.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;

namespace {

class Differentiator {
public:
  Differentiator(Value loss, ArrayRef<Value> variables, Operation *before, graph::DimAnalysis &dims)
      : loss(loss), variables(variables), before(before), dims(dims), builder(loss.getContext(), &dims) {}

  FailureOr<SmallVector<Value>> run() {
    SmallVector<Operation *> ops; // those of the model, before gradients join them
    for (Operation &op : llvm::make_range(before->getBlock()->begin(), before->getIterator()))
      ops.push_back(&op);
    findActive(ops);
    builder.setInsertionPoint(before);
    if (active.contains(loss))
      gradients[loss] = createOnes();
    for (Operation *op : llvm::reverse(ops))
      if (failed(visit(op)))
        return failure();
    return llvm::map_to_vector(variables, [&](Value variable) { return gradients.lookup(variable); });
  }

private:
  Value createOnes() {
    Value one = nn::TensorExpr(builder, loss.getLoc(), loss).constant(1);
    if (cast<RankedTensorType>(loss.getType()).getRank() == 0)
      return one;
    Value sizes = nn::createSizes(builder, loss.getLoc(), dims.getDims(loss));
    return nn::BroadcastOp::create(builder, loss.getLoc(), one, sizes);
  }

  /// Values that depend on the variables through floats: only these need gradients.
  void findActive(ArrayRef<Operation *> ops) {
    active.insert_range(variables);
    for (Operation *op : ops)
      if (isActive(op))
        for (Value result : op->getResults())
          if (isa<FloatType>(getElementTypeOrSelf(result.getType())))
            active.insert(result);
  }

  /// Whether an op, or one in its regions, reads an active value.
  bool isActive(Operation *op) {
    return op
        ->walk([&](Operation *inner) {
          return llvm::any_of(inner->getOperands(), [&](Value operand) { return active.contains(operand); })
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  }

  LogicalResult visit(Operation *op) {
    SmallVector<Value> own;
    for (Value result : op->getResults())
      own.push_back(gradients.lookup(result));
    if (llvm::none_of(own, [](Value gradient) { return bool(gradient); }) || !isActive(op))
      return success();
    auto differentiable = dyn_cast<nn::DifferentiableOpInterface>(op);
    if (!differentiable)
      return op->emitError("has no gradient");
    SmallVector<Value> inner;
    if (failed(differentiable.buildGradient(builder, own, inner)))
      return op->emitError("has no gradient with these attributes");
    bool isElementwise = isa<nn::ElementwiseOpInterface>(op);
    for (auto [operand, gradient] : llvm::zip_equal(op->getOperands(), inner)) {
      if (!gradient || !active.contains(operand))
        continue;
      Value summed = sumToShape(op->getLoc(), gradient, operand, isElementwise ? op->getResult(0) : gradient);
      Value &sum = gradients[operand];
      sum = sum ? nn::AddOp::create(builder, op->getLoc(), sum, summed).getResult() : summed;
    }
    return success();
  }

  /// Sums a gradient over the dimensions that the operand was broadcast along. The
  /// gradient's shape is that of `shape`.
  Value sumToShape(Location loc, Value gradient, Value operand, Value shape) {
    auto type = cast<RankedTensorType>(gradient.getType()), target = cast<RankedTensorType>(operand.getType());
    int64_t extra = type.getRank() - target.getRank();
    SmallVector<int64_t> axes, ones, open;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      int64_t dim = i - extra;
      if (dim < 0) {
        axes.push_back(i);
      } else if (target.getDimSize(dim) == 1) {
        if (type.getDimSize(i) == 1)
          continue;
        axes.push_back(i);
        ones.push_back(dim);
      } else if (target.isDynamicDim(dim) && !haveEqualSize(gradient, shape, i, operand, dim)) {
        open.push_back(dim);
      }
    }
    if (!axes.empty())
      gradient = nn::ReduceOp::create(builder, loc, nn::ReduceKind::sum, gradient, axes, /*keepdims=*/false);
    if (!ones.empty())
      gradient = nn::UnsqueezeOp::create(builder, loc, gradient, ones);
    for (int64_t dim : open)
      gradient = sumAtRunTime(loc, gradient, operand, dim);
    return gradient;
  }

  bool haveEqualSize(Value gradient, Value shape, int64_t i, Value operand, int64_t dim) {
    OpFoldResult size = dims.getDim(operand, dim);
    auto shapeType = cast<RankedTensorType>(shape.getType()), type = cast<RankedTensorType>(gradient.getType());
    return dims.areEqual(dims.getDim(gradient, i), size) ||
           (shapeType.getRank() == type.getRank() && dims.areEqual(dims.getDim(shape, i), size));
  }

  /// The sum along a dimension if the operand's size turns out to be 1 there.
  Value sumAtRunTime(Location loc, Value gradient, Value operand, int64_t dim) {
    Value size = getValueOrCreateConstantIndexOp(builder, loc, dims.getDim(operand, dim));
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value isOne = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, size, one);
    auto type = cast<RankedTensorType>(gradient.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[dim] = ShapedType::kDynamic;
    type = type.clone(shape);
    OpBuilder plain(before); // the sizes of what scf.if makes are asked of it
    auto branch = scf::IfOp::create(
        plain, loc, isOne,
        [&](OpBuilder &b, Location inner) {
          Value sum = nn::ReduceOp::create(b, inner, type, nn::ReduceKind::sum, gradient, dim, /*keepdims=*/true);
          scf::YieldOp::create(b, inner, sum);
        },
        [&](OpBuilder &b, Location inner) {
          Value same = gradient.getType() == type ? gradient : tensor::CastOp::create(b, inner, type, gradient);
          scf::YieldOp::create(b, inner, same);
        });
    return branch.getResult(0);
  }

  Value loss;
  ArrayRef<Value> variables;
  Operation *before;
  graph::DimAnalysis &dims;
  OpBuilder builder;
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, Value> gradients;
};

} // namespace

FailureOr<SmallVector<Value>> train::differentiate(Value loss, ArrayRef<Value> variables, Operation *before,
                                                   graph::DimAnalysis &dims) {
  return Differentiator(loss, variables, before, dims).run();
}
