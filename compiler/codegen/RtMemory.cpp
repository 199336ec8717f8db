//===- RtMemory.cpp - rt's buffers to the llvm dialect ----------*- C++ -*-===//
#include "compiler/codegen/RtToLLVM.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

namespace {

/// `base + offset` bytes.
Value byteOffset(OpBuilder &builder, Location loc, Value base, int64_t offset) {
  if (offset == 0)
    return base;
  Value bytes = LLVM::ConstantOp::create(builder, loc, builder.getI64Type(),
                                         builder.getI64IntegerAttr(offset));
  return LLVM::GEPOp::create(builder, loc, base.getType(), builder.getI8Type(), base,
                             ValueRange{bytes}, LLVM::GEPNoWrapFlags::inbounds);
}

void replace(Operation *op, Value value) {
  op->getResult(0).replaceAllUsesWith(value);
  op->erase();
}

} // namespace

Value RtFunction::addressOf(rt::ArenaOp op) {
  return byteOffset(builder, loc, loadField(ptr, abi::offset::arena), op.getOffset());
}

Value RtFunction::addressOf(rt::ParameterOp op) {
  Value base = loadField(ptr, op.getState() ? abi::offset::state : abi::offset::parameters);
  return byteOffset(builder, loc, base, op.getOffset().value_or(0));
}

Value RtFunction::loadOfInput(Type type, int64_t index, int64_t offset) {
  Value address = byteOffset(builder, loc, function.getArgument(1),
                             index * abi::offset::tensorSize + offset);
  return LLVM::LoadOp::create(builder, loc, type, address, 0, false, false, /*isInvariant=*/true);
}

Value RtFunction::addressOf(rt::InputOp op) {
  return loadOfInput(ptr, op.getIndex(), abi::offset::tensorData);
}

Value RtFunction::constantAddress(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type || !type.hasStaticShape() || !type.getLayout().isIdentity())
    return {};
  Operation *op = memref.getDefiningOp();
  if (!op)
    return {};
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<rt::ArenaOp, rt::ParameterOp, rt::InputOp>([&](auto op) { return addressOf(op); })
      // Dense before and after: the same bytes.
      .Case<memref::CastOp, memref::ExpandShapeOp, memref::CollapseShapeOp>(
          [&](auto op) { return constantAddress(op->getOperand(0)); })
      .Default([](Operation *) { return Value(); });
}

void RtFunction::lowerArena(rt::ArenaOp op) {
  if (!op.use_empty())
    op.replaceAllUsesWith(calling.memref(builder, loc, cast<MemRefType>(op.getType()), addressOf(op), {}));
  op.erase();
}

void RtFunction::lowerParameter(rt::ParameterOp op) {
  if (!op.use_empty())
    op.replaceAllUsesWith(calling.memref(builder, loc, cast<MemRefType>(op.getType()), addressOf(op), {}));
  op.erase();
}

void RtFunction::lowerInput(rt::InputOp op) {
  auto type = cast<MemRefType>(op.getType());
  if (!op.use_empty()) {
    Value data = addressOf(op);
    SmallVector<Value> sizes;
    if (!type.hasStaticShape()) {
      Value dims = loadOfInput(ptr, op.getIndex(), abi::offset::tensorDims);
      for (auto [i, size] : llvm::enumerate(type.getShape()))
        if (ShapedType::isDynamic(size))
          sizes.push_back(LLVM::LoadOp::create(
              builder, loc, i64, byteOffset(builder, loc, dims, i * sizeof(int64_t)), 0, false,
              false, /*isInvariant=*/true));
    }
    op.replaceAllUsesWith(calling.memref(builder, loc, type, data, sizes));
  }
  op.erase();
}

LogicalResult RtFunction::lowerOutput(rt::OutputOp op) {
  auto type = cast<MemRefType>(op.getType());
  if (!type.getLayout().isIdentity())
    return op.emitOpError("must be dense");
  SmallVector<Value> sizes;
  for (Value size : op.getSizes())
    sizes.push_back(toI64(size));
  Value dims = entryAlloca(i64, std::max<int64_t>(type.getRank(), 1));
  size_t dynamic = 0;
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    Value value = ShapedType::isDynamic(size) ? sizes[dynamic++] : constant(size);
    LLVM::StoreOp::create(builder, loc, value, byteOffset(builder, loc, dims, i * sizeof(int64_t)));
  }
  Value address = callField(abi::offset::outputFor, ptr,
                            {constant(op.getIndex(), 32), constant(type.getRank(), 32), dims, nodeOf(op)});
  Value null = LLVM::ZeroOp::create(builder, loc, ptr);
  Value some = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, address, null);
  returnUnless(some, NACRE_ABI_OUT_OF_MEMORY);
  replace(op, calling.memref(builder, loc, type, address, sizes));
  return success();
}

void RtFunction::lowerAllocation(Operation *op, int64_t functionOffset, ValueRange more) {
  auto type = cast<MemRefType>(op->getResult(0).getType());
  SmallVector<Value> sizes;
  for (Value size : op->getOperands())
    sizes.push_back(toI64(size));
  SmallVector<Value> arguments{calling.sizeInBytes(builder, loc, type, sizes)};
  llvm::append_range(arguments, more);
  Value address = callField(functionOffset, ptr, arguments);
  Value null = LLVM::ZeroOp::create(builder, loc, ptr);
  Value some = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, address, null);
  returnUnless(some, NACRE_ABI_OUT_OF_MEMORY);
  replace(op, calling.memref(builder, loc, type, address, sizes));
}

void RtFunction::lowerRelease(rt::ReleaseOp op) {
  callField(abi::offset::release, voidType, calling.address(builder, loc, op.getBuffer()));
  op.erase();
}

void RtFunction::lowerMark(rt::MarkOp op) {
  replace(op, callField(abi::offset::mark, i64, {}));
}

void RtFunction::lowerReleaseSince(rt::ReleaseSinceOp op) {
  Value kept = entryAlloca(ptr, std::max<int64_t>(op.getKept().size(), 1));
  for (auto [i, buffer] : llvm::enumerate(op.getKept()))
    LLVM::StoreOp::create(builder, loc, calling.address(builder, loc, buffer),
                          byteOffset(builder, loc, kept, i * sizeof(void *)));
  callField(abi::offset::releaseSince, voidType, {op.getMark(), kept, constant(op.getKept().size())});
  op.erase();
}
