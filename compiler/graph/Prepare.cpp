//===- Prepare.cpp - The function that computes parameters ------*- C++ -*-===//
#include "compiler/graph/Prepare.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::graph;

bool graph::isKnownAtCompileTime(Value value) {
  SmallVector<Value> worklist{value};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val().getDefiningOp();
    // Expressions on weights are small; a large one is not looked into.
    if (!op || seen.size() > 64)
      return false;
    if (auto get = dyn_cast<nn::GetParameterOp>(op)) {
      auto parameter = SymbolTable::lookupNearestSymbolFrom<nn::ParameterOp>(op, get.getNameAttr());
      if (parameter.getTrainable())
        return false;
    } else if (!op->hasTrait<OpTrait::ConstantLike>() &&
               (!isa<nn::NNDialect>(op->getDialect()) || !isPure(op) || op->getNumRegions() != 0)) {
      return false;
    }
    for (Value operand : op->getOperands())
      if (seen.insert(operand).second)
        worklist.push_back(operand);
  }
  return true;
}

func::FuncOp PrepareBuilder::getFunction() {
  if (auto func = symbols.lookup<func::FuncOp>(kPrepareName))
    return func;
  OpBuilder b(module.getContext());
  auto func = func::FuncOp::create(module.getLoc(), kPrepareName, b.getFunctionType({}, {}));
  b.setInsertionPointToEnd(func.addEntryBlock());
  func::ReturnOp::create(b, module.getLoc());
  func->setAttr("nacre.inputs", b.getArrayAttr({}));
  func->setAttr("nacre.outputs", b.getArrayAttr({}));
  symbols.insert(func);
  return func;
}

OpBuilder PrepareBuilder::getBuilder() {
  return OpBuilder(getFunction().getBody().front().getTerminator());
}

Operation *PrepareBuilder::cloneOnce(Operation *op) {
  Operation *copy = op->clone(mapping);
  llvm::hash_code hash =
      OperationEquivalence::computeHash(copy, OperationEquivalence::directHashValue,
                                        OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations);
  auto &others = copies[hash];
  for (Operation *other : others)
    if (OperationEquivalence::isEquivalentTo(other, copy, OperationEquivalence::IgnoreLocations)) {
      copy->destroy();
      mapping.map(op->getResults(), other->getResults());
      return other;
    }
  getBuilder().insert(copy);
  others.push_back(copy);
  return copy;
}

Value PrepareBuilder::clone(Value value) {
  if (Value copy = mapping.lookupOrNull(value))
    return copy;
  // Producers first, without recursion: chains may be long.
  SmallVector<Operation *> worklist{value.getDefiningOp()};
  while (!worklist.empty()) {
    Operation *op = worklist.back();
    size_t before = worklist.size();
    for (Value operand : op->getOperands())
      if (!mapping.contains(operand))
        worklist.push_back(operand.getDefiningOp());
    if (worklist.size() != before)
      continue;
    worklist.pop_back();
    if (mapping.contains(op->getResult(0)))
      continue;
    // What was hoisted before is a parameter that has no value yet in @prepare.
    if (auto get = dyn_cast<nn::GetParameterOp>(op))
      mapping.map(get.getResult(), lookup(get));
    else
      cloneOnce(op);
  }
  return mapping.lookup(value);
}

nn::ParameterOp PrepareBuilder::addResult(Value value, StringRef name) {
  func::FuncOp func = getFunction();
  auto type = cast<RankedTensorType>(value.getType());
  OpBuilder b(module.getContext());
  b.setInsertionPointToStart(module.getBody());
  auto zero = DenseElementsAttr::get(type, b.getZeroAttr(type.getElementType()));
  auto parameter = nn::ParameterOp::create(b, value.getLoc(), name, zero, /*trainable=*/false);
  parameter->setAttr(kComputedAttr, b.getUnitAttr());
  symbols.insert(parameter);

  Operation *terminator = func.getBody().front().getTerminator();
  terminator->insertOperands(terminator->getNumOperands(), value);
  func.setFunctionType(b.getFunctionType({}, terminator->getOperandTypes()));
  SmallVector<Attribute> outputs(func->getAttrOfType<ArrayAttr>("nacre.outputs").getValue());
  outputs.push_back(b.getDictionaryAttr(
      {b.getNamedAttr("name", b.getStringAttr(parameter.getSymName())),
       b.getNamedAttr("symbols", b.getStrArrayAttr(SmallVector<StringRef>(type.getRank(), ""))),
       b.getNamedAttr("type", TypeAttr::get(type))}));
  func->setAttr("nacre.outputs", b.getArrayAttr(outputs));
  return parameter;
}

Value PrepareBuilder::lookup(nn::GetParameterOp get) {
  if (symbols.lookup(get.getName())->hasAttr(kComputedAttr)) {
    func::FuncOp func = getFunction();
    auto outputs = func->getAttrOfType<ArrayAttr>("nacre.outputs");
    for (auto [i, output] : llvm::enumerate(outputs))
      if (cast<DictionaryAttr>(output).getAs<StringAttr>("name") == get.getNameAttr().getAttr())
        return func.getBody().front().getTerminator()->getOperand(i);
  }
  return cloneOnce(get)->getResult(0);
}

void PrepareBuilder::eraseUnused() {
  auto func = symbols.lookup<func::FuncOp>(kPrepareName);
  if (!func)
    return;
  llvm::DenseSet<StringAttr> used;
  module.walk([&](nn::GetParameterOp get) {
    if (get.use_empty())
      get.erase();
    else
      used.insert(get.getNameAttr().getAttr());
  });
  auto outputs = func->getAttrOfType<ArrayAttr>("nacre.outputs");
  SmallVector<Attribute> kept;
  llvm::BitVector erased(outputs.size());
  for (auto [i, output] : llvm::enumerate(outputs)) {
    auto name = cast<DictionaryAttr>(output).getAs<StringAttr>("name");
    if (used.contains(name)) {
      kept.push_back(output);
    } else {
      erased.set(i);
      symbols.erase(symbols.lookup(name));
    }
  }
  Operation *terminator = func.getBody().front().getTerminator();
  terminator->eraseOperands(erased);
  func.setFunctionType(FunctionType::get(module.getContext(), {}, terminator->getOperandTypes()));
  func->setAttr("nacre.outputs", ArrayAttr::get(module.getContext(), kept));
}

void PrepareBuilder::hoist(Value value) {
  nn::ParameterOp &parameter = hoisted[clone(value)];
  if (!parameter)
    parameter = addResult(mapping.lookup(value), "computed");
  OpBuilder b(value.getDefiningOp());
  value.replaceAllUsesWith(
      nn::GetParameterOp::create(b, value.getLoc(), value.getType(), parameter.getSymName()));
}
