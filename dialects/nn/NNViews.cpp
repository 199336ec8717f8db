//===- NNViews.cpp - Reshape, squeeze, unsqueeze, collapse ------*- C++ -*-===//
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNVectors.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre::nn;

Type nacre::nn::getProductType(Type lhs, Type rhs) {
  auto isByte = [](Type type) { return isa<IntegerType>(type) && type.getIntOrFloatBitWidth() == 8; };
  if (isByte(lhs) && isByte(rhs))
    return IntegerType::get(lhs.getContext(), 32);
  return lhs == rhs ? lhs : Type();
}

Value nacre::nn::reshapeTo(OpBuilder &b, Value tensor, ArrayRef<int64_t> sizes) {
  auto type = RankedTensorType::get({static_cast<int64_t>(sizes.size())}, b.getI64Type());
  Value shape = ConstantOp::create(b, tensor.getLoc(), DenseIntElementsAttr::get(type, sizes));
  auto from = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> result(sizes);
  int64_t known = 1;
  for (int64_t size : sizes)
    known *= size == -1 ? 1 : size;
  for (int64_t &size : result)
    if (size == -1)
      size = from.hasStaticShape() && known != 0 ? from.getNumElements() / known : ShapedType::kDynamic;
  return b.createOrFold<ReshapeOp>(tensor.getLoc(), from.clone(result), tensor, shape,
                                   /*allowzero=*/UnitAttr());
}

//===----------------------------------------------------------------------===//
// ReshapeOp
//===----------------------------------------------------------------------===//

/// The sizes that `shape` asks for, -1 and unknown ones as kDynamic. `input` and
/// `wanted` become what is left of the element count on either side: nullopt if
/// that is not known, and sizes copied from the input by a 0 are in neither. `factor` becomes the product of
/// the known sizes in the input's.
static LogicalResult resolveShape(std::optional<Location> loc, RankedTensorType type,
                                  const KnownInts &known, bool allowZero,
                                  SmallVectorImpl<int64_t> &result, std::optional<unsigned> &inferred,
                                  std::optional<int64_t> &input, std::optional<int64_t> &wanted, int64_t &factor) {
  SmallVector<bool> copied(type.getRank(), false);
  wanted = 1;
  for (auto [i, size] : llvm::enumerate(known)) {
    result.push_back(ShapedType::kDynamic);
    if (!size) {
      wanted.reset();
      continue;
    }
    if (*size == 0 && !allowZero) {
      if (static_cast<int64_t>(i) >= type.getRank())
        return emitOptionalError(loc, "reshape copies size ", i, " of ", type, ", which has none");
      result.back() = type.getDimSize(i);
      copied[i] = true;
    } else if (*size == -1) {
      if (inferred)
        return emitOptionalError(loc, "reshape to a shape with two sizes of -1");
      inferred = i;
    } else if (*size < 0) {
      return emitOptionalError(loc, "reshape to a size of ", *size);
    } else {
      result.back() = *size;
      if (wanted && llvm::MulOverflow(*wanted, *size, *wanted))
        return emitOptionalError(loc, "reshape to more elements than 64 bits can count");
    }
  }
  input = factor = 1;
  for (auto [size, isCopied] : llvm::zip(type.getShape(), copied)) {
    if (isCopied)
      continue;
    if (ShapedType::isDynamic(size))
      input.reset();
    else
      factor = llvm::SaturatingMultiply<uint64_t>(factor, size) > INT64_MAX ? 0 : factor * size; // of no tensor
  }
  if (input)
    input = factor;
  return success();
}

LogicalResult ReshapeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          ValueRange operands, DictionaryAttr attributes,
                                          OpaqueProperties properties, RegionRange regions,
                                          SmallVectorImpl<Type> &types) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto type = cast<RankedTensorType>(operands[0].getType());
  FailureOr<int64_t> rank = inferLength(loc, operands[1], "the shape");
  if (failed(rank))
    return failure();
  if (ShapedType::isDynamic(*rank))
    return emitOptionalError(loc, "reshape needs a shape of static length");
  KnownInts known = getKnownInts(operands[1]).value_or(KnownInts(*rank));
  SmallVector<int64_t> result;
  std::optional<unsigned> inferred;
  std::optional<int64_t> input, wanted;
  int64_t factor; // of the input's elements, whatever its open sizes are
  if (failed(resolveShape(loc, type, known, adaptor.getAllowzero() || adaptor.getExact(), result, inferred, input, wanted, factor)))
    return failure();
  auto cannotReshape = [&]() -> LogicalResult {
    if (!loc)
      return failure();
    auto diagnostic = mlir::emitError(*loc) << "cannot reshape " << type << " to [";
    llvm::interleaveComma(known, diagnostic, [&](auto size) { diagnostic << *size; });
    return diagnostic << "]";
  };
  if (input && wanted) {
    if (inferred && *input == 0 && *wanted == 0)
      return emitOptionalError(loc, "reshape cannot tell the size for -1: there are no elements");
    if (inferred ? *wanted == 0 || *input % *wanted != 0 : *input != *wanted)
      return cannotReshape();
    if (inferred)
      result[*inferred] = *input / *wanted;
  } else if (wanted && !inferred && *wanted > 0 && (factor == 0 || *wanted % factor != 0)) {
    return cannotReshape();
  }
  types.push_back(RankedTensorType::get(result, type.getElementType()));
  return success();
}

/// The result's sizes. Where all is known but a -1 whose value divides evenly, the
/// sizes fit by construction: `fits` tells.
static SmallVector<OpFoldResult> reifyReshape(SizeMath &m, ReshapeOp op, bool &fits) {
  using Predicate = SizeMath::Predicate;
  auto type = cast<RankedTensorType>(op.getType());
  auto inputType = op.getInput().getType();
  KnownInts known = getKnownInts(op.getShape()).value_or(KnownInts(type.getRank()));
  SmallVector<OpFoldResult> inputSizes = m.dims(op.getInput()), sizes;
  // The product on either side without the size for -1.
  SmallVector<OpFoldResult> input(inputSizes), wanted;
  std::optional<unsigned> inferred;
  SmallVector<unsigned> maybeInferred;
  OpFoldResult one = m.constant(1), zero = m.constant(0), minusOne = m.constant(-1);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    bool hasInput = i < inputType.getRank();
    OpFoldResult size;
    if (known[i] == -1) {
      inferred = i;
      sizes.push_back(minusOne);
      continue;
    }
    size = m.element(op.getShape(), i);
    if (!op.getAllowzero() && !op.getExact() && hasInput)
      size = m.select(Predicate::eq, size, zero, inputSizes[i], size);
    OpFoldResult factor = size;
    if (!known[i] && !op.getExact()) {
      maybeInferred.push_back(i);
      // A size of a tensor is never -1.
      bool isSize = isa<Value>(size) && cast<Value>(size).getDefiningOp<tensor::DimOp>();
      if (isSize)
        maybeInferred.pop_back();
      else
        factor = m.select(Predicate::eq, size, minusOne, one, size);
    }
    sizes.push_back(size);
    wanted.push_back(factor);
  }
  m.cancel(input, wanted);
  // With an inferred size, what is wanted must divide what is there.
  fits = wanted.empty() && (inferred || (input.empty() && maybeInferred.empty()));
  if (inferred || !maybeInferred.empty()) {
    OpFoldResult quotient = m.div(m.product(input), m.product(wanted));
    if (inferred)
      sizes[*inferred] = quotient;
    else
      for (unsigned i : maybeInferred)
        sizes[i] = m.select(Predicate::eq, sizes[i], minusOne, quotient, sizes[i]);
  }
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!type.isDynamicDim(i))
      sizes[i] = m.constant(type.getDimSize(i));
  return sizes;
}

LogicalResult ReshapeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath math(b, getLoc());
  bool fits;
  dims.push_back(reifyReshape(math, *this, fits));
  return success();
}

void ReshapeOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  if (getType().hasStaticShape() && getInput().getType().hasStaticShape() && getKnownInts(getShape()) &&
      llvm::all_of(*getKnownInts(getShape()), [](auto size) { return size.has_value(); }))
    return; // inferReturnTypes has checked it
  using Predicate = SizeMath::Predicate;
  SizeMath m(b, getLoc());
  bool fits;
  SmallVector<OpFoldResult> sizes = reifyReshape(m, *this, fits);
  if (fits)
    return;
  // Each size, whatever shape asked for, must be what the result's type says.
  KnownInts known = getKnownInts(getShape()).value_or(KnownInts(sizes.size()));
  auto type = cast<RankedTensorType>(getType());
  Value ok = arith::ConstantIntOp::create(b, getLoc(), 1, 1);
  auto require = [&](Value condition) { ok = b.createOrFold<arith::AndIOp>(getLoc(), ok, condition); };
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (!type.isDynamicDim(i) && !known[i]) {
      OpFoldResult asked = m.element(getShape(), i);
      Value same = m.compare(Predicate::eq, asked, size);
      Value inferred = m.compare(Predicate::eq, asked, m.constant(-1));
      Value either = b.createOrFold<arith::OrIOp>(getLoc(), same, inferred);
      if (!getAllowzero())
        either = b.createOrFold<arith::OrIOp>(getLoc(), either,
                                              m.compare(Predicate::eq, asked, m.constant(0)));
      require(getExact() ? same : either);
    }
    require(m.compare(Predicate::sge, size, m.constant(0)));
  }
  // Divide the count by each size in turn: unlike their product this cannot overflow.
  OpFoldResult rest = m.product(m.dims(getInput()));
  Value isEmpty = m.compare(Predicate::eq, rest, m.constant(0));
  Value anyZero = arith::ConstantIntOp::create(b, getLoc(), 0, 1), divides = arith::ConstantIntOp::create(b, getLoc(), 1, 1);
  for (OpFoldResult size : sizes) {
    anyZero = b.createOrFold<arith::OrIOp>(getLoc(), anyZero, m.compare(Predicate::eq, size, m.constant(0)));
    OpFoldResult quotient = m.div(rest, size);
    divides = b.createOrFold<arith::AndIOp>(getLoc(), divides,
                                            m.compare(Predicate::eq, m.mul(quotient, size), rest));
    rest = quotient;
  }
  divides = b.createOrFold<arith::AndIOp>(getLoc(), divides, m.compare(Predicate::eq, rest, m.constant(1)));
  require(b.createOrFold<arith::SelectOp>(getLoc(), isEmpty, anyZero, divides));
  checks.push_back({ok, RuntimeCheck::Shape, "the input's elements do not fill the new shape"});
}

LogicalResult ReshapeOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushSameSources(*this, sources);
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType() && getType().hasStaticShape())
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

SmallVector<unsigned> ReshapeOp::getShapeOperands() { return {1}; }

void ReshapeOp::resolveShapeOperands(OpBuilder &b) {
  // Only where every size is known or a scalar: else the run-time check of the shape
  // that was asked for would be lost.
  auto known = getKnownInts(getShape());
  if (getExact() ||
      !(getShape().getDefiningOp<tensor::FromElementsOp>() || getShape().getDefiningOp<ConstantOp>()))
    return;
  SizeMath m(b, getLoc());
  bool fits;
  SmallVector<OpFoldResult> sizes = reifyReshape(m, *this, fits);
  // A size that the type knows but the shape does not remains to be checked.
  for (auto [i, size] : llvm::enumerate(sizes))
    if (!(*known)[i] && getConstantIntValue(size))
      return;
  getShapeMutable().assign(createSizes(b, getLoc(), sizes));
  setExact(true);
}
KernelRole ReshapeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// SqueezeOp
//===----------------------------------------------------------------------===//

static LogicalResult verifyAxes(std::optional<Location> loc, ArrayRef<int64_t> axes, int64_t rank) {
  for (auto [i, axis] : llvm::enumerate(axes))
    if (axis < 0 || axis >= rank || (i > 0 && axes[i - 1] >= axis))
      return emitOptionalError(loc, "axes must rise and lie in [0, ", rank, ")");
  return success();
}

LogicalResult SqueezeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          ValueRange operands, DictionaryAttr,
                                          OpaqueProperties properties, RegionRange,
                                          SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  ArrayRef<int64_t> axes = properties.as<Properties *>()->getAxes();
  if (failed(verifyAxes(loc, axes, type.getRank())))
    return failure();
  SmallVector<int64_t> shape;
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    if (!llvm::is_contained(axes, i))
      shape.push_back(size);
    else if (!ShapedType::isDynamic(size) && size != 1)
      return emitOptionalError(loc, "cannot squeeze dimension ", i, " of ", type, ": its size is not 1");
  }
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult SqueezeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0; i < getInput().getType().getRank(); ++i)
    if (!llvm::is_contained(getAxes(), i))
      sizes.push_back(getDim(b, getLoc(), getInput(), i));
  dims.push_back(std::move(sizes));
  return success();
}

void SqueezeOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  for (int64_t axis : getAxes())
    if (getInput().getType().isDynamicDim(axis))
      checks.push_back({m.compare(SizeMath::Predicate::eq, m.dim(getInput(), axis), m.constant(1)),
                        RuntimeCheck::Shape,
                        "the size of dimension " + std::to_string(axis) + " is not 1"});
}

LogicalResult SqueezeOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushSameSources(*this, sources);
}

OpFoldResult SqueezeOp::fold(FoldAdaptor adaptor) {
  if (getAxes().empty() && getInput().getType() == getType())
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

KernelRole SqueezeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// UnsqueezeOp
//===----------------------------------------------------------------------===//

LogicalResult UnsqueezeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            ValueRange operands, DictionaryAttr,
                                            OpaqueProperties properties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  ArrayRef<int64_t> axes = properties.as<Properties *>()->getAxes();
  int64_t rank = type.getRank() + axes.size();
  if (failed(verifyAxes(loc, axes, rank)))
    return failure();
  SmallVector<int64_t> shape(type.getShape());
  for (int64_t axis : axes)
    shape.insert(shape.begin() + axis, 1);
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult UnsqueezeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes = getDims(b, getLoc(), getInput());
  for (int64_t axis : getAxes())
    sizes.insert(sizes.begin() + axis, b.getIndexAttr(1));
  dims.push_back(std::move(sizes));
  return success();
}

LogicalResult UnsqueezeOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushSameSources(*this, sources);
}

OpFoldResult UnsqueezeOp::fold(FoldAdaptor adaptor) {
  if (getAxes().empty() && getInput().getType() == getType())
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

KernelRole UnsqueezeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// CollapseOp
//===----------------------------------------------------------------------===//

LogicalResult CollapseOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                           ValueRange operands, DictionaryAttr,
                                           OpaqueProperties properties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  auto *p = properties.as<Properties *>();
  int64_t begin = p->getBegin().getInt(), end = p->getEnd().getInt();
  if (begin < 0 || end < begin || end > type.getRank())
    return emitOptionalError(loc, "collapse from ", begin, " to ", end, " of ", type);
  SmallVector<int64_t> shape(type.getShape().take_front(begin));
  auto merged = type.getShape().slice(begin, end - begin);
  int64_t size = 1;
  for (int64_t s : merged)
    if (!ShapedType::isDynamic(size) && (ShapedType::isDynamic(s) || llvm::MulOverflow(size, s, size)))
      size = ShapedType::kDynamic;
  if (llvm::is_contained(merged, 0))
    size = 0;
  shape.push_back(size);
  llvm::append_range(shape, type.getShape().drop_front(end));
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult CollapseOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  SmallVector<OpFoldResult> sizes = m.dims(getInput());
  OpFoldResult merged = m.product(ArrayRef(sizes).slice(getBegin(), getEnd() - getBegin()));
  sizes.erase(sizes.begin() + getBegin(), sizes.begin() + getEnd());
  sizes.insert(sizes.begin() + getBegin(), merged);
  dims.push_back(std::move(sizes));
  return success();
}

LogicalResult CollapseOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  return pushSameSources(*this, sources);
}

OpFoldResult CollapseOp::fold(FoldAdaptor adaptor) {
  if (getEnd() - getBegin() == 1 && getInput().getType() == getType())
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

KernelRole CollapseOp::getKernelRole() { return KernelRole::Host; }
