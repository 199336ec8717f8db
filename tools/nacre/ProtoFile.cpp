//===- ProtoFile.cpp - ONNX's files of values -------------------*- C++ -*-===//
#include "tools/nacre/TensorFiles.h"
#include "onnx-data.pb.h"
#include "llvm/Support/FileOutputBuffer.h"
#include <cstring>

using namespace nacre;
using namespace nacre::tool;
using llvm::StringRef;

namespace {

/// Appends each number of a repeated field as an element of type T.
template <typename T, typename Field> void append(HostTensor &tensor, const Field &field) {
  size_t begin = tensor.data.size();
  tensor.data.resize(begin + size_t(field.size()) * sizeof(T));
  for (int i = 0; i < field.size(); ++i) {
    T element = T(field.Get(i));
    std::memcpy(&tensor.data[begin + size_t(i) * sizeof(T)], &element, sizeof(T));
  }
}

/// The elements from whichever field the type uses; complex numbers are two of theirs,
/// elements below a byte come packed, a byte per number.
void readElements(const onnx::TensorProto &proto, HostTensor &tensor) {
  if (proto.has_raw_data()) {
    auto *begin = reinterpret_cast<const std::byte *>(proto.raw_data().data());
    tensor.data.assign(begin, begin + proto.raw_data().size());
    return;
  }
  switch (tensor.dtype) {
  case NACRE_F32:
  case NACRE_C64:
    return append<float>(tensor, proto.float_data());
  case NACRE_F64:
  case NACRE_C128:
    return append<double>(tensor, proto.double_data());
  case NACRE_I64:
    return append<int64_t>(tensor, proto.int64_data());
  case NACRE_U64:
    return append<uint64_t>(tensor, proto.uint64_data());
  case NACRE_U32:
    return append<uint32_t>(tensor, proto.uint64_data());
  case NACRE_I32:
    return append<int32_t>(tensor, proto.int32_data());
  case NACRE_I16:
  case NACRE_U16:
  case NACRE_F16:
  case NACRE_BF16:
    return append<uint16_t>(tensor, proto.int32_data());
  default:
    append<uint8_t>(tensor, proto.int32_data());
  }
  // Elements of six bits are packed in raw data only.
  if (nacre_dtype_bits(tensor.dtype) == 6) {
    std::vector<std::byte> elements = std::move(tensor.data);
    tensor.data.assign((elements.size() * 6 + 7) / 8, std::byte());
    nacre_dtype_pack(tensor.dtype, elements.data(), int64_t(elements.size()), tensor.data.data());
  }
}

Result<HostTensor> convertStrings(const onnx::TensorProto &proto, std::vector<int64_t> dims, const std::string &file) {
  std::optional<size_t> count = getByteSize(NACRE_U8, dims);
  if (proto.has_raw_data() || !count || size_t(proto.string_data_size()) != *count)
    return Error{NACRE_CORRUPT, file + ": the tensor has " + std::to_string(proto.string_data_size()) +
                                    " strings, its shape " + describe(NACRE_STRING, dims) + " needs " +
                                    (count ? std::to_string(*count) : "more")};
  return makeStrings(std::move(dims), {proto.string_data().begin(), proto.string_data().end()});
}

Result<HostTensor> convert(const onnx::TensorProto &proto, const std::string &file) {
  auto bad = [&](const std::string &what) { return Error{NACRE_CORRUPT, file + ": " + what}; };
  // Until the number is known to be one of the enumeration's, it is none.
  bool isType = proto.data_type() == NACRE_STRING || nacre_dtype_bits(proto.data_type());
  HostTensor tensor{isType ? nacre_dtype(proto.data_type()) : NACRE_UNDEFINED,
                    {proto.dims().begin(), proto.dims().end()}, {}, {}};
  if (proto.data_location() == onnx::TensorProto::EXTERNAL || proto.external_data_size())
    return bad("the tensor's data lies in another file, which is not supported for inputs");
  if (proto.has_segment())
    return bad("the tensor is stored in segments, which is not supported");
  if (proto.dims_size() > NACRE_MAX_RANK)
    return bad("the tensor has " + std::to_string(proto.dims_size()) + " dimensions, expected at most " +
               std::to_string(NACRE_MAX_RANK));
  if (tensor.dtype == NACRE_STRING)
    return convertStrings(proto, std::move(tensor.dims), file);
  if (!isType)
    return bad("no ONNX TensorProto of a type that models take (data_type " +
               std::to_string(proto.data_type()) + ")");
  std::optional<size_t> size = getByteSize(tensor.dtype, tensor.dims);
  readElements(proto, tensor);
  if (!size || tensor.data.size() != *size)
    return bad("the tensor's data has " + std::to_string(tensor.data.size()) + " bytes, its shape " +
               describe(tensor.dtype, tensor.dims) + " needs " + (size ? std::to_string(*size) : "more"));
  return tensor;
}

void fill(const TensorView &tensor, onnx::TensorProto &proto) {
  proto.set_data_type(tensor.dtype());
  for (int64_t dim : tensor.dims())
    proto.add_dims(dim);
  if (tensor.dtype() == NACRE_STRING)
    for (const nacre_string &string : tensor.as<nacre_string>())
      proto.add_string_data(string.data, size_t(string.size));
  else
    proto.set_raw_data(tensor.data(), *getByteSize(tensor.dtype(), tensor.dims()));
}

void fill(const std::string &name, std::span<const TensorView> tensors, onnx::SequenceProto &proto) {
  proto.set_name(name);
  proto.set_elem_type(onnx::SequenceProto::TENSOR);
  for (const TensorView &tensor : tensors)
    fill(tensor, *proto.add_tensor_values());
}

/// Whether it holds tensors, all of a type.
bool isOfTensors(const onnx::SequenceProto &proto) {
  auto isTensor = [](const onnx::TensorProto &tensor) { return tensor.data_type() != 0; };
  return proto.tensor_values_size() && llvm::all_of(proto.tensor_values(), isTensor);
}

Result<HostValue> convert(const onnx::SequenceProto &proto, const std::string &file) {
  HostValue value;
  for (const onnx::TensorProto &element : proto.tensor_values()) {
    Result<HostTensor> tensor = convert(element, file);
    if (!tensor)
      return tensor.error();
    value.tensors.push_back(*std::move(tensor));
  }
  return value;
}

template <typename Proto> std::optional<Proto> parse(StringRef bytes) {
  Proto proto;
  return proto.ParseFromArray(bytes.data(), int(bytes.size())) ? std::optional(std::move(proto)) : std::nullopt;
}

} // namespace

// The messages say nowhere what they are. An optional is on the wire what a sequence of
// one tensor is, and to a tensor's reader one that is stored in segments. What is no
// tensor and no sequence of some may be an optional sequence, or an empty message.
Result<HostValue> tool::parseProto(StringRef bytes, const std::string &file) {
  if (bytes.size() > size_t(INT32_MAX))
    return Error{NACRE_CORRUPT, file + ": more than 2 GiB, which Protobuf cannot hold"};
  auto sequence = parse<onnx::SequenceProto>(bytes);
  if (sequence && sequence->elem_type() == onnx::SequenceProto::TENSOR && isOfTensors(*sequence))
    return convert(*sequence, file);
  auto tensor = parse<onnx::TensorProto>(bytes);
  Result<HostTensor> converted = tensor ? convert(*tensor, file) : Error{NACRE_CORRUPT, file + ": no ONNX TensorProto"};
  if (converted)
    return HostValue{{*std::move(converted)}};
  auto optional = parse<onnx::OptionalProto>(bytes);
  if (!optional || !optional->unknown_fields().empty() || optional->has_tensor_value() || bytes.empty())
    return converted.error();
  bool isSequence = optional->elem_type() == onnx::OptionalProto::SEQUENCE;
  if (isSequence && optional->has_sequence_value()) {
    const onnx::SequenceProto &inside = optional->sequence_value();
    if (inside.tensor_values_size() ? isOfTensors(inside) : inside.unknown_fields().empty())
      return convert(inside, file);
    return converted.error();
  }
  if (optional->has_sequence_value() || optional->ByteSizeLong() != bytes.size())
    return converted.error();
  // Of a tensor's type, none may be the empty sequence.
  if (optional->elem_type() == onnx::OptionalProto::TENSOR)
    return HostValue{};
  if (isSequence || optional->elem_type() == onnx::OptionalProto::UNDEFINED)
    return HostValue{{}, /*isNothing=*/true};
  return converted.error();
}

Status tool::writeProto(const std::string &path, const ValueInfo &value, std::span<const TensorView> tensors) {
  std::string name(value.name), content;
  size_t bytes = 0;
  for (const TensorView &tensor : tensors) {
    bytes += getByteSize(tensor.dtype(), tensor.dims()).value_or(0);
    for (const nacre_string &string : tensor.as<nacre_string>())
      bytes += size_t(string.size);
  }
  auto serialize = [&](const auto &proto) { return proto.SerializeToString(&content); };
  auto tooLarge = [&] { return Error{NACRE_IO_ERROR, path + ": more than 2 GiB, which Protobuf cannot hold"}; };
  if (bytes > size_t(INT32_MAX))
    return tooLarge();
  bool isSequence = value.kind == NACRE_VALUE_SEQUENCE, written = false;
  if (value.isOptional) {
    onnx::OptionalProto proto;
    proto.set_name(name);
    proto.set_elem_type(isSequence                           ? onnx::OptionalProto::SEQUENCE
                        : value.kind == NACRE_VALUE_TENSOR ? onnx::OptionalProto::TENSOR
                                                             : onnx::OptionalProto::UNDEFINED);
    if (isSequence)
      fill(name, tensors, *proto.mutable_sequence_value());
    else if (!tensors.empty())
      fill(tensors.front(), *proto.mutable_tensor_value());
    written = serialize(proto);
  } else if (isSequence) {
    onnx::SequenceProto proto;
    fill(name, tensors, proto);
    written = serialize(proto);
  } else {
    onnx::TensorProto proto;
    proto.set_name(name);
    fill(tensors.front(), proto);
    written = serialize(proto);
  }
  if (!written)
    return tooLarge();
  auto file = llvm::FileOutputBuffer::create(path, content.size());
  if (!file)
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(file.takeError())};
  std::memcpy((*file)->getBufferStart(), content.data(), content.size());
  if (llvm::Error error = (*file)->commit())
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(std::move(error))};
  return {};
}
