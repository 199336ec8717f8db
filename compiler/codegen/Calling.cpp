//===- Calling.cpp - How values travel in calls of kernels ------*- C++ -*-===//
#include "compiler/codegen/Calling.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace nacre::codegen;

namespace {

Value constant(OpBuilder &builder, Location loc, int64_t value) {
  return LLVM::ConstantOp::create(builder, loc, builder.getI64Type(),
                                  builder.getI64IntegerAttr(value));
}

struct Layout {
  SmallVector<int64_t> strides;
  int64_t offset;
  bool identity;
};

FailureOr<Layout> layoutOf(MemRefType type) {
  Layout layout;
  if (failed(type.getStridesAndOffset(layout.strides, layout.offset)))
    return failure();
  layout.identity = type.getLayout().isIdentity();
  return layout;
}

} // namespace

LogicalResult Calling::appendTypes(Type type, SmallVectorImpl<Type> &types) const {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref) {
    Type converted = converter.convertType(type);
    if (!converted)
      return failure();
    types.push_back(converted);
    return success();
  }
  FailureOr<Layout> layout = layoutOf(memref);
  if (failed(layout) || !converter.convertType(memref.getElementType()))
    return failure();
  types.push_back(LLVM::LLVMPointerType::get(type.getContext()));
  size_t dynamic = memref.getNumDynamicDims();
  if (!layout->identity)
    dynamic += llvm::count_if(layout->strides, ShapedType::isDynamic);
  types.append(dynamic, IntegerType::get(type.getContext(), 64));
  return success();
}

Value Calling::toLLVM(OpBuilder &builder, Location loc, Value value) const {
  Type converted = converter.convertType(value.getType());
  if (converted == value.getType())
    return value;
  return UnrealizedConversionCastOp::create(builder, loc, converted, value).getResult(0);
}

Value Calling::fromLLVM(OpBuilder &builder, Location loc, Type type, Value value) const {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(builder, loc, type, value).getResult(0);
}

Value Calling::address(OpBuilder &builder, Location loc, Value memref) const {
  auto type = cast<MemRefType>(memref.getType());
  MemRefDescriptor descriptor(toLLVM(builder, loc, memref));
  return descriptor.bufferPtr(builder, loc, converter, type);
}

void Calling::flatten(OpBuilder &builder, Location loc, Value value,
                      SmallVectorImpl<Value> &flat) const {
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type) {
    flat.push_back(toLLVM(builder, loc, value));
    return;
  }
  FailureOr<Layout> layout = layoutOf(type);
  assert(succeeded(layout) && "appendTypes has refused it");
  MemRefDescriptor descriptor(toLLVM(builder, loc, value));
  flat.push_back(descriptor.bufferPtr(builder, loc, converter, type));
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    if (ShapedType::isDynamic(size))
      flat.push_back(descriptor.size(builder, loc, i));
  if (!layout->identity)
    for (auto [i, stride] : llvm::enumerate(layout->strides))
      if (ShapedType::isDynamic(stride))
        flat.push_back(descriptor.stride(builder, loc, i));
}

Value Calling::rebuild(OpBuilder &builder, Location loc, Type type, ValueRange &flat) const {
  auto take = [&]() {
    Value front = flat.front();
    flat = flat.drop_front();
    return front;
  };
  auto memrefType = dyn_cast<MemRefType>(type);
  if (!memrefType)
    return fromLLVM(builder, loc, type, take());
  Value pointer = take();
  SmallVector<Value> sizes;
  for (int64_t i = 0, e = memrefType.getNumDynamicDims(); i < e; ++i)
    sizes.push_back(take());
  Value identity = memref(builder, loc, memrefType, pointer, sizes);
  FailureOr<Layout> layout = layoutOf(memrefType);
  if (layout->identity)
    return identity;
  MemRefDescriptor descriptor(toLLVM(builder, loc, identity));
  for (auto [i, stride] : llvm::enumerate(layout->strides))
    if (ShapedType::isDynamic(stride))
      descriptor.setStride(builder, loc, i, take());
  return fromLLVM(builder, loc, memrefType, descriptor);
}

static Value fieldAddress(OpBuilder &builder, Location loc, Type structure, Value address,
                          size_t field) {
  return LLVM::GEPOp::create(builder, loc, address.getType(), structure, address,
                             ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(field)});
}

void Calling::storeFields(OpBuilder &builder, Location loc, ValueRange values, Value address) const {
  auto types = llvm::to_vector(values.getTypes());
  Type structure = LLVM::LLVMStructType::getLiteral(builder.getContext(), types);
  for (auto [i, value] : llvm::enumerate(values))
    LLVM::StoreOp::create(builder, loc, value, fieldAddress(builder, loc, structure, address, i));
}

SmallVector<Value> Calling::loadFields(OpBuilder &builder, Location loc, ArrayRef<Type> types,
                                       Value address) const {
  Type structure = LLVM::LLVMStructType::getLiteral(builder.getContext(), types);
  SmallVector<Value> values;
  for (auto [i, type] : llvm::enumerate(types))
    values.push_back(LLVM::LoadOp::create(builder, loc, type,
                                          fieldAddress(builder, loc, structure, address, i)));
  return values;
}

Value Calling::memref(OpBuilder &builder, Location loc, MemRefType type, Value address,
                      ValueRange sizes) const {
  FailureOr<Layout> layout = layoutOf(type);
  assert(succeeded(layout) && "a memref without strides");
  auto descriptor = MemRefDescriptor::poison(builder, loc, converter.convertType(type));
  // The address is that of the first element, the descriptor's pointer lies a
  // static offset before it. A dynamic offset is 0.
  Value base = address;
  if (!ShapedType::isDynamic(layout->offset) && layout->offset != 0)
    base = LLVM::GEPOp::create(builder, loc, address.getType(),
                               converter.convertType(type.getElementType()), address,
                               ValueRange{constant(builder, loc, -layout->offset)});
  descriptor.setAllocatedPtr(builder, loc, base);
  descriptor.setAlignedPtr(builder, loc, base);
  descriptor.setConstantOffset(builder, loc,
                               ShapedType::isDynamic(layout->offset) ? 0 : layout->offset);
  // Strides from the innermost dimension out; static ones are constants.
  Value running;
  size_t dynamic = sizes.size();
  for (int64_t i = type.getRank() - 1; i >= 0; --i) {
    int64_t size = type.getDimSize(i), stride = layout->strides[i];
    Value sizeValue =
        ShapedType::isDynamic(size) ? sizes[--dynamic] : constant(builder, loc, size);
    Value strideValue =
        !ShapedType::isDynamic(stride) ? constant(builder, loc, stride)
        : layout->identity            ? running
                                      : constant(builder, loc, 0); // set by the caller
    descriptor.setSize(builder, loc, i, sizeValue);
    descriptor.setStride(builder, loc, i, strideValue);
    if (layout->identity && i > 0 && ShapedType::isDynamic(layout->strides[i - 1]))
      running = LLVM::MulOp::create(builder, loc, strideValue, sizeValue);
  }
  return fromLLVM(builder, loc, type, descriptor);
}

Value Calling::sizeInBytes(OpBuilder &builder, Location loc, MemRefType type,
                           ValueRange sizes) const {
  DataLayout layout; // of builtin types, where host and target agree
  int64_t bytes = layout.getTypeSize(type.getElementType());
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      bytes *= size;
  Value product = constant(builder, loc, bytes), invalid;
  for (Value size : sizes) {
    // Sizes may come from the model's inputs: what overflows, or is negative,
    // asks for more than there is, and fails.
    auto i1 = builder.getI1Type();
    auto multiply = LLVM::UMulWithOverflowOp::create(
        builder, loc,
        LLVM::LLVMStructType::getLiteral(builder.getContext(), {product.getType(), i1}), product,
        size);
    Value overflow = LLVM::ExtractValueOp::create(builder, loc, multiply, ArrayRef<int64_t>{1});
    product = LLVM::ExtractValueOp::create(builder, loc, multiply, ArrayRef<int64_t>{0});
    invalid = invalid ? LLVM::OrOp::create(builder, loc, invalid, overflow) : overflow;
  }
  if (!invalid)
    return product;
  Value negative = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::slt, product,
                                        constant(builder, loc, 0));
  invalid = LLVM::OrOp::create(builder, loc, invalid, negative);
  return LLVM::SelectOp::create(builder, loc, invalid, constant(builder, loc, INT64_MAX), product);
}
