#include "runtime/core/File.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nacre::runtime {

// ---- Reading ----------------------------------------------------------------

InputFile::~InputFile() {
  if (descriptor >= 0)
    close(descriptor);
}

nacre_status InputFile::open(const char *path) {
  // Not blocking: opening a FIFO would wait for a writer.
  descriptor = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail(errno == ENOENT || errno == ENOTDIR ? NACRE_NOT_FOUND
                                                    : NACRE_IO_ERROR,
                "%s: %s", QuotedPath(path).text, std::strerror(errno));
  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return fail(NACRE_IO_ERROR, "%s: %s", QuotedPath(path).text,
                std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return fail(NACRE_IO_ERROR, "%s: not a regular file", QuotedPath(path).text);
  size = static_cast<uint64_t>(status.st_size);
  return NACRE_OK;
}

bool InputFile::read(void *to, size_t count, uint64_t offset) const {
  char *out = static_cast<char *>(to);
  while (count > 0) {
    ssize_t got = pread(descriptor, out, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got == 0)
      errno = 0;
    if (got <= 0)
      return false;
    out += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
  return true;
}

// ---- Writing ----------------------------------------------------------------

OutputFile::~OutputFile() {
  if (isNamed)
    unlinkat(folder, temporary, 0);
  if (descriptor >= 0)
    close(descriptor);
  if (folder >= 0)
    close(folder);
}

nacre_status OutputFile::refuse() const {
  int reason = errno;
  const char *cure = "";
  switch (reason) {
  case ENOENT:
  case ENOTDIR:
    cure = "; create the folder first";
    break;
  case EACCES:
  case EPERM:
  case EROFS:
    cure = "; choose a folder that may be written to";
    break;
  case ENOSPC:
  case EDQUOT:
    cure = "; make room, or choose another place";
    break;
  case EFBIG:
    cure = "; raise the limit on the size of files, or choose another place";
    break;
  }
  return fail(NACRE_IO_ERROR, "%s: cannot be written: %s%s", QuotedPath(path).text,
              std::strerror(reason), cure);
}

// Two files that are written at once have two names, and a file that a killed
// process left behind is not in the way.
void OutputFile::chooseTemporary() {
  static std::atomic<uint32_t> counter{0};
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  std::snprintf(temporary, sizeof temporary, ".nacre-%d-%u-%lx.tmp",
                int(getpid()), counter.fetch_add(1),
                static_cast<unsigned long>(now.tv_nsec));
}

nacre_status OutputFile::create(const char *target) {
  path = target;
  const char *slash = std::strrchr(path, '/');
  base = slash ? slash + 1 : path;
  char name[4096] = ".";
  size_t length = slash ? size_t(slash - path) + 1 : 0;
  if (length >= sizeof name) {
    errno = ENAMETOOLONG;
    return refuse();
  }
  if (length > 0) {
    std::memcpy(name, path, length);
    name[length] = 0;
  }
  // A rename would replace a device by a file.
  struct stat status;
  if (!*base || (stat(path, &status) == 0 && !S_ISREG(status.st_mode)))
    return fail(NACRE_IO_ERROR,
                "%s: cannot be written: it is no regular file; choose the name "
                "of a file",
                QuotedPath(path).text);
  folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return refuse();
  descriptor = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor >= 0) {
    if (access("/proc/self/fd", X_OK) == 0)
      return NACRE_OK;
    close(descriptor); // it could get no name
  }
  chooseTemporary();
  descriptor = openat(folder, temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return refuse();
  isNamed = true;
  return NACRE_OK;
}

nacre_status OutputFile::write(const void *data, size_t size) {
  auto *bytes = static_cast<const char *>(data);
  while (size > 0) {
    // Large writes in pieces: the kernel takes less than 2 GiB at once.
    constexpr size_t piece = size_t(64) << 20;
    ssize_t done = ::write(descriptor, bytes, size < piece ? size : piece);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return refuse();
    bytes += done;
    size -= static_cast<size_t>(done);
  }
  return NACRE_OK;
}

nacre_status OutputFile::commit() {
  if (fsync(descriptor) != 0)
    return refuse();
  if (!isNamed) {
    char self[32];
    std::snprintf(self, sizeof self, "/proc/self/fd/%d", descriptor);
    auto link = [&](const char *name) {
      return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW) == 0;
    };
    // It replaces nothing: then to a name of its own first.
    if (!link(base)) {
      if (errno != EEXIST)
        return refuse();
      chooseTemporary();
      if (!link(temporary))
        return refuse();
      isNamed = true;
    }
  }
  if (isNamed && renameat(folder, temporary, folder, base) != 0)
    return refuse();
  isNamed = false;
  // File systems that cannot sync a folder say EINVAL.
  if (fsync(folder) != 0 && errno != EINVAL)
    return refuse();
  return NACRE_OK;
}

} // namespace nacre::runtime
