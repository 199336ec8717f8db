//===- ModelFile.h - A model and the files of its weights -------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_MODELFILE_H
#define NACRE_FRONTENDS_ONNX_MODELFILE_H

#include "frontends/onnx/OnnxImporter.h"
#include "frontends/onnx/WireScanner.h"
#include "onnx-ml.pb.h"
#include "llvm/ADT/StringMap.h"
#include <memory>

namespace nacre::frontend {

/// Bytes of a mapped file, and what keeps them mapped.
struct FileBytes {
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<llvm::MemoryBuffer> owner;
  /// External data of no stated length: the bytes reach to the end of the file.
  bool open = false;
};

/// Maps a regular file; null with a message for anything else (a device, a
/// FIFO, a folder), without waiting for it.
std::shared_ptr<llvm::MemoryBuffer> mapFile(llvm::StringRef path,
                                            std::string &error);

/// Takes the whole pages among some bytes of a mapped file out of this process's memory;
/// reading them again reads the file again. Does nothing to bytes that are not mapped.
void dropPages(const llvm::MemoryBuffer &file, llvm::ArrayRef<char> bytes);

/// A parsed model. Its messages live as long as this object.
class ModelFile {
public:
  /// Parses; false with a message if it can't be.
  bool parse(std::shared_ptr<llvm::MemoryBuffer> buffer, llvm::StringRef folder,
             const ImportOptions &options, std::string &error);

  const ::onnx::ModelProto &model() const { return *proto; }

  /// The bytes of a tensor's raw_data or external data; nullopt with a message.
  std::optional<FileBytes> tensorBytes(const ::onnx::TensorProto &tensor,
                                       std::string &error);

private:
  std::optional<FileBytes> externalBytes(const ::onnx::TensorProto &tensor,
                                         std::string &error);
  std::shared_ptr<llvm::MemoryBuffer> externalFile(llvm::StringRef location,
                                                   std::string &error);

  std::shared_ptr<llvm::MemoryBuffer> file;
  std::string folder;
  bool allowSymlinks = false;
  google::protobuf::Arena arena;
  ::onnx::ModelProto *proto = nullptr;
  /// External files by location.
  llvm::StringMap<std::shared_ptr<llvm::MemoryBuffer>> externalFiles;
};

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_MODELFILE_H
