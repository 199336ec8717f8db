//===- KernelGroups.cpp - Which ops become one kernel -----------*- C++ -*-===//
#include "compiler/graph/KernelGroups.h"
#include "compiler/graph/KernelRoles.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::graph;
using nn::KernelRole;

/// Ops of a kernel at most. More in one loop gain nothing, and fusing is quadratic. A sum leaves room for the products
/// that it may be of, and what is done with each: their results would take many times the memory.
constexpr size_t kMostOps = 64, kRoomOfProducts = 16;

bool graph::isComputeOp(Operation *op) {
  return isa<nn::NNDialect>(op->getDialect()) && op->getNumRegions() == 0 &&
         op->getNumResults() != 0 && !op->hasTrait<OpTrait::ConstantLike>() &&
         getRole(op) != KernelRole::Host;
}

nn::SetParameterOp graph::getUpdate(Operation *op) {
  if (isElementwise(op))
    for (Operation *user : op->getUsers())
      if (auto set = dyn_cast<nn::SetParameterOp>(user))
        return set;
  return {};
}

void graph::collectNodes(Location loc, llvm::SetVector<Attribute> &nodes) {
  loc->walk([&](Location inner) {
    if (auto name = dyn_cast<NameLoc>(inner))
      nodes.insert(name.getName());
    return WalkResult::advance();
  });
}

std::string graph::describeOp(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  llvm::SetVector<Attribute> nodes;
  collectNodes(op->getLoc(), nodes);
  return nodes.empty() ? text : text + " of " + cast<StringAttr>(nodes[0]).str();
}

/// Whether two values have as many elements, each of the other's.
static bool haveSameElements(Value lhs, Value rhs) {
  auto l = cast<RankedTensorType>(lhs.getType()), r = cast<RankedTensorType>(rhs.getType());
  return l.hasStaticShape() && r.hasStaticShape() && l.getNumElements() == r.getNumElements();
}

/// Whether `product` is one of integers for each element of a batch, and a group with `anchor` reads nothing of it but
/// sums over the batch. A tile then holds a product at a time, which memory never sees.
static bool isSummedOverBatch(Operation *product, Operation *anchor) {
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

/// Whether an op's result is read outside of the group of its other users.
static bool doesEscape(Operation *op, const Group &group) {
  return llvm::any_of(op->getUsers(), [&](Operation *user) { return !group.ops.contains(user); });
}

/// One loop gives all results, where the last of them stands.
static bool mayEscape(Operation *op, const Group &group) {
  Operation *last = group.roots.front();
  auto shapeOf = [](Operation *root) { return cast<ShapedType>(root->getResult(0).getType()).getShape(); };
  return isElementwise(op) && !group.anchor && shapeOf(op) == shapeOf(last) &&
         llvm::all_of(op->getUsers(),
                      [&](Operation *user) { return group.ops.contains(user) || last->isBeforeInBlock(user); });
}

/// The group of all users of the op, if the op may join it; else why not. A parameter that it sets besides
/// is set after all that reads.
Group *GroupFormer::findGroupToJoin(Operation *op, std::string &why) {
  auto refuse = [&](const Twine &reason) {
    why = reason.str();
    return nullptr;
  };
  if (op->getNumResults() != 1)
    return refuse("it has several results");
  Group *group = nullptr;
  for (Operation *user : op->getUsers()) {
    if (isa<nn::SetParameterOp>(user))
      continue;
    auto it = groupOf.find(user);
    if (it == groupOf.end())
      return refuse(user->hasTrait<OpTrait::IsTerminator>() && isa<func::FuncOp>(user->getParentOp())
                        ? "it is an output"
                        : "something that is no kernel reads it");
    if (group && it->second != group)
      return refuse("several kernels read it, and would each compute it");
    group = it->second;
  }
  if (!group)
    return refuse("no other kernel reads it");
  std::string reason = findObstacle(op, *group);
  return reason.empty() ? group : refuse(reason);
}

/// Why an op may not join a group that reads it; empty if it may.
std::string GroupFormer::findObstacle(Operation *op, const Group &group) {
  if (group.ops.size() >= (isa<nn::ReduceOp>(op) ? kMostOps - kRoomOfProducts : kMostOps))
    return ("the kernel that reads it has " + Twine(group.ops.size()) + " operations already").str();
  Value result = op->getResult(0);
  if (doesEscape(op, group) && !mayEscape(op, group))
    return "others read it as well, and one loop does not give both results";
  auto findUser = [&](auto predicate) -> Operation * {
    for (Operation *user : op->getUsers())
      if (group.ops.contains(user) && !predicate(user))
        return user;
    return nullptr;
  };
  if (isElementwise(op) || getRole(op) == KernelRole::View) {
    // A prologue is recomputed wherever it is read: free for element-wise readers,
    // and for reductions and rows that read each element a few times.
    bool view = !isElementwise(op);
    Operation *user = findUser([&](Operation *user) {
      if (isElementwise(user))
        return view ? isa<nn::BroadcastOp>(op) : haveSameShape(result, user->getResult(0));
      KernelRole role = getRole(user);
      return !view && (role == KernelRole::Reduction || role == KernelRole::Row);
    });
    if (!user)
      return "";
    return view                  ? describeOp(user) + " reads it as it lies in memory"
           : isElementwise(user) ? describeOp(user) + " has another shape"
                                 : describeOp(user) + " reads each element many times, and would compute it as often";
  }
  KernelRole role = getRole(op);
  // An update writes where it reads, so that nothing that reads more than an element joins.
  if (role == KernelRole::Alone)
    return "it is a kernel of its own";
  if (role == KernelRole::Update || llvm::any_of(group.roots, getUpdate))
    return "what is changed in place is read element by element alone";
  if (group.anchor) {
    bool isSummed = isSummedOverBatch(op, group.anchor) && !findUser([&](Operation *user) {
      return user == group.anchor || (isElementwise(user) && haveSameShape(result, user->getResult(0)));
    });
    return isSummed ? "" : "the kernel that reads it has the loops of " + describeOp(group.anchor);
  }
  // Of what moves twice the first movement is done tile by tile.
  Operation *root = group.roots.front();
  if (role == KernelRole::Indexed && getRole(root) == KernelRole::View && group.ops.size() == 1)
    return haveSameElements(result, root->getResult(0)) ? "" : describeOp(root) + " reads a part of it";
  // The anchor's loops are those of the element-wise epilogue.
  Operation *user = findUser([&](Operation *user) { return isElementwise(user) && haveSameShape(result, user->getResult(0)); });
  if (user)
    return isElementwise(user) ? describeOp(user) + " has another shape" : describeOp(user) + " does not read it element by element";
  return haveSameShape(result, root->getResult(0)) ? "" : describeOp(root) + " has another shape";
}

SmallVector<Group *> GroupFormer::run() {
  // Consumers first, so that a producer sees the kernel that its users form.
  for (Operation &op : llvm::reverse(block)) {
    if (!isComputeOp(&op))
      continue;
    std::string why;
    Group *group = findGroupToJoin(&op, why);
    if (!group) {
      groups.push_back(std::make_unique<Group>());
      group = groups.back().get();
      group->ends.emplace_back(&op, std::move(why));
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
