//===- Indexing.cpp - Reading and writing at computed places ----*- C++ -*-===//
#include "compiler/lower/Indexing.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;

SmallVector<Value> lower::createElements(OpBuilder &b, Location loc, ValueRange inputs, ArrayRef<AffineMap> maps,
                                         ArrayRef<OpFoldResult> sizes, ArrayRef<Type> elementTypes,
                                         ElementsBuilder body) {
  SmallVector<AffineMap> allMaps(maps);
  SmallVector<Value> empties;
  for (Type type : elementTypes) {
    allMaps.push_back(b.getMultiDimIdentityMap(sizes.size()));
    empties.push_back(createEmpty(b, loc, sizes, type));
  }
  SmallVector<utils::IteratorType> iterators(sizes.size(), utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, ValueRange(empties).getTypes(), inputs, empties, allMaps, iterators,
      [&](OpBuilder &nested, Location bodyLoc, ValueRange arguments) {
        SmallVector<Value> places;
        for (size_t i = 0; i < sizes.size(); ++i)
          places.push_back(linalg::IndexOp::create(nested, bodyLoc, i));
        ValueRange elements = arguments.drop_back(elementTypes.size());
        linalg::YieldOp::create(nested, bodyLoc, body(nested, bodyLoc, elements, places));
      });
  return SmallVector<Value>(generic.getResults());
}

Value lower::createElements(OpBuilder &b, Location loc, ValueRange inputs, ArrayRef<AffineMap> maps,
                            ArrayRef<OpFoldResult> sizes, Type elementType, ElementBuilder body) {
  auto one = [&](OpBuilder &nested, Location bodyLoc, ValueRange elements, ValueRange places) {
    return SmallVector<Value>{body(nested, bodyLoc, elements, places)};
  };
  return createElements(b, loc, inputs, maps, sizes, ArrayRef<Type>(elementType), one).front();
}

Value lower::buildIndex(OpBuilder &b, Location loc, AffineExpr expr, ArrayRef<OpFoldResult> symbols) {
  return getValueOrCreateConstantIndexOp(b, loc, nn::computeAffine(b, loc, expr, symbols));
}

Value lower::isWithin(OpBuilder &b, Location loc, Value index, Value size) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index, size);
}

Value lower::toIndex(OpBuilder &b, Location loc, Value integer, Type original) {
  if (original.isUnsignedInteger())
    return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), integer);
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
}

Value lower::clampPosition(OpBuilder &b, Location loc, Value position, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  Value isNegative = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, position, zero);
  Value fromEnd = arith::AddIOp::create(b, loc, position, size);
  Value wrapped = arith::SelectOp::create(b, loc, isNegative, fromEnd, position);
  Value last = arith::SubIOp::create(b, loc, size, one);
  return arith::MaxSIOp::create(b, loc, arith::MinSIOp::create(b, loc, wrapped, last), zero);
}

Value lower::loadPosition(OpBuilder &b, Location loc, Value integer, Type original, Value size, bool inBounds) {
  Value position = toIndex(b, loc, integer, original);
  return inBounds ? position : clampPosition(b, loc, position, size);
}

Value lower::isNonZero(OpBuilder &b, Location loc, Value element) {
  Type type = element.getType();
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  if (isa<FloatType>(type))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, element, zero);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, element, zero);
}

Value lower::createCopy(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> sizes) {
  // A kernel owns its destinations: what they hold is changed where it is.
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    if (auto kernel = dyn_cast<kern::FuncOp>(argument.getOwner()->getParentOp());
        kernel && argument.getArgNumber() >= kernel.getNumInputs())
      return tensor;
  Value empty = createEmpty(b, loc, sizes, getElementTypeOrSelf(tensor));
  tensor = castTo(b, loc, tensor, empty.getType());
  return bufferization::MaterializeInDestinationOp::create(b, loc, empty.getType(), tensor, empty).getResult();
}

SmallVector<Value> lower::createLoops(
    OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, ValueRange inits,
    llvm::function_ref<SmallVector<Value>(OpBuilder &, Location, ValueRange, ValueRange)> body) {
  nn::SizeMath m(b, loc);
  Value zero = m.value(m.constant(0)), one = m.value(m.constant(1));
  SmallVector<Value> uppers, places;
  for (OpFoldResult size : sizes)
    uppers.push_back(m.value(size));
  auto nest = [&](auto &self, OpBuilder &nested, ValueRange carried) -> SmallVector<Value> {
    if (places.size() == uppers.size())
      return body(nested, loc, places, carried);
    auto loop = scf::ForOp::create(nested, loc, zero, uppers[places.size()], one, carried,
                                   [&](OpBuilder &inner, Location innerLoc, Value place, ValueRange arguments) {
                                     places.push_back(place);
                                     SmallVector<Value> results = self(self, inner, arguments);
                                     places.pop_back();
                                     scf::YieldOp::create(inner, innerLoc, results);
                                   });
    return SmallVector<Value>(loop.getResults());
  };
  return nest(nest, b, inits);
}

SmallVector<Value> lower::createParallelParts(
    OpBuilder &b, Location loc, ArrayRef<OpFoldResult> counts, ValueRange outs,
    llvm::function_ref<SmallVector<Part>(ValueRange)> parts,
    llvm::function_ref<SmallVector<Value>(OpBuilder &, Location, ValueRange, ValueRange)> body) {
  // Nothing to compute: slices of what has no elements are no valid ops.
  if (llvm::any_of(outs.getTypes(), [](Type type) { return llvm::is_contained(cast<ShapedType>(type).getShape(), 0); }))
    return SmallVector<Value>(outs);
  // One iteration at least: a tensor without other dimensions is one part.
  SmallVector<OpFoldResult> bounds(counts);
  if (bounds.empty())
    bounds.push_back(b.getIndexAttr(1));
  auto forall = scf::ForallOp::create(
      b, loc, bounds, outs, /*mapping=*/std::nullopt,
      [&](OpBuilder &nested, Location bodyLoc, ValueRange arguments) {
        ValueRange places = arguments.take_front(counts.size());
        ValueRange shared = arguments.drop_front(bounds.size());
        SmallVector<Part> regions = parts(places);
        SmallVector<Value> pieces;
        for (auto [tensor, part] : llvm::zip(shared, regions)) {
          SmallVector<OpFoldResult> ones(part.offsets.size(), nested.getIndexAttr(1));
          pieces.push_back(tensor::ExtractSliceOp::create(nested, bodyLoc, part.type, tensor, part.offsets,
                                                          part.sizes, ones));
        }
        SmallVector<Value> results = body(nested, bodyLoc, places, pieces);
        auto terminator = scf::InParallelOp::create(nested, bodyLoc);
        nested.setInsertionPointToStart(terminator.getBody());
        for (auto [tensor, part, result] : llvm::zip(shared, regions, results)) {
          SmallVector<OpFoldResult> ones(part.offsets.size(), nested.getIndexAttr(1));
          tensor::ParallelInsertSliceOp::create(nested, bodyLoc, result, tensor, part.offsets, part.sizes, ones);
        }
      });
  return SmallVector<Value>(forall.getResults());
}
