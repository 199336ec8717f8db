//===- ModelFile.cpp - A model and the files of its weights -----*- C++ -*-===//
#include "frontends/onnx/ModelFile.h"
#include "dialects/nn/NodeLocation.h"
#include "google/protobuf/io/coded_stream.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace nacre;
using namespace nacre::frontend;
using llvm::ArrayRef;
using llvm::StringRef;
using nn::quoted;

std::shared_ptr<llvm::MemoryBuffer> frontend::mapFile(StringRef path,
                                                      std::string &error) {
  if (path.contains('\0')) {
    error = "the file name has a NUL character";
    return nullptr;
  }
  // Without O_NONBLOCK, opening a FIFO waits for a writer.
  int fd = open(path.str().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    error = std::string("can't open it: ") + std::strerror(errno);
    return nullptr;
  }
  llvm::scope_exit close([&] { ::close(fd); });
  struct stat status;
  if (fstat(fd, &status) != 0) {
    error = std::string("can't read it: ") + std::strerror(errno);
    return nullptr;
  }
  if (!S_ISREG(status.st_mode)) {
    error = S_ISDIR(status.st_mode) ? "it is a folder, not a file"
                                    : "it is not a regular file";
    return nullptr;
  }
  auto buffer =
      llvm::MemoryBuffer::getOpenFile(fd, path, status.st_size,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer) {
    error = "can't map it: " + buffer.getError().message();
    return nullptr;
  }
  return std::move(*buffer);
}

void frontend::dropPages(const llvm::MemoryBuffer &file, ArrayRef<char> bytes) {
  if (file.getBufferKind() != llvm::MemoryBuffer::MemoryBuffer_MMap)
    return;
  uint64_t page = llvm::sys::Process::getPageSizeEstimate();
  uint64_t begin = llvm::alignTo(reinterpret_cast<uintptr_t>(bytes.begin()), page);
  uint64_t end = llvm::alignDown(reinterpret_cast<uintptr_t>(bytes.end()), page);
  if (begin < end) // a hint: what it answers does not matter
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

bool ModelFile::parse(std::shared_ptr<llvm::MemoryBuffer> buffer,
                      StringRef modelFolder, const ImportOptions &options,
                      std::string &error) {
  file = std::move(buffer);
  folder = modelFolder.str();
  allowSymlinks = options.allowSymlinks;
  if (file->getBufferSize() == 0) {
    error = "the file is empty";
    return false;
  }
  auto structure = separateTensorData(
      {file->getBufferStart(), file->getBufferSize()}, options.limits, error);
  if (!structure)
    return false;
  if (structure->size() > INT_MAX) {
    error = "its structure is larger than Protobuf's 2 GiB; store tensors as "
            "external data";
    return false;
  }
  proto = google::protobuf::Arena::CreateMessage<::onnx::ModelProto>(&arena);
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(structure->data()),
      int(structure->size()));
  stream.SetTotalBytesLimit(INT_MAX);
  stream.SetRecursionLimit(
      int(options.limits.depth * 3 + 32)); // the scanner has checked it
  if (!proto->ParseFromCodedStream(&stream) ||
      !stream.ConsumedEntireMessage()) {
    error = "it is corrupt, or no ONNX model: Protobuf can't parse it";
    return false;
  }
  return true;
}

std::optional<FileBytes>
ModelFile::tensorBytes(const ::onnx::TensorProto &tensor, std::string &error) {
  if (tensor.data_location() == ::onnx::TensorProto::EXTERNAL)
    return externalBytes(tensor, error);
  auto reference = readDataReference(tensor.raw_data(), file->getBufferSize());
  if (!reference) {
    error = "its raw_data lies outside the file";
    return std::nullopt;
  }
  return FileBytes{
      {file->getBufferStart() + reference->offset, size_t(reference->size)},
      file};
}

/// A whole string of decimal digits.
static bool parseSize(StringRef text, uint64_t &value) {
  return !text.empty() && llvm::all_of(text, llvm::isDigit) &&
         !text.getAsInteger(10, value);
}

std::optional<FileBytes>
ModelFile::externalBytes(const ::onnx::TensorProto &tensor,
                         std::string &error) {
  StringRef location;
  uint64_t offset = 0, length = 0;
  bool hasLength = false;
  for (const auto &entry : tensor.external_data()) {
    StringRef key = entry.key(), value = entry.value();
    if (key == "location") {
      location = value;
    } else if (key == "offset" || key == "length") {
      if (!parseSize(value, key == "offset" ? offset : length)) {
        error = "external data: " + key.str() + " is " + quoted(value) +
                ", expected a number of bytes";
        return std::nullopt;
      }
      hasLength |= key == "length";
    } else if (key != "checksum" && key != "basepath") {
      // A checksum is nothing we rely on; "basepath" is what some exporters add
      // to remember their own folder.
      error = "external data: unknown key " + quoted(key);
      return std::nullopt;
    }
  }
  auto buffer = externalFile(location, error);
  if (!buffer) {
    error = "external data in " + quoted(location) + ": " + error;
    return std::nullopt;
  }
  uint64_t size = buffer->getBufferSize();
  if (offset > size || (hasLength && length > size - offset)) {
    error = "external data: offset " + std::to_string(offset) +
            (hasLength ? " and length " + std::to_string(length) : "") +
            " reach beyond the " + std::to_string(size) + " bytes of " +
            quoted(location);
    return std::nullopt;
  }
  FileBytes result{{buffer->getBufferStart() + offset,
                    size_t(hasLength ? length : size - offset)},
                   buffer};
  if (!hasLength)
    result.open = true;
  return result;
}

std::shared_ptr<llvm::MemoryBuffer>
ModelFile::externalFile(StringRef location, std::string &error) {
  auto known = externalFiles.find(location);
  if (known != externalFiles.end())
    return known->second;
  auto refuse = [&](const llvm::Twine &why) {
    error = why.str();
    return nullptr;
  };
  if (location.empty())
    return refuse("it names no file");
  if (folder.empty())
    return refuse("the model was given as bytes, without a folder");
  if (location.contains('\0'))
    return refuse("the file name has a NUL character");
  if (llvm::sys::path::is_absolute(location))
    return refuse(
        "the path is absolute; expected one within the model's folder");
  for (auto part = llvm::sys::path::begin(location),
            end = llvm::sys::path::end(location);
       part != end; ++part)
    if (*part == "..")
      return refuse(
          "the path has '..'; expected one within the model's folder");

  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, location);
  if (!allowSymlinks) {
    llvm::SmallString<256> realFolder, realPath;
    std::error_code failed = llvm::sys::fs::real_path(folder, realFolder);
    if (!failed)
      failed = llvm::sys::fs::real_path(path, realPath);
    if (failed)
      return refuse("can't open it: " + failed.message());
    if (!StringRef(realFolder).ends_with("/"))
      realFolder += '/';
    if (!StringRef(realPath).starts_with(realFolder) &&
        (realPath + "/").str() != realFolder)
      return refuse("a symbolic link leads out of the model's folder; allow "
                    "symbolic links if "
                    "you trust the model");
    path = realPath;
  }
  auto buffer = mapFile(path, error);
  if (buffer)
    externalFiles[location] = buffer;
  return buffer;
}
