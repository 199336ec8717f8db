// A loaded model: the checked descriptor and what runs look up in it.
#ifndef NACRE_RUNTIME_CORE_MODEL_H
#define NACRE_RUNTIME_CORE_MODEL_H

#include "runtime/abi/nacre_abi.h"
#include "runtime/core/NameIndex.h"
#include "runtime/core/Status.h"

#include <atomic>

namespace nacre::runtime {

// What is computed once of a function's signature.
struct FunctionInfo {
  NameIndex inputs;
  NameIndex outputs;
  int32_t symbolCount = 0;
  // For each dimension of each input and then of each output, in order: the
  // number of its symbol, or -1.
  Array<int32_t> symbols;
  // Where the dimensions of each input, then of each output begin in `symbols`.
  Array<int32_t> firstSymbol;
};

class Model {
public:
  // Loads and checks an artefact.
  static nacre_status load(const char *path, Model *&model);
  // Checks a descriptor in memory.
  static nacre_status make(const nacre_abi_model *descriptor,
                           const void *parameters, void (*release)(void *),
                           void *userData, Model *&model);

  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void release();

  const nacre_abi_model &abi() const { return *descriptor; }
  // The code for the best CPU; abi() is this or a fallback.
  const nacre_abi_model &bestVersion() const { return *best; }
  // The parameter section: where the artefact has it, or the copy.
  const uint8_t *parameters() const {
    return parameterData.load(std::memory_order_acquire);
  }
  // Copies the parameter section of a file to huge pages, once. Thread-safe.
  nacre_status copyParameters();
  const FunctionInfo &function(int32_t index) const { return functions[index]; }
  int32_t findFunction(const char *name) const;
  int32_t findParameter(const char *name) const {
    return parameterNames.find(name);
  }
  nacre_status verify() const;

private:
  template <typename T, typename... A> friend T *create(A &&...);
  template <typename T> friend void destroy(T *);
  Model() = default;
  ~Model();

  nacre_status initialize(const char *what, const nacre_abi_model *descriptor,
                          const void *parameters);
  nacre_status indexFunction(const nacre_abi_function &from, FunctionInfo &to);

  std::atomic<int64_t> references{1};
  const nacre_abi_model *descriptor = nullptr, *best = nullptr;
  std::atomic<const uint8_t *> parameterData{nullptr};
  Mutex copyMutex;
  void *copy = nullptr; // mmap's, of copySize bytes
  size_t copySize = 0;
  void *library = nullptr; // dlopen's handle, or null
  void (*releaseCallback)(void *) = nullptr;
  void *callbackData = nullptr;
  Array<FunctionInfo> functions;
  NameIndex parameterNames;
};

// Checks that this runtime knows the form of a descriptor.
nacre_status checkHeader(const char *what, const nacre_abi_model *descriptor);

// Of the code that a model has for several CPUs, the first that this machine can
// run, or what NACRE_TARGET_CPU names.
nacre_status chooseVersion(const char *what, const nacre_abi_model *&model);
// What follows in the list; null at its end.
const nacre_abi_model *getFallback(const nacre_abi_model &model);

// Checks that every number and pointer of the descriptor makes sense together,
// and that this runtime and CPU can run it. `what` names it in messages.
nacre_status checkDescriptor(const char *what,
                             const nacre_abi_model *descriptor,
                             const void *parameters);

// Checks before it is loaded that the file is a complete shared library for
// this machine: the loader would map what is missing and die of it.
nacre_status checkLibraryFile(const char *path);

// Bytes of a static tensor, -1 on overflow or a dynamic dimension.
int64_t staticBytes(const nacre_abi_tensor_info &info);

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_MODEL_H
