//===- Link.cpp - Objects to one file, in process ----- -------*- C++ -*-===//
#include "compiler/codegen/Link.h"
#include "compiler/codegen/Descriptor.h"
#include "compiler/support/OutputFile.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/TargetParser/Host.h"
#include "runtime/abi/nacre_artifact.h"
#include <cerrno>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace llvm;
using namespace nacre;
using namespace nacre::codegen;

namespace {

// The usual layout of a small shared library or program, with one addition: the parameters
// are the last segment. They have no contents in lld's output and none of the
// other addresses depends on their size, which may be beyond 2 GiB.
std::string makeScript(const LinkOptions &options) {
  bool isProgram = options.kind == LinkKind::Program;
  std::string script = "PHDRS {\n";
  if (isProgram)
    script += "  headers PT_PHDR PHDRS FLAGS(4);\n  interpreter PT_INTERP FLAGS(4);\n";
  script += R"(
  rodata PT_LOAD FILEHDR PHDRS FLAGS(4);
  text PT_LOAD FLAGS(5);
  data PT_LOAD FLAGS(6);
)";
  if (options.hasParameters)
    script += "  parameters PT_LOAD FLAGS(4);\n";
  script += R"(
  thread PT_TLS FLAGS(4);
  dynamic PT_DYNAMIC FLAGS(6);
  relro PT_GNU_RELRO FLAGS(4);
  stack PT_GNU_STACK FLAGS(6);
)";
  script += "  trailer " + utostr(NACRE_ARTIFACT_SEGMENT) + " FLAGS(4);\n"; // filled in by the writer
  script += R"(}
SECTIONS {
  . = SIZEOF_HEADERS;
)";
  if (isProgram)
    script += "  .interp : { *(.interp) } :rodata :interpreter\n";
  script += R"(
  .gnu.hash : { *(.gnu.hash) } :rodata
  .dynsym : { *(.dynsym) } :rodata
  .dynstr : { *(.dynstr) } :rodata
  .gnu.version : { *(.gnu.version) } :rodata
  .gnu.version_r : { *(.gnu.version_r) } :rodata
  .rela.dyn : { *(.rela.dyn) } :rodata
  .rela.plt : { *(.rela.plt) } :rodata
  .rodata : { *(.rodata .rodata.*) } :rodata
  .eh_frame : { *(.eh_frame) } :rodata
  .gcc_except_table : { *(.gcc_except_table .gcc_except_table.*) } :rodata
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .text : { *(.text .text.*) } :text
  .plt : { *(.plt .plt.*) } :text
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .tdata : { *(.tdata .tdata.*) } :data :relro :thread
  .tbss : { *(.tbss .tbss.*) } :data :relro :thread
  .init_array : { *(SORT_BY_INIT_PRIORITY(.init_array.*)) *(.init_array) } :data :relro
  .fini_array : { *(SORT_BY_INIT_PRIORITY(.fini_array.*)) *(.fini_array) } :data :relro
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) } :data :relro
  .dynamic : { *(.dynamic) } :data :relro :dynamic
  .got : { *(.got) } :data :relro
  .got.plt : { *(.got.plt) } :data :relro
  . = ALIGN(CONSTANT(MAXPAGESIZE));
  .data : { *(.data .data.*) } :data
  .bss : { *(.bss .bss.*) } :data
)";
  if (options.hasParameters)
    script += std::string("  . = ALIGN(CONSTANT(MAXPAGESIZE));\n  ") + kParameterSection + " : { *(" +
              kParameterSection + ") } :parameters\n";
  return script + "}\n";
}

/// The dynamic loader as programs name it. The addresses of threads' variables are asked of it.
StringRef getLoader(const Triple &machine) {
  return machine.isAArch64() ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
}

/// Where the loader of this process found a library, with its versions.
Expected<std::string> findOwnLibrary(const char *name) {
  void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  link_map *map = nullptr;
  if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
    return createStringError(inconvertibleErrorCode(), "cannot find %s: %s", name, dlerror());
  std::string path = map->l_name;
  dlclose(handle);
  return path;
}

/// A file in memory, which lld reads by name.
class MemoryFile {
public:
  static Expected<MemoryFile> create(StringRef contents) {
    MemoryFile file;
    auto fail = [] { return errnoError("cannot make a file in memory for the linker"); };
    file.descriptor = memfd_create("nacre", MFD_CLOEXEC);
    if (file.descriptor < 0)
      return fail();
    while (!contents.empty()) {
      ssize_t done = ::write(file.descriptor, contents.data(), std::min<size_t>(contents.size(), 64 << 20));
      if (done < 0 && errno != EINTR)
        return fail();
      contents = contents.drop_front(std::max<ssize_t>(done, 0));
    }
    return file;
  }
  MemoryFile(MemoryFile &&other) : descriptor(std::exchange(other.descriptor, -1)) {}
  ~MemoryFile() {
    if (descriptor >= 0)
      close(descriptor);
  }
  std::string getPath() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  MemoryFile() = default;
  int descriptor = -1;
};

/// What lld writes, without a file: a killed process leaves none behind. lld puts beside a
/// regular file what it has not finished, and writes to anything else at once: to this pipe.
class OutputPipe {
public:
  static Expected<std::unique_ptr<OutputPipe>> create() {
    std::unique_ptr<OutputPipe> pipe(new OutputPipe);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      return errnoError("cannot make a pipe for the linker");
    pipe->input = ends[0], pipe->output = ends[1];
    pipe->finished = eventfd(0, EFD_CLOEXEC);
    if (pipe->finished < 0)
      return errnoError("cannot make an event for the linker");
    pipe->reader = std::thread([&self = *pipe] { self.read(); });
    return pipe;
  }
  ~OutputPipe() {
    finish();
    for (int descriptor : {input, output, finished})
      if (descriptor >= 0)
        close(descriptor);
  }

  std::string getPath() const { return "/proc/self/fd/" + std::to_string(output); }

  /// Everything that was written.
  Expected<std::unique_ptr<MemoryBuffer>> take() {
    finish();
    if (error)
      return createStringError(error, "cannot read what was linked: " + error.message());
    return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes), /*RequiresNullTerminator=*/false);
  }

private:
  OutputPipe() = default;

  /// The event ends it, not the pipe's: another thread may have forked a process that holds
  /// the pipe open.
  void finish() {
    if (!reader.joinable())
      return;
    eventfd_write(finished, 1);
    reader.join();
  }

  void read() {
    constexpr size_t chunk = 1 << 20;
    pollfd events[] = {{input, POLLIN, 0}, {finished, POLLIN, 0}};
    while (true) {
      if (poll(events, 2, -1) < 0) {
        if (errno == EINTR)
          continue;
        break;
      }
      if (!(events[0].revents & POLLIN))
        return; // what was written before the event has been read
      size_t size = bytes.size();
      bytes.resize_for_overwrite(size + chunk);
      ssize_t done = ::read(input, bytes.data() + size, chunk);
      bytes.truncate(size + size_t(std::max<ssize_t>(done, 0)));
      if (done < 0 && errno != EINTR)
        break;
    }
    error = std::error_code(errno, std::generic_category());
    close(std::exchange(input, -1)); // lld shall not wait
  }

  int input = -1, output = -1, finished = -1;
  SmallVector<char, 0> bytes;
  std::error_code error;
  std::thread reader; // which uses all the others
};

} // namespace

uint64_t nacre::codegen::getPageSize(const Triple &machine) { return machine.isAArch64() ? 65536 : 4096; }

Expected<std::string> nacre::codegen::findSystemLibrary(StringRef name, const Triple &machine) {
  if (machine.getArch() == Triple(sys::getProcessTriple()).getArch())
    return findOwnLibrary(name.str().c_str());
  std::string gnu = (machine.getArchName() + "-linux-gnu").str(), searched;
  for (const std::string &folder : {"/usr/" + gnu + "/lib", "/usr/lib/" + gnu, "/lib/" + gnu}) {
    SmallString<128> path(folder);
    sys::path::append(path, name);
    if (sys::fs::exists(path))
      return std::string(path);
    searched += (searched.empty() ? "" : ", ") + folder;
  }
  return createStringError(inconvertibleErrorCode(), "there is no %s in %s", name.str().c_str(), searched.c_str());
}

static Error runLinker(ArrayRef<const char *> arguments) {
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

Expected<std::unique_ptr<MemoryBuffer>>
nacre::codegen::link(ArrayRef<MemoryBufferRef> objects, const LinkOptions &options) {
  std::vector<NewArchiveMember> members;
  for (MemoryBufferRef object : objects)
    members.emplace_back(object);
  auto archive = writeArchiveToBuffer(members, SymtabWritingMode::NoSymtab, object::Archive::K_GNU,
                                      /*Deterministic=*/true, /*Thin=*/false);
  if (!archive)
    return archive.takeError();
  auto archiveFile = MemoryFile::create((*archive)->getBuffer());
  if (!archiveFile)
    return archiveFile.takeError();

  // lld writes to names only.
  auto output = OutputPipe::create();
  if (!output)
    return output.takeError();
  std::vector<std::string> arguments = {"ld.lld", "-o", (*output)->getPath(), "--threads=1", "--gc-sections",
                                        "--build-id=none"};
  auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
  std::optional<Expected<MemoryFile>> scriptFile;
  if (options.kind == LinkKind::Relocatable) {
    add({"-r", "--force-group-allocation"});
    for (const std::string &root : options.roots)
      add({"-u", root});
  } else {
    scriptFile.emplace(MemoryFile::create(makeScript(options)));
    if (!*scriptFile)
      return scriptFile->takeError();
    add({"-T", (*scriptFile)->getPath(), "--hash-style=gnu", "-z", "now", "-z", "relro", "-z",
         "noexecstack", "-z", "defs", "-z", "max-page-size=" + utostr(getPageSize(options.triple))});
    if (options.kind == LinkKind::Program)
      add({"-pie", "--dynamic-linker", getLoader(options.triple).str()});
    else
      add({"-shared", "-Bsymbolic"});
    if (!options.soname.empty())
      add({"-soname", options.soname});
  }
  add({"--whole-archive", archiveFile->getPath(), "--no-whole-archive"});
  if (options.kind != LinkKind::Relocatable) {
    add({"--as-needed"});
    for (StringRef name : {StringRef("libm.so.6"), StringRef("libc.so.6"), sys::path::filename(getLoader(options.triple))}) {
      auto library = findSystemLibrary(name, options.triple);
      if (!library)
        return library.takeError();
      add({*library});
    }
  }
  std::vector<const char *> pointers;
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());
  if (Error error = runLinker(pointers))
    return error;
  return (*output)->take();
}
