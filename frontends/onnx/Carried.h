//===- Carried.h - Values where branches and iterations meet ----*- C++ -*-===//
//
// What a branch gives or a loop carries is tensors in the end. A Carried says which: for two
// values of the same kind but another length, presence or size, one that holds both.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_CARRIED_H
#define NACRE_FRONTENDS_ONNX_CARRIED_H

#include "frontends/onnx/Converter.h"
#include <vector>

namespace nacre::frontend {

/// Of tensors that are chosen between where they come from several choices, or a loop: 0 to 8, say.
inline constexpr size_t kMostRanks = 9;

struct Carried {
  enum class Kind {
    Tensor,
    List,    // a sequence of known length
    Packed,  // one of unknown length: PackedSequence
    Nothing, // an optional without an element
    Some,    // one with an element
    Maybe,   // RuntimeOptional
    Either   // Choice
  };
  Kind kind;
  RankedTensorType type;      // Tensor; Maybe and Either: that of the truth
  std::vector<Carried> parts; // List; Some and Maybe: the element; Either: both
  mlir::Type element;         // Packed
  int64_t rank = 0;
  bool isUniform = true;

  bool operator==(const Carried &other) const;
};

/// What a value is made of; nullopt if nobody knows, or it holds something else than tensors.
std::optional<Carried> describe(Value value);
/// One that holds both; nullopt if there is none.
std::optional<Carried> join(const Carried &lhs, const Carried &rhs);
/// The same, or a choice between both where they are tensors of different rank, or choices between such, of at most
/// `kMostRanks` ranks.
std::optional<Carried> joinOrChoose(const Carried &lhs, const Carried &rhs);
/// How many values a choice is between, all in all; 1 of what is none.
size_t countChoices(const Carried &carried);
/// With all sizes unknown.
Carried withoutSizes(Carried carried);
/// The types of the tensors.
void getTypes(const Carried &carried, SmallVectorImpl<mlir::Type> &types);

/// The tensors of a value that `carried` holds, whose sizes may be known more precisely.
/// False after an error.
bool flatten(NodeContext &c, const Carried &carried, Value value, SmallVectorImpl<Value> &tensors);
/// What stands for the tensors of a value that is not there. False after an error.
bool makeStandIns(NodeContext &c, const Carried &carried, SmallVectorImpl<Value> &tensors);
/// The value again; takes its tensors off the front.
Value assemble(NodeContext &c, const Carried &carried, mlir::ValueRange &tensors);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_CARRIED_H
