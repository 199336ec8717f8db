//===- MlConverters.cpp - Classical machine learning ------------*- C++ -*-===//
//
// Operators of the domain ai.onnx.ml.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Scores.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// Columns of the last dimension; a vector is a row.
static LogicalResult convertArrayFeatureExtractor(NodeContext &c) {
  Value x = c.input(0), columns = c.input(1);
  if (c.rankOf(x) == 0)
    return c.error("expected an input of rank 1 or more, found a scalar");
  columns = c.make<nn::CollapseOp>(columns, 0, c.rankOf(columns));
  Value picked = c.make<nn::GatherOp>(x, columns, c.rankOf(x) - 1, /*in_bounds=*/false);
  return c.rankOf(x) == 1 ? c.replaceWith<nn::UnsqueezeOp>(picked, ArrayRef<int64_t>{0})
                          : c.replaceWith(picked);
}

/// 1 above the threshold, else 0. Integers are compared as f64.
static LogicalResult convertBinarizer(NodeContext &c) {
  Value x = c.input(0);
  Type type = c.inputType(0).getElementType();
  Type compare = isa<FloatType>(type) ? type : Type(c.getBuilder().getF64Type());
  if (compare != type)
    x = c.make<nn::CastOp>(x, compare);
  Value threshold = c.scalarConstant(compare, c.getFloat("threshold", 0));
  Value isAbove = c.make<nn::CompareOp>(nn::ComparePredicate::gt, x, threshold);
  return c.replaceWith<nn::CastOp>(isAbove, type);
}

/// One number, or one for each feature; the number of features must fit. Null after an error.
static Value featureConstant(NodeContext &c, StringRef attribute, Type element, ArrayRef<double> numbers) {
  Value x = c.input(0);
  int64_t rank = c.rankOf(x), size = rank ? c.typeOf(x).getDimSize(rank - 1) : 1, count = numbers.size();
  if (count != 1 && (count == 0 || (!ShapedType::isDynamic(size) && size != count))) {
    (void)c.error("the attribute " + nn::quoted(attribute) + " has " + Twine(count) + " numbers for " +
                  (ShapedType::isDynamic(size) ? "any number of" : Twine(size)) + " features");
    return {};
  }
  return count == 1 ? c.scalarConstant(element, numbers[0]) : vectorConstant(c, element, numbers);
}

/// The input; where its number of features is open and there is a constant for each of `count`, that they are as many
/// is required of the run. Of a scalar, which has one, featureConstant says what is wrong.
static Value withFeatures(NodeContext &c, size_t count) {
  ShapeVectors v(c);
  Value x = c.input(0);
  return count > 1 && c.rankOf(x) > 0 ? v.withSize(x, c.rankOf(x) - 1, count, "features") : x;
}

/// (x - offset) * scale, in f32.
static LogicalResult convertScaler(NodeContext &c) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  SmallVector<double> offsets = c.getFloats("offset"), scales = c.getFloats("scale");
  Value offset = featureConstant(c, "offset", f32, offsets);
  Value scale = offset ? featureConstant(c, "scale", f32, scales) : Value();
  if (!scale)
    return failure();
  Value x = v.cast(withFeatures(c, std::max(offsets.size(), scales.size())), f32);
  return c.replaceWith(v.mul(v.sub(x, offset), scale));
}

/// Rows over their largest element, or over their norm. Rows of zeros stay.
static LogicalResult convertNormalizer(NodeContext &c) {
  ShapeVectors v(c);
  StringRef norm = c.getString("norm", "MAX");
  int64_t rank = c.rankOf(c.input(0));
  if (norm != "MAX" && norm != "L1" && norm != "L2")
    return c.error("the attribute 'norm' is " + nn::quoted(norm) + ", expected MAX, L1 or L2");
  if (rank != 1 && rank != 2)
    return c.error("the input has rank " + Twine(rank) + ", expected 1 or 2");
  Value x = v.cast(c.input(0), c.getBuilder().getF32Type());
  Value sizes = norm == "MAX" ? x : norm == "L1" ? c.make<nn::AbsOp>(x) : v.mul(x, x);
  auto kind = norm == "MAX" ? nn::ReduceKind::max : nn::ReduceKind::sum;
  Value size = sizes ? c.make<nn::ReduceOp>(kind, sizes, ArrayRef<int64_t>{rank - 1}, /*keepdims=*/true) : Value();
  if (norm == "L2")
    size = makeRoot(c, size, 2);
  if (!size)
    return failure();
  Type f32 = c.getBuilder().getF32Type();
  Value isZero = v.compare(nn::ComparePredicate::eq, size, c.scalarConstant(f32, 0));
  return c.replaceWith(v.div(x, v.select(isZero, c.scalarConstant(f32, 1), size)));
}

/// Replaces one value, or NaN, in each feature.
static LogicalResult convertImputer(NodeContext &c) {
  ShapeVectors v(c);
  Type element = c.inputType(0).getElementType();
  bool isFloat = isa<FloatType>(element);
  StringRef attribute = isFloat ? "imputed_value_floats" : "imputed_value_int64s";
  SmallVector<double> numbers = c.getFloats("imputed_value_floats");
  SmallVector<int64_t> integers = c.getInts("imputed_value_int64s");
  double replaced = c.getFloat("replaced_value_float", 0);
  int64_t replacedInteger = c.getInt("replaced_value_int64", 0);
  size_t count = isFloat ? numbers.size() : integers.size();
  Value x = withFeatures(c, count), values, old;
  if (isFloat) {
    values = featureConstant(c, attribute, element, numbers);
    old = c.scalarConstant(element, replaced);
  } else {
    // Through f64 only to be counted: what is imputed is the list itself.
    if (!featureConstant(c, attribute, c.getBuilder().getF64Type(), SmallVector<double>(integers.size(), 0)))
      return failure();
    values = v.cast(count == 1 ? v.scalar(integers[0]) : v.constant(integers), element);
    old = v.cast(v.scalar(replacedInteger), element);
  }
  if (!values || !old || !x)
    return failure();
  Value isOld = std::isnan(replaced) && isFloat ? c.make<nn::IsNaNOp>(x) : v.compare(nn::ComparePredicate::eq, x, old);
  return c.replaceWith(v.select(isOld, values, x));
}

/// Side by side, in f32. An input has as many columns as is said: some are left out, or zeros follow.
static LogicalResult convertFeatureVectorizer(NodeContext &c) {
  ShapeVectors v(c);
  Type f32 = c.getBuilder().getF32Type();
  SmallVector<int64_t> sizes = c.getInts("inputdimensions");
  if (sizes.size() != c.numInputs())
    return c.error("the attribute 'inputdimensions' has " + Twine(sizes.size()) + " numbers for " + Twine(c.numInputs()) +
                   " inputs");
  SmallVector<Value> parts;
  for (auto [input, size] : llvm::zip(c.allInputs(), sizes)) {
    Value x = input;
    if (!x || c.rankOf(x) != 2)
      return c.error("expected matrices as inputs");
    if (size < 1 || size > 1 << 24)
      return c.error("the attribute 'inputdimensions' has the number " + Twine(size));
    x = v.cast(x, f32);
    if (x && c.typeOf(x).getDimSize(1) != size) {
      Value padded = c.make<nn::PadOp>(x, v.constant({0, 0, 0, size}), c.scalarConstant(f32, 0), nn::PadMode::Constant);
      x = padded ? c.make<nn::SliceOp>(padded, v.constant({0, 0}), v.constant({INT64_MAX, size}), v.constant({1, 1}))
                 : Value();
    }
    if (!x)
      return failure();
    parts.push_back(x);
  }
  return c.replaceWith<nn::ConcatOp>(ValueRange(parts), 1);
}

/// 0, 1, ...
static Value places(NodeContext &c, size_t count) {
  return c.intsConstant(llvm::to_vector(llvm::seq<int64_t>(0, count)));
}

/// 1 at the place of the category, else 0. Numbers are cut to integers before.
static LogicalResult convertOneHotEncoder(NodeContext &c) {
  ShapeVectors v(c);
  Labels categories(c, "cats_strings", "cats_int64s");
  bool allowsUnknown = c.getFlag("zeros", true), isText = isa<nn::StringType>(c.inputType(0).getElementType());
  if (isText ? categories.names.empty() : categories.numbers.empty())
    return c.error(Twine("it has no categories of ") + (isText ? "strings" : "integers"));
  Value x = c.input(0), keys = c.intsConstant(categories.numbers);
  if (isText) {
    keys = places(c, categories.names.size());
    x = c.make<nn::LookupOp>(x, c.stringsConstant(categories.names), keys, v.scalar(-1));
  } else {
    x = v.toI64(x);
  }
  x = x ? c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{c.rankOf(x)}) : Value();
  Value isThere = v.compare(nn::ComparePredicate::eq, x, keys);
  Value result = v.cast(isThere, c.getBuilder().getF32Type());
  if (!result)
    return failure();
  if (!allowsUnknown) {
    Value all = c.make<nn::CollapseOp>(result, 0, c.rankOf(result));
    Value known = all ? v.toI64(v.sum(v.toI64(all))) : Value();
    Value count = v.sum(v.toI64(c.make<nn::CollapseOp>(v.add(v.mul(v.toI64(x), 0), 1), 0, c.rankOf(x))));
    if (!known || !count ||
        failed(c.require(v.compare(nn::ComparePredicate::eq, known, count), "an element is none of the categories")))
      return failure();
  }
  return c.replaceWith(result);
}

/// Integers for strings, or the other way.
static LogicalResult convertCategoryMapper(NodeContext &c) {
  ShapeVectors v(c);
  Labels categories(c, "cats_strings", "cats_int64s");
  StringRef name = c.getString("default_string", "_Unused");
  int64_t number = c.getInt("default_int64", -1);
  if (categories.names.size() != categories.numbers.size() || categories.names.empty())
    return c.error("it has " + Twine(categories.names.size()) + " strings and " + Twine(categories.numbers.size()) +
                   " integers");
  Value names = c.stringsConstant(categories.names), numbers = c.intsConstant(categories.numbers);
  if (isa<nn::StringType>(c.inputType(0).getElementType()))
    return c.replaceWith<nn::LookupOp>(c.input(0), names, numbers, v.scalar(number));
  return c.replaceWith<nn::LookupOp>(c.input(0), numbers, names, c.stringConstant(name));
}

void nacre::frontend::registerMlConverters(ConverterTable &table) {
  StringRef domain = "ai.onnx.ml";
  table.add("ArrayFeatureExtractor", convertArrayFeatureExtractor, domain);
  table.add("Binarizer", convertBinarizer, domain);
  table.add("CategoryMapper", convertCategoryMapper, domain);
  table.add("FeatureVectorizer", convertFeatureVectorizer, domain);
  table.add("Imputer", convertImputer, domain);
  table.add("Normalizer", convertNormalizer, domain);
  table.add("OneHotEncoder", convertOneHotEncoder, domain);
  table.add("Scaler", convertScaler, domain);
}
