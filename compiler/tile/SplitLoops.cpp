//===- SplitLoops.cpp - Threads share the rows of a loop --------*- C++ -*-===//
//
// Before: %h, %y = scf.for %t (%h' = %h0, %y' = %d1) {
//           %s = matmul(%h', %w);  %n = tanh(%s);  yield %n, (insert %n into %y'[%t, 0, 0]) }
//         kern.return %h, %y
// After:  scf.forall (%r) = 0 to 32 step 16 shared_outs(%o0 = %d0, %o1 = %d1) {
//           the same loop on rows [%r, %r + 16) of %h0 and of %o1[%t], with all of %w
//           parallel_insert its results into %o0[%r, 0] and %o1[0, %r, 0] }
//
// Iterations of such a loop depend on each other, but rows (a batch's sequences) do not: each
// thread runs the whole loop for some, without waiting for others in between.
//
// Precondition: structured ops on tensors. Postcondition: a kernel that is a loop of known
// sizes, in which rows are computed apart and which has much to do, stands in an scf.forall.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "compiler/tile/RowTracer.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::tile {
#define GEN_PASS_DEF_SPLITLOOPSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;
using tile::RowTracer;

namespace {

/// Writes a kernel's ops again for some of the rows.
class RowCloner {
public:
  RowCloner(OpBuilder &b, const RowTracer &rows, Value offset, int64_t count)
      : b(b), rows(rows), offset(offset), count(count) {}

  IRMapping mapping;

  RankedTensorType getType(Value value) const {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    if (auto dim = rows.getDim(value))
      shape[*dim] = count;
    return type.clone(shape);
  }

  /// Where some rows of a whole value are.
  void getSlice(Value value, SmallVectorImpl<OpFoldResult> &offsets, SmallVectorImpl<OpFoldResult> &sizes,
                SmallVectorImpl<OpFoldResult> &strides) const {
    auto type = cast<RankedTensorType>(value.getType());
    offsets.assign(type.getRank(), b.getIndexAttr(0));
    strides.assign(type.getRank(), b.getIndexAttr(1));
    for (int64_t size : type.getShape())
      sizes.push_back(b.getIndexAttr(size));
    unsigned dim = *rows.getDim(value);
    offsets[dim] = offset;
    sizes[dim] = b.getIndexAttr(count);
  }

  Value extract(Value value, Value from) {
    SmallVector<OpFoldResult> offsets, sizes, strides;
    getSlice(value, offsets, sizes, strides);
    return tensor::ExtractSliceOp::create(b, value.getLoc(), from, offsets, sizes, strides);
  }

  void clone(Operation &op) {
    if (auto loop = dyn_cast<scf::ForOp>(op))
      cloneLoop(loop);
    else
      cloneOp(op);
  }

private:
  void cloneLoop(scf::ForOp loop) {
    auto look = [&](Value value) { return mapping.lookupOrDefault(value); };
    SmallVector<Value> inits = llvm::map_to_vector(loop.getInitArgs(), look);
    auto made = scf::ForOp::create(b, loop.getLoc(), look(loop.getLowerBound()), look(loop.getUpperBound()),
                                   look(loop.getStep()), inits);
    mapping.map(loop.getBody()->getArguments(), made.getBody()->getArguments());
    mapping.map(loop.getResults(), made.getResults());
    OpBuilder::InsertionGuard guard(b);
    if (made.getBody()->mightHaveTerminator())
      made.getBody()->getTerminator()->erase();
    b.setInsertionPointToEnd(made.getBody());
    for (Operation &op : loop.getBody()->without_terminator())
      clone(op);
    auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
    scf::YieldOp::create(b, loop.getLoc(), llvm::map_to_vector(yield.getOperands(), look));
  }

  void cloneOp(Operation &op) {
    auto hasRows = [&](Value value) { return isa<RankedTensorType>(value.getType()) && rows.getDim(value); };
    if (llvm::none_of(op.getOperands(), hasRows) && llvm::none_of(op.getResults(), hasRows)) {
      b.clone(op, mapping);
      return;
    }
    auto look = [&](Value value) { return mapping.lookupOrDefault(value); };
    auto cutSizes = [&](OffsetSizeAndStrideOpInterface slice, Value whole) {
      SmallVector<OpFoldResult> sizes = slice.getMixedSizes();
      sizes[*rows.getDim(whole)] = b.getIndexAttr(count);
      return sizes;
    };
    auto mapAll = [&](ArrayRef<OpFoldResult> values) {
      return llvm::map_to_vector(values, [&](OpFoldResult value) -> OpFoldResult {
        auto dynamic = dyn_cast<Value>(value);
        return dynamic ? OpFoldResult(look(dynamic)) : value;
      });
    };
    Location loc = op.getLoc();
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      mapping.map(slice.getResult(), tensor::ExtractSliceOp::create(b, loc, getType(slice), look(slice.getSource()),
                                                                    mapAll(slice.getMixedOffsets()), cutSizes(slice, slice.getSource()),
                                                                    slice.getMixedStrides())
                                         .getResult());
    } else if (auto slice = dyn_cast<tensor::InsertSliceOp>(op)) {
      mapping.map(slice.getResult(), tensor::InsertSliceOp::create(b, loc, look(slice.getSource()), look(slice.getDest()),
                                                                   mapAll(slice.getMixedOffsets()), cutSizes(slice, slice.getDest()),
                                                                   slice.getMixedStrides())
                                         .getResult());
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      mapping.map(expand.getResult(), tensor::ExpandShapeOp::create(b, loc, getType(expand), look(expand.getSrc()),
                                                                    expand.getReassociationIndices())
                                          .getResult());
    } else {
      Operation *made = b.clone(op, mapping);
      for (auto [old, result] : llvm::zip_equal(op.getResults(), made->getResults()))
        result.setType(getType(old));
      if (auto structured = dyn_cast<linalg::LinalgOp>(made))
        moveIndices(structured, *rows.getLoop(cast<linalg::LinalgOp>(op)));
    }
  }

  /// A body asks for the number of the row in the whole tensor.
  void moveIndices(linalg::LinalgOp op, unsigned loop) {
    SmallVector<linalg::IndexOp> indices;
    op->walk([&](linalg::IndexOp index) {
      if (index.getDim() == loop)
        indices.push_back(index);
    });
    for (linalg::IndexOp index : indices) {
      OpBuilder inner(index->getContext());
      inner.setInsertionPointAfter(index);
      Value moved = arith::AddIOp::create(inner, index.getLoc(), index, offset);
      index.getResult().replaceAllUsesExcept(moved, moved.getDefiningOp());
    }
  }

  OpBuilder &b;
  const RowTracer &rows;
  Value offset;
  int64_t count;
};

struct SplitLoopsPass : tile::impl::SplitLoopsPassBase<SplitLoopsPass> {
  using Base::Base;

  void runOnOperation() override {
    kern::FuncOp func = getOperation();
    Block &body = func.getBody().front();
    scf::ForOp loop;
    for (Operation &op : body.without_terminator())
      if (auto found = dyn_cast<scf::ForOp>(op)) {
        if (loop)
          return;
        loop = found;
      }
    if (!loop || countWork(loop) < kLeastWork || countBytes(loop) > l2Bytes)
      return;
    for (Value state : loop.getRegionIterArgs()) {
      RowTracer rows;
      if (!isa<RankedTensorType>(state.getType()) || !rows.run(state))
        continue;
      bool isComplete = llvm::all_of(body.getTerminator()->getOperands(),
                                     [&](Value result) { return rows.getDim(result).has_value(); });
      int64_t count = chooseRows(rows.getRows());
      if (isComplete && count < rows.getRows())
        return split(func, rows, count);
    }
  }

private:
  static constexpr int64_t kLeastWork = 1 << 18, kFewestRows = 8, kGoodRows = 16;

  /// Iterations of all structured ops, over the whole loop.
  static int64_t countWork(scf::ForOp loop) {
    int64_t work = 0;
    loop.walk([&](linalg::LinalgOp op) {
      int64_t iterations = 1;
      for (int64_t size : op.getStaticLoopRanges())
        iterations *= ShapedType::isDynamic(size) ? 1 : size;
      work += iterations;
    });
    std::optional<APInt> count = loop.getStaticTripCount();
    return count ? work * count->getSExtValue() : work;
  }

  /// Bytes that every iteration reads again.
  static int64_t countBytes(scf::ForOp loop) {
    llvm::SmallSetVector<Value, 4> read;
    loop.walk([&](linalg::LinalgOp op) {
      for (OpOperand *operand : op.getDpsInputOperands())
        if (loop.isDefinedOutsideOfLoop(operand->get()))
          read.insert(operand->get());
    });
    int64_t bytes = 0;
    for (Value value : read)
      if (auto type = dyn_cast<RankedTensorType>(value.getType()); type && type.hasStaticShape())
        bytes += type.getNumElements() * int64_t(DataLayout().getTypeSize(type.getElementType()));
    return bytes;
  }

  /// The least divisor of the rows that shares what is read for all rows among enough of them.
  static int64_t chooseRows(int64_t rows) {
    for (int64_t count = rows >= 2 * kGoodRows ? kGoodRows : kFewestRows; count < rows; ++count)
      if (rows % count == 0)
        return count;
    return rows;
  }

  static void split(kern::FuncOp func, const RowTracer &rows, int64_t count) {
    Block &body = func.getBody().front();
    Operation *terminator = body.getTerminator();
    OpBuilder b(terminator);
    Location loc = func.getLoc();
    SmallVector<Value> destinations(func.getDestinations().begin(), func.getDestinations().end());
    auto forall = scf::ForallOp::create(b, loc, ArrayRef<OpFoldResult>{b.getIndexAttr(0)},
                                        ArrayRef<OpFoldResult>{b.getIndexAttr(rows.getRows())},
                                        ArrayRef<OpFoldResult>{b.getIndexAttr(count)}, destinations, std::nullopt);
    SmallVector<Operation *> old;
    for (Operation &op : body.without_terminator())
      if (&op != forall)
        old.push_back(&op);
    b.setInsertionPoint(forall.getTerminator());
    RowCloner cloner(b, rows, forall.getInductionVar(0), count);
    for (BlockArgument argument : body.getArguments())
      if (isa<RankedTensorType>(argument.getType()) && rows.getDim(argument) && !llvm::is_contained(destinations, argument))
        cloner.mapping.map(argument, cloner.extract(argument, argument));
    for (auto [destination, shared, result] :
         llvm::zip_equal(destinations, forall.getRegionIterArgs(), terminator->getOperands()))
      if (rows.getDim(destination))
        cloner.mapping.map(destination, cloner.extract(destination, shared));
    for (Operation *op : old)
      cloner.clone(*op);
    b.setInsertionPointToEnd(forall.getTerminator().getBody());
    for (auto [result, shared] : llvm::zip_equal(terminator->getOperands(), forall.getRegionIterArgs())) {
      SmallVector<OpFoldResult> offsets, sizes, strides;
      cloner.getSlice(result, offsets, sizes, strides);
      tensor::ParallelInsertSliceOp::create(b, loc, cloner.mapping.lookup(result), shared, offsets, sizes, strides);
    }
    terminator->setOperands(forall.getResults());
    for (Operation *op : llvm::reverse(old))
      if (isOpTriviallyDead(op) || isa<scf::ForOp>(op))
        op->erase();
  }
};

} // namespace
