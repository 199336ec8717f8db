//===- ContribConverters.cpp - ONNX Runtime's own operators -----*- C++ -*-===//
//
// Operators of the domain com.microsoft, as optimisers and exporters write them. Here:
// activations, products, convolutions and normalisations.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Contrib.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using namespace nacre::frontend::contrib;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

LogicalResult contrib::checkInputs(NodeContext &c, unsigned least, unsigned most) {
  if (c.numInputs() > most || c.numInputs() < least)
    return c.error("it has " + Twine(c.numInputs()) + " inputs, expected " + Twine(least) + " to " + Twine(most));
  for (unsigned i = 0; i < least; ++i)
    if (!c.hasInput(i))
      return c.error("input " + Twine(i) + " is missing");
  return success();
}

LogicalResult contrib::checkRank(NodeContext &c, unsigned index, int64_t rank) {
  if (c.rankOf(c.input(index)) == rank)
    return success();
  return c.error("input " + Twine(index) + " has rank " + Twine(c.rankOf(c.input(index))) + ", expected " + Twine(rank));
}

Value contrib::addIfThere(NodeContext &c, Value lhs, Value rhs) {
  return lhs && rhs ? c.make<nn::AddOp>(lhs, rhs) : lhs;
}

Value contrib::reshape(NodeContext &c, Value tensor, ArrayRef<Value> sizes) {
  Value shape = ShapeVectors(c).concat(sizes);
  return tensor && shape ? c.make<nn::ReshapeOp>(tensor, shape, /*allowzero=*/true) : Value();
}

Value contrib::transpose(NodeContext &c, Value tensor, ArrayRef<int64_t> permutation) {
  return tensor ? c.make<nn::TransposeOp>(tensor, permutation) : Value();
}

Value contrib::cut(NodeContext &c, Value tensor, int64_t axis, Value begin, Value end) {
  if (!tensor)
    return {};
  ShapeVectors v(c);
  int64_t behind = c.rankOf(tensor) - axis - 1;
  Value starts = v.concat({v.repeat(0, axis), begin, v.repeat(0, behind)});
  Value ends = v.concat({v.repeat(INT64_MAX, axis), end, v.repeat(INT64_MAX, behind)});
  return starts && ends ? c.make<nn::SliceOp>(tensor, starts, ends, v.repeat(1, c.rankOf(tensor))) : Value();
}

static Value multiply(NodeContext &c, Value x, double factor) {
  if (!x || factor == 1)
    return x;
  return c.make<nn::MulOp>(x, c.scalarConstant(c.typeOf(x).getElementType(), factor));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

template <bool isTanh> static LogicalResult convertGelu(NodeContext &c) {
  if (failed(checkInputs(c, 1, 2)))
    return failure();
  Value x = addIfThere(c, c.input(0), c.input(1));
  return x ? c.replaceWith<nn::GeluOp>(x, isTanh) : failure();
}

/// x * sigmoid(alpha * x)
static LogicalResult convertQuickGelu(NodeContext &c) {
  double alpha = c.getFloat("alpha", 1.702f);
  if (failed(checkInputs(c, 1, 1)))
    return failure();
  Value scaled = multiply(c, c.input(0), alpha), gate = scaled ? c.make<nn::SigmoidOp>(scaled) : Value();
  return gate ? c.replaceWith<nn::MulOp>(c.input(0), gate) : failure();
}

/// One half of the last dimension times the other's gelu.
static LogicalResult convertBiasSplitGelu(NodeContext &c) {
  if (failed(checkInputs(c, 2, 2)))
    return failure();
  ShapeVectors v(c);
  Value x = addIfThere(c, c.input(0), c.input(1));
  if (!x || c.rankOf(x) < 1)
    return c.error("expected an input of rank 1 or more");
  int64_t last = c.rankOf(x) - 1;
  Value half = v.div(v.size(x, last), 2), end = v.constant(INT64_MAX);
  Value left = cut(c, x, last, v.constant(0), half), right = cut(c, x, last, half, end);
  Value gate = right ? c.make<nn::GeluOp>(right, /*tanh=*/false) : Value();
  return left && gate ? c.replaceWith<nn::MulOp>(left, gate) : failure();
}

/// What fused operators end with, by its name and numbers.
static Value activate(NodeContext &c, Value x, StringRef name, ArrayRef<double> numbers) {
  if (!x || name.empty())
    return x;
  Type element = c.typeOf(x).getElementType();
  auto number = [&](size_t i, double otherwise) { return i < numbers.size() ? numbers[i] : otherwise; };
  if (name == "Relu")
    return c.make<nn::ReluOp>(x);
  if (name == "Tanh")
    return c.make<nn::TanhOp>(x);
  if (name == "Sigmoid")
    return c.make<nn::SigmoidOp>(x);
  if (name == "LeakyRelu")
    return c.make<nn::LeakyReluOp>(x, APFloat(number(0, 0.01f)));
  if (name == "HardSigmoid")
    return c.make<nn::HardSigmoidOp>(x, APFloat(number(0, 0.2f)), APFloat(number(1, 0.5f)));
  if (name == "Clip")
    return c.make<nn::MinOp>(c.make<nn::MaxOp>(x, c.scalarConstant(element, number(0, -3.402823466e+38))),
                             c.scalarConstant(element, number(1, 3.402823466e+38)));
  (void)c.error("the activation " + nn::quoted(name) + " is not supported");
  return {};
}

//===----------------------------------------------------------------------===//
// Products, convolutions
//===----------------------------------------------------------------------===//

static LogicalResult convertFusedMatMul(NodeContext &c) {
  if (failed(checkInputs(c, 2, 2)))
    return failure();
  double alpha = c.getFloat("alpha", 1);
  bool flags[2] = {c.getFlag("transA"), c.getFlag("transB")}, batch[2] = {c.getFlag("transBatchA"), c.getFlag("transBatchB")};
  Value operands[2];
  for (unsigned i : {0u, 1u}) {
    int64_t rank = c.rankOf(c.input(i));
    if (rank < 2)
      return c.error("input " + Twine(i) + " has rank " + Twine(rank) + ", expected 2 or more");
    // The first dimension moves in front of the last.
    auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::rotate(permutation.begin(), permutation.begin() + 1, permutation.end() - 1);
    operands[i] = batch[i] ? transpose(c, c.input(i), permutation) : c.input(i);
  }
  if (c.hadError())
    return failure();
  Value product = c.make<nn::MatMulOp>(operands[0], operands[1], flags[0], flags[1]);
  return c.replaceWith(multiply(c, product, alpha));
}

static LogicalResult convertFusedGemm(NodeContext &c) {
  if (failed(checkInputs(c, 2, 3)) || failed(checkRank(c, 0, 2)) || failed(checkRank(c, 1, 2)))
    return failure();
  double alpha = c.getFloat("alpha", 1), beta = c.getFloat("beta", 1);
  bool transA = c.getFlag("transA"), transB = c.getFlag("transB");
  StringRef activation = c.getString("activation");
  SmallVector<double> numbers;
  for (StringRef name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (auto number = c.getOptionalFloat(name))
      numbers.push_back(*number);
  Value sum = multiply(c, c.make<nn::MatMulOp>(c.input(0), c.input(1), transA, transB), alpha);
  if (c.hasInput(2))
    sum = addIfThere(c, sum, multiply(c, c.input(2), beta));
  return c.replaceWith(activate(c, sum, activation, numbers));
}

static LogicalResult convertFusedConv(NodeContext &c) {
  if (failed(checkInputs(c, 2, 4)))
    return failure();
  StringRef activation = c.getString("activation");
  SmallVector<double> numbers = c.hasAttr("activation_params") ? c.getFloats("activation_params") : SmallVector<double>();
  Value result = makeConv(c, c.input(0), c.input(1), c.input(2));
  return c.replaceWith(activate(c, addIfThere(c, result, c.input(3)), activation, numbers));
}

/// Input and result have their channels last; the weight is [O, C, K1..Kn].
static LogicalResult convertNhwcConv(NodeContext &c) {
  if (failed(checkInputs(c, 2, 3)))
    return failure();
  int64_t rank = c.rankOf(c.input(0));
  if (rank < 3)
    return c.error("the input has rank " + Twine(rank) + ", expected 3 or more");
  auto toFront = llvm::to_vector(llvm::seq<int64_t>(0, rank)), toBack = toFront;
  std::rotate(toFront.begin() + 1, toFront.end() - 1, toFront.end());
  std::rotate(toBack.begin() + 1, toBack.begin() + 2, toBack.end());
  Value x = transpose(c, c.input(0), toFront);
  return c.replaceWith(transpose(c, x ? makeConv(c, x, c.input(1), c.input(2)) : Value(), toBack));
}

//===----------------------------------------------------------------------===//
// Normalisations
//===----------------------------------------------------------------------===//

/// Rows normalised, scaled and moved; `rms` without their means.
static Value normalizeRows(NodeContext &c, Value x, Value scale, Value bias, double epsilon, bool rms) {
  if (!x || c.rankOf(x) == 0)
    return {};
  Value y = c.make<nn::NormalizeOp>(x, ArrayRef<int64_t>{c.rankOf(x) - 1}, APFloat(epsilon), rms);
  return addIfThere(c, c.make<nn::MulOp>(y, scale), bias);
}

/// Also in the default domain, where ONNX Runtime had it before there was RMSNormalization.
static LogicalResult convertSimplifiedLayerNorm(NodeContext &c) {
  if (failed(checkInputs(c, 2, 2)))
    return failure();
  int64_t rank = c.rankOf(c.input(0));
  auto axis = c.normalizeAxis(c.getInt("axis", -1), rank);
  double epsilon = c.getFloat("epsilon", 1e-5f);
  if (c.getInt("stash_type", 1) != 1)
    return c.error("'stash_type' is " + Twine(c.getInt("stash_type", 1)) + ", expected 1");
  if (!axis)
    return failure();
  auto axes = llvm::to_vector(llvm::seq<int64_t>(*axis, rank));
  c.setResult(0, c.make<nn::MulOp>(c.make<nn::NormalizeOp>(c.input(0), axes, APFloat(epsilon), true), c.input(1)));
  if (c.hasOutput(1)) {
    ShapeVectors v(c);
    Type wide = c.getBuilder().getF32Type();
    Value x = v.cast(c.input(0), wide), squares = v.mul(x, x);
    Value mean = squares ? c.make<nn::ReduceOp>(nn::ReduceKind::mean, squares, axes, /*keepdims=*/true) : Value();
    Value moved = v.add(mean, c.scalarConstant(wide, epsilon));
    c.setResult(1, moved ? c.make<nn::ReciprocalOp>(c.make<nn::SqrtOp>(moved)) : Value());
  }
  return success(!c.hadError());
}

/// Of a sum; the sum itself is the fourth output.
template <bool rms> static LogicalResult convertSkipLayerNorm(NodeContext &c) {
  if (failed(checkInputs(c, 3, rms ? 4 : 5)))
    return failure();
  double epsilon = c.getFloat("epsilon", 1e-12f);
  Value beta = rms ? Value() : c.input(3), bias = c.input(rms ? 3 : 4);
  Value sum = addIfThere(c, addIfThere(c, c.input(0), c.input(1)), bias);
  c.setResult(0, normalizeRows(c, sum, c.input(2), beta, epsilon, rms));
  for (unsigned i : {1u, 2u})
    if (c.hasOutput(i))
      return c.error("output " + Twine(i) + ", of training, is not supported");
  if (c.hasOutput(3))
    c.setResult(3, sum);
  return success(!c.hadError());
}

/// The rows of three tables added up: of words, places and segments.
static LogicalResult convertEmbedLayerNorm(NodeContext &c) {
  if (failed(checkInputs(c, 1, 9)) || failed(checkRank(c, 0, 2)))
    return failure();
  for (unsigned i : {2u, 3u, 5u, 6u})
    if (!c.hasInput(i))
      return c.error("input " + Twine(i) + " is missing");
  ShapeVectors v(c);
  double epsilon = c.getFloat("epsilon", 1e-12f);
  int64_t maskType = c.getInt("mask_index_type", 0);
  Value ids = c.input(0), places = c.input(8), mask = c.input(7);
  if (bool(c.input(1)) != bool(c.input(4)))
    return c.error("segments come without their table, or a table without segments");
  if (!places)
    places = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(v.size(ids, 1)));
  Value sum = c.make<nn::GatherOp>(c.input(2), ids, 0);
  sum = places ? addIfThere(c, sum, c.make<nn::GatherOp>(c.input(3), places, 0)) : Value();
  if (c.hasInput(1))
    sum = addIfThere(c, sum, c.make<nn::GatherOp>(c.input(4), c.input(1), 0));
  c.setResult(0, normalizeRows(c, sum, c.input(5), c.input(6), epsilon, /*rms=*/false));
  if (c.hasOutput(1)) {
    Type i32 = c.getBuilder().getI32Type();
    if (maskType != 0 && maskType != 1)
      return c.error("'mask_index_type' is " + Twine(maskType) + ", expected 0 or 1");
    Value index = mask ? c.make<nn::ReduceOp>(nn::ReduceKind::sum, v.cast(mask, i32), ArrayRef<int64_t>{1}, /*keepdims=*/false)
                       : v.broadcast(c.scalarConstant(i32, 0), v.size(ids, 0));
    c.setResult(1, index);
  }
  if (c.hasOutput(2))
    c.setResult(2, sum);
  return success(!c.hadError());
}

/// Images with their channels last; perhaps x * sigmoid(x) of the result.
static LogicalResult convertGroupNorm(NodeContext &c) {
  if (failed(checkInputs(c, 3, 3)))
    return failure();
  ShapeVectors v(c);
  int64_t groups = c.getInt("groups", 0), activation = c.getInt("activation", 0);
  bool channelsLast = c.getFlag("channels_last", true);
  double epsilon = c.getFloat("epsilon", 1e-5f);
  if (groups < 1 || (activation != 0 && activation != 1))
    return c.error("'groups' is " + Twine(groups) + " and 'activation' " + Twine(activation) +
                   ", expected a positive number, and 0 or 1");
  Type element = c.inputType(0).getElementType();
  if (failed(v.requireChannels(c.input(0), channelsLast ? c.rankOf(c.input(0)) - 1 : 1, {c.input(1), c.input(2)})))
    return failure();
  Value y = c.make<nn::GroupNormOp>(c.input(0), v.cast(c.input(1), element), v.cast(c.input(2), element), groups,
                                    APFloat(epsilon), channelsLast);
  return c.replaceWith(activation && y ? c.make<nn::MulOp>(y, c.make<nn::SigmoidOp>(y)) : y);
}

/// Of a sum, over the dimensions from `axis` on together.
static LogicalResult convertBiasSoftmax(NodeContext &c) {
  if (failed(checkInputs(c, 2, 2)))
    return failure();
  c.ignoreAttr("is_inner_broadcast"); // the bias's sizes say it
  int64_t rank = c.rankOf(c.input(0));
  auto axis = c.normalizeAxis(c.getInt("axis", 1), std::max<int64_t>(rank, 1));
  if (!axis || rank == 0)
    return axis ? c.error("the input is a scalar") : failure();
  Value sum = addIfThere(c, c.input(0), c.input(1));
  if (*axis == rank - 1)
    return c.replaceWith<nn::SoftmaxOp>(sum, *axis, /*log=*/false);
  Value rows = sum ? c.make<nn::SoftmaxOp>(c.make<nn::CollapseOp>(sum, *axis, rank), *axis, /*log=*/false) : Value();
  return rows ? c.replaceWith<nn::ReshapeOp>(rows, c.make<nn::ShapeOp>(c.input(0)), /*allowzero=*/true) : failure();
}

void nacre::frontend::registerContribConverters(ConverterTable &table) {
  StringRef domain = kDomain;
  table.add("Gelu", convertGelu<false>, domain);
  table.add("BiasGelu", convertGelu<false>, domain);
  table.add("FastGelu", convertGelu<true>, domain);
  table.add("QuickGelu", convertQuickGelu, domain);
  table.add("BiasSplitGelu", convertBiasSplitGelu, domain);
  table.add("FusedMatMul", convertFusedMatMul, domain);
  table.add("FusedGemm", convertFusedGemm, domain);
  table.add("FusedConv", convertFusedConv, domain);
  table.add("NhwcConv", convertNhwcConv, domain);
  table.add("SimplifiedLayerNormalization", convertSimplifiedLayerNorm, domain);
  table.add("SimplifiedLayerNormalization", convertSimplifiedLayerNorm);
  table.add("SkipLayerNormalization", convertSkipLayerNorm<false>, domain);
  table.add("SkipSimplifiedLayerNormalization", convertSkipLayerNorm<true>, domain);
  table.add("EmbedLayerNormalization", convertEmbedLayerNorm, domain);
  table.add("GroupNorm", convertGroupNorm, domain);
  table.add("BiasSoftmax", convertBiasSoftmax, domain);
  registerAttention(table);
  registerQuantized(table);
}
