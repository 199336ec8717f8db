//===- ContribAttention.cpp - ONNX Runtime's attentions ---------*- C++ -*-===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Contrib.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using namespace nacre::frontend::contrib;

namespace {

/// [N, S, H * D] → [N, H, S, D]
Value splitHeads(NodeContext &c, Value x, int64_t heads) {
  Value apart = x ? c.make<nn::ReshapeOp>(x, c.intsConstant({0, 0, heads, -1}), /*allowzero=*/false) : Value();
  return transpose(c, apart, {0, 2, 1, 3});
}
/// And back.
Value joinHeads(NodeContext &c, Value x) {
  Value moved = transpose(c, x, {0, 2, 1, 3});
  return moved ? c.make<nn::CollapseOp>(moved, 2, 4) : Value();
}

std::optional<int64_t> getHeads(NodeContext &c, StringRef name) {
  constexpr int64_t kMostHeads = 1 << 24; // sums of such are numbers
  int64_t heads = c.getInt(name, 0);
  if (heads > 0 && heads <= kMostHeads)
    return heads;
  (void)c.error("attribute '" + name + "' is " + Twine(heads) + ", expected 1 to " + Twine(kMostHeads));
  return std::nullopt;
}

/// A scale of 0 is none.
FloatAttr getScale(NodeContext &c) {
  double scale = c.getFloat("scale", 0);
  return scale != 0 ? c.getBuilder().getF64FloatAttr(scale) : FloatAttr();
}

/// Dimension `i` of one with a new first dimension.
Value takeFirst(NodeContext &c, Value tensor, int64_t i, int64_t axis = 0) {
  return tensor ? c.make<nn::GatherOp>(tensor, ShapeVectors(c).scalar(i), axis, /*in_bounds=*/true) : Value();
}

/// What is added to scores: `filter` where a mask of integers is 0, or behind as many keys as
/// there are (`keys`, a vector of length 1). [N], [N, T] or [N, S, T] becomes what broadcasts
/// to [N, H, S, T].
Value makeBias(NodeContext &c, Value mask, Value keys, double filter, Type element) {
  if (!mask)
    return {};
  ShapeVectors v(c);
  int64_t rank = c.rankOf(mask);
  if (rank < 1 || rank > 3) {
    (void)c.error("a mask has rank " + Twine(rank) + ", expected 1 to 3");
    return {};
  }
  Value isSeen;
  if (rank == 1) {
    Value places = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(keys));
    Value lengths = c.make<nn::UnsqueezeOp>(v.toI64(mask), ArrayRef<int64_t>{1});
    isSeen = v.compare(nn::ComparePredicate::lt, places, lengths);
  } else {
    Value numbers = v.toI64(mask);
    isSeen = v.compare(nn::ComparePredicate::ne, numbers, v.scalar(0));
  }
  Value bias = isSeen ? v.select(isSeen, c.scalarConstant(element, 0), c.scalarConstant(element, filter)) : Value();
  return bias ? c.make<nn::UnsqueezeOp>(bias, rank == 3 ? ArrayRef<int64_t>{1} : ArrayRef<int64_t>{1, 2}) : Value();
}

struct Heads {
  Value query, key, value; // [N, H, S, D]
};

/// The attention itself, with its results side by side again. With a past, queries stand
/// behind it.
Value attend(NodeContext &c, Heads heads, Value bias, bool isCausal, Value past, FloatAttr scale) {
  if (!heads.query || !heads.key || !heads.value || c.hadError())
    return {};
  ShapeVectors v(c);
  Builder &b = c.getBuilder();
  Value offset = isCausal && past ? v.size(past, 2) : Value();
  auto attention = c.createTyped<nn::AttentionOp>({}, heads.query, heads.key, heads.value, bias, Value(), offset,
                                                  nn::AttentionScores::Raw, scale, b.getF64FloatAttr(0), IntegerAttr(),
                                                  isCausal ? b.getI64IntegerAttr(0) : IntegerAttr(), TypeAttr());
  return attention ? joinHeads(c, attention.getResult()) : Value();
}

/// Keys or values behind those of the past.
Value append(NodeContext &c, Value past, Value now) {
  return past && now ? c.make<nn::ConcatOp>(ValueRange{past, now}, 2) : now;
}

//===----------------------------------------------------------------------===//
// Attention, MultiHeadAttention
//===----------------------------------------------------------------------===//

/// Queries, keys and values are one product of the input.
LogicalResult convertAttention(NodeContext &c) {
  if (failed(checkInputs(c, 2, 6)) || failed(checkRank(c, 0, 3)) || failed(checkRank(c, 1, 2)))
    return failure();
  ShapeVectors v(c);
  auto count = getHeads(c, "num_heads");
  bool isCausal = c.getFlag("unidirectional");
  double filter = c.getFloat("mask_filter_value", -10000);
  FloatAttr scale = getScale(c);
  SmallVector<int64_t> sizes = c.hasAttr("qkv_hidden_sizes") ? c.getInts("qkv_hidden_sizes") : SmallVector<int64_t>();
  if (c.getFlag("do_rotary") || c.getFlag("past_present_share_buffer"))
    return c.error("'do_rotary' and 'past_present_share_buffer' are not supported");
  if (!count)
    return failure();
  if (!sizes.empty() && sizes.size() != 3)
    return c.error("'qkv_hidden_sizes' has " + Twine(sizes.size()) + " numbers, expected 3");
  Value all = addIfThere(c, c.make<nn::MatMulOp>(c.input(0), c.input(1), false, false), c.input(2));
  Value third = v.div(v.size(c.input(1), 1), 3), begin = v.constant(0);
  Value parts[3];
  for (unsigned i = 0; i < 3; ++i) {
    Value end = v.add(begin, sizes.empty() ? third : v.constant(sizes[i]));
    parts[i] = splitHeads(c, cut(c, all, 2, begin, end), *count);
    begin = end;
  }
  Value past = c.input(4), pastKey = takeFirst(c, past, 0), pastValue = takeFirst(c, past, 1);
  Heads heads{parts[0], append(c, pastKey, parts[1]), append(c, pastValue, parts[2])};
  if (!heads.query || !heads.key || !heads.value)
    return failure();
  Type element = c.inputType(0).getElementType();
  Value bias = makeBias(c, c.input(3), v.size(heads.key, 2), filter, element);
  if (c.hasInput(5))
    bias = bias ? addIfThere(c, bias, c.input(5)) : c.input(5);
  c.setResult(0, attend(c, heads, bias, isCausal, pastKey, scale));
  if (c.hasOutput(1)) {
    auto alone = [&](Value x) { return c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{0}); };
    c.setResult(1, c.make<nn::ConcatOp>(ValueRange{alone(heads.key), alone(heads.value)}, 0));
  }
  return success(!c.hadError());
}

/// Queries, keys and values in one of the forms that they come in, with their bias.
Heads getHeadsOf(NodeContext &c, int64_t count) {
  ShapeVectors v(c);
  Value query = c.input(0), key = c.input(1), value = c.input(2);
  Heads heads;
  if (c.rankOf(query) == 5) { // [N, S, H, 3, D]
    auto part = [&](int64_t i) { return transpose(c, takeFirst(c, query, i, 3), {0, 2, 1, 3}); };
    heads = {part(0), part(1), part(2)};
  } else if (c.rankOf(query) == 3 && key && c.rankOf(key) == 5) { // [N, L, H, 2, D]
    auto part = [&](int64_t i) { return transpose(c, takeFirst(c, key, i, 3), {0, 2, 1, 3}); };
    heads = {splitHeads(c, query, count), part(0), part(1)};
  } else if (c.rankOf(query) == 3 && key && value && c.rankOf(key) == c.rankOf(value) &&
             (c.rankOf(key) == 3 || c.rankOf(key) == 4)) {
    bool isApart = c.rankOf(key) == 4; // [N, H, L, D]
    heads = {splitHeads(c, query, count), isApart ? key : splitHeads(c, key, count), isApart ? value : splitHeads(c, value, count)};
  } else {
    (void)c.error("queries, keys and values come in a form that is not supported");
    return {};
  }
  Value bias = c.input(3);
  if (!bias || !heads.query || !heads.key || !heads.value)
    return heads;
  // One vector for all three: [H * D, H * D, H * E].
  Value begin = v.constant(0);
  for (Value *part : {&heads.query, &heads.key, &heads.value}) {
    Value size = v.size(*part, 3), end = v.add(begin, v.mul(size, count));
    Value own = reshape(c, cut(c, bias, 0, begin, end), {v.constant({count, 1}), size});
    // Keys that come as heads have theirs already.
    bool isDone = part != &heads.query && key && c.rankOf(key) == 4;
    *part = isDone ? *part : own ? addIfThere(c, *part, own) : Value();
    begin = end;
  }
  return heads;
}

LogicalResult convertMultiHeadAttention(NodeContext &c) {
  if (failed(checkInputs(c, 1, 8)))
    return failure();
  ShapeVectors v(c);
  auto count = getHeads(c, "num_heads");
  bool isCausal = c.getFlag("unidirectional");
  double filter = c.getFloat("mask_filter_value", -10000);
  FloatAttr scale = getScale(c);
  if (!count)
    return failure();
  Heads heads = getHeadsOf(c, *count);
  Value pastKey = c.input(6), pastValue = c.input(7);
  if (bool(pastKey) != bool(pastValue))
    return c.error("one of the inputs past_key and past_value is left out");
  heads.key = append(c, pastKey, heads.key);
  heads.value = append(c, pastValue, heads.value);
  if (!heads.query || !heads.key || !heads.value || c.hadError())
    return failure();
  Type element = c.inputType(0).getElementType();
  Value bias = makeBias(c, c.input(4), v.size(heads.key, 2), filter, element);
  if (c.hasInput(5))
    bias = bias ? addIfThere(c, bias, c.input(5)) : c.input(5);
  return c.setResults({attend(c, heads, bias, isCausal, pastKey, scale), heads.key, heads.value});
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding, GroupQueryAttention
//===----------------------------------------------------------------------===//

/// Pairs of elements of the last of four dimensions, turned by angles that broadcast against
/// half of it: neighbours, or an element of the first half and its counterpart. `rotated`, a
/// vector of length 1, is how many elements of each head are turned.
Value rotate(NodeContext &c, Value x, Value cosine, Value sine, Value rotated, bool interleaved) {
  if (!x || !cosine || !sine || !rotated)
    return {};
  ShapeVectors v(c);
  Value zero = v.constant(0), half = v.div(rotated, 2), first, second;
  Value turned = cut(c, x, 3, zero, rotated), rest = cut(c, x, 3, rotated, v.constant(INT64_MAX));
  if (interleaved) {
    Value pairs = reshape(c, turned, {v.part(v.shape(x), 0, 3), half, v.constant(2)});
    first = takeFirst(c, pairs, 0, 4);
    second = takeFirst(c, pairs, 1, 4);
  } else {
    first = cut(c, turned, 3, zero, half);
    second = cut(c, turned, 3, half, rotated);
  }
  Value real = v.sub(v.mul(first, cosine), v.mul(second, sine));
  Value imaginary = v.add(v.mul(first, sine), v.mul(second, cosine));
  if (!real || !imaginary || !rest)
    return {};
  Value result;
  if (interleaved) {
    auto alone = [&](Value part) { return c.make<nn::UnsqueezeOp>(part, ArrayRef<int64_t>{4}); };
    result = c.make<nn::CollapseOp>(c.make<nn::ConcatOp>(ValueRange{alone(real), alone(imaginary)}, 4), 3, 5);
  } else {
    result = c.make<nn::ConcatOp>(ValueRange{real, imaginary}, 3);
  }
  return result ? c.make<nn::ConcatOp>(ValueRange{result, rest}, 3) : Value();
}

LogicalResult convertRotaryEmbedding(NodeContext &c) {
  if (failed(checkInputs(c, 4, 4)) || failed(checkRank(c, 2, 2)) || failed(checkRank(c, 3, 2)))
    return failure();
  ShapeVectors v(c);
  int64_t rank = c.rankOf(c.input(0)), count = c.getInt("num_heads", 0), part = c.getInt("rotary_embedding_dim", 0);
  bool interleaved = c.getFlag("interleaved");
  if (c.getFloat("scale", 1) != 1 || c.getFlag("is_packed_batching"))
    return c.error("'scale' and 'is_packed_batching' are not supported");
  if (rank != 3 && rank != 4)
    return c.error("the input has rank " + Twine(rank) + ", expected 3 or 4");
  Value x = c.input(0), rotated = v.mul(v.size(c.input(2), 1), 2);
  if (rank == 3 && count > 0)
    x = splitHeads(c, x, count);
  else if (rank == 3 && part == 0) // heads of the tables' size
    x = transpose(c, reshape(c, x, {v.size(x, 0), v.size(x, 1), v.div(v.size(x, 2), rotated), rotated}), {0, 2, 1, 3});
  else if (rank == 3)
    return c.error("'rotary_embedding_dim' without 'num_heads'");
  // One place for the first token of all samples, or one for each token.
  Value places = v.toI64(c.input(1));
  if (!places)
    return failure();
  if (c.rankOf(places) == 1 || (c.typeOf(places).hasStaticShape() && c.typeOf(places).getNumElements() == 1)) {
    Value first = v.toScalar(places), line = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(v.size(x, 2)));
    places = c.make<nn::UnsqueezeOp>(v.add(line, first), ArrayRef<int64_t>{0});
  }
  auto table = [&](unsigned input) -> Value {
    Value angles = c.hadError() ? Value() : c.make<nn::GatherOp>(c.input(input), places, 0);
    return angles ? c.make<nn::UnsqueezeOp>(angles, ArrayRef<int64_t>{1}) : Value();
  };
  Value result = rotate(c, x, table(2), table(3), rotated, interleaved);
  return c.replaceWith(rank == 3 ? joinHeads(c, result) : result);
}

/// A cache of keys or values with the new ones behind those of each sample's past.
Value writeCache(NodeContext &c, Value past, Value now, Value total, Value places) {
  if (!now || !total || !places)
    return {};
  ShapeVectors v(c);
  Type element = c.typeOf(now).getElementType();
  Value room = past ? v.max(total, v.size(past, 2)) : total;
  Value rest = past ? v.sub(room, v.size(past, 2)) : room;
  Value empty = v.broadcast(c.scalarConstant(element, 0), v.concat({v.size(now, 0), v.size(now, 1), rest, v.size(now, 3)}));
  Value cache = past && empty ? c.make<nn::ConcatOp>(ValueRange{past, empty}, 2) : empty;
  return cache ? c.make<nn::CacheWriteOp>(cache, now, places, int64_t(2)) : Value();
}

/// What is left of an attention's result where the softmax has one more place, whose score is `sink` and whose value
/// is 0: of e^s over all, the part of the keys. [N, H, S, 1] from scores [N, H, S, T].
Value shareOfKeys(NodeContext &c, Value scores, Value sink) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  auto reduce = [&](nn::ReduceKind kind, Value x) -> Value {
    return x ? c.make<nn::ReduceOp>(kind, x, ArrayRef<int64_t>{3}, /*keepdims=*/true) : Value();
  };
  Value wide = v.cast(scores, f32), most = reduce(nn::ReduceKind::max, wide);
  // A query that sees no key has none of it.
  most = v.max(most, c.scalarConstant(f32, -1e30));
  Value powers = most ? c.make<nn::ExpOp>(v.sub(wide, most)) : Value();
  Value sum = reduce(nn::ReduceKind::sum, powers);
  Value logarithm = sum ? v.add(c.make<nn::LogOp>(sum), most) : Value();
  Value share = v.sub(logarithm, v.cast(sink, f32));
  return share ? v.cast(c.make<nn::SigmoidOp>(share), c.typeOf(scores).getElementType()) : Value();
}

LogicalResult convertGroupQueryAttention(NodeContext &c) {
  if (failed(checkInputs(c, 1, 12)) || failed(checkRank(c, 0, 3)))
    return failure();
  ShapeVectors v(c);
  Builder &b = c.getBuilder();
  auto count = getHeads(c, "num_heads"), shared = getHeads(c, "kv_num_heads");
  FloatAttr scale = getScale(c);
  double softcap = c.getFloat("softcap", 0);
  int64_t window = c.getInt("local_window_size", -1);
  bool turns = c.getFlag("do_rotary"), interleaved = c.getFlag("rotary_interleaved");
  bool isSmooth = c.getInt("smooth_softmax", 0) == 1 || c.hasInput(11);
  for (StringRef name : {"qk_output", "kv_cache_bit_width"})
    if (c.getInt(name, 0) != 0)
      return c.error("'" + name + "' is not supported");
  if (!count || !shared)
    return failure();
  if (!c.hasInput(5) || !c.hasInput(6) || bool(c.input(3)) != bool(c.input(4)) || bool(c.input(1)) != bool(c.input(2)) ||
      (turns && (!c.hasInput(7) || !c.hasInput(8))))
    return c.error("inputs are missing");

  Heads heads;
  if (c.hasInput(1)) {
    heads = {splitHeads(c, c.input(0), *count), splitHeads(c, c.input(1), *shared), splitHeads(c, c.input(2), *shared)};
  } else { // side by side
    Value all = splitHeads(c, c.input(0), *count + 2 * *shared), begin = v.constant(0);
    Value q = v.constant(*count), k = v.constant(*count + *shared), end = v.constant(*count + 2 * *shared);
    heads = {cut(c, all, 1, begin, q), cut(c, all, 1, q, k), cut(c, all, 1, k, end)};
  }
  if (!heads.query || !heads.key || !heads.value)
    return failure();

  // How many keys each sample has in all, and before these; a prompt has none.
  Value lengths = v.add(v.toI64(c.input(5)), 1), now = v.size(heads.query, 2), total = v.toVector(v.toIndexScalar(c.input(6)));
  if (!lengths || !total)
    return failure();
  if (c.rankOf(lengths) != 1)
    lengths = c.make<nn::CollapseOp>(lengths, 0, c.rankOf(lengths));
  Value isPrompt = v.compare(nn::ComparePredicate::eq, now, total);
  Value places = v.select(isPrompt, v.broadcast(v.scalar(0), v.size(heads.query, 0)), v.sub(lengths, now));
  if (turns && places) {
    Value line = c.make<nn::RangeOp>(v.scalar(0), v.scalar(1), v.toScalar(now));
    Value own = c.hasInput(9) ? v.toI64(c.input(9)) : v.add(c.make<nn::UnsqueezeOp>(places, ArrayRef<int64_t>{1}), line);
    auto table = [&](unsigned input) -> Value {
      Value angles = own ? c.make<nn::GatherOp>(c.input(input), own, 0) : Value();
      return angles ? c.make<nn::UnsqueezeOp>(angles, ArrayRef<int64_t>{1}) : Value();
    };
    Value cosine = table(7), sine = table(8), rotated = v.mul(v.size(c.input(7), 1), 2);
    heads.query = rotate(c, heads.query, cosine, sine, rotated, interleaved);
    heads.key = rotate(c, heads.key, cosine, sine, rotated, interleaved);
  }
  heads.key = writeCache(c, c.input(3), heads.key, total, places);
  heads.value = writeCache(c, c.input(4), heads.value, total, places);
  if (!heads.query || !heads.key || !heads.value || c.hadError())
    return failure();
  auto attention = c.createTyped<nn::AttentionOp>(
      {}, heads.query, heads.key, heads.value, c.input(10), lengths, places,
      isSmooth ? nn::AttentionScores::Biased : nn::AttentionScores::Raw, scale, b.getF64FloatAttr(softcap),
      window > 0 ? b.getI64IntegerAttr(window - 1) : IntegerAttr(), b.getI64IntegerAttr(0), TypeAttr());
  if (!attention)
    return failure();
  Value result = attention.getResult();
  if (isSmooth) {
    Value sink = c.hasInput(11) ? reshape(c, c.input(11), {v.constant({1, *count, 1, 1})})
                                : c.scalarConstant(b.getF32Type(), 0);
    result = v.mul(result, shareOfKeys(c, attention.getScores(), sink));
  }
  return c.setResults({joinHeads(c, result), heads.key, heads.value});
}

} // namespace

void contrib::registerAttention(ConverterTable &table) {
  StringRef domain = kDomain;
  table.add("Attention", convertAttention, domain);
  table.add("MultiHeadAttention", convertMultiHeadAttention, domain);
  table.add("RotaryEmbedding", convertRotaryEmbedding, domain);
  table.add("GroupQueryAttention", convertGroupQueryAttention, domain);
}
