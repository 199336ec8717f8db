//===- DimAnalysis.cpp - Dynamic sizes as SSA values ------------*- C++ -*-===//
#include "compiler/graph/DimAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

using namespace mlir;
using namespace nacre::graph;

bool DimAnalysis::areEqual(OpFoldResult lhs, OpFoldResult rhs) {
  return isEqualConstantIntOrValue(lhs, rhs);
}

StringAttr DimAnalysis::getSymbol(OpFoldResult size) {
  if (auto dim = dyn_cast<Value>(size))
    if (auto op = dim.getDefiningOp<tensor::DimOp>())
      if (auto argument = dyn_cast<BlockArgument>(op.getSource());
          argument && argument.getOwner() == &func.getBody().front())
        if (auto names = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "nn.symbols"))
          return cast<StringAttr>(names[*op.getConstantIndex()]);
  return StringAttr::get(func.getContext(), "");
}

SmallVector<OpFoldResult> DimAnalysis::getDims(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<OpFoldResult> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    dims.push_back(getDim(tensor, i));
  return dims;
}

OpFoldResult DimAnalysis::getDim(Value tensor, int64_t index) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(index))
    return builder.getIndexAttr(type.getDimSize(index));
  if (auto it = known.find(tensor); it != known.end() && !it->second[index].isNull())
    return it->second[index];

  OpFoldResult size;
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    size = dimOfArgument(argument, index);
    auto &dims = known[tensor];
    dims.resize(type.getRank());
    dims[index] = size;
    return size;
  }
  computeOperands(tensor);
  SmallVector<OpFoldResult> dims = dimsOfResult(cast<OpResult>(tensor));
  size = dims[index];
  known[tensor] = std::move(dims);
  return size;
}

void DimAnalysis::computeOperands(Value tensor) {
  // Whether the sizes of a value must be, and are not yet, computed.
  auto isOpen = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && !type.hasStaticShape() && isa<OpResult>(value) && !known.contains(value) &&
           isa<ReifyRankedShapedTypeOpInterface>(value.getDefiningOp());
  };
  SmallVector<std::pair<Value, unsigned>> stack{{tensor, 0}};
  while (!stack.empty()) {
    auto &[value, next] = stack.back();
    Operation *op = value.getDefiningOp();
    if (next < op->getNumOperands()) {
      Value operand = op->getOperand(next++);
      if (isOpen(operand))
        stack.push_back({operand, 0});
      continue;
    }
    Value done = value;
    stack.pop_back();
    if (done != tensor && isOpen(done))
      known[done] = dimsOfResult(cast<OpResult>(done));
  }
}

void DimAnalysis::eraseUnused() {
  // Users were built after what they use, except where simplify replaced operands:
  // repeat until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    for (Operation *&op : llvm::reverse(built))
      if (op && op->use_empty()) {
        op->erase();
        op = nullptr;
        changed = true;
      }
  }
  known.clear();
  simplified.clear();
  expressions.clear();
}

OpFoldResult DimAnalysis::dimOfArgument(BlockArgument argument, int64_t index) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(argument.getOwner());
  Location loc = argument.getLoc();
  StringRef symbol;
  if (argument.getOwner() == &func.getBody().front())
    if (auto names = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "nn.symbols"))
      symbol = cast<StringAttr>(names[index]).getValue();
  if (!symbol.empty())
    if (auto it = symbols.find(symbol); it != symbols.end())
      return it->second;
  Value size = tensor::DimOp::create(builder, loc, argument, index);
  if (!symbol.empty())
    symbols[symbol] = size;
  return size;
}

SmallVector<OpFoldResult> DimAnalysis::dimsOfResult(OpResult result) {
  Operation *op = result.getOwner();
  auto type = cast<RankedTensorType>(result.getType());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(op);
  ReifiedRankedShapedTypeDims reified;
  SmallVector<OpFoldResult> dims(type.getRank());
  if (succeeded(reifyResultShapes(builder, op, reified)) &&
      reified.size() > result.getResultNumber() && !reified[result.getResultNumber()].empty())
    dims = reified[result.getResultNumber()];
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i)) {
      dims[i] = builder.getIndexAttr(type.getDimSize(i));
    } else if (dims[i].isNull()) {
      builder.setInsertionPointAfter(op);
      dims[i] = tensor::DimOp::create(builder, op->getLoc(), result, i).getResult();
    } else {
      dims[i] = simplify(dims[i], op);
    }
  }
  return dims;
}

OpFoldResult DimAnalysis::simplify(OpFoldResult size, Operation *before) {
  auto value = dyn_cast<Value>(size);
  if (!value)
    return size;
  if (auto it = simplified.find(value); it != simplified.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  // Only what was built here for sizes, before the op, may be rewritten.
  if (!op || !isPure(op) || op->getNumRegions() != 0 || op->getBlock() != before->getBlock())
    return size;

  OpFoldResult result = size;
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    if (auto index = dim.getConstantIndex(); index && dim.getSource().getDefiningOp() != op)
      if (OpFoldResult inner = getDim(dim.getSource(), *index); inner != size)
        result = inner;
  } else if (isa<arith::ArithDialect>(op->getDialect()) ||
             op->getDialect()->getNamespace() == "affine") {
    for (OpOperand &operand : op->getOpOperands()) {
      if (!operand.get().getType().isIntOrIndex())
        continue;
      OpFoldResult inner = simplify(operand.get(), op);
      if (inner == OpFoldResult(operand.get()))
        continue;
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(op);
      if (auto value = dyn_cast<Value>(inner))
        operand.set(value);
      else
        operand.set(arith::ConstantOp::create(
            builder, op->getLoc(),
            builder.getIntegerAttr(operand.get().getType(), *getConstantIntValue(inner))));
    }
    SmallVector<OpFoldResult> folded;
    SmallVector<Attribute> constants(op->getNumOperands());
    for (auto [constant, operand] : llvm::zip(constants, op->getOperands()))
      (void)matchPattern(operand, m_Constant(&constant));
    if (succeeded(op->fold(constants, folded)) && folded.size() == 1)
      result = folded.front();
  }

  // One operation per expression and block.
  if (auto kept = dyn_cast<Value>(result); kept && kept.getDefiningOp() && kept == value) {
    auto hash = OperationEquivalence::computeHash(op, OperationEquivalence::directHashValue,
                                                  OperationEquivalence::ignoreHashValue,
                                                  OperationEquivalence::IgnoreLocations);
    auto &candidates = expressions[op->getBlock()][hash];
    for (Operation *other : candidates)
      if (other != op && OperationEquivalence::isEquivalentTo(
                             other, op, OperationEquivalence::IgnoreLocations) &&
          other->isBeforeInBlock(op)) {
        result = other->getResult(0);
        break;
      }
    if (result == OpFoldResult(value) && !llvm::is_contained(candidates, op))
      candidates.push_back(op);
  }
  simplified[value] = result;
  return result;
}
