//===- LoadInProcess.cpp - A model in this process's memory -----*- C++ -*-===//
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/Descriptor.h"
#include "compiler/codegen/Jit.h"
#include "compiler/codegen/Prepare.h"
#include "runtime/abi/nacre_abi.h"
#include "runtime/abi/nacre_blocks.h"
#include <cerrno>
#include <sys/mman.h>

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;
using llvm::Error;
using llvm::Expected;

namespace {

class LoadedModel : public InProcessModel {
public:
  ~LoadedModel() override {
    if (section)
      munmap(section, sectionSize);
  }
  const nacre_abi_model *getDescriptor() const override { return descriptor; }
  const void *getParameters() const override { return section; }

  Error load(const CompiledModule &compiled) {
    auto object = makeDescriptor(compiled, /*hasSection=*/false);
    if (!object)
      return object.takeError();
    std::vector<llvm::MemoryBufferRef> objects;
    for (const Object &unit : compiled.objects)
      objects.emplace_back(unit.bytes->getBuffer(), unit.name);
    objects.emplace_back((*object)->getBuffer(), "nacre.descriptor");
    auto loaded = JitCode::load(objects);
    if (!loaded)
      return loaded.takeError();
    code = std::move(*loaded);
    Expected<void *> model = code->lookup(NACRE_ABI_MODEL_SYMBOL);
    if (!model)
      return model.takeError();
    descriptor = static_cast<const nacre_abi_model *>(*model);
    return loadParameters(compiled);
  }

private:
  Error loadParameters(const CompiledModule &compiled) {
    const ParameterTable &table = compiled.parameters;
    if (table.sectionSize == 0)
      return Error::success();
    void *memory = mmap(nullptr, table.sectionSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      return llvm::createStringError(std::error_code(errno, std::generic_category()),
                                     "no memory for the parameters");
    section = static_cast<char *>(memory);
    sectionSize = table.sectionSize;
    // Weights that are read once in a run are walked through a quarter faster on huge pages. Advice
    // only: where the system has none, nothing is lost.
    if (sectionSize >= NACRE_ABI_HUGE_PAGE)
      madvise(memory, sectionSize, MADV_HUGEPAGE);
    // Each value is given back as soon as it is copied, so that big weights are never in
    // memory twice. Several parameters may have one value, and @prepare may read it too.
    llvm::DenseMap<const void *, unsigned> uses;
    for (const Parameter &parameter : table.parameters)
      ++uses[getValueStorage(parameter.op)];
    if (compiled.prepare)
      for (nn::ParameterOp input : compiled.prepare->inputs)
        ++uses[getValueStorage(input)];
    for (const Parameter &parameter : table.parameters) {
      nn::ParameterOp op = parameter.op;
      bool isLast = --uses[getValueStorage(op)] == 0;
      if (parameter.offset < 0 || parameter.isComputed)
        continue;
      FailureOr<ParameterBytes> bytes = ParameterBytes::get(op);
      if (failed(bytes))
        return llvm::createStringError(llvm::inconvertibleErrorCode(), "a parameter has no value");
      if (!bytes->isZero())
        bytes->copyTo(section + parameter.offset);
      if (isLast)
        releaseValue(op);
    }
    if (compiled.prepare)
      if (Error error = prepareParameters(*compiled.prepare, table, section, /*isFile=*/false))
        return error;
    mprotect(section, sectionSize, PROT_READ);
    return Error::success();
  }

  std::unique_ptr<JitCode> code;
  const nacre_abi_model *descriptor = nullptr;
  char *section = nullptr;
  size_t sectionSize = 0;
};

} // namespace

FailureOr<std::unique_ptr<InProcessModel>>
nacre::codegen::loadInProcess(const CompiledModule &compiled) {
  auto model = std::make_unique<LoadedModel>();
  if (Error error = model->load(compiled)) {
    ModuleOp module = compiled.module;
    return module.emitError("cannot load the code: ") << llvm::toString(std::move(error));
  }
  return std::unique_ptr<InProcessModel>(std::move(model));
}
