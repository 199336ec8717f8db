//===- StepMemory.cpp - What a training step holds --------------*- C++ -*-===//
#include "compiler/train/StepMemory.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "runtime/abi/nacre_abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

StepMemory::StepMemory(int64_t openSize, ArrayRef<std::string> shapes) : openSize(openSize) {
  for (StringRef text : shapes) {
    auto [name, sizes] = text.rsplit('=');
    for (StringRef part : llvm::split(sizes, 'x'))
      if (int64_t size = 0; !part.getAsInteger(10, size))
        batch[name].push_back(size);
  }
}

int64_t StepMemory::evaluate(Value size) const {
  if (auto argument = dyn_cast<BlockArgument>(size); argument || !size.getDefiningOp())
    return openSize;
  Operation *op = size.getDefiningOp();
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    auto argument = dyn_cast<BlockArgument>(dim.getSource());
    auto func = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
    auto name = func ? func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "nn.name") : StringAttr();
    std::optional<int64_t> index = dim.getConstantIndex();
    auto known = name ? batch.find(name) : batch.end();
    return known != batch.end() && index && *index < int64_t(known->second.size()) ? known->second[*index] : openSize;
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

int64_t StepMemory::getBytes(Type type) const { return getBytes(type, {}); }

int64_t StepMemory::getBytes(Type type, ArrayRef<int64_t> openSizes) const {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isIntOrFloat())
    return 0;
  int64_t count = 1;
  for (int64_t size : tensor.getShape()) {
    if (ShapedType::isDynamic(size)) {
      size = openSizes.empty() ? openSize : openSizes.front();
      openSizes = openSizes.empty() ? openSizes : openSizes.drop_front();
    }
    if (llvm::MulOverflow(count, size, count) || count > std::numeric_limits<int64_t>::max() / 16)
      return std::numeric_limits<int64_t>::max() / 1024;
  }
  int64_t width = llvm::divideCeil(tensor.getElementTypeBitWidth(), 8);
  return llvm::alignTo(count * width, NACRE_ABI_ALIGNMENT);
}

int64_t StepMemory::measureParameters(ModuleOp module) const {
  int64_t bytes = 0;
  for (auto parameter : module.getOps<nn::ParameterOp>())
    bytes += getBytes(parameter.getType());
  return bytes;
}

namespace {

/// Where each value's memory is needed last: where it, or what may be a view of it, is used.
class Lifetimes {
public:
  explicit Lifetimes(Block &block) : block(block) {
    for (auto [i, op] : llvm::enumerate(block))
      place[&op] = int64_t(i);
  }

  int64_t getPlace(Operation *op) const { return place.lookup(op); }

  int64_t getLastUse(Value value) {
    if (auto it = last.find(value); it != last.end())
      return it->second;
    int64_t result = value.getDefiningOp() ? place.lookup(value.getDefiningOp()) : 0;
    for (OpOperand &use : value.getUses()) {
      Operation *user = block.findAncestorOpInBlock(*use.getOwner());
      result = std::max(result, place.lookup(user));
      // A destination is its result; what no kernel computes is a view.
      if (auto call = dyn_cast<kern::CallOp>(user)) {
        if (call.isDpsInit(&use))
          result = std::max(result, getLastUse(call.getTiedOpResult(&use)));
      } else {
        for (Value view : user->getResults())
          if (isa<RankedTensorType>(view.getType()))
            result = std::max(result, getLastUse(view));
      }
    }
    return last[value] = result;
  }

private:
  Block &block;
  llvm::DenseMap<Operation *, int64_t> place;
  llvm::DenseMap<Value, int64_t> last;
};

} // namespace

int64_t StepMemory::measureStep(func::FuncOp func) const {
  Block &block = func.getBody().front();
  Lifetimes lifetimes(block);
  std::vector<int64_t> change(block.getOperations().size() + 1, 0);
  int64_t always = 0;
  for (BlockArgument argument : func.getArguments()) {
    auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "nn.name");
    auto known = name ? batch.find(name) : batch.end();
    SmallVector<int64_t> sizes;
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (type && known != batch.end() && int64_t(known->second.size()) == type.getRank())
      for (auto [size, own] : llvm::zip(known->second, type.getShape()))
        if (ShapedType::isDynamic(own))
          sizes.push_back(size);
    always += getBytes(argument.getType(), sizes);
  }
  for (Operation &op : block)
    for (OpResult result : op.getResults()) {
      auto call = dyn_cast<kern::CallOp>(op);
      auto empty = call ? call.getTiedOpOperand(result)->get().getDefiningOp<tensor::EmptyOp>() : tensor::EmptyOp();
      if (!empty && op.getNumRegions() == 0) // a view, or a parameter's own memory
        continue;
      SmallVector<int64_t> sizes;
      if (empty)
        for (Value size : empty.getDynamicSizes())
          sizes.push_back(evaluate(size));
      int64_t bytes = getBytes(result.getType(), sizes);
      change[lifetimes.getPlace(&op)] += bytes;
      change[lifetimes.getLastUse(result) + 1] -= bytes;
    }
  int64_t held = 0, most = 0;
  for (int64_t bytes : change)
    most = std::max(most, held += bytes);
  return always + most;
}
