//===- Differentiate.cpp - Reverse-mode differentiation ---------*- C++ -*-===//
//
// Each op that a gradient reaches builds those of its operands
// (DifferentiableOpInterface). What is the same for all ops is done here: which values
// need a gradient, the sum of a value's gradients, and the sums over the dimensions that
// an operand was broadcast along.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiate.h"
#include "compiler/train/Anomalies.h"
#include "compiler/train/Differentiator.h"
#include "compiler/train/LoopShapes.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/TensorExpr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace nacre;
using nacre::train::Differentiator;

void Differentiator::addGradient(Location loc, Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? nn::AddOp::create(builder, loc, sum, gradient).getResult() : gradient;
}

LogicalResult Differentiator::run(ArrayRef<Operation *> given) {
  SmallVector<Operation *> ops = prepare(given);
  for (Operation *op : ops)
    learnShapes(op, dims);
  builder.setInsertionPoint(before);
  for (Operation *op : llvm::reverse(ops))
    if (failed(visit(op)))
      return failure();
  return success();
}

bool Differentiator::readsActive(Operation *op) {
  return op
      ->walk([&](Operation *inner) {
        return llvm::any_of(inner->getOperands(), [&](Value operand) { return active.contains(operand); })
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

SmallVector<Operation *> Differentiator::prepare(ArrayRef<Operation *> given) {
  SmallVector<Operation *> ops;
  auto add = [&](Operation *op) {
    ops.push_back(op);
    if (readsActive(op))
      for (Value result : op->getResults())
        if (nn::isArithmeticFloat(getElementTypeOrSelf(result.getType())))
          active.insert(result);
  };
  for (Operation *op : given) {
    bool hasParts = isa<nn::DecomposableOpInterface>(op) && !isa<nn::DifferentiableOpInterface>(op) && readsActive(op);
    SmallVector<Operation *> parts = hasParts ? decompose(op) : SmallVector<Operation *>();
    if (parts.empty())
      add(op);
    else
      llvm::for_each(parts, add);
  }
  return ops;
}

SmallVector<Operation *> Differentiator::decompose(Operation *op) {
  Operation *previous = op->getPrevNode();
  Block *block = op->getBlock();
  SmallVector<Value> results;
  builder.setInsertionPoint(op);
  if (failed(cast<nn::DecomposableOpInterface>(op).decompose(builder, results)))
    return {};
  for (auto [old, result] : llvm::zip_equal(op->getResults(), results)) {
    Value value = castTo(op->getLoc(), result, old.getType());
    old.replaceAllUsesWith(value);
    if (auto found = gradients.find(old); found != gradients.end()) {
      Value gradient = found->second;
      gradients.erase(found);
      gradients[value] = gradient;
    }
    dims.forget(old);
  }
  SmallVector<Operation *> parts;
  for (Operation *part = previous ? previous->getNextNode() : &block->front(); part != op; part = part->getNextNode())
    parts.push_back(part);
  op->erase();
  return parts;
}

LogicalResult Differentiator::visit(Operation *op) {
  SmallVector<Value> own;
  for (Value result : op->getResults())
    own.push_back(gradients.lookup(result));
  if (llvm::none_of(own, [](Value gradient) { return bool(gradient); }) || !readsActive(op))
    return success();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitFor(loop, own);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return visitWhile(loop, own);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return visitIf(branch, own);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return visitExtractSlice(slice, own[0]), success();
  if (auto slice = dyn_cast<tensor::InsertSliceOp>(op))
    return visitInsertSlice(slice, own[0]), success();
  if (auto same = dyn_cast<tensor::CastOp>(op)) {
    addGradient(op->getLoc(), same.getSource(), castTo(op->getLoc(), own[0], same.getSource().getType()));
    return success();
  }
  auto differentiable = dyn_cast<nn::DifferentiableOpInterface>(op);
  if (!differentiable)
    return op->emitError("has no gradient");
  SmallVector<Value> inner;
  if (failed(differentiable.buildGradient(builder, own, inner)))
    return op->emitError("has no gradient with these attributes");
  bool isElementwise = isa<nn::ElementwiseOpInterface>(op);
  for (auto [operand, gradient] : llvm::zip_equal(op->getOperands(), inner))
    if (gradient && active.contains(operand)) {
      if (OpBuilder plain(before); checks) // what `builder` makes goes if nothing uses it
        checkNumbers(plain, op->getLoc(), gradient, Anomaly::NotFinite,
                     describeUnnamed(op) + "the gradient of what it takes has a NaN or an infinity, the first on the way back");
      addGradient(op->getLoc(), operand,
                  sumToShape(op->getLoc(), gradient, operand, isElementwise ? op->getResult(0) : gradient));
    }
  return success();
}

Value Differentiator::castTo(Location loc, Value value, Type type) {
  return builder.createOrFold<tensor::CastOp>(loc, type, value); // folds where the type is the same
}

Value Differentiator::createZeros(Location loc, Value like) {
  Value zero = nn::TensorExpr(builder, loc, like).constant(0);
  if (cast<RankedTensorType>(like.getType()).getRank() == 0)
    return zero;
  Value sizes = nn::createSizes(builder, loc, dims.getDims(like));
  return castTo(loc, nn::BroadcastOp::create(builder, loc, zero, sizes), like.getType());
}

/// Sums a gradient over the dimensions that the operand was broadcast along. The
/// gradient's shape is that of `shape`.
Value Differentiator::sumToShape(Location loc, Value gradient, Value operand, Value shape) {
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

bool Differentiator::haveEqualSize(Value gradient, Value shape, int64_t i, Value operand, int64_t dim) {
  OpFoldResult size = dims.getDim(operand, dim);
  auto shapeType = cast<RankedTensorType>(shape.getType()), type = cast<RankedTensorType>(gradient.getType());
  return dims.areEqual(dims.getDim(gradient, i), size) ||
         (shapeType.getRank() == type.getRank() && dims.areEqual(dims.getDim(shape, i), size));
}

/// The sum along a dimension if the operand's size turns out to be 1 there.
Value Differentiator::sumAtRunTime(Location loc, Value gradient, Value operand, int64_t dim) {
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
        Value same = b.createOrFold<tensor::CastOp>(inner, type, gradient);
        scf::YieldOp::create(b, inner, same);
      });
  return branch.getResult(0);
}

FailureOr<SmallVector<Value>> train::differentiate(Value loss, ArrayRef<Value> variables, Operation *before,
                                                   graph::DimAnalysis &dims, bool checks) {
  Differentiator differentiator(before, dims, checks);
  SmallVector<Operation *> ops; // those of the model, before gradients join them
  for (Operation &op : llvm::make_range(before->getBlock()->begin(), before->getIterator()))
    ops.push_back(&op);
  for (Value variable : variables)
    differentiator.addVariable(variable);
  OpBuilder builder(loss.getContext(), &dims);
  builder.setInsertionPoint(before);
  Value one = nn::TensorExpr(builder, loss.getLoc(), loss).constant(1);
  if (cast<RankedTensorType>(loss.getType()).getRank() != 0)
    one = nn::BroadcastOp::create(builder, loss.getLoc(), one,
                                  nn::createSizes(builder, loss.getLoc(), dims.getDims(loss)));
  differentiator.addGradient(loss.getLoc(), loss, one);
  if (failed(differentiator.run(ops)))
    return failure();
  return llvm::map_to_vector(variables, [&](Value variable) { return differentiator.getGradient(variable); });
}
