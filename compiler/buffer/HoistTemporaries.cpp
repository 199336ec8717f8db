//===- HoistTemporaries.cpp - Take a kernel's temporaries out ---*- C++ -*-===//
//
// Before: kern.func @k(%a, %d) { %t = memref.alloc() : memref<64x64xf32>
//           rt.parallel ... { scf.for { %u = memref.alloc(%min) : memref<?x8xf32> } } }
// After:  kern.func @k(%a, %d, %t) { rt.parallel ... {
//           %s = memref.alloca() : memref<4x8xf32>; scf.for { %u = subview %s } } }
//
// Precondition: memrefs, rt.parallel. Postcondition: no memref.alloc in kernels.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/BufferSizes.h"
#include "compiler/buffer/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_HOISTTEMPORARIESPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// The induction variables of the loops around an op, up to the region's owner.
SmallVector<Value> getEnclosingInductionVars(Operation *op, Region *scope) {
  SmallVector<Value> ivs;
  for (Region *region = op->getParentRegion(); region != scope; region = region->getParentRegion())
    if (auto loop = dyn_cast<LoopLikeOpInterface>(region->getParentOp()))
      if (auto inductionVars = loop.getLoopInductionVars())
        llvm::append_range(ivs, *inductionVars);
  return ivs;
}

/// Whether a value is computed from one of the others.
bool dependsOn(Value value, ArrayRef<Value> others) {
  if (llvm::is_contained(others, value))
    return true;
  Operation *op = value.getDefiningOp();
  return op && llvm::any_of(op->getOperands(),
                            [&](Value operand) { return dependsOn(operand, others); });
}

/// Gives the views of memory whose type has changed the types that follow from it.
void inferViews(Value memory) {
  for (Operation *user : memory.getUsers()) {
    auto view = dyn_cast<memref::SubViewOp>(user);
    if (!view || view.getSource() != memory)
      continue;
    MemRefType type = memref::SubViewOp::inferRankReducedResultType(
        view.getType().getShape(), view.getSourceType(), view.getMixedOffsets(), view.getMixedSizes(),
        view.getMixedStrides());
    if (type == view.getType())
      continue;
    view.getResult().setType(type);
    inferViews(view);
  }
}

/// The layout of both types: what they do not share is known only at run time.
MemRefType getCommonType(MemRefType a, MemRefType b) {
  auto [aStrides, aOffset] = a.getStridesAndOffset();
  auto [bStrides, bOffset] = b.getStridesAndOffset();
  auto join = [](int64_t l, int64_t r) { return l == r ? l : ShapedType::kDynamic; };
  SmallVector<int64_t> strides, shape;
  for (auto [l, r] : llvm::zip_equal(aStrides, bStrides))
    strides.push_back(join(l, r));
  for (auto [l, r] : llvm::zip_equal(a.getShape(), b.getShape()))
    shape.push_back(join(l, r));
  return MemRefType::get(shape, a.getElementType(),
                         StridedLayoutAttr::get(a.getContext(), join(aOffset, bOffset), strides),
                         a.getMemorySpace());
}

/// Branches that hand on temporaries: the result is of the type that both have by now.
void inferBranches(scf::IfOp branch) {
  if (branch.getElseRegion().empty())
    return;
  for (auto [i, result] : llvm::enumerate(branch.getResults())) {
    OpOperand &first = branch.thenYield()->getOpOperand(i), &second = branch.elseYield()->getOpOperand(i);
    auto a = dyn_cast<MemRefType>(first.get().getType()), b = dyn_cast<MemRefType>(second.get().getType());
    if (!a || !b || (a == result.getType() && b == a))
      continue;
    MemRefType type = a == b ? a : getCommonType(a, b);
    for (OpOperand *yielded : {&first, &second})
      if (yielded->get().getType() != type) {
        OpBuilder builder(yielded->getOwner());
        yielded->set(memref::CastOp::create(builder, branch.getLoc(), type, yielded->get()));
      }
    result.setType(type);
    inferViews(result);
  }
}

/// Allocates a tile's temporary once, at the start of the body of rt.parallel or of the
/// kernel. There, a large one stays an allocation, which is returned: scratch is given back
/// at the end of rt.parallel only.
FailureOr<memref::AllocOp> hoistFromTile(RewriterBase &rewriter, memref::AllocOp alloc, Region *scope,
                                         int64_t stackBytes) {
  rewriter.setInsertionPoint(alloc);
  auto local = rewriter.replaceOpWithNewOp<memref::AllocaOp>(alloc, alloc.getType(),
                                                             alloc.getDynamicSizes());
  // Sizes that depend on the tile are replaced by their bounds.
  memref::AllocaOp bounded = local;
  SmallVector<Value> ivs = getEnclosingInductionVars(local, scope);
  if (llvm::any_of(local.getDynamicSizes(), [&](Value size) { return dependsOn(size, ivs); })) {
    FailureOr<Value> replacement = memref::replaceWithIndependentOp(rewriter, local, ivs);
    if (failed(replacement))
      return failure();
    bounded = replacement->getDefiningOp<memref::AllocaOp>();
    if (!bounded)
      if (auto view = replacement->getDefiningOp<memref::SubViewOp>())
        bounded = view.getSource().getDefiningOp<memref::AllocaOp>();
    if (!bounded)
      return failure();
    inferViews(*replacement);
  }
  // Move it, with the computation of its sizes, to the start of the body.
  llvm::SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.filter = [&](Operation *op) {
    // The slice stops at what the filter refuses, its root included.
    return op == bounded.getOperation() ||
           (scope->isAncestor(op->getParentRegion()) && isMemoryEffectFree(op));
  };
  options.inclusive = false;
  if (failed(getBackwardSlice(bounded.getOperation(), &slice, options)))
    return failure();
  Block &entry = scope->front();
  // What stands at the start already stays there: the rest may depend on it.
  llvm::SmallPtrSet<Operation *, 8> inPlace;
  Operation *anchor = &entry.front();
  for (; slice.contains(anchor); anchor = anchor->getNextNode())
    inPlace.insert(anchor);
  for (Operation *op : slice)
    if (!inPlace.contains(op))
      rewriter.moveOpBefore(op, anchor);
  rewriter.moveOpBefore(bounded, anchor);
  int64_t bytes = bounded.getType().hasStaticShape() ? buffer::getStaticBytes(bounded.getType()) : -1;
  rewriter.setInsertionPoint(bounded);
  if (bytes >= 0 && bytes <= stackBytes)
    bounded.setAlignment(64);
  else if (isa<rt::ParallelOp>(scope->getParentOp()))
    rewriter.replaceOpWithNewOp<rt::ScratchOp>(bounded, bounded.getType(), bounded.getDynamicSizes());
  else
    return rewriter.replaceOpWithNewOp<memref::AllocOp>(bounded, bounded.getType(), bounded.getDynamicSizes());
  return memref::AllocOp();
}

/// Makes a temporary of the whole kernel an argument, allocated by each caller.
void hoistFromKernel(kern::FuncOp func, memref::AllocOp alloc, ArrayRef<kern::CallOp> calls) {
  // The sizes are computed again by the caller, from the same arguments.
  llvm::SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = false;
  (void)getBackwardSlice(alloc.getOperation(), &slice, options);
  for (kern::CallOp call : calls) {
    OpBuilder b(call);
    IRMapping mapping;
    mapping.map(func.getArguments(), call->getOperands());
    for (Operation *op : slice)
      b.clone(*op, mapping);
    Operation *buffer = b.clone(*alloc, mapping);
    buffer->setLoc(call.getLoc()); // one kernel may be called by several nodes
    call.getOutsMutable().append(buffer->getResult(0));
  }
  BlockArgument argument = func.getBody().front().addArgument(alloc.getType(), alloc.getLoc());
  func.setFunctionType(
      FunctionType::get(func.getContext(), func.getBody().front().getArgumentTypes(), {}));
  alloc.replaceAllUsesWith(argument);
  alloc.erase();
}

struct HoistTemporariesPass : buffer::impl::HoistTemporariesPassBase<HoistTemporariesPass> {
  using Base::Base;

  void runOnOperation() override {
    llvm::DenseMap<StringRef, SmallVector<kern::CallOp>> calls;
    getOperation().walk([&](kern::CallOp call) { calls[call.getCallee()].push_back(call); });
    IRRewriter rewriter(&getContext());
    for (auto func : getOperation().getOps<kern::FuncOp>()) {
      SmallVector<memref::AllocOp> allocs;
      func.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
      func.walk([&](memref::DeallocOp dealloc) { dealloc.erase(); });
      for (memref::AllocOp alloc : allocs) {
        auto parallel = alloc->getParentOfType<rt::ParallelOp>();
        if (parallel || alloc->getParentOp() != func) {
          Region *scope = parallel ? &parallel.getBody() : &func.getBody();
          Location loc = alloc.getLoc(); // the op is replaced even where no bound is found
          FailureOr<memref::AllocOp> hoisted = hoistFromTile(rewriter, alloc, scope, stackBytes);
          if (failed(hoisted)) {
            emitError(loc, "no bound is known for the size of a kernel's temporary");
            return signalPassFailure();
          }
          if (!*hoisted)
            continue;
          alloc = *hoisted;
        }
        hoistFromKernel(func, alloc, calls[func.getName()]);
      }
      func.walk([](scf::IfOp branch) { inferBranches(branch); }); // inner ones first
    }
  }
};

} // namespace
