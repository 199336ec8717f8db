//===- TensorData.cpp - TensorProto as an attribute -------------*- C++ -*-===//
#include "frontends/onnx/TensorData.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Alignment.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::TensorProto;

static_assert(
    llvm::endianness::native == llvm::endianness::little,
    "ONNX stores little-endian; elements would have to be swapped here");

Type frontend::getElementType(MLIRContext *context, int64_t dataType) {
  Builder b(context);
  auto unsignedType = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return b.getF32Type();
  case TensorProto::DOUBLE:
    return b.getF64Type();
  case TensorProto::FLOAT16:
    return b.getF16Type();
  case TensorProto::BFLOAT16:
    return b.getBF16Type();
  case TensorProto::INT8:
    return b.getI8Type();
  case TensorProto::INT16:
    return b.getIntegerType(16);
  case TensorProto::INT32:
    return b.getI32Type();
  case TensorProto::INT64:
    return b.getI64Type();
  case TensorProto::UINT8:
    return unsignedType(8);
  case TensorProto::UINT16:
    return unsignedType(16);
  case TensorProto::UINT32:
    return unsignedType(32);
  case TensorProto::UINT64:
    return unsignedType(64);
  case TensorProto::BOOL:
    return b.getI1Type();
  case TensorProto::STRING:
    return nn::StringType::get(context);
  case TensorProto::INT4:
    return b.getIntegerType(4);
  case TensorProto::INT2:
    return b.getIntegerType(2);
  case TensorProto::UINT4:
    return unsignedType(4);
  case TensorProto::UINT2:
    return unsignedType(2);
  case TensorProto::FLOAT8E4M3FN:
    return b.getType<Float8E4M3FNType>();
  case TensorProto::FLOAT8E4M3FNUZ:
    return b.getType<Float8E4M3FNUZType>();
  case TensorProto::FLOAT8E5M2:
    return b.getType<Float8E5M2Type>();
  case TensorProto::FLOAT8E5M2FNUZ:
    return b.getType<Float8E5M2FNUZType>();
  case TensorProto::FLOAT8E8M0:
    return b.getType<Float8E8M0FNUType>();
  case TensorProto::FLOAT6E2M3:
    return b.getType<Float6E2M3FNType>();
  case TensorProto::FLOAT6E3M2:
    return b.getType<Float6E3M2FNType>();
  case TensorProto::FLOAT4E2M1:
    return b.getType<Float4E2M1FNType>();
  default:
    return {};
  }
}

int64_t frontend::getDataType(Type elementType) {
  for (int64_t type = 1; type <= TensorProto::DataType_MAX; ++type)
    if (getElementType(elementType.getContext(), type) == elementType)
      return type;
  return TensorProto::UNDEFINED;
}

std::string frontend::getDataTypeName(int64_t dataType) {
  // Lite messages have no descriptors, but enums keep their names.
  if (dataType >= 0 && dataType <= TensorProto::DataType_MAX &&
      TensorProto::DataType_IsValid(int(dataType)))
    return TensorProto::DataType_Name(TensorProto::DataType(dataType));
  return "type " + std::to_string(dataType);
}

bool frontend::isSmall(RankedTensorType type) {
  return type.getNumElements() <=
         (type.getElementType().isInteger() ? 256 : 16);
}

/// Bits of an element where it is stored; booleans take a byte.
static unsigned elementBits(Type type) {
  return isa<nn::StringType>(type) ? 64 : type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth();
}

RankedTensorType frontend::getTensorType(MLIRContext *context,
                                         const TensorProto &tensor,
                                         std::string &error) {
  auto refuse = [&](const Twine &why) {
    error = why.str();
    return RankedTensorType();
  };
  if (tensor.has_segment())
    return refuse("it is stored in segments, which is not supported");
  Type element = getElementType(context, tensor.data_type());
  if (!element)
    return refuse("its element type " + getDataTypeName(tensor.data_type()) +
                  " is not supported");
  if (tensor.dims_size() > kMaxRank)
    return refuse("its rank is " + Twine(tensor.dims_size()) +
                  ", expected at most " + Twine(kMaxRank));
  int64_t bytes = llvm::divideCeil(elementBits(element), 8);
  for (int64_t size : tensor.dims()) {
    if (size < 0)
      return refuse("it has the negative size " + Twine(size));
    // Without zeros, so that no partial product overflows either.
    if (size != 0 && llvm::MulOverflow(bytes, size, bytes))
      return refuse("its sizes overflow 64 bits");
  }
  return RankedTensorType::get(
      SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
      element);
}

namespace {
/// The bytes of a tensor in the layout of a resource.
struct Storage {
  ArrayRef<char> bytes;
  /// One of the two keeps them.
  std::shared_ptr<llvm::MemoryBuffer> file;
  std::unique_ptr<std::vector<char>> heap;
};
} // namespace

/// Elements of a typed field, narrowed to their width.
template <typename T, typename Field>
static bool narrow(const Field &field, std::vector<char> &bytes,
                   std::string &error) {
  bytes.resize(field.size() * sizeof(T));
  size_t at = 0;
  for (auto element : field) {
    T narrowed = static_cast<T>(element);
    if (static_cast<decltype(element)>(narrowed) != element &&
        element == element) {
      error = "element " + std::to_string(at) +
              " of its data does not fit the element type";
      return false;
    }
    std::memcpy(bytes.data() + at++ * sizeof(T), &narrowed, sizeof(T));
  }
  return true;
}

static bool readTypedData(const TensorProto &tensor, std::vector<char> &bytes,
                          std::string &error) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return narrow<float>(tensor.float_data(), bytes, error);
  case TensorProto::DOUBLE:
    return narrow<double>(tensor.double_data(), bytes, error);
  case TensorProto::INT64:
    return narrow<int64_t>(tensor.int64_data(), bytes, error);
  case TensorProto::INT32:
    return narrow<int32_t>(tensor.int32_data(), bytes, error);
  case TensorProto::INT16:
    return narrow<int16_t>(tensor.int32_data(), bytes, error);
  case TensorProto::INT8:
    return narrow<int8_t>(tensor.int32_data(), bytes, error);
  case TensorProto::UINT16: // the 16-bit floats are stored as their bits
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return narrow<uint16_t>(tensor.int32_data(), bytes, error);
  case TensorProto::UINT8:
  case TensorProto::BOOL:
  case TensorProto::INT4: // as packed bytes, the lowest bits first
  case TensorProto::UINT4:
  case TensorProto::INT2:
  case TensorProto::UINT2:
  case TensorProto::FLOAT4E2M1:
  case TensorProto::FLOAT6E2M3: // and these floats as their bits
  case TensorProto::FLOAT6E3M2:
  case TensorProto::FLOAT8E4M3FN:
  case TensorProto::FLOAT8E4M3FNUZ:
  case TensorProto::FLOAT8E5M2:
  case TensorProto::FLOAT8E5M2FNUZ:
  case TensorProto::FLOAT8E8M0:
    return narrow<uint8_t>(tensor.int32_data(), bytes, error);
  case TensorProto::UINT32:
    return narrow<uint32_t>(tensor.uint64_data(), bytes, error);
  case TensorProto::UINT64:
    return narrow<uint64_t>(tensor.uint64_data(), bytes, error);
  default:
    error = "its element type is not supported";
    return false;
  }
}

static std::optional<Storage> getStorage(const TensorProto &tensor,
                                         RankedTensorType type, ModelFile &file,
                                         std::string &error) {
  Storage storage;
  unsigned bits = elementBits(type.getElementType());
  // Elements of six bits are packed in raw data only.
  bool isPacked = bits < 8 && (bits != 6 || tensor.int32_data_size() == 0);
  uint64_t expected = isPacked ? nn::getPackedBytes(type.getNumElements(), bits)
                               : uint64_t(type.getNumElements()) * llvm::divideCeil(bits, 8);
  bool external = tensor.data_location() == TensorProto::EXTERNAL;
  size_t typed = tensor.float_data_size() + tensor.double_data_size() +
                 tensor.int32_data_size() + tensor.int64_data_size() +
                 tensor.uint64_data_size() + tensor.string_data_size();
  if (typed && (external || tensor.has_raw_data())) {
    error = "its data is stored twice, raw and typed";
    return std::nullopt;
  }
  if (external || tensor.has_raw_data()) {
    auto found = file.tensorBytes(tensor, error);
    if (!found)
      return std::nullopt;
    if (found->open && found->bytes.size() > expected)
      found->bytes = found->bytes.take_front(expected);
    storage.bytes = found->bytes;
    storage.file = std::move(found->owner);
  } else {
    storage.heap = std::make_unique<std::vector<char>>();
    if (!readTypedData(tensor, *storage.heap, error))
      return std::nullopt;
    storage.bytes = *storage.heap;
  }
  if (storage.bytes.size() != expected) {
    error = "its data has " + std::to_string(storage.bytes.size()) +
            " bytes, its type needs " + std::to_string(expected);
    return std::nullopt;
  }
  if (bits < 8) {
    auto elements = std::make_unique<std::vector<char>>(type.getNumElements());
    if (isPacked)
      nn::unpackElements(storage.bytes, bits, type.getElementType().isSignlessInteger(), *elements);
    else
      llvm::transform(storage.bytes, elements->begin(), [&](char code) { return code & ((1 << bits) - 1); });
    storage.heap = std::move(elements);
    storage.bytes = *storage.heap;
    storage.file.reset();
  }
  // A boolean is 0 or 1 everywhere after here.
  if (type.getElementType().isInteger(1) &&
      llvm::any_of(storage.bytes, [](char byte) { return byte & ~1; })) {
    auto normal = std::make_unique<std::vector<char>>(storage.bytes.begin(),
                                                      storage.bytes.end());
    for (char &byte : *normal)
      byte = byte != 0;
    storage.heap = std::move(normal);
    storage.bytes = *storage.heap;
    storage.file.reset();
  }
  return storage;
}

ArrayAttr frontend::getStrings(const TensorProto &tensor, RankedTensorType type, std::string &error) {
  if (tensor.data_location() == TensorProto::EXTERNAL || tensor.has_raw_data())
    error = "strings are stored raw or in another file, which is not allowed";
  else if (tensor.string_data_size() != type.getNumElements())
    error = "it has " + std::to_string(tensor.string_data_size()) + " strings, its type needs " +
            std::to_string(type.getNumElements());
  else
    return Builder(type.getContext()).getStrArrayAttr(
        SmallVector<StringRef>(tensor.string_data().begin(), tensor.string_data().end()));
  return {};
}

ElementsAttr frontend::getTensorValue(const TensorProto &tensor,
                                      RankedTensorType type, StringRef name,
                                      bool inIR, ModelFile &file,
                                      std::string &error) {
  auto storage = getStorage(tensor, type, file, error);
  if (!storage)
    return {};
  if (inIR) {
    if (type.getElementType().isInteger(1)) {
      SmallVector<bool> values;
      for (char byte : storage->bytes)
        values.push_back(byte);
      return DenseElementsAttr::get(type, ArrayRef<bool>(values));
    }
    if (storage->bytes.empty())
      return DenseElementsAttr::get(type, ArrayRef<Attribute>());
    if (unsigned bits = elementBits(type.getElementType()); bits < 8) { // no sign above them here
      SmallVector<char> elements(storage->bytes);
      for (char &element : elements)
        element &= (1 << bits) - 1;
      return DenseElementsAttr::getFromRawBuffer(type, elements);
    }
    return DenseElementsAttr::getFromRawBuffer(type, storage->bytes);
  }
  // Bytes in a file may be aligned to less than an element: readers copy them.
  ArrayRef<char> bytes = storage->bytes;
  size_t alignment = 64;
  while (reinterpret_cast<uintptr_t>(bytes.data()) % alignment != 0)
    alignment /= 2;
  AsmResourceBlob blob(
      bytes, alignment,
      [owner = std::move(*storage)](void *data, size_t size, size_t) mutable {
        if (owner.file)
          dropPages(*owner.file, ArrayRef(static_cast<const char *>(data), size));
        owner.file.reset();
        owner.heap.reset();
      },
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}
