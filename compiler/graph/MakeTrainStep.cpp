//===- MakeTrainStep.cpp - Forward, backward and update ---------*- C++ -*-===//
//
// Before: nn.parameter trainable @w
//         func.func @main(%x) { %w = nn.get_parameter @w; %y = nn.matmul %x, %w; return %y }
// After:  func.func @step(%x, %labels, %learning_rate) {
//           %w = nn.get_parameter @w; %y = nn.matmul %x, %w
//           %loss = ... %y, %labels;  %dw = ...
//           %new = nn.sgd %w, %dw, %learning_rate;  nn.set_parameter @w, %new
//           return %loss, %y }
//         and @main as it was
//
// Precondition: types inferred, shape arithmetic on scalars. Postcondition: @step exists
// and sets every parameter that is still trainable, after everything that reads one.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Differentiate.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NodeLocation.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace nacre::graph {
#define GEN_PASS_DEF_MAKETRAINSTEPPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

constexpr StringLiteral kOutputLoss = "output:";

/// Adds inputs and outputs to a function that is being made from @main.
class StepBuilder {
public:
  StepBuilder(func::FuncOp func) : func(func) {}

  Operation *getTerminator() { return func.getBody().front().getTerminator(); }

  BlockArgument addInput(StringRef name, RankedTensorType type, ArrayAttr symbols = {}) {
    Builder b(func.getContext());
    NamedAttrList attributes;
    attributes.set("nn.name", b.getStringAttr(makeFree(name)));
    if (symbols)
      attributes.set("nn.symbols", symbols);
    unsigned index = func.getNumArguments();
    addValue("nn.input_values", attributes.get("nn.name"), /*isFirst=*/false);
    (void)func.insertArgument(index, type, attributes.getDictionary(func.getContext()), func.getLoc());
    return func.getArgument(index);
  }

  void addFirstOutput(StringRef name, Value value) {
    Builder b(func.getContext());
    StringAttr unique = b.getStringAttr(makeFree(name));
    addValue("nn.output_values", unique, /*isFirst=*/true);
    (void)func.insertResult(0, value.getType(), b.getDictionaryAttr(b.getNamedAttr("nn.name", unique)));
    getTerminator()->insertOperands(0, value);
  }

private:
  /// Where the function says what its inputs or outputs are together: one tensor more.
  void addValue(StringRef attribute, Attribute name, bool isFirst) {
    auto list = func->getAttrOfType<ArrayAttr>(attribute);
    if (!list)
      return;
    Builder b(func.getContext());
    SmallVector<Attribute> values(list.getValue());
    values.insert(isFirst ? values.begin() : values.end(),
                  b.getDictionaryAttr({b.getNamedAttr("name", name), b.getNamedAttr("kind", b.getStringAttr("tensor")),
                                       b.getNamedAttr("count", b.getI64IntegerAttr(1))}));
    func->setAttr(attribute, b.getArrayAttr(values));
  }

  /// The name, or a longer one that no input or output has.
  std::string makeFree(StringRef name) {
    llvm::StringSet<> taken;
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto other = func.getArgAttrOfType<StringAttr>(i, "nn.name"))
        taken.insert(other.getValue());
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (auto other = func.getResultAttrOfType<StringAttr>(i, "nn.name"))
        taken.insert(other.getValue());
    std::string free = name.str();
    for (unsigned i = 1; taken.contains(free); ++i)
      free = (name + "_" + Twine(i)).str();
    return free;
  }

  func::FuncOp func;
};

struct MakeTrainStepPass : graph::impl::MakeTrainStepPassBase<MakeTrainStepPass> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    if (optimizer != "sgd") {
      getOperation().emitError("unknown optimizer '") << optimizer << "', expected sgd";
      return signalPassFailure();
    }
    SymbolTable symbols(getOperation());
    if (Operation *other = symbols.lookup("step")) {
      other->emitError("the name 'step' is taken: a training step has it");
      return signalPassFailure();
    }
    func::FuncOp step = main.clone();
    step.setName("step");
    symbols.insert(step, std::next(main->getIterator()));
    graph::DimAnalysis dims(step);
    if (failed(addTraining(step, symbols, dims)))
      return signalPassFailure();
    dims.eraseUnused();
  }

private:
  LogicalResult addTraining(func::FuncOp step, SymbolTable &symbols, graph::DimAnalysis &dims) {
    FailureOr<Value> made = addLoss(step, dims);
    if (failed(made))
      return failure();
    Value total = *made;
    // Each parameter is read once, at the start, however many uses it has.
    llvm::MapVector<StringAttr, nn::GetParameterOp> reads;
    step.walk([&](nn::GetParameterOp get) {
      if (!symbols.lookup<nn::ParameterOp>(get.getName()).getTrainable())
        return;
      nn::GetParameterOp &first = reads[get.getNameAttr().getAttr()];
      if (first) {
        get.replaceAllUsesWith(first.getResult());
        get.erase();
        return;
      }
      first = get;
      get->moveBefore(&step.getBody().front(), step.getBody().front().begin());
    });
    SmallVector<Value> variables;
    for (auto &[name, get] : reads)
      variables.push_back(get);
    FailureOr<SmallVector<Value>> gradients = graph::differentiate(total, variables, step.getBody().front().getTerminator(), dims);
    if (failed(gradients))
      return failure();
    return addUpdates(step, variables, *gradients, symbols);
  }

  LogicalResult addUpdates(func::FuncOp step, ArrayRef<Value> variables, ArrayRef<Value> gradients,
                           SymbolTable &symbols) {
    StepBuilder builder(step);
    auto scalar = RankedTensorType::get({}, Float32Type::get(&getContext()));
    Value rate = builder.addInput("learning_rate", scalar);
    SmallVector<std::pair<nn::GetParameterOp, Value>> updates;
    OpBuilder b(builder.getTerminator());
    llvm::DenseSet<Operation *> trained;
    for (auto [variable, gradient] : llvm::zip(variables, gradients)) {
      if (!gradient)
        continue;
      auto get = variable.getDefiningOp<nn::GetParameterOp>();
      auto parameter = symbols.lookup<nn::ParameterOp>(get.getName());
      trained.insert(parameter);
      updates.push_back({get, nn::SgdOp::create(b, parameter.getLoc(), variable, gradient, rate)});
    }
    // After all that reads.
    for (auto [get, value] : updates)
      nn::SetParameterOp::create(b, value.getLoc(), get.getName(), value);
    for (auto parameter : getOperation().getOps<nn::ParameterOp>())
      if (parameter.getTrainable() && !trained.contains(parameter)) {
        parameter.setTrainable(false);
        parameter.emitRemark("'") << parameter.getSymName()
                                  << "' stays constant: the loss does not depend on it differentiably";
      }
    if (updates.empty())
      return step.emitError("there is nothing to train: the loss depends on no floating-point parameter");
    return success();
  }

  /// Adds the loss as the first output. Returns it in the type that it is differentiated in.
  FailureOr<Value> addLoss(func::FuncOp step, graph::DimAnalysis &dims) {
    StepBuilder builder(step);
    FailureOr<Value> value = failure();
    if (loss == "softmax-cross-entropy")
      value = addCrossEntropy(step, builder, dims);
    else if (StringRef(loss).starts_with(kOutputLoss))
      value = findOutput(step, StringRef(loss).drop_front(kOutputLoss.size()), builder);
    else
      return step.emitError("unknown loss '") << loss << "', expected softmax-cross-entropy or output:NAME";
    if (failed(value))
      return failure();
    OpBuilder b(builder.getTerminator());
    builder.addFirstOutput("loss", b.createOrFold<nn::CastOp>(value->getLoc(), *value, b.getF32Type()));
    return value;
  }

  /// The mean over all samples (and places) of the first output's log-softmax at the labels.
  FailureOr<Value> addCrossEntropy(func::FuncOp step, StepBuilder &builder, graph::DimAnalysis &dims) {
    if (step.getNumResults() == 0)
      return step.emitError("the model has no output for a loss");
    Value logits = builder.getTerminator()->getOperand(0);
    auto type = cast<RankedTensorType>(logits.getType());
    if (type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
      return step.emitError("the loss softmax-cross-entropy expects floating-point logits [N, C, D...] as first "
                            "output, found ")
             << type;
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<Attribute> names;
    for (OpFoldResult size : dims.getDims(logits))
      names.push_back(dims.getSymbol(size));
    shape.erase(shape.begin() + 1);
    names.erase(names.begin() + 1);
    OpBuilder b(builder.getTerminator());
    Value labels = builder.addInput("labels", RankedTensorType::get(shape, b.getI64Type()), b.getArrayAttr(names));
    Location loc = nn::getNodeLocation(&getContext(), "loss", "softmax-cross-entropy");
    Value logarithms = nn::SoftmaxOp::create(b, loc, logits, /*axis=*/1, /*log=*/true);
    Value losses = nn::NllLossOp::create(b, loc, logarithms, labels, Value(), IntegerAttr()).getLosses();
    auto axes = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank() - 1));
    return nn::ReduceOp::create(b, loc, nn::ReduceKind::mean, losses, axes, /*keepdims=*/false).getResult();
  }

  /// The output of that name as a scalar.
  FailureOr<Value> findOutput(func::FuncOp step, StringRef name, StepBuilder &builder) {
    std::string known;
    for (auto [i, output] : llvm::enumerate(builder.getTerminator()->getOperands())) {
      auto given = step.getResultAttrOfType<StringAttr>(i, "nn.name");
      if (!given)
        continue;
      known += (known.empty() ? "" : ", ") + given.str();
      if (given != name)
        continue;
      auto type = cast<RankedTensorType>(output.getType());
      if (!isa<FloatType>(type.getElementType()) || !type.hasStaticShape() || type.getNumElements() != 1)
        return step.emitError("the loss '") << name << "' is not one floating-point number: it is " << type;
      OpBuilder b(builder.getTerminator());
      return type.getRank() == 0 ? output : nn::reshapeTo(b, output, {});
    }
    return step.emitError("no output is called '") << name << "' for the loss: the outputs are " << known;
  }
};

} // namespace
