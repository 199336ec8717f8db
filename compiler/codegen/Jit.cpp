//===- Jit.cpp - Objects in this process's memory ---------------*- C++ -*-===//
#include "compiler/codegen/Jit.h"
#include "compiler/codegen/Embedded.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"

using namespace llvm;
using namespace llvm::orc;
using namespace nacre::codegen;

struct JitCode::Session {
  explicit Session(std::unique_ptr<ExecutorProcessControl> control)
      : execution(std::move(control)), linking(execution),
        library(execution.createBareJITDylib("model")) {
    // Errors come back from lookup; the default prints them a second time.
    execution.setErrorReporter([](Error error) { consumeError(std::move(error)); });
  }
  ~Session() {
    if (Error error = execution.endSession())
      consumeError(std::move(error));
  }
  ExecutionSession execution;
  ObjectLinkingLayer linking;
  JITDylib &library;
};

JitCode::JitCode(std::unique_ptr<Session> session) : session(std::move(session)) {}
JitCode::~JitCode() = default;

Expected<std::unique_ptr<JitCode>> JitCode::load(ArrayRef<MemoryBufferRef> objects) {
  auto control = SelfExecutorProcessControl::Create();
  if (!control)
    return control.takeError();
  auto session = std::make_unique<Session>(std::move(*control));
  for (const char *name : {"libm.so.6", "libc.so.6"}) {
    auto symbols = DynamicLibrarySearchGenerator::Load(name, /*GlobalPrefix=*/'\0');
    if (!symbols)
      return symbols.takeError();
    session->library.addGenerator(std::move(*symbols));
  }
  // AddressSanitizer's runtime, which the process may have, and nothing else of the process.
  auto sanitizer = DynamicLibrarySearchGenerator::GetForCurrentProcess(
      /*GlobalPrefix=*/'\0', [](const SymbolStringPtr &name) { return (*name).starts_with("__asan_"); });
  if (!sanitizer)
    return sanitizer.takeError();
  session->library.addGenerator(std::move(*sanitizer));
  // Made of libraries that would each start anew; they are in this process already.
  SymbolMap here;
  for (const LibraryFunction &function : getLibraryFunctions())
    here[session->execution.intern(function.symbol)] = {ExecutorAddr::fromPtr(function.address),
                                                        JITSymbolFlags::Exported | JITSymbolFlags::Callable};
  if (Error error = session->library.define(absoluteSymbols(std::move(here))))
    return error;
  for (MemoryBufferRef object : objects)
    if (object.getBufferIdentifier() == kLibraryName)
      continue;
    else if (Error error = session->linking.add(
            session->library, MemoryBuffer::getMemBuffer(object, /*RequiresNullTerminator=*/false)))
      return error;
  return std::unique_ptr<JitCode>(new JitCode(std::move(session)));
}

Expected<void *> JitCode::lookup(StringRef symbol) {
  ExecutionSession &execution = session->execution;
  auto found = execution.lookup(
      {{&session->library, JITDylibLookupFlags::MatchAllSymbols}}, execution.intern(symbol));
  if (!found)
    return found.takeError();
  return found->getAddress().toPtr<void *>();
}
