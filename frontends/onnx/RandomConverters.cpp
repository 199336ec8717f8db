//===- RandomConverters.cpp - Random numbers and Dropout --------*- C++ -*-===//
//
// All are made of nn.random. What its numbers depend on is decided here: the session's
// seed or the node's own, the number of the run, the iterations of the loops around, and
// a stream. So two nodes differ, and two calls of a function, and two runs; two nodes with
// the same seed do not.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/rt/RtOps.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/ShapeVectors.h"
#include <numbers>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::ComparePredicate;

namespace {

/// What one node draws.
class RandomSource {
public:
  RandomSource(NodeContext &c, std::optional<uint64_t> seed)
      : c(c), v(c), key(createKey(seed)), stream(c.takeRandomStreams(2, seed.has_value())) {}

  /// Numbers in [0, 1), different ones with each call: two at most.
  Value uniform(Value shape, Type element) {
    return shape ? c.make<nn::RandomOp>(key, shape, stream++, element) : Value();
  }

  /// Numbers of mean 0 and variance 1: the polar angle and the radius of two of them are
  /// independent (Box and Muller 1958).
  Value normal(Value shape, Type element) {
    auto scalar = [&](double value) { return c.scalarConstant(element, value); };
    Value positive = v.sub(scalar(1), uniform(shape, element)); // in (0, 1]
    Value angle = v.mul(uniform(shape, element), scalar(2 * std::numbers::pi));
    if (!positive || !angle)
      return {};
    Value radius = c.make<nn::SqrtOp>(v.mul(c.make<nn::LogOp>(positive), scalar(-2)));
    return v.mul(radius, c.make<nn::CosOp>(angle));
  }

private:
  Value constant(uint64_t value) { return arith::ConstantIntOp::create(c.getBuilder(), c.getLoc(), int64_t(value), 64); }

  /// A number that depends on both in each bit: a step of SplitMix64 (Steele et al. 2014).
  nn::Expr mix(nn::Expr key, Value number) {
    auto shifted = [&](nn::Expr x, uint64_t bits) { return x ^ x.apply<arith::ShRUIOp>(x.with(constant(bits))); };
    key = key + (key.with(number) + 1) * key.with(constant(0x9E3779B97F4A7C15));
    key = shifted(key, 30) * key.with(constant(0xBF58476D1CE4E5B9));
    key = shifted(key, 27) * key.with(constant(0x94D049BB133111EB));
    return shifted(key, 31);
  }

  Value createKey(std::optional<uint64_t> seed) {
    OpBuilder &b = c.getBuilder();
    Location loc = c.getLoc();
    nn::Expr made(b, loc, seed ? constant(*seed) : rt::SeedOp::create(b, loc, b.getI64Type()).getResult());
    made = mix(made, rt::RunOp::create(b, loc, b.getI64Type()));
    for (Value iteration : getIterations(b))
      made = mix(made, arith::IndexCastOp::create(b, loc, b.getI64Type(), iteration));
    return made;
  }

  NodeContext &c;
  ShapeVectors v;
  Value key;
  int64_t stream;
};

} // namespace

/// The attribute `seed` of all but Dropout.
static std::optional<uint64_t> getSeed(NodeContext &c) {
  auto seed = c.getOptionalFloat("seed");
  return seed ? std::optional(llvm::bit_cast<uint64_t>(*seed)) : std::nullopt;
}

/// The type that numbers of a type are drawn in.
static Type getDrawnType(Type element) {
  return element.isF64() ? element : Type(Float32Type::get(element.getContext()));
}

/// By the attribute `dtype`, or like a tensor.
static Type getResultType(NodeContext &c, Value like) {
  if (like && !c.hasAttr("dtype"))
    return c.typeOf(like).getElementType();
  return c.elementType(c.getInt("dtype", 1));
}

static Value getShape(NodeContext &c, bool isLike) {
  if (isLike)
    return c.make<nn::ShapeOp>(c.input(0));
  SmallVector<int64_t> shape = c.getInts("shape");
  auto rank = ShapeVectors(c).withinLimit(shape.size(), "sizes");
  return rank ? c.intsConstant(shape) : Value();
}

template <bool isLike, bool isNormal> static LogicalResult convertRandom(NodeContext &c) {
  ShapeVectors v(c);
  double from = c.getFloat(isNormal ? "mean" : "low", 0);
  double scale = c.getFloat(isNormal ? "scale" : "high", 1) - (isNormal ? 0 : from);
  Type type = getResultType(c, isLike ? c.input(0) : Value());
  if (!type)
    return failure();
  if (!isa<FloatType>(type))
    return c.error("random numbers of another kind than floating point are not supported: dtype");
  Type drawn = getDrawnType(type);
  RandomSource random(c, getSeed(c));
  Value shape = getShape(c, isLike);
  Value numbers = isNormal ? random.normal(shape, drawn) : random.uniform(shape, drawn);
  Value moved = v.add(v.mul(numbers, c.scalarConstant(drawn, scale)), c.scalarConstant(drawn, from));
  return c.replaceWith(v.cast(moved, type));
}

static LogicalResult convertBernoulli(NodeContext &c) {
  ShapeVectors v(c);
  Type type = getResultType(c, c.input(0)), drawn = getDrawnType(c.inputType(0).getElementType());
  if (!type)
    return failure();
  RandomSource random(c, getSeed(c));
  Value numbers = random.uniform(getShape(c, /*isLike=*/true), drawn);
  return c.replaceWith(v.cast(v.compare(ComparePredicate::lt, numbers, v.cast(c.input(0), drawn)), type));
}

/// The class is the number of those whose probabilities, added up, do not exceed what is
/// drawn. [N, classes] → [N, samples]
static LogicalResult convertMultinomial(NodeContext &c) {
  ShapeVectors v(c);
  int64_t samples = c.getInt("sample_size", 1);
  Type type = c.elementType(c.getInt("dtype", 6)), drawn = getDrawnType(c.inputType(0).getElementType());
  if (c.rankOf(c.input(0)) != 2 || c.inputType(0).getDimSize(1) == 0)
    return c.error("the input is not a matrix of classes: rank " + Twine(c.rankOf(c.input(0))));
  if (samples < 0)
    return c.error("attribute 'sample_size' is " + Twine(samples) + ", expected no negative number");
  if (!type)
    return failure();
  Value x = v.cast(c.input(0), drawn);
  Value probabilities = c.make<nn::SoftmaxOp>(x, int64_t(1), /*log=*/false);
  Value sums = c.make<nn::CumulativeOp>(nn::ReduceKind::sum, probabilities, 1, false, false);
  Value total = c.make<nn::ReduceOp>(nn::ReduceKind::max, sums, ArrayRef<int64_t>{1}, /*keepdims=*/true);
  RandomSource random(c, getSeed(c));
  Value numbers = v.mul(random.uniform(v.concat({v.size(c.input(0), 0), v.constant(samples)}), drawn), total);
  if (!numbers)
    return failure();
  Value isPassed = v.compare(ComparePredicate::le, c.make<nn::UnsqueezeOp>(sums, ArrayRef<int64_t>{1}),
                             c.make<nn::UnsqueezeOp>(numbers, ArrayRef<int64_t>{2}));
  Value classes = c.make<nn::ReduceOp>(nn::ReduceKind::sum, v.cast(isPassed, type), ArrayRef<int64_t>{2},
                                       /*keepdims=*/false);
  return c.replaceWith(classes);
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// How much is dropped: 0 outside of training. Known or a scalar; neither after an error.
struct DropRatio {
  std::optional<double> known;
  Value value;
};

static DropRatio getDropRatio(NodeContext &c, Type drawn) {
  ShapeVectors v(c);
  if (c.version() < 12) {
    double ratio = c.getFloat("ratio", 0.5f);
    bool isTest = c.version() >= 7 || c.getFlag("is_test");
    return {isTest && !c.isTraining() ? 0 : ratio, {}};
  }
  DropRatio ratio{0.5, {}};
  if (c.hasInput(1)) {
    auto given = c.constantFloats(c.input(1));
    ratio.known = given && given->size() == 1 ? std::optional(given->front()) : std::nullopt;
    if (!ratio.known)
      ratio.value = v.toScalar(v.cast(c.input(1), drawn));
  }
  auto training = c.hasInput(2) ? c.constantInts(c.input(2)) : SmallVector<int64_t>{0};
  if (training && training->size() == 1)
    return training->front() || c.isTraining() ? ratio : DropRatio{0, {}};
  Value yes = ratio.known ? c.scalarConstant(drawn, *ratio.known) : ratio.value;
  return {std::nullopt, v.select(v.toScalar(c.input(2)), yes, c.scalarConstant(drawn, 0))};
}

/// Whether the file says itself, at run time, when elements are dropped.
static bool choosesAtRunTime(NodeContext &c) {
  return c.version() >= 12 && c.hasInput(2) && !c.constantInts(c.input(2));
}

/// Until opset 9 the mask had the input's type. Compiled for training, inference drops
/// nothing and a training step does, whatever the file says.
static LogicalResult convertDropout(NodeContext &c) {
  ShapeVectors v(c);
  if (c.version() < 6)
    c.ignoreAttr("consumed_inputs"); // what executors may overwrite
  auto seed = c.getOptionalInt("seed");
  Value x = c.input(0);
  Type type = c.inputType(0).getElementType(), drawn = getDrawnType(type);
  Type maskType = c.version() < 10 ? type : Type(c.getBuilder().getI1Type());
  DropRatio ratio = getDropRatio(c, drawn);
  if (c.hadError())
    return failure();
  auto keepAll = [&]() -> Value {
    return c.hasOutput(1) ? v.broadcast(v.cast(c.scalarConstant(c.getBuilder().getI64Type(), 1), maskType), v.shape(x))
                          : Value();
  };
  if (ratio.known && *ratio.known == 0) {
    c.setResult(0, x);
    if (c.hasOutput(1))
      c.setResult(1, keepAll());
    return success();
  }
  if (ratio.known && !(*ratio.known > 0 && *ratio.known < 1))
    return c.error("the ratio is " + Twine(std::to_string(*ratio.known)) + ", expected a number in [0, 1)");
  Value dropped = ratio.known ? c.scalarConstant(drawn, *ratio.known) : ratio.value;
  if (!ratio.known) {
    Value isPart = v.compare(ComparePredicate::lt, dropped, c.scalarConstant(drawn, 1));
    Value isNumber = v.compare(ComparePredicate::ge, dropped, c.scalarConstant(drawn, 0));
    if (!isPart || !isNumber || failed(c.require(c.make<nn::AndOp>(isPart, isNumber), "the ratio is not in [0, 1)")))
      return failure();
  }
  RandomSource random(c, seed);
  Value isKept = v.compare(ComparePredicate::ge, random.uniform(v.shape(x), drawn), dropped);
  Value scale = v.div(c.scalarConstant(drawn, 1), v.sub(c.scalarConstant(drawn, 1), dropped));
  Value scaled = v.cast(v.mul(v.cast(x, drawn), scale), type);
  Value mask = v.cast(isKept, maskType), result = v.select(isKept, scaled, c.scalarConstant(type, 0));
  if (c.isTraining() && !choosesAtRunTime(c)) {
    result = c.make<nn::InTrainingOp>(result, x);
    if (c.hasOutput(1))
      mask = c.make<nn::InTrainingOp>(mask, keepAll());
  }
  c.setResult(1, mask);
  c.setResult(0, result);
  return success(!c.hadError());
}

void nacre::frontend::registerRandomConverters(ConverterTable &table) {
  table.add("Bernoulli", convertBernoulli);
  table.add("Dropout", convertDropout);
  table.add("Multinomial", convertMultinomial);
  table.add("RandomNormal", convertRandom<false, true>);
  table.add("RandomNormalLike", convertRandom<true, true>);
  table.add("RandomUniform", convertRandom<false, false>);
  table.add("RandomUniformLike", convertRandom<true, false>);
}
