//===- FormKernels.cpp - Group nn ops into kernels --------------*- C++ -*-===//
//
// Before: %0 = nn.matmul %a, %w;  %1 = nn.add %0, %b;  %2 = nn.relu %1
// After:  %d = tensor.empty() : tensor<4x8xf32>
//         %2 = kern.call @matmul ins(%a, %w, %b) outs(%d) -> tensor<4x8xf32>
//         kern.func @matmul(%a, %w, %b, %d) { matmul; add; relu }
// With dynamic sizes, rt.work before the call counts the kernel's operations.
//
// Precondition: types inferred, run-time broadcasts explicit.
// Postcondition: every compute op stands in exactly one kern.func.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/graph/KernelGroups.h"
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/support/Remarks.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::graph {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::Group, graph::GroupFormer, graph::collectNodes, graph::describeOp, graph::getRole, graph::getUpdate, graph::isComputeOp, graph::isElementwise;
using nn::KernelRole;

namespace {

/// Whether an op changes what it starts from, which another kernel computes for it alone.
bool doesUpdate(const Group &group, Operation *op) {
  if (getRole(op) != KernelRole::Update)
    return false;
  Value old = op->getOperand(0);
  Operation *producer = old.getDefiningOp();
  return producer && isComputeOp(producer) && !group.ops.contains(producer) && old.hasOneUse() &&
         old.getType() == op->getResult(0).getType();
}

/// The operand whose memory a root's result takes over, if it does: what it updates, or a
/// parameter's old value where its new one is computed from it element by element.
OpOperand *getInPlaceOperand(const Group &group, Operation *root) {
  if (doesUpdate(group, root))
    return &root->getOpOperand(0);
  nn::SetParameterOp set = getUpdate(root);
  if (!set || group.anchor)
    return nullptr;
  OpOperand *old = nullptr;
  for (Operation *op : group.ops)
    for (OpOperand &operand : op->getOpOperands()) {
      auto get = operand.get().getDefiningOp<nn::GetParameterOp>();
      if (!get || get.getName() != set.getName())
        continue;
      // Each element is read where it is written, and nowhere else.
      Type type = operand.get().getType();
      bool isInPlace = isElementwise(op) && type == root->getResult(0).getType() &&
                       cast<RankedTensorType>(op->getResult(0).getType()).getShape() ==
                           cast<RankedTensorType>(type).getShape();
      if (!isInPlace || (old && old->get() != operand.get()))
        return nullptr;
      old = &operand;
    }
  return old;
}

/// A kernel's name: the anchor's (or last op's) mnemonic, a number, and the sizes that its function
/// is for, if any.
std::string nameKernel(const Group &group, unsigned number) {
  Operation *op = group.anchor ? group.anchor : group.roots.front();
  StringRef suffix = graph::getVersionSuffix(op->getParentOfType<func::FuncOp>());
  return (op->getName().stripDialect() + "_" + Twine(number) + suffix).str();
}

/// Whether a kernel should read a constant from memory: its elements differ and are
/// data, not a shape that folds away.
bool isData(nn::ConstantOp constant) {
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (elements && elements.isSplat())
    return false;
  int64_t count = constant.getValue().getNumElements();
  return isa<FloatType>(getElementTypeOrSelf(constant.getType())) ? count > 1 : count > 16;
}

/// Makes constants that kernels read from memory parameters, those of all functions by their values.
void makeDataParameters(func::FuncOp func, SymbolTable &symbols, llvm::DenseMap<Attribute, StringAttr> &names) {
  SmallVector<nn::ConstantOp> constants;
  func.walk([&](nn::ConstantOp op) {
    if (isData(op))
      constants.push_back(op);
  });
  for (nn::ConstantOp op : constants) {
    OpBuilder b(func);
    StringAttr &name = names[op.getValue()];
    if (!name)
      name = symbols.insert(nn::ParameterOp::create(b, op.getLoc(), "constant", op.getValue(), false));
    b.setInsertionPoint(op);
    op.replaceAllUsesWith(
        nn::GetParameterOp::create(b, op.getLoc(), op.getType(), name).getResult());
    op.erase();
  }
}

/// An uninitialised tensor for a result of a group, before its last op.
Operation *createDestination(const Group &group, Value result, graph::DimAnalysis &dims) {
  // Of the result's own type, even if a size that it leaves open is known here.
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<OpFoldResult> sizes = dims.getDims(result);
  SmallVector<Value> dynamicSizes;
  OpBuilder b(group.roots.front());
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      dynamicSizes.push_back(getValueOrCreateConstantIndexOp(b, result.getLoc(), sizes[i]));
  return tensor::EmptyOp::create(b, result.getLoc(), type, dynamicSizes);
}

/// The floating-point operations of a group: an attribute, or a value before its last op.
OpFoldResult countFlops(const Group &group, graph::DimAnalysis &dims) {
  Operation *root = group.roots.front();
  OpBuilder b(root->getContext(), &dims);
  nn::SizeMath m(b, root->getLoc());
  OpFoldResult flops = m.constant(0);
  for (Operation *op : llvm::reverse(group.ops)) {
    b.setInsertionPoint(op);
    if (auto kernelOp = dyn_cast<nn::KernelOpInterface>(op))
      flops = m.add(flops, kernelOp.buildFlops(b));
  }
  return dims.simplify(flops, root);
}

/// The bytes of all that a kernel reads and writes, each once; nullopt if a size is open. Of what is looked up, as many
/// elements as it gives.
std::optional<int64_t> countBytes(const Group &group, ArrayRef<Value> inputs) {
  int64_t bytes = 0;
  auto count = [](Value value) -> std::optional<int64_t> {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      return 0;
    if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat())
      return std::nullopt;
    int64_t bits = type.getElementType().isInteger(1) ? 8 : type.getElementTypeBitWidth();
    return llvm::divideCeil(type.getNumElements() * bits, 8);
  };
  for (Value input : inputs) {
    std::optional<int64_t> all = count(input);
    bool isLookedUp = llvm::all_of(input.getUsers(), [&](Operation *user) {
      return !group.ops.contains(user) || (getRole(user) == KernelRole::Indexed && user->getOperand(0) == input);
    });
    if (!all)
      return std::nullopt;
    if (isLookedUp)
      for (Operation *user : input.getUsers())
        if (group.ops.contains(user))
          all = std::min(*all, count(user->getResult(0)).value_or(*all));
    bytes += *all;
  }
  for (Operation *root : group.roots)
    for (Value result : root->getResults()) {
      std::optional<int64_t> all = count(result);
      if (!all)
        return std::nullopt;
      bytes += *all;
    }
  return bytes;
}

/// A group's destinations, one for each result, and the static count of its operations.
struct Frame {
  /// A fresh tensor, or an operand that the kernel starts from and changes: this may be
  /// another kernel's result by the time that the group is outlined.
  SmallVector<llvm::PointerUnion<Operation *, OpOperand *>> destinations;
  std::optional<int64_t> flops;
};

Frame prepare(const Group &group, graph::DimAnalysis &dims) {
  Frame frame;
  for (Operation *root : group.roots)
    if (OpOperand *old = getInPlaceOperand(group, root)) {
      frame.destinations.push_back(old);
    } else {
      for (Value result : root->getResults())
        frame.destinations.push_back(createDestination(group, result, dims));
    }
  OpFoldResult flops = countFlops(group, dims);
  OpBuilder b(group.roots.front());
  if (auto value = dyn_cast<Value>(flops))
    rt::WorkOp::create(b, group.roots.front()->getLoc(), value);
  else
    frame.flops = getConstantIntValue(flops);
  return frame;
}

/// Moves a group into a kernel and calls it where its last op stood.
void outline(const Group &group, unsigned number, const Frame &frame, OpBuilder &moduleBuilder,
             SymbolTable &symbols) {
  SmallVector<Value> destinations;
  llvm::DenseSet<Value> inPlace;
  for (auto destination : frame.destinations) {
    if (auto *fresh = dyn_cast<Operation *>(destination)) {
      destinations.push_back(fresh->getResult(0));
    } else {
      destinations.push_back(cast<OpOperand *>(destination)->get());
      inPlace.insert(destinations.back());
    }
  }
  SmallVector<Operation *> ops(group.ops.begin(), group.ops.end());
  llvm::sort(ops, [](Operation *l, Operation *r) { return l->isBeforeInBlock(r); });
  Operation *root = ops.back();
  Location loc = root->getLoc();
  llvm::DenseSet<Operation *> inside(ops.begin(), ops.end());

  llvm::SetVector<Value> inputs;
  llvm::SetVector<Operation *> cloned;
  llvm::SetVector<Attribute> nodes;
  // Constants, and shapes made of scalars, are made again inside: there they fold.
  std::function<void(Value)> addInput = [&](Value operand) {
    Operation *producer = operand.getDefiningOp();
    if (!producer || inside.contains(producer)) {
      if (!producer)
        inputs.insert(operand);
      return;
    }
    if (producer->hasTrait<OpTrait::ConstantLike>()) {
      cloned.insert(producer);
    } else if (isa<tensor::FromElementsOp>(producer)) {
      for (Value element : producer->getOperands())
        addInput(element);
      cloned.insert(producer);
    } else {
      inputs.insert(operand);
    }
  };
  for (Operation *op : ops) {
    collectNodes(op->getLoc(), nodes);
    for (Value operand : op->getOperands())
      if (!inPlace.contains(operand))
        addInput(operand);
  }

  OpBuilder b(root);
  SmallVector<Value> results;
  for (Operation *op : group.roots)
    llvm::append_range(results, op->getResults());
  TypeRange resultTypes = ValueRange(results).getTypes();
  SmallVector<Type> types(ValueRange(inputs.getArrayRef()).getTypes());
  llvm::append_range(types, ValueRange(destinations).getTypes());
  auto kernel = kern::FuncOp::create(moduleBuilder, loc, nameKernel(group, number),
                                     b.getFunctionType(types, resultTypes));
  symbols.insert(kernel); // a parameter may have the name
  auto call = kern::CallOp::create(b, loc, resultTypes, kernel.getName(),
                                   inputs.getArrayRef(), destinations);
  kernel.setNodesAttr(b.getArrayAttr(nodes.getArrayRef()));
  if (frame.flops)
    kernel.setFlops(*frame.flops);
  if (std::optional<int64_t> bytes = countBytes(group, inputs.getArrayRef()))
    kernel.setBytes(*bytes);
  if (ops.size() > 1)
    remark::passed(loc, aboutKernel("form-kernels", kernel))
        << remark::add("{0} operations in one kernel", ops.size())
        << remark::add(", in the loops of {0}", describeOp(group.anchor ? group.anchor : root));
  for (const auto &[op, why] : group.ends)
    remark::missed(op->getLoc(), aboutKernel("form-kernels", kernel)) << remark::reason("{0} ends here: {1}", describeOp(op), why);
  Block *body = b.createBlock(&kernel.getBody());
  for (Value operand : call->getOperands())
    body->addArgument(operand.getType(), operand.getLoc());

  IRMapping mapping;
  mapping.map(inputs.getArrayRef(), body->getArguments().take_front(inputs.size()));
  for (auto [destination, argument] : llvm::zip(destinations, kernel.getDestinations()))
    if (inPlace.contains(destination))
      mapping.map(destination, argument);
  for (Operation *op : cloned)
    b.clone(*op, mapping);
  for (Operation *op : ops)
    b.clone(*op, mapping);
  kern::ReturnOp::create(b, loc, llvm::map_to_vector(results, [&](Value result) { return mapping.lookup(result); }));

  for (auto [result, replacement] : llvm::zip(results, call.getResults()))
    result.replaceAllUsesWith(replacement);
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

struct FormKernelsPass : graph::impl::FormKernelsPassBase<FormKernelsPass> {
  void runOnOperation() override {
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
    unsigned number = 0;
    SymbolTable symbols(getOperation());
    llvm::DenseMap<Attribute, StringAttr> constants;
    for (auto func : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      makeDataParameters(func, symbols, constants);
      graph::DimAnalysis dims(func);
      SmallVector<Block *> blocks;
      func.walk([&](Block *block) { blocks.push_back(block); });

      std::vector<std::unique_ptr<GroupFormer>> formers;
      SmallVector<Group *> groups;
      for (Block *block : blocks) {
        formers.push_back(std::make_unique<GroupFormer>(*block));
        llvm::append_range(groups, formers.back()->run());
      }
      // Frames come before anything moves: their sizes look through the ops.
      SmallVector<Frame> frames;
      for (Group *group : groups)
        frames.push_back(prepare(*group, dims));
      dims.eraseUnused();
      for (auto [group, frame] : llvm::zip(groups, frames)) {
        numFused += group->ops.size() - 1;
        outline(*group, number++, frame, moduleBuilder, symbols);
      }
    }
    numKernels = number;
  }
};

} // namespace
