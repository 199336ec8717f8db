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
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/SpecializeSizes.h"
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
using graph::getRole, graph::haveSameShape, graph::isElementwise;
using nn::KernelRole;

namespace {

bool isComputeOp(Operation *op) {
  return isa<nn::NNDialect>(op->getDialect()) && op->getNumRegions() == 0 &&
         op->getNumResults() != 0 && !op->hasTrait<OpTrait::ConstantLike>() &&
         getRole(op) != KernelRole::Host;
}

/// Ops of a kernel at most. More in one loop gain nothing, and fusing is quadratic. A sum leaves room for the products
/// that it may be of, and what is done with each: their results would take many times the memory.
constexpr size_t kMostOps = 64, kRoomOfProducts = 16;

/// Ops that will be one kernel, the last first.
struct Group {
  llvm::SetVector<Operation *> ops;
  /// Those whose results are the kernel's: the last op, and new values of parameters that it is
  /// computed from.
  SmallVector<Operation *> roots;
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

/// Whether two values have as many elements, each of the other's.
bool haveSameElements(Value lhs, Value rhs) {
  auto l = cast<RankedTensorType>(lhs.getType()), r = cast<RankedTensorType>(rhs.getType());
  return l.hasStaticShape() && r.hasStaticShape() && l.getNumElements() == r.getNumElements();
}

/// Whether `product` is one of integers for each element of a batch, and a group with `anchor` reads nothing of it but
/// sums over the batch. A tile then holds a product at a time, which memory never sees.
bool isSummedOverBatch(Operation *product, Operation *anchor) {
  auto sum = dyn_cast<nn::ReduceOp>(anchor);
  auto contract = dyn_cast<nn::ContractOp>(product);
  if (!sum || sum.getKind() != nn::ReduceKind::sum || !contract || !contract.getWide() ||
      !haveSameShape(contract, sum.getInput()))
    return false;
  auto maps = llvm::to_vector(contract.getIndexingMaps().getAsValueRange<AffineMapAttr>());
  return llvm::all_of(sum.getAxes(), [&](int64_t axis) {
    unsigned loop = cast<AffineDimExpr>(maps.back().getResult(axis)).getPosition();
    return cast<RankedTensorType>(contract.getType()).getDimSize(axis) > 1 &&
           llvm::all_of(maps, [&](AffineMap map) { return map.isFunctionOfDim(loop); });
  });
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
      if (group->ops.empty() || doesEscape(&op, *group))
        group->roots.push_back(&op);
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
  /// The group of all users of the op, if the op may join it. A parameter that it sets besides
  /// is set after all that reads.
  Group *findGroupToJoin(Operation *op) {
    if (op->getNumResults() != 1)
      return nullptr;
    Group *group = nullptr;
    for (Operation *user : op->getUsers()) {
      if (isa<nn::SetParameterOp>(user))
        continue;
      auto it = groupOf.find(user);
      if (it == groupOf.end() || (group && it->second != group))
        return nullptr;
      group = it->second;
    }
    return group && mayJoin(op, *group) ? group : nullptr;
  }

  /// Whether an op's result is read outside of the group of its other users.
  static bool doesEscape(Operation *op, const Group &group) {
    return llvm::any_of(op->getUsers(), [&](Operation *user) { return !group.ops.contains(user); });
  }

  bool mayJoin(Operation *op, const Group &group) {
    if (group.ops.size() >= (isa<nn::ReduceOp>(op) ? kMostOps - kRoomOfProducts : kMostOps))
      return false;
    Value result = op->getResult(0);
    if (doesEscape(op, group) && !mayEscape(op, group))
      return false;
    auto usersAre = [&](auto predicate) {
      return llvm::all_of(op->getUsers(), [&](Operation *user) { return !group.ops.contains(user) || predicate(user); });
    };
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
    if (role == KernelRole::Alone || role == KernelRole::Update || llvm::any_of(group.roots, getUpdate))
      return false;
    if (group.anchor)
      return isSummedOverBatch(op, group.anchor) && usersAre([&](Operation *user) {
               return user == group.anchor || (isElementwise(user) && haveSameShape(result, user->getResult(0)));
             });
    // Of what moves twice the first movement is done tile by tile.
    Operation *root = group.roots.front();
    if (role == KernelRole::Indexed && getRole(root) == KernelRole::View && group.ops.size() == 1)
      return haveSameElements(result, root->getResult(0));
    // The anchor's loops are those of the element-wise epilogue.
    return usersAre([&](Operation *user) {
      return isElementwise(user) && haveSameShape(result, user->getResult(0));
    }) && haveSameShape(result, group.roots.front()->getResult(0));
  }

  /// One loop gives all results, where the last of them stands.
  bool mayEscape(Operation *op, const Group &group) {
    Operation *last = group.roots.front();
    auto shapeOf = [](Operation *root) { return cast<ShapedType>(root->getResult(0).getType()).getShape(); };
    return isElementwise(op) && !group.anchor && shapeOf(op) == shapeOf(last) &&
           llvm::all_of(op->getUsers(),
                        [&](Operation *user) { return group.ops.contains(user) || last->isBeforeInBlock(user); });
  }

  Block &block;
  std::vector<std::unique_ptr<Group>> groups;
  llvm::DenseMap<Operation *, Group *> groupOf;
};

/// A kernel's name: the anchor's (or last op's) mnemonic, a number, and the sizes that its function
/// is for, if any.
std::string nameKernel(const Group &group, unsigned number) {
  Operation *op = group.anchor ? group.anchor : group.roots.front();
  StringRef suffix = graph::getVersionSuffix(op->getParentOfType<func::FuncOp>());
  return (op->getName().stripDialect() + "_" + Twine(number) + suffix).str();
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
