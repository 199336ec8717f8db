// Looks at an artefact before the dynamic loader does: that one maps segments
// which a truncated file does not have, and runs code that was altered.
#include "runtime/abi/nacre_artifact.h"
#include "runtime/core/File.h"
#include "runtime/core/Model.h"

#include <cerrno>
#include <cstring>
#include <elf.h>

namespace nacre::runtime {

#if defined(__x86_64__)
static constexpr int hostMachine = EM_X86_64;
#elif defined(__aarch64__)
static constexpr int hostMachine = EM_AARCH64;
#else
#error "unknown host"
#endif

static const char *machineName(int machine) {
  return machine == EM_X86_64    ? "x86-64"
         : machine == EM_AARCH64 ? "aarch64"
         : machine == EM_386     ? "x86"
         : machine == EM_RISCV   ? "RISC-V"
                                 : "another machine";
}

// Compares the file with its trailer, if it has one.
static nacre_status checkTrailer(const InputFile &file, const char *name) {
  uint64_t size = file.getSize();
  nacre_artifact_trailer trailer;
  static_assert(sizeof trailer == 64);
  if (size < sizeof trailer ||
      !file.read(&trailer, sizeof trailer, size - sizeof trailer) ||
      std::memcmp(trailer.magic, NACRE_ARTIFACT_MAGIC, sizeof trailer.magic) !=
          0)
    return NACRE_OK;
  if (trailer.version != NACRE_ARTIFACT_VERSION)
    return fail(NACRE_INCOMPATIBLE,
                "%s: made as artefact version %u, this runtime reads version "
                "%u; compile the model again, or update the runtime",
                name, trailer.version, NACRE_ARTIFACT_VERSION);
  uint64_t end = size - sizeof trailer;
  uint64_t found = 0;
  bool sane = trailer.file_size == size && trailer.parameter_offset <= end &&
              trailer.parameter_size <= end - trailer.parameter_offset;
  if (sane) {
    nacre_checksum checksum;
    nacre_checksum_begin(&checksum);
    auto add = [&](uint64_t from, uint64_t to) {
      char buffer[16384];
      while (from < to) {
        uint64_t part = to - from < sizeof buffer ? to - from : sizeof buffer;
        if (!file.read(buffer, part, from))
          return false;
        nacre_checksum_add(&checksum, buffer, part);
        from += part;
      }
      return true;
    };
    if (!add(0, trailer.parameter_offset) ||
        !add(trailer.parameter_offset + trailer.parameter_size, end))
      return fail(NACRE_IO_ERROR, "%s: cannot be read: %s", name,
                  std::strerror(errno));
    nacre_artifact_trailer bare = trailer;
    bare.checksum = 0;
    nacre_checksum_add(&checksum, &bare, sizeof bare);
    found = nacre_checksum_end(&checksum);
  }
  if (!sane || found != trailer.checksum)
    return fail(NACRE_CORRUPT,
                "%s: the file was altered (its checksum is wrong); copy or "
                "compile it again",
                name);
  return NACRE_OK;
}

nacre_status checkLibraryFile(const char *path) {
  Quoted name(path);
  InputFile file;
  if (nacre_status status = file.open(path))
    return status;
  uint64_t size = file.getSize();

  Elf64_Ehdr header;
  if (size < sizeof header || !file.read(&header, sizeof header, 0) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return fail(NACRE_CORRUPT,
                "%s: not a Nacre artefact (a shared library made by `nacre "
                "compile`)",
                name.text);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != hostMachine)
    return fail(NACRE_INCOMPATIBLE,
                "%s: made for %s, this machine is %s; compile the model again "
                "for it",
                name.text, machineName(header.e_machine),
                machineName(hostMachine));
  if (header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr))
    return fail(NACRE_CORRUPT, "%s: not a shared library", name.text);

  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    uint64_t at = header.e_phoff + i * sizeof segment;
    if (header.e_phoff > size || !file.read(&segment, sizeof segment, at))
      return fail(NACRE_CORRUPT, "%s: truncated inside of its headers",
                  name.text);
    if (segment.p_type != PT_NULL &&
        (segment.p_offset > size || segment.p_filesz > size - segment.p_offset))
      return fail(
          NACRE_CORRUPT,
          "%s: truncated: it has %llu bytes, but a segment ends at "
          "%llu; copy or compile it again",
          name.text, static_cast<unsigned long long>(size),
          static_cast<unsigned long long>(segment.p_offset + segment.p_filesz));
  }
  return checkTrailer(file, name.text);
}

} // namespace nacre::runtime
