//===- MlConverters.cpp - Classical machine learning ------------*- C++ -*-===//
//
// Operators of the domain ai.onnx.ml.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Converter.h"

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

void nacre::frontend::registerMlConverters(ConverterTable &table) {
  StringRef domain = "ai.onnx.ml";
  table.add("ArrayFeatureExtractor", convertArrayFeatureExtractor, domain);
  table.add("Binarizer", convertBinarizer, domain);
}
