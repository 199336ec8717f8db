//===- Losses.cpp - What there is to minimise -------------------*- C++ -*-===//
//
// Each loss is built of ordinary ops on the model's outputs, in f32 (f64 for f64 outputs), and
// differentiated like the model.
//
//===----------------------------------------------------------------------===//
#include "compiler/train/Losses.h"
#include "compiler/train/Loss.h"
#include "dialects/nn/Expr.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;
using nn::TensorExpr;

namespace {

constexpr StringLiteral kOutput = "output:";

/// All losses, and the entries of their names.
struct Table {
  Table() {
    for (ArrayRef<LossKind> theme : {getClassLosses(), getElementLosses(), getVectorLosses(), getSequenceLosses()})
      llvm::append_range(kinds, theme);
    for (const LossKind &kind : kinds)
      entries.push_back(kind.entry);
  }
  std::vector<LossKind> kinds;
  std::vector<Entry> entries;
};

const Table &getTable() {
  static const Table table;
  return table;
}

bool parseLoss(Text what, Request &request, Message &message) {
  const std::vector<Entry> &known = getTable().entries;
  if (parse(what, known.data(), known.size(), "loss", request, message))
    return true;
  if (Text rest = what; request.entry == nullptr || cut(rest, ":") != request.entry->name)
    message << " or output:NAME";
  else if (what.find("reduction=none") != Text::npos)
    message << ": a step needs one number";
  return false;
}

/// An output as a scalar.
FailureOr<Value> buildOutput(StringRef name, StepBuilder &step) {
  Value output = step.findOutput(name);
  if (!output)
    return step.getFunction().emitError("no output is called '")
           << name << "' for the loss: the outputs are " << step.listOutputs();
  auto type = cast<RankedTensorType>(output.getType());
  if (!isa<FloatType>(type.getElementType()) || !type.hasStaticShape() || type.getNumElements() != 1)
    return step.getFunction().emitError("the loss '")
           << name << "' is not one floating-point number: it is " << type;
  OpBuilder b(step.getTerminator());
  return type.getRank() == 0 ? output : nn::reshapeTo(b, output, {});
}

} // namespace

bool train::checkLosses(Text sum, Message &message) {
  do {
    Term term;
    if (!cutTerm(sum, term, message))
      return false;
    Request request;
    if (!StringRef(term.what).starts_with(kOutput) && !parseLoss(term.what, request, message))
      return false;
  } while (!sum.empty());
  return true;
}

int64_t train::getIgnoredLabel(Text sum) {
  Message message;
  do {
    Term term;
    Request request;
    if (cutTerm(sum, term, message) && term.outputs.empty() && !StringRef(term.what).starts_with(kOutput) &&
        parseLoss(term.what, request, message) && request.has("ignore_index"))
      return int64_t(request["ignore_index"]);
  } while (!sum.empty());
  return -100;
}

std::string train::describeLosses() {
  std::string text;
  describe(getTable().entries.data(), getTable().entries.size(), [&](Text part) { text += part; });
  return text + "  output:NAME: a scalar output of the model\n";
}

FailureOr<Value> train::buildLosses(Text sum, StepBuilder &step) {
  Message message;
  if (!checkLosses(sum, message))
    return step.getFunction().emitError(message.c_str());
  Value total;
  do {
    Term term;
    (void)cutTerm(sum, term, message);
    FailureOr<Value> made;
    Request request;
    if (StringRef what = term.what; what.consume_front(kOutput)) {
      made = buildOutput(what, step);
    } else {
      (void)parseLoss(term.what, request, message);
      Loss loss(request, term.outputs, step);
      made = getTable().kinds[request.entry - getTable().entries.data()].build(loss);
    }
    if (failed(made))
      return failure();
    OpBuilder b(step.getTerminator());
    TensorExpr value(b, made->getLoc(), *made);
    if (total || !sum.empty() || term.factor != 1)
      value = castTo(value, nn::getComputeType(value.getType().getElementType()));
    if (term.factor != 1)
      value = value * term.factor;
    if (total) {
      TensorExpr before = value.with(total);
      if (before.getType() != value.getType()) { // an f64 output among f32 ones
        before = castTo(before, b.getF64Type());
        value = castTo(value, b.getF64Type());
      }
      value = before + value;
    }
    total = value;
  } while (!sum.empty());
  return total;
}
