//===- NNWindow.h - Windows that slide over spatial dimensions --*- C++ -*-===//
//
// The arithmetic that convolutions and pooling share: one place for result sizes
// and padding, static or dynamic, so that type inference, shape reification and
// lowering cannot disagree.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NNWINDOW_H
#define NACRE_DIALECTS_NN_NNWINDOW_H

#include "dialects/nn/NNOps.h"

namespace nacre::nn {

/// A window along one spatial dimension. `input` and `kernel` are sizes.
struct WindowDim {
  mlir::OpFoldResult input, kernel;
  int64_t stride = 1, dilation = 1, padBegin = 0, padEnd = 0;
  AutoPad autoPad = AutoPad::NotSet;
  bool ceilMode = false;
};

/// Number of places of the window. At least 0: a window that does not fit has none.
mlir::OpFoldResult getWindowCount(mlir::OpBuilder &builder, mlir::Location loc,
                                  const WindowDim &dim);
/// Elements to add before and after the input, so that every place can be read.
std::pair<mlir::OpFoldResult, mlir::OpFoldResult>
getWindowPads(mlir::OpBuilder &builder, mlir::Location loc, const WindowDim &dim);
/// Adds the check that there is at least one place, unless that is known.
void pushWindowCheck(mlir::OpBuilder &builder, mlir::Location loc, const WindowDim &dim,
                     llvm::SmallVectorImpl<RuntimeCheck> &checks);
/// The number of places, where the sizes are static; fails where the window does not fit.
llvm::FailureOr<int64_t> inferWindowCount(mlir::MLIRContext *context,
                                          std::optional<mlir::Location> loc, int64_t input,
                                          int64_t kernel, WindowDim dim);

/// One spatial dimension of a transposed convolution, which scatters each element of
/// the input over a window of the result.
struct TransposedDim {
  mlir::OpFoldResult input, kernel;
  int64_t stride = 1, dilation = 1, padBegin = 0, padEnd = 0, outputPadding = 0;
  AutoPad autoPad = AutoPad::NotSet;
  /// The size wanted: padding is computed from it.
  std::optional<int64_t> outputSize = std::nullopt;
};

/// The size of the result, at least 0.
mlir::OpFoldResult getTransposedSize(mlir::OpBuilder &builder, mlir::Location loc,
                                     const TransposedDim &dim);
/// Elements cut off before the result.
mlir::OpFoldResult getTransposedCrop(mlir::OpBuilder &builder, mlir::Location loc,
                                     const TransposedDim &dim);

/// Dimension `i` of the transposed convolution that an op (or its properties) describes.
template <typename Op>
TransposedDim getTransposedDim(Op op, int64_t i, mlir::OpFoldResult input,
                               mlir::OpFoldResult kernel) {
  int64_t rank = op.getStrides().size();
  TransposedDim dim{input,
                    kernel,
                    op.getStrides()[i],
                    op.getDilations()[i],
                    op.getPads()[i],
                    op.getPads()[rank + i],
                    op.getOutputPadding()[i],
                    op.getAutoPad(),
                    std::nullopt};
  if (op.getOutputShape())
    dim.outputSize = (*op.getOutputShape())[i];
  return dim;
}

/// Checks the attributes of a sliding window over `rank` dimensions.
llvm::LogicalResult verifyWindow(std::optional<mlir::Location> loc, int64_t rank,
                                 llvm::ArrayRef<int64_t> strides,
                                 llvm::ArrayRef<int64_t> dilations, llvm::ArrayRef<int64_t> pads);

/// The dimension of a data tensor that holds channels, or the first that is spatial.
inline int64_t getChannelDim(int64_t rank, bool channelsLast) { return channelsLast ? rank - 1 : 1; }
inline int64_t getFirstSpatialDim(bool channelsLast) { return channelsLast ? 1 : 2; }

/// Dimension `i` of the window that an op (or its properties) describes.
template <typename Op>
WindowDim getWindowDim(Op op, int64_t i, mlir::OpFoldResult input, mlir::OpFoldResult kernel) {
  int64_t rank = op.getStrides().size();
  return {input,
          kernel,
          op.getStrides()[i],
          op.getDilations()[i],
          op.getPads()[i],
          op.getPads()[rank + i],
          op.getAutoPad()};
}

/// Dimension `i` of a pooling op's window.
template <typename Op> WindowDim getPoolDim(Op op, int64_t i, mlir::OpFoldResult input) {
  mlir::Builder builder(op.getKernelAttr().getContext());
  WindowDim dim = getWindowDim(op, i, input, builder.getIndexAttr(op.getKernel()[i]));
  dim.ceilMode = op.getCeilMode();
  return dim;
}

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNWINDOW_H
