//===- LoadsToOperands.cpp - Loads in bodies as operands --------*- C++ -*-===//
//
// Before: linalg.generic outs(%y) {
//           %i = linalg.index 0
//           %j = arith.subi %c2, %i
//           %v = memref.load %x[%first, %j] }
// After:  %part = memref.subview %x[%first, 0] [1, 3] [1, 1]
//         linalg.generic ins(%part: (i) -> (0, 2 - i)) outs(%y)
//
// Slices with steps are such loads, as no view goes backwards. What is an operand is read in vectors. Only
// after tiling: tiles of an operand that is read backwards would be taken from the wrong end.
//
// Precondition: a kernel on memrefs, tiled. Postcondition: of loads from memory that an op does not
// write, those whose indices are sums over its loops of static sizes are operands.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"

namespace nacre::tile {
#define GEN_PASS_DEF_LOADSTOOPERANDSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;

namespace {

/// Indices of a load as affine expressions of the op's loops and of values from outside of it.
class IndexReader {
public:
  explicit IndexReader(linalg::GenericOp op) : op(op), context(op.getContext()) {}

  /// Null if the index is something else.
  AffineExpr read(Value value) {
    if (op->isProperAncestor(value.getParentRegion()->getParentOp()) || value.getParentRegion() == &op.getRegion())
      return readInside(value);
    if (std::optional<int64_t> constant = getConstantIntValue(value))
      return getAffineConstantExpr(*constant, context);
    outside.insert(value);
    return getAffineSymbolExpr(std::distance(outside.begin(), llvm::find(outside, value)), context);
  }

  ArrayRef<Value> getOutside() const { return outside.getArrayRef(); }

private:
  AffineExpr readInside(Value value) {
    Operation *from = value.getDefiningOp();
    if (auto index = dyn_cast_or_null<linalg::IndexOp>(from))
      return getAffineDimExpr(index.getDim(), context);
    if (std::optional<int64_t> constant = getConstantIntValue(value))
      return getAffineConstantExpr(*constant, context);
    if (auto apply = dyn_cast_or_null<affine::AffineApplyOp>(from)) {
      SmallVector<AffineExpr> operands;
      for (Value operand : apply.getOperands())
        if (!operands.emplace_back(read(operand)))
          return nullptr;
      unsigned dims = apply.getAffineMap().getNumDims();
      return apply.getAffineMap().getResult(0).replaceDimsAndSymbols(ArrayRef(operands).take_front(dims),
                                                                    ArrayRef(operands).drop_front(dims));
    }
    if (!isa_and_present<arith::AddIOp, arith::SubIOp, arith::MulIOp>(from))
      return nullptr;
    AffineExpr left = read(from->getOperand(0)), right = left ? read(from->getOperand(1)) : nullptr;
    if (!right)
      return nullptr;
    if (isa<arith::AddIOp>(from))
      return left + right;
    if (isa<arith::SubIOp>(from))
      return left - right;
    return isa<AffineConstantExpr>(left) || isa<AffineConstantExpr>(right) ? left * right : nullptr;
  }

  linalg::GenericOp op;
  MLIRContext *context;
  SetVector<Value> outside;
};

/// A view and its map, as the operand that a load becomes.
struct Operand {
  memref::LoadOp load;
  Value view;
  AffineMap map;
};

std::optional<Operand> makeOperand(OpBuilder &b, linalg::GenericOp op, memref::LoadOp load) {
  if (op->isAncestor(load.getMemRef().getParentRegion()->getParentOp()) ||
      llvm::any_of(op.getDpsInits(), [&](Value init) {
        return memref::skipViewLikeOps(cast<MemrefValue>(init)) == memref::skipViewLikeOps(cast<MemrefValue>(load.getMemRef()));
      }))
    return std::nullopt;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  IndexReader reader(op);
  SmallVector<AffineExpr> indices;
  for (Value index : load.getIndices())
    if (!indices.emplace_back(reader.read(index)))
      return std::nullopt;
  // Each index is a sum over loops, from 0 on, and where that begins.
  unsigned symbols = reader.getOutside().size();
  SmallVector<AffineExpr> exprs, begins;
  SmallVector<OpFoldResult> sizes;
  for (AffineExpr index : indices) {
    SmallVector<int64_t> factors; // of loops and values from outside; then the constant
    if (failed(getFlattenedAffineExpr(index, ranges.size(), symbols, &factors)) ||
        factors.size() != ranges.size() + symbols + 1)
      return std::nullopt;
    AffineExpr expr = b.getAffineConstantExpr(0), begin = b.getAffineConstantExpr(factors.back());
    int64_t extent = 1;
    for (auto [loop, range] : llvm::enumerate(ranges)) {
      int64_t factor = factors[loop];
      if (factor == 0)
        continue;
      if (ShapedType::isDynamic(range) || range < 1)
        return std::nullopt;
      int64_t reach = (range - 1) * std::abs(factor);
      expr = expr + b.getAffineDimExpr(loop) * factor + (factor < 0 ? reach : 0);
      begin = begin - (factor < 0 ? reach : 0);
      extent += reach;
    }
    for (unsigned symbol = 0; symbol < symbols; ++symbol)
      begin = begin + b.getAffineSymbolExpr(symbol) * factors[ranges.size() + symbol];
    exprs.push_back(expr);
    begins.push_back(begin);
    sizes.push_back(b.getIndexAttr(extent));
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  SmallVector<OpFoldResult> values = llvm::to_vector_of<OpFoldResult>(reader.getOutside()), offsets;
  for (AffineExpr begin : begins)
    offsets.push_back(affine::makeComposedFoldedAffineApply(b, load.getLoc(), AffineMap::get(0, symbols, begin), values));
  SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
  Value view = memref::SubViewOp::create(b, load.getLoc(), load.getMemRef(), offsets, sizes, ones);
  return Operand{load, view, AffineMap::get(ranges.size(), 0, exprs, b.getContext())};
}

void addOperands(OpBuilder &b, linalg::GenericOp op, ArrayRef<Operand> operands) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (Operand operand : operands) {
    unsigned at = op.getNumDpsInputs();
    op.getInputsMutable().append(operand.view);
    maps.insert(maps.begin() + at, operand.map);
    BlockArgument argument = op.getBody()->insertArgument(at, operand.load.getType(), operand.load.getLoc());
    operand.load.getResult().replaceAllUsesWith(argument);
    operand.load->erase();
  }
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  // A loop whose number a body reads is merged with no other.
  for (Operation &unused : llvm::make_early_inc_range(llvm::reverse(*op.getBody())))
    if (isOpTriviallyDead(&unused))
      unused.erase();
}

struct LoadsToOperandsPass : nacre::tile::impl::LoadsToOperandsPassBase<LoadsToOperandsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<linalg::GenericOp> ops;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    OpBuilder b(&getContext());
    for (linalg::GenericOp op : ops) {
      SmallVector<Operand> operands;
      for (memref::LoadOp load : op.getBody()->getOps<memref::LoadOp>())
        if (std::optional<Operand> operand = makeOperand(b, op, load))
          operands.push_back(*operand);
      if (!operands.empty())
        addOperands(b, op, operands);
    }
  }
};

} // namespace
