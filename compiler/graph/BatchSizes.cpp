//===- BatchSizes.cpp - Open sizes, for one batch ---------------*- C++ -*-===//
#include "compiler/graph/BatchSizes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "runtime/abi/nacre_abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::graph;

static constexpr StringLiteral kInputs = "nacre.inputs";

BatchSizes::BatchSizes(int64_t openSize, ArrayRef<std::string> shapes) : openSize(openSize) {
  for (StringRef text : shapes) {
    auto [name, sizes] = text.rsplit('=');
    for (StringRef part : llvm::split(sizes, 'x'))
      if (int64_t size = 0; !part.getAsInteger(10, size))
        batch[name].push_back(size);
  }
}

int64_t BatchSizes::getSize(StringRef input, int64_t dim) const {
  auto known = batch.find(input);
  return known != batch.end() && dim < int64_t(known->second.size()) ? known->second[dim] : openSize;
}

static StringRef getInputName(func::FuncOp func, int64_t index) {
  auto inputs = func->getAttrOfType<ArrayAttr>(kInputs);
  if (!inputs || index >= int64_t(inputs.size()))
    return "";
  auto name = cast<DictionaryAttr>(inputs[index]).getAs<StringAttr>("name");
  return name ? name.getValue() : "";
}

int64_t BatchSizes::evaluate(Value size) const {
  Operation *op = size.getDefiningOp();
  if (!op)
    return openSize;
  auto inputSize = [&](int64_t input, std::optional<int64_t> dim) {
    return dim ? getSize(getInputName(op->getParentOfType<func::FuncOp>(), input), *dim) : openSize;
  };
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    auto argument = dyn_cast<BlockArgument>(dim.getSource());
    return argument && isa<func::FuncOp>(argument.getOwner()->getParentOp())
               ? inputSize(argument.getArgNumber(), dim.getConstantIndex())
               : openSize;
  }
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    auto input = dim.getSource().getDefiningOp<rt::InputOp>();
    return input ? inputSize(int64_t(input.getIndex()), dim.getConstantIndex()) : openSize;
  }
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands()) {
    if (!operand.getType().isIntOrIndex())
      return openSize;
    operands.push_back(IntegerAttr::get(operand.getType(), evaluate(operand)));
  }
  SmallVector<OpFoldResult> results;
  if (op->getNumResults() != 1 || op->getNumRegions() != 0 || failed(op->fold(operands, results)) || results.empty())
    return openSize;
  return getConstantIntValue(results.front()).value_or(openSize);
}

int64_t BatchSizes::align(ShapedType type, llvm::function_ref<int64_t(unsigned)> getOpenSize) const {
  constexpr int64_t kTooMuch = std::numeric_limits<int64_t>::max() / 1024;
  Type element = type.getElementType();
  if (!type.hasRank() || !element.isIntOrIndexOrFloat())
    return 0;
  int64_t bytes = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    if (llvm::MulOverflow(bytes, ShapedType::isDynamic(size) ? getOpenSize(i) : size, bytes) || bytes > kTooMuch)
      return kTooMuch;
  return llvm::alignTo(bytes, NACRE_ABI_ALIGNMENT);
}

int64_t BatchSizes::getBytes(Type type, ValueRange openSizes) const {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? align(shaped, [&](unsigned dim) {
    unsigned place = shaped.hasRank() ? shaped.getDynamicDimIndex(dim) : 0;
    return place < openSizes.size() ? evaluate(openSizes[place]) : openSize;
  }) : 0;
}

int64_t BatchSizes::getInputBytes(func::FuncOp func) const {
  int64_t bytes = 0;
  if (auto inputs = func->getAttrOfType<ArrayAttr>(kInputs))
    for (auto input : inputs.getAsRange<DictionaryAttr>())
      if (auto type = input.getAs<TypeAttr>("type"))
        if (auto shaped = dyn_cast<ShapedType>(type.getValue()))
          bytes += align(shaped, [&](unsigned dim) { return getSize(input.getAs<StringAttr>("name"), dim); });
  return bytes;
}
