//===- BatchSizes.cpp - Open sizes, for one batch ---------------*- C++ -*-===//
#include "compiler/graph/BatchSizes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "runtime/abi/nacre_abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
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
  return known != batch.end() && dim < int64_t(known->second.size()) ? known->second[dim] : guess();
}

static StringRef getInputName(func::FuncOp func, int64_t index) {
  auto inputs = func->getAttrOfType<ArrayAttr>(kInputs);
  if (!inputs || index >= int64_t(inputs.size()))
    return "";
  auto name = cast<DictionaryAttr>(inputs[index]).getAs<StringAttr>("name");
  return name ? name.getValue() : "";
}

int64_t BatchSizes::evaluate(Value size, Known &known) const {
  if (auto found = known.find(size); found != known.end()) {
    isGuessed |= found->second.second;
    return found->second.first;
  }
  bool before = std::exchange(isGuessed, false);
  int64_t result = compute(size, known);
  known[size] = {result, isGuessed};
  isGuessed |= before;
  return result;
}

int64_t BatchSizes::compute(Value size, Known &known) const {
  Operation *op = size.getDefiningOp();
  if (!op)
    return guess();
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    auto argument = dyn_cast<BlockArgument>(dim.getSource());
    std::optional<int64_t> index = dim.getConstantIndex();
    auto func = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
    return func && index ? getSize(getInputName(func, argument.getArgNumber()), *index) : guess();
  }
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    return index ? getSizeOf(dim.getSource(), *index, known) : guess();
  }
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return evaluate(getYielded(branch, cast<OpResult>(size), known), known);
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands()) {
    if (!operand.getType().isIntOrIndex())
      return guess();
    operands.push_back(IntegerAttr::get(operand.getType(), evaluate(operand, known)));
  }
  SmallVector<OpFoldResult> results;
  if (op->getNumResults() != 1 || op->getNumRegions() != 0 || failed(op->fold(operands, results)) || results.empty())
    return guess();
  if (auto operand = dyn_cast<Value>(results.front()))
    return evaluate(operand, known);
  std::optional<int64_t> result = getConstantIntValue(results.front());
  return result ? *result : guess();
}

Value BatchSizes::getYielded(scf::IfOp branch, OpResult result, Known &known) const {
  scf::YieldOp yield = evaluate(branch.getCondition(), known) ? branch.thenYield() : branch.elseYield();
  return yield.getOperand(result.getResultNumber());
}

int64_t BatchSizes::getSizeOf(Value buffer, int64_t dim, Known &known) const {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  if (!type || dim >= type.getRank())
    return guess();
  if (!type.isDynamicDim(dim))
    return type.getDimSize(dim);
  auto evaluateMixed = [&](OpFoldResult size) {
    std::optional<int64_t> constant = getConstantIntValue(size);
    return constant ? *constant : evaluate(cast<Value>(size), known);
  };
  // What a loop carries has the size that it began with, if each iteration leaves it so.
  auto getCarriedSize = [&](scf::ForOp loop, unsigned number) {
    Value yielded = loop.getYieldedValues()[number], carried = loop.getRegionIterArg(number);
    auto [place, isNew] = carriedSizes.try_emplace({carried, dim}, 0);
    if (!isNew)
      return place->second;
    int64_t size = getSizeOf(loop.getInitArgs()[number], dim, known);
    carriedSizes[{carried, dim}] = size;
    int64_t after = getSizeOf(yielded, dim, known);
    carriedSizes.erase({carried, dim});
    return after == size ? size : guess();
  };
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    return loop && argument.getArgNumber() > 0 ? getCarriedSize(loop, argument.getArgNumber() - 1) : guess();
  }
  auto result = cast<OpResult>(buffer);
  return llvm::TypeSwitch<Operation *, int64_t>(result.getOwner())
      .Case([&](rt::InputOp input) {
        return getSize(getInputName(input->getParentOfType<func::FuncOp>(), int64_t(input.getIndex())), dim);
      })
      .Case<rt::AllocOp, rt::OutputOp>(
          [&](auto made) { return evaluate(made.getSizes()[type.getDynamicDimIndex(dim)], known); })
      .Case([&](scf::IfOp branch) { return getSizeOf(getYielded(branch, result, known), dim, known); })
      .Case([&](scf::ForOp loop) { return getCarriedSize(loop, result.getResultNumber()); })
      .Case([&](memref::CastOp cast) { return getSizeOf(cast.getSource(), dim, known); })
      .Case([&](memref::ExpandShapeOp view) { return evaluateMixed(view.getMixedOutputShape()[dim]); })
      .Case([&](memref::CollapseShapeOp view) {
        int64_t size = 1;
        for (int64_t part : view.getReassociationIndices()[dim])
          size *= getSizeOf(view.getSrc(), part, known);
        return size;
      })
      .Case<memref::SubViewOp, memref::ReinterpretCastOp>([&](auto view) {
        return view.getMixedSizes().size() == size_t(type.getRank()) ? evaluateMixed(view.getMixedSizes()[dim]) : guess();
      })
      .Default([&](Operation *) { return guess(); });
}

std::optional<bool> BatchSizes::isTaken(scf::IfOp branch, Known &known) const {
  bool before = std::exchange(isGuessed, false);
  int64_t condition = evaluate(branch.getCondition(), known);
  return std::exchange(isGuessed, before) ? std::nullopt : std::optional(condition != 0);
}

Value BatchSizes::resolve(Value buffer, Known &known) const {
  while (auto branch = buffer.getDefiningOp<scf::IfOp>()) {
    if (!isTaken(branch, known))
      break;
    buffer = getYielded(branch, cast<OpResult>(buffer), known);
  }
  return buffer;
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

int64_t BatchSizes::getBytes(Type type) const {
  Known none;
  return getBytes(type, {}, none);
}

int64_t BatchSizes::getBytes(Type type, ValueRange openSizes, Known &known) const {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? align(shaped, [&](unsigned dim) {
    unsigned place = shaped.hasRank() ? shaped.getDynamicDimIndex(dim) : 0;
    return place < openSizes.size() ? evaluate(openSizes[place], known) : guess();
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
