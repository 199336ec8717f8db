//===- Artifact.cpp - Write a model's shared library ------------*- C++ -*-===//
//
// lld links code and descriptor with a section of parameters that has no
// contents. The parameters are then written at the end of the file, and the
// headers of the section and of its segment patched: they go neither through the
// linker nor through memory as a whole.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/Descriptor.h"
#include "compiler/codegen/Link.h"
#include "compiler/codegen/Prepare.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "runtime/abi/nacre_abi.h"
#include "runtime/abi/nacre_artifact.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace nacre::codegen;
using llvm::Error;
using llvm::Expected;

namespace {

constexpr uint64_t kPage = 4096;

Error errnoError(const llvm::Twine &what) {
  return llvm::createStringError(std::error_code(errno, std::generic_category()), what);
}

/// A file opened for patching.
class File {
public:
  explicit File(const char *path) : descriptor(open(path, O_RDWR | O_CLOEXEC)) {}
  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }
  File(const File &) = delete;

  Error write(const void *data, size_t size, uint64_t offset) {
    auto *bytes = static_cast<const char *>(data);
    while (size > 0) {
      // Large writes in pieces: the kernel takes less than 2 GiB at once.
      ssize_t done = pwrite(descriptor, bytes, std::min<size_t>(size, 64 << 20), offset);
      if (done < 0 && errno == EINTR)
        continue;
      if (done <= 0)
        return errnoError("cannot write");
      bytes += done, size -= done, offset += done;
    }
    return Error::success();
  }
  Error read(void *data, size_t size, uint64_t offset) {
    auto *bytes = static_cast<char *>(data);
    while (size > 0) {
      ssize_t done = pread(descriptor, bytes, size, offset);
      if (done < 0 && errno == EINTR)
        continue;
      if (done <= 0)
        return errnoError("cannot read back");
      bytes += done, size -= done, offset += done;
    }
    return Error::success();
  }

  const int descriptor;
};

/// Where things lie in lld's output.
struct Layout {
  uint64_t segmentHeader = 0, sectionHeader = 0; // of the parameters, file offsets
  uint64_t model = 0;                            // nacre_model, file offset
  uint64_t fileSize = 0;
};

Expected<Layout> findLayout(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(), "cannot read back");
  using ELF = llvm::object::ELF64LE;
  auto file = llvm::object::ELFFile<ELF>::create((*buffer)->getBuffer());
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  auto segments = file->program_headers();
  if (!sections || !segments)
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "no headers");
  Layout layout;
  layout.fileSize = (*buffer)->getBufferSize();
  auto offsetOf = [&](const void *pointer) {
    return uint64_t(static_cast<const char *>(pointer) - (*buffer)->getBufferStart());
  };
  for (const auto &section : *sections) {
    auto name = file->getSectionName(section);
    if (!name)
      return name.takeError();
    if (*name == kParameterSection) {
      layout.sectionHeader = offsetOf(&section);
      for (const auto &segment : *segments)
        if (segment.p_type == llvm::ELF::PT_LOAD && segment.p_vaddr == section.sh_addr)
          layout.segmentHeader = offsetOf(&segment);
    }
    if (section.sh_type != llvm::ELF::SHT_DYNSYM)
      continue;
    auto names = file->getStringTableForSymtab(section);
    auto symbols = file->symbols(&section);
    if (!names || !symbols)
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "no symbols");
    for (const auto &symbol : *symbols) {
      auto symbolName = symbol.getName(*names);
      if (!symbolName)
        return symbolName.takeError();
      if (*symbolName != NACRE_ABI_MODEL_SYMBOL)
        continue;
      auto address = file->toMappedAddr(symbol.st_value);
      if (!address)
        return address.takeError();
      layout.model = offsetOf(*address);
    }
  }
  if (!layout.model)
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "no " NACRE_ABI_MODEL_SYMBOL);
  return layout;
}

class ArtifactWriter {
public:
  ArtifactWriter(const CompiledModule &compiled, const char *path)
      : compiled(compiled), table(compiled.parameters), path(path) {}

  Error run() {
    if (Error error = linkCode())
      return error;
    Expected<Layout> layout = findLayout(path);
    if (!layout)
      return layout.takeError();
    File file(path);
    if (file.descriptor < 0)
      return errnoError("cannot open");
    if (table.sectionSize > 0) {
      start = llvm::alignTo(layout->fileSize, kPage);
      if (Error error = writeParameters(file))
        return error;
      if (Error error = patchHeaders(file, *layout))
        return error;
    }
    if (Error error = writeChecksum(file, *layout))
      return error;
    if (Error error = writeTrailer(file))
      return error;
    return fsync(file.descriptor) == 0 ? Error::success() : errnoError("cannot write");
  }

private:
  Error linkCode() {
    auto descriptor = makeDescriptor(compiled, /*hasSection=*/true);
    if (!descriptor)
      return descriptor.takeError();
    std::vector<llvm::MemoryBufferRef> objects;
    for (const Object &object : compiled.objects)
      objects.emplace_back(object.bytes->getBuffer(), object.name);
    objects.emplace_back((*descriptor)->getBuffer(), "nacre.descriptor");
    return link(objects, table.sectionSize > 0, path);
  }

  /// Writes the section from front to back, and sums it up on the way. What
  /// @prepare has computed is there already and read back.
  Error writeParameters(File &file) {
    if (ftruncate(file.descriptor, start + table.sectionSize) != 0)
      return errnoError("cannot write");
    if (Error error = runPrepare(file))
      return error;
    nacre_checksum state;
    nacre_checksum_begin(&state);
    const char padding[NACRE_ABI_ALIGNMENT] = {};
    int64_t done = 0;
    for (const Parameter &parameter : table.parameters) {
      if (parameter.offset < 0)
        continue;
      nacre_checksum_add(&state, padding, parameter.offset - done);
      done = parameter.offset + parameter.size;
      if (Error error = parameter.isComputed ? readBack(file, parameter, state)
                                             : writeParameter(file, parameter, state))
        return error;
    }
    checksum = nacre_checksum_end(&state);
    return Error::success();
  }

  Error writeParameter(File &file, const Parameter &parameter, nacre_checksum &state) {
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

  Error readBack(File &file, const Parameter &parameter, nacre_checksum &state) {
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
  Error runPrepare(File &file) {
    if (!compiled.prepare)
      return Error::success();
    void *section = mmap(nullptr, table.sectionSize, PROT_READ | PROT_WRITE, MAP_SHARED,
                         file.descriptor, start);
    if (section == MAP_FAILED)
      return errnoError("cannot map the parameters");
    llvm::scope_exit unmap([&] { munmap(section, table.sectionSize); });
    return prepareParameters(*compiled.prepare, table, static_cast<char *>(section),
                             /*isFile=*/true);
  }

  Error patchHeaders(File &file, const Layout &layout) {
    llvm::ELF::Elf64_Phdr segment;
    llvm::ELF::Elf64_Shdr section;
    if (!layout.segmentHeader || !layout.sectionHeader)
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "no segment of parameters");
    if (Error error = file.read(&segment, sizeof segment, layout.segmentHeader))
      return error;
    if (Error error = file.read(&section, sizeof section, layout.sectionHeader))
      return error;
    segment.p_offset = section.sh_offset = start;
    segment.p_filesz = segment.p_memsz;
    section.sh_type = llvm::ELF::SHT_PROGBITS;
    if (segment.p_memsz != uint64_t(table.sectionSize))
      return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                     "the segment of parameters has a wrong size");
    if (Error error = file.write(&segment, sizeof segment, layout.segmentHeader))
      return error;
    return file.write(&section, sizeof section, layout.sectionHeader);
  }

  Error writeChecksum(File &file, const Layout &layout) {
    return file.write(&checksum, sizeof checksum,
                      layout.model + offsetof(nacre_abi_model, parameter_checksum));
  }

  /// What the runtime looks at before it lets the dynamic loader see the file.
  Error writeTrailer(File &file) {
    uint64_t size;
    if (std::error_code error = llvm::sys::fs::file_size(path, size))
      return llvm::createStringError(error, "cannot read back");
    void *bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor, 0);
    if (bytes == MAP_FAILED)
      return errnoError("cannot map");
    nacre_artifact_trailer trailer =
        nacre_artifact_trailer_of(bytes, size, start, table.sectionSize);
    munmap(bytes, size);
    return file.write(&trailer, sizeof trailer, size);
  }

  const CompiledModule &compiled;
  const ParameterTable &table;
  const char *path;
  uint64_t start = 0; // of the parameters in the file
  uint64_t checksum = nacre_checksum_of(nullptr, 0);
};

} // namespace

LogicalResult nacre::codegen::writeArtifact(const CompiledModule &compiled, llvm::StringRef path) {
  auto fail = [&](const llvm::Twine &message) {
    ModuleOp module = compiled.module;
    return module.emitError("cannot write '") << path << "': " << StringRef(message.str()).rtrim();
  };
  // Beside the target, so that the last step is one rename.
  llvm::SmallString<128> temporary;
  llvm::sys::fs::createUniquePath(path + ".%%%%%%%%.tmp", temporary, /*MakeAbsolute=*/false);
  llvm::scope_exit remove([&] { llvm::sys::fs::remove(temporary); });
  if (Error error = ArtifactWriter(compiled, temporary.c_str()).run())
    return fail(llvm::toString(std::move(error)));
  if (std::error_code error = llvm::sys::fs::rename(temporary, path))
    return fail(error.message());
  remove.release();
  return success();
}
