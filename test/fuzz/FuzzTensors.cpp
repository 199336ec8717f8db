// The readers of the command line tool: the first byte says which.
#include "test/fuzz/Budget.h"
#include "tools/nacre/TensorFiles.h"

using namespace nacre::tool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Budget budget;
  if (size == 0)
    return 0;
  // In memory of its own: what is behind the end is poisoned.
  std::vector<char> copy(data + 1, data + size);
  llvm::StringRef bytes(copy.data(), copy.size());
  switch (data[0] % 3) {
  case 0:
    (void)parseNpy(bytes, "x.npy");
    break;
  case 1:
    if (auto entries = parseArchive(bytes, "x.npz"))
      for (const ArchiveEntry &entry : *entries)
        if (entry.size < (64 << 20)) // what deflates to gigabytes takes its time
          (void)extract(entry, "x.npz");
    break;
  case 2:
    (void)parseProto(bytes, "x.pb");
    break;
  }
  return 0;
}
