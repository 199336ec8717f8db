//===- Lowering.cpp - What lowering patterns share --------------*- C++ -*-===//
#include "compiler/lower/Lowering.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;

lower::StorageTypeConverter::StorageTypeConverter() {
  addConversion([](Type type) { return type; });
  addConversion([](RankedTensorType type) -> Type {
    return type.clone(nn::getStoredType(type.getElementType()));
  });
  auto cast = [](OpBuilder &b, Type type, ValueRange inputs, Location loc) -> Value {
    // Reified sizes may be known where the op's type leaves them open.
    if (inputs.size() == 1 && tensor::CastOp::areCastCompatible(inputs[0].getType(), type))
      return tensor::CastOp::create(b, loc, type, inputs[0]);
    return UnrealizedConversionCastOp::create(b, loc, type, inputs).getResult(0);
  };
  addSourceMaterialization(cast);
  addTargetMaterialization(cast);
}

Value lower::loadElement(OpBuilder &b, Location loc, Value stored, Type original) {
  if (!original.isInteger(1) || stored.getType().isInteger(1))
    return stored;
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(stored.getType()));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, stored, zero);
}

Value lower::storeElement(OpBuilder &b, Location loc, Value element, Type original) {
  if (!original.isInteger(1) || !element.getType().isInteger(1))
    return element;
  return arith::ExtUIOp::create(b, loc, b.getI8Type(), element);
}

SmallVector<OpFoldResult> lower::resultSizes(OpBuilder &b, Operation *op, unsigned index) {
  ReifiedRankedShapedTypeDims dims;
  LogicalResult reified = reifyResultShapes(b, op, dims);
  assert(succeeded(reified) && "every nn op reifies its result shapes");
  (void)reified;
  return dims[index];
}

Value lower::createEmpty(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Type elementType) {
  return tensor::EmptyOp::create(b, loc, sizes, elementType);
}

Value lower::createFilled(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value empty = createEmpty(b, loc, sizes, scalar.getType());
  return linalg::FillOp::create(b, loc, scalar, empty).getResult(0);
}

Value lower::createPadded(OpBuilder &b, Location loc, Value tensor, ArrayRef<OpFoldResult> low,
                          ArrayRef<OpFoldResult> high, TypedAttr scalar, bool staticTiles) {
  if (llvm::all_of(llvm::concat<const OpFoldResult>(low, high),
                   [](OpFoldResult size) { return isConstantIntValue(size, 0); }))
    return tensor;
  Value padding = arith::ConstantOp::create(b, loc, scalar);
  auto type = cast<RankedTensorType>(tensor.getType());
  bool isStatic = staticTiles; // in the dimensions that are padded
  for (auto [size, before, after] : llvm::zip_equal(type.getShape(), low, high)) {
    auto first = getConstantIntValue(before), last = getConstantIntValue(after);
    isStatic &= first && last && (!ShapedType::isDynamic(size) || (*first == 0 && *last == 0));
  }
  if (isStatic)
    return tensor::PadOp::create(b, loc, /*resultType=*/Type(), tensor, low, high, padding);
  // Tiles of a tensor.pad of dynamic size, theirs or its own, may hold nothing but padding, which upstream
  // tests for in every tile: the whole is padded once instead.
  SmallVector<OpFoldResult> inner = nn::getDims(b, loc, tensor), sizes;
  for (auto [size, before, after] : llvm::zip(inner, low, high)) {
    AffineExpr s0, s1, s2;
    bindSymbols(b.getContext(), s0, s1, s2);
    sizes.push_back(nn::computeAffine(b, loc, s0 + s1 + s2, {size, before, after}));
  }
  Value filled = createFilled(b, loc, sizes, padding);
  SmallVector<OpFoldResult> steps(type.getRank(), b.getIndexAttr(1));
  return tensor::InsertSliceOp::create(b, loc, tensor, filled, low, inner, steps);
}

Value lower::castTo(OpBuilder &b, Location loc, Value tensor, Type type) {
  return tensor.getType() == type ? tensor : tensor::CastOp::create(b, loc, type, tensor).getResult();
}

Value lower::createRemapped(OpBuilder &b, Location loc, Value input, ArrayRef<OpFoldResult> sizes,
                            ArrayRef<bool> isMapped, IndexMap map, bool tabulate) {
  // Of nothing no place is read: the result has no elements, either.
  if (llvm::is_contained(cast<RankedTensorType>(input.getType()).getShape(), 0))
    return createEmpty(b, loc, sizes, getElementTypeOrSelf(input));
  int64_t rank = sizes.size();
  MLIRContext *context = b.getContext();
  SmallVector<Value> tables;
  SmallVector<AffineMap> maps;
  for (int64_t d = 0; tabulate && d < rank; ++d) {
    if (!isMapped[d])
      continue;
    Value empty = createEmpty(b, loc, sizes[d], b.getIndexType());
    auto table = linalg::GenericOp::create(
        b, loc, empty.getType(), ValueRange(), empty, b.getMultiDimIdentityMap(1),
        utils::IteratorType::parallel, [&](OpBuilder &nested, Location bodyLoc, ValueRange) {
          Value place = linalg::IndexOp::create(nested, bodyLoc, 0);
          linalg::YieldOp::create(nested, bodyLoc, map(nested, bodyLoc, d, place));
        });
    tables.push_back(table.getResult(0));
    maps.push_back(AffineMap::get(rank, 0, getAffineDimExpr(d, context)));
  }
  maps.push_back(b.getMultiDimIdentityMap(rank));
  Value empty = createEmpty(b, loc, sizes, getElementTypeOrSelf(input));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, empty.getType(), tables, empty, maps, iterators,
      [&](OpBuilder &nested, Location bodyLoc, ValueRange arguments) {
        SmallVector<Value> indices;
        unsigned table = 0;
        for (int64_t d = 0; d < rank; ++d) {
          if (isMapped[d] && tabulate) {
            indices.push_back(arguments[table++]);
            continue;
          }
          Value place = linalg::IndexOp::create(nested, bodyLoc, d);
          indices.push_back(isMapped[d] ? map(nested, bodyLoc, d, place) : place);
        }
        linalg::YieldOp::create(nested, bodyLoc,
                                tensor::ExtractOp::create(nested, bodyLoc, input, indices).getResult());
      });
  return generic.getResult(0);
}
