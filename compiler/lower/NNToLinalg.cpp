//===- NNToLinalg.cpp - Lower nn to linalg ----------------------*- C++ -*-===//
//
// Before: %0 = nn.add %a, %b : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
// After:  %0 = linalg.generic {addi} ins(%a, %b : tensor<4xi8>, tensor<4xi8>) ...
//
// The patterns stand in <Theme>ToLinalg.cpp.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Lowering.h"
#include "compiler/lower/Passes.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "mlir/IR/DialectResourceBlobManager.h"

namespace nacre::lower {
#define GEN_PASS_DEF_NNTOLINALGPASS
#include "compiler/lower/Passes.h.inc"
} // namespace nacre::lower

using namespace mlir;
using namespace nacre;

namespace {

/// Ops that only carry tensors (calls, returns, tensor.empty, views): the same op on
/// converted types.
struct ConvertCarrier : ConversionPattern {
  ConvertCarrier(const TypeConverter &converter, MLIRContext *context)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                                ConversionPatternRewriter &rewriter) const override {
    if ((isa<nn::NNDialect>(op->getDialect()) &&
         !isa<nn::GetParameterOp, nn::SetParameterOp, nn::StringConstantOp>(op)) ||
        op->getNumRegions() != 0)
      return rewriter.notifyMatchFailure(op, "not a carrier");
    FailureOr<Operation *> converted = convertOpResultTypes(op, operands, *getTypeConverter(), rewriter);
    if (failed(converted))
      return failure();
    rewriter.replaceOp(op, (*converted)->getResults());
    return success();
  }
};

/// Scalars keep their types: booleans are i1 outside of tensors.
struct ConvertExtract : OpConversionPattern<tensor::ExtractOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::ExtractOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Value stored = tensor::ExtractOp::create(rewriter, op.getLoc(), adaptor.getTensor(),
                                             adaptor.getIndices());
    rewriter.replaceOp(op, lower::loadElement(rewriter, op.getLoc(), stored, op.getType()));
    return success();
  }
};

struct ConvertFromElements : OpConversionPattern<tensor::FromElementsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::FromElementsOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<Value> stored;
    for (Value element : adaptor.getElements())
      stored.push_back(
          lower::storeElement(rewriter, op.getLoc(), element, op.getType().getElementType()));
    rewriter.replaceOpWithNewOp<tensor::FromElementsOp>(
        op, getTypeConverter()->convertType(op.getType()), stored);
    return success();
  }
};

/// A parameter's value as it lies in memory. A resource has the same bytes.
ElementsAttr getStored(ElementsAttr value, const TypeConverter &converter) {
  auto type = cast<RankedTensorType>(value.getShapedType());
  auto stored = cast<RankedTensorType>(converter.convertType(type));
  if (type == stored)
    return value;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return DenseResourceElementsAttr::get(stored, resource.getRawHandle());
  return nn::getStored(cast<DenseElementsAttr>(value));
}

struct NNToLinalgPass : lower::impl::NNToLinalgPassBase<NNToLinalgPass> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    lower::StorageTypeConverter converter;
    getOperation()->walk([&](nn::ParameterOp op) { op.setValueAttr(getStored(op.getValue(), converter)); });
    RewritePatternSet patterns(context);
    lower::populateConstantToArithPatterns(converter, patterns);
    lower::populateConvToLinalgPatterns(converter, patterns);
    lower::populateElementwiseToLinalgPatterns(converter, patterns);
    lower::populateLinearToLinalgPatterns(converter, patterns);
    lower::populateNormalizeToLinalgPatterns(converter, patterns);
    lower::populatePoolToLinalgPatterns(converter, patterns);
    lower::populateScatterTapsToLinalgPatterns(converter, patterns);
    lower::populateHostToRtPatterns(converter, patterns);
    lower::populateIndexingToLinalgPatterns(converter, patterns);
    lower::populateGenerateToLinalgPatterns(converter, patterns);
    lower::populateSortToLinalgPatterns(converter, patterns);
    lower::populateResampleToLinalgPatterns(converter, patterns);
    lower::populateRegionsToLinalgPatterns(converter, patterns);
    lower::populatePooledRegionsToLinalgPatterns(converter, patterns);
    lower::populateBlocksToLinalgPatterns(converter, patterns);
    lower::populatePartsToLinalgPatterns(converter, patterns);
    lower::populateReduceToLinalgPatterns(converter, patterns);
    lower::populateRecurrentToLinalgPatterns(converter, patterns);
    lower::populateShapeToLinalgPatterns(converter, patterns);
    lower::populateTreesToLinalgPatterns(converter, patterns);
    lower::populateTrainToLinalgPatterns(converter, patterns);
    lower::populateRandomToLinalgPatterns(converter, patterns);
    lower::populateViewsToLinalgPatterns(converter, patterns);
    patterns.add<ConvertCarrier>(converter, context);
    patterns.add<ConvertExtract, ConvertFromElements>(converter, context, /*benefit=*/2);
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns, converter);
    populateFunctionOpInterfaceTypeConversionPattern<kern::FuncOp>(patterns, converter);

    ConversionTarget target(*context);
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
    target.addIllegalDialect<nn::NNDialect>();
    target.addLegalOp<nn::ParameterOp>();
    target.addLegalDialect<linalg::LinalgDialect>();
    target.addDynamicallyLegalOp<func::FuncOp, kern::FuncOp>([&](Operation *func) {
      auto op = cast<FunctionOpInterface>(func);
      return converter.isLegal(op.getArgumentTypes()) && converter.isLegal(op.getResultTypes()) &&
             converter.isLegal(&op.getFunctionBody());
    });
    target.addDynamicallyLegalOp<nn::GetParameterOp, nn::SetParameterOp, nn::StringConstantOp>(
        [&](Operation *op) { return converter.isLegal(op); });
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      return isa<linalg::LinalgOp>(op) || isa_and_present<linalg::LinalgOp>(op->getParentOp()) ||
             converter.isLegal(op);
    });
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
