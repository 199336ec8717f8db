//===- BlocksToLinalg.cpp - Blocks and caches -------------------*- C++ -*-===//
//
// col2im, cache_write: each result element is computed from the places that it depends
// on, so that no two writes meet.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Indexing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

//===----------------------------------------------------------------------===//
// col2im
//===----------------------------------------------------------------------===//

/// Each image element sums the block elements that lie on it.
struct LowerCol2Im : Lowering<nn::Col2ImOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::Col2ImOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    using Predicate = nn::SizeMath::Predicate;
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t n = op.getStrides().size();
    Type element = getElementTypeOrSelf(adaptor.getInput()), wide = lower::getAccumulatorType(element);
    SmallVector<OpFoldResult> blocks, counts; // size of a block, number of blocks
    for (int64_t i = 0; i < n; ++i) {
      OpFoldResult block = m.element(op.getBlock(), i), stride = m.constant(op.getStrides()[i]);
      OpFoldResult extent = m.add(m.mul(m.sub(block, m.constant(1)), m.constant(op.getDilations()[i])), m.constant(1));
      OpFoldResult room = m.sub(m.add(sizes[2 + i], m.constant(op.getPads()[i] + op.getPads()[n + i])), extent);
      blocks.push_back(block);
      counts.push_back(m.div(m.max(m.add(room, stride), m.constant(0)), stride));
    }
    auto sumBlocks = [&](OpBuilder &b, Location l, ValueRange, ValueRange places) -> Value {
      Value zero = arith::ConstantOp::create(b, l, b.getZeroAttr(wide));
      Value sum = lower::createLoops(
                      b, l, blocks, zero,
                      [&](OpBuilder &inner, Location at, ValueRange within, ValueRange carried) -> SmallVector<Value> {
                        nn::SizeMath math(inner, at);
                        Value isThere = arith::ConstantIntOp::create(inner, at, 1, 1);
                        // Channel and position of the element in the blocks, row-major.
                        OpFoldResult channel = places[1], position = math.constant(0);
                        for (int64_t i = 0; i < n; ++i) {
                          OpFoldResult stride = math.constant(op.getStrides()[i]);
                          OpFoldResult shifted =
                              math.sub(math.add(places[2 + i], math.constant(op.getPads()[i])),
                                       math.mul(within[i], math.constant(op.getDilations()[i])));
                          OpFoldResult number = math.div(math.max(shifted, math.constant(0)), stride);
                          for (Value condition : {math.compare(Predicate::sge, shifted, math.constant(0)),
                                                  math.compare(Predicate::eq, math.mul(number, stride), shifted),
                                                  math.compare(Predicate::slt, number, counts[i])})
                            isThere = arith::AndIOp::create(inner, at, isThere, condition);
                          channel = math.add(math.mul(channel, blocks[i]), within[i]);
                          position = math.add(math.mul(position, counts[i]), number);
                        }
                        Value safe = math.value(math.constant(0));
                        Value column = arith::SelectOp::create(inner, at, isThere, math.value(position), safe);
                        Value row = arith::SelectOp::create(inner, at, isThere, math.value(channel), safe);
                        auto branch = scf::IfOp::create(
                            inner, at, isThere,
                            [&](OpBuilder &then, Location tl) {
                              Value value = tensor::ExtractOp::create(then, tl, adaptor.getInput(),
                                                                      ValueRange{places[0], row, column});
                              scf::YieldOp::create(then, tl, lower::widen(then, tl, value, wide));
                            },
                            [&](OpBuilder &otherwise, Location el) {
                              Value nothing = arith::ConstantOp::create(otherwise, el, otherwise.getZeroAttr(wide));
                              scf::YieldOp::create(otherwise, el, nothing);
                            });
                        return {lower::buildAdd(inner, at, carried[0], branch.getResult(0))};
                      })
                      .front();
      return lower::narrow(b, l, sum, element);
    };
    Value result = lower::createElements(rewriter, loc, {}, {}, sizes, element, sumBlocks);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, getTypeConverter()->convertType(op.getType())));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// cache_write
//===----------------------------------------------------------------------===//

/// Each element asks whether the update covers it.
struct LowerCacheWrite : Lowering<nn::CacheWriteOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::CacheWriteOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size(), axis = op.getAxis();
    Value room = m.value(sizes[axis]), length = m.value(m.dim(op.getUpdate(), axis));
    AffineMap batch = AffineMap::get(rank, 0, rewriter.getAffineDimExpr(0));
    Value limit = m.value(m.add(m.sub(sizes[axis], m.dim(op.getUpdate(), axis)), m.constant(1)));
    Value result = lower::createElements(
        rewriter, loc, {adaptor.getPositions(), adaptor.getCache()}, {batch, rewriter.getMultiDimIdentityMap(rank)},
        sizes, getElementTypeOrSelf(adaptor.getCache()),
        [&](OpBuilder &b, Location l, ValueRange inputs, ValueRange places) -> Value {
          nn::SizeMath math(b, l);
          Value position = arith::IndexCastOp::create(b, l, b.getIndexType(), inputs[0]);
          if (!op.getCircular() && !op.getInBounds())
            position = lower::clampPosition(b, l, position, limit);
          OpFoldResult distance = math.sub(places[axis], position);
          if (op.getCircular())
            distance = math.modulo(distance, room);
          Value isCovered = arith::AndIOp::create(
              b, l, math.compare(nn::SizeMath::Predicate::sge, distance, math.constant(0)),
              math.compare(nn::SizeMath::Predicate::slt, distance, length));
          auto branch = scf::IfOp::create(
              b, l, isCovered,
              [&](OpBuilder &then, Location tl) {
                SmallVector<Value> from(places);
                from[axis] = math.value(distance);
                Value value = tensor::ExtractOp::create(then, tl, adaptor.getUpdate(), from);
                scf::YieldOp::create(then, tl, value);
              },
              [&](OpBuilder &otherwise, Location el) { scf::YieldOp::create(otherwise, el, inputs[1]); });
          return branch.getResult(0);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void lower::populateBlocksToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerCol2Im, LowerCacheWrite>(converter, patterns.getContext());
}
