//===- ElementwiseToLinalg.cpp - All element-wise ops -----------*- C++ -*-===//
//
// Before: %y = nn.add %a, %b : (tensor<4x?xf32>, tensor<?xf32>) -> tensor<4x?xf32>
// After:  %y = linalg.generic {(i, j) -> (i, j), (i, j) -> (j), (i, j) -> (i, j)} { addf }
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Lowering.h"

using namespace mlir;
using namespace nacre;

namespace {

/// The map from the result's loops to an operand that broadcasts into it: its
/// dimensions are aligned at the right, and those of static size 1 are read at 0.
AffineMap getBroadcastMap(RankedTensorType operand, RankedTensorType result) {
  MLIRContext *context = result.getContext();
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < operand.getRank(); ++i) {
    int64_t loop = result.getRank() - operand.getRank() + i;
    bool stretched = operand.getDimSize(i) == 1 && result.getDimSize(loop) != 1;
    exprs.push_back(stretched ? getAffineConstantExpr(0, context) : getAffineDimExpr(loop, context));
  }
  return AffineMap::get(result.getRank(), 0, exprs, context);
}

struct LowerElementwise : OpInterfaceConversionPattern<nn::ElementwiseOpInterface> {
  using OpInterfaceConversionPattern::OpInterfaceConversionPattern;

  LogicalResult matchAndRewrite(nn::ElementwiseOpInterface op, ArrayRef<Value> operands,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertTypes(op->getResultTypes(), types)))
      return rewriter.notifyMatchFailure(op, "a result type has no storage type");
    auto result = cast<RankedTensorType>(types.front());

    SmallVector<AffineMap> maps;
    for (Value operand : operands)
      maps.push_back(getBroadcastMap(cast<RankedTensorType>(operand.getType()), result));
    maps.append(types.size(), rewriter.getMultiDimIdentityMap(result.getRank()));

    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    SmallVector<Value> inits;
    for (Type type : types)
      inits.push_back(lower::createEmpty(rewriter, loc, sizes, getElementTypeOrSelf(type)));

    SmallVector<utils::IteratorType> iterators(result.getRank(), utils::IteratorType::parallel);
    auto generic = linalg::GenericOp::create(
        rewriter, loc, types, operands, inits, maps, iterators,
        [&](OpBuilder &b, Location bodyLoc, ValueRange arguments) {
          SmallVector<Value> elements;
          for (auto [argument, operand] : llvm::zip(arguments, op->getOperands()))
            elements.push_back(
                lower::loadElement(b, bodyLoc, argument, getElementTypeOrSelf(operand)));
          SmallVector<Value> results = op.buildElements(b, bodyLoc, elements);
          for (auto [element, value] : llvm::zip(results, op->getResults()))
            element = lower::storeElement(b, bodyLoc, element, getElementTypeOrSelf(value));
          linalg::YieldOp::create(b, bodyLoc, results);
        });
    rewriter.replaceOp(op, generic.getResults());
    return success();
  }
};

} // namespace

void lower::populateElementwiseToLinalgPatterns(const TypeConverter &converter,
                                                RewritePatternSet &patterns) {
  patterns.add<LowerElementwise>(converter, patterns.getContext());
}
