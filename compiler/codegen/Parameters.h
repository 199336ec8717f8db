//===- Parameters.h - Where parameters lie, and their bytes -----*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_PARAMETERS_H
#define NACRE_COMPILER_CODEGEN_PARAMETERS_H

#include "dialects/nn/NNOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>
#include <vector>

namespace nacre::codegen {

/// The value of an nn.parameter as kernels read it: dense, booleans and what is smaller
/// than a byte a byte each. Points into an attribute's memory.
class ParameterBytes {
public:
  static mlir::FailureOr<ParameterBytes> get(nn::ParameterOp parameter);
  int64_t size() const { return total; }
  bool isZero() const;
  /// All of it in memory as it is; empty if it has to be written out.
  llvm::ArrayRef<char> contiguous() const { return pattern.empty() ? bytes : llvm::ArrayRef<char>(); }
  /// Calls `consume` with consecutive pieces; stops if it returns false.
  bool forEachPiece(llvm::function_ref<bool(llvm::ArrayRef<char>)> consume) const;
  /// Writes size() bytes.
  void copyTo(char *destination) const;

private:
  ParameterBytes() = default;

  int64_t total = 0;
  llvm::ArrayRef<char> bytes; // everything, or
  std::string pattern;        // one element, repeated
};

/// A parameter that the model needs at run time.
struct Parameter {
  nn::ParameterOp op;
  /// Where it lies in the section (-1: nowhere), and in the mutable state (-1: it
  /// is constant). A mutable parameter without a place in the section starts as
  /// zeros.
  int64_t offset = -1, stateOffset = -1;
  /// Computed by @prepare.
  bool isComputed = false;
  /// It is where the same model's code for a better CPU has it.
  bool isShared = false;
  int64_t size = 0;
};

struct ParameterTable {
  std::vector<Parameter> parameters; // by offset in the section, then in the state
  int64_t sectionSize = 0, stateSize = 0;
};

/// What holds a parameter's value: the same for parameters that share it.
const void *getValueStorage(nn::ParameterOp parameter);

/// Gives back the memory of a parameter's value, which cannot be read any more. Values that
/// are part of the IR stay.
void releaseValue(nn::ParameterOp parameter);

/// On an nn.parameter that every version of the module has, with the same value; and on one
/// that is packed from such a one: how.
inline constexpr llvm::StringLiteral kCommonAttr = "nacre.common", kPackingAttr = "nacre.packing";
/// Where an nn.parameter lies in the section of another version, and where that ends.
inline constexpr llvm::StringLiteral kSharedOffsetAttr = "nacre.shared_offset", kSharedEndAttr = "nacre.shared_end";

/// Reads what layout-parameters has decided.
mlir::FailureOr<ParameterTable> readParameterTable(mlir::ModuleOp module);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_PARAMETERS_H
