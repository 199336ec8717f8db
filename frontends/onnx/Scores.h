//===- Scores.h - What classical models make of scores ----------*- C++ -*-===//
//
// Trees, linear models and support vector machines (ai.onnx.ml) end alike: a score for each class or target, which
// is transformed, and a label.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_SCORES_H
#define NACRE_FRONTENDS_ONNX_SCORES_H

#include "frontends/onnx/Converter.h"

namespace nacre::frontend {

enum class Transform { None, Softmax, Logistic, SoftmaxZero, Probit };

/// The attribute `post_transform`; nullopt after an error.
std::optional<Transform> getTransform(NodeContext &c);
/// Scores of a row each. Null after an error, and where there are none.
Value transformScores(NodeContext &c, Value scores, Transform kind);
/// Transformed scores of two classes, of a column for the second: the first one's is what it lacks to 1 (`isShare`),
/// or the opposite.
Value completeScores(NodeContext &c, Value score, bool isShare, Transform kind);

/// The probabilities of classes, [rows, classes], from those of the first class of each pair, [rows, pairs], which
/// are neither 0 nor 1. Null after an error. (Coupling.cpp)
Value coupleShares(NodeContext &c, Value shares, int64_t classes);

/// The labels of classes, numbers or strings.
struct Labels {
  SmallVector<StringRef> names;
  SmallVector<int64_t> numbers;
  Labels(NodeContext &c, StringRef namesAttribute, StringRef numbersAttribute);
  int64_t size() const { return names.empty() ? numbers.size() : names.size(); }
  /// Those of classes by their places.
  Value at(NodeContext &c, Value places) const;
};

/// A vector of floats.
Value vectorConstant(NodeContext &c, mlir::Type element, ArrayRef<double> numbers);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SCORES_H
