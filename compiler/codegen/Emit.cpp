//===- Emit.cpp - A model as a file of any kind -----------------*- C++ -*-===//
#include "compiler/codegen/Artifact.h"
#include "compiler/codegen/Descriptor.h"
#include "compiler/codegen/Embedded.h"
#include "compiler/codegen/EntryPoints.h"
#include "compiler/codegen/Link.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/ObjCopy/CommonConfig.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;
using llvm::Error;
using llvm::Expected;

/// What programs can be linked with: relocations reach 2 GiB.
static constexpr uint64_t kMaxObject = uint64_t(3) << 29;

static Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

Expected<std::unique_ptr<llvm::MemoryBuffer>>
nacre::codegen::hideSymbols(llvm::MemoryBufferRef object,
                            llvm::ArrayRef<std::pair<std::string, std::string>> visible) {
  auto binary = llvm::object::ObjectFile::createObjectFile(object);
  if (!binary)
    return binary.takeError();
  llvm::objcopy::ConfigManager config;
  for (const auto &[name, newName] : visible) {
    if (name != newName)
      config.Common.SymbolsToRename[name] = newName;
    if (Error error = config.Common.SymbolsToKeepGlobal.addMatcher(llvm::objcopy::NameOrPattern::create(
            name, llvm::objcopy::MatchStyle::Literal, [](Error error) { return error; })))
      return error;
  }
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (Error error = llvm::objcopy::executeObjcopyOnBinary(config, **binary, stream))
    return error;
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(bytes), /*RequiresNullTerminator=*/false);
}

Expected<std::string> nacre::codegen::printCode(const CompiledModule &compiled, bool asAssembly) {
  llvm::LLVMContext context;
  llvm::Module all("nacre", context);
  llvm::Linker linker(all);
  for (const Object &object : compiled.objects) {
    if (object.ir.empty()) // a library, which no code of this model is
      continue;
    llvm::SMDiagnostic diagnostic;
    std::unique_ptr<llvm::Module> parsed = llvm::parseAssemblyString(object.ir, diagnostic, context);
    if (!parsed)
      return makeError("internal error: " + diagnostic.getMessage());
    if (all.getTargetTriple().empty()) {
      all.setTargetTriple(parsed->getTargetTriple());
      all.setDataLayout(parsed->getDataLayout());
    }
    if (linker.linkInModule(std::move(parsed)))
      return makeError("internal error: the code does not link");
  }
  if (asAssembly)
    return compiled.target.assemble(all);
  std::string text;
  llvm::raw_string_ostream(text) << all;
  return text;
}

namespace {

/// Puts the object in `member` into an archive.
Error archive(const OutputFile &member, const std::string &memberName, llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getOpenFile(member.getDescriptor(), memberName, /*FileSize=*/-1,
                                                /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("cannot read back: " + buffer.getError().message());
  llvm::NewArchiveMember entry((*buffer)->getMemBufferRef());
  auto bytes = llvm::writeArchiveToBuffer(entry, llvm::SymtabWritingMode::NormalSymtab,
                                          llvm::object::Archive::K_GNU, /*Deterministic=*/true,
                                          /*Thin=*/false);
  if (!bytes)
    return bytes.takeError();
  return writeTextFile(path, (*bytes)->getBuffer());
}

Error emit(const CompiledModule &compiled, FileKind kind, llvm::StringRef path, llvm::StringRef name,
           llvm::StringRef artifact) {
  switch (kind) {
  case FileKind::Header:
    return writeTextFile(path, makeHeader(compiled, name, artifact));
  case FileKind::LLVMIR:
  case FileKind::Assembly: {
    Expected<std::string> text = printCode(compiled, kind == FileKind::Assembly);
    return text ? writeTextFile(path, *text) : text.takeError();
  }
  case FileKind::Shared:
  case FileKind::Object:
  case FileKind::Executable:
  case FileKind::StaticLibrary:
    break;
  }
  auto file = OutputFile::create(path, kind == FileKind::Shared || kind == FileKind::Executable ? 0777 : 0666);
  if (!file)
    return file.takeError();
  if (Error error = writeBinary(compiled, kind, name, path, *file))
    return error;
  if (kind == FileKind::StaticLibrary)
    return archive(*file, name.str() + ".o", path);
  return file->commit();
}

} // namespace

Error nacre::codegen::checkFileKind(FileKind kind, llvm::ArrayRef<CpuTarget> targets) {
  const CpuTarget &target = targets.front();
  if (targets.size() > 1 && (kind == FileKind::LLVMIR || kind == FileKind::Assembly))
    return makeError("LLVM IR and assembly are of one CPU's code, but there are " + llvm::Twine(targets.size()) +
                     ": give one of them as the target");
  bool isLinked = kind == FileKind::Shared || kind == FileKind::Executable;
  std::string machine = target.getTriple().getArchName().str();
  if (isLinked)
    if (auto library = findSystemLibrary("libc.so.6", target.getTriple()); !library)
      return makeError("a shared library or an executable cannot be made for " + machine +
                       " on this machine, which has no C library for it (" + llvm::toString(library.takeError()) +
                       "; Debian's package libc6-dev-" + (target.getTriple().isAArch64() ? "arm64" : "amd64") +
                       "-cross has one): emit object or static-library, and link that with the target's compiler");
  if (isLinked || kind == FileKind::StaticLibrary) {
    auto runtime = getEmbedded(Embedded::Runtime, target.getTriple());
    if (!runtime)
      return makeError(llvm::toString(runtime.takeError()) +
                       ": emit object, and link it with a runtime built for that machine");
  }
  return Error::success();
}

LogicalResult nacre::codegen::checkSize(const CompiledModule &compiled, FileKind kind) {
  bool isObject = kind == FileKind::Object || kind == FileKind::StaticLibrary;
  if (!isObject || uint64_t(compiled.parameters.sectionSize) <= kMaxObject)
    return success();
  ModuleOp module = compiled.module;
  return module.emitError("the weights are ")
         << llvm::formatv("{0:f2}", double(compiled.parameters.sectionSize) / (1 << 30)).str()
         << " GiB, expected at most 1.5 GiB in an object or a static library, as code and data of a program must lie "
            "within 2 GiB: emit shared or executable instead";
}

LogicalResult nacre::codegen::emitFile(const CompiledModule &compiled, FileKind kind, llvm::StringRef path,
                                       llvm::StringRef name, llvm::StringRef artifact) {
  Error error = emit(compiled, kind, path, name, artifact);
  if (!error)
    return success();
  ModuleOp module = compiled.module;
  return module.emitError("cannot write '")
         << path << "': " << StringRef(llvm::toString(std::move(error))).rtrim();
}
