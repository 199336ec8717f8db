//===- OpTiler.h - Cut a structured op on memrefs into loops ------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_OPTILER_H
#define NACRE_COMPILER_TILE_OPTILER_H

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace nacre::tile {

/// Writes loops over tiles of an op on memrefs, and inside of them the op, or another one with
/// corresponding loops, on a tile.
class OpTiler {
protected:
  OpTiler(mlir::RewriterBase &b, mlir::linalg::GenericOp op)
      : b(b), loc(op.getLoc()), op(op), tiles(op.getNumLoops(), 0), ivs(op.getNumLoops()) {}

  /// To be called once, where the loops' bounds may be read.
  void findBounds() {
    for (mlir::Range range : mlir::cast<mlir::linalg::LinalgOp>(op.getOperation()).createLoopRanges(b, loc))
      bounds.push_back(range.size);
  }

  /// A loop over the tiles of `loop`; the builder stands in it then.
  mlir::scf::ForOp open(unsigned loop) {
    mlir::Value zero = mlir::arith::ConstantIndexOp::create(b, loc, 0);
    mlir::Value bound = getValueOrCreateConstantIndexOp(b, loc, bounds[loop]);
    auto body = mlir::scf::ForOp::create(b, loc, zero, bound, mlir::arith::ConstantIndexOp::create(b, loc, tiles[loop]));
    b.setInsertionPointToStart(body.getBody());
    ivs[loop] = body.getInductionVar();
    return body;
  }

  /// The operands of `other`, whose loops are `loops` of the op, in the current tile.
  llvm::SmallVector<mlir::Value> tile(mlir::linalg::GenericOp other, llvm::ArrayRef<unsigned> loops) {
    llvm::SmallVector<mlir::OpFoldResult> at, sizes, limits;
    for (unsigned loop : loops) {
      if (ivs[loop])
        at.push_back(ivs[loop]);
      sizes.push_back(b.getIndexAttr(ivs[loop] ? tiles[loop] : 0));
      limits.push_back(bounds[loop]);
    }
    return mlir::linalg::makeTiledShapes(b, loc, other, other->getOperands(), at, sizes, limits,
                                         /*omitPartialTileCheck=*/false);
  }

  mlir::linalg::GenericOp clone(mlir::linalg::GenericOp other, mlir::ValueRange operands) {
    return mlir::cast<mlir::linalg::GenericOp>(mlir::clone(b, other.getOperation(), mlir::TypeRange(), operands));
  }

  /// All loops of the op itself, in order.
  llvm::SmallVector<unsigned> ownLoops() { return llvm::to_vector(llvm::seq<unsigned>(0, op.getNumLoops())); }

  mlir::RewriterBase &b;
  mlir::Location loc;
  mlir::linalg::GenericOp op;
  /// The size of the tiles of each loop; 0: it is not cut.
  llvm::SmallVector<int64_t> tiles;
  llvm::SmallVector<mlir::OpFoldResult> bounds;
  /// Where each open loop stands.
  llvm::SmallVector<mlir::Value> ivs;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_OPTILER_H
