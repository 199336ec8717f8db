//===- TensorData.h - TensorProto as an attribute ---------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_TENSORDATA_H
#define NACRE_FRONTENDS_ONNX_TENSORDATA_H

#include "frontends/onnx/ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace nacre::frontend {

/// The element type of a TensorProto.DataType, null if nn has none.
mlir::Type getElementType(mlir::MLIRContext *context, int64_t dataType);
/// The TensorProto.DataType of an element type of nn.
int64_t getDataType(mlir::Type elementType);
/// Dimensions that a tensor of a model may have.
inline constexpr int64_t kMaxRank = 64;
/// "FLOAT16" for 10, "type 99" for what is no data type.
std::string getDataTypeName(int64_t dataType);

/// Whether a tensor of this type is held in the IR (nn.constant) rather than as
/// a resource (nn.parameter).
bool isSmall(mlir::RankedTensorType type);

/// The type of a tensor, its dimensions checked; null with a message.
mlir::RankedTensorType getTensorType(mlir::MLIRContext *context,
                                     const ::onnx::TensorProto &tensor,
                                     std::string &error);

/// The elements of a tensor of strings; null with a message if they are malformed.
mlir::ArrayAttr getStrings(const ::onnx::TensorProto &tensor, mlir::RankedTensorType type, std::string &error);

/// The value of a tensor: DenseElementsAttr if `inIR`, else a dense_resource
/// named `name` that points into the file where the bytes lie there as they are
/// needed. Null with a message if size and dimensions disagree, or the data is
/// malformed.
mlir::ElementsAttr getTensorValue(const ::onnx::TensorProto &tensor,
                                  mlir::RankedTensorType type,
                                  llvm::StringRef name, bool inIR,
                                  ModelFile &file, std::string &error);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_TENSORDATA_H
