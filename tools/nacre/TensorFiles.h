//===- TensorFiles.h - Tensors in files -------------------------*- C++ -*-===//
//
// Three kinds, told apart by their suffix: NumPy's .npy and .npz, and .pb, an ONNX
// TensorProto, SequenceProto or OptionalProto, for what NumPy lacks.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_TOOLS_NACRE_TENSORFILES_H
#define NACRE_TOOLS_NACRE_TENSORFILES_H

#include "tools/nacre/HostTensor.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"

namespace nacre::tool {

/// What a file holds for an input: one tensor for a tensor, an optional tensor or a sequence
/// of one, which files do not tell apart.
struct HostValue {
  std::vector<HostTensor> tensors;
  /// An optional without an element, which no sequence is.
  bool isNothing = false;
};

/// Reads `place`: x.npy, x.pb, all.npz (the array called `name`, or its only one) or
/// all.npz:key.
Result<HostValue> readValue(const std::string &place, llvm::StringRef name);

/// An array in a .npz archive and its .npy file, stored or deflated.
struct ArchiveEntry {
  std::string name; // without .npy
  llvm::StringRef packed;
  size_t size = 0; // unpacked
  uint32_t checksum = 0;
  bool isDeflated = false;
};

/// A mapped .npz archive, whose arrays are read when asked for.
class Archive {
public:
  static Result<Archive> open(const std::string &path);
  const std::vector<ArchiveEntry> &getEntries() const { return entries; }
  Result<HostTensor> read(const ArchiveEntry &entry) const;
  /// The array where it stands in the mapped file, if it does; unlike `read` it does not look at
  /// the checksum of one that is large.
  Result<std::optional<TensorView>> view(const ArchiveEntry &entry) const;
  /// Its type and sizes, of which its first bytes tell; nothing if it is damaged.
  std::optional<TensorView> describe(const ArchiveEntry &entry) const;
  /// The entry of that name, or null.
  const ArchiveEntry *find(llvm::StringRef name) const;

private:
  Archive() = default;

  std::string path;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  std::vector<ArchiveEntry> entries;
};

/// Writes an output's value: path.npy, or path.pb if it is no single tensor or NumPy lacks
/// the type; returns the file's path. The file appears complete or not at all.
Result<std::string> writeValue(const std::string &path, const ValueInfo &value,
                               std::span<const TensorView> tensors);

// ---- The kinds. `file` is how messages call the bytes.

/// A .npy file of any memory and byte order (format 1 to 3); made row-major.
Result<HostTensor> parseNpy(llvm::StringRef bytes, const std::string &file);
/// The elements where they stand in the bytes, whatever their alignment; nullopt of an array that
/// must be read to be used, or is damaged.
std::optional<TensorView> viewNpy(llvm::StringRef bytes);
/// The type and sizes that a .npy file's first bytes tell of, without elements.
std::optional<TensorView> describeNpy(llvm::StringRef bytes);
bool isNpyType(nacre_dtype dtype);
Status writeNpy(const std::string &path, const TensorView &tensor);

/// The arrays of a .npz archive.
Result<std::vector<ArchiveEntry>> parseArchive(llvm::StringRef bytes, const std::string &file);
Result<HostTensor> extract(const ArchiveEntry &entry, const std::string &file);
/// Its first bytes, or fewer if it is damaged.
std::string extractStart(const ArchiveEntry &entry, size_t size);
/// Whether what is stored is what the checksum is of.
bool isIntact(const ArchiveEntry &entry);

/// An ONNX TensorProto with its data inside, or a SequenceProto or OptionalProto of some.
Result<HostValue> parseProto(llvm::StringRef bytes, const std::string &file);
Status writeProto(const std::string &path, const ValueInfo &value, std::span<const TensorView> tensors);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TENSORFILES_H
