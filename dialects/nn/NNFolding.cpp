//===- NNFolding.cpp - Constant folding of element-wise ops -----*- C++ -*-===//
//
// The op's scalar body is built once, in a block of its own, and interpreted for
// each element by the folders of arith and math.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NNFolding.h"
#include "dialects/nn/NNInterfaces.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;

/// More elements than this are not folded: shapes and small tables are meant.
static constexpr int64_t maxFoldedElements = 1024;

namespace {
/// Runs a body on attributes.
class Evaluator {
public:
  Evaluator(ElementwiseOpInterface op) {
    OpBuilder builder(op.getContext());
    builder.setInsertionPointToStart(&block);
    for (Value operand : op->getOperands())
      block.addArgument(getFormulaType(getElementTypeOrSelf(operand.getType())), op.getLoc());
    results = op.buildElements(builder, op.getLoc(), block.getArguments());
  }

  /// The single result, or null if it cannot be evaluated.
  Attribute run(ArrayRef<Attribute> arguments) {
    values.clear();
    for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
      values[argument] = toFormula(value);
    for (Operation &op : block)
      step(op);
    return values.lookup(results.front());
  }

private:
  /// Ops that do not fold leave no value: it may be that no one needs it (the unused
  /// side of a select).
  void step(Operation &op) {
    SmallVector<Attribute> operands;
    for (Value operand : op.getOperands())
      operands.push_back(values.lookup(operand));
    // Folding in place (commuting operands) is of no use here, and is repeated for the
    // changed op.
    SmallVector<OpFoldResult> folded;
    for (int attempt = 0; attempt < 2 && folded.empty(); ++attempt) {
      if (failed(op.fold(operands, folded)))
        return;
      if (folded.empty())
        for (auto [i, operand] : llvm::enumerate(op.getOperands()))
          operands[i] = values.lookup(operand);
    }
    if (folded.size() != 1)
      return;
    if (auto attr = dyn_cast<Attribute>(folded.front()))
      values[op.getResult(0)] = attr;
    else
      values[op.getResult(0)] = values.lookup(cast<Value>(folded.front()));
  }

  Block block;
  SmallVector<Value> results;
  DenseMap<Value, Attribute> values;
};

/// Reads an operand's elements in the order of the result's.
class OperandReader {
public:
  OperandReader(DenseElementsAttr elements, ArrayRef<int64_t> resultShape)
      : values(elements.value_begin<Attribute>()), strides(resultShape.size(), 0) {
    ArrayRef<int64_t> shape = elements.getType().getShape();
    size_t offset = resultShape.size() - shape.size();
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      strides[offset + i] = shape[i] == 1 ? 0 : stride;
      stride *= shape[i];
    }
  }

  Attribute get(ArrayRef<int64_t> index) {
    int64_t position = 0;
    for (auto [i, stride] : llvm::zip(index, strides))
      position += i * stride;
    return values[position];
  }

private:
  DenseElementsAttr::AttributeElementIterator values;
  SmallVector<int64_t> strides;
};
} // namespace

OpFoldResult nn::detail::foldElementwise(Operation *op, ArrayRef<Attribute> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (op->getNumResults() != 1 || !type.hasStaticShape())
    return {};
  SmallVector<DenseElementsAttr> elements;
  for (Attribute operand : operands) {
    elements.push_back(dyn_cast_if_present<DenseElementsAttr>(operand));
    if (!elements.back())
      return {};
  }
  bool isSplat = llvm::all_of(elements, [](DenseElementsAttr e) { return e.isSplat(); });
  int64_t count = type.getNumElements();
  if (!isSplat && count > maxFoldedElements)
    return {};
  if (count == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());

  Evaluator evaluator(cast<ElementwiseOpInterface>(op));
  SmallVector<OperandReader> readers;
  for (DenseElementsAttr e : elements)
    readers.emplace_back(e, type.getShape());
  SmallVector<int64_t> index(type.getRank(), 0);
  SmallVector<Attribute> results, arguments;
  for (int64_t i = 0, e = isSplat ? 1 : count; i < e; ++i) {
    arguments.clear();
    for (OperandReader &reader : readers)
      arguments.push_back(reader.get(index));
    Attribute result = evaluator.run(arguments);
    if (!result)
      return {};
    results.push_back(fromFormula(result, type.getElementType()));
    for (int64_t d = type.getRank(); d-- > 0 && ++index[d] == type.getDimSize(d);)
      index[d] = 0;
  }
  return DenseElementsAttr::get(type, results);
}
