//===- ProtoFile.cpp - ONNX's files of one tensor ---------------*- C++ -*-===//
#include "tools/nacre/TensorFiles.h"
#include "onnx-ml.pb.h"
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
    return append<uint8_t>(tensor, proto.int32_data());
  }
}

Result<HostTensor> convert(const onnx::TensorProto &proto, const std::string &file) {
  auto bad = [&](const std::string &what) { return Error{NACRE_CORRUPT, file + ": " + what}; };
  HostTensor tensor{nacre_dtype(proto.data_type()), {proto.dims().begin(), proto.dims().end()}, {}};
  if (proto.data_location() == onnx::TensorProto::EXTERNAL || proto.external_data_size())
    return bad("the tensor's data lies in another file, which is not supported for inputs");
  if (!nacre_dtype_bits(proto.data_type()))
    return bad("no ONNX TensorProto of a type that models take (data_type " +
               std::to_string(proto.data_type()) + ")");
  std::optional<size_t> size = getByteSize(tensor.dtype, tensor.dims);
  readElements(proto, tensor);
  if (!size || tensor.data.size() != *size)
    return bad("the tensor's data has " + std::to_string(tensor.data.size()) + " bytes, its shape " +
               describe(tensor.dtype, tensor.dims) + " needs " + (size ? std::to_string(*size) : "more"));
  return tensor;
}

} // namespace

Result<HostTensor> tool::parseProto(StringRef bytes, const std::string &file) {
  onnx::TensorProto proto;
  if (bytes.size() > size_t(INT32_MAX))
    return Error{NACRE_CORRUPT, file + ": more than 2 GiB, which Protobuf cannot hold"};
  if (!proto.ParseFromArray(bytes.data(), int(bytes.size())))
    return Error{NACRE_CORRUPT, file + ": no ONNX TensorProto"};
  return convert(proto, file);
}

Status tool::writeProto(const std::string &path, const std::string &name, const TensorView &tensor) {
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(tensor.dtype());
  for (int64_t dim : tensor.dims())
    proto.add_dims(dim);
  size_t bytes = *getByteSize(tensor.dtype(), tensor.dims());
  proto.set_raw_data(tensor.data(), bytes);
  std::string content;
  if (bytes > size_t(INT32_MAX) || !proto.SerializeToString(&content))
    return Error{NACRE_IO_ERROR, path + ": more than 2 GiB, which Protobuf cannot hold"};
  auto file = llvm::FileOutputBuffer::create(path, content.size());
  if (!file)
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(file.takeError())};
  std::memcpy((*file)->getBufferStart(), content.data(), content.size());
  if (llvm::Error error = (*file)->commit())
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(std::move(error))};
  return {};
}
