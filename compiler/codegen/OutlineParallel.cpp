//===- OutlineParallel.cpp - Outline rt.parallel bodies ---------*- C++ -*-===//
//
// Before: kern.func @k(%a: memref<64xf32>) {
//           rt.parallel (%begin, %end) to %n grain 4 { ... %a ... }
// After:  kern.func @k(%a: memref<64xf32>) {
//           rt.launch @k.parallel0(%a : memref<64xf32>) to %n grain 4
//         kern.func private @k.parallel0(%a: memref<64xf32>, %begin: index, %end: index) { ... }
//
// Views, constants and sizes that the body uses are computed again in it, so
// that what it captures are whole buffers: their attributes (llvm.noalias)
// stay true, and the loops see static sizes.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

/// Whether the body should compute the op's result again instead of capturing
/// it: true of what costs nothing.
bool isRecomputed(Operation *op) {
  if (!op || op->getNumRegions() != 0 || !isMemoryEffectFree(op))
    return false;
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<ViewLikeOpInterface, memref::DimOp, affine::AffineApplyOp>(op);
}

/// Clones ops that isRecomputed into the body until it uses none from outside.
void recomputeInBody(rt::ParallelOp parallel) {
  Region &body = parallel.getBody();
  OpBuilder builder = OpBuilder::atBlockBegin(&body.front());
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(body, used);
  // Clones go in front of those made before, which may use them. An op may be
  // reached several times: the earlier, already used clone moves to the front.
  DenseMap<Operation *, Operation *> clones;
  for (size_t i = 0; i < used.size(); ++i) {
    Value value = used[i];
    Operation *op = value.getDefiningOp();
    if (!isRecomputed(op))
      continue;
    Operation *&clone = clones[op];
    if (!clone) {
      clone = builder.clone(*op);
      for (auto [from, to] : llvm::zip(op->getResults(), clone->getResults()))
        replaceAllUsesInRegionWith(from, to, body);
      for (Value operand : op->getOperands())
        used.insert(operand);
    }
  }
  // Order the clones as their originals were.
  SmallVector<std::pair<Operation *, Operation *>> ordered(clones.begin(), clones.end());
  llvm::sort(ordered, [](auto &a, auto &b) {
    Operation *x = a.first, *y = b.first;
    if (x->getBlock() == y->getBlock())
      return x->isBeforeInBlock(y);
    // One block's region encloses the other's: values of the outer come first.
    return x->getParentRegion()->isProperAncestor(y->getParentRegion());
  });
  Operation *last = nullptr;
  for (auto &[original, clone] : ordered) {
    if (last)
      clone->moveAfter(last);
    else
      clone->moveBefore(&body.front(), body.front().begin());
    last = clone;
  }
}

/// What is known of a captured buffer, as argument attributes: the attributes
/// of the kernel's argument, or those of fresh memory.
DictionaryAttr captureAttributes(Value capture) {
  MLIRContext *context = capture.getContext();
  if (auto argument = dyn_cast<BlockArgument>(capture)) {
    auto kernel = dyn_cast<kern::FuncOp>(argument.getOwner()->getParentOp());
    DictionaryAttr attributes = kernel ? kernel.getArgAttrDict(argument.getArgNumber()) : nullptr;
    return attributes ? attributes : DictionaryAttr::get(context);
  }
  NamedAttrList attributes;
  if (isa<rt::ScratchOp, memref::AllocaOp>(capture.getDefiningOp()))
    attributes.set(LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(context));
  return attributes.getDictionary(context);
}

/// Moves the body of a parallel loop into a function of its own.
void outline(rt::ParallelOp parallel, kern::FuncOp kernel, StringRef name) {
  recomputeInBody(parallel);
  Region &body = parallel.getBody();
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(body, captured);

  OpBuilder builder(kernel);
  SmallVector<Type> types;
  SmallVector<Attribute> attributes;
  for (Value capture : captured) {
    types.push_back(capture.getType());
    attributes.push_back(captureAttributes(capture));
  }
  types.append(2, builder.getIndexType());
  attributes.append(2, builder.getDictionaryAttr({}));

  auto function = kern::FuncOp::create(builder, parallel.getLoc(), name,
                                       builder.getFunctionType(types, {}));
  SymbolTable::setSymbolVisibility(function, SymbolTable::Visibility::Private);
  function.setArgAttrsAttr(builder.getArrayAttr(attributes));
  function.getBody().takeBody(body);
  Block &entry = function.getBody().front();
  for (auto [i, capture] : llvm::enumerate(captured)) {
    BlockArgument argument = entry.insertArgument(i, capture.getType(), capture.getLoc());
    replaceAllUsesInRegionWith(capture, argument, function.getBody());
  }
  Operation *terminator = entry.getTerminator();
  builder.setInsertionPoint(terminator);
  kern::ReturnOp::create(builder, terminator->getLoc());
  terminator->erase();

  builder.setInsertionPoint(parallel);
  rt::LaunchOp::create(builder, parallel.getLoc(), name, captured.getArrayRef(),
                       parallel.getCount(), parallel.getGrain());
  parallel.erase();
}

struct OutlineParallelPass : codegen::impl::OutlineParallelPassBase<OutlineParallelPass> {
  void runOnOperation() override {
    SmallVector<kern::FuncOp> kernels(getOperation().getOps<kern::FuncOp>());
    for (kern::FuncOp kernel : kernels) {
      // Outer loops first: an inner one then captures what the outer's function
      // holds. Numbered in order, so names depend on the kernel alone.
      std::string stem = kernel.getName().str();
      unsigned count = 0;
      SmallVector<kern::FuncOp> todo{kernel};
      while (!todo.empty()) {
        kern::FuncOp function = todo.pop_back_val();
        SmallVector<rt::ParallelOp> loops;
        function.walk<WalkOrder::PreOrder>([&](rt::ParallelOp loop) {
          loops.push_back(loop);
          return WalkResult::skip();
        });
        for (rt::ParallelOp loop : loops) {
          outline(loop, function, stem + ".parallel" + std::to_string(count++));
          todo.push_back(cast<kern::FuncOp>(function->getPrevNode()));
        }
      }
    }
  }
};

} // namespace
