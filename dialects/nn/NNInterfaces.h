//===- NNInterfaces.h - What passes may ask an op ---------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNINTERFACES_H
#define NACRE_DIALECTS_NN_NNINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include <optional>
#include <string>

namespace nacre::nn {

/// How an op takes part in kernel formation (compiler/graph/FormKernels).
enum class KernelRole {
  /// Metadata only (reshape, shape, parameters): stays in the host function.
  Host,
  /// A kernel of its own, nothing fused into it.
  Alone,
  /// As Alone, and starts from its first operand: where nothing else reads this, the
  /// result takes its memory over.
  Update,
  /// Index mapping only (transpose, slice, broadcast): joins the kernel
  /// of its consumer or producer.
  View,
  /// Reads an operand at computed places (gather, slice, resize): takes element-wise
  /// ops after it, none before.
  Indexed,
  /// A reduction of its operands over some dimensions.
  Reduction,
  /// A window that slides over its operand (pooling): takes element-wise ops after it.
  Window,
  /// Matmul, convolution: takes element-wise ops before (cheap) and after it.
  Contraction,
  /// Several passes over rows (softmax, normalisation).
  Row,
};

/// Where a result element of a MovementOpInterface op comes from.
struct ElementSource {
  unsigned operand;
  /// Row-major position in the operand.
  int64_t element;
};

/// A condition without which an op is undefined, and what to say if it fails.
struct RuntimeCheck {
  enum Kind { Shape, Value };
  mlir::Value condition;
  Kind kind;
  std::string message;
};

/// What an op is computed in where products are to be narrow: NNBase.td says it of each.
template <typename ConcreteOp>
struct ComputesNarrow : mlir::OpTrait::TraitBase<ConcreteOp, ComputesNarrow> {};
template <typename ConcreteOp>
struct ComputesWide : mlir::OpTrait::TraitBase<ConcreteOp, ComputesWide> {};
template <typename ConcreteOp>
struct KeepsPrecision : mlir::OpTrait::TraitBase<ConcreteOp, KeepsPrecision> {};

} // namespace nacre::nn

#include "dialects/nn/NNInterfaces.h.inc"

#endif // NACRE_DIALECTS_NN_NNINTERFACES_H
