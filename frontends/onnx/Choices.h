//===- Choices.h - What a run chooses between -------------------*- C++ -*-===//
//
// Where only a run tells of which rank a value is, whether by a branch of an If, by a
// sequence's element or by the number of sizes in a shape, what takes it is converted for each
// case (Choice, Sequences.h), until it gives something that one type holds.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_CHOICES_H
#define NACRE_FRONTENDS_ONNX_CHOICES_H

#include "frontends/onnx/Loops.h"

namespace nacre::frontend {

/// Converts either branch of an i1 in a draft, which `convert` does at the builder's place, with the
/// values that it gives. False stands for an error. A branch that has one, because its ranks
/// do not fit, say, is left out, and a run that comes to it ends with the error's message; an error of
/// the model if both do. nullopt after one.
std::optional<SmallVector<Value>> convertEither(NodeContext &c, Value condition,
                                                llvm::function_ref<bool(unsigned branch, Draft &draft)> convert);

/// What `make` makes for the rank, an i64 scalar, that a run has: one of `least` to `most`, which is taken for
/// all others. Null after an error.
Value chooseByRank(NodeContext &c, Value rank, int64_t least, int64_t most, llvm::function_ref<Value(int64_t)> make);

/// The element type of a tensor (here also one in an optional), or of all tensors that a value may be; null if they have
/// several, or are none.
mlir::Type getElementTypeOf(Value value);
/// Whether a value is a tensor, or a choice between such of one element type.
bool isTensorOrChoice(Value value);
/// Of a choice the tensor of a rank; a run that chooses another one ends with the message. Null if there is none.
Value takeRank(NodeContext &c, Value value, int64_t rank, const Twine &message);

/// A tensor of a rank that a run tells: all of its elements, one after the other, and its sizes (i64[rank]).
struct AnyRank {
  Value data, shape;
};
/// Of isTensorOrChoice(); nullopt after an error.
std::optional<AnyRank> toAnyRank(NodeContext &c, Value value);

/// The largest rank of the tensors that a value may be.
int64_t getMostRank(Value value);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_CHOICES_H
