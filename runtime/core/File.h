// Files: read where they are known to be files, written complete or not at all.
#ifndef NACRE_RUNTIME_CORE_FILE_H
#define NACRE_RUNTIME_CORE_FILE_H

#include "runtime/core/Status.h"

#include <cstddef>
#include <cstdint>

namespace nacre::runtime {

class InputFile {
public:
  InputFile() = default;
  InputFile(const InputFile &) = delete;
  ~InputFile();

  // Fails, naming the path, unless it is a regular file.
  nacre_status open(const char *path);
  // False with errno, which is 0 where the file ended too early.
  bool read(void *to, size_t size, uint64_t offset) const;
  uint64_t getSize() const { return size; }

private:
  int descriptor = -1;
  uint64_t size = 0;
};

// A file that appears under its path complete or not at all. Until then it has
// no name where the file system can do that (O_TMPFILE), so that nothing is left
// of it however the process ends; elsewhere one beside the path.
class OutputFile {
public:
  OutputFile() = default;
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();

  // The path must stay. Failures name it, and what helps.
  nacre_status create(const char *path);
  nacre_status write(const void *data, size_t size);
  // Gives the file its name, and waits until all of it is on the disk.
  nacre_status commit();

private:
  nacre_status refuse() const; // by errno
  void chooseTemporary();

  const char *path = nullptr;
  const char *base = nullptr; // the path's last part
  int folder = -1;
  int descriptor = -1;
  bool isNamed = false; // by `temporary`, in the folder
  char temporary[48] = "";
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_FILE_H
