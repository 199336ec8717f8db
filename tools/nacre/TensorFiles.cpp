//===- TensorFiles.cpp - Tensors in files -----------------------*- C++ -*-===//
#include "tools/nacre/TensorFiles.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace nacre;
using namespace nacre::tool;
using llvm::StringRef;

namespace {

Result<std::unique_ptr<llvm::MemoryBuffer>> openFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return Error{NACRE_NOT_FOUND, path + ": " + buffer.getError().message()};
  return std::move(*buffer);
}

/// The array of that name, or the only one.
Result<HostTensor> readFromArchive(const std::string &path, StringRef key, bool isExplicit) {
  Result<Archive> archive = Archive::open(path);
  if (!archive)
    return archive.error();
  if (const ArchiveEntry *entry = archive->find(key))
    return archive->read(*entry);
  if (!isExplicit && archive->getEntries().size() == 1)
    return archive->read(archive->getEntries().front());
  std::string names;
  for (const ArchiveEntry &entry : archive->getEntries())
    names += (names.empty() ? "" : ", ") + entry.name;
  return Error{NACRE_NOT_FOUND, path + " has no array '" + key.str() + "', only: " + names};
}

} // namespace

Result<HostValue> tool::readValue(const std::string &place, StringRef name) {
  auto one = [](Result<HostTensor> tensor) -> Result<HostValue> {
    if (!tensor)
      return tensor.error();
    return HostValue{{*std::move(tensor)}};
  };
  StringRef path(place);
  if (size_t colon = path.find(".npz:"); colon != StringRef::npos)
    return one(readFromArchive(path.take_front(colon + 4).str(), path.drop_front(colon + 5), true));
  if (path.ends_with(".npz"))
    return one(readFromArchive(place, name, false));
  auto buffer = openFile(place);
  if (!buffer)
    return buffer.error();
  if (path.ends_with(".pb"))
    return parseProto((*buffer)->getBuffer(), place);
  return one(parseNpy((*buffer)->getBuffer(), place));
}

Result<Archive> Archive::open(const std::string &path) {
  Archive archive;
  archive.path = path;
  auto buffer = openFile(path);
  if (!buffer)
    return buffer.error();
  archive.buffer = *std::move(buffer);
  auto entries = parseArchive(archive.buffer->getBuffer(), path);
  if (!entries)
    return entries.error();
  archive.entries = *std::move(entries);
  return archive;
}

Result<HostTensor> Archive::read(const ArchiveEntry &entry) const { return extract(entry, path); }

Result<std::optional<TensorView>> Archive::view(const ArchiveEntry &entry) const {
  constexpr size_t kMostRead = size_t(1) << 28; // more is not read for its checksum alone
  std::optional<TensorView> view;
  if (!entry.isDeflated)
    view = viewNpy(entry.packed);
  if (view && entry.size <= kMostRead && !isIntact(entry))
    return Error{NACRE_CORRUPT, path + ":" + entry.name + ": the checksum does not fit"};
  return view;
}

std::optional<TensorView> Archive::describe(const ArchiveEntry &entry) const {
  return describeNpy(extractStart(entry, 4096));
}

const ArchiveEntry *Archive::find(StringRef name) const {
  for (const ArchiveEntry &entry : entries)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

Result<std::string> tool::writeValue(const std::string &path, const ValueInfo &value,
                                     std::span<const TensorView> tensors) {
  bool isTensor = value.kind == NACRE_VALUE_TENSOR && !value.isOptional;
  bool isNpy = isTensor && isNpyType(tensors.front().dtype());
  std::string file = path + (isNpy ? ".npy" : ".pb");
  Status status = isNpy ? writeNpy(file, tensors.front()) : writeProto(file, value, tensors);
  if (!status)
    return status.error();
  return file;
}
