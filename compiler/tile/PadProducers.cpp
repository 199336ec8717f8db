//===- PadProducers.cpp - Compute into the middle of padded memory -*- C++ -*-===//
//
// Before: %x = kern.call @a ... outs(%d : tensor<56x8xf32>)    @a: kern.return %r
//         %y = kern.call @b ins(%x)                            @b: %p = tensor.pad %arg0 ...
// After:  %x = kern.call @a ... outs(%d : tensor<58x8xf32>)
//         %y = kern.call @b ins(%x)                            @b: %arg0 is padded already
//         @a: %b = the padding, filled in %d
//             %i = tensor.insert_slice %r into %b
//             kern.return %i
//
// A kernel that pads its input moves all of it once more; its producer can as well
// leave room for the padding, of which only the border has to be filled.
//
// Precondition: kernels of structured ops on tensors, each with one call.
// Postcondition: the same values; no kernel pads by constants what another one of one
// root op computes for it alone, where the sizes that are padded are static.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_PADPRODUCERSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// A value that one kernel computes and another one pads.
struct PaddedValue {
  kern::CallOp producerCall, consumerCall;
  kern::FuncOp producer, consumer;
  tensor::PadOp pad;
};

std::optional<PaddedValue> findPadding(kern::CallOp call, SymbolTable &symbols) {
  if (call->getNumResults() != 1 || !call.getResult(0).hasOneUse())
    return std::nullopt;
  OpOperand &use = *call.getResult(0).getUses().begin();
  auto user = dyn_cast<kern::CallOp>(use.getOwner());
  auto empty = call.getOuts().front().getDefiningOp<tensor::EmptyOp>();
  if (!user || use.getOperandNumber() >= user.getInputs().size() || !empty)
    return std::nullopt;
  PaddedValue value = {call, user, symbols.lookup<kern::FuncOp>(call.getCallee()),
                       symbols.lookup<kern::FuncOp>(user.getCallee()), nullptr};
  BlockArgument argument = value.consumer.getArgument(use.getOperandNumber());
  if (value.producer == value.consumer || !tile::getRootOp(value.producer) ||
      argument.getType() != call.getResult(0).getType())
    return std::nullopt;
  // Open sizes, which are not padded, may be asked for.
  auto asksSize = [](Operation *reader) { return isa<tensor::DimOp>(reader); };
  if (!llvm::all_of(value.producer.getDestinations().front().getUsers(), asksSize))
    return std::nullopt;
  for (Operation *reader : argument.getUsers()) {
    if (asksSize(reader))
      continue;
    if (value.pad || !isa<tensor::PadOp>(reader))
      return std::nullopt;
    value.pad = cast<tensor::PadOp>(reader);
  }
  if (!value.pad || !value.pad.getConstantPaddingValue())
    return std::nullopt;
  // Padding that outweighs what is padded is better filled where it is used.
  constexpr double kMost = 2;
  double growth = 1;
  for (auto [size, inner, low, high] : llvm::zip_equal(value.pad.getType().getShape(), value.pad.getSourceType().getShape(),
                                                       value.pad.getStaticLow(), value.pad.getStaticHigh())) {
    if (low == 0 && high == 0)
      continue;
    if (ShapedType::isDynamic(size) || ShapedType::isDynamic(inner) || ShapedType::isDynamic(low) || inner == 0)
      return std::nullopt;
    growth *= double(size) / double(inner);
  }
  return growth <= kMost ? std::optional(value) : std::nullopt;
}

/// Fills the border of `target`, which has these sizes, side after side.
Value fillBorder(OpBuilder &b, Location loc, Value target, ArrayRef<OpFoldResult> all, RankedTensorType inner,
                 ArrayRef<int64_t> low, Value padding) {
  auto type = cast<RankedTensorType>(target.getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> ones(rank, b.getIndexAttr(1));
  for (int64_t dim = 0; dim < rank; ++dim) {
    if (type.isDynamicDim(dim)) // not padded
      continue;
    int64_t end = low[dim] + inner.getDimSize(dim);
    for (auto [from, to] : {std::pair(int64_t(0), low[dim]), std::pair(end, type.getDimSize(dim))}) {
      if (from == to)
        continue;
      SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)), sizes(all);
      offsets[dim] = b.getIndexAttr(from);
      sizes[dim] = b.getIndexAttr(to - from);
      Value side = tensor::ExtractSliceOp::create(b, loc, target, offsets, sizes, ones);
      side = linalg::FillOp::create(b, loc, padding, side).getResult(0);
      target = tensor::InsertSliceOp::create(b, loc, side, target, offsets, sizes, ones);
    }
  }
  return target;
}

void setType(kern::FuncOp func, BlockArgument argument, Type type, TypeRange results) {
  argument.setType(type);
  func.setFunctionType(
      FunctionType::get(func.getContext(), func.getBody().front().getArgumentTypes(), results));
}

void padProducer(const PaddedValue &value) {
  tensor::PadOp pad = value.pad;
  RankedTensorType type = pad.getType(), inner = pad.getSourceType();
  kern::FuncOp producer = value.producer, consumer = value.consumer;
  kern::CallOp call = value.producerCall;
  SmallVector<int64_t> low(pad.getStaticLow());
  Attribute constant;
  matchPattern(pad.getConstantPaddingValue(), m_Constant(&constant));

  BlockArgument destination = producer.getDestinations().front();
  setType(producer, destination, type, type);
  OpBuilder b = OpBuilder::atBlockBegin(&producer.getBody().front());
  Location loc = pad.getLoc();
  Value padding = arith::ConstantOp::create(b, loc, cast<TypedAttr>(constant));
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, destination);
  Value border = fillBorder(b, loc, destination, sizes, inner, low, padding);
  for (auto [size, known] : llvm::zip_equal(sizes, inner.getShape()))
    if (!ShapedType::isDynamic(known))
      size = b.getIndexAttr(known);
  Operation *terminator = producer.getBody().front().getTerminator();
  b.setInsertionPoint(terminator);
  SmallVector<OpFoldResult> ones(type.getRank(), b.getIndexAttr(1));
  terminator->setOperand(
      0, tensor::InsertSliceOp::create(b, loc, terminator->getOperand(0), border,
                                       getAsIndexOpFoldResult(b.getContext(), low), sizes, ones));

  b.setInsertionPoint(call);
  auto old = call.getOuts().front().getDefiningOp<tensor::EmptyOp>();
  Value empty = tensor::EmptyOp::create(b, call.getLoc(), type, old.getDynamicSizes()); // open sizes are not padded
  call.getOutsMutable()[0].set(empty);
  if (old->use_empty())
    old->erase();
  call.getResult(0).setType(type);

  auto argument = cast<BlockArgument>(pad.getSource());
  pad.getResult().replaceAllUsesWith(argument);
  pad.erase();
  setType(consumer, argument, type, consumer.getResultTypes());
}

struct PadProducersPass : tile::impl::PadProducersPassBase<PadProducersPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp func : graph::getMainAndVersions(getOperation()))
      func.walk([&](kern::CallOp call) {
        if (std::optional<PaddedValue> value = findPadding(call, symbols))
          padProducer(*value);
      });
  }
};

} // namespace
