//===- NormalizationConverters.cpp - Normalisations, softmax ----*- C++ -*-===//
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::ReduceKind;

static Type elementTypeOf(Value value) {
  return NodeContext::typeOf(value).getElementType();
}

static Value castTo(NodeContext &c, Value x, Type type) {
  return !x || elementTypeOf(x) == type ? x : c.make<nn::CastOp>(x, type);
}

static APFloat epsilonOf(NodeContext &c, float otherwise) {
  return APFloat(c.getFloat("epsilon", otherwise));
}

//===----------------------------------------------------------------------===//
// Softmax, LogSoftmax, Hardmax
//===----------------------------------------------------------------------===//

/// Until opset 12 the dimensions from `axis` on were taken as one.
static LogicalResult
convertRows(NodeContext &c,
            llvm::function_ref<Value(Value x, int64_t axis)> build) {
  Value x = c.input(0);
  int64_t rank = c.rankOf(x);
  bool flattens = c.version() < 13;
  int64_t given = c.getInt("axis", flattens ? 1 : -1);
  // Behind all dimensions, as the default is for rank 1, every element is a row.
  if (flattens && given == rank) {
    int64_t behind[] = {rank};
    return c.replaceWith<nn::SqueezeOp>(build(c.make<nn::UnsqueezeOp>(x, ArrayRef(behind)), rank), ArrayRef(behind));
  }
  auto axis = c.normalizeAxis(given, std::max<int64_t>(rank, 1));
  if (!axis)
    return failure();
  if (rank == 0) // a row of one element
    return c.replaceWith<nn::SqueezeOp>(
        build(c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{0}), 0),
        ArrayRef<int64_t>{0});
  if (!flattens || *axis == rank - 1)
    return c.replaceWith(build(x, *axis));
  Value rows = build(c.make<nn::CollapseOp>(x, *axis, rank), *axis);
  return c.replaceWith<nn::ReshapeOp>(rows, c.make<nn::ShapeOp>(x),
                                      /*allowzero=*/true);
}

template <bool log> static LogicalResult convertSoftmax(NodeContext &c) {
  return convertRows(c, [&](Value x, int64_t axis) {
    return c.make<nn::SoftmaxOp>(x, axis, log);
  });
}

static LogicalResult convertHardmax(NodeContext &c) {
  return convertRows(
      c, [&](Value x, int64_t axis) { return c.make<nn::HardmaxOp>(x, axis); });
}

//===----------------------------------------------------------------------===//
// Normalisation by channels
//===----------------------------------------------------------------------===//

namespace {
/// In training mode: by mean and variance of the batch, and the running ones moved towards
/// them.
struct TrainingBatchNorm {
  Value result;
  Value mean, variance;           // the running ones, moved
  Value batchMean, batchVariance; // of this batch
};

/// X, scale, B, mean and variance. Statistics per element (until opset 8, spatial = 0) are those of channels
/// where an example's elements are all taken as channels.
class BatchNormInputs {
public:
  BatchNormInputs(NodeContext &c, bool isPerElement) : c(c), isPerElement(isPerElement) {
    for (unsigned i = 0; i < 5; ++i) {
      Value v = c.input(i);
      int64_t first = i == 0 ? 1 : 0;
      if (isPerElement && c.rankOf(v) <= first) {
        (void)c.error("input " + Twine(i) + " has rank " + Twine(c.rankOf(v)) + ", but spatial is 0");
        return;
      }
      values.push_back(isPerElement ? c.make<nn::CollapseOp>(v, first, c.rankOf(v)) : v);
    }
    (void)ShapeVectors(c).requireChannels(values[0], 1, ArrayRef(values).drop_front());
  }
  Value operator[](unsigned i) const { return values[i]; }
  /// A result as the node has it, in the form of its input `i`.
  Value restore(Value result, unsigned i) const {
    if (!isPerElement || !result)
      return result;
    return c.make<nn::ReshapeOp>(result, c.make<nn::ShapeOp>(c.input(i)), /*allowzero=*/true);
  }

private:
  NodeContext &c;
  bool isPerElement;
  SmallVector<Value> values;
};
} // namespace

static TrainingBatchNorm makeTrainingBatchNorm(NodeContext &c, const BatchNormInputs &in, double momentum,
                                               APFloat epsilon) {
  Value x = in[0];
  if (c.rankOf(x) < 2) {
    (void)c.error("input X has rank " + Twine(c.rankOf(x)) + ", expected [N, C, ...]");
    return {};
  }
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(x)));
  axes.erase(axes.begin() + 1);
  Type type = elementTypeOf(in[3]);
  Value wide = castTo(c, x, type);
  Value mean = c.make<nn::ReduceOp>(ReduceKind::mean, wide, axes, false);
  Value kept = c.make<nn::ReduceOp>(ReduceKind::mean, wide, axes, true);
  Value distance = c.make<nn::SubOp>(wide, kept);
  Value variance = c.make<nn::ReduceOp>(
      ReduceKind::mean, c.make<nn::MulOp>(distance, distance), axes, false);
  auto move = [&](Value running, Value now) {
    Value stay = c.make<nn::MulOp>(running, c.scalarConstant(type, momentum));
    Value come = c.make<nn::MulOp>(now, c.scalarConstant(type, 1 - momentum));
    return c.make<nn::AddOp>(stay, come);
  };
  Value y;
  if (c.isTraining()) {
    y = c.make<nn::BatchNormOp>(x, in[1], in[2], mean, variance, epsilon, false);
  } else { // of the distances: a mean that is large beside the deviation leaves nothing else
    ShapeVectors v(c);
    Value zero = v.broadcast(c.scalarConstant(type, 0), v.shape(mean));
    y = castTo(c, c.make<nn::BatchNormOp>(distance, in[1], in[2], zero, variance, epsilon, false), elementTypeOf(x));
  }
  return {in.restore(y, 0), in.restore(move(in[3], mean), 3), in.restore(move(in[4], variance), 4),
          in.restore(mean, 3), in.restore(variance, 4)};
}

/// Compiled for training: inference uses the running statistics and a training step the
/// batch's, whatever the file says; the step moves the running ones if they are parameters.
static LogicalResult convertForTraining(NodeContext &c, const BatchNormInputs &in, double momentum,
                                        APFloat epsilon) {
  TrainingBatchNorm training = makeTrainingBatchNorm(c, in, momentum, epsilon);
  Value fixed = in.restore(c.make<nn::BatchNormOp>(in[0], in[1], in[2], in[3], in[4], epsilon, false), 0);
  if (!training.variance || !fixed)
    return failure();
  for (auto [running, moved] : {std::pair(c.input(3), training.mean), {c.input(4), training.variance}}) {
    auto parameter = running.getDefiningOp<nn::GetParameterOp>();
    if (!parameter)
      continue;
    if (!isa<mlir::func::FuncOp>(c.getBuilder().getBlock()->getParentOp()))
      return c.error("it is in a graph of an If or a loop, where its running statistics can't be trained");
    nn::UpdateParameterOp::create(c.getBuilder(), c.getLoc(), parameter.getNameAttr(), moved);
  }
  auto choose = [&](Value inTraining, Value inInference) { return c.make<nn::InTrainingOp>(inTraining, inInference); };
  c.setResult(0, choose(training.result, fixed));
  std::pair<Value, Value> others[] = {{training.mean, c.input(3)},
                                      {training.variance, c.input(4)},
                                      {training.batchMean, c.input(3)},
                                      {training.batchVariance, c.input(4)}};
  for (unsigned i = 1; i < c.numOutputs(); ++i)
    if (c.hasOutput(i))
      c.setResult(i, choose(others[i - 1].first, others[i - 1].second));
  return success(!c.hadError());
}

static LogicalResult convertBatchNorm(NodeContext &c) {
  APFloat epsilon = epsilonOf(c, 1e-5f);
  double momentum = c.getFloat("momentum", 0.9f);
  if (c.version() < 7)
    c.ignoreAttr("is_test"); // said again by the number of outputs
  if (c.version() < 6)
    c.ignoreAttr("consumed_inputs"); // what executors may overwrite
  BatchNormInputs in(c, c.version() < 9 && !c.getFlag("spatial", true));
  if (c.hadError())
    return failure();
  // Before version 14 the outputs say it: the running statistics, then the batch's.
  bool isTraining = c.version() >= 14 && c.getFlag("training_mode"), hasOthers = false;
  for (unsigned i = 1; i < c.numOutputs(); ++i)
    hasOthers |= c.hasOutput(i);
  if (c.version() < 14)
    isTraining = hasOthers;
  else if (hasOthers && !isTraining)
    return c.error("it has more outputs than one, which exist in training mode alone");
  if (c.isTraining())
    return convertForTraining(c, in, momentum, epsilon);
  if (isTraining) {
    TrainingBatchNorm made = makeTrainingBatchNorm(c, in, momentum, epsilon);
    if (c.hadError())
      return failure();
    return c.setResults({made.result, made.mean, made.variance, made.batchMean, made.batchVariance});
  }
  return c.replaceWith(in.restore(c.make<nn::BatchNormOp>(in[0], in[1], in[2], in[3], in[4], epsilon, false), 0));
}

static LogicalResult convertInstanceNorm(NodeContext &c) {
  if (c.version() < 6)
    c.ignoreAttr("consumed_inputs"); // what executors may overwrite
  if (failed(ShapeVectors(c).requireChannels(c.input(0), 1, {c.input(1), c.input(2)})))
    return failure();
  return c.replaceWith<nn::GroupNormOp>(c.input(0), c.input(1), c.input(2), 0,
                                        epsilonOf(c, 1e-5f), false);
}

/// Until opset 20 scale and bias were given per group.
static LogicalResult convertGroupNorm(NodeContext &c) {
  int64_t groups = c.getInt("num_groups", 0);
  APFloat epsilon = epsilonOf(c, 1e-5f);
  Value scale = c.input(1), bias = c.input(2);
  if (groups <= 0)
    return c.error("attribute 'num_groups' is " + Twine(groups) +
                   ", expected a positive number");
  if (c.version() >= 21) {
    // f16 and bf16 are normalised in f32, as it asks.
    c.ignoreAttr("stash_type");
  } else {
    ShapeVectors v(c);
    if (c.rankOf(c.input(0)) < 2)
      return c.error("input X has rank " + Twine(c.rankOf(c.input(0))) + ", expected [N, C, ...]");
    Value channels = v.size(c.input(0), 1), share = v.div(channels, groups);
    Value fits = v.toScalar(v.compare(nn::ComparePredicate::eq, v.mul(share, groups), channels));
    if (failed(c.require(fits, "the number of channels is no multiple of 'num_groups'")))
      return failure();
    auto repeat = [&](Value each) {
      each = c.make<nn::UnsqueezeOp>(each, ArrayRef<int64_t>{1});
      each = c.make<nn::BroadcastOp>(each, v.concat({v.constant(groups), share}));
      return c.make<nn::CollapseOp>(each, 0, 2);
    };
    scale = repeat(scale);
    bias = repeat(bias);
  }
  if (failed(ShapeVectors(c).requireChannels(c.input(0), 1, {scale, bias})))
    return failure();
  return c.replaceWith<nn::GroupNormOp>(c.input(0), scale, bias, groups,
                                        epsilon, false);
}

/// x / (bias + alpha / size * sum of x^2 over `size` channels)^beta
static LogicalResult convertLRN(NodeContext &c) {
  Value x = c.input(0);
  int64_t size = c.getInt("size", 0), rank = c.rankOf(x);
  double alpha = c.getFloat("alpha", 1e-4f), beta = c.getFloat("beta", 0.75f),
         bias = c.getFloat("bias", 1);
  if (size < 1 || rank < 2)
    return c.error("'size' is " + Twine(size) + " and the input's rank " +
                   Twine(rank) + ", expected 1 or more and 2 or more");
  // A mean over the channels, as if they were the first of the places.
  SmallVector<int64_t> kernel(rank - 1, 1), ones = kernel,
                                            pads(2 * (rank - 1), 0);
  kernel[0] = size;
  pads[0] = (size - 1) / 2;
  pads[rank - 1] = size / 2;
  Type type = elementTypeOf(x), wide = type;
  if (type.getIntOrFloatBitWidth() < 32)
    wide = c.getBuilder().getF32Type();
  Value widened = castTo(c, x, wide);
  Value squares = c.make<nn::MulOp>(widened, widened);
  squares = c.make<nn::UnsqueezeOp>(squares, ArrayRef<int64_t>{1});
  Value mean = c.make<nn::AvgPoolOp>(
      squares, kernel, ones, ones, pads, nn::AutoPad::NotSet,
      /*ceil_mode=*/false, /*channels_last=*/false, /*count_include_pad=*/true);
  mean = c.make<nn::SqueezeOp>(mean, ArrayRef<int64_t>{1});
  auto scalar = [&](double value) { return c.scalarConstant(wide, value); };
  Value base =
      c.make<nn::AddOp>(c.make<nn::MulOp>(mean, scalar(alpha)), scalar(bias));
  Value power = c.make<nn::PowOp>(base, scalar(beta));
  return c.replaceWith(castTo(c, c.make<nn::DivOp>(widened, power), type));
}

//===----------------------------------------------------------------------===//
// Normalisation of rows
//===----------------------------------------------------------------------===//

/// The dimensions from attribute `axis` on.
static std::optional<SmallVector<int64_t>> getAxesFrom(NodeContext &c) {
  int64_t rank = c.rankOf(c.input(0));
  auto axis = c.normalizeAxis(c.getInt("axis", -1), rank);
  if (!axis)
    return std::nullopt;
  return llvm::to_vector(llvm::seq<int64_t>(*axis, rank));
}

/// f16 and bf16 are normalised in f32, as 1 (float) asks; f64 stays f64, which
/// is more than that.
static LogicalResult checkStashType(NodeContext &c) {
  int64_t type = c.getInt("stash_type", 1);
  if (type == 1 || elementTypeOf(c.input(0)).getIntOrFloatBitWidth() >= 32)
    return success();
  return c.error("'stash_type' is " + Twine(type) + ", expected 1");
}

static LogicalResult convertLayerNorm(NodeContext &c) {
  auto axes = getAxesFrom(c);
  APFloat epsilon = epsilonOf(c, 1e-5f);
  if (!axes || failed(checkStashType(c)))
    return failure();
  Value x = c.input(0);
  Value y = c.make<nn::NormalizeOp>(x, *axes, epsilon, false);
  y = c.make<nn::MulOp>(y, c.input(1));
  if (c.hasInput(2))
    y = c.make<nn::AddOp>(y, c.input(2));
  c.setResult(0, y);
  if (!c.hasOutput(1) && !c.hasOutput(2))
    return success(!c.hadError());
  Type type = c.getBuilder().getF32Type();
  x = castTo(c, x, type);
  Value mean = c.make<nn::ReduceOp>(ReduceKind::mean, x, *axes, true);
  Value distance = c.make<nn::SubOp>(x, mean);
  Value variance = c.make<nn::ReduceOp>(
      ReduceKind::mean, c.make<nn::MulOp>(distance, distance), *axes, true);
  variance = c.make<nn::AddOp>(
      variance, c.scalarConstant(type, epsilon.convertToDouble()));
  return c.setResults(
      {y, mean, c.make<nn::ReciprocalOp>(c.make<nn::SqrtOp>(variance))});
}

static LogicalResult convertRMSNorm(NodeContext &c) {
  auto axes = getAxesFrom(c);
  APFloat epsilon = epsilonOf(c, 1e-5f);
  if (!axes || failed(checkStashType(c)))
    return failure();
  Value y = c.make<nn::NormalizeOp>(c.input(0), *axes, epsilon, true);
  // The scale's type, which the result has, may be another one.
  return c.replaceWith<nn::MulOp>(castTo(c, y, elementTypeOf(c.input(1))), c.input(1));
}

/// (x - mean) / (deviation + 1e-9); the square of that is enough to keep a
/// deviation of 0 from dividing by 0.
static LogicalResult convertMeanVarianceNorm(NodeContext &c) {
  auto axes =
      c.normalizeAxes(c.getInts("axes", {0, 2, 3}), c.rankOf(c.input(0)));
  if (!axes)
    return failure();
  llvm::sort(*axes);
  return c.replaceWith<nn::NormalizeOp>(c.input(0), *axes, APFloat(1e-18),
                                        false);
}

/// x / norm, and 0 where the norm is.
static LogicalResult convertLpNorm(NodeContext &c) {
  Value x = c.input(0);
  auto axis = c.normalizeAxis(c.getInt("axis", -1), c.rankOf(x));
  int64_t p = c.getInt("p", 2);
  if (!axis)
    return failure();
  if (p != 1 && p != 2)
    return c.error("'p' is " + Twine(p) + ", expected 1 or 2");
  Type type = elementTypeOf(x);
  if (type.getIntOrFloatBitWidth() < 32)
    x = castTo(c, x, c.getBuilder().getF32Type());
  Value terms = p == 1 ? c.make<nn::AbsOp>(x) : c.make<nn::MulOp>(x, x);
  Value norm = c.make<nn::ReduceOp>(ReduceKind::sum, terms, *axis, true);
  if (p == 2)
    norm = makeRoot(c, norm, 2);
  if (!norm)
    return failure();
  Type compute = elementTypeOf(x);
  Value isZero = c.make<nn::CompareOp>(nn::ComparePredicate::eq, norm,
                                       c.scalarConstant(compute, 0));
  norm = c.make<nn::WhereOp>(isZero, c.scalarConstant(compute, 1), norm);
  return c.replaceWith(castTo(c, c.make<nn::DivOp>(x, norm), type));
}

void nacre::frontend::registerNormalizationConverters(ConverterTable &table) {
  table.add("Softmax", convertSoftmax<false>);
  table.add("LogSoftmax", convertSoftmax<true>);
  table.add("Hardmax", convertHardmax);
  table.add("BatchNormalization", convertBatchNorm);
  table.add("InstanceNormalization", convertInstanceNorm);
  table.add("GroupNormalization", convertGroupNorm);
  table.add("LRN", convertLRN);
  table.add("LayerNormalization", convertLayerNorm);
  table.add("RMSNormalization", convertRMSNorm);
  table.add("MeanVarianceNormalization", convertMeanVarianceNorm);
  table.add("LpNormalization", convertLpNorm);
}
