//===- Schema.h - ONNX's operators as its standard has them -----*- C++ -*-===//
//
// Generated from the onnx package (generate_schema.py): every version of every
// operator of its domains.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_SCHEMA_H
#define NACRE_FRONTENDS_ONNX_SCHEMA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace nacre::frontend {

enum class ParamOption : uint8_t { Single, Optional, Variadic };

struct SchemaAttribute {
  llvm::StringLiteral name;
  /// An AttributeProto.AttributeType.
  int type;
  bool required;
};

/// An input or output.
struct SchemaParam {
  llvm::StringLiteral name;
  ParamOption option;
  /// Parameters of one group have the same type; 0: bound to no other.
  uint8_t group;
  /// A set of TensorProto.DataType; bit 0 for what is no tensor.
  uint64_t types;
};

/// One version of an operator.
struct OpSchema {
  llvm::StringLiteral domain, name;
  int64_t since;
  /// The standard advises against it, and says what it means all the same; there are models with it.
  bool deprecated;
  int64_t minInputs, maxInputs, minOutputs, maxOutputs;
  const SchemaAttribute *attributeData;
  size_t attributeCount;
  const SchemaParam *inputData;
  size_t inputCount;
  const SchemaParam *outputData;
  size_t outputCount;
  /// A serialized FunctionProto, if the standard defines the operator by one.
  const unsigned char *bodyData;
  size_t bodySize;

  llvm::ArrayRef<SchemaAttribute> attributes() const {
    return {attributeData, attributeCount};
  }
  llvm::ArrayRef<SchemaParam> inputs() const { return {inputData, inputCount}; }
  /// The parameter that the input at a position belongs to; null if it has
  /// none.
  const SchemaParam *input(size_t index) const {
    if (index < inputCount)
      return &inputData[index];
    bool rest =
        inputCount && inputData[inputCount - 1].option == ParamOption::Variadic;
    return rest ? &inputData[inputCount - 1] : nullptr;
  }
};

/// All versions of an operator, oldest first; empty if the standard has none.
llvm::ArrayRef<OpSchema> findSchemas(llvm::StringRef domain,
                                     llvm::StringRef opType);
/// The version that an opset has, null if it has none.
const OpSchema *findSchema(llvm::StringRef domain, llvm::StringRef opType,
                           int64_t opset);
/// All of them, ordered by domain, name and version.
llvm::ArrayRef<OpSchema> getSchemas();
/// Whether all operators of a domain have schemas.
bool isStandardDomain(llvm::StringRef domain);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SCHEMA_H
