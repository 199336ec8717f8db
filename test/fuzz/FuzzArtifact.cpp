// What the runtime looks at before the dynamic loader sees an artefact: headers and trailer.
#include "runtime/abi/nacre_artifact.h"
#include "runtime/core/Model.h"
#include "test/fuzz/Budget.h"

#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Budget budget;
  static int file = memfd_create("artifact", 0);
  static char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  // As it is, and with a trailer that fits.
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    return -1;
  (void)nacre::runtime::checkLibraryFile(path);
  nacre_artifact_trailer trailer = nacre_artifact_trailer_of(data, size, size / 2, size / 4);
  if (pwrite(file, &trailer, sizeof trailer, static_cast<off_t>(size)) != sizeof trailer)
    return -1;
  (void)nacre::runtime::checkLibraryFile(path);
  return 0;
}
