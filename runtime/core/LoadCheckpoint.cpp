// A session's mutable parameters out of a .safetensors file.
#include "runtime/core/Checkpoint.h"
#include "runtime/core/SafeTensors.h"
#include "runtime/core/Session.h"

#include "runtime/abi/nacre_dtype.h"

#include <cerrno>
#include <cstdio>

namespace nacre::runtime {

using namespace safetensors;

namespace {

// Names for a message: as many as there is room for, then how many there are
// more.
class Names {
public:
  void add(const char *name, const char *remark = "") {
    Quoted quoted(name);
    size_t needed = std::strlen(quoted.text) + std::strlen(remark) + 4;
    if (left > 0 || used + needed > sizeof text - 32) {
      ++left;
      return;
    }
    used += size_t(std::snprintf(text + used, sizeof text - used, "%s'%s'%s",
                                 used ? ", " : "", quoted.text, remark));
  }
  bool isEmpty() const { return used == 0; }
  const char *finish() {
    if (left > 0)
      std::snprintf(text + used, sizeof text - used, " and %lld more",
                    static_cast<long long>(left));
    return text;
  }

private:
  char text[224] = "";
  size_t used = 0;
  int64_t left = 0;
};

} // namespace

// Whether it is what a training keeps beside a weight (see Exporter.cpp).
static bool isBesideWeights(const Model &model, const char *name) {
  const char *dot = std::strrchr(name, '.');
  if (!dot)
    return false;
  if (std::strncmp(name, "optimizer.", 10) == 0)
    return true;
  for (int32_t i = 0; i < model.abi().parameter_count; ++i) {
    const char *owner = model.abi().parameters[i].tensor.name;
    if (std::strncmp(owner, name, size_t(dot - name)) == 0 &&
        owner[dot - name] == 0)
      return true;
  }
  return false;
}

static nacre_status checkType(const char *path, const Header &header,
                              const Entry &entry,
                              const nacre_abi_tensor_info &info) {
  const int64_t *sizes = header.dims.data() + entry.firstDim;
  bool fits = entry.dtype == info.dtype && entry.rank == info.rank;
  int64_t expected[NACRE_MAX_RANK];
  for (int32_t d = 0; d < info.rank; ++d) {
    expected[d] = info.dims[d].size;
    fits = fits && sizes[d] == expected[d];
  }
  if (fits)
    return NACRE_OK;
  const char *type = nameOf(info.dtype);
  return fail(NACRE_INVALID_SHAPE,
              "%s: tensor '%s' is %s, the model's parameter is %s", path,
              Quoted(entry.name).text,
              TypeText(entry.typeName, entry.rank, sizes).text,
              TypeText(type ? type : nacre_abi_dtype_name(info.dtype),
                       info.rank, expected)
                  .text);
}

// A boolean is 0 or 1, which compiled code relies on.
static nacre_status checkBooleans(const char *path, const InputFile &file,
                                  const Entry &entry) {
  uint8_t buffer[4096];
  for (uint64_t at = entry.begin; at < entry.end; at += sizeof buffer) {
    size_t size = entry.end - at < sizeof buffer ? size_t(entry.end - at)
                                                 : sizeof buffer;
    if (!file.read(buffer, size, at))
      return fail(NACRE_IO_ERROR, "%s: cannot be read: %s", path,
                  errno ? std::strerror(errno) : "it has become shorter");
    for (size_t i = 0; i < size; ++i)
      if (buffer[i] > 1)
        return fail(NACRE_INVALID_VALUE,
                    "%s: tensor '%s': element %llu is %d, expected 0 or 1",
                    path, Quoted(entry.name).text,
                    static_cast<unsigned long long>(at - entry.begin + i),
                    buffer[i]);
  }
  return NACRE_OK;
}

nacre_status
Session::load(const char *path, uint32_t flags,
              nacre_status (*callback)(void *, const char *, const char *),
              void *userData) {
  const nacre_abi_model &abi = model.abi();
  QuotedPath name(path);
  InputFile file;
  Header header;
  if (nacre_status status = file.open(path))
    return status;
  if (nacre_status status = header.read(file, name.text))
    return status;
  for (int64_t i = 0; i < header.metadataCount; ++i)
    if (std::strcmp(header.metadata[i].key, formatKey) == 0 &&
        std::strcmp(header.metadata[i].value, formatValue) != 0)
      return fail(NACRE_INCOMPATIBLE,
                  "%s: made as checkpoint format '%s', this runtime reads "
                  "format '%s'; update the runtime",
                  name.text, Quoted(header.metadata[i].value).text,
                  formatValue);

  for (int64_t i = 0; callback && i < header.metadataCount; ++i)
    if (!isReserved(header.metadata[i].key))
      if (nacre_status status = callback(userData, header.metadata[i].key,
                                         header.metadata[i].value))
        return status;

  // Which tensor of the file a parameter is set to, and whether they are all
  // there.
  Array<const Entry *> sources;
  if (!sources.allocate(abi.parameter_count))
    return fail(NACRE_OUT_OF_MEMORY, "out of memory to read a checkpoint");
  Names unknown, missing;
  for (int64_t i = 0; i < header.entryCount; ++i) {
    const Entry &entry = header.entries[i];
    int32_t index = model.findParameter(entry.name);
    if (index >= 0 && abi.parameters[index].is_state)
      sources[index] = &entry;
    else if (!(flags & NACRE_LOAD_OTHER_TENSORS))
      unknown.add(entry.name, index < 0 ? "" : " (a constant)");
  }
  for (int32_t i = 0; i < abi.parameter_count; ++i) {
    const nacre_abi_parameter_info &info = abi.parameters[i];
    if (info.is_state && !sources[i] &&
        !((flags & NACRE_LOAD_WITHOUT_STATE) &&
          isBesideWeights(model, info.tensor.name)))
      missing.add(info.tensor.name);
  }
  if (!unknown.isEmpty() || !missing.isEmpty())
    return fail(NACRE_INCOMPATIBLE, "%s: of another model: it %s%s%s%s%s",
                name.text, missing.isEmpty() ? "" : "lacks ", missing.finish(),
                missing.isEmpty() || unknown.isEmpty() ? "" : ", and ",
                unknown.isEmpty()
                    ? ""
                    : "has what the model has no parameters to train for: ",
                unknown.finish());
  for (int32_t i = 0; i < abi.parameter_count; ++i) {
    if (!sources[i])
      continue;
    if (nacre_status status = checkType(name.text, header, *sources[i],
                                        abi.parameters[i].tensor))
      return status;
    if (sources[i]->dtype == NACRE_BOOL)
      if (nacre_status status = checkBooleans(name.text, file, *sources[i]))
        return status;
  }

  Lock lock(stateMutex);
  for (int32_t i = 0; i < abi.parameter_count; ++i) {
    const Entry *source = sources[i];
    if (source && !file.read(getState() + abi.parameters[i].offset,
                             size_t(abi.parameters[i].size), source->begin))
      return fail(NACRE_IO_ERROR,
                  "%s: cannot be read: %s; parameters up to '%s' are changed: "
                  "load another checkpoint, or reset them",
                  name.text,
                  errno ? std::strerror(errno) : "it has become shorter",
                  Quoted(abi.parameters[i].tensor.name).text);
  }
  return NACRE_OK;
}

} // namespace nacre::runtime
