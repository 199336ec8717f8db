//===- VectorizeTilesMatch.cpp - Which ops become one nest ------------------===//
//
// A reduction, the fills before it, and the element-wise op on its result behind it.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace nacre::tile;

/// memref.copy and named ops as linalg.generic; null if `op` is neither.
linalg::GenericOp nacre::tile::asGeneric(RewriterBase &rewriter, Operation *op) {
  rewriter.setInsertionPoint(op);
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    if (!isa<MemRefType>(copy.getSource().getType()) ||
        !isa<MemRefType>(copy.getTarget().getType()))
      return nullptr;
    op = rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(), copy.getTarget());
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return generic;
  auto named = dyn_cast<linalg::LinalgOp>(op);
  if (!named || !named.hasPureBufferSemantics())
    return nullptr;
  FailureOr<linalg::GenericOp> generic = linalg::generalizeNamedOp(rewriter, named);
  return succeeded(generic) ? *generic : nullptr;
}

/// The op before `op` that may touch memory.
static Operation *previousEffect(Operation *op) {
  do
    op = op->getPrevNode();
  while (op && isMemoryEffectFree(op));
  return op;
}

/// Folds the fills just before a reduction, of the very memory that it reduces
/// into, into the accumulators' start values. Returns the fills.
SmallVector<Operation *> nacre::tile::foldFills(Nest &nest) {
  SmallVector<Operation *> fills;
  if (!nest.reduction)
    return fills;
  for (Operation *op = previousEffect(nest.op); op; op = previousEffect(op)) {
    auto fill = dyn_cast<linalg::FillOp>(op);
    if (!fill)
      break;
    Value memory = fill.getDpsInits().front();
    unsigned output = nest.outputs;
    for (auto [number, access] : llvm::enumerate(nest.accesses)) {
      if (access.source != memory || number >= nest.epilogueStart())
        continue;
      if (number < nest.inputs)
        return fills;
      output = number - nest.inputs;
    }
    if (output == nest.outputs || nest.start[output])
      break;
    Value value = fill.getInputs().front();
    if (value.getType() != nest.accesses[nest.inputs + output].element)
      break;
    // Every element must be written: the output's map is a permutation.
    AffineMap map = nest.op.getMatchingIndexingMap(nest.op.getDpsInitOperand(output));
    if (!map.isProjectedPermutation())
      break;
    nest.start[output] = value;
    fills.push_back(fill);
  }
  return fills;
}

/// The allocation or argument that a memref is a view of.
static Value rootOf(Value memory) {
  while (auto view = memory.getDefiningOp<ViewLikeOpInterface>())
    memory = view.getViewSource();
  return memory;
}

/// Nobody but `users` sees the memory.
static bool isPrivate(Value memory, ArrayRef<Operation *> users) {
  Value root = rootOf(memory);
  Operation *allocation = root.getDefiningOp();
  if (!allocation || !hasEffect<MemoryEffects::Allocate>(allocation, root))
    return false;
  SmallVector<Value> views = {root};
  while (!views.empty()) {
    Value view = views.pop_back_val();
    for (Operation *user : view.getUsers()) {
      if (isa<ViewLikeOpInterface>(user))
        llvm::append_range(views, user->getResults());
      else if (!llvm::is_contained(users, user) && !hasEffect<MemoryEffects::Free>(user))
        return false;
    }
  }
  return true;
}

/// The next op after `op` that may touch memory, if it is element-wise on its result
/// and may run inside of its loops. Sets whether the result itself is needed.
linalg::GenericOp nacre::tile::findEpilogue(linalg::GenericOp op, bool &resultIsNeeded) {
  if (op.getNumDpsInits() != 1 || op.getNumReductionLoops() == 0)
    return nullptr;
  Operation *next = op->getNextNode();
  while (next && isMemoryEffectFree(next))
    next = next->getNextNode();
  auto epilogue = dyn_cast_or_null<linalg::GenericOp>(next);
  if (!epilogue || !epilogue.hasPureBufferSemantics() || epilogue.getNumDpsInits() != 1 ||
      epilogue.getNumReductionLoops() != 0)
    return nullptr;
  Value result = op.getDpsInits().front(), target = epilogue.getDpsInits().front();
  if (!llvm::is_contained(epilogue->getOperands(), result))
    return nullptr;
  for (Value operand : epilogue->getOperands())
    if (operand != result && rootOf(operand) == rootOf(result))
      return nullptr;
  resultIsNeeded = false;
  if (target == result)
    return epilogue;
  // While some blocks are still computed, the target of others is written already.
  for (Value operand : op->getOperands())
    if (rootOf(operand) == rootOf(target))
      return nullptr;
  SmallVector<Operation *> users = {op, epilogue};
  for (Operation *before = previousEffect(op); isa_and_nonnull<linalg::FillOp>(before);
       before = previousEffect(before))
    users.push_back(before);
  resultIsNeeded = !isPrivate(result, users);
  return epilogue;
}

/// The input whose widened element this is, if nothing else reads it, and whether it has no sign.
static std::optional<std::pair<unsigned, bool>> getWidened(linalg::GenericOp op, Value value) {
  Operation *wide = value.getDefiningOp();
  auto argument = isa_and_present<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(wide)
                      ? dyn_cast<BlockArgument>(wide->getOperand(0))
                      : BlockArgument();
  if (!argument || argument.getOwner() != op.getBody() || !wide->hasOneUse() || !argument.hasOneUse() ||
      argument.getArgNumber() >= op.getNumDpsInputs())
    return std::nullopt;
  return std::pair(argument.getArgNumber(), isa<arith::ExtUIOp>(wide));
}

std::optional<TileProduct> nacre::tile::getTileProduct(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 || llvm::range_size(*op.getBody()) != 5)
    return std::nullopt;
  Operation *sum = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  Value accumulator = op.getBody()->getArgument(2);
  if (!isa_and_present<arith::AddFOp, arith::AddIOp>(sum) || !llvm::is_contained(sum->getOperands(), accumulator))
    return std::nullopt;
  Operation *product = sum->getOperand(sum->getOperand(0) == accumulator ? 1 : 0).getDefiningOp();
  if (!isa_and_present<arith::MulFOp, arith::MulIOp>(product))
    return std::nullopt;
  auto first = getWidened(op, product->getOperand(0)), second = getWidened(op, product->getOperand(1));
  if (!first || !second)
    return std::nullopt;
  TileProduct result;
  result.element = op.getBody()->getArgument(0).getType();
  if (result.element != op.getBody()->getArgument(1).getType())
    return std::nullopt;
  for (auto [input, isUnsigned] : {*first, *second})
    result.isUnsigned[input] = isUnsigned;
  Type wide = sum->getResult(0).getType();
  bool isKnown = (result.element.isBF16() && wide.isF32()) || (result.element.isInteger(8) && wide.isInteger(32));
  return isKnown ? std::optional(result) : std::nullopt;
}
