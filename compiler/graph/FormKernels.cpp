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
#include "compiler/graph/Passes.h"
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
using nn::KernelRole;

namespace {

KernelRole getRole(Operation *op) {
  if (auto kernelOp = dyn_cast<nn::KernelOpInterface>(op))
    return kernelOp.getKernelRole();
  return KernelRole::Alone;
}

/// Whether an op may be fused freely: element-wise, and it does not say otherwise.
bool isElementwise(Operation *op) {
  return isa<nn::ElementwiseOpInterface>(op) && !isa<nn::KernelOpInterface>(op);
}


bool isComputeOp(Operation *op) {
  return isa<nn::NNDialect>(op->getDialect()) && op->getNumRegions() == 0 &&
         op->getNumResults() != 0 && !op->hasTrait<OpTrait::ConstantLike>() &&
         getRole(op) != KernelRole::Host;
}

/// Ops of a kernel at most. More in one loop gain nothing, and fusing is quadratic.
constexpr size_t kMostOps = 64;

/// Ops that will be one kernel, in program order.
struct Group {
  llvm::SetVector<Operation *> ops;
  /// The one op that is not element-wise or a view, if any: it sets the loops.
  Operation *anchor = nullptr;
};

/// The parameter whose new value an element-wise op computes; null if it does not.
nn::SetParameterOp getUpdate(Operation *op) {
  if (isElementwise(op))
    for (Operation *user : op->getUsers())
      if (auto set = dyn_cast<nn::SetParameterOp>(user))
        return set;
  return {};
}

/// Whether two types span the same loops: element-wise consumption without stretching.
bool haveSameShape(Value lhs, Value rhs) {
  auto l = cast<RankedTensorType>(lhs.getType()), r = cast<RankedTensorType>(rhs.getType());
  // A dynamic size against a static one is equal at run time: broadcasts are explicit.
  return l.getRank() == r.getRank() && succeeded(verifyCompatibleShape(l, r));
}

/// The value whose memory a group's result takes over, if it does: a parameter's old value
/// where its new one is computed from it element by element.
Value getInPlaceValue(const Group &group) {
  Operation *root = group.ops.front();
  nn::SetParameterOp set = getUpdate(root);
  if (!set || group.anchor)
    return {};
  Value old;
  for (Operation *op : group.ops)
    for (Value operand : op->getOperands()) {
      auto get = operand.getDefiningOp<nn::GetParameterOp>();
      if (!get || get.getName() != set.getName())
        continue;
      // Each element is read where it is written, and nowhere else.
      bool isInPlace = isElementwise(op) && operand.getType() == root->getResult(0).getType() &&
                       cast<RankedTensorType>(op->getResult(0).getType()).getShape() ==
                           cast<RankedTensorType>(operand.getType()).getShape();
      if (!isInPlace || (old && old != operand))
        return {};
      old = operand;
    }
  return old;
}

class GroupFormer {
public:
  explicit GroupFormer(Block &block) : block(block) {}

  llvm::SmallVector<Group *> run() {
    // Consumers first, so that a producer sees the kernel that its users form.
    for (Operation &op : llvm::reverse(block)) {
      if (!isComputeOp(&op))
        continue;
      Group *group = findGroupToJoin(&op);
      if (!group) {
        groups.push_back(std::make_unique<Group>());
        group = groups.back().get();
      }
      group->ops.insert(&op);
      if (!isElementwise(&op) && getRole(&op) != KernelRole::View)
        group->anchor = &op;
      groupOf[&op] = group;
    }
    llvm::SmallVector<Group *> result;
    for (auto &group : llvm::reverse(groups))
      result.push_back(group.get());
    return result;
  }

private:
  /// The group of all users of the op, if the op may join it.
  Group *findGroupToJoin(Operation *op) {
    if (op->getNumResults() != 1 || op->use_empty())
      return nullptr;
    Group *group = nullptr;
    for (Operation *user : op->getUsers()) {
      auto it = groupOf.find(user);
      if (it == groupOf.end() || (group && it->second != group))
        return nullptr;
      group = it->second;
    }
    return mayJoin(op, *group) ? group : nullptr;
  }

  bool mayJoin(Operation *op, const Group &group) {
    if (group.ops.size() >= kMostOps)
      return false;
    Value result = op->getResult(0);
    auto usersAre = [&](auto predicate) { return llvm::all_of(op->getUsers(), predicate); };
    if (isElementwise(op) || getRole(op) == KernelRole::View) {
      // A prologue is recomputed wherever it is read: free for element-wise readers,
      // and for reductions and rows that read each element a few times.
      bool view = !isElementwise(op);
      return usersAre([&](Operation *user) {
        if (isElementwise(user))
          return view ? isa<nn::BroadcastOp>(op) : haveSameShape(result, user->getResult(0));
        KernelRole role = getRole(user);
        return !view && (role == KernelRole::Reduction || role == KernelRole::Row);
      });
    }
    KernelRole role = getRole(op);
    // An update writes where it reads, so that nothing that reads more than an element joins.
    if (role == KernelRole::Alone || group.anchor || getUpdate(group.ops.front()))
      return false;
    // The anchor's loops are those of the element-wise epilogue.
    return usersAre([&](Operation *user) {
      return isElementwise(user) && haveSameShape(result, user->getResult(0));
    }) && haveSameShape(result, group.ops.front()->getResult(0));
  }

  Block &block;
  std::vector<std::unique_ptr<Group>> groups;
  llvm::DenseMap<Operation *, Group *> groupOf;
};

/// A kernel's name: the anchor's (or last op's) mnemonic and a number.
std::string nameKernel(const Group &group, unsigned number) {
  Operation *op = group.anchor ? group.anchor : group.ops.front();
  return (op->getName().stripDialect() + "_" + Twine(number)).str();
}

/// The model's node that an op came from: the name in its location, if any.
void collectNodes(Location loc, llvm::SetVector<Attribute> &nodes) {
  loc->walk([&](Location inner) {
    if (auto name = dyn_cast<NameLoc>(inner))
      nodes.insert(name.getName());
    return WalkResult::advance();
  });
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

/// Makes constants that kernels read from memory parameters.
void makeDataParameters(func::FuncOp func, SymbolTable &symbols) {
  SmallVector<nn::ConstantOp> constants;
  func.walk([&](nn::ConstantOp op) {
    if (isData(op))
      constants.push_back(op);
  });
  for (nn::ConstantOp op : constants) {
    OpBuilder b(func);
    auto parameter = nn::ParameterOp::create(b, op.getLoc(), "constant", op.getValue(), false);
    StringAttr name = symbols.insert(parameter);
    b.setInsertionPoint(op);
    op.replaceAllUsesWith(
        nn::GetParameterOp::create(b, op.getLoc(), op.getType(), name).getResult());
    op.erase();
  }
}

/// One uninitialised tensor for each result of a group's last op, or the operand that
/// is computed in place: a kernel reads that through its destination.
SmallVector<Value> createDestinations(const Group &group, graph::DimAnalysis &dims) {
  Operation *root = group.ops.front();
  SmallVector<Value> destinations;
  if (Value old = getInPlaceValue(group))
    return {old};
  for (Value result : root->getResults()) {
    // Of the result's own type, even if a size that it leaves open is known here.
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<OpFoldResult> sizes = dims.getDims(result);
    SmallVector<Value> dynamicSizes;
    OpBuilder b(root);
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.isDynamicDim(i))
        dynamicSizes.push_back(getValueOrCreateConstantIndexOp(b, root->getLoc(), sizes[i]));
    destinations.push_back(tensor::EmptyOp::create(b, root->getLoc(), type, dynamicSizes));
  }
  return destinations;
}

/// The floating-point operations of a group: an attribute, or a value before its last op.
OpFoldResult countFlops(const Group &group, graph::DimAnalysis &dims) {
  Operation *root = group.ops.front();
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

/// A group's destinations, and the static count of its operations.
struct Frame {
  SmallVector<Value> destinations;
  std::optional<int64_t> flops;
  Value inPlace; // the destination, if the kernel reads it
};

Frame prepare(const Group &group, graph::DimAnalysis &dims) {
  Frame frame{createDestinations(group, dims), std::nullopt, getInPlaceValue(group)};
  OpFoldResult flops = countFlops(group, dims);
  OpBuilder b(group.ops.front());
  if (auto value = dyn_cast<Value>(flops))
    rt::WorkOp::create(b, group.ops.front()->getLoc(), value);
  else
    frame.flops = getConstantIntValue(flops);
  return frame;
}

/// Moves a group into a kernel and calls it where its last op stood.
void outline(const Group &group, unsigned number, const Frame &frame, OpBuilder &moduleBuilder,
             SymbolTable &symbols) {
  ValueRange destinations = frame.destinations;
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
      if (operand != frame.inPlace)
        addInput(operand);
  }

  OpBuilder b(root);
  SmallVector<Type> types(ValueRange(inputs.getArrayRef()).getTypes());
  llvm::append_range(types, destinations.getTypes());
  auto kernel = kern::FuncOp::create(moduleBuilder, loc, nameKernel(group, number),
                                     b.getFunctionType(types, root->getResultTypes()));
  symbols.insert(kernel); // a parameter may have the name
  auto call = kern::CallOp::create(b, loc, root->getResultTypes(), kernel.getName(),
                                   inputs.getArrayRef(), destinations);
  kernel.setNodesAttr(b.getArrayAttr(nodes.getArrayRef()));
  if (frame.flops)
    kernel.setFlops(*frame.flops);
  Block *body = b.createBlock(&kernel.getBody());
  for (Value operand : call->getOperands())
    body->addArgument(operand.getType(), operand.getLoc());

  IRMapping mapping;
  mapping.map(inputs.getArrayRef(), body->getArguments().take_front(inputs.size()));
  if (frame.inPlace)
    mapping.map(frame.inPlace, body->getArguments().back());
  for (Operation *op : cloned)
    b.clone(*op, mapping);
  for (Operation *op : ops)
    b.clone(*op, mapping);
  SmallVector<Value> results;
  for (Value result : root->getResults())
    results.push_back(mapping.lookup(result));
  kern::ReturnOp::create(b, loc, results);

  root->replaceAllUsesWith(call.getResults());
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

struct FormKernelsPass : graph::impl::FormKernelsPassBase<FormKernelsPass> {
  void runOnOperation() override {
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
    unsigned number = 0;
    SymbolTable symbols(getOperation());
    for (auto func : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      makeDataParameters(func, symbols);
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
