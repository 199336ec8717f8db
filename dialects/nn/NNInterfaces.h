//===- NNInterfaces.h - What passes may ask an op ---------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNINTERFACES_H
#define NACRE_DIALECTS_NN_NNINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include <optional>

namespace nacre::nn {

/// How an op takes part in kernel formation (compiler/graph/FormKernels).
enum class KernelRole {
  /// Metadata only (reshape, shape, parameters): stays in the host function.
  Host,
  /// A kernel of its own, nothing fused into it.
  Alone,
  /// Index mapping only (transpose, slice, broadcast, reshape): joins the kernel
  /// of its consumer or producer.
  View,
  /// A reduction of its operands over some dimensions.
  Reduction,
  /// A window that slides over its operand (pooling): takes element-wise ops after it.
  Window,
  /// Matmul, convolution: takes element-wise ops before (cheap) and after it.
  Contraction,
  /// Several passes over rows (softmax, normalisation).
  Row,
};

} // namespace nacre::nn

#include "dialects/nn/NNInterfaces.h.inc"

#endif // NACRE_DIALECTS_NN_NNINTERFACES_H
