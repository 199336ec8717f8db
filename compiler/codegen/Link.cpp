//===- Link.cpp - Objects to a shared library, in process -------*- C++ -*-===//
#include "compiler/codegen/Link.h"
#include "compiler/codegen/Descriptor.h"
#include "lld/Common/Driver.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include <dlfcn.h>
#include <link.h>
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace llvm;
using namespace nacre::codegen;

namespace {

// The usual layout of a small shared library, with one addition: the parameters
// are the last segment. They have no contents in lld's output and none of the
// other addresses depends on their size, which may be beyond 2 GiB.
constexpr char kScriptHead[] = R"(
PHDRS {
  rodata PT_LOAD FILEHDR PHDRS FLAGS(4);
  text PT_LOAD FLAGS(5);
  data PT_LOAD FLAGS(6);
)";
constexpr char kScriptParameters[] = "  parameters PT_LOAD FLAGS(4);\n";
constexpr char kScriptBody[] = R"(
  dynamic PT_DYNAMIC FLAGS(6);
  relro PT_GNU_RELRO FLAGS(4);
  stack PT_GNU_STACK FLAGS(6);
}
SECTIONS {
  . = SIZEOF_HEADERS;
  .gnu.hash : { *(.gnu.hash) } :rodata
  .dynsym : { *(.dynsym) } :rodata
  .dynstr : { *(.dynstr) } :rodata
  .gnu.version : { *(.gnu.version) } :rodata
  .gnu.version_r : { *(.gnu.version_r) } :rodata
  .rela.dyn : { *(.rela.dyn) } :rodata
  .rela.plt : { *(.rela.plt) } :rodata
  .rodata : { *(.rodata .rodata.*) } :rodata
  .eh_frame : { *(.eh_frame) } :rodata
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .text : { *(.text .text.*) } :text
  .plt : { *(.plt .plt.*) } :text
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) } :data :relro
  .dynamic : { *(.dynamic) } :data :relro :dynamic
  .got : { *(.got) } :data :relro
  .got.plt : { *(.got.plt) } :data :relro
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .data : { *(.data .data.*) } :data
  .bss : { *(.bss .bss.*) } :data
)";

/// Where the loader found a library of the C library's, with its versions.
Expected<std::string> findSystemLibrary(const char *name) {
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  link_map *map = nullptr;
  if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
    return createStringError(inconvertibleErrorCode(), "cannot find %s: %s", name, dlerror());
  std::string path = map->l_name;
  dlclose(handle);
  return path;
}

/// A file that goes away.
class TemporaryFile {
public:
  static Expected<TemporaryFile> create(StringRef suffix, StringRef contents) {
    TemporaryFile file;
    int descriptor;
    if (std::error_code error =
            sys::fs::createTemporaryFile("nacre", suffix, descriptor, file.path))
      return createStringError(error, "cannot make a temporary file");
    file.remover = std::make_unique<FileRemover>(file.path);
    raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
    stream << contents;
    stream.close();
    if (stream.has_error()) {
      std::error_code error = stream.error();
      stream.clear_error();
      return createStringError(error, "cannot write " + file.path.str());
    }
    return file;
  }
  const char *getPath() { return path.c_str(); }

private:
  SmallString<128> path;
  std::unique_ptr<FileRemover> remover;
};

} // namespace

Error nacre::codegen::link(ArrayRef<MemoryBufferRef> objects, bool hasParameters, StringRef path) {
  std::vector<NewArchiveMember> members;
  for (MemoryBufferRef object : objects)
    members.emplace_back(object);
  auto archive = writeArchiveToBuffer(members, SymtabWritingMode::NoSymtab, object::Archive::K_GNU,
                                      /*Deterministic=*/true, /*Thin=*/false);
  if (!archive)
    return archive.takeError();
  auto archiveFile = TemporaryFile::create("a", (*archive)->getBuffer());
  if (!archiveFile)
    return archiveFile.takeError();

  std::string script = kScriptHead;
  if (hasParameters)
    script += kScriptParameters;
  script += kScriptBody;
  if (hasParameters)
    script += std::string("  . = ALIGN(CONSTANT(MAXPAGESIZE));\n  ") + kParameterSection + " : { *(" +
              kParameterSection + ") } :parameters\n";
  script += "}\n";
  auto scriptFile = TemporaryFile::create("ld", script);
  if (!scriptFile)
    return scriptFile.takeError();
  auto libm = findSystemLibrary("libm.so.6"), libc = findSystemLibrary("libc.so.6");
  if (!libm)
    return joinErrors(libm.takeError(), libc ? Error::success() : libc.takeError());
  if (!libc)
    return libc.takeError();

  std::string output = path.str();
  const char *arguments[] = {"ld.lld", "-shared", "-o", output.c_str(), "-T", scriptFile->getPath(),
                             "--gc-sections", "--hash-style=gnu", "--build-id=none", "-z", "now",
                             "-z", "relro", "-z", "noexecstack", "-z", "defs", "-z",
                             "max-page-size=4096", "--threads=1", "--whole-archive",
                             archiveFile->getPath(), "--no-whole-archive", "--as-needed",
                             libm->c_str(), libc->c_str()};
  // lld keeps its state in globals.
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return createStringError(inconvertibleErrorCode(),
                             "the linker crashed earlier in this process");
  std::string messages;
  raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode != 0)
    return createStringError(inconvertibleErrorCode(), "linking failed: " + messages);
  return Error::success();
}
