//===- Calling.h - How values travel in calls of kernels --------*- C++ -*-===//
//
// A kernel is `void kernel(nacre_abi_context *, ...)`. A memref travels as the
// address of its first element, followed by its dynamic sizes, followed, unless
// its layout is the identity, by its dynamic strides. What is static is known
// on both sides and does not travel. All other values travel as themselves.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_CALLING_H
#define NACRE_COMPILER_CODEGEN_CALLING_H

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace nacre::codegen {

class Calling {
public:
  explicit Calling(mlir::LLVMTypeConverter &converter) : converter(converter) {}

  /// Appends the types as which a value of the given type travels.
  mlir::LogicalResult appendTypes(mlir::Type type, llvm::SmallVectorImpl<mlir::Type> &types) const;

  /// Appends the values as which the given one travels.
  void flatten(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
               llvm::SmallVectorImpl<mlir::Value> &flat) const;

  /// Takes from the front of `flat` what a value of the given type travels as,
  /// and makes it again.
  mlir::Value rebuild(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type type,
                      mlir::ValueRange &flat) const;

  /// Stores values as the fields of a struct; the reverse.
  void storeFields(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange values,
                   mlir::Value address) const;
  llvm::SmallVector<mlir::Value> loadFields(mlir::OpBuilder &builder, mlir::Location loc,
                                            llvm::ArrayRef<mlir::Type> types,
                                            mlir::Value address) const;

  /// A memref of identity layout (with a static offset if the type has one) at
  /// the address, of the given dynamic sizes (i64).
  mlir::Value memref(mlir::OpBuilder &builder, mlir::Location loc, mlir::MemRefType type,
                     mlir::Value address, mlir::ValueRange sizes) const;

  /// The size in bytes (i64) of an identity memref of the given dynamic sizes
  /// (i64).
  mlir::Value sizeInBytes(mlir::OpBuilder &builder, mlir::Location loc, mlir::MemRefType type,
                          mlir::ValueRange sizes) const;

  /// The value as the LLVM dialect sees it.
  mlir::Value toLLVM(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value) const;
  /// The reverse.
  mlir::Value fromLLVM(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type type,
                       mlir::Value value) const;

  /// The descriptor's address of the first element.
  mlir::Value address(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value memref) const;

  mlir::LLVMTypeConverter &getConverter() const { return converter; }

private:
  mlir::LLVMTypeConverter &converter;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_CALLING_H
