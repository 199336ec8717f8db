//===- MakeTrainStep.cpp - Forward, backward and update ---------*- C++ -*-===//
//
// Before: nn.parameter trainable @w
//         func.func @main(%x) { %w = nn.get_parameter @w; %y = nn.matmul %x, %w; return %y }
// After:  nn.parameter trainable @w.momentum = dense<0.0>
//         func.func @step(%x, %labels, %learning_rate) {
//           %w = nn.get_parameter @w; %y = nn.matmul %x, %w
//           %loss = ... %y, %labels;  %dw = ...
//           %m = nn.add (nn.mul (nn.get_parameter @w.momentum), 0.9), %dw
//           %new = nn.sub %w, (nn.mul %m, %learning_rate)
//           nn.set_parameter @w, %new;  nn.set_parameter @w.momentum, %m
//           return %loss, %y }
//         and @main as it was
//
// Precondition: types inferred, shape arithmetic on scalars. Postcondition: @step exists
// and sets every parameter that is still trainable, after everything that reads one.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Anomalies.h"
#include "compiler/train/Differentiate.h"
#include "compiler/train/Groups.h"
#include "compiler/train/Losses.h"
#include "compiler/train/Passes.h"
#include "compiler/train/Precision.h"
#include "dialects/nn/Expr.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace nacre::train {
#define GEN_PASS_DEF_MAKETRAINSTEPPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using nn::TensorExpr;

namespace {

struct MakeTrainStepPass : train::impl::MakeTrainStepPassBase<MakeTrainStepPass> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    SymbolTable symbols(getOperation());
    groups.clear();
    if (failed(checkOptions(symbols)))
      return signalPassFailure();
    FailureOr<func::FuncOp> step = cloneMain(main, "step");
    if (failed(step) || failed(narrow(*step)))
      return signalPassFailure();
    graph::DimAnalysis dims(*step);
    if (failed(addTraining(*step, symbols, dims)))
      return signalPassFailure();
    dims.eraseUnused();
  }

private:
  LogicalResult narrow(func::FuncOp step) {
    if (!isNarrow(precision))
      return success();
    OpPassManager passes(func::FuncOp::getOperationName());
    passes.addPass(createNarrowComputePass({std::string(precision.entry->name)}));
    return runPipeline(passes, step);
  }

  /// A parameter that is trained, and how.
  struct Variable {
    nn::GetParameterOp get;
    nn::ParameterOp parameter;
    int group;
    Value gradient;
  };

  LogicalResult checkOptions(SymbolTable &symbols) {
    spec::Message message;
    if (!parseOptimizer(optimizer.getValue(), request, message) ||
        !parseGroups(groupText.getValue(), request, groups, message) ||
        !parsePrecision(precisionText.getValue(), precision, message))
      return getOperation().emitError(message.c_str());
    for (const Group &group : groups) {
      bool isUsed = false;
      std::string known;
      for (auto parameter : getOperation().getOps<nn::ParameterOp>())
        if (parameter.getTrainable()) {
          isUsed |= findGroup(group, parameter.getSymName()) == 0;
          known += (known.empty() ? "" : ", ") + parameter.getSymName().str();
        }
      if (!isUsed)
        return getOperation().emitError("no parameter is called '")
               << StringRef(group.text) << "', as a group has it: there are " << known;
    }
    if (clipNorm < 0 || clipValue < 0 || accumulate < 1 || !(average >= 0 && average < 1))
      return getOperation().emitError("expected clip-norm and clip-value from 0, accumulate from 1, average from 0 to "
                                      "below 1");
    return success();
  }

  LogicalResult addTraining(func::FuncOp step, SymbolTable &symbols, graph::DimAnalysis &dims) {
    StepBuilder builder(step, dims);
    FailureOr<Value> total = buildLosses(loss.getValue(), builder);
    if (failed(total))
      return failure();
    builder.addLoss(*total); // now: differentiation may put another loop in the place of the one that makes it
    SmallVector<Variable> variables = readVariables(step, symbols);
    auto gets = llvm::map_to_vector(variables, [](Variable &variable) -> Value { return variable.get; });
    auto parameters = llvm::to_vector(getOperation().getOps<nn::ParameterOp>()); // none of the step's own
    Operation *terminator = builder.getTerminator();
    if (detectAnomaly)
      checkForward(step);
    OpBuilder b(terminator);
    std::optional<LossScale> scale;
    if (needsLossScale(precision)) {
      scale.emplace(precision, accumulate, symbols, b, total->getLoc());
      total = scale->scale(TensorExpr(b, total->getLoc(), *total)).get();
    }
    FailureOr<SmallVector<Value>> gradients = train::differentiate(*total, gets, terminator, dims, detectAnomaly);
    if (failed(gradients))
      return failure();
    for (auto [variable, gradient] : llvm::zip(variables, *gradients))
      variable.gradient = gradient;
    llvm::erase_if(variables, [](Variable &variable) { return !variable.gradient; });
    if (OpBuilder b(terminator); detectAnomaly)
      for (Variable &variable : variables)
        checkNumbers(b, UnknownLoc::get(b.getContext()), variable.gradient, Anomaly::NotFinite,
                     "the gradient of the parameter '" + nn::printable(variable.parameter.getSymName()) +
                         "' has a NaN or an infinity, though nothing before has");
    bool hasConstants = llvm::any_of(getOperation().getOps<nn::ParameterOp>(), [&](nn::ParameterOp parameter) {
      return !parameter.getTrainable() && nn::isArithmeticFloat(parameter.getType().getElementType()) &&
             findGroup(groups, parameter.getSymName()) < 0;
    });
    llvm::DenseSet<Operation *> trained;
    for (Variable &variable : variables)
      trained.insert(variable.parameter);
    step.walk([&](nn::UpdateParameterOp update) {
      trained.insert(symbols.lookup<nn::ParameterOp>(update.getName()));
    });
    for (nn::ParameterOp parameter : parameters)
      if (parameter.getTrainable() && !trained.contains(parameter)) {
        parameter.setTrainable(false);
        parameter.emitRemark("'") << parameter.getSymName()
                                  << "' stays constant: the loss does not depend on it differentiably";
      }
    if (variables.empty())
      return step.emitError("there is nothing to train: the loss depends on no floating-point parameter")
             << (hasConstants ? " that is trainable, as in `nn.parameter trainable @w = ...`" : "");
    addUpdates(builder, variables, symbols, scale);
    return success();
  }

  /// The parameters that are trained: each is read once, at the start, however many uses it has.
  SmallVector<Variable> readVariables(func::FuncOp step, SymbolTable &symbols) {
    for (auto parameter : getOperation().getOps<nn::ParameterOp>())
      if (int group = findGroup(groups, parameter.getSymName()); group >= 0 && groups[group].isFrozen)
        parameter.setTrainable(false);
    llvm::DenseSet<Attribute> updated; // by what the model computes, not by a gradient
    step.walk([&](nn::UpdateParameterOp update) { updated.insert(update.getNameAttr()); });
    llvm::MapVector<StringAttr, nn::GetParameterOp> reads;
    step.walk([&](nn::GetParameterOp get) {
      if (!symbols.lookup<nn::ParameterOp>(get.getName()).getTrainable() || updated.contains(get.getNameAttr()))
        return;
      nn::GetParameterOp &first = reads[get.getNameAttr().getAttr()];
      if (first) {
        get.replaceAllUsesWith(first.getResult());
        get.erase();
        return;
      }
      first = get;
      get->moveBefore(&step.getBody().front(), step.getBody().front().begin());
    });
    SmallVector<Variable> variables;
    for (auto &[name, get] : reads)
      variables.push_back({get, symbols.lookup<nn::ParameterOp>(name), findGroup(groups, name), {}});
    return variables;
  }

  void addUpdates(StepBuilder &builder, MutableArrayRef<Variable> variables, SymbolTable &symbols,
                  std::optional<LossScale> &scale) {
    auto scalar = RankedTensorType::get({}, Float32Type::get(&getContext()));
    Value input = builder.addInput("learning_rate", scalar);
    OpBuilder b(builder.getTerminator());
    Location loc = variables.front().parameter.getLoc();
    TensorExpr rate = castTo(TensorExpr(b, loc, input), b.getF64Type());
    StepState batches(symbols, b), state(symbols, b);
    SmallVector<TensorExpr> gradients;
    for (Variable &variable : variables) {
      TensorExpr gradient = widen(b, variable, variable.gradient);
      gradients.push_back(scale ? scale->unscale(gradient) : gradient);
    }
    Value isDue = addAccumulation(b, loc, variables, gradients, batches);
    if (scale) { // what overflowed makes no update
      Value areFinite = scale->update(gradients, isDue);
      isDue = isDue ? nn::AndOp::create(b, loc, isDue, areFinite).getResult() : areFinite;
    }
    clip(gradients);
    SmallVector<std::pair<StringAttr, Value>> updates;
    for (auto [variable, gradient] : llvm::zip(variables, gradients)) {
      const Group *group = variable.group >= 0 ? &groups[variable.group] : nullptr;
      TensorExpr own = group && group->rateFactor != 1 ? rate * group->rateFactor : rate;
      std::string name = variable.parameter.getSymName().str();
      Update update(state, group ? group->optimizer : request, name,
                    group ? "." + std::to_string(variable.group) : std::string(),
                    widen(b, variable, variable.get), gradient, own);
      TensorExpr moved = buildUpdate(update);
      TensorExpr stored = castTo(moved, variable.parameter.getType().getElementType());
      if (isDue)
        stored = where(isDue, stored, stored.with(variable.get));
      if (average > 0) {
        // The first update's value, then a moving average, as PyTorch's AveragedModel.
        TensorExpr old = update.get("average"), rounded = castTo(stored, moved.getType().getElementType());
        update.set("average", where(update.count() == 1, rounded, old + (rounded - old) * (1 - average)));
      }
      updates.push_back({variable.get.getNameAttr().getAttr(), stored});
    }
    llvm::append_range(updates, batches.finish({}));
    llvm::append_range(updates, state.finish(isDue));
    if (scale)
      llvm::append_range(updates, scale->finish());
    // After all that reads.
    for (auto &[name, value] : updates)
      nn::SetParameterOp::create(b, value.getLoc(), name, value);
  }

  /// Narrow floats are computed in f32.
  TensorExpr widen(OpBuilder &b, Variable &variable, Value value) {
    Type element = variable.parameter.getType().getElementType();
    return castTo(TensorExpr(b, variable.parameter.getLoc(), value), nn::getComputeType(element));
  }

  /// Adds the gradients to those of the steps before, and makes them the mean. Whether this
  /// step makes an update; null: each does.
  Value addAccumulation(OpBuilder &b, Location loc, MutableArrayRef<Variable> variables, SmallVectorImpl<TensorExpr> &gradients,
                        StepState &state) {
    if (accumulate == 1)
      return {};
    auto type = RankedTensorType::get({}, b.getI64Type());
    auto constant = [&](int64_t value) {
      return nn::ConstantOp::create(b, loc, DenseElementsAttr::get(type, value)).getResult();
    };
    Value old = state.get("optimizer.batches", type, 0, loc), next = nn::AddOp::create(b, loc, old, constant(1));
    Value isDue = nn::CompareOp::create(b, loc, nn::ComparePredicate::eq, next, constant(accumulate));
    state.set("optimizer.batches", nn::WhereOp::create(b, loc, isDue, constant(0), next));
    for (auto [variable, gradient] : llvm::zip(variables, gradients)) {
      std::string name = (variable.parameter.getSymName() + ".gradient").str();
      TensorExpr sum = gradient.with(state.get(name, gradient.getType(), 0, gradient.getLoc())) + gradient;
      state.set(name, where(isDue, sum.constant(0), sum));
      gradient = sum / double(accumulate);
    }
    return isDue;
  }

  /// PyTorch's clip_grad_value_, then clip_grad_norm_.
  void clip(SmallVectorImpl<TensorExpr> &gradients) {
    if (clipValue > 0)
      for (TensorExpr &gradient : gradients)
        gradient = min(max(gradient, gradient.constant(-clipValue)), gradient.constant(clipValue));
    if (clipNorm == 0)
      return;
    std::optional<TensorExpr> squares;
    Type wide = Float64Type::get(&getContext());
    for (TensorExpr gradient : gradients) {
      TensorExpr own = castTo(sumAll(gradient * gradient), wide);
      squares = squares ? *squares + own : own;
    }
    TensorExpr norm = sqrt(*squares), factor = min(norm.constant(clipNorm) / (norm + 1e-6), norm.constant(1));
    for (TensorExpr &gradient : gradients)
      gradient = gradient * castTo(factor, gradient.getType().getElementType());
  }

  spec::Request request, precision;
  std::vector<Group> groups;
};

} // namespace
