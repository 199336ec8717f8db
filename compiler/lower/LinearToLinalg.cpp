//===- LinearToLinalg.cpp - Contractions and convolutions -------*- C++ -*-===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// nn.matmul → one linalg.generic over (batch..., m, n, k), whose maps absorb
/// transposition and broadcasting of the batch.
struct LowerMatMul : Lowering<nn::MatMulOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::MatMulOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(getTypeConverter()->convertType(op.getType()));
    int64_t rank = type.getRank(), loops = rank + 1;
    MLIRContext *context = rewriter.getContext();
    AffineExpr m = getAffineDimExpr(rank - 2, context), n = getAffineDimExpr(rank - 1, context),
               k = getAffineDimExpr(rank, context);

    auto operandMap = [&](Value operand, AffineExpr row, AffineExpr column, bool transposed) {
      auto operandType = cast<RankedTensorType>(operand.getType());
      SmallVector<AffineExpr> exprs;
      for (int64_t i = 0, batch = operandType.getRank() - 2; i < batch; ++i) {
        int64_t loop = rank - 2 - batch + i;
        bool stretched = operandType.getDimSize(i) == 1 && type.getDimSize(loop) != 1;
        exprs.push_back(stretched ? getAffineConstantExpr(0, context)
                                  : getAffineDimExpr(loop, context));
      }
      exprs.append({transposed ? column : row, transposed ? row : column});
      return AffineMap::get(loops, 0, exprs, context);
    };
    AffineMap lhs = operandMap(adaptor.getLhs(), m, k, op.getTransposeLhs());
    AffineMap rhs = operandMap(adaptor.getRhs(), k, n, op.getTransposeRhs());
    AffineMap out = AffineMap::getMultiDimIdentityMap(loops, context).dropResult(rank);

    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    iterators.push_back(utils::IteratorType::reduction);

    Type element = type.getElementType(), accumulator = lower::getAccumulatorType(element);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(accumulator));
    Value init = lower::createFilled(rewriter, loc, sizes, zero);
    Value product = linalg::GenericOp::create(rewriter, loc, init.getType(),
                                              ValueRange{adaptor.getLhs(), adaptor.getRhs()}, init,
                                              ArrayRef<AffineMap>{lhs, rhs, out}, iterators,
                                              lower::multiplyAdd(op.getLhs().getType().getElementType(),
                                                                 op.getRhs().getType().getElementType()))
                        .getResult(0);
    product = lower::narrowTensor(rewriter, loc, product, element);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, product, type));
    return success();
  }
};

/// nn.contract → one linalg.generic with the same loops.
struct LowerContract : Lowering<nn::ContractOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ContractOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(getTypeConverter()->convertType(op.getType()));
    auto maps = llvm::to_vector(op.getIndexingMaps().getAsValueRange<AffineMapAttr>());
    SmallVector<utils::IteratorType> iterators(maps.back().getNumDims(),
                                               utils::IteratorType::reduction);
    for (AffineExpr expr : maps.back().getResults())
      iterators[cast<AffineDimExpr>(expr).getPosition()] = utils::IteratorType::parallel;
    bool sums = llvm::is_contained(iterators, utils::IteratorType::reduction);

    Type element = type.getElementType(), accumulator = lower::getAccumulatorType(element);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Value init = lower::createEmpty(rewriter, loc, sizes, sums ? accumulator : element);
    if (sums) {
      Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(accumulator));
      init = linalg::FillOp::create(rewriter, loc, zero, init).getResult(0);
    }
    Value result =
        linalg::GenericOp::create(
            rewriter, loc, init.getType(), adaptor.getInputs(), init, maps, iterators,
            [&](OpBuilder &b, Location loc, ValueRange e) {
              // The first operand last: its rows share the product of the others.
              Value product;
              for (auto [factor, input] : llvm::reverse(llvm::zip(e.drop_back(), op.getInputs()))) {
                bool isUnsigned = getElementTypeOrSelf(input).isUnsignedInteger();
                Value wide = lower::widen(b, loc, factor, accumulator, isUnsigned);
                product = product ? lower::buildMul(b, loc, product, wide) : wide;
              }
              linalg::YieldOp::create(b, loc,
                                      sums ? lower::buildAdd(b, loc, e.back(), product)
                                           : lower::narrow(b, loc, product, element));
            })
            .getResult(0);
    result = lower::narrowTensor(rewriter, loc, result, element);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, type));
    return success();
  }
};

} // namespace

void lower::populateLinearToLinalgPatterns(const TypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<LowerMatMul, LowerContract>(converter, patterns.getContext());
}
