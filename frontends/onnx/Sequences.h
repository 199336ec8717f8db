//===- Sequences.h - Sequences and optionals as values ----------*- C++ -*-===//
//
// While importing, a sequence is a cast of its tensors to a tuple of their
// types, which nothing looks into but the functions here and which is gone when
// the import is done. An optional is a cast of its element, if it has one, to a
// tuple that begins with `none`.
//
// A sequence whose length only a run tells is known in one form: the pieces of
// a tensor (RuntimeSplit). It is a cast to a tuple of one `index`.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_SEQUENCES_H
#define NACRE_FRONTENDS_ONNX_SEQUENCES_H

#include "frontends/onnx/Converter.h"

namespace nacre::frontend {

Value makeSequence(mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange elements);
/// The tensors of a sequence; nullopt if it is none, or its length is not known.
std::optional<SmallVector<Value>> getSequenceElements(Value value);

/// An optional with that element (a tensor or a sequence), or null for none.
Value makeOptional(mlir::OpBuilder &b, mlir::Location loc, Value element);
bool isOptionalValue(Value value);
/// The element of an optional, null if it has none; nullopt if that is not known.
std::optional<Value> getOptionalElement(Value value);

/// `source` in pieces along an axis.
struct RuntimeSplit {
  Value source;
  /// The size of each piece but the last (a scalar i64 from 1 on), or a vector of the
  /// pieces' sizes (i64), which have been checked to add up.
  Value sizes;
  int64_t axis = 0;
  /// Whether a piece keeps the axis; if not, each has the size 1 there.
  bool keepsAxis = true;

  bool isVector() const { return llvm::isa<mlir::RankedTensorType>(sizes.getType()); }
};
Value makeRuntimeSplit(mlir::OpBuilder &b, mlir::Location loc, const RuntimeSplit &split);
std::optional<RuntimeSplit> getRuntimeSplit(Value value);

/// SplitToSequence, and SequenceLength, SequenceAt and ConcatFromSequence of such a split
/// (SequenceSplits.cpp).
LogicalResult convertSplitToSequence(NodeContext &c);
LogicalResult convertSplitLength(NodeContext &c, const RuntimeSplit &split);
LogicalResult convertSplitAt(NodeContext &c, const RuntimeSplit &split);
LogicalResult convertSplitConcat(NodeContext &c, const RuntimeSplit &split, int64_t axis, bool isNew);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SEQUENCES_H
