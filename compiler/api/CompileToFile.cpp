//===- CompileToFile.cpp - Ahead of time ------------------------*- C++ -*-===//
#include "compiler/api/Call.h"
#include "compiler/api/ModuleText.h"
#include "compiler/api/Tune.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/EntryPoints.h"
#include "compiler/support/OutputFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace nacre;

namespace {

std::optional<codegen::FileKind> getFileKind(Emit kind) {
  switch (kind) {
  case Emit::Shared:
    return codegen::FileKind::Shared;
  case Emit::Object:
    return codegen::FileKind::Object;
  case Emit::StaticLibrary:
    return codegen::FileKind::StaticLibrary;
  case Emit::Executable:
    return codegen::FileKind::Executable;
  case Emit::Header:
    return codegen::FileKind::Header;
  case Emit::LlvmIr:
    return codegen::FileKind::LLVMIR;
  case Emit::Assembly:
    return codegen::FileKind::Assembly;
  case Emit::Mlir:
    return std::nullopt; // of the module before code generation
  }
  return std::nullopt;
}

/// What can be known to go wrong before anything is compiled.
Status checkOutputs(const std::vector<std::pair<Emit, std::string>> &files, const CompileOptions &options) {
  auto targets = codegen::CpuTarget::createAll(options.targetCpu, options.targetFeatures, options.targetTriple);
  if (!targets)
    return Error{NACRE_INVALID_VALUE, llvm::toString(targets.takeError())};
  for (const auto &[kind, path] : files) {
    if (std::optional<codegen::FileKind> fileKind = getFileKind(kind))
      if (llvm::Error error = codegen::checkFileKind(*fileKind, *targets))
        return Error{NACRE_INVALID_VALUE, llvm::toString(std::move(error))};
    if (auto file = OutputFile::create(path); !file) // goes again
      return Error{NACRE_IO_ERROR, "cannot write '" + path + "': " + llvm::toString(file.takeError())};
    if (kind != Emit::Header)
      continue;
    // It may be somebody's own, whose library has the name of the model.
    auto old = llvm::MemoryBuffer::getFileSlice(path, sizeof codegen::kHeaderMark - 1, 0);
    if (old && (*old)->getBufferSize() > 0 && (*old)->getBuffer() != codegen::kHeaderMark)
      return Error{NACRE_IO_ERROR, path + ": is not written over, as it was not made by nacre compile; move it, or "
                                          "give the artefact another name"};
  }
  return {};
}

} // namespace

Status nacre::compileToFile(const std::string &path, const std::string &artifact,
                            const CompileOptions &options) {
  return makeFile(path, artifact, options);
}

Status nacre::makeFile(const std::string &path, const std::string &artifact, const CompileOptions &options,
                       std::vector<KernelChoice> *choices) {
  if (options.emit.empty())
    return Error{NACRE_INVALID_ARGUMENT, "no kind of file is asked for; expected \"shared\" or another"};
  for (size_t i = 0; i < options.emit.size(); ++i)
    if (llvm::is_contained(llvm::ArrayRef(options.emit).take_front(i), options.emit[i]))
      return Error{NACRE_INVALID_ARGUMENT,
                   "the kind of file '" + std::string(getName(options.emit[i])) + "' is asked for twice"};
  std::vector<std::pair<Emit, std::string>> files = getOutputFiles(artifact, options);
  if (options.stopAfter.empty() || options.stopAfter == getPhaseNames().back())
    if (Status status = checkOutputs(files, options); !status)
      return status;
  CompileOptions shortened = options;
  bool isText = llvm::all_of(options.emit, [](Emit kind) { return kind == Emit::Mlir; });
  if (options.tune && (!isText || !options.stopAfter.empty())) {
    Result<CompileOptions> tuned = tuneOptions(path, options, /*isFile=*/true);
    if (!tuned)
      return tuned.error();
    shortened = *std::move(tuned);
  }
  if (isText && options.stopAfter.empty())
    shortened.stopAfter = "import", shortened.stopOutput = nullptr;
  Call call(shortened, path);
  if (choices)
    call.listChoices(*choices);
  for (const auto &[kind, file] : files)
    if (kind == Emit::Mlir && options.stopAfter.empty())
      call.onImport = [&call, file](ModuleOp module) -> LogicalResult {
        call.blame(Culprit::File);
        llvm::Error error = writeTextFile(file, printComplete(module));
        if (!error)
          return success();
        return module.emitError("cannot write '") << file << "': " << llvm::toString(std::move(error));
      };
  if (!call.run([&](const codegen::CompiledModule &compiled) {
        call.blame(Culprit::Model);
        for (const auto &[kind, file] : files)
          if (std::optional<codegen::FileKind> fileKind = getFileKind(kind))
            if (failed(codegen::checkSize(compiled, *fileKind)))
              return failure();
        call.blame(Culprit::File);
        std::string name = codegen::makeEntryName(files.front().second), library = name + ".so";
        for (const auto &[kind, file] : files)
          if (kind == Emit::Shared || kind == Emit::Object || kind == Emit::StaticLibrary) {
            library = file;
            break;
          }
        // Headers first: one alone does no harm if there is no room for what it describes.
        auto header = llvm::find_if(files, [](const auto &file) { return file.first == Emit::Header; });
        if (header != files.end())
          std::rotate(files.begin(), header, header + 1);
        for (const auto &[kind, file] : files)
          if (std::optional<codegen::FileKind> fileKind = getFileKind(kind))
            if (failed(codegen::emitFile(compiled, *fileKind, file, name, library)))
              return failure();
        return success();
      }))
    return call.error();
  uint64_t size = 0;
  for (const auto &[kind, file] : files)
    if (options.log && options.stopAfter.empty() && !llvm::sys::fs::file_size(file, size))
      call.log(file + ": " + Twine(size / 1024) + " KiB");
  return {};
}
