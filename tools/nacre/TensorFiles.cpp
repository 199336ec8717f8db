//===- TensorFiles.cpp - Tensors in files -----------------------*- C++ -*-===//
#include "tools/nacre/TensorFiles.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace nacre;
using namespace nacre::tool;
using llvm::StringRef;

namespace {

Result<std::unique_ptr<llvm::MemoryBuffer>> open(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return Error{NACRE_NOT_FOUND, path + ": " + buffer.getError().message()};
  return std::move(*buffer);
}

/// The array of that name, or the only one.
Result<HostTensor> readFromArchive(const std::string &path, StringRef key, bool isExplicit) {
  auto buffer = open(path);
  if (!buffer)
    return buffer.error();
  auto entries = parseArchive((*buffer)->getBuffer(), path);
  if (!entries)
    return entries.error();
  std::string names;
  for (const ArchiveEntry &entry : *entries) {
    if (entry.name == key)
      return extract(entry, path);
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  if (!isExplicit && entries->size() == 1)
    return extract(entries->front(), path);
  return Error{NACRE_NOT_FOUND, path + " has no array '" + key.str() + "', only: " + names};
}

} // namespace

Result<HostTensor> tool::readTensor(const std::string &place, StringRef name) {
  StringRef path(place);
  if (size_t colon = path.find(".npz:"); colon != StringRef::npos)
    return readFromArchive(path.take_front(colon + 4).str(), path.drop_front(colon + 5), true);
  if (path.ends_with(".npz"))
    return readFromArchive(place, name, false);
  auto buffer = open(place);
  if (!buffer)
    return buffer.error();
  if (path.ends_with(".pb"))
    return parseProto((*buffer)->getBuffer(), place);
  return parseNpy((*buffer)->getBuffer(), place);
}

Status tool::readArchive(const std::string &path,
                         llvm::function_ref<Status(StringRef name, HostTensor tensor)> take) {
  auto buffer = open(path);
  if (!buffer)
    return buffer.error();
  auto entries = parseArchive((*buffer)->getBuffer(), path);
  if (!entries)
    return entries.error();
  for (const ArchiveEntry &entry : *entries) {
    Result<HostTensor> tensor = extract(entry, path);
    if (!tensor)
      return tensor.error();
    if (Status status = take(entry.name, *std::move(tensor)); !status)
      return status;
  }
  return {};
}

Result<std::string> tool::writeTensor(const std::string &path, const std::string &name,
                                      const TensorView &tensor) {
  bool isNpy = isNpyType(tensor.dtype());
  std::string file = path + (isNpy ? ".npy" : ".pb");
  Status status = isNpy ? writeNpy(file, tensor) : writeProto(file, name, tensor);
  if (!status)
    return status.error();
  return file;
}
