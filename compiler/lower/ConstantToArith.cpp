//===- ConstantToArith.cpp - nn.constant ------------------------*- C++ -*-===//
//
// Before: %0 = nn.constant dense<[true, false]> : tensor<2xi1>
// After:  %0 = arith.constant dense<[1, 0]> : tensor<2xi8>
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Lowering.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre;

namespace {

struct LowerConstant : lower::Lowering<nn::ConstantOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ConstantOp op, Adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(getTypeConverter()->convertType(op.getType()));
    ElementsAttr value = op.getValue();
    if (type != value.getShapedType()) {
      auto dense = dyn_cast<DenseElementsAttr>(value);
      if (!dense)
        return rewriter.notifyMatchFailure(op, "only dense values change their element type");
      value = nn::getStored(dense);
    }
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op, type, cast<TypedAttr>(value));
    return success();
  }
};

} // namespace

void lower::populateConstantToArithPatterns(const TypeConverter &converter,
                                            RewritePatternSet &patterns) {
  patterns.add<LowerConstant>(converter, patterns.getContext());
}
