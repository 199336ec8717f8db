//===- Sequences.h - Sequences, optionals, maps -----------------*- C++ -*-===//
//
// While importing, a sequence is a cast of its tensors to a tuple of their
// types, which nothing looks into but the functions here and which is gone when
// the import is done. An optional is a cast of its element, if it has one, to a
// tuple that begins with `none`.
//
// A sequence whose length only a run tells is known in two forms: the pieces of a tensor
// (RuntimeSplit), a cast to a tuple of one `index`, and, where it has grown piece by piece,
// was carried by a loop or comes from one branch of two, packed (PackedSequence), a cast to a
// tuple of one `i1`. Where a run chooses between two values that no type holds, tensors of
// different rank, say, what takes them is converted for either (Choice), a cast to a tuple of
// one `f64`. An optional of which only a run tells whether it has an element is a cast
// of that truth and an element, to a tuple of `none` and `i1`. A map is a cast of its keys and values
// to a tuple of one `i8`.
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

/// An optional of which a run tells whether it has an element: a boolean scalar, and the
/// element, anything of its type if it has none.
struct RuntimeOptional {
  Value isThere, element;
};
Value makeRuntimeOptional(mlir::OpBuilder &b, mlir::Location loc, const RuntimeOptional &optional);
std::optional<RuntimeOptional> getRuntimeOptional(Value value);

/// All elements of a sequence one after the other, and a row with the sizes of each. An element
/// of a lower rank than others has -1 behind its sizes; there is none if `isUniform`.
struct PackedSequence {
  Value data, shapes; // [elements of all], [length, rank]
  bool isUniform = true;

  int64_t getRank() const { return NodeContext::typeOf(shapes).getDimSize(1); }
  mlir::Type getElementType() const { return NodeContext::typeOf(data).getElementType(); }
};
Value makePacked(mlir::OpBuilder &b, mlir::Location loc, const PackedSequence &sequence);
std::optional<PackedSequence> getPacked(Value value);

/// Any sequence in packed form; with at least `rank` columns in its rows. `element` is the
/// type of one that is empty. nullopt after an error. (PackedSequences.cpp)
std::optional<PackedSequence> pack(NodeContext &c, Value sequence, mlir::Type element, int64_t rank);
/// How many elements: an i64.
Value getPackedLength(NodeContext &c, const PackedSequence &sequence);
/// The element at a position in range, an i64; null after an error.
Value getPackedElement(NodeContext &c, const PackedSequence &sequence, Value position);
LogicalResult convertPackedAt(NodeContext &c, const PackedSequence &sequence);
LogicalResult convertPackedInsert(NodeContext &c, PackedSequence sequence);
LogicalResult convertPackedErase(NodeContext &c, const PackedSequence &sequence);
LogicalResult convertPackedConcat(NodeContext &c, const PackedSequence &sequence, int64_t axis, bool isNew);
/// SequenceMap over sequences of which a run tells the length.
LogicalResult convertPackedMap(NodeContext &c);

/// A map, or a sequence of maps that have the same keys: a vector of keys, and the value of each; of a
/// sequence a row of values for each map. No key is there twice; they are in any order.
struct MapValue {
  Value keys, values;
  bool isSequence = false;
};
Value makeMap(mlir::OpBuilder &b, mlir::Location loc, const MapValue &map);
std::optional<MapValue> getMap(Value value);

/// `yes` where `condition`, an i1, holds, else `no`. The other of them is anything of its type.
struct Choice {
  Value condition, yes, no;
};
Value makeChoice(mlir::OpBuilder &b, mlir::Location loc, const Choice &choice);
std::optional<Choice> getChoice(Value value);

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
/// How many pieces there are, an i64, and one of them, at a position in range.
Value getSplitLength(NodeContext &c, const RuntimeSplit &split);
Value getSplitPiece(NodeContext &c, const RuntimeSplit &split, Value position);
/// Input `index` as a position in [0, length), or with `orEnd` in [0, length]; that is required.
/// Null after an error.
Value getPositionWithin(NodeContext &c, unsigned index, Value length, bool orEnd = false);
LogicalResult convertSplitConcat(NodeContext &c, const RuntimeSplit &split, int64_t axis, bool isNew);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_SEQUENCES_H
