//===- CodedTypes.h - Element types that are only converted ----*- C++ -*-===//
//
// Integers below a byte and floats of at most 8 bits are stored, moved and converted,
// but not calculated with. Memory and formulas see an element of such a type as its code,
// an i8: a float's bits, zeros above them; an integer as its value. Whoever makes a code
// makes it in this form, and nobody has to look at the bits above again.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_CODEDTYPES_H
#define NACRE_DIALECTS_NN_CODEDTYPES_H

#include "dialects/nn/Expr.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace nacre::nn {

enum class Rounding : uint32_t;

/// Integers of 2 to 7 bits, floats of at most 8.
bool isCoded(mlir::Type element);
/// A float that is calculated with.
bool isArithmeticFloat(mlir::Type element);
/// An element in formulas: signless, coded ones as codes; booleans stay i1.
mlir::Type getFormulaType(mlir::Type element);
/// An element in memory: as in formulas, but booleans are i8 and strings i64.
mlir::Type getStoredType(mlir::Type element);

/// An element as formulas have it, and back.
mlir::Attribute toFormula(mlir::Attribute element);
mlir::Attribute fromFormula(mlir::Attribute value, mlir::Type element);
/// Elements as they lie in memory.
mlir::DenseElementsAttr getStored(mlir::DenseElementsAttr elements);

/// Packed elements of `bits` bits each, the first in the lowest bits, as bytes of their
/// own: the values of integers (sign-extended if `isSigned`), the bits of others.
void unpackElements(llvm::ArrayRef<char> packed, unsigned bits, bool isSigned, llvm::MutableArrayRef<char> elements);
/// How many bytes so many elements take packed.
uint64_t getPackedBytes(uint64_t count, unsigned bits);

/// The number that a code stands for: f32 of a float, itself of an integer.
Expr decode(Expr code, mlir::Type coded);
/// The code of a number: as `convert`, but floats overflow to the largest one with
/// `saturate`, else to infinity or NaN, whichever there is; `rounding` is for powers of
/// two (f8E8M0FNU), of which the number's sign is dropped.
Expr encode(Expr number, bool isUnsigned, mlir::Type coded, bool saturate, Rounding rounding);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_CODEDTYPES_H
