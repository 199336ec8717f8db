//===- HostToRt.cpp - What the host library computes ------------*- C++ -*-===//
//
// Before: %y = nn.string_concat %a, %b : (tensor<?x!nn.string>, …) -> tensor<?x!nn.string>
// After:  %d = tensor.empty(%n) : tensor<?xi64>
//         %y = rt.host_call "nacre_host_string_concat" … ins(%a, %b) outs(%d) -> tensor<?xi64>
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Lowering.h"
#include "dialects/rt/RtOps.h"

using namespace mlir;
using namespace nacre;

namespace {

struct LowerHostOp : OpInterfaceConversionPattern<nn::HostOpInterface> {
  using OpInterfaceConversionPattern::OpInterfaceConversionPattern;

  LogicalResult matchAndRewrite(nn::HostOpInterface op, ArrayRef<Value> operands,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<Type> types, elements;
    if (failed(getTypeConverter()->convertTypes(op->getResultTypes(), types)))
      return rewriter.notifyMatchFailure(op, "a result type has no storage type");
    for (Value value : llvm::concat<Value>(op->getOperands(), op->getResults()))
      elements.push_back(getElementTypeOrSelf(value));
    SmallVector<Value> destinations;
    for (auto [i, type] : llvm::enumerate(types))
      destinations.push_back(lower::createEmpty(rewriter, loc, lower::resultSizes(rewriter, op, i),
                                                getElementTypeOrSelf(type)));
    SmallVector<Type> made(ValueRange(destinations).getTypes());
    auto call = rt::HostCallOp::create(rewriter, loc, made, op.getHostFunction(), rt::nodeMessage(loc, ""),
                                       op.getHostNumbers(), rewriter.getTypeArrayAttr(elements), operands,
                                       destinations);
    SmallVector<Value> results;
    for (auto [result, type] : llvm::zip_equal(call.getResults(), types))
      results.push_back(lower::castTo(rewriter, loc, result, type));
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void lower::populateHostToRtPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerHostOp>(converter, patterns.getContext());
}
