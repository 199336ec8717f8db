//===- TrainingConverters.cpp - Gradients, steps of optimisers --*- C++ -*-===//
//
// The operators of ai.onnx.preview.training. Of optimisers: inputs: rate R, number of the
// step T, then n parameters X, n gradients G, and n of each state; outputs: the new X and
// states.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// What one parameter is updated from.
struct Update {
  Value parameter, gradient, states[2];
};

/// Arithmetic in a parameter's type.
class Step {
public:
  Step(NodeContext &c, Type type) : c(c), type(type) {}

  Value scalar(double value) { return c.scalarConstant(type, value); }
  Value cast(Value x) { return c.typeOf(x).getElementType() == type ? x : c.make<nn::CastOp>(x, type); }
  Value rate() { return cast(c.input(0)); }
  Value number() { return cast(c.input(1)); }
  Value add(Value l, Value r) { return c.make<nn::AddOp>(l, r); }
  Value sub(Value l, Value r) { return c.make<nn::SubOp>(l, r); }
  Value mul(Value l, Value r) { return c.make<nn::MulOp>(l, r); }
  Value div(Value l, Value r) { return c.make<nn::DivOp>(l, r); }
  Value sqrt(Value x) { return c.make<nn::SqrtOp>(x); }
  /// `yes` from the second step on.
  Value later(Value yes, Value no) {
    Value isLater = c.make<nn::CompareOp>(nn::ComparePredicate::gt, c.input(1),
                                          c.scalarConstant(c.inputType(1).getElementType(), 0));
    return c.make<nn::WhereOp>(isLater, yes, no);
  }
  /// factor * average + (1 - factor) * x
  Value move(double factor, Value average, Value x) {
    return add(mul(scalar(factor), average), mul(scalar(1 - factor), x));
  }

private:
  NodeContext &c;
  Type type;
};

} // namespace

/// Updates each parameter; `update` takes the gradient with the decay of weights in it
/// and writes the new values back.
static LogicalResult
convertOptimizer(NodeContext &c, unsigned stateCount,
                 llvm::function_ref<void(Step &, Update &)> update) {
  double decay = c.getFloat("norm_coefficient", 0);
  unsigned kinds = 2 + stateCount, count = (c.numInputs() - 2) / kinds;
  if (c.numInputs() < 2 + kinds || (c.numInputs() - 2) % kinds != 0 ||
      c.numOutputs() != count * (1 + stateCount))
    return c.error("it has " + Twine(c.numInputs()) + " inputs and " + Twine(c.numOutputs()) +
                   " outputs, expected 2 and " + Twine(kinds) + " for each parameter, and " +
                   Twine(1 + stateCount));
  for (unsigned i = 0; i < count; ++i) {
    auto input = [&](unsigned kind) { return c.input(2 + kind * count + i); };
    Update u{input(0), input(1), {input(2), stateCount > 1 ? input(3) : Value()}};
    Step step(c, c.typeOf(u.parameter).getElementType());
    for (Value other : {u.gradient, u.states[0], u.states[1]})
      if (other && c.typeOf(other) != c.typeOf(u.parameter) &&
          failed(verifyCompatibleShape(other.getType(), u.parameter.getType())))
        return c.error("parameter " + Twine(i) + ", its gradient and its states differ in shape");
    u.gradient = step.add(u.gradient, step.mul(step.scalar(decay), u.parameter));
    update(step, u);
    if (c.hadError())
      return failure();
    c.setResult(i, u.parameter);
    for (unsigned state = 0; state < stateCount; ++state)
      c.setResult((1 + state) * count + i, u.states[state]);
  }
  return success();
}

static LogicalResult convertMomentum(NodeContext &c) {
  double alpha = c.getFloat("alpha", 0), beta = c.getFloat("beta", 0);
  StringRef mode = c.getString("mode");
  if (mode != "standard" && mode != "nesterov")
    return c.error("attribute 'mode' is " + nn::quoted(mode) + ", expected standard or nesterov");
  return convertOptimizer(c, 1, [&](Step &s, Update &u) {
    Value factor = s.later(s.scalar(beta), s.scalar(1));
    u.states[0] = s.add(s.mul(s.scalar(alpha), u.states[0]), s.mul(factor, u.gradient));
    Value direction = mode == "standard" ? u.states[0]
                                         : s.add(u.gradient, s.mul(s.scalar(alpha), u.states[0]));
    u.parameter = s.sub(u.parameter, s.mul(s.rate(), direction));
  });
}

static LogicalResult convertAdagrad(NodeContext &c) {
  double decay = c.getFloat("decay_factor", 0), epsilon = c.getFloat("epsilon", 1e-6f);
  return convertOptimizer(c, 1, [&](Step &s, Update &u) {
    Value rate = s.div(s.rate(), s.add(s.scalar(1), s.mul(s.number(), s.scalar(decay))));
    u.states[0] = s.add(u.states[0], s.mul(u.gradient, u.gradient));
    Value scale = s.add(s.sqrt(u.states[0]), s.scalar(epsilon));
    u.parameter = s.sub(u.parameter, s.div(s.mul(rate, u.gradient), scale));
  });
}

static LogicalResult convertAdam(NodeContext &c) {
  double alpha = c.getFloat("alpha", 0.9f), beta = c.getFloat("beta", 0.999f),
         epsilon = c.getFloat("epsilon", 1e-6f), after = c.getFloat("norm_coefficient_post", 0);
  return convertOptimizer(c, 2, [&](Step &s, Update &u) {
    u.states[0] = s.move(alpha, u.states[0], u.gradient);
    u.states[1] = s.move(beta, u.states[1], s.mul(u.gradient, u.gradient));
    // Averages that began at 0 are too small at first.
    auto bias = [&](double factor) {
      return s.sub(s.scalar(1), c.make<nn::PowOp>(s.scalar(factor), s.number()));
    };
    Value corrected = s.div(s.mul(s.rate(), s.sqrt(bias(beta))), bias(alpha));
    Value rate = s.later(corrected, s.rate());
    Value scale = s.add(s.sqrt(u.states[1]), s.scalar(epsilon));
    Value moved = s.sub(u.parameter, s.div(s.mul(rate, u.states[0]), scale));
    u.parameter = s.mul(s.scalar(1 - after), moved);
  });
}

/// The inputs are values for the xs, then for the zs: mostly the graph's own.
static LogicalResult convertGradient(NodeContext &c) {
  SmallVector<StringRef> xs = c.getStrings("xs"), zs = c.getStrings("zs");
  if (xs.empty() || c.numInputs() != xs.size() + zs.size() || c.numOutputs() > xs.size())
    return c.error("it has " + Twine(c.numInputs()) + " inputs and " + Twine(c.numOutputs()) + " outputs, but " +
                   Twine(xs.size()) + " names in xs and " + Twine(zs.size()) + " in zs");
  SmallVector<Value> variables, others, at(c.allInputs());
  Value y = c.lookup(c.getString("y"));
  for (StringRef name : xs)
    variables.push_back(c.lookup(name));
  for (StringRef name : zs)
    others.push_back(c.lookup(name));
  if (!y || llvm::is_contained(variables, Value()) || llvm::is_contained(others, Value()) ||
      llvm::is_contained(at, Value()))
    return failure();
  for (auto [name, x] : llvm::zip_equal(xs, variables)) {
    auto type = dyn_cast<RankedTensorType>(x.getType());
    if (!type || !isa<FloatType>(type.getElementType()))
      return c.error("xs names " + nn::quoted(name) + ", which is no tensor of floating-point numbers");
    if (!x.getDefiningOp<nn::VariableOp>())
      return c.error("xs names " + nn::quoted(name) + ", a value of another graph, which is not supported");
  }
  if (auto type = dyn_cast<RankedTensorType>(y.getType()); !type || !isa<FloatType>(type.getElementType()))
    return c.error("y names " + nn::quoted(c.getString("y")) + ", which is no tensor of floating-point numbers");
  if (llvm::equal(llvm::concat<Value>(variables, others), at))
    at.clear();
  auto gradient = c.create<nn::GradientOp>(y, variables, others, at);
  return gradient ? c.setResults(SmallVector<Value>(gradient.getGradients())) : failure();
}

void nacre::frontend::registerTrainingConverters(ConverterTable &table) {
  StringRef domain = kTrainingDomain;
  table.add("Adagrad", convertAdagrad, domain);
  table.add("Adam", convertAdam, domain);
  table.add("Gradient", convertGradient, domain);
  table.add("Momentum", convertMomentum, domain);
}
