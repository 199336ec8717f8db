//===- LinearModelConverters.cpp - Linear models and SVMs -------*- C++ -*-===//
//
// Scores are products with coefficients, of features or, in support vector machines, of the kernel of each support
// vector. Computed in f32, as both references do.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Scores.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// The rows of the input; a vector is one. Null after an error.
Value getRows(NodeContext &c) {
  Value x = c.input(0);
  if (c.rankOf(x) == 1)
    x = c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{0});
  if (x && c.rankOf(x) != 2) {
    (void)c.error("the input has rank " + Twine(c.rankOf(x)) + ", expected 1 or 2");
    return {};
  }
  return ShapeVectors(c).cast(x, c.getBuilder().getF32Type());
}

/// Numbers as a matrix of `rows` rows; null after an error.
Value matrixConstant(NodeContext &c, StringRef attribute, ArrayRef<double> numbers, int64_t rows) {
  int64_t count = numbers.size();
  if (rows < 1 || count == 0 || count % rows != 0) {
    (void)c.error("the attribute " + nn::quoted(attribute) + " has " + Twine(count) + " numbers for " + Twine(rows) +
                  " rows");
    return {};
  }
  auto type = RankedTensorType::get({rows, count / rows}, c.getBuilder().getF32Type());
  auto floats = llvm::map_to_vector(numbers, [](double x) { return float(x); });
  return c.constant(DenseElementsAttr::get(type, ArrayRef<float>(floats)));
}

Value numbersConstant(NodeContext &c, ArrayRef<double> numbers) {
  return vectorConstant(c, c.getBuilder().getF32Type(), numbers);
}

/// x · rowsᵀ, where x must have as many columns as the rows.
Value multiply(NodeContext &c, Value x, Value rows) {
  if (!x || !rows)
    return {};
  x = ShapeVectors(c).withSize(x, 1, c.typeOf(rows).getDimSize(1), "features");
  return x ? c.make<nn::MatMulOp>(x, rows, /*transpose_lhs=*/false, /*transpose_rhs=*/true) : Value();
}

/// The column of the label's class in labels of two, from a score of the second.
Value placesOf(NodeContext &c, Value isSecond) {
  return isSecond ? c.make<nn::SqueezeOp>(ShapeVectors(c).toI64(isSecond), ArrayRef<int64_t>{1}) : Value();
}

Value largest(NodeContext &c, Value scores) {
  return scores ? c.make<nn::ArgReduceOp>(nn::ReduceKind::max, scores, 1, /*keepdims=*/false, /*select_last=*/false)
                : Value();
}

//===----------------------------------------------------------------------===//
// Linear models
//===----------------------------------------------------------------------===//

/// [rows, count]; null after an error.
Value makeLinearScores(NodeContext &c, int64_t count) {
  SmallVector<double> coefficients = c.getFloats("coefficients"), intercepts = c.getFloats("intercepts");
  Value scores = multiply(c, getRows(c), matrixConstant(c, "coefficients", coefficients, count));
  if (intercepts.empty() || !scores)
    return scores;
  if (int64_t(intercepts.size()) != count) {
    (void)c.error("it has " + Twine(intercepts.size()) + " intercepts for " + Twine(count) + " scores");
    return {};
  }
  return ShapeVectors(c).add(scores, numbersConstant(c, intercepts));
}

LogicalResult convertLinearRegressor(NodeContext &c) {
  auto kind = getTransform(c);
  Value scores = makeLinearScores(c, c.getInt("targets", 1));
  return kind && scores ? c.replaceWith(transformScores(c, scores, *kind)) : failure();
}

LogicalResult convertLinearClassifier(NodeContext &c) {
  ShapeVectors v(c);
  auto kind = getTransform(c);
  Labels labels(c, "classlabels_strings", "classlabels_ints");
  c.ignoreAttr("multi_class"); // how it was trained
  int64_t features = c.rankOf(c.input(0)) == 2 ? c.inputType(0).getDimSize(1) : ShapedType::kDynamic;
  int64_t coefficients = c.getFloats("coefficients").size();
  // One score may serve two labels: then there is no other way to share the coefficients.
  bool isOneSided = labels.size() == 2 && (ShapedType::isDynamic(features) ? c.getFloats("intercepts").size() == 1
                                                                           : coefficients == features);
  if (labels.size() < 2)
    return c.error("it has " + Twine(labels.size()) + " labels, expected 2 or more");
  Value scores = makeLinearScores(c, isOneSided ? 1 : labels.size());
  if (!kind || !scores)
    return failure();
  Value zero = c.scalarConstant(c.getBuilder().getF32Type(), 0);
  Value places = isOneSided ? placesOf(c, v.compare(nn::ComparePredicate::gt, scores, zero)) : largest(c, scores);
  Value label = labels.at(c, places);
  scores = isOneSided ? completeScores(c, scores, /*isShare=*/true, *kind) : transformScores(c, scores, *kind);
  return label && scores ? c.setResults({label, scores}) : failure();
}

//===----------------------------------------------------------------------===//
// Support vector machines
//===----------------------------------------------------------------------===//

/// [rows, vectors]: how near each row is to each of `vectors`.
Value makeKernels(NodeContext &c, Value x, Value vectors) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  auto number = [&](double value) { return c.scalarConstant(f32, value); };
  StringRef kernel = c.getString("kernel_type", "LINEAR");
  SmallVector<double> params = c.getFloats("kernel_params");
  if (!params.empty() && params.size() != 3) {
    (void)c.error("the attribute 'kernel_params' has " + Twine(params.size()) + " numbers, expected gamma, coef0 and degree");
    return {};
  }
  params.resize(3, 0);
  Value product = multiply(c, x, vectors);
  if (kernel == "LINEAR" || !product)
    return product;
  if (kernel == "RBF") {
    // |x - v|²: differences, as products lose digits where both are near.
    Value rows = c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{1});
    Value distance = v.sub(rows, vectors);
    Value sum = distance ? c.make<nn::ReduceOp>(nn::ReduceKind::sum, v.mul(distance, distance), ArrayRef<int64_t>{2},
                                                /*keepdims=*/false)
                         : Value();
    return sum ? c.make<nn::ExpOp>(v.mul(sum, number(-params[0]))) : Value();
  }
  Value sum = v.add(v.mul(product, number(params[0])), number(params[1]));
  if (kernel == "SIGMOID" && sum)
    return c.make<nn::TanhOp>(sum);
  if (kernel == "POLY" && sum)
    return c.make<nn::PowOp>(sum, number(params[2]));
  (void)c.error("the attribute 'kernel_type' is " + nn::quoted(kernel) + ", expected LINEAR, POLY, RBF or SIGMOID");
  return {};
}

LogicalResult convertSvmRegressor(NodeContext &c) {
  ShapeVectors v(c);
  auto kind = getTransform(c);
  int64_t count = c.getInt("n_supports", 0);
  bool isOneClass = c.getFlag("one_class");
  SmallVector<double> coefficients = c.getFloats("coefficients"), vectors = c.getFloats("support_vectors"),
                      rho = c.getFloats("rho");
  if (rho.size() != 1 || count < 0)
    return c.error("it has " + Twine(rho.size()) + " numbers in 'rho' and " + Twine(count) + " support vectors");
  Value x = getRows(c);
  if (!x || !kind)
    return failure();
  if (count == 0) {
    c.ignoreAttr("kernel_type"); // linear
    c.ignoreAttr("kernel_params");
  } else {
    x = makeKernels(c, x, matrixConstant(c, "support_vectors", vectors, count));
  }
  Value scores = v.add(multiply(c, x, matrixConstant(c, "coefficients", coefficients, 1)), numbersConstant(c, rho));
  Type f32 = c.getBuilder().getF32Type();
  if (isOneClass)
    scores = v.select(v.compare(nn::ComparePredicate::gt, scores, c.scalarConstant(f32, 0)), c.scalarConstant(f32, 1),
                      c.scalarConstant(f32, -1));
  return scores ? c.replaceWith(transformScores(c, scores, *kind)) : failure();
}

/// Each pair of classes has a machine, of which the first class wins where its score is above 0. Its coefficients
/// are those of its classes' vectors, in the rows that `coefficients` has for the other class.
struct Duels {
  /// [pairs, vectors], and [pairs, classes] of 1 for who wins, 1 for who wins otherwise.
  SmallVector<double> coefficients, first, second;
  int64_t pairs = 0;
};

Duels makeDuels(ArrayRef<int64_t> counts, ArrayRef<double> coefficients, int64_t vectors) {
  Duels duels;
  int64_t classes = counts.size();
  SmallVector<int64_t> begins(classes, 0);
  for (int64_t i = 1; i < classes; ++i)
    begins[i] = begins[i - 1] + counts[i - 1];
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++duels.pairs) {
      SmallVector<double> row(vectors, 0), one(classes, 0), other(classes, 0);
      for (int64_t k = 0; k < counts[i]; ++k)
        row[begins[i] + k] = coefficients[(j - 1) * vectors + begins[i] + k];
      for (int64_t k = 0; k < counts[j]; ++k)
        row[begins[j] + k] = coefficients[i * vectors + begins[j] + k];
      one[i] = other[j] = 1;
      llvm::append_range(duels.coefficients, row);
      llvm::append_range(duels.first, one);
      llvm::append_range(duels.second, other);
    }
  return duels;
}

/// [rows, classes]: how many others each class wins against.
Value countVotes(NodeContext &c, Value scores, const Duels &duels) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  Value one = v.cast(v.compare(nn::ComparePredicate::gt, scores, c.scalarConstant(f32, 0)), f32);
  Value other = v.sub(c.scalarConstant(f32, 1), one);
  auto times = [&](Value wins, ArrayRef<double> classes) {
    Value matrix = wins ? matrixConstant(c, "vectors_per_class", classes, duels.pairs) : Value();
    return matrix ? c.make<nn::MatMulOp>(wins, matrix, /*transpose_lhs=*/false, /*transpose_rhs=*/false) : Value();
  };
  return v.add(times(one, duels.first), times(other, duels.second));
}

LogicalResult convertSvmClassifier(NodeContext &c) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  auto kind = getTransform(c);
  Labels labels(c, "classlabels_strings", "classlabels_ints");
  SmallVector<int64_t> counts = c.getInts("vectors_per_class");
  SmallVector<double> coefficients = c.getFloats("coefficients"), vectors = c.getFloats("support_vectors"),
                      rho = c.getFloats("rho"), probA = c.getFloats("prob_a"), probB = c.getFloats("prob_b");
  int64_t classes = labels.size(), count = 0;
  for (int64_t n : counts)
    if (n < 0 || n > 1 << 24 || (count += n) > 1 << 24)
      return c.error("the attribute 'vectors_per_class' has the number " + Twine(n));
  if (classes < 2)
    return c.error("it has " + Twine(classes) + " labels, expected 2 or more");
  if (!kind || rho.empty())
    return kind ? c.error("the attribute 'rho' is missing") : failure();
  Value x = getRows(c);
  if (!x)
    return failure();
  Value scores, places;
  if (count == 0) {
    // Linear, with a score for each class.
    c.ignoreAttr("kernel_type");
    c.ignoreAttr("kernel_params");
    scores = v.add(multiply(c, x, matrixConstant(c, "coefficients", coefficients, classes)), c.scalarConstant(f32, rho[0]));
    places = largest(c, scores);
  } else {
    int64_t pairs = classes * (classes - 1) / 2;
    if (int64_t(counts.size()) != classes || int64_t(rho.size()) != pairs ||
        int64_t(coefficients.size()) != (classes - 1) * count)
      return c.error("its " + Twine(classes) + " classes do not fit 'vectors_per_class', 'rho' and 'coefficients' of " +
                     Twine(counts.size()) + ", " + Twine(rho.size()) + " and " + Twine(coefficients.size()) + " numbers");
    constexpr int64_t kMost = 1 << 26; // what is listed for each pair
    if (pairs > kMost / std::max(classes, count))
      return c.error("it has " + Twine(classes) + " classes and " + Twine(count) + " support vectors, of which " +
                     Twine(pairs) + " pairs of classes make too many numbers");
    Duels duels = makeDuels(counts, coefficients, count);
    Value kernels = makeKernels(c, x, matrixConstant(c, "support_vectors", vectors, count));
    scores = v.add(multiply(c, kernels, matrixConstant(c, "coefficients", duels.coefficients, pairs)), numbersConstant(c, rho));
    places = largest(c, countVotes(c, scores, duels));
  }
  Value label = labels.at(c, places);
  if (!label || !scores)
    return failure();
  if (!probA.empty() && count > 0) {
    if (probA.size() != rho.size() || probB.size() != rho.size())
      return c.error("'prob_a' and 'prob_b' have " + Twine(probA.size()) + " and " + Twine(probB.size()) +
                     " numbers, expected " + Twine(rho.size()) + " each");
    Value sum = v.add(v.mul(scores, numbersConstant(c, probA)), numbersConstant(c, probB));
    Value share = sum ? c.make<nn::SigmoidOp>(c.make<nn::NegOp>(sum)) : Value();
    share = v.min(v.max(share, c.scalarConstant(f32, 1e-7)), c.scalarConstant(f32, 1 - 1e-7));
    if (classes > 2) {
      scores = share ? coupleShares(c, share, classes) : Value();
    } else {
      Value other = v.sub(c.scalarConstant(f32, 1), share);
      scores = other ? c.make<nn::ConcatOp>(ValueRange{share, other}, 1) : Value();
    }
    scores = transformScores(c, scores, *kind);
  } else if (count > 0 && classes == 2) {
    if (*kind == Transform::Probit)
      return c.error("the attribute 'post_transform' is PROBIT, which has no meaning for two classes");
    scores = completeScores(c, scores, /*isShare=*/false, *kind);
  } else {
    scores = transformScores(c, scores, *kind);
  }
  return scores ? c.setResults({label, scores}) : failure();
}

} // namespace

void nacre::frontend::registerLinearModelConverters(ConverterTable &table) {
  StringRef domain = "ai.onnx.ml";
  table.add("LinearClassifier", convertLinearClassifier, domain);
  table.add("LinearRegressor", convertLinearRegressor, domain);
  table.add("SVMClassifier", convertSvmClassifier, domain);
  table.add("SVMRegressor", convertSvmRegressor, domain);
}
