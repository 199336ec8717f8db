//===- NNGenerate.cpp - Tensors made of places ------------------*- C++ -*-===//
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"

using namespace mlir;
using namespace nacre::nn;

using Predicate = SizeMath::Predicate;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Adds the check that a scalar operand, unless it is known, is not negative.
static void checkNotNegative(OpBuilder &b, Location loc, Value scalar, const Twine &what,
                             SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, loc);
  checks.push_back({m.compare(Predicate::sge, m.element(scalar, 0), m.constant(0)), RuntimeCheck::Value,
                    (what + " is negative").str()});
}

/// Adds the check that a result's static size, which the type knows better than the
/// operand, is what the operand says.
static void checkSameAsType(OpBuilder &b, Location loc, Value result, int64_t dimension, Value scalar,
                            SmallVectorImpl<RuntimeCheck> &checks) {
  auto type = typeOf(result);
  if (type.isDynamicDim(dimension))
    return;
  SizeMath m(b, loc);
  checks.push_back({m.compare(Predicate::eq, m.element(scalar, 0), m.constant(type.getDimSize(dimension))),
                    RuntimeCheck::Shape,
                    "the size of dimension " + std::to_string(dimension) + " is not the expected one"});
}

//===----------------------------------------------------------------------===//
// RangeOp
//===----------------------------------------------------------------------===//

LogicalResult RangeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                        DictionaryAttr, OpaqueProperties, RegionRange,
                                        SmallVectorImpl<Type> &types) {
  if (failed(verifyScalars(loc, operands)))
    return failure();
  if (operands[0].getType() != operands[1].getType())
    return emitOptionalError(loc, "expected start and delta of one type, found ", operands[0].getType(),
                             " and ", operands[1].getType());
  types.push_back(typeOf(operands[0]).clone(ArrayRef(getKnownSize(operands[2]))));
  return success();
}

LogicalResult RangeOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(mixSizes(b, getResult(), [&](int64_t) { return getElementAsIndex(b, getLoc(), getCount(), 0); }));
  return success();
}

void RangeOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkNotNegative(b, getLoc(), getCount(), "the number of elements", checks);
  checkSameAsType(b, getLoc(), getResult(), 0, getCount(), checks);
}

OpFoldResult RangeOp::fold(FoldAdaptor adaptor) {
  auto start = dyn_cast_if_present<DenseElementsAttr>(adaptor.getStart());
  auto delta = dyn_cast_if_present<DenseElementsAttr>(adaptor.getDelta());
  if (!start || !delta || !isFollowed(getResult()))
    return {};
  auto type = cast<RankedTensorType>(getType());
  if (isa<FloatType>(type.getElementType())) {
    APFloat first = *start.value_begin<APFloat>(), step = *delta.value_begin<APFloat>();
    SmallVector<APFloat> values;
    for (int64_t i = 0; i < type.getNumElements(); ++i) {
      APFloat place(first.getSemantics());
      place.convertFromAPInt(APInt(64, i), /*isSigned=*/true, APFloat::rmNearestTiesToEven);
      values.push_back(first + place * step);
    }
    return DenseElementsAttr::get(type, values);
  }
  APInt next = *start.value_begin<APInt>(), step = *delta.value_begin<APInt>();
  SmallVector<APInt> values;
  for (int64_t i = 0; i < type.getNumElements(); ++i, next += step)
    values.push_back(next);
  return DenseElementsAttr::get(type, values);
}

LogicalResult RangeOp::buildScalars(OpBuilder &b, ArrayRef<SmallVector<Value>> operands,
                                    SmallVectorImpl<Value> &results) {
  auto type = cast<RankedTensorType>(getType());
  if (!isFollowed(getResult()) || operands[0].size() != 1 || operands[1].size() != 1 ||
      !type.getElementType().isSignlessInteger())
    return failure();
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    Value place = arith::ConstantIntOp::create(b, getLoc(), type.getElementType(), i);
    Value offset = b.createOrFold<arith::MulIOp>(getLoc(), operands[1][0], place);
    results.push_back(b.createOrFold<arith::AddIOp>(getLoc(), operands[0][0], offset));
  }
  return success();
}

SmallVector<unsigned> RangeOp::getShapeOperands() { return {2}; }
KernelRole RangeOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// OneHotOp
//===----------------------------------------------------------------------===//

LogicalResult OneHotOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                         DictionaryAttr, OpaqueProperties properties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto indices = typeOf(operands[0]), values = typeOf(operands[2]);
  int64_t axis = properties.as<Properties *>()->getAxis().getInt();
  if (failed(verifyScalars(loc, operands[1])))
    return failure();
  if (axis < 0 || axis > indices.getRank())
    return emitOptionalError(loc, "one_hot at dimension ", axis, " of a result of rank ", indices.getRank() + 1);
  if (failed(verifyCompatibleShape(values.getShape(), ArrayRef<int64_t>{2})))
    return emitOptionalError(loc, "expected two values, found ", values);
  SmallVector<int64_t> shape(indices.getShape());
  FailureOr<int64_t> depth = inferSize(loc, operands[1], "the depth");
  if (failed(depth))
    return failure();
  shape.insert(shape.begin() + axis, *depth);
  types.push_back(values.clone(shape));
  return success();
}

LogicalResult OneHotOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t axis = getAxis();
  dims.push_back(mixSizes(b, getResult(), [&](int64_t i) {
    return i == axis ? getElementAsIndex(b, getLoc(), getDepth(), 0)
                     : getDim(b, getLoc(), getIndices(), i < axis ? i : i - 1);
  }));
  return success();
}

void OneHotOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkNotNegative(b, getLoc(), getDepth(), "the depth", checks);
  checkSameAsType(b, getLoc(), getResult(), getAxis(), getDepth(), checks);
  SizeMath m(b, getLoc());
  if (typeOf(getValues()).isDynamicDim(0))
    checks.push_back({m.compare(Predicate::eq, m.dim(getValues(), 0), m.constant(2)), RuntimeCheck::Shape,
                      "there are not two values"});
}

SmallVector<unsigned> OneHotOp::getShapeOperands() { return {1}; }
KernelRole OneHotOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// TriluOp
//===----------------------------------------------------------------------===//

LogicalResult TriluOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,
                                        DictionaryAttr, OpaqueProperties, RegionRange,
                                        SmallVectorImpl<Type> &types) {
  if (typeOf(operands[0]).getRank() < 2)
    return emitOptionalError(loc, "expected matrices, found ", operands[0].getType());
  if (failed(verifyScalars(loc, operands[1])))
    return failure();
  types.push_back(operands[0].getType());
  return success();
}

LogicalResult TriluOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInput()));
  return success();
}

SmallVector<unsigned> TriluOp::getShapeOperands() { return {1}; }
KernelRole TriluOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// ReverseSequenceOp
//===----------------------------------------------------------------------===//

LogicalResult ReverseSequenceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                  ValueRange operands, DictionaryAttr,
                                                  OpaqueProperties properties, RegionRange,
                                                  SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]), lengths = typeOf(operands[1]);
  auto *p = properties.as<Properties *>();
  int64_t batch = p->getBatchAxis().getInt(), time = p->getTimeAxis().getInt();
  if (batch < 0 || time < 0 || batch == time || batch >= input.getRank() || time >= input.getRank())
    return emitOptionalError(loc, "expected two dimensions of ", input, ", found ", batch, " and ", time);
  if (failed(verifyCompatibleShape(lengths.getShape(), ArrayRef(input.getDimSize(batch)))))
    return emitOptionalError(loc, "expected one length for each batch entry, found ", lengths);
  types.push_back(input);
  return success();
}

LogicalResult ReverseSequenceOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.push_back(getDims(b, getLoc(), getInput()));
  return success();
}

void ReverseSequenceOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  checks.push_back({m.compare(Predicate::eq, m.dim(getInput(), getBatchAxis()), m.dim(getLengths(), 0)),
                    RuntimeCheck::Shape, "there is not one length for each batch entry"});
  pushRangeCheck(b, getLoc(), getLengths(), m.dim(getInput(), getTimeAxis()),
                 "a sequence's length is negative or above the number of time steps", checks);
}

KernelRole ReverseSequenceOp::getKernelRole() { return KernelRole::Indexed; }

//===----------------------------------------------------------------------===//
// CountNonZeroOp, NonZeroOp
//===----------------------------------------------------------------------===//

LogicalResult CountNonZeroOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, ValueRange,
                                               DictionaryAttr, OpaqueProperties, RegionRange,
                                               SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get({}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult CountNonZeroOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &dims) {
  dims.emplace_back();
  return success();
}

KernelRole CountNonZeroOp::getKernelRole() { return KernelRole::Alone; }

LogicalResult NonZeroOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                          ValueRange operands, DictionaryAttr, OpaqueProperties,
                                          RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(verifyScalars(loc, operands[1])))
    return failure();
  types.push_back(RankedTensorType::get({typeOf(operands[0]).getRank(), getKnownSize(operands[1])},
                                        IntegerType::get(context, 64)));
  return success();
}

LogicalResult NonZeroOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  // At most all elements: no data change that, but whoever makes room may want to know.
  SizeMath m(b, getLoc());
  dims.push_back(mixSizes(b, getResult(), [&](int64_t) {
    return m.max(m.min(m.element(getCount(), 0), m.product(m.dims(getInput()))), m.constant(0));
  }));
  return success();
}

void NonZeroOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  // What count_non_zero has counted needs no check.
  checkSameAsType(b, getLoc(), getResult(), 1, getCount(), checks);
}

SmallVector<unsigned> NonZeroOp::getShapeOperands() { return {1}; }
KernelRole NonZeroOp::getKernelRole() { return KernelRole::Alone; }

//===----------------------------------------------------------------------===//
// TopKOp
//===----------------------------------------------------------------------===//

LogicalResult TopKOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, ValueRange operands,
                                       DictionaryAttr, OpaqueProperties properties, RegionRange,
                                       SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]);
  int64_t axis = properties.as<Properties *>()->getAxis().getInt();
  if (failed(verifyScalars(loc, operands[1])))
    return failure();
  if (axis < 0 || axis >= input.getRank())
    return emitOptionalError(loc, "top_k along dimension ", axis, " of ", input);
  SmallVector<int64_t> shape(input.getShape());
  FailureOr<int64_t> k = inferSize(loc, operands[1], "k");
  if (failed(k))
    return failure();
  if (!input.isDynamicDim(axis) && !ShapedType::isDynamic(*k) && *k > shape[axis])
    return emitOptionalError(loc, "k is ", *k, ", but dimension ", axis, " has ", shape[axis], " elements");
  shape[axis] = *k;
  types.push_back(input.clone(shape));
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 64)));
  return success();
}

LogicalResult TopKOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  int64_t axis = getAxis();
  SmallVector<OpFoldResult> sizes = mixSizes(b, getValues(), [&](int64_t i) {
    return i == axis ? getElementAsIndex(b, getLoc(), getK(), 0) : getDim(b, getLoc(), getInput(), i);
  });
  dims.assign(2, sizes);
  return success();
}

void TopKOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  checkNotNegative(b, getLoc(), getK(), "k", checks);
  checkSameAsType(b, getLoc(), getValues(), getAxis(), getK(), checks);
  SizeMath m(b, getLoc());
  checks.push_back({m.compare(Predicate::sle, m.element(getK(), 0), m.dim(getInput(), getAxis())),
                    RuntimeCheck::Value, "k is larger than the dimension"});
}

SmallVector<unsigned> TopKOp::getShapeOperands() { return {1}; }
KernelRole TopKOp::getKernelRole() { return KernelRole::Alone; }

//===----------------------------------------------------------------------===//
// UniqueOp
//===----------------------------------------------------------------------===//

LogicalResult UniqueOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                         ValueRange operands, DictionaryAttr, OpaqueProperties,
                                         RegionRange, SmallVectorImpl<Type> &types) {
  auto input = typeOf(operands[0]);
  if (input.getRank() == 0)
    return emitOptionalError(loc, "expected slices to compare, found ", input);
  Type index = IntegerType::get(context, 64);
  types.append(3, RankedTensorType::get(ArrayRef(input.getDimSize(0)), index));
  types.push_back(RankedTensorType::get({}, index));
  return success();
}

LogicalResult UniqueOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  dims.assign(3, {getDim(b, getLoc(), getInput(), 0)});
  dims.emplace_back();
  return success();
}

KernelRole UniqueOp::getKernelRole() { return KernelRole::Alone; }

//===----------------------------------------------------------------------===//
// NonMaxSuppressionOp
//===----------------------------------------------------------------------===//

LogicalResult NonMaxSuppressionOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                                    ValueRange operands, DictionaryAttr, OpaqueProperties,
                                                    RegionRange, SmallVectorImpl<Type> &types) {
  auto boxes = typeOf(operands[0]), scores = typeOf(operands[1]);
  if (failed(verifyScalars(loc, operands.drop_front(2))))
    return failure();
  if (boxes.getRank() != 3 || scores.getRank() != 3)
    return emitOptionalError(loc, "expected boxes and scores of rank 3, found ", boxes, " and ", scores);
  if (failed(verifyCompatibleDims({boxes.getDimSize(0), scores.getDimSize(0)})) ||
      failed(verifyCompatibleDims({boxes.getDimSize(1), scores.getDimSize(2)})) ||
      failed(verifyCompatibleDims({boxes.getDimSize(2), 4})))
    return emitOptionalError(loc, "boxes and scores do not fit together: ", boxes, " and ", scores);
  int64_t rows = 1, max = getKnownSize(operands[2]);
  int64_t count = ShapedType::isDynamic(boxes.getDimSize(1)) ? scores.getDimSize(2) : boxes.getDimSize(1);
  int64_t batches = ShapedType::isDynamic(boxes.getDimSize(0)) ? scores.getDimSize(0) : boxes.getDimSize(0);
  if (ShapedType::isDynamicShape({max, count, batches, scores.getDimSize(1)}))
    rows = ShapedType::kDynamic;
  else if (llvm::MulOverflow(std::min(max, count), batches, rows) ||
           llvm::MulOverflow(rows, scores.getDimSize(1), rows))
    return emitOptionalError(loc, "more boxes than 64 bits can count");
  Type index = IntegerType::get(context, 64);
  types.push_back(RankedTensorType::get({rows, 3}, index));
  types.push_back(RankedTensorType::get({}, index));
  return success();
}

LogicalResult NonMaxSuppressionOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {
  SizeMath m(b, getLoc());
  dims.push_back(mixSizes(b, getSelected(), [&](int64_t) {
    OpFoldResult max = m.max(m.element(getMaxBoxes(), 0), m.constant(0));
    return m.product({m.dim(getScores(), 0), m.dim(getScores(), 1), m.min(max, m.dim(getBoxes(), 1))});
  }));
  dims.emplace_back();
  return success();
}

void NonMaxSuppressionOp::buildChecks(OpBuilder &b, SmallVectorImpl<RuntimeCheck> &checks) {
  SizeMath m(b, getLoc());
  auto require = [&](Value boxes, int64_t i, OpFoldResult other, StringRef text) {
    checks.push_back({m.compare(Predicate::eq, m.dim(boxes, i), other), RuntimeCheck::Shape, text.str()});
  };
  require(getBoxes(), 0, m.dim(getScores(), 0), "boxes and scores have different batch sizes");
  require(getBoxes(), 1, m.dim(getScores(), 2), "there is not one score for each box");
  require(getBoxes(), 2, m.constant(4), "a box has not four coordinates");
}

SmallVector<unsigned> NonMaxSuppressionOp::getShapeOperands() { return {2}; }
KernelRole NonMaxSuppressionOp::getKernelRole() { return KernelRole::Alone; }
