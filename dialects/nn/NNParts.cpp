//===- NNParts.cpp - Slice, concat, pad -------------------------*- C++ -*-===//
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNVectors.h"

using namespace mlir;
using namespace nacre::nn;

/// Checks that a vector operand has `length` elements.
static LogicalResult verifyLength(std::optional<Location> loc, Value vector, int64_t length,
                                  StringRef what) {
  FailureOr<int64_t> found = inferLength(loc, vector, what);
  if (failed(found))
    return failure();
  if (*found == length)
    return success();
  if (ShapedType::isDynamic(*found))
    return emitOptionalError(loc, what, " must have ", length, " elements, found an unknown number");
  return emitOptionalError(loc, what, " must have ", length, " elements, found ", *found);
}

//===----------------------------------------------------------------------===//
// SliceOp
//===----------------------------------------------------------------------===//

/// The range of dimension `i` if all that it depends on is known.
static std::optional<SliceRange> getKnownRange(MLIRContext *context, ValueRange operands, int64_t i) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  if (type.isDynamicDim(i))
    return std::nullopt;
  OpBuilder b(context); // builds nothing: all is constant
  SizeMath m(b, UnknownLoc::get(context));
  SmallVector<OpFoldResult> parts;
  for (Value operand : operands.drop_front()) {
    auto known = getKnownInts(operand);
    if (!known || !(*known)[i])
      return std::nullopt;
    parts.push_back(m.constant(*(*known)[i]));
  }
  return resolveSlice(m, m.constant(type.getDimSize(i)), parts[0], parts[1], parts[2]);
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                        ValueRange operands, DictionaryAttr, OpaqueProperties,
                                        RegionRange, SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  static constexpr StringLiteral names[] = {"starts", "ends", "steps"};
  for (auto [vector, what] : llvm::zip(operands.drop_front(), names))
    if (failed(verifyLength(loc, vector, type.getRank(), what)))
      return failure();
  if (auto steps = getKnownInts(operands[3]); steps && llvm::is_contained(*steps, std::optional<int64_t>(0)))
    return emitOptionalError(loc, "slice with a step of 0");
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto range = getKnownRange(context, operands, i);
    shape.push_back(range ? *getConstantIntValue(range->count) : ShapedType::kDynamic);
  }
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

SliceRange SliceOp::getRange(OpBuilder &b, int64_t i) {
  SizeMath m(b, getLoc());
  SliceRange range = resolveSlice(m, m.dim(getInput(), i), m.element(getStarts(), i),
                                  m.element(getEnds(), i), m.element(getSteps(), i));
  auto type = cast<RankedTensorType>(getType());
  if (!type.isDynamicDim(i))
    range.count = m.constant(type.getDimSize(i));
  return range;
}

LogicalResult SliceOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i)
    sizes.push_back(getRange(b, i).count);
  dims.push_back(std::move(sizes));
  return success();
}

void SliceOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  auto steps = getKnownInts(getSteps());
  for (auto [i, step] : llvm::enumerate(*steps))
    if (!step)
      checks.push_back({m.compare(SizeMath::Predicate::ne, m.element(getSteps(), i), m.constant(0)),
                        RuntimeCheck::Value, "the step of dimension " + std::to_string(i) + " is 0"});
}

LogicalResult SliceOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  if (!isFollowed(getResult()) || !isFollowed(getInput()))
    return failure();
  SmallVector<SliceRange> ranges;
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i) {
    auto range = getKnownRange(getContext(), getOperands(), i);
    if (!range)
      return failure();
    ranges.push_back(*range);
  }
  return pushMappedSources(*this, [&](ArrayRef<int64_t> to, MutableArrayRef<int64_t> from) {
    for (auto [t, f, range] : llvm::zip(to, from, ranges))
      f = *getConstantIntValue(range.begin) + t * *getConstantIntValue(range.step);
  }, sources);
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  // All of the input: every range begins at 0, steps by 1 and counts as much.
  auto isWhole = [&](int64_t i) {
    auto range = getKnownRange(getContext(), getOperands(), i);
    return range && isConstantIntValue(range->begin, 0) && isConstantIntValue(range->step, 1);
  };
  if (getInput().getType() == getType() && getType().hasStaticShape() &&
      llvm::all_of(llvm::seq<int64_t>(getInput().getType().getRank()), isWhole))
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

SmallVector<unsigned> SliceOp::getShapeOperands() { return {1, 2, 3}; }
KernelRole SliceOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// ConcatOp
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ValueRange operands, DictionaryAttr,
                                         OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  if (operands.empty())
    return emitOptionalError(loc, "concat of nothing");
  int64_t axis = properties.as<Properties *>()->getAxis().getInt();
  auto first = cast<RankedTensorType>(operands[0].getType());
  if (axis < 0 || axis >= first.getRank())
    return emitOptionalError(loc, "concat along dimension ", axis, " of ", first);
  SmallVector<int64_t> shape(first.getShape());
  for (Value operand : operands.drop_front()) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getRank() != first.getRank() || type.getElementType() != first.getElementType())
      return emitOptionalError(loc, "concat of ", first, " and ", type);
    for (auto [i, size, other] : llvm::enumerate(shape, type.getShape())) {
      if (static_cast<int64_t>(i) == axis) {
        if (ShapedType::isDynamic(size) || ShapedType::isDynamic(other))
          size = ShapedType::kDynamic;
        else if (llvm::AddOverflow(size, other, size))
          return emitOptionalError(loc, "concat makes more elements than 64 bits can count");
      } else if (ShapedType::isDynamic(size)) {
        size = other;
      } else if (size != other && !ShapedType::isDynamic(other)) {
        return emitOptionalError(loc, "concat along dimension ", axis, ": sizes of dimension ", i,
                                 " differ: ", size, " and ", other);
      }
    }
  }
  types.push_back(RankedTensorType::get(shape, first.getElementType()));
  return success();
}

LogicalResult ConcatOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  auto type = cast<RankedTensorType>(getType());
  int64_t axis = getAxis();
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    sizes.push_back(type.isDynamicDim(i) ? m.dim(getInputs()[0], i) : m.constant(type.getDimSize(i)));
  if (type.isDynamicDim(axis))
    for (Value input : getInputs().drop_front())
      sizes[axis] = m.add(sizes[axis], m.dim(input, axis));
  dims.push_back(std::move(sizes));
  return success();
}

void ConcatOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  auto type = cast<RankedTensorType>(getType());
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (i == static_cast<int64_t>(getAxis()))
      continue;
    OpFoldResult size = type.isDynamicDim(i) ? m.dim(getInputs()[0], i) : m.constant(type.getDimSize(i));
    for (Value input : getInputs())
      if (OpFoldResult other = m.dim(input, i); other != size)
        checks.push_back({m.compare(SizeMath::Predicate::eq, size, other), RuntimeCheck::Shape,
                          "the sizes of dimension " + std::to_string(i) + " differ"});
  }
}

LogicalResult ConcatOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  if (!isFollowed(getResult()) || !llvm::all_of(getInputs(), isFollowed))
    return failure();
  int64_t axis = getAxis();
  SmallVector<int64_t> from;
  forEachIndex(cast<RankedTensorType>(getType()).getShape(), [&](ArrayRef<int64_t> to) {
    from.assign(to.begin(), to.end());
    unsigned operand = 0;
    auto size = [&] { return cast<RankedTensorType>(getInputs()[operand].getType()).getDimSize(axis); };
    for (; from[axis] >= size(); ++operand)
      from[axis] -= size();
    auto type = cast<RankedTensorType>(getInputs()[operand].getType());
    sources.push_back({operand, linearIndex(from, type.getShape())});
  });
  return success();
}

OpFoldResult ConcatOp::fold(FoldAdaptor adaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  return foldMovement(*this, adaptor.getOperands());
}

KernelRole ConcatOp::getKernelRole() { return KernelRole::Alone; }

//===----------------------------------------------------------------------===//
// PadOp
//===----------------------------------------------------------------------===//

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                      DictionaryAttr, OpaqueProperties, RegionRange,
                                      SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(operands[0].getType());
  auto value = cast<RankedTensorType>(operands[2].getType());
  int64_t rank = type.getRank();
  if (failed(verifyLength(loc, operands[1], 2 * rank, "pads")))
    return failure();
  if (value.getRank() != 0 || value.getElementType() != type.getElementType())
    return emitOptionalError(loc, "pad's value must be a scalar of type ", type.getElementType(),
                             ", found ", value);
  KnownInts pads = getKnownInts(operands[1]).value_or(KnownInts(2 * rank));
  SmallVector<int64_t> shape;
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    auto low = pads[i], high = pads[rank + i];
    int64_t result = size;
    for (auto pad : {low, high})
      if (pad && (*pad < -kMaxElements || *pad > kMaxElements))
        return emitOptionalError(loc, "pads must be from ", -kMaxElements, " to ", kMaxElements, ", found ", *pad);
    if (!low || !high || (ShapedType::isDynamic(size) && (*low != 0 || *high != 0)))
      result = ShapedType::kDynamic;
    else if (!ShapedType::isDynamic(size) && (result = size + *low + *high) < 0)
      return emitOptionalError(loc, "the pads ", *low, " and ", *high, " take away more elements than dimension ", i,
                               " has, ", size);
    shape.push_back(result);
  }
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult PadOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  auto type = cast<RankedTensorType>(getType());
  SmallVector<OpFoldResult> sizes;
  for (int64_t i = 0, rank = type.getRank(); i < rank; ++i)
    sizes.push_back(!type.isDynamicDim(i)
                        ? m.constant(type.getDimSize(i))
                        : m.max(m.add(m.add(m.dim(getInput(), i), m.element(getPads(), i)),
                                      m.element(getPads(), rank + i)),
                                m.constant(0)));
  dims.push_back(std::move(sizes));
  return success();
}

void PadOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  using Predicate = SizeMath::Predicate;
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i) {
    OpFoldResult low = m.element(getPads(), i), high = m.element(getPads(), rank + i);
    for (OpFoldResult pad : {low, high}) {
      if (getConstantIntValue(pad))
        continue; // verified
      Value notBelow = m.compare(Predicate::sge, pad, m.constant(-kMaxElements));
      Value notAbove = m.compare(Predicate::sle, pad, m.constant(kMaxElements));
      checks.push_back({b.createOrFold<arith::AndIOp>(getLoc(), notBelow, notAbove), RuntimeCheck::Value,
                        "a pad of dimension " + std::to_string(i) + " is out of range"});
    }
    if (isNonNegative(low) && isNonNegative(high))
      continue;
    checks.push_back({m.compare(Predicate::sge, m.add(m.add(m.dim(getInput(), i), low), high), m.constant(0)),
                      RuntimeCheck::Value,
                      "the pads take away more elements than dimension " + std::to_string(i) + " has"});
  }
  if (getMode() == PadMode::Constant)
    return;
  ReifiedRankedShapedTypeDims dims;
  (void)reifyResultShapes(b, dims);
  for (int64_t i = 0, rank = getInput().getType().getRank(); i < rank; ++i) {
    Value some = m.compare(Predicate::ne, m.dim(getInput(), i), m.constant(0));
    Value none = m.compare(Predicate::eq, dims[0][i], m.constant(0));
    checks.push_back({b.createOrFold<arith::OrIOp>(getLoc(), some, none), RuntimeCheck::Shape,
                      "dimension " + std::to_string(i) + " is empty: nothing to pad it with"});
  }
}

int64_t nacre::nn::mapPadded(PadMode mode, int64_t position, int64_t size) {
  auto modulo = [](int64_t a, int64_t b) { return ((a % b) + b) % b; };
  switch (mode) {
  case PadMode::Constant:
    return position >= 0 && position < size ? position : -1;
  case PadMode::Edge:
    return std::clamp<int64_t>(position, 0, size - 1);
  case PadMode::Wrap:
    return modulo(position, size);
  case PadMode::Reflect: {
    if (size == 1)
      return 0;
    int64_t place = modulo(position, 2 * (size - 1));
    return place < size ? place : 2 * (size - 1) - place;
  }
  }
  llvm_unreachable("every mode is handled");
}

LogicalResult PadOp::getElementSources(SmallVectorImpl<ElementSource> &sources) {
  auto pads = getKnownInts(getPads());
  if (!isFollowed(getResult()) || !isFollowed(getInput()) || !pads)
    return failure();
  auto input = getInput().getType().getShape();
  int64_t rank = input.size();
  if (llvm::is_contained(input, 0) && getMode() != PadMode::Constant)
    return failure();
  for (int64_t i = 0; i < rank; ++i)
    if (!(*pads)[i])
      return failure();
  SmallVector<int64_t> from(rank);
  forEachIndex(cast<RankedTensorType>(getType()).getShape(), [&](ArrayRef<int64_t> to) {
    for (int64_t i = 0; i < rank; ++i)
      from[i] = mapPadded(getMode(), to[i] - *(*pads)[i], input[i]);
    if (llvm::is_contained(from, -1))
      sources.push_back({2, 0});
    else
      sources.push_back({0, linearIndex(from, input)});
  });
  return success();
}

OpFoldResult PadOp::fold(FoldAdaptor adaptor) {
  auto pads = getKnownInts(getPads());
  if (pads && getInput().getType() == getType() &&
      llvm::all_of(*pads, [](auto pad) { return pad == 0; }))
    return getInput();
  return foldMovement(*this, adaptor.getOperands());
}

SmallVector<unsigned> PadOp::getShapeOperands() { return {1}; }
KernelRole PadOp::getKernelRole() { return KernelRole::Alone; }
