//===- Signature.cpp - The model as plain data ------------------*- C++ -*-===//
#include "compiler/codegen/Signature.h"
#include "dialects/nn/NNOps.h"
#include "runtime/abi/nacre_abi.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nacre::codegen;

int32_t nacre::codegen::getDtype(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1: return NACRE_DTYPE_BOOL;
    case 2: return isUnsigned ? NACRE_DTYPE_U2 : NACRE_DTYPE_I2;
    case 4: return isUnsigned ? NACRE_DTYPE_U4 : NACRE_DTYPE_I4;
    case 8: return isUnsigned ? NACRE_DTYPE_U8 : NACRE_DTYPE_I8;
    case 16: return isUnsigned ? NACRE_DTYPE_U16 : NACRE_DTYPE_I16;
    case 32: return isUnsigned ? NACRE_DTYPE_U32 : NACRE_DTYPE_I32;
    case 64: return isUnsigned ? NACRE_DTYPE_U64 : NACRE_DTYPE_I64;
    default: return NACRE_DTYPE_UNDEFINED;
    }
  }
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32()   ? NACRE_DTYPE_C64
           : complex.getElementType().isF64() ? NACRE_DTYPE_C128
                                              : NACRE_DTYPE_UNDEFINED;
  return llvm::TypeSwitch<Type, int32_t>(type)
      .Case([](nacre::nn::StringType) { return NACRE_DTYPE_STRING; })
      .Case([](Float32Type) { return NACRE_DTYPE_F32; })
      .Case([](Float64Type) { return NACRE_DTYPE_F64; })
      .Case([](Float16Type) { return NACRE_DTYPE_F16; })
      .Case([](BFloat16Type) { return NACRE_DTYPE_BF16; })
      .Case([](Float8E4M3FNType) { return NACRE_DTYPE_F8E4M3FN; })
      .Case([](Float8E4M3FNUZType) { return NACRE_DTYPE_F8E4M3FNUZ; })
      .Case([](Float8E5M2Type) { return NACRE_DTYPE_F8E5M2; })
      .Case([](Float8E5M2FNUZType) { return NACRE_DTYPE_F8E5M2FNUZ; })
      .Case([](Float6E2M3FNType) { return NACRE_DTYPE_F6E2M3FN; })
      .Case([](Float6E3M2FNType) { return NACRE_DTYPE_F6E3M2FN; })
      .Case([](Float4E2M1FNType) { return NACRE_DTYPE_F4E2M1FN; })
      .Case([](Float8E8M0FNUType) { return NACRE_DTYPE_F8E8M0FNU; })
      .Default([](Type) { return NACRE_DTYPE_UNDEFINED; });
}

FailureOr<TensorInfo> TensorInfo::get(Location loc, StringRef name, ShapedType type,
                                      ArrayAttr symbols) {
  TensorInfo info;
  info.name = name.str();
  info.dtype = getDtype(type.getElementType());
  if (info.dtype == NACRE_DTYPE_UNDEFINED)
    return emitError(loc) << "'" << name << "' has the element type " << type.getElementType()
                          << ", which the runtime does not know";
  if (type.getRank() > NACRE_ABI_MAX_RANK)
    return emitError(loc) << "'" << name << "' has rank " << type.getRank()
                          << ", but at most " << NACRE_ABI_MAX_RANK << " is supported";
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    bool isDynamic = ShapedType::isDynamic(size);
    info.sizes.push_back(isDynamic ? -1 : size);
    info.symbols.push_back(
        isDynamic && symbols && i < symbols.size() ? cast<StringAttr>(symbols[i]).str() : "");
  }
  return info;
}

static LogicalResult readTensors(func::FuncOp function, StringRef attribute,
                                 std::vector<TensorInfo> &infos) {
  auto list = function->getAttrOfType<ArrayAttr>(attribute);
  if (!list)
    return function.emitOpError("lacks ") << attribute;
  for (auto entry : list.getAsRange<DictionaryAttr>()) {
    auto name = entry.getAs<StringAttr>("name");
    auto type = entry.getAs<TypeAttr>("type");
    auto shaped = type ? dyn_cast<ShapedType>(type.getValue()) : ShapedType();
    if (!name || !shaped || !shaped.hasRank())
      return function.emitOpError("has a malformed ") << attribute;
    FailureOr<TensorInfo> info =
        TensorInfo::get(function.getLoc(), name, shaped, entry.getAs<ArrayAttr>("symbols"));
    if (failed(info))
      return failure();
    infos.push_back(*info);
  }
  return success();
}

/// `nn.input_values` and `nn.output_values`, which frontends put on a function some of whose
/// inputs or outputs are no tensors: the values' names, kinds ("tensor", "sequence",
/// "packed", "map", "maps", "any rank", "nothing", "optional tensor", "maybe tensor", ...) and how many arguments or results each is.
static LogicalResult readValues(func::FuncOp function, StringRef attribute, size_t tensorCount,
                                std::vector<ValueInfo> &values) {
  auto list = function->getAttrOfType<ArrayAttr>(attribute);
  if (!list)
    return success();
  int64_t next = 0;
  for (auto entry : list.getAsRange<DictionaryAttr>()) {
    auto name = entry.getAs<StringAttr>("name"), kind = entry.getAs<StringAttr>("kind");
    auto count = entry.getAs<IntegerAttr>("count");
    if (!name || !kind || !count)
      return function.emitOpError("has malformed ") << attribute;
    StringRef text = kind.getValue();
    ValueInfo value;
    value.name = name.str();
    value.isOptional = text.consume_front("optional ") ? 1 : text.consume_front("maybe ") ? 2 : 0;
    value.kind = llvm::StringSwitch<int32_t>(text)
                     .Case("tensor", NACRE_ABI_TENSOR)
                     .Case("sequence", NACRE_ABI_SEQUENCE)
                     .Case("packed", NACRE_ABI_PACKED)
                     .Case("map", NACRE_ABI_MAP)
                     .Case("maps", NACRE_ABI_MAPS)
                     .Case("any rank", NACRE_ABI_ANY_RANK)
                     .Default(NACRE_ABI_NOTHING);
    value.first = next;
    next += value.count = count.getInt();
    values.push_back(std::move(value));
  }
  if (next != int64_t(tensorCount))
    return function.emitOpError("has ") << attribute << " for " << next << " tensors";
  return success();
}

FailureOr<FunctionInfo> FunctionInfo::get(func::FuncOp function) {
  FunctionInfo info;
  info.name = function.getName().str();
  if (auto size = function->getAttrOfType<IntegerAttr>("nacre.arena_size"))
    info.arenaSize = size.getInt();
  if (failed(readTensors(function, "nacre.inputs", info.inputs)) ||
      failed(readTensors(function, "nacre.outputs", info.outputs)) ||
      failed(readValues(function, "nn.input_values", info.inputs.size(), info.inputValues)) ||
      failed(readValues(function, "nn.output_values", info.outputs.size(), info.outputValues)))
    return failure();
  return info;
}

std::string nacre::codegen::joinNodes(ArrayAttr nodes) {
  if (!nodes)
    return "";
  return llvm::join(llvm::map_range(nodes.getAsRange<StringAttr>(), [](StringAttr s) { return s.getValue(); }),
                    ",");
}
