//===- EinsumConverter.cpp - Einsum -----------------------------*- C++ -*-===//
//
// An equation is evaluated from left to right, two operands at a time, each time as
// one nn.contract (or nn.matmul, nn.transpose, where it is one).
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Converter.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// A letter, or a dimension of the ellipsis: 256 + its distance from the ellipsis' end.
using Label = int;
using Labels = SmallVector<Label>;

/// A value whose dimensions have labels.
struct Term {
  Value value;
  Labels labels;
};

struct Equation {
  SmallVector<Labels> inputs;
  Labels output;
};

constexpr Label kEllipsis = 256;

/// The labels of one term, the ellipsis standing for `ellipsisRank` dimensions.
std::optional<Labels> parseTerm(StringRef text, int64_t ellipsisRank) {
  Labels labels;
  bool seen = false;
  for (; !text.empty();) {
    if (text.consume_front("...")) {
      if (seen)
        return std::nullopt;
      seen = true;
      for (int64_t i = ellipsisRank; i > 0; --i)
        labels.push_back(kEllipsis + i - 1);
      continue;
    }
    if (!llvm::isAlpha(text.front()))
      return std::nullopt;
    labels.push_back(text.front());
    text = text.drop_front();
  }
  return labels;
}

std::optional<Equation> parse(NodeContext &c, StringRef equation) {
  auto fail = [&](const Twine &message) {
    (void)c.error("equation " + nn::quoted(equation) + ": " + message);
    return std::nullopt;
  };
  std::string text;
  for (char character : equation)
    if (character != ' ')
      text.push_back(character);
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = StringRef(text).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != c.numInputs())
    return fail(Twine(terms.size()) + " terms for " + Twine(c.numInputs()) + " operands");

  Equation result;
  int64_t ellipsisRank = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    int64_t rank = NodeContext::rankOf(c.input(i)), own = 0;
    if (term.contains("...")) {
      own = rank - (static_cast<int64_t>(term.size()) - 3);
      if (own < 0)
        return fail("term " + nn::quoted(term) + " has more labels than its operand dimensions");
    }
    ellipsisRank = std::max(ellipsisRank, own);
    auto labels = parseTerm(term, own);
    if (!labels)
      return fail("cannot read the term " + nn::quoted(term));
    if (static_cast<int64_t>(labels->size()) != rank)
      return fail("term " + nn::quoted(term) + " for an operand of rank " + Twine(rank));
    result.inputs.push_back(std::move(*labels));
  }
  if (isExplicit) {
    auto labels = parseTerm(right, ellipsisRank);
    if (!labels)
      return fail("cannot read the result " + nn::quoted(right));
    result.output = std::move(*labels);
  } else {
    // The ellipsis, then what occurs once, in alphabetical order.
    for (int64_t i = ellipsisRank; i > 0; --i)
      result.output.push_back(kEllipsis + i - 1);
    for (Label label = 0; label < kEllipsis; ++label) {
      int64_t count = 0;
      for (const Labels &labels : result.inputs)
        count += llvm::count(labels, label);
      if (count == 1)
        result.output.push_back(label);
    }
  }
  for (auto [i, label] : llvm::enumerate(result.output)) {
    bool known = llvm::any_of(result.inputs, [&, label = label](const Labels &labels) {
      return llvm::is_contained(labels, label);
    });
    if (!known || llvm::is_contained(ArrayRef(result.output).drop_front(i + 1), label))
      return fail("the result must name labels of the operands, each once");
  }
  return result;
}

bool isUnique(ArrayRef<Label> labels) {
  for (auto [i, label] : llvm::enumerate(labels))
    if (llvm::is_contained(labels.drop_front(i + 1), label))
      return false;
  return true;
}

/// The product as nn.matmul, if the terms and the result are [batch..., m, k],
/// [batch..., k, n] (or exchanged) and [batch..., m, n]; else null.
Value makeMatMul(NodeContext &c, const Term &lhs, const Term &rhs, ArrayRef<Label> output) {
  if (output.size() < 2 || lhs.labels.size() != output.size() || rhs.labels.size() != output.size())
    return {};
  ArrayRef<Label> batch = output.drop_back(2);
  Label m = output.end()[-2], n = output.back();
  if (ArrayRef(lhs.labels).drop_back(2) != batch || ArrayRef(rhs.labels).drop_back(2) != batch ||
      !isUnique(lhs.labels) || !isUnique(rhs.labels))
    return {};
  // Sizes must agree: what stretches is not for here.
  for (size_t i = 0; i < batch.size(); ++i)
    if (NodeContext::typeOf(lhs.value).getDimSize(i) != NodeContext::typeOf(rhs.value).getDimSize(i))
      return {};
  auto other = [](ArrayRef<Label> labels, Label one) -> std::optional<std::pair<Label, bool>> {
    if (labels.end()[-2] == one)
      return std::pair(labels.back(), true);
    if (labels.back() == one)
      return std::pair(labels.end()[-2], false);
    return std::nullopt;
  };
  auto l = other(lhs.labels, m), r = other(rhs.labels, n);
  if (!l || !r || l->first != r->first || l->first == n || l->first == m)
    return {};
  Value product = c.make<nn::MatMulOp>(lhs.value, rhs.value, /*transpose_lhs=*/!l->second,
                                       /*transpose_rhs=*/r->second);
  Type element = NodeContext::typeOf(lhs.value).getElementType();
  if (!product || NodeContext::typeOf(product).getElementType() == element)
    return product;
  return c.make<nn::CastOp>(product, TypeAttr::get(element)); // sums of bytes wrap around
}

/// Multiplies the terms and sums over what is not in `output`.
Value contract(NodeContext &c, ArrayRef<Term> terms, ArrayRef<Label> output) {
  if (terms.size() == 1 && isUnique(terms[0].labels) &&
      terms[0].labels.size() == output.size()) {
    SmallVector<int64_t> permutation;
    for (Label label : output)
      permutation.push_back(llvm::find(terms[0].labels, label) - terms[0].labels.begin());
    return c.make<nn::TransposeOp>(terms[0].value, permutation);
  }
  if (terms.size() == 2) {
    if (Value product = makeMatMul(c, terms[0], terms[1], output))
      return product;
    if (Value product = makeMatMul(c, terms[1], terms[0], output))
      return product;
  }

  // Loops: those of the result, then the others. One whose sizes are not all 1
  // stretches the dimensions that are.
  llvm::MapVector<Label, bool> loops;
  for (Label label : output)
    loops[label] = false;
  for (const Term &term : terms)
    for (auto [label, size] : llvm::zip(term.labels, NodeContext::typeOf(term.value).getShape()))
      loops[label] |= size != 1;
  MLIRContext *context = c.getContext();
  auto loopOf = [&](Label label) {
    return getAffineDimExpr(loops.find(label) - loops.begin(), context);
  };
  SmallVector<AffineMap> maps;
  SmallVector<Value> values;
  for (const Term &term : terms) {
    SmallVector<AffineExpr> exprs;
    for (auto [label, size] : llvm::zip(term.labels, NodeContext::typeOf(term.value).getShape()))
      exprs.push_back(size == 1 && loops[label] ? getAffineConstantExpr(0, context) : loopOf(label));
    maps.push_back(AffineMap::get(loops.size(), 0, exprs, context));
    values.push_back(term.value);
  }
  maps.push_back(AffineMap::get(loops.size(), 0,
                                llvm::map_to_vector(output, loopOf), context));
  return c.make<nn::ContractOp>(values, c.getBuilder().getAffineMapArrayAttr(maps));
}

} // namespace

LogicalResult nacre::frontend::convertEinsum(NodeContext &c) {
  auto equation = parse(c, c.getString("equation"));
  if (!equation)
    return failure();
  Term result{c.input(0), equation->inputs[0]};
  if (c.numInputs() == 1)
    return c.replaceWith(contract(c, result, equation->output));
  for (unsigned i = 1; i < c.numInputs(); ++i) {
    Term next{c.input(i), equation->inputs[i]};
    // What the result or a later operand still needs.
    Labels labels = equation->output;
    if (i + 1 < c.numInputs()) {
      auto isNeeded = [&](Label label) {
        return llvm::is_contained(equation->output, label) ||
               llvm::any_of(ArrayRef(equation->inputs).drop_front(i + 1),
                            [&](const Labels &later) { return llvm::is_contained(later, label); });
      };
      labels.clear();
      for (const Labels &operand : {result.labels, next.labels})
        for (Label label : operand)
          if (isNeeded(label) && !llvm::is_contained(labels, label))
            labels.push_back(label);
    }
    result = {contract(c, {result, next}, labels), labels};
    if (!result.value)
      return failure();
  }
  return c.replaceWith(result.value);
}
