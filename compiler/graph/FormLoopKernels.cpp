//===- FormLoopKernels.cpp - Loops of small ops as kernels ------*- C++ -*-===//
//
// Before: %r:2 = scf.for %t = 0 to 64 (%h = %h0, %y = %empty) {
//           %s = nn.matmul %h, %w;  %n = nn.tanh %s;  yield %n, (insert %n into %y[%t]) }
// After:  %r:2 = kern.call @loop_0 ins(%h0, %w) outs(%empty0, %empty)
//         kern.func @loop_0(%h0, %w, %d0, %d1) { the same loop, %y from %d1 }
//
// A step of a recurrent layer is many ops on little data. As calls of kernels they would cost
// a launch each, and copies of what is not dense in memory; in one kernel parts of rows are
// read and written where they are. What tensors from outside are written into is the kernel's
// destination.
//
// Precondition: types inferred, run-time broadcasts explicit; no kernels.
// Postcondition: loops that threads can share by rows (SplitLoops), or that have little to do
// in each iteration, are one kernel if all their sizes are known and they end soon.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/SpecializeSizes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

namespace nacre::graph {
#define GEN_PASS_DEF_FORMLOOPKERNELSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using nn::KernelRole;

namespace {

/// Rows that threads can share, and steps of an iteration that they need not.
constexpr int64_t kSharedRows = 16, kFewSteps = 1 << 16;
/// A run can be cancelled between kernels, so that one must end within half a second: so many
/// steps, of which products take 20 at once, and an iteration no fewer than some.
constexpr int64_t kMostSteps = 1 << 29, kStepsAtOnce = 20, kFewestSteps = 64;

bool hasKnownSizes(ValueRange values) {
  return llvm::all_of(values.getTypes(), [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor ? tensor.hasStaticShape() : type.isIntOrIndexOrFloat();
  });
}

/// What an iteration does.
struct Work {
  int64_t flops = 0;
  /// Those, and elements that are computed or moved.
  int64_t steps = 0;
};

/// Nothing if an op of the body cannot be part of a kernel.
std::optional<Work> countWork(Block &body) {
  OpBuilder b(body.getParent());
  Work work;
  for (Operation &op : body.without_terminator()) {
    bool isTensorOp = isa<tensor::ExtractSliceOp, tensor::InsertSliceOp, tensor::EmptyOp, tensor::CastOp, tensor::FromElementsOp>(op);
    auto isScalar = [](Type type) { return type.isIntOrIndexOrFloat(); };
    bool isScalarOp = isa<arith::ArithDialect>(op.getDialect()) && isPure(&op) && llvm::all_of(op.getResultTypes(), isScalar);
    if (op.getNumRegions() != 0 || !hasKnownSizes(op.getOperands()) || !hasKnownSizes(op.getResults()))
      return std::nullopt;
    if (isTensorOp || isScalarOp || op.hasTrait<OpTrait::ConstantLike>())
      continue;
    auto kernelOp = dyn_cast<nn::KernelOpInterface>(op);
    KernelRole role = graph::getRole(&op);
    if (!graph::isElementwise(&op) && role != KernelRole::View && role != KernelRole::Reduction && !isa<nn::MatMulOp>(op))
      return std::nullopt;
    int64_t flops = kernelOp ? getConstantIntValue(kernelOp.buildFlops(b)).value_or(0) : 0;
    work.flops += flops;
    work.steps += flops + cast<RankedTensorType>(op.getResult(0).getType()).getNumElements();
  }
  return work;
}

/// Whether a run may wait for the whole loop before it can be cancelled.
bool endsSoon(const APInt &count, const Work &work) {
  int64_t steps = work.flops / kStepsAtOnce + std::max(work.steps - work.flops, kFewestSteps);
  return count.ule(kMostSteps / steps);
}

/// Whether rows of everything that the loop carries can be computed apart.
bool hasSharedRows(Block &body) {
  int64_t rows = 0;
  for (auto product : body.getOps<nn::MatMulOp>()) {
    auto type = cast<RankedTensorType>(product.getType());
    if (type.getRank() != 2 || product.getTransposeLhs() || (rows && rows != type.getDimSize(0)))
      return false;
    rows = type.getDimSize(0);
  }
  return rows >= kSharedRows && llvm::all_of(body.without_terminator(), [&](Operation &op) {
    auto type = isa<nn::NNDialect>(op.getDialect()) ? dyn_cast<RankedTensorType>(op.getResult(0).getType()) : nullptr;
    bool isInRows = !type || (type.getRank() > 0 && type.getDimSize(0) == rows) || type.getNumElements() <= rows;
    return isInRows && graph::getRole(&op) != KernelRole::Reduction;
  });
}

/// Whether some value, or a part of it, is read behind an op of the same block.
bool isReadBehind(Value value, Operation *op) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    bool isView = isa<tensor::ExtractSliceOp, tensor::CastOp>(user);
    return user != op && (isView ? isReadBehind(user->getResult(0), op) : op->isBeforeInBlock(user));
  });
}

/// Whether the tensors that rows are written into are not read as they were before, behind that.
bool canWriteInPlace(scf::ForOp loop) {
  return llvm::all_of(loop.getRegionIterArgs(), [](Value state) {
    return llvm::all_of(state.getUsers(), [&](Operation *user) {
      auto insert = dyn_cast<tensor::InsertSliceOp>(user);
      return !insert || insert.getDest() != state || !isReadBehind(state, insert);
    });
  });
}

class LoopOutliner {
public:
  LoopOutliner(scf::ForOp loop, OpBuilder &moduleBuilder, SymbolTable &symbols)
      : loop(loop), moduleBuilder(moduleBuilder), symbols(symbols) {}

  void run(unsigned number, int64_t flops) {
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    used.insert(loop.getLowerBound());
    used.insert(loop.getUpperBound());
    used.insert(loop.getStep());
    SmallVector<Value> destinations;
    OpBuilder b(loop);
    Location loc = loop.getLoc();
    for (auto [init, result] : llvm::zip_equal(loop.getInitArgs(), loop.getResults())) {
      auto type = cast<RankedTensorType>(result.getType());
      destinations.push_back(tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType()));
      if (!init.getDefiningOp<tensor::EmptyOp>())
        used.insert(init);
    }
    llvm::SetVector<Value> inputs;
    SmallVector<Operation *> constants;
    for (Value value : used)
      if (Operation *maker = value.getDefiningOp(); maker && isMadeAgain(maker))
        constants.push_back(maker);
      else
        inputs.insert(value);
    SmallVector<Type> types(ValueRange(inputs.getArrayRef()).getTypes());
    llvm::append_range(types, loop.getResultTypes());
    auto kernel = kern::FuncOp::create(moduleBuilder, loc, ("loop_" + Twine(number) + graph::getVersionSuffix(loop->getParentOfType<func::FuncOp>())).str(),
                                       b.getFunctionType(types, loop.getResultTypes()));
    symbols.insert(kernel);
    kernel.setNodesAttr(b.getArrayAttr(collectNodes().getArrayRef()));
    kernel.setFlops(flops);
    auto call = kern::CallOp::create(b, loc, loop.getResultTypes(), kernel.getName(), inputs.getArrayRef(), destinations);

    Block *body = b.createBlock(&kernel.getBody());
    for (Value operand : call->getOperands())
      body->addArgument(operand.getType(), operand.getLoc());
    IRMapping mapping;
    mapping.map(inputs.getArrayRef(), body->getArguments().take_front(inputs.size()));
    for (Operation *constant : constants)
      b.clone(*constant, mapping);
    for (auto [init, destination] : llvm::zip_equal(loop.getInitArgs(), kernel.getDestinations()))
      if (init.getDefiningOp<tensor::EmptyOp>())
        mapping.map(init, destination);
    auto inside = cast<scf::ForOp>(b.clone(*loop, mapping));
    for (auto [init, operand, destination] :
         llvm::zip_equal(loop.getInitArgs(), inside.getInitArgsMutable(), kernel.getDestinations()))
      if (init.getDefiningOp<tensor::EmptyOp>()) // several may be one value
        operand.assign(destination);
    kern::ReturnOp::create(b, loc, inside.getResults());
    loop.replaceAllUsesWith(call.getResults());
    loop.erase();
  }

private:
  static bool isMadeAgain(Operation *maker) {
    if (isa<tensor::EmptyOp>(maker))
      return true;
    if (!maker->hasTrait<OpTrait::ConstantLike>())
      return false;
    auto constant = dyn_cast<nn::ConstantOp>(maker);
    return !constant || constant.getValue().getNumElements() <= 16 || constant.getValue().isSplat();
  }

  llvm::SetVector<Attribute> collectNodes() {
    llvm::SetVector<Attribute> nodes;
    loop->walk([&](Operation *op) {
      op->getLoc()->walk([&](Location inner) {
        if (auto name = dyn_cast<NameLoc>(inner))
          nodes.insert(name.getName());
        return WalkResult::advance();
      });
    });
    return nodes;
  }

  scf::ForOp loop;
  OpBuilder &moduleBuilder;
  SymbolTable &symbols;
};

struct FormLoopKernelsPass : graph::impl::FormLoopKernelsPassBase<FormLoopKernelsPass> {
  void runOnOperation() override {
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
    SymbolTable symbols(getOperation());
    SmallVector<scf::ForOp> loops;
    for (auto func : getOperation().getOps<func::FuncOp>())
      func.walk([&](scf::ForOp loop) { loops.push_back(loop); });
    unsigned number = 0;
    for (scf::ForOp loop : loops) {
      bool hasTensors = loop.getNumResults() != 0 && llvm::all_of(loop.getResultTypes(), llvm::IsaPred<RankedTensorType>);
      std::optional<APInt> count = loop.getStaticTripCount();
      if (!hasTensors || !count || !hasKnownSizes(loop.getResults()) || !canWriteInPlace(loop))
        continue;
      std::optional<Work> work = countWork(*loop.getBody());
      if (work && work->steps > 0 && endsSoon(*count, *work) && (work->steps <= kFewSteps || hasSharedRows(*loop.getBody())))
        LoopOutliner(loop, moduleBuilder, symbols).run(number++, count->getSExtValue() * work->flops);
    }
    numKernels = number;
  }
};

} // namespace
