//===- StepBuilder.cpp - The signature of a training step --------*- C++ -*-===//
#include "compiler/train/StepBuilder.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

FailureOr<func::FuncOp> nacre::train::cloneMain(func::FuncOp main, StringRef name) {
  SymbolTable symbols(main->getParentOp());
  if (Operation *other = symbols.lookup(name))
    return other->emitError("the name '") << name << "' is taken: a function for training has it";
  func::FuncOp copy = main.clone();
  copy.setName(name);
  symbols.insert(copy, std::next(main->getIterator()));
  return copy;
}

Value StepBuilder::findOutput(StringRef name) {
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    if (auto given = func.getResultAttrOfType<StringAttr>(i, "nn.name"); given && given == name)
      return getTerminator()->getOperand(i);
  return {};
}

Value StepBuilder::getOutput(unsigned index) {
  return index < func.getNumResults() ? getTerminator()->getOperand(index) : Value();
}

std::string StepBuilder::getOutputName(unsigned index) {
  auto given = func.getResultAttrOfType<StringAttr>(index, "nn.name");
  return given ? given.str() : "output " + std::to_string(index);
}

std::string StepBuilder::listOutputs() {
  std::string known;
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    known += (i ? ", " : "") + getOutputName(i);
  return known;
}

BlockArgument StepBuilder::addInput(StringRef name, RankedTensorType type, ArrayAttr symbols) {
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

void StepBuilder::addLoss(Value total) {
  OpBuilder b(getTerminator());
  addFirstOutput("loss", b.createOrFold<nn::CastOp>(total.getLoc(), total, b.getF32Type()));
}

void StepBuilder::addFirstOutput(StringRef name, Value value) {
  Builder b(func.getContext());
  StringAttr unique = b.getStringAttr(makeFree(name));
  addValue("nn.output_values", unique, /*isFirst=*/true);
  (void)func.insertResult(0, value.getType(), b.getDictionaryAttr(b.getNamedAttr("nn.name", unique)));
  getTerminator()->insertOperands(0, value);
}

Value StepBuilder::addTarget(StringRef name, Value like, ArrayRef<int64_t> kept, Type element, bool mayBeOwn) {
  auto type = cast<RankedTensorType>(like.getType());
  SmallVector<int64_t> shape;
  SmallVector<Attribute> symbols;
  SmallVector<OpFoldResult> sizes = dims.getDims(like);
  for (int64_t i : kept) {
    shape.push_back(i == kAnySize ? ShapedType::kDynamic : type.getDimSize(i));
    symbols.push_back(i == kAnySize ? StringAttr::get(func.getContext(), "") : dims.getSymbol(sizes[i]));
  }
  auto expected = RankedTensorType::get(shape, element);
  Value &target = targets[name];
  if (!target && mayBeOwn)
    for (unsigned i = 0; i < inputCount; ++i)
      if (auto own = func.getArgAttrOfType<StringAttr>(i, "nn.name"); own && own == name)
        target = func.getArgument(i);
  if (!target)
    target = addInput(name, expected, Builder(func.getContext()).getArrayAttr(symbols));
  if (getElementTypeOrSelf(target) != element || failed(verifyCompatibleShape(target.getType(), expected)))
    return {};
  checkSizes(target, like, kept);
  return target;
}

void StepBuilder::checkSizes(Value target, Value like, ArrayRef<int64_t> kept) {
  OpBuilder b(getTerminator());
  Location loc = nn::getNodeLocation(func.getContext(), "loss", "target");
  for (auto [i, dim] : llvm::enumerate(kept)) {
    if (dim == kAnySize)
      continue;
    OpFoldResult l = dims.getDim(target, i), r = dims.getDim(like, dim);
    if (graph::DimAnalysis::areEqual(l, r))
      continue;
    Value isEqual = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, getValueOrCreateConstantIndexOp(b, loc, l),
                                          getValueOrCreateConstantIndexOp(b, loc, r));
    rt::CheckOp::create(b, loc, isEqual, rt::Status::InvalidShape,
                        "the target does not fit the output in dimension " + Twine(i));
  }
}

void StepBuilder::addValue(StringRef attribute, Attribute name, bool isFirst) {
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

std::string StepBuilder::makeFree(StringRef name) {
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
