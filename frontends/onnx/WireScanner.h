//===- WireScanner.h - Splits a model from its tensor data ------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_WIRESCANNER_H
#define NACRE_FRONTENDS_ONNX_WIRESCANNER_H

#include "frontends/onnx/OnnxImporter.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace nacre::frontend {

/// Where the bytes of a TensorProto.raw_data lie in the file.
struct DataReference {
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// Walks a serialized ModelProto, checks its framing and the budget, and
/// returns a serialized ModelProto that is the same except that every raw_data
/// holds a DataReference instead of the bytes. So Protobuf, which would copy
/// each of them to the heap and can't parse 2 GiB, gets only the structure.
/// nullopt with a message if the file is corrupt or beyond the budget.
std::optional<std::string>
separateTensorData(llvm::ArrayRef<char> file,
                   const ImportOptions::Limits &limits, std::string &error);

/// Reads a reference back from raw_data; nullopt if it does not lie within the
/// file.
std::optional<DataReference> readDataReference(llvm::StringRef rawData,
                                               uint64_t fileSize);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_WIRESCANNER_H
