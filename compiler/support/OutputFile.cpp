//===- OutputFile.cpp - A file that appears complete or not at all -*- C++ -*-===//
#include "compiler/support/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace nacre;

Error nacre::errnoError(const Twine &what) {
  std::error_code code(errno, std::generic_category());
  return createStringError(code, what + ": " + code.message());
}

static std::string getFolder(StringRef path) {
  StringRef folder = sys::path::parent_path(path);
  return folder.empty() ? "." : folder.str();
}

Expected<OutputFile> OutputFile::create(StringRef target, mode_t mode) {
  struct stat status;
  std::string name = target.str();
  // A rename would replace a device by a file.
  if (stat(name.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return createStringError(inconvertibleErrorCode(), "there is something that is no regular file");
  OutputFile file;
  file.target = name;
  file.descriptor = open(getFolder(target).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (file.descriptor >= 0) {
    file.path = "/proc/self/fd/" + std::to_string(file.descriptor);
    if (access(file.path.c_str(), F_OK) == 0)
      return file;
    close(file.descriptor); // no /proc
  }
  SmallString<128> unique;
  sys::fs::createUniquePath(target + ".%%%%%%%%.tmp", unique, /*MakeAbsolute=*/false);
  file.path = unique.str().str();
  file.descriptor = open(file.path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
  if (file.descriptor < 0)
    return errnoError("cannot create the file");
  file.isNamed = true;
  return file;
}

OutputFile::OutputFile(OutputFile &&other)
    : descriptor(std::exchange(other.descriptor, -1)), isNamed(std::exchange(other.isNamed, false)),
      target(std::move(other.target)), path(std::move(other.path)), appended(other.appended) {}

OutputFile::~OutputFile() {
  if (isNamed)
    unlink(path.c_str());
  if (descriptor >= 0)
    close(descriptor);
}

Error OutputFile::write(const void *data, size_t size, uint64_t offset) {
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

Error OutputFile::read(void *data, size_t size, uint64_t offset) const {
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

Error OutputFile::append(StringRef text) {
  Error error = write(text.data(), text.size(), appended);
  appended += text.size();
  return error;
}

Error OutputFile::commit(bool isSynced) {
  if (isSynced && fsync(descriptor) != 0)
    return errnoError("cannot write");
  if (!isNamed) {
    // linkat replaces nothing: to a name of its own first.
    SmallString<128> unique;
    sys::fs::createUniquePath(target + ".%%%%%%%%.tmp", unique, /*MakeAbsolute=*/false);
    if (linkat(AT_FDCWD, path.c_str(), AT_FDCWD, unique.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return errnoError("cannot create the file");
    path = unique.str().str();
    isNamed = true;
  }
  if (rename(path.c_str(), target.c_str()) != 0)
    return errnoError("cannot create the file");
  isNamed = false;
  if (!isSynced)
    return Error::success();
  // So that the name survives a power failure too.
  if (int folder = open(getFolder(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return Error::success();
}

Error nacre::writeTextFile(StringRef target, StringRef text) {
  auto file = OutputFile::create(target);
  if (!file)
    return file.takeError();
  if (Error error = file->append(text))
    return error;
  return file->commit();
}
