//===- Artifact.cpp - Write a model as a file -------------------*- C++ -*-===//
//
// lld links code and descriptor with a section of parameters that has no
// contents. The parameters are then written at the end of the file, and the
// headers of the section and of its segment patched: they go neither through the
// linker nor through memory as a whole.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Artifact.h"
#include "compiler/codegen/Descriptor.h"
#include "compiler/codegen/Embedded.h"
#include "compiler/codegen/EntryPoints.h"
#include "compiler/codegen/Link.h"
#include "compiler/support/OutputFile.h"
#include "compiler/codegen/Prepare.h"
#include "compiler/codegen/Versions.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Path.h"
#include "runtime/abi/nacre_abi.h"
#include "runtime/abi/nacre_artifact.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;
using llvm::Error;
using llvm::Expected;

namespace {

/// Where things lie in lld's output.
struct Layout {
  uint64_t segmentHeader = 0, sectionHeader = 0; // of the parameters, file offsets
  uint64_t trailerHeader = 0;                    // of the trailer's segment
  std::vector<uint64_t> models;                  // nacre_model and those behind it, file offsets
  uint64_t fileSize = 0;
};

Expected<Layout> findLayout(llvm::MemoryBufferRef linked) {
  using ELF = llvm::object::ELF64LE;
  auto file = llvm::object::ELFFile<ELF>::create(linked.getBuffer());
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  auto segments = file->program_headers();
  if (!sections || !segments)
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "no headers");
  Layout layout;
  layout.fileSize = linked.getBufferSize();
  auto offsetOf = [&](const void *pointer) {
    return uint64_t(static_cast<const char *>(pointer) - linked.getBufferStart());
  };
  for (const auto &segment : *segments)
    if (segment.p_type == NACRE_ARTIFACT_SEGMENT)
      layout.trailerHeader = offsetOf(&segment);
  for (const auto &section : *sections) {
    auto name = file->getSectionName(section);
    if (!name)
      return name.takeError();
    if (*name == kParameterSection) {
      layout.sectionHeader = offsetOf(&section);
      for (const auto &segment : *segments) // none in an object
        if (segment.p_type == llvm::ELF::PT_LOAD && segment.p_vaddr == section.sh_addr)
          layout.segmentHeader = offsetOf(&segment);
    }
    if (section.sh_type != llvm::ELF::SHT_SYMTAB)
      continue;
    auto names = file->getStringTableForSymtab(section);
    auto symbols = file->symbols(&section);
    if (!names || !symbols)
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "no symbols");
    for (const auto &symbol : *symbols) {
      auto symbolName = symbol.getName(*names);
      if (!symbolName)
        return symbolName.takeError();
      if (*symbolName != NACRE_ABI_MODEL_SYMBOL && !symbolName->starts_with(kFallbackPrefix))
        continue;
      auto in = file->getSection(symbol.st_shndx);
      if (!in)
        return in.takeError();
      // In an object a symbol's value counts from its section.
      bool isObject = file->getHeader().e_type == llvm::ELF::ET_REL;
      layout.models.push_back((*in)->sh_offset + symbol.st_value - (isObject ? 0 : (*in)->sh_addr));
    }
  }
  if (layout.models.empty())
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "no " NACRE_ABI_MODEL_SYMBOL);
  return layout;
}

class ArtifactWriter {
public:
  ArtifactWriter(const CompiledModule &compiled, FileKind kind, llvm::StringRef name,
                 llvm::StringRef target, OutputFile &file)
      : compiled(compiled), table(compiled.parameters), kind(kind), name(name), target(target), file(file) {}

  Error run() {
    Expected<std::unique_ptr<llvm::MemoryBuffer>> linked = linkCode();
    if (linked && isObject() && !name.empty())
      linked = hideSymbols(**linked, getVisibleSymbols());
    if (!linked)
      return linked.takeError();
    Expected<Layout> layout = findLayout(**linked);
    if (!layout)
      return layout.takeError();
    if (Error error = file.write((*linked)->getBufferStart(), (*linked)->getBufferSize(), 0))
      return error;
    if (table.sectionSize > 0) {
      start = llvm::alignTo(layout->fileSize, getPageSize(compiled.target.getTriple()));
      if (Error error = writeParameters())
        return error;
      if (Error error = patchHeaders(*layout))
        return error;
    }
    if (Error error = writeChecksum(*layout))
      return error;
    return isObject() ? Error::success() : writeTrailer(*layout);
  }

private:
  std::vector<std::pair<std::string, std::string>> getVisibleSymbols() const {
    std::vector<std::pair<std::string, std::string>> visible;
    for (std::string &symbol : getEntrySymbols(compiled, name))
      visible.emplace_back(symbol, symbol);
    return visible;
  }

  bool isObject() const { return kind == FileKind::Object || kind == FileKind::StaticLibrary; }

  Expected<std::unique_ptr<llvm::MemoryBuffer>> linkCode() {
    auto descriptor = makeDescriptor(compiled, /*hasSection=*/true);
    if (!descriptor)
      return descriptor.takeError();
    auto code = joinVersions(compiled);
    if (!code)
      return code.takeError();
    std::vector<llvm::MemoryBufferRef> objects;
    for (const Object &object : *code)
      objects.emplace_back(object.bytes->getBuffer(), object.name);
    objects.emplace_back((*descriptor)->getBuffer(), "nacre.descriptor");
    LinkOptions options;
    options.triple = compiled.target.getTriple();
    options.hasParameters = table.sectionSize > 0;
    options.kind = isObject()                     ? LinkKind::Relocatable
                   : kind == FileKind::Executable ? LinkKind::Program
                                                  : LinkKind::Shared;
    std::unique_ptr<llvm::MemoryBuffer> entry;
    auto embed = [&](Embedded what) -> Error {
      auto object = getEmbedded(what, compiled.target.getTriple());
      if (!object)
        return object.takeError();
      objects.push_back(*object);
      return Error::success();
    };
    if (kind == FileKind::Executable) {
      if (Error error = embed(Embedded::Main))
        return error;
    } else if (!name.empty()) {
      auto made = makeEntryPoints(compiled, name);
      if (!made)
        return made.takeError();
      entry = std::move(*made);
      objects.emplace_back(entry->getBuffer(), "nacre.entry");
      options.roots = getEntrySymbols(compiled, name);
      // A program finds the model in its own folder, wherever that is.
      options.soname = ("$ORIGIN/" + llvm::sys::path::filename(target)).str();
    }
    if (kind != FileKind::Object && !name.empty())
      if (Error error = embed(Embedded::Runtime))
        return error;
    return link(objects, options);
  }

  /// Writes the section from front to back, and sums it up on the way. What
  /// @prepare has computed is there already and read back.
  Error writeParameters() {
    if (ftruncate(file.getDescriptor(), start + table.sectionSize) != 0)
      return errnoError("cannot write");
    if (Error error = runPrepare())
      return error;
    nacre_checksum state;
    nacre_checksum_begin(&state);
    const char padding[NACRE_ABI_ALIGNMENT] = {};
    int64_t done = 0;
    for (const Parameter &parameter : getStored()) {
      nacre_checksum_add(&state, padding, parameter.offset - done);
      done = parameter.offset + parameter.size;
      if (Error error = parameter.isComputed ? readBack(parameter, state)
                                             : writeParameter(parameter, state))
        return error;
    }
    checksum = nacre_checksum_end(&state);
    return Error::success();
  }

  /// What lies in the section, by offset: a version's own parameters are behind those before it.
  std::vector<Parameter> getStored() const {
    std::vector<Parameter> stored;
    for (const CompiledModule *version : compiled.getVersions())
      llvm::copy_if(version->parameters.parameters, std::back_inserter(stored),
                    [](const Parameter &parameter) { return parameter.offset >= 0 && !parameter.isShared; });
    return stored;
  }

  Error writeParameter(const Parameter &parameter, nacre_checksum &state) {
    FailureOr<ParameterBytes> bytes = ParameterBytes::get(parameter.op);
    if (failed(bytes))
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "a parameter has no value");
    bool isHole = bytes->isZero(); // as the file is
    uint64_t offset = start + parameter.offset;
    Error error = Error::success();
    bytes->forEachPiece([&](llvm::ArrayRef<char> piece) {
      nacre_checksum_add(&state, piece.data(), piece.size());
      if (!isHole)
        error = file.write(piece.data(), piece.size(), offset);
      offset += piece.size();
      return !error;
    });
    return error;
  }

  Error readBack(const Parameter &parameter, nacre_checksum &state) {
    std::vector<char> piece(std::min<int64_t>(parameter.size, 1 << 20));
    for (int64_t done = 0; done < parameter.size;) {
      size_t now = std::min<int64_t>(piece.size(), parameter.size - done);
      if (Error error = file.read(piece.data(), now, start + parameter.offset + done))
        return error;
      nacre_checksum_add(&state, piece.data(), now);
      done += now;
    }
    return Error::success();
  }

  /// Computes parameters right into the file.
  Error runPrepare() {
    if (llvm::none_of(compiled.getVersions(), [](const CompiledModule *version) { return version->prepare.has_value(); }))
      return Error::success();
    // Writing to a mapped hole of a file on a full disk would end the process.
    if (int error = posix_fallocate(file.getDescriptor(), start, table.sectionSize)) {
      errno = error;
      return errnoError("cannot write");
    }
    void *section = mmap(nullptr, table.sectionSize, PROT_READ | PROT_WRITE, MAP_SHARED,
                         file.getDescriptor(), start);
    if (section == MAP_FAILED)
      return errnoError("cannot map the parameters");
    llvm::scope_exit unmap([&] { munmap(section, table.sectionSize); });
    for (const CompiledModule *version : compiled.getVersions())
      if (version->prepare)
        if (Error error = prepareParameters(*version->prepare, version->parameters, static_cast<char *>(section),
                                            /*isFile=*/true))
          return error;
    return Error::success();
  }

  Error patchHeaders(const Layout &layout) {
    llvm::ELF::Elf64_Phdr segment;
    llvm::ELF::Elf64_Shdr section;
    if (!layout.sectionHeader || (!isObject() && !layout.segmentHeader))
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "no segment of parameters");
    if (Error error = file.read(&section, sizeof section, layout.sectionHeader))
      return error;
    section.sh_offset = start;
    section.sh_type = llvm::ELF::SHT_PROGBITS;
    if (section.sh_size != uint64_t(table.sectionSize))
      return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                     "the section of parameters has a wrong size");
    if (Error error = file.write(&section, sizeof section, layout.sectionHeader))
      return error;
    if (isObject())
      return Error::success();
    if (Error error = file.read(&segment, sizeof segment, layout.segmentHeader))
      return error;
    segment.p_offset = start;
    segment.p_filesz = segment.p_memsz;
    return file.write(&segment, sizeof segment, layout.segmentHeader);
  }

  Error writeChecksum(const Layout &layout) {
    for (uint64_t model : layout.models)
      if (Error error = file.write(&checksum, sizeof checksum,
                                   model + offsetof(nacre_abi_model, parameter_checksum)))
        return error;
    return Error::success();
  }

  /// What the runtime looks at before it lets the dynamic loader see the file.
  Error writeTrailer(const Layout &layout) {
    struct stat status;
    if (fstat(file.getDescriptor(), &status) != 0)
      return errnoError("cannot read back");
    uint64_t size = uint64_t(status.st_size);
    llvm::ELF::Elf64_Phdr segment;
    if (Error error = file.read(&segment, sizeof segment, layout.trailerHeader))
      return error;
    segment.p_offset = size;
    segment.p_filesz = sizeof(nacre_artifact_trailer);
    if (Error error = file.write(&segment, sizeof segment, layout.trailerHeader))
      return error;
    void *bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.getDescriptor(), 0);
    if (bytes == MAP_FAILED)
      return errnoError("cannot map");
    nacre_artifact_trailer trailer =
        nacre_artifact_trailer_of(bytes, size, start, table.sectionSize);
    munmap(bytes, size);
    return file.write(&trailer, sizeof trailer, size);
  }

  const CompiledModule &compiled;
  const ParameterTable &table;
  FileKind kind;
  llvm::StringRef name, target;
  OutputFile &file;
  uint64_t start = 0; // of the parameters in the file
  uint64_t checksum = nacre_checksum_of(nullptr, 0);
};

} // namespace

Error nacre::codegen::writeBinary(const CompiledModule &compiled, FileKind kind, llvm::StringRef name,
                                  llvm::StringRef target, OutputFile &file) {
  return ArtifactWriter(compiled, kind, name, target, file).run();
}
