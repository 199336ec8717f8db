//===- RowTracer.cpp - Rows that are computed apart -------------*- C++ -*-===//
#include "compiler/tile/RowTracer.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using tile::RowTracer;

bool RowTracer::run(Value seed) {
  assign(seed, 0);
  while (!worklist.empty() && !failed) {
    Value value = worklist.pop_back_val();
    if (Operation *maker = value.getDefiningOp())
      visit(maker);
    else if (auto argument = cast<BlockArgument>(value); isa<scf::ForOp>(argument.getOwner()->getParentOp()))
      visit(argument.getOwner()->getParentOp());
    for (Operation *user : value.getUsers())
      visit(user);
  }
  return !failed;
}

std::optional<unsigned> RowTracer::getDim(Value value) const {
  auto found = dims.find(value);
  return found == dims.end() ? std::nullopt : std::optional(found->second);
}

std::optional<unsigned> RowTracer::getLoop(linalg::LinalgOp op) const {
  for (OpOperand &operand : op->getOpOperands())
    if (auto dim = getDim(operand.get()))
      return cast<AffineDimExpr>(op.getMatchingIndexingMap(&operand).getResult(*dim)).getPosition();
  return std::nullopt;
}

void RowTracer::assign(Value value, unsigned dim) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || dim >= type.getRank()) {
    failed = true;
    return;
  }
  if (auto [known, isNew] = dims.try_emplace(value, dim); !isNew) {
    failed |= known->second != dim;
    return;
  }
  failed |= rows && rows != type.getDimSize(dim);
  rows = type.getDimSize(dim);
  worklist.push_back(value);
}

void RowTracer::unify(ValueRange values) {
  for (Value value : values)
    if (auto dim = getDim(value)) {
      for (Value other : values)
        assign(other, *dim);
      return;
    }
}

void RowTracer::visit(Operation *op) {
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return visitStructured(structured);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return visitSlice(slice, slice.getSource(), slice.getResult(), slice.getDroppedDims());
  if (auto slice = dyn_cast<tensor::InsertSliceOp>(op)) {
    unify({slice.getDest(), slice.getResult()});
    return visitSlice(slice, slice.getResult(), slice.getSource(), slice.getDroppedDims());
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return visitReshape(expand.getSrc(), expand.getResult(), expand.getReassociationIndices());
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return visitReshape(collapse.getResult(), collapse.getSrc(), collapse.getReassociationIndices());
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
    for (unsigned i = 0; i < loop.getNumResults(); ++i)
      unify({loop.getInitArgs()[i], loop.getRegionIterArg(i), yield.getOperand(i), loop.getResult(i)});
    return;
  }
  if (isa<scf::YieldOp>(op))
    return visit(op->getParentOp());
  failed |= !isa<tensor::EmptyOp, kern::ReturnOp>(op);
}

void RowTracer::visitStructured(linalg::LinalgOp op) {
  if (failed)
    return;
  auto iterators = op.getIteratorTypesArray();
  std::optional<unsigned> loop;
  for (OpOperand &operand : op->getOpOperands())
    if (auto dim = getDim(operand.get())) {
      auto along = dyn_cast<AffineDimExpr>(op.getMatchingIndexingMap(&operand).getResult(*dim));
      failed |= !along || (loop && loop != along.getPosition());
      if (failed)
        return;
      loop = along.getPosition();
    }
  for (Value result : op->getResults())
    if (auto dim = getDim(result); dim && !loop) {
      AffineMap map = op.getIndexingMapMatchingResult(cast<OpResult>(result));
      auto along = dyn_cast<AffineDimExpr>(map.getResult(*dim));
      failed |= !along;
      if (failed)
        return;
      loop = along.getPosition();
    }
  if (!loop)
    return;
  failed |= iterators[*loop] != utils::IteratorType::parallel;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    std::optional<unsigned> place;
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr.isFunctionOfDim(*loop)) {
        failed |= place.has_value() || !isa<AffineDimExpr>(expr);
        place = i;
      }
    if (place)
      assign(operand.get(), *place);
    else
      failed |= getDim(operand.get()).has_value();
    if (failed)
      return;
    if (op.isDpsInit(&operand) && op->getNumResults() != 0) {
      failed |= !place;
      if (!failed)
        assign(op.getTiedOpResult(&operand), *place);
    }
  }
}

void RowTracer::visitSlice(OffsetSizeAndStrideOpInterface slice, Value whole, Value part, const llvm::SmallBitVector &dropped) {
  if (failed)
    return;
  std::optional<unsigned> dim = getDim(whole), inner = getDim(part);
  if (!dim && !inner)
    return;
  auto type = cast<RankedTensorType>(whole.getType());
  unsigned place = 0;
  for (unsigned d = 0; d < type.getRank(); ++d) {
    if (dropped.test(d)) {
      failed |= dim == d;
      continue;
    }
    if ((dim && *dim == d) || (inner && *inner == place)) {
      failed |= slice.isDynamicSize(d) || slice.getStaticSize(d) != type.getDimSize(d) || slice.isDynamicOffset(d) ||
                slice.getStaticOffset(d) != 0 || slice.isDynamicStride(d) || slice.getStaticStride(d) != 1;
      if (failed)
        return;
      assign(whole, d);
      assign(part, place);
      return;
    }
    ++place;
  }
  failed = true;
}

void RowTracer::visitReshape(Value few, Value many, ArrayRef<ReassociationIndices> groups) {
  auto type = cast<RankedTensorType>(many.getType());
  std::optional<unsigned> dim = getDim(few), inner = getDim(many);
  for (auto [d, group] : llvm::enumerate(groups)) {
    bool isHere = (dim && *dim == d) || (inner && llvm::is_contained(group, static_cast<int64_t>(*inner)));
    if (!isHere)
      continue;
    std::optional<unsigned> long_;
    for (int64_t i : group)
      if (type.getDimSize(i) != 1) {
        failed |= long_.has_value();
        long_ = i;
      }
    failed |= !long_;
    if (failed)
      return;
    assign(few, d);
    assign(many, *long_);
  }
}
