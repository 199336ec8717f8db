//===- Choices.cpp - What a run chooses between -----------------*- C++ -*-===//
#include "frontends/onnx/Choices.h"
#include "dialects/rt/RtOps.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::NodeProto;

//===----------------------------------------------------------------------===//
// Trials
//===----------------------------------------------------------------------===//

/// What is tried may fail without being a fault of the model. One at a time, or inside one another.
class frontend::Trial {
public:
  explicit Trial(NodeContext &c)
      : c(c), errors(c.importer.errorCount), unreported(c.importer.unreported), openRanks(c.importer.openRanks),
        handler(c.getContext(), [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          ++this->c.importer.errorCount;
          if (first.empty())
            first = diagnostic.str();
          return success();
        }) {}

  /// As if nothing had been tried; gives what went wrong first.
  std::string takeBack() {
    c.importer.errorCount = errors;
    c.importer.unreported = unreported;
    c.importer.openRanks = openRanks;
    c.failed = false;
    return first.empty() ? "this is not supported" : first;
  }
  static bool isOutOfBudget(NodeContext &c) { return c.importer.outOfBudget; }

private:
  NodeContext &c;
  uint64_t errors, unreported, openRanks;
  std::string first;
  ScopedDiagnosticHandler handler;
};

std::optional<SmallVector<Value>>
frontend::convertEither(NodeContext &c, Value condition,
                        llvm::function_ref<bool(unsigned branch, Draft &draft)> convert) {
  OpBuilder &b = c.getBuilder();
  auto fill = [&](unsigned branch, Draft &draft) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(draft.block);
    return convert(branch, draft) && !c.hadError() && !llvm::is_contained(draft.values, Value());
  };
  Draft drafts[2];
  std::optional<std::string> faults[2];
  for (unsigned branch : {0u, 1u}) {
    drafts[branch] = createDraft(c);
    if (Trial trial(c); !fill(branch, drafts[branch]))
      faults[branch] = trial.takeBack();
    if (faults[branch] && Trial::isOutOfBudget(c)) { // the model as a whole
      (void)c.error(*faults[branch]);
      return std::nullopt;
    }
  }
  if (!faults[0] && !faults[1])
    return mergeBranches(c, condition, drafts, drafts[0].values.size());
  if (faults[0] && faults[1]) {
    for (Draft &draft : drafts)
      draft.holder->erase();
    Draft again = createDraft(c); // to say what is wrong where it is
    if (fill(0, again))
      (void)c.error(*faults[0]);
    again.holder->erase();
    return std::nullopt;
  }
  unsigned good = faults[0] ? 1 : 0;
  drafts[1 - good].holder->erase();
  Value holds = condition;
  if (good == 1)
    holds = arith::XOrIOp::create(b, c.getLoc(), condition, arith::ConstantIntOp::create(b, c.getLoc(), 1, 1));
  rt::CheckOp::create(b, c.getLoc(), holds, rt::Status::InvalidValue, *faults[1 - good]);
  b.getInsertionBlock()->getOperations().splice(b.getInsertionPoint(), drafts[good].block->getOperations());
  drafts[good].holder->erase();
  return std::move(drafts[good].values);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

bool GraphImporter::importForBranches(const NodeProto &node, Value condition, Scope &scope, OpBuilder &builder,
                                      Location loc,
                                      llvm::function_ref<bool(unsigned branch, Scope &, OpBuilder &)> import) {
  NodeContext c(*this, builder, loc);
  auto values = convertEither(c, condition, [&](unsigned branch, Draft &draft) {
    Scope inside;
    inside.parent = &scope;
    inside.depth = scope.depth;
    inside.declared = scope.declared;
    inside.outputs = scope.outputs;
    inside.nodes = scope.nodes;
    OpBuilder at = OpBuilder::atBlockEnd(draft.block);
    if (!import(branch, inside, at))
      return false;
    for (const std::string &output : node.output())
      if (!output.empty())
        draft.values.push_back(inside.values.lookup(output).value);
    return true;
  });
  if (!values)
    return false;
  unsigned next = 0;
  for (const std::string &output : node.output())
    if (!output.empty())
      define(scope, output, {(*values)[next++], false}, builder, loc);
  return true;
}

bool GraphImporter::importForChoice(const NodeProto &node, ArrayRef<NamedValue> inputs, Scope &scope,
                                    const Frame &frame, OpBuilder &builder, Location loc, StringRef name) {
  Value condition;
  for (const NamedValue &input : inputs)
    if (auto choice = input.value && !condition ? getChoice(input.value) : std::nullopt)
      condition = choice->condition;
  return importForBranches(node, condition, scope, builder, loc, [&](unsigned branch, Scope &inside, OpBuilder &at) {
    // Those that the same condition chooses; others are left to the next round.
    SmallVector<NamedValue> chosen(inputs);
    for (NamedValue &input : chosen)
      if (auto choice = input.value ? getChoice(input.value) : std::nullopt)
        if (choice->condition == condition)
          input.value = branch == 0 ? choice->yes : choice->no;
    return spend(getWork(node), loc) && importWith(node, chosen, inside, frame, at, loc, name);
  });
}

bool GraphImporter::importForRanks(const NodeProto &node, ArrayRef<NamedValue> inputs, OpenRank open, Scope &scope,
                                   const Frame &frame, OpBuilder &builder, Location loc, StringRef name) {
  auto import = [&](int64_t rank, Scope &inside, OpBuilder &at) {
    assumedRank = rank;
    bool isGood = spend(getWork(node), loc) && importWith(node, inputs, inside, frame, at, loc, name);
    assumedRank.reset();
    return isGood;
  };
  if (open.least >= open.most)
    return import(open.least, scope, builder);
  NodeContext c(*this, builder, loc);
  ShapeVectors v(c);
  Value isLeast = v.compare(nn::ComparePredicate::eq, open.rank, v.scalar(open.least));
  if (!isLeast)
    return false;
  return importForBranches(node, extractScalar(builder, loc, isLeast), scope, builder, loc,
                           [&](unsigned branch, Scope &inside, OpBuilder &at) {
                             if (branch == 0)
                               return import(open.least, inside, at);
                             OpenRank rest{open.rank, open.least + 1, open.most};
                             return importForRanks(node, inputs, rest, inside, frame, at, loc, name);
                           });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value frontend::chooseByRank(NodeContext &c, Value rank, int64_t least, int64_t most,
                             llvm::function_ref<Value(int64_t)> make) {
  if (least >= most)
    return make(least);
  ShapeVectors v(c);
  Value isLeast = v.compare(nn::ComparePredicate::eq, rank, v.scalar(least));
  if (!isLeast)
    return {};
  auto values = convertEither(c, extractScalar(c.getBuilder(), c.getLoc(), isLeast), [&](unsigned branch, Draft &draft) {
    draft.values = {branch == 0 ? make(least) : chooseByRank(c, rank, least + 1, most, make)};
    return true;
  });
  return values ? values->front() : Value();
}

/// The tensor that a value is, or the element that an optional has.
static Value getTensor(Value value) {
  auto element = isOptionalValue(value) ? getOptionalElement(value) : std::nullopt;
  Value tensor = element ? *element : value;
  return tensor && isa<RankedTensorType>(tensor.getType()) ? tensor : Value();
}

Type frontend::getElementTypeOf(Value value) {
  if (auto choice = getChoice(value)) {
    Type yes = getElementTypeOf(choice->yes);
    return yes == getElementTypeOf(choice->no) ? yes : Type();
  }
  Value tensor = getTensor(value);
  return tensor ? NodeContext::typeOf(tensor).getElementType() : Type();
}

bool frontend::isTensorOrChoice(Value value) {
  return isa<RankedTensorType>(value.getType()) || (getChoice(value) && getElementTypeOf(value));
}

static bool mayHaveRank(Value value, int64_t rank) {
  if (auto choice = getChoice(value))
    return mayHaveRank(choice->yes, rank) || mayHaveRank(choice->no, rank);
  Value tensor = getTensor(value);
  return tensor && NodeContext::rankOf(tensor) == rank;
}

Value frontend::takeRank(NodeContext &c, Value value, int64_t rank, const Twine &message) {
  if (!mayHaveRank(value, rank))
    return {};
  auto choice = getChoice(value);
  if (!choice)
    return getTensor(value);
  auto values = convertEither(c, choice->condition, [&](unsigned branch, Draft &draft) {
    draft.values = {takeRank(c, branch == 0 ? choice->yes : choice->no, rank, message)};
    return draft.values.front() || succeeded(c.error(message));
  });
  return values ? values->front() : Value();
}

std::optional<AnyRank> frontend::toAnyRank(NodeContext &c, Value value) {
  if (auto choice = getChoice(value)) {
    auto merged = mergeBranches(c, choice->condition, [&](unsigned branch, SmallVectorImpl<Value> &values) {
      auto part = toAnyRank(c, branch == 0 ? choice->yes : choice->no);
      if (part)
        values.append({part->data, part->shape});
      return part.has_value();
    });
    return merged ? std::optional(AnyRank{(*merged)[0], (*merged)[1]}) : std::nullopt;
  }
  Value tensor = getTensor(value), shape = tensor ? ShapeVectors(c).shape(tensor) : Value();
  if (!shape)
    return std::nullopt;
  Value data = c.make<nn::CollapseOp>(tensor, 0, c.rankOf(tensor));
  return data ? std::optional(AnyRank{data, shape}) : std::nullopt;
}

int64_t frontend::getMostRank(Value value) {
  if (auto choice = getChoice(value))
    return std::max(getMostRank(choice->yes), getMostRank(choice->no));
  Value tensor = getTensor(value);
  return tensor ? NodeContext::rankOf(tensor) : 0;
}
