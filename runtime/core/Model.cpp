#include "runtime/core/Model.h"

#include "runtime/abi/nacre_blocks.h"
#include "runtime/abi/nacre_checksum.h"

#include <cstdio>
#include <dlfcn.h>
#include <sys/mman.h>

namespace nacre::runtime {

nacre_status Model::indexFunction(const nacre_abi_function &from,
                                  FunctionInfo &to) {
  auto outOfMemory = [] {
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for the model's signature");
  };
  int64_t dims = 0;
  for (int32_t i = 0; i < from.input_count; ++i)
    dims += from.inputs[i].rank;
  for (int32_t i = 0; i < from.output_count; ++i)
    dims += from.outputs[i].rank;
  NameIndex symbols;
  if (dims > INT32_MAX || !to.inputs.allocate(from.input_count) ||
      !to.outputs.allocate(from.output_count) || !to.symbols.allocate(dims) ||
      !to.firstSymbol.allocate(int64_t(from.input_count) + from.output_count) ||
      !symbols.allocate(dims))
    return outOfMemory();

  int32_t dim = 0;
  for (int32_t i = 0; i < from.input_count + from.output_count; ++i) {
    bool isInput = i < from.input_count;
    int32_t index = isInput ? i : i - from.input_count;
    const nacre_abi_tensor_info &info =
        isInput ? from.inputs[index] : from.outputs[index];
    NameIndex &names = isInput ? to.inputs : to.outputs;
    if (names.findOrAdd(info.name, index) != index)
      return fail(NACRE_CORRUPT, "function '%s' has two %s of name '%s'",
                  Quoted(from.name).text, isInput ? "inputs" : "outputs",
                  Quoted(info.name).text);
    to.firstSymbol[i] = dim;
    for (int32_t d = 0; d < info.rank; ++d) {
      const char *symbol =
          info.dims[d].size < 0 ? info.dims[d].symbol : nullptr;
      int32_t number = -1;
      if (symbol && *symbol) {
        number = symbols.findOrAdd(symbol, to.symbolCount);
        if (number == to.symbolCount)
          ++to.symbolCount;
      }
      to.symbols[dim++] = number;
    }
  }
  return NACRE_OK;
}

nacre_status Model::initialize(const char *what, const nacre_abi_model *model,
                               const void *parameters) {
  if (!parameters && model->magic == NACRE_ABI_MAGIC)
    parameters = model->parameter_data;
  if (nacre_status status = checkHeader(what, model))
    return status;
  best = model;
  if (nacre_status status = chooseVersion(what, model))
    return status;
  if (nacre_status status = checkDescriptor(what, model, parameters))
    return status;
  descriptor = model;
  parameterData.store(static_cast<const uint8_t *>(parameters),
                      std::memory_order_release);
  if (!functions.allocate(model->function_count) ||
      !parameterNames.allocate(model->parameter_count))
    return fail(NACRE_OUT_OF_MEMORY, "%s: out of memory", what);
  for (int32_t i = 0; i < model->function_count; ++i)
    if (nacre_status status = indexFunction(model->functions[i], functions[i]))
      return status;
  for (int32_t i = 0; i < model->parameter_count; ++i)
    parameterNames.findOrAdd(model->parameters[i].tensor.name, i);
  return NACRE_OK;
}

nacre_status Model::make(const nacre_abi_model *descriptor,
                         const void *parameters, void (*release)(void *),
                         void *userData, Model *&result) {
  Model *model = create<Model>();
  if (!model)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for the model");
  if (nacre_status status =
          model->initialize("model", descriptor, parameters)) {
    destroy(model);
    return status;
  }
  model->releaseCallback = release;
  model->callbackData = userData;
  result = model;
  return NACRE_OK;
}

nacre_status Model::load(const char *path, Model *&result) {
  if (nacre_status status = checkLibraryFile(path))
    return status;
  // Without a slash the loader would search its own folders.
  char local[4096];
  bool plain = !__builtin_strchr(path, '/');
  if (std::snprintf(local, sizeof local, "%s%s", plain ? "./" : "", path) >=
      static_cast<int>(sizeof local))
    return fail(NACRE_IO_ERROR, "the path is too long");
  Quoted name(path);
  void *library = dlopen(local, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return fail(NACRE_CORRUPT, "%s: cannot be loaded: %s", name.text,
                reason ? reason : "unknown reason");
  }
  auto *descriptor = static_cast<const nacre_abi_model *>(
      dlsym(library, NACRE_ABI_MODEL_SYMBOL));
  nacre_status status = NACRE_OK;
  Model *model = nullptr;
  if (!descriptor)
    status = fail(NACRE_CORRUPT,
                  "%s: not a Nacre artefact: a shared library without the "
                  "symbol '%s'",
                  name.text, NACRE_ABI_MODEL_SYMBOL);
  else if (!(model = create<Model>()))
    status = fail(NACRE_OUT_OF_MEMORY, "out of memory for the model");
  else
    status = model->initialize(name.text, descriptor, nullptr);
  if (status != NACRE_OK) {
    destroy(model);
    dlclose(library);
    return status;
  }
  model->library = library;
  result = model;
  return NACRE_OK;
}

void Model::release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  void *handle = library;
  auto callback = releaseCallback;
  void *data = callbackData;
  destroy(this);
  if (callback)
    callback(data);
  if (handle)
    dlclose(handle);
}

int32_t Model::findFunction(const char *name) const {
  for (int32_t i = 0; i < descriptor->function_count; ++i)
    if (std::strcmp(descriptor->functions[i].name, name) == 0)
      return i;
  return -1;
}

nacre_status Model::copyParameters() {
  // What the compiler hands over is on huge pages, and not a file's.
  if (!descriptor->parameter_data ||
      descriptor->parameter_size < NACRE_ABI_HUGE_PAGE)
    return NACRE_OK;
  Lock lock(copyMutex);
  if (copy)
    return NACRE_OK;
  constexpr size_t page = NACRE_ABI_HUGE_PAGE;
  size_t used = static_cast<size_t>(descriptor->parameter_size),
         size = (used + page - 1) / page * page + page;
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return fail(NACRE_OUT_OF_MEMORY,
                "out of memory: %lld bytes for a copy of the parameters",
                static_cast<long long>(descriptor->parameter_size));
  copy = memory;
  copySize = size;
  auto *begin = reinterpret_cast<uint8_t *>(
      (reinterpret_cast<uintptr_t>(memory) + page - 1) / page * page);
  madvise(begin, size - page, MADV_HUGEPAGE); // advice only
  std::memcpy(begin, parameters(), used);
  mprotect(memory, size, PROT_READ);
  parameterData.store(begin, std::memory_order_release);
  return NACRE_OK;
}

Model::~Model() {
  if (copy)
    munmap(copy, copySize);
}

nacre_status Model::verify() const {
  uint64_t found = nacre_checksum_of(
      parameters(), static_cast<size_t>(descriptor->parameter_size));
  if (found == descriptor->parameter_checksum)
    return NACRE_OK;
  return fail(NACRE_CORRUPT,
              "the weights were altered: their checksum is %016llx, expected "
              "%016llx; copy or compile the artefact again",
              static_cast<unsigned long long>(found),
              static_cast<unsigned long long>(descriptor->parameter_checksum));
}

} // namespace nacre::runtime
