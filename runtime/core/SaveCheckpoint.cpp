// A session's mutable parameters into a .safetensors file.
#include "runtime/core/Checkpoint.h"
#include "runtime/core/SafeTensors.h"
#include "runtime/core/Session.h"

#include "runtime/abi/nacre_dtype.h"

#include <cstdio>

namespace nacre::runtime {

using namespace safetensors;

static bool isUtf8(const char *text) {
  const char *end = text + std::strlen(text);
  while (text < end) {
    int length = sequenceLength(text, end);
    if (!length)
      return false;
    text += length;
  }
  return true;
}

namespace {

// A text that grows; after a lack of memory nothing is added.
class Text {
public:
  void add(const char *piece, size_t size) {
    int64_t needed = used + int64_t(size);
    if (needed > buffer.size() && !buffer.grow(needed + needed / 2 + 4096))
      isFull = true;
    if (isFull)
      return;
    std::memcpy(buffer.data() + used, piece, size);
    used = needed;
  }
  void add(const char *piece) { add(piece, std::strlen(piece)); }
  void addNumber(int64_t number) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%lld",
                  static_cast<long long>(number));
    add(digits);
  }
  void addString(const char *string) {
    add("\"");
    for (; *string; ++string) {
      auto c = static_cast<unsigned char>(*string);
      char escaped[8];
      if (c < 0x20 || c == '"' || c == '\\') {
        std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
        add(escaped);
      } else {
        add(string, 1);
      }
    }
    add("\"");
  }

  bool isFull = false;
  const char *data() const { return buffer.data(); }
  int64_t size() const { return used; }

private:
  Array<char> buffer;
  int64_t used = 0;
};

} // namespace

static nacre_status addMetadata(Text &text, const nacre_metadata *metadata,
                                int32_t count) {
  if (count < 0)
    return fail(NACRE_INVALID_ARGUMENT, "metadata_count is %d", count);
  text.add("\"__metadata__\":{");
  text.addString(formatKey);
  text.add(":");
  text.addString(formatValue);
  for (int32_t i = 0; i < count; ++i) {
    const nacre_metadata &pair = metadata[i];
    if (!pair.key || !pair.value)
      return fail(NACRE_INVALID_ARGUMENT, "metadata[%d] is NULL", i);
    if (isReserved(pair.key))
      return fail(NACRE_INVALID_ARGUMENT,
                  "metadata '%s': names that begin with 'nacre.' are the "
                  "runtime's; choose another",
                  Quoted(pair.key).text);
    if (!isUtf8(pair.key) || !isUtf8(pair.value))
      return fail(NACRE_INVALID_ARGUMENT, "metadata '%s': expected UTF-8",
                  Quoted(pair.key).text);
    for (int32_t j = 0; j < i; ++j)
      if (std::strcmp(metadata[j].key, pair.key) == 0)
        return fail(NACRE_INVALID_ARGUMENT, "metadata '%s' is there twice",
                    Quoted(pair.key).text);
    text.add(",");
    text.addString(pair.key);
    text.add(":");
    text.addString(pair.value);
  }
  text.add("}");
  return NACRE_OK;
}

// Calls `visit(index, info)` for the mutable parameters: the larger elements
// first, so that each tensor is aligned to its own.
template <typename Visit>
static nacre_status forEachMutable(const nacre_abi_model &abi, Visit visit) {
  for (int32_t bits : {64, 32, 16, 8})
    for (int32_t i = 0; i < abi.parameter_count; ++i)
      if (abi.parameters[i].is_state &&
          nacre_abi_dtype_bits(abi.parameters[i].tensor.dtype) == bits)
        if (nacre_status status = visit(i, abi.parameters[i]))
          return status;
  return NACRE_OK;
}

static nacre_status checkWritable(const Model &model, int32_t index) {
  const nacre_abi_tensor_info &info = model.abi().parameters[index].tensor;
  Quoted name(info.name);
  if (!nameOf(info.dtype))
    return fail(NACRE_INVALID_VALUE,
                "parameter '%s' is %s, which .safetensors files do not have",
                name.text, nacre_abi_dtype_name(info.dtype));
  if (!isUtf8(info.name) || std::strcmp(info.name, "__metadata__") == 0)
    return fail(NACRE_INVALID_VALUE,
                "parameter '%s': .safetensors files cannot hold this name",
                name.text);
  if (model.findParameter(info.name) != index)
    return fail(NACRE_INVALID_VALUE, "the model has two parameters '%s'",
                name.text);
  return NACRE_OK;
}

nacre_status Session::save(const char *path, const nacre_metadata *metadata,
                           int32_t metadataCount) {
  const nacre_abi_model &abi = model.abi();
  for (int32_t i = 0; i < abi.parameter_count; ++i)
    if (abi.parameters[i].is_state)
      if (nacre_status status = checkWritable(model, i))
        return status;
  Text text;
  text.add("????????{"); // the length, known later
  if (nacre_status status = addMetadata(text, metadata, metadataCount))
    return status;
  int64_t offset = 0;
  if (nacre_status status = forEachMutable(
          abi, [&](int32_t, const nacre_abi_parameter_info &info) {
            text.add(",");
            text.addString(info.tensor.name);
            text.add(":{\"dtype\":\"");
            text.add(nameOf(info.tensor.dtype));
            text.add("\",\"shape\":[");
            for (int32_t d = 0; d < info.tensor.rank; ++d) {
              text.add(d ? "," : "");
              text.addNumber(info.tensor.dims[d].size);
            }
            text.add("],\"data_offsets\":[");
            text.addNumber(offset);
            text.add(",");
            text.addNumber(offset += info.size);
            text.add("]}");
            return NACRE_OK;
          }))
    return status;
  text.add("}");
  while (!text.isFull && text.size() % 8 != 0)
    text.add(" ");
  if (text.isFull)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for a checkpoint's header");
  uint64_t length = uint64_t(text.size()) - sizeof length;
  if (length > maxHeader)
    return fail(NACRE_INVALID_VALUE,
                "%s: cannot be written: its header would have %llu bytes, "
                "expected at most %llu; give it less metadata",
                QuotedPath(path).text, static_cast<unsigned long long>(length),
                static_cast<unsigned long long>(maxHeader));

  OutputFile file;
  if (nacre_status status = file.create(path))
    return status;
  if (nacre_status status = file.write(&length, sizeof length))
    return status;
  if (nacre_status status = file.write(text.data() + sizeof length, length))
    return status;
  {
    Lock lock(stateMutex);
    if (nacre_status status = forEachMutable(
            abi, [&](int32_t, const nacre_abi_parameter_info &info) {
              return file.write(getState() + info.offset, size_t(info.size));
            }))
      return status;
  }
  return file.commit();
}

} // namespace nacre::runtime
