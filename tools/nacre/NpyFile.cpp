//===- NpyFile.cpp - NumPy's files ------------------------------*- C++ -*-===//
//
// The format: numpy.lib.format, "\x93NUMPY", version, header length, a Python dict
// literal with 'descr', 'fortran_order' and 'shape', then the elements.
//
//===----------------------------------------------------------------------===//
#include "tools/nacre/TensorFiles.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileOutputBuffer.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cstring>

using namespace nacre;
using namespace nacre::tool;
using llvm::StringRef;

namespace {

struct NpyType {
  nacre_dtype dtype;
  const char *descr;
};
constexpr NpyType kTypes[] = {
    {NACRE_F32, "<f4"}, {NACRE_F64, "<f8"}, {NACRE_F16, "<f2"}, {NACRE_I8, "|i1"},  {NACRE_I16, "<i2"},
    {NACRE_I32, "<i4"}, {NACRE_I64, "<i8"}, {NACRE_U8, "|u1"},  {NACRE_U16, "<u2"}, {NACRE_U32, "<u4"},
    {NACRE_U64, "<u8"}, {NACRE_BOOL, "|b1"}, {NACRE_C64, "<c8"}, {NACRE_C128, "<c16"}};

Error bad(const std::string &name, const std::string &what) {
  return {NACRE_CORRUPT, name + ": " + what};
}

/// The text after `'key':` in the header's dict, left-trimmed.
StringRef getField(StringRef header, StringRef key) {
  size_t position = header.find(("'" + key + "'").str());
  if (position == StringRef::npos)
    return {};
  StringRef rest = header.drop_front(position + key.size() + 2).ltrim();
  return rest.consume_front(":") ? rest.ltrim() : StringRef();
}

/// Reverses the bytes of each number; a complex element is two.
void swapBytes(HostTensor &tensor) {
  bool isComplex = tensor.dtype == NACRE_C64 || tensor.dtype == NACRE_C128;
  size_t size = size_t(nacre_dtype_bits(tensor.dtype)) / (isComplex ? 16 : 8);
  for (size_t i = 0; i < tensor.data.size(); i += size)
    std::reverse(&tensor.data[i], &tensor.data[i] + size);
}

/// NumPy's fixed-length strings: code points of 32 bits, zeros at the end.
std::string toUtf8(const char *data, size_t length, bool isBig) {
  std::string text;
  llvm::SmallVector<uint32_t> codes;
  for (size_t i = 0; i < length; ++i)
    codes.push_back(llvm::support::endian::read32(data + 4 * i, isBig ? llvm::endianness::big
                                                                      : llvm::endianness::little));
  while (!codes.empty() && codes.back() == 0)
    codes.pop_back();
  for (uint32_t code : codes) {
    char bytes[4], *end = bytes;
    if (llvm::ConvertCodePointToUTF8(code, end))
      text.append(bytes, end);
    else
      text += "\xEF\xBF\xBD"; // the replacement character
  }
  return text;
}

/// The elements of an array of strings of `length` code points.
Result<HostTensor> parseText(StringRef data, HostTensor tensor, size_t length, bool isBig, bool isFortran,
                             const std::string &name) {
  std::optional<size_t> count = getByteSize(NACRE_U8, tensor.dims);
  if (length > data.size() || !count || *count > data.size() / std::max<size_t>(4 * length, 1))
    return bad(name, "the shape needs more bytes than the file has");
  if (isFortran && tensor.dims.size() > 1)
    return bad(name, "strings in column-major order are not supported");
  std::vector<std::string> strings;
  for (size_t i = 0; i < *count; ++i)
    strings.push_back(toUtf8(data.data() + 4 * length * i, length, isBig));
  return makeStrings(std::move(tensor.dims), std::move(strings));
}

/// Moves column-major elements into row-major order.
void transposeOrder(HostTensor &tensor, size_t elementSize) {
  std::vector<std::byte> source = std::move(tensor.data);
  tensor.data.resize(source.size());
  size_t rank = tensor.dims.size();
  std::vector<size_t> strides(rank), index(rank);
  size_t stride = 1;
  for (size_t i = 0; i < rank; ++i) {
    strides[i] = stride;
    stride *= size_t(tensor.dims[i]);
  }
  for (size_t to = 0; to < tensor.data.size(); to += elementSize) {
    size_t from = 0;
    for (size_t i = 0; i < rank; ++i)
      from += index[i] * strides[i];
    std::memcpy(&tensor.data[to], &source[from * elementSize], elementSize);
    for (size_t i = rank; i-- > 0 && ++index[i] == size_t(tensor.dims[i]);)
      index[i] = 0;
  }
}

/// What the header says.
struct Header {
  HostTensor tensor; // without its elements
  StringRef data;    // all that follows
  size_t textLength = 0;
  bool isText = false, isBig = false, isFortran = false;
};

/// The elements need not all be there if the file is not whole.
Result<Header> parseHeader(StringRef bytes, const std::string &name, bool isWhole = true) {
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 10)
    return bad(name, "no .npy file");
  unsigned version = uint8_t(bytes[6]);
  size_t prefix = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || bytes.size() < prefix)
    return bad(name, "unknown .npy version");
  size_t headerSize = version == 1 ? llvm::support::endian::read16le(bytes.data() + 8)
                                   : llvm::support::endian::read32le(bytes.data() + 8);
  if (bytes.size() - prefix < headerSize)
    return bad(name, "the header is truncated");
  StringRef header = bytes.substr(prefix, headerSize);
  Header result;
  HostTensor &tensor = result.tensor;
  result.data = bytes.drop_front(prefix + headerSize);

  StringRef descr = getField(header, "descr");
  if (!descr.consume_front("'"))
    return bad(name, "the header has no plain 'descr': structured types are not supported");
  descr = descr.take_until([](char c) { return c == '\''; });
  // The first character is the byte order: < little, > big, | or = where it has none.
  StringRef kind = descr.substr(1), textLength = kind; // "" of none
  for (const NpyType &type : kTypes)
    if (kind == StringRef(type.descr).drop_front())
      tensor.dtype = type.dtype;
  result.isText = textLength.consume_front("U") && !textLength.getAsInteger(10, result.textLength);
  if (tensor.dtype == NACRE_UNDEFINED && !result.isText)
    return bad(name, "elements of NumPy's type '" + descr.str() +
                         "' are not supported; types that NumPy lacks travel as ONNX TensorProto (.pb)");
  StringRef shape = getField(header, "shape");
  if (!shape.consume_front("("))
    return bad(name, "the header has no 'shape'");
  shape = shape.take_until([](char c) { return c == ')'; });
  llvm::SmallVector<StringRef> parts;
  shape.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    int64_t size = 0;
    if (part.trim().empty())
      continue;
    if (part.trim().getAsInteger(10, size) || size < 0)
      return bad(name, "malformed shape (" + shape.str() + ")");
    tensor.dims.push_back(size);
  }
  result.isBig = descr.starts_with(">");
  result.isFortran = getField(header, "fortran_order").starts_with("True");
  if (result.isText || !isWhole)
    return result;
  std::optional<size_t> size = getByteSize(tensor.dtype, tensor.dims);
  if (!size || result.data.size() < *size)
    return bad(name, "the shape (" + shape.str() + ") needs more bytes than the file has");
  result.data = result.data.take_front(*size);
  return result;
}

} // namespace

Result<HostTensor> tool::parseNpy(StringRef bytes, const std::string &name) {
  Result<Header> header = parseHeader(bytes, name);
  if (!header)
    return header.error();
  HostTensor tensor = std::move(header->tensor);
  if (header->isText)
    return parseText(header->data, std::move(tensor), header->textLength, header->isBig, header->isFortran, name);
  auto *begin = reinterpret_cast<const std::byte *>(header->data.data());
  tensor.data.assign(begin, begin + header->data.size());
  if (header->isFortran && tensor.dims.size() > 1)
    transposeOrder(tensor, size_t(nacre_dtype_bits(tensor.dtype) / 8));
  if (header->isBig)
    swapBytes(tensor);
  return tensor;
}

std::optional<TensorView> tool::viewNpy(StringRef bytes) {
  Result<Header> header = parseHeader(bytes, "");
  if (!header || header->isText || header->isBig || (header->isFortran && header->tensor.dims.size() > 1))
    return std::nullopt;
  return TensorView(header->data.data(), header->tensor.dtype, header->tensor.dims);
}

std::optional<TensorView> tool::describeNpy(StringRef bytes) {
  Result<Header> header = parseHeader(bytes, "", /*isWhole=*/false);
  if (!header || header->tensor.dims.size() > NACRE_MAX_RANK)
    return std::nullopt;
  return TensorView(nullptr, header->isText ? NACRE_STRING : header->tensor.dtype, header->tensor.dims);
}

bool tool::isNpyType(nacre_dtype dtype) {
  return llvm::any_of(kTypes, [&](const NpyType &type) { return type.dtype == dtype; });
}

Status tool::writeNpy(const std::string &path, const TensorView &tensor) {
  std::string descr, shape;
  for (const NpyType &type : kTypes)
    if (type.dtype == tensor.dtype())
      descr = type.descr;
  for (int64_t dim : tensor.dims())
    shape += std::to_string(dim) + (tensor.dims().size() == 1 ? "," : &dim == &tensor.dims().back() ? "" : ", ");
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The elements start at a multiple of 64.
  header.resize(llvm::alignTo(10 + header.size() + 1, 64) - 10 - 1, ' ');
  header += '\n';
  size_t bytes = *getByteSize(tensor.dtype(), tensor.dims());
  auto file = llvm::FileOutputBuffer::create(path, 10 + header.size() + bytes);
  if (!file)
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(file.takeError())};
  uint8_t *out = (*file)->getBufferStart();
  std::memcpy(out, "\x93NUMPY\x01\x00", 8);
  llvm::support::endian::write16le(out + 8, uint16_t(header.size()));
  std::memcpy(out + 10, header.data(), header.size());
  if (bytes)
    std::memcpy(out + 10 + header.size(), tensor.data(), bytes);
  if (llvm::Error error = (*file)->commit())
    return Error{NACRE_IO_ERROR, path + ": " + llvm::toString(std::move(error))};
  return {};
}
