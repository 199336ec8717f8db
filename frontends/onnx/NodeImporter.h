//===- NodeImporter.h - Nodes imported as they are written ------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_NODEIMPORTER_H
#define NACRE_FRONTENDS_ONNX_NODEIMPORTER_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <memory>
#include <optional>
#include <string>

namespace onnx {
class NodeProto;
class TensorProto;
} // namespace onnx

namespace nacre::frontend {

/// What a value of a model looks like.
struct ValueType {
  int64_t dataType = 0; // TensorProto.DataType
  llvm::SmallVector<int64_t> dims; // -1: not known
};

/// A model that grows by one node at a time. Each is checked and converted as the importer
/// does it, so that the types of its outputs are known, or what is wrong with it, while the
/// model is being written.
class NodeImporter {
public:
  /// For nodes of the default domain in this opset.
  explicit NodeImporter(int64_t opset);
  ~NodeImporter();

  /// An input, or a tensor whose elements don't matter to anyone. Names are taken once.
  bool addValue(llvm::StringRef name, const ValueType &type, std::string &error);
  /// A tensor whose elements say something of shapes; they are in the message's typed fields.
  bool addConstant(const ::onnx::TensorProto &tensor, std::string &error);
  /// False with a line for each fault. Then nothing of the node's can be used.
  bool addNode(const ::onnx::NodeProto &node, std::string &error);

  /// Of a value that has been added; nullopt if there is none, or it is no tensor.
  std::optional<ValueType> getType(llvm::StringRef name) const;

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_NODEIMPORTER_H
