//===- ConvConverters.cpp - Convolution and pooling -------------*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Converter.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

/// The attributes of a sliding window, of any operator that has one.
struct WindowAttributes {
  SmallVector<int64_t> kernel, strides, dilations, pads;
  nn::AutoPad autoPad = nn::AutoPad::NotSet;
  bool ceilMode = false;
};

/// Reads them all; an attribute that this operator lacks in this version has been
/// refused by the schema. Null after an error.
std::optional<WindowAttributes> readWindow(NodeContext &c) {
  int64_t rank = NodeContext::rankOf(c.input(0)) - 2;
  if (rank < 1) {
    (void)c.error("expected an input of rank 3 or more, found rank " + Twine(rank + 2));
    return std::nullopt;
  }
  WindowAttributes window;
  window.kernel = c.getInts("kernel_shape");
  window.strides = c.getInts("strides", SmallVector<int64_t>(rank, 1));
  window.dilations = c.getInts("dilations", SmallVector<int64_t>(rank, 1));
  window.pads = c.getInts("pads", SmallVector<int64_t>(2 * rank, 0));
  window.ceilMode = c.getFlag("ceil_mode");
  StringRef autoPad = c.getString("auto_pad", "NOTSET");
  if (autoPad == "SAME_UPPER")
    window.autoPad = nn::AutoPad::SameUpper;
  else if (autoPad == "SAME_LOWER")
    window.autoPad = nn::AutoPad::SameLower;
  else if (autoPad != "NOTSET" && autoPad != "VALID")
    (void)c.error("auto_pad is " + nn::quoted(autoPad) + ", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (autoPad != "NOTSET") {
    // Pads are computed; with them no window hangs over the end.
    window.pads.assign(2 * rank, 0);
    window.ceilMode = false;
  }
  return c.hadError() ? std::nullopt : std::optional(window);
}

/// Checks kernel_shape, if given, against the weight, which knows better.
void checkKernelShape(NodeContext &c, ArrayRef<int64_t> kernel, RankedTensorType weight) {
  if (kernel.empty())
    return;
  ArrayRef<int64_t> sizes = weight.getShape().drop_front(std::min<int64_t>(2, weight.getRank()));
  bool matches = kernel.size() == sizes.size();
  for (auto [given, size] : llvm::zip(kernel, sizes))
    matches &= given == size || ShapedType::isDynamic(size);
  if (!matches)
    (void)c.error("kernel_shape does not match the weight");
}

LogicalResult convertConv(NodeContext &c) {
  return c.replaceWith(makeConv(c, c.input(0), c.input(1), c.input(2)));
}

LogicalResult convertConvTranspose(NodeContext &c) {
  auto window = readWindow(c);
  int64_t groups = c.getInt("group", 1);
  if (!window)
    return failure();
  int64_t rank = NodeContext::rankOf(c.input(0)) - 2;
  SmallVector<int64_t> padding = c.getInts("output_padding", SmallVector<int64_t>(rank, 0));
  auto shape = c.getOptionalInts("output_shape");
  checkKernelShape(c, window->kernel, c.inputType(1));
  // Some exporters give batch and channels too.
  if (shape && static_cast<int64_t>(shape->size()) == rank + 2)
    shape->erase(shape->begin(), shape->begin() + 2);
  return c.replaceWith<nn::ConvTransposeOp>(
      c.input(0), c.input(1), c.input(2), window->strides, window->dilations, window->pads, padding,
      shape ? c.getBuilder().getDenseI64ArrayAttr(*shape) : nullptr, window->autoPad, groups,
      /*channels_last=*/false);
}

LogicalResult convertMaxPool(NodeContext &c) {
  auto w = readWindow(c);
  int64_t order = c.getInt("storage_order", 0);
  if (order != 0 && order != 1)
    return c.error("storage_order is " + Twine(order) + ", expected 0 or 1");
  if (!w)
    return failure();
  if (!c.hasOutput(1))
    return c.replaceWith<nn::MaxPoolOp>(c.input(0), w->kernel, w->strides, w->dilations, w->pads,
                                        w->autoPad, w->ceilMode, /*channels_last=*/false);
  return c.replaceWith<nn::MaxPoolWithIndicesOp>(
      c.input(0), w->kernel, w->strides, w->dilations, w->pads, w->autoPad, w->ceilMode,
      /*channels_last=*/false, /*column_major=*/order == 1);
}

LogicalResult convertAveragePool(NodeContext &c) {
  auto w = readWindow(c);
  bool includePad = c.getFlag("count_include_pad");
  if (!w)
    return failure();
  return c.replaceWith<nn::AvgPoolOp>(c.input(0), w->kernel, w->strides, w->dilations, w->pads,
                                      w->autoPad, w->ceilMode, /*channels_last=*/false, includePad);
}

LogicalResult convertLpPool(NodeContext &c) {
  auto w = readWindow(c);
  int64_t p = c.getInt("p", 2);
  if (p < 1)
    return c.error("p is " + Twine(p) + ", expected a positive number");
  if (!w)
    return failure();
  return c.replaceWith<nn::LpPoolOp>(c.input(0), w->kernel, w->strides, w->dilations, w->pads,
                                     w->autoPad, w->ceilMode, /*channels_last=*/false, p);
}

/// All spatial dimensions of input 0, reduced to 1.
Value reduceSpatial(NodeContext &c, nn::ReduceKind kind, Value input) {
  if (!input)
    return {};
  int64_t rank = NodeContext::rankOf(input);
  if (rank < 2) {
    (void)c.error("expected an input of rank 2 or more, found rank " + Twine(rank));
    return {};
  }
  return c.make<nn::ReduceOp>(kind, input, llvm::to_vector(llvm::seq<int64_t>(2, rank)),
                              /*keepdims=*/true);
}

template <nn::ReduceKind kind> LogicalResult convertGlobalPool(NodeContext &c) {
  return c.replaceWith(reduceSpatial(c, kind, c.input(0)));
}

/// (sum of |x|^p)^(1/p); narrow floats as f32 in between.
LogicalResult convertGlobalLpPool(NodeContext &c) {
  int64_t p = c.getInt("p", 2);
  if (p < 1)
    return c.error("p is " + Twine(p) + ", expected a positive number");
  Type type = c.inputType(0).getElementType();
  Value x = c.input(0);
  if (type.getIntOrFloatBitWidth() < 32)
    x = c.make<nn::CastOp>(x, Type(c.getBuilder().getF32Type()));
  x = c.make<nn::AbsOp>(x);
  if (!x)
    return failure();
  Type wide = NodeContext::typeOf(x).getElementType();
  if (p > 1)
    x = c.make<nn::PowOp>(x, c.scalarConstant(wide, p));
  x = reduceSpatial(c, nn::ReduceKind::sum, x);
  if (p > 1)
    x = makeRoot(c, x, p);
  if (wide != type)
    x = c.make<nn::CastOp>(x, type);
  return c.replaceWith(x);
}

} // namespace

Value nacre::frontend::makeConv(NodeContext &c, Value input, Value weight, Value bias) {
  auto window = readWindow(c);
  int64_t groups = c.getInt("group", 1);
  if (!window)
    return {};
  checkKernelShape(c, window->kernel, NodeContext::typeOf(weight));
  return c.make<nn::ConvOp>(input, weight, bias, window->strides, window->dilations, window->pads,
                            window->autoPad, groups, /*channels_last=*/false);
}

void nacre::frontend::registerConvConverters(ConverterTable &table) {
  table.add("Conv", convertConv);
  table.add("ConvTranspose", convertConvTranspose);
  table.add("MaxPool", convertMaxPool);
  table.add("AveragePool", convertAveragePool);
  table.add("LpPool", convertLpPool);
  table.add("GlobalAveragePool", convertGlobalPool<nn::ReduceKind::mean>);
  table.add("GlobalMaxPool", convertGlobalPool<nn::ReduceKind::max>);
  table.add("GlobalLpPool", convertGlobalLpPool);
}
