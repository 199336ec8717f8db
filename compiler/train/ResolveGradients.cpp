//===- ResolveGradients.cpp - Gradients that the model asks for -*- C++ -*-===//
//
// Before: %v = nn.variable %x "x"
//         %y = nn.mul %v, %v
//         %g = nn.gradient %y by (%v)
// After:  %y = nn.mul %x, %x
//         %one = nn.broadcast 1 to the shape of %y
//         %g = nn.add (nn.mul %one, %x), (nn.mul %one, %x)
//
// One nn.gradient after the other, so that the next can differentiate what the one
// before has become. Where it asks for the derivative at other values than the graph's
// own, the ops in between are made again on these.
//
// Precondition: types inferred, shape arithmetic on scalars. Postcondition: no
// nn.gradient and no nn.variable is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Differentiate.h"
#include "compiler/train/Passes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/nn/TensorExpr.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nacre::train {
#define GEN_PASS_DEF_RESOLVEGRADIENTSPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;

namespace {

/// Replaces one nn.gradient.
class GradientResolver {
public:
  GradientResolver(nn::GradientOp op, graph::DimAnalysis &dims)
      : op(op), dims(dims), builder(op.getContext(), &dims), y(op.getY()), xs(op.getXs()), named(op.getXs()) {
    llvm::append_range(named, op.getZs());
    builder.setInsertionPoint(op);
  }

  LogicalResult run() {
    if (failed(checkPlaces()) || failed(checkIndependence()) || (!op.getAt().empty() && failed(evaluateElsewhere())))
      return failure();
    FailureOr<SmallVector<Value>> gradients = train::differentiate(y, xs, op, dims);
    if (failed(gradients))
      return op.emitError("cannot be computed, as an operator that it goes through has no gradient");
    for (auto [result, x, gradient] : llvm::zip_equal(op.getResults(), xs, *gradients)) {
      if (result.use_empty())
        continue;
      Value value = gradient ? gradient : createZeros(x);
      result.replaceAllUsesWith(builder.createOrFold<tensor::CastOp>(op.getLoc(), result.getType(), value));
    }
    return success();
  }

private:
  static std::string describe(Value x) {
    auto variable = x.getDefiningOp<nn::VariableOp>();
    return variable ? nn::quoted(variable.getName()) : "a value of zs";
  }

  /// What is computed in a graph around is not differentiated from within.
  LogicalResult checkPlaces() {
    if (y.getParentBlock() != op->getBlock())
      return op.emitError("differentiates a value of another graph, which is not supported");
    for (Value x : xs)
      if (x.getParentBlock() != op->getBlock())
        return op.emitError("differentiates by ") << describe(x) << " of another graph, which is not supported";
    return success();
  }

  /// The ops in front that depend on some of the values, in order.
  SmallVector<Operation *> findDependents(ArrayRef<Value> values) {
    llvm::DenseSet<Value> dependent(values.begin(), values.end());
    SmallVector<Operation *> ops;
    for (Operation &other : llvm::make_range(op->getBlock()->begin(), op->getIterator())) {
      WalkResult found = other.walk([&](Operation *inner) {
        bool reads = llvm::any_of(inner->getOperands(), [&](Value operand) { return dependent.contains(operand); });
        return reads ? WalkResult::interrupt() : WalkResult::advance();
      });
      if (!found.wasInterrupted())
        continue;
      ops.push_back(&other);
      dependent.insert_range(other.getResults());
    }
    return ops;
  }

  /// What "by x" means would be open if another variable depended on x.
  LogicalResult checkIndependence() {
    llvm::DenseSet<Value> variables(named.begin(), named.end());
    for (Operation *dependent : findDependents(named))
      for (Value result : dependent->getResults())
        if (variables.contains(result))
          return op.emitError("expects independent variables, but ")
                 << describe(result) << " is computed from another one";
    return success();
  }

  /// Makes the ops between the variables and y again, with the variables being `at`.
  LogicalResult evaluateElsewhere() {
    SmallVector<Value> roots(op.getXs());
    for (auto [variable, value] : llvm::zip_equal(named, op.getAt())) {
      if (variable == value)
        continue;
      // Sizes may be known from a variable that the ops do not read.
      if (variable.getType() != value.getType() || !haveEqualSizes(variable, value))
        return op.emitError("takes ") << describe(variable) << " as " << value.getType()
                                      << ", which is not known to have the shape of the graph's own value, "
                                      << variable.getType();
      if (!variable.getDefiningOp<nn::VariableOp>())
        return op.emitError("takes another value for one of zs that is no floating-point tensor, which is not "
                            "supported");
      roots.push_back(variable);
    }
    SmallVector<Operation *> between = findDependents(roots);
    IRMapping mapping;
    for (auto [variable, value] : llvm::zip_equal(named, op.getAt()))
      if (auto own = variable.getDefiningOp<nn::VariableOp>())
        mapping.map(variable, nn::VariableOp::create(builder, op.getLoc(), value, own.getName()).getResult());
    for (Operation *other : between) {
      if (!isMemoryEffectFree(other))
        return other->emitError("cannot be evaluated at other values, as a gradient asks for");
      builder.clone(*other, mapping);
    }
    y = mapping.lookupOrDefault(y);
    for (Value &x : xs)
      x = mapping.lookup(x);
    return success();
  }

  bool haveEqualSizes(Value l, Value r) {
    return llvm::all_of(llvm::zip(dims.getDims(l), dims.getDims(r)),
                        [](auto sizes) { return graph::DimAnalysis::areEqual(std::get<0>(sizes), std::get<1>(sizes)); });
  }

  Value createZeros(Value x) {
    nn::TensorExpr like(builder, op.getLoc(), x);
    return nn::BroadcastOp::create(builder, op.getLoc(), like.constant(0),
                                   nn::createSizes(builder, op.getLoc(), dims.getDims(x)));
  }

  nn::GradientOp op;
  graph::DimAnalysis &dims;
  OpBuilder builder;
  Value y;
  SmallVector<Value> xs;
  /// xs and zs as the op has them.
  SmallVector<Value> named;
};

struct ResolveGradientsPass : train::impl::ResolveGradientsPassBase<ResolveGradientsPass> {
  void runOnOperation() override {
    SmallVector<nn::GradientOp> gradients;
    getOperation().walk([&](nn::GradientOp op) { gradients.push_back(op); });
    graph::DimAnalysis dims(getOperation());
    for (nn::GradientOp op : gradients)
      if (failed(GradientResolver(op, dims).run()))
        return signalPassFailure();
    dims.eraseUnused();
    for (nn::GradientOp op : gradients)
      op.erase();
    getOperation().walk([](nn::VariableOp op) {
      op.replaceAllUsesWith(op.getInput());
      op.erase();
    });
  }
};

} // namespace
