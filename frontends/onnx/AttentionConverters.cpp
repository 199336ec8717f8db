//===- AttentionConverters.cpp - Attention, and what goes with it -*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static Type elementTypeOf(Value value) {
  return NodeContext::typeOf(value).getElementType();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// [N, S, H * D] → [N, H, S, D]
static Value splitHeads(NodeContext &c, Value x, int64_t heads) {
  Value apart = c.make<nn::ReshapeOp>(x, c.intsConstant({0, 0, heads, -1}),
                                      /*allowzero=*/false);
  return c.make<nn::TransposeOp>(apart, ArrayRef<int64_t>{0, 2, 1, 3});
}

/// Query, key and value as [N, H, S, D].
static LogicalResult getHeads(NodeContext &c, Value &query, Value &key,
                              Value &value) {
  auto queryHeads = c.getOptionalInt("q_num_heads"),
       heads = c.getOptionalInt("kv_num_heads");
  for (unsigned i = 0; i < 3; ++i)
    if (c.rankOf(c.input(i)) != c.rankOf(query) ||
        (c.rankOf(query) != 3 && c.rankOf(query) != 4))
      return c.error("inputs Q, K and V have ranks " + Twine(c.rankOf(query)) +
                     ", " + Twine(c.rankOf(key)) + " and " +
                     Twine(c.rankOf(value)) + ", expected 3, or 4, for all");
  if (c.rankOf(query) == 4) // said again by the shapes
    return success();
  if (!queryHeads || !heads || *queryHeads < 1 || *heads < 1)
    return c.error("inputs of rank 3 need the attributes 'q_num_heads' and "
                   "'kv_num_heads', positive");
  query = splitHeads(c, query, *queryHeads);
  key = splitHeads(c, key, *heads);
  value = splitHeads(c, value, *heads);
  return success(query && key && value);
}

/// What all is computed in where queries and values differ: the wider type, or f32.
static Type getCommonType(NodeContext &c, Type a, Type b) {
  if (a == b)
    return a;
  unsigned widthA = a.getIntOrFloatBitWidth(), widthB = b.getIntOrFloatBitWidth();
  return widthA == widthB ? Type(c.getBuilder().getF32Type()) : widthA > widthB ? a : b;
}

/// A mask that, as of opset 24, may have fewer columns than there are keys: those
/// that are missing are not seen.
static Value padMask(NodeContext &c, Value mask, Value key) {
  if (!mask || !key || c.version() < 24)
    return mask;
  ShapeVectors v(c);
  int64_t rank = c.rankOf(mask);
  Type type = elementTypeOf(mask);
  if (rank == 0 || (c.typeOf(mask).getDimSize(rank - 1) == c.typeOf(key).getDimSize(2) &&
                    !c.typeOf(key).isDynamicDim(2)))
    return mask;
  Value missing = v.max(v.sub(v.size(key, 2), v.size(mask, rank - 1)), 0);
  Value pads = v.concat({v.repeat(0, 2 * rank - 1), missing});
  Value hidden =
      type.isInteger(1)
          ? c.constant(DenseElementsAttr::get(RankedTensorType::get({}, type), false))
          : c.scalarConstant(type, -std::numeric_limits<double>::infinity());
  return pads ? c.make<nn::PadOp>(mask, pads, hidden, nn::PadMode::Constant) : Value();
}

/// The type of the softmax, where an attribute says so.
static TypeAttr getSoftmaxType(NodeContext &c) {
  auto given = c.getOptionalInt("softmax_precision");
  Type type = given ? c.elementType(*given) : Type();
  if (type && !isa<FloatType>(type))
    (void)c.error("'softmax_precision' is " + Twine(*given) +
                  ", expected a floating-point type");
  return type ? TypeAttr::get(type) : TypeAttr();
}

/// The attribute as a number of places, null where it is -1: no limit.
static IntegerAttr getWindow(NodeContext &c, StringRef name) {
  int64_t places = c.version() >= 25 ? c.getInt(name, -1) : -1;
  if (places < -1)
    (void)c.error("attribute '" + name + "' is " + Twine(places) +
                  ", expected -1 or more");
  return places < 0 ? IntegerAttr() : c.getBuilder().getI64IntegerAttr(places);
}

static LogicalResult convertAttention(NodeContext &c) {
  Value query = c.input(0), key = c.input(1), value = c.input(2),
        pastKey = c.input(4), pastValue = c.input(5), lengths = c.input(6);
  bool isFlat = c.rankOf(query) == 3;
  auto scale = c.getOptionalFloat("scale");
  double softcap = c.getFloat("softcap", 0);
  int64_t mode = c.getInt("qk_matmul_output_mode", 0);
  auto kind = nn::symbolizeAttentionScores(static_cast<uint32_t>(mode));
  TypeAttr softmaxType = getSoftmaxType(c);
  IntegerAttr left = getWindow(c, "left_window_size"),
              right = getWindow(c, "right_window_size");
  if (c.getFlag("is_causal"))
    right = c.getBuilder().getI64IntegerAttr(0);
  if (mode < 0 || !kind)
    return c.error("attribute 'qk_matmul_output_mode' is " + Twine(mode) +
                   ", expected 0 to 3");
  if (bool(pastKey) != bool(pastValue))
    return c.error("one of the inputs past_key and past_value is left out");
  if (pastKey && lengths)
    return c.error("the inputs past_key and nonpad_kv_seqlen are given both");
  if (failed(getHeads(c, query, key, value)))
    return failure();

  // The place of the first query among the keys.
  ShapeVectors v(c);
  Value offset;
  if (pastKey) {
    offset = v.size(pastKey, 2);
    key = c.make<nn::ConcatOp>(ValueRange{pastKey, key}, 2);
    value = c.make<nn::ConcatOp>(ValueRange{pastValue, value}, 2);
  } else if (lengths) {
    offset = v.sub(lengths, v.size(query, 2));
  }
  if (!left && !right)
    offset = nullptr;
  if (c.hadError())
    return failure();
  Type type = elementTypeOf(query), compute = getCommonType(c, type, elementTypeOf(value));
  Value mask = c.input(3);
  if (mask && !elementTypeOf(mask).isInteger(1)) // numbers of any type that are added
    mask = v.cast(mask, compute);
  mask = padMask(c, mask, key);
  if (c.hadError())
    return failure();
  Builder &b = c.getBuilder();
  auto attention = c.createTyped<nn::AttentionOp>(
      {}, v.cast(query, compute), v.cast(key, compute), v.cast(value, compute), mask, lengths, offset, *kind,
      scale ? b.getF64FloatAttr(*scale) : FloatAttr(), b.getF64FloatAttr(softcap),
      left, right, softmaxType);
  if (!attention)
    return failure();
  Value result = v.cast(attention.getResult(), type);
  if (isFlat) {
    result = c.make<nn::TransposeOp>(result, ArrayRef<int64_t>{0, 2, 1, 3});
    result = c.make<nn::CollapseOp>(result, 2, 4);
  }
  Value scores = attention.getScores();
  return c.setResults({result, key, value, scores ? v.cast(scores, type) : Value()});
}

//===----------------------------------------------------------------------===//
// FlexAttention
//===----------------------------------------------------------------------===//

/// What a graph makes of scores or probabilities: as many, of the same type.
static Value modify(NodeContext &c, StringRef attribute, Value values) {
  const ::onnx::GraphProto *graph = c.getGraph(attribute);
  if (!graph || !values)
    return values;
  auto results = c.importSubgraph(*graph, values, *c.getBuilder().getInsertionBlock());
  if (!results)
    return {};
  auto type = results->size() == 1 ? dyn_cast<RankedTensorType>(results->front().getType()) : RankedTensorType();
  if (!type || type.getRank() != 4 || type.getElementType() != elementTypeOf(values)) {
    (void)c.error("the graph '" + attribute + "' does not give one tensor of its input's rank and type");
    return {};
  }
  ShapeVectors v(c);
  Value isSame = v.all(v.compare(nn::ComparePredicate::eq, v.shape(results->front()), v.shape(values)));
  if (failed(c.require(isSame, "the graph '" + attribute + "' does not give its input's shape")))
    return {};
  return results->front();
}

/// Attention whose scores and probabilities graphs change on the way. Heads that share keys
/// and values stand in a dimension of their own.
static Value modifiedAttention(NodeContext &c, Type softmaxType, std::optional<double> scale) {
  ShapeVectors v(c);
  Value query = c.input(0), key = c.input(1), value = c.input(2);
  Value samples = v.size(query, 0), heads = v.size(query, 1), places = v.size(query, 2), shared = v.size(key, 1);
  Value group = v.div(heads, v.max(shared, 1));
  auto apart = [&](Value x) {
    Value shape = v.concat({samples, shared, group, places, v.size(x, 3)});
    return shape && x ? c.make<nn::ReshapeOp>(x, shape, /*allowzero=*/true) : Value();
  };
  auto together = [&](Value x) {
    Value shape = x ? v.concat({samples, heads, places, v.size(x, 4)}) : Value();
    return shape ? c.make<nn::ReshapeOp>(x, shape, /*allowzero=*/true) : Value();
  };
  auto share = [&](Value x) { return c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{2}); };
  Value factor = scale ? c.scalarConstant(softmaxType, *scale) : Value();
  if (!factor) {
    Value depth = v.cast(v.toScalar(v.size(query, 3)), softmaxType);
    factor = depth ? c.make<nn::DivOp>(c.scalarConstant(softmaxType, 1), c.make<nn::SqrtOp>(depth)) : Value();
  }
  if (c.hadError())
    return {};
  Value scores = c.make<nn::MatMulOp>(apart(query), share(key), /*transpose_lhs=*/false, /*transpose_rhs=*/true);
  scores = c.make<nn::MulOp>(v.cast(together(scores), softmaxType), factor);
  scores = modify(c, "score_mod", scores);
  Value weights = scores ? modify(c, "prob_mod", c.make<nn::SoftmaxOp>(scores, 3)) : Value();
  if (!weights)
    return {};
  Value result = c.make<nn::MatMulOp>(apart(weights), share(v.cast(value, softmaxType)), false, false);
  return result ? v.cast(together(result), elementTypeOf(value)) : Value();
}

static LogicalResult convertFlexAttention(NodeContext &c) {
  auto scale = c.getOptionalFloat("scale");
  TypeAttr given = getSoftmaxType(c);
  for (unsigned i = 0; i < 3; ++i)
    if (c.rankOf(c.input(i)) != 4)
      return c.error("inputs Q, K and V have ranks " + Twine(c.rankOf(c.input(0))) + ", " +
                     Twine(c.rankOf(c.input(1))) + " and " + Twine(c.rankOf(c.input(2))) + ", expected 4");
  if (c.hadError())
    return failure();
  Type type = given ? given.getValue() : nn::getComputeType(elementTypeOf(c.input(0)));
  if (c.hasAttr("score_mod") || c.hasAttr("prob_mod")) {
    Value result = modifiedAttention(c, type, scale);
    return result ? c.replaceWith(result) : failure();
  }
  Builder &b = c.getBuilder();
  return c.replaceWith(c.make<nn::AttentionOp>(c.input(0), c.input(1), c.input(2), Value(), Value(), Value(),
                                               nn::AttentionScores::Raw,
                                               scale ? b.getF64FloatAttr(*scale) : FloatAttr(), b.getF64FloatAttr(0),
                                               IntegerAttr(), IntegerAttr(), TypeAttr::get(type)));
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// Every `step`-th element of the last of four dimensions, from `begin` to `end`.
static Value cutLast(NodeContext &c, Value x, Value begin, Value end, int64_t step) {
  ShapeVectors v(c);
  Value starts = v.concat({v.repeat(0, 3), begin});
  Value ends = v.concat({v.repeat(std::numeric_limits<int64_t>::max(), 3), end});
  return starts && ends
             ? c.make<nn::SliceOp>(x, starts, ends, c.intsConstant({1, 1, 1, step}))
             : Value();
}

/// Pairs of elements as complex numbers, turned by angles. A pair is two neighbours if
/// `interleaved`, else an element of the first half and its counterpart in the second.
static LogicalResult convertRotaryEmbedding(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  bool interleaved = c.getFlag("interleaved");
  int64_t heads = c.getInt("num_heads", 0), rotated = c.getInt("rotary_embedding_dim", 0),
          rank = c.rankOf(x), places = rank == 4 ? 2 : 1;
  if (rank != 3 && rank != 4)
    return c.error("the input has rank " + Twine(rank) + ", expected 3 or 4");
  if (rank == 3 && heads < 1)
    return c.error("an input of rank 3 needs the attribute 'num_heads', positive");
  if (rotated < 0 || rotated % 2 != 0)
    return c.error("attribute 'rotary_embedding_dim' is " + Twine(rotated) +
                   ", expected an even number");
  // [N, H, S, D], or [N, S, H, D].
  if (rank == 3)
    x = c.make<nn::ReshapeOp>(x, c.intsConstant({0, 0, heads, -1}), /*allowzero=*/false);
  if (!x)
    return failure();
  int64_t depth = c.typeOf(x).getDimSize(3);
  if (!ShapedType::isDynamic(depth) && (rotated > depth || (rotated == 0 && depth % 2 != 0)))
    return c.error("heads of size " + Twine(depth) + " cannot be rotated by pairs" +
                   (rotated ? " in " + Twine(rotated) + " elements" : Twine()));
  Value half = rotated ? v.constant(rotated / 2) : v.div(v.size(x, 3), 2), whole = v.mul(half, 2);
  Value sizes = places == 2 ? v.concat({v.size(x, 0), v.constant(1), v.size(x, 2), half})
                            : v.concat({v.size(x, 0), v.size(x, 1), v.constant(1), half});
  auto table = [&](unsigned input) {
    Value angles = c.input(input);
    if (c.hasInput(3))
      angles = c.make<nn::GatherOp>(angles, c.input(3), 0, /*in_bounds=*/false);
    return angles && sizes ? c.make<nn::ReshapeOp>(angles, sizes, /*allowzero=*/true) : Value();
  };
  Value cosine = table(1), sine = table(2), zero = v.constant(0);
  Value first = interleaved ? cutLast(c, x, zero, whole, 2) : cutLast(c, x, zero, half, 1);
  Value second = interleaved ? cutLast(c, x, v.constant(1), whole, 2) : cutLast(c, x, half, whole, 1);
  Value real = c.make<nn::SubOp>(c.make<nn::MulOp>(cosine, first), c.make<nn::MulOp>(sine, second));
  Value imaginary = c.make<nn::AddOp>(c.make<nn::MulOp>(sine, first), c.make<nn::MulOp>(cosine, second));
  if (interleaved) {
    real = c.make<nn::UnsqueezeOp>(real, ArrayRef<int64_t>{4});
    imaginary = c.make<nn::UnsqueezeOp>(imaginary, ArrayRef<int64_t>{4});
  }
  Value result = c.make<nn::ConcatOp>(ValueRange{real, imaginary}, interleaved ? 4 : 3);
  if (interleaved)
    result = c.make<nn::CollapseOp>(result, 3, 5);
  if (rotated && rotated != depth) {
    Value rest = cutLast(c, x, whole, v.constant(std::numeric_limits<int64_t>::max()), 1);
    result = c.make<nn::ConcatOp>(ValueRange{result, rest}, 3);
  }
  if (rank == 3)
    result = c.make<nn::CollapseOp>(result, 2, 4);
  return c.replaceWith(result);
}

//===----------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------===//

/// Sums of products of each channel's windows, whose number is that of the input's
/// places: a grouped convolution, or, where the number of channels is not known, the
/// windows one by one.
static Value convolveChannels(NodeContext &c, Value padded, Value weight, Value bias) {
  ShapeVectors v(c);
  int64_t channels = c.typeOf(weight).getDimSize(0);
  SmallVector<int64_t> ones{1}, none{0, 0};
  if (!ShapedType::isDynamic(channels))
    return c.make<nn::ConvOp>(padded, weight, bias, ones, ones, none, nn::AutoPad::NotSet,
                              channels, /*channels_last=*/false);
  auto places = [&](Value count) {
    return c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(count));
  };
  Value begins = c.make<nn::UnsqueezeOp>(places(v.size(c.input(0), 2)), ArrayRef<int64_t>{1});
  Value indices = c.make<nn::AddOp>(begins, places(v.size(weight, 2)));
  Value windows = c.make<nn::GatherOp>(padded, indices, 2, /*in_bounds=*/true);
  AffineExpr n, channel, place, tap;
  bindDims(c.getContext(), n, channel, place, tap);
  auto map = [&](ArrayRef<AffineExpr> results) { return AffineMap::get(4, 0, results, c.getContext()); };
  Value taps = c.make<nn::SqueezeOp>(weight, ArrayRef<int64_t>{1});
  Value result = c.make<nn::ContractOp>(
      ValueRange{windows, taps},
      c.getBuilder().getAffineMapArrayAttr({map({n, channel, place, tap}), map({channel, tap}),
                                            map({n, channel, place})}));
  return bias ? c.make<nn::AddOp>(result, c.make<nn::UnsqueezeOp>(bias, ArrayRef<int64_t>{1})) : result;
}

static LogicalResult convertCausalConv(NodeContext &c) {
  ShapeVectors v(c);
  Value input = c.input(0), weight = c.input(1), past = c.input(3);
  StringRef activation = c.getString("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return c.error("attribute 'activation' is " + nn::quoted(activation) + ", expected none, silu or swish");
  if (c.rankOf(input) != 3 || c.rankOf(weight) != 3)
    return c.error("input and weight have ranks " + Twine(c.rankOf(input)) + " and " +
                   Twine(c.rankOf(weight)) + ", expected 3");
  Type type = c.typeOf(input).getElementType();
  Value missing = v.sub(v.size(weight, 2), 1);
  if (!past) {
    Value shape = v.concat({v.size(input, 0), v.size(input, 1), missing});
    past = shape ? c.make<nn::BroadcastOp>(c.scalarConstant(type, 0), shape) : Value();
  } else if (missing) {
    // Another number of places in the past would move the windows.
    Value shape = v.concat({v.size(input, 0), v.size(input, 1), missing});
    past = c.make<nn::ReshapeOp>(past, shape, /*allowzero=*/true);
  }
  if (c.hadError())
    return failure();
  Value padded = c.make<nn::ConcatOp>(ValueRange{past, input}, 2);
  Value result = convolveChannels(c, padded, weight, c.input(2));
  Value starts = v.concat({v.repeat(0, 2), v.size(input, 2)});
  Value ends = v.repeat(std::numeric_limits<int64_t>::max(), 3);
  if (c.hadError())
    return failure();
  Value present = c.make<nn::SliceOp>(padded, starts, ends, v.repeat(1, 3));
  if (activation != "none") {
    result = v.cast(result, nn::getComputeType(type));
    result = v.cast(c.make<nn::MulOp>(result, c.make<nn::SigmoidOp>(result)), type);
  }
  return c.setResults({result, present});
}

void nacre::frontend::registerAttentionConverters(ConverterTable &table) {
  table.add("CausalConvWithState", convertCausalConv);
  table.add("Attention", convertAttention);
  table.add("FlexAttention", convertFlexAttention, "ai.onnx.preview");
  table.add("RotaryEmbedding", convertRotaryEmbedding);
}
