//===- Prepare.cpp - Compute parameters in the compiler ---------*- C++ -*-===//
//
// @prepare is a function like any of a model, run once with a context of the
// compiler's own: inputs are the source parameters where they are (in the mapped
// model file), outputs the places of the computed ones.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Prepare.h"
#include "compiler/codegen/Jit.h"
#include "runtime/abi/nacre_dtype.h"
#include <cstdlib>
#include <deque>
#include <mutex>
#include <sys/mman.h>
#include <thread>

using namespace nacre::codegen;
using llvm::Error;

namespace {

/// Scratch of the running body, released when it ends.
thread_local std::vector<void *> *currentScratch = nullptr;

class PrepareContext : public nacre_abi_context {
public:
  PrepareContext(const PrepareCode &prepare, const ParameterTable &table, char *section, bool isFile)
      : nacre_abi_context(), cancel(prepare.cancel), section(section), sectionSize(table.sectionSize),
        isFile(isFile) {
    llvm::StringMap<char *> places;
    for (const Parameter &parameter : table.parameters)
      if (parameter.isComputed && !parameter.isShared && parameter.offset >= 0)
        places[nacre::nn::ParameterOp(parameter.op).getSymName()] = section + parameter.offset;
    for (const std::string &name : prepare.outputs)
      outputs.push_back(places.lookup(name)); // null: nobody reads it
    arena = static_cast<uint8_t *>(newMemory(prepare.arenaSize));
    thread_count = std::max(1u, std::thread::hardware_concurrency());

    parallel_for = [](nacre_abi_context *context, nacre_abi_body body, void *environment,
                      int64_t count, int64_t grain) {
      static_cast<PrepareContext *>(context)->runParallel(body, environment, count, grain);
    };
    allocate = [](nacre_abi_context *context, int64_t size) {
      return static_cast<PrepareContext *>(context)->newMemory(size);
    };
    allocate_for = [](nacre_abi_context *context, int64_t size, const char *node) {
      return static_cast<PrepareContext *>(context)->newMemory(size, node);
    };
    // A loop over parameters alone is folded or short: what it leaves goes at the end.
    mark = [](nacre_abi_context *) { return int64_t(0); };
    release_since = [](nacre_abi_context *, int64_t, const void *const *, int64_t) {};
    release = [](nacre_abi_context *context, void *pointer) {
      static_cast<PrepareContext *>(context)->releaseMemory(pointer);
    };
    scratch = [](nacre_abi_context *context, int64_t size) {
      return static_cast<PrepareContext *>(context)->newScratch(size);
    };
    output = [](nacre_abi_context *context, int32_t index, int32_t rank, const int64_t *dims) {
      return static_cast<PrepareContext *>(context)->getOutput(index, rank, dims);
    };
    output_for = [](nacre_abi_context *context, int32_t index, int32_t rank, const int64_t *dims, const char *) {
      return static_cast<PrepareContext *>(context)->getOutput(index, rank, dims);
    };
    fail = [](nacre_abi_context *context, int32_t status, const char *message) {
      static_cast<PrepareContext *>(context)->recordFailure(status, message);
    };
    on_kernel = [](nacre_abi_context *context, int32_t call, int32_t end) {
      auto *self = static_cast<PrepareContext *>(context);
      if (end)
        self->afterCall(call);
      // What has been written is the page cache's; it need not stay mapped.
      if (end && self->isFile)
        madvise(self->section, self->sectionSize, MADV_DONTNEED);
      bool isCancelled = self->cancel && self->cancel->load(std::memory_order_relaxed);
      return isCancelled ? int32_t(NACRE_ABI_CANCELLED) : 0;
    };
  }
  ~PrepareContext() {
    for (void *pointer : memory)
      std::free(pointer);
  }

  std::string failure;
  /// Called after each call of a kernel, with its number.
  std::function<void(int32_t)> afterCall = [](int32_t) {};

private:
  void *newMemory(int64_t size, const char *node = nullptr) {
    void *pointer = allocateAligned(size, node);
    if (pointer) {
      std::lock_guard<std::mutex> lock(mutex);
      memory.insert(pointer);
    }
    return pointer;
  }

  void releaseMemory(void *pointer) {
    std::lock_guard<std::mutex> lock(mutex);
    if (memory.erase(pointer))
      std::free(pointer);
  }

  void *newScratch(int64_t size) {
    if (!currentScratch)
      return newMemory(size);
    void *pointer = allocateAligned(size);
    if (pointer)
      currentScratch->push_back(pointer);
    return pointer;
  }

  void *allocateAligned(int64_t size, const char *node = nullptr) {
    void *pointer =
        size < 0 || size > (int64_t(1) << 46)
            ? nullptr
            : std::aligned_alloc(NACRE_ABI_ALIGNMENT,
                                 llvm::alignTo(std::max<int64_t>(size, 1), NACRE_ABI_ALIGNMENT));
    if (!pointer)
      recordFailure(NACRE_ABI_OUT_OF_MEMORY, (std::string(node ? node : "") + "out of memory").c_str());
    return pointer;
  }

  void *getOutput(int32_t index, int32_t rank, const int64_t *dims) {
    if (index >= 0 && index < int32_t(outputs.size()) && outputs[index])
      return outputs[index];
    int64_t elements = 1;
    for (int32_t i = 0; i < rank; ++i)
      elements *= dims[i];
    return newMemory(elements * 16); // wide enough for any element type
  }

  void recordFailure(int32_t status, const char *message) {
    std::lock_guard<std::mutex> lock(mutex);
    if (failure.empty())
      failure = message;
    __atomic_store_n(&stop, status, __ATOMIC_RELAXED);
  }

  void runBody(nacre_abi_body body, void *environment, int64_t begin, int64_t end) {
    std::vector<void *> mine, *outer = currentScratch;
    currentScratch = &mine;
    body(this, environment, begin, end);
    currentScratch = outer;
    for (void *pointer : mine)
      std::free(pointer);
  }

  /// As many ranges as threads. Calls in a body run serially.
  void runParallel(nacre_abi_body body, void *environment, int64_t count, int64_t grain) {
    grain &= ~NACRE_ABI_ALTERNATE;
    if (currentScratch)
      return runBody(body, environment, 0, count);
    int64_t pieces = llvm::divideCeil(count, grain);
    int64_t range = llvm::divideCeil(pieces, thread_count) * grain;
    std::vector<std::thread> threads;
    for (int64_t begin = range; begin < count; begin += range)
      threads.emplace_back([=, this] {
        runBody(body, environment, begin, std::min(begin + range, count));
      });
    runBody(body, environment, 0, std::min(range, count));
    for (std::thread &thread : threads)
      thread.join();
  }

  const std::atomic<bool> *cancel;
  char *section;
  int64_t sectionSize;
  bool isFile;
  std::vector<char *> outputs;
  std::mutex mutex;
  llvm::DenseSet<void *> memory;
};

/// The inputs as tensors. Values that are not in memory as they are, or not aligned to their
/// elements, are copied. What nobody else reads is given back as soon as it is not needed.
class Inputs {
public:
  /// `uses` counts who reads each value (getValueStorage), these inputs among them: several may be of one value.
  Inputs(llvm::DenseMap<const void *, unsigned> uses, bool keepValues) : uses(std::move(uses)), keepValues(keepValues) {}

  Error add(nacre::nn::ParameterOp parameter) {
    mlir::FailureOr<ParameterBytes> bytes = ParameterBytes::get(parameter);
    if (failed(bytes))
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "a parameter has no value");
    mlir::RankedTensorType type = parameter.getType();
    Input &input = inputs.emplace_back();
    const void *data = bytes->contiguous().data();
    uintptr_t alignment = std::max(1, nacre_abi_dtype_bits(getDtype(type.getElementType())) / 8);
    if (bytes->contiguous().empty() || reinterpret_cast<uintptr_t>(data) % alignment != 0) {
      input.copy.reset(std::aligned_alloc(64, llvm::alignTo(bytes->size() + 1, 64)));
      bytes->copyTo(static_cast<char *>(input.copy.get()));
      data = input.copy.get();
      dropUse(parameter);
    } else {
      input.kept = std::move(*bytes);
      input.parameter = parameter;
    }
    dims.emplace_back(type.getShape());
    tensors.push_back({const_cast<void *>(data), dims.back().data()});
    return Error::success();
  }
  /// Nothing reads it any more.
  void release(unsigned number) {
    Input &input = inputs[number];
    input.copy.reset();
    input.kept.reset();
    if (input.parameter)
      dropUse(input.parameter);
    input.parameter = nullptr;
  }
  const nacre_abi_tensor *data() const { return tensors.data(); }

private:
  void dropUse(nacre::nn::ParameterOp parameter) {
    if (--uses[getValueStorage(parameter)] == 0 && !keepValues)
      releaseValue(parameter);
  }

  struct Input {
    nacre::nn::ParameterOp parameter; ///< Its value is read where it is; null: a copy is, or nothing any more.
    std::optional<ParameterBytes> kept;
    std::unique_ptr<void, void (*)(void *)> copy{nullptr, std::free};
  };
  std::vector<nacre_abi_tensor> tensors;
  std::deque<std::vector<int64_t>> dims;
  std::deque<Input> inputs;
  llvm::DenseMap<const void *, unsigned> uses;
  bool keepValues;
};

} // namespace

Error nacre::codegen::prepareParameters(const PrepareCode &prepare, const ParameterTable &table,
                                        char *section, bool isFile) {
  std::vector<llvm::MemoryBufferRef> objects;
  for (const Object &object : prepare.objects)
    objects.emplace_back(object.bytes->getBuffer(), object.name);
  auto code = JitCode::load(objects);
  if (!code)
    return code.takeError();
  auto function = (*code)->lookup("nacre.prepare");
  if (!function)
    return function.takeError();
  // Who reads each value from here on: several parameters may share one.
  llvm::DenseMap<const void *, unsigned> uses;
  for (const Parameter &parameter : table.parameters)
    if (parameter.offset >= 0 && !parameter.isComputed && !parameter.isShared)
      ++uses[getValueStorage(parameter.op)];
  for (nacre::nn::ParameterOp parameter : prepare.inputs)
    ++uses[getValueStorage(parameter)];
  Inputs inputs(std::move(uses), prepare.keepInputs);
  for (nacre::nn::ParameterOp parameter : prepare.inputs)
    if (Error error = inputs.add(parameter))
      return error;
  PrepareContext context(prepare, table, section, isFile);
  context.afterCall = [&](int32_t call) {
    for (unsigned input : prepare.lastReads[call])
      inputs.release(input);
  };
  auto run = reinterpret_cast<int32_t (*)(nacre_abi_context *, const nacre_abi_tensor *)>(*function);
  int32_t status = run(&context, inputs.data());
  if (!context.failure.empty())
    return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                   "computing parameters failed: " + context.failure);
  if (status != NACRE_ABI_OK)
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "computing parameters failed");
  return Error::success();
}
