//===- Loops.h - What If, Loop and Scan share -------------------*- C++ -*-===//
//
// Control flow becomes scf on tensors. The graphs are converted in a draft, as
// the types of their results decide those of the scf op.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_LOOPS_H
#define NACRE_FRONTENDS_ONNX_LOOPS_H

#include "frontends/onnx/Carried.h"

namespace nacre::frontend {

/// Whether a tensor of the type can be taken for a scalar.
bool mayHaveOneElement(RankedTensorType type);
/// The only element of a tensor, as a scalar; that there is one is checked.
Value extractScalar(mlir::OpBuilder &b, mlir::Location loc, Value tensor);
/// The tensor with its sizes known more, or less, precisely.
Value castSizes(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type, Value value);
/// A type that holds both: sizes that differ become dynamic. Null if ranks or
/// element types differ, or one is no tensor.
RankedTensorType joinTypes(mlir::Type lhs, mlir::Type rhs);

/// A graph converted before the op that it belongs to exists.
struct Draft {
  mlir::Operation *holder = nullptr;
  mlir::Block *block = nullptr;
  /// What the graph gives.
  SmallVector<Value> values;
};
Draft createDraft(NodeContext &c);
/// Moves the finished graph into a region of its op.
void moveDraft(Draft &draft, mlir::Region &region);

/// What two branches give, `count` values of each draft, as an scf.if: values that hold both, or
/// choices (Sequences.h). nullopt after an error.
std::optional<SmallVector<Value>> mergeBranches(NodeContext &c, Value condition, llvm::MutableArrayRef<Draft> drafts,
                                                unsigned count);
/// The same of what `fill` makes in each branch; branch 0 is where the condition holds.
std::optional<SmallVector<Value>>
mergeBranches(NodeContext &c, Value condition,
              llvm::function_ref<bool(unsigned branch, SmallVectorImpl<Value> &values)> fill);

/// A tensor that a loop collects, one slice in each iteration. Each is put into
/// room that is carried, which has its size from the start where the number of
/// slices is known, and else is doubled when it is full. Where a slice's sizes are
/// dynamic, they are carried flat, with the sizes of the last slice, as nothing has
/// sizes before the first iteration.
class Collected {
public:
  /// With `inFront` each slice goes before those of earlier iterations. With `asRows` a slice
  /// is any number of rows of the result, not one.
  Collected(Value slice, bool inFront = false, bool asRows = false)
      : slice(slice), type(NodeContext::typeOf(slice)), inFront(inFront), asRows(asRows) {}

  /// States how many slices there will be, an index.
  void expect(Value count) { slices = count; }
  /// Whether all of the room is there, and used up, when the loop ends.
  bool isExact() const { return slices && isOneRow(); }

  /// What is carried into the first iteration: room, how much of it is used, and sizes.
  SmallVector<Value> createInitial(NodeContext &c) const;
  /// What is carried on, in the body; empty after an error.
  SmallVector<Value> add(NodeContext &c, mlir::ValueRange carried) const;
  /// The tensor, behind the loop; null after an error.
  Value finish(NodeContext &c, mlir::ValueRange carried, Value count) const;

private:
  /// The sizes of what is added, behind that which grows.
  ArrayRef<int64_t> getRow() const;
  Value takeRows(mlir::OpBuilder &b, mlir::Location loc, Value tensor, mlir::OpFoldResult first,
                 mlir::OpFoldResult count) const;
  Value putRows(mlir::OpBuilder &b, mlir::Location loc, Value rows, Value tensor, mlir::OpFoldResult first,
                mlir::OpFoldResult count) const;

  /// Whether a slice is one row, all of whose sizes are known.
  bool isOneRow() const { return !asRows && type.hasStaticShape(); }

  Value slice, slices;
  RankedTensorType type;
  bool inFront, asRows;
};

/// The graph of a loop, converted, with the types of the tensors that it carries. Its block has
/// the iteration, an index, and these as arguments.
struct LoopBody {
  Draft draft;
  SmallVector<mlir::Type> types;
  /// Of a converted graph: what the states are, and the next ones' tensors.
  SmallVector<Carried> states;
  SmallVector<Value> next;
};

/// Converts a loop's graph in a block of an index (the iteration) and the
/// states' tensors; of the states `getArguments` makes the graph's inputs. The graph's
/// outputs from `firstState` on are the next states. A state whose sizes or length change
/// gets dynamic ones, one whose rank changes becomes a choice, and as that may change others, the graph is converted
/// again, with ever fewer sizes. With `changesRank` it is told, and ends the conversion, that a rank changes.
std::optional<LoopBody>
convertBody(NodeContext &c, const ::onnx::GraphProto &graph, ArrayRef<Value> states,
            unsigned firstState,
            llvm::function_ref<SmallVector<Value>(mlir::Block &, ArrayRef<Value> states)> getArguments,
            bool *changesRank = nullptr);

/// Builds the loop of a converted body: scf.for if `condition` is null and sizes
/// stay, else scf.while, which ends before iteration `count` (if that is not null) and
/// where the last iteration gave a false `condition`, or `first` is false.
/// Gives the final states and the collected tensors; nullopt after an error.
std::optional<SmallVector<Value>>
buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states,
          ArrayRef<Value> nextStates, llvm::MutableArrayRef<Collected> collected,
          Value count, Value condition, Value first);

/// The same of a converted graph, from any values to such ones, then the collected tensors.
std::optional<SmallVector<Value>>
buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states, llvm::MutableArrayRef<Collected> collected,
          Value count, Value condition, Value first);

/// The iterations, indices, of the loops around a place, the innermost first.
SmallVector<Value> getIterations(mlir::OpBuilder &b);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_LOOPS_H
