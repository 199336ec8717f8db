//===- ExpandConvTranspose.cpp - Transposed convolutions as others -*- C++ -*-===//
//
// Before: %y = nn.conv_transpose %x, %w {strides = [2]}       %w: [C, O, 4]
// After:  %v = the weight [2 O, C, 2]: of each output channel two kernels, one for the even
//         places of the result, one for the odd, each read backwards
//         %z = nn.conv %x, %v {strides = [1], pads = [1, 1]}  [N, 2 O, D + 1]
//         %y = nn.slice of %z's channels and places, interleaved [N, O, 2 (D + 1)]
//
// A place q of the result, counted from before what is cut off, is i * stride + k of an element
// i and a tap k. So taps k = r + stride * j serve the places with the remainder r alone:
// result[m * stride + r] = sum over j of x[m - j] * w[r + stride * j], which is a convolution
// without strides for each r. All remainders are channels of one convolution, whose kernels
// have ceil(K / stride) taps (Shi et al. 2016, "Real-Time Single Image and Video
// Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network"). Nothing is
// multiplied with the zeros that strides put between elements; with a kernel that the strides
// do not divide some taps are 0.
//
// Precondition: types inferred. Postcondition: no nn.conv_transpose is left whose sizes but the
// batch and the places are known, with channels first, and without dilation where it has strides.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_EXPANDCONVTRANSPOSEPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::TensorMath;

namespace {

/// One spatial dimension.
struct Dim {
  int64_t stride, dilation, taps;
  int64_t padBegin, padEnd; // of the convolution
  int64_t offset;           // of the result among the interleaved places
  int64_t reach() const { return dilation * (taps - 1); }
};

class Expander {
public:
  Expander(nn::ConvTransposeOp op, OpBuilder &b)
      : op(op), b(b), loc(op.getLoc()), m(b, loc), g(b, loc), rank(op.getInput().getType().getRank()) {}

  /// Null where this form does not fit.
  Value expand() {
    if (op.getChannelsLast() || !op.getWeight().getType().hasStaticShape() || !findDims())
      return {};
    Value result = g.make<nn::ConvOp>(
        op.getInput(), makeWeight(), isStrided() ? Value() : op.getBias(), collect([](const Dim &) { return 1; }),
        collect([](const Dim &d) { return d.dilation; }), makePads(), nn::AutoPad::NotSet, op.getGroups(),
        /*channels_last=*/false);
    if (isStrided())
      result = interleave(result);
    result = cut(result);
    if (isStrided() && op.getBias())
      result = addBias(result);
    return result;
  }

private:
  bool isStrided() const {
    return llvm::any_of(dims, [](const Dim &d) { return d.stride > 1; });
  }

  bool findDims() {
    for (int64_t i = 0; i < rank - 2; ++i) {
      OpFoldResult input = m.dim(op.getInput(), 2 + i);
      int64_t kernel = op.getWeight().getType().getDimSize(2 + i);
      nn::TransposedDim whole = nn::getTransposedDim(op, i, input, b.getIndexAttr(kernel));
      std::optional<int64_t> crop = getConstantIntValue(nn::getTransposedCrop(b, loc, whole));
      if (!crop || *crop < 0 || (whole.stride > 1 && whole.dilation > 1))
        return false;
      Dim dim{whole.stride, whole.dilation, (kernel + whole.stride - 1) / whole.stride, 0, 0, 0};
      // The first place of the convolution is `start`, of which `stride` are made.
      int64_t start = std::min(*crop / dim.stride, dim.reach());
      dim.padBegin = dim.reach() - start;
      dim.offset = *crop - start * dim.stride;
      // It needs ceil((crop + size) / stride) - start places: beyond the input's by a number that is
      // known if the sizes are, or if the result's grows with the input's.
      std::optional<int64_t> known = getConstantIntValue(input);
      int64_t places = known.value_or(0);
      if (!known && (whole.outputSize || whole.autoPad != nn::AutoPad::NotSet))
        return false;
      std::optional<int64_t> size;
      if (known)
        size = getConstantIntValue(nn::getTransposedSize(b, loc, whole));
      else
        size = whole.dilation * (kernel - 1) + 1 - whole.stride + whole.outputPadding - whole.padBegin - whole.padEnd;
      if (!size)
        return false;
      int64_t last = *crop + *size, wanted = llvm::divideCeilSigned(last, dim.stride);
      dim.padEnd = std::max<int64_t>(wanted - start - places - dim.padBegin + dim.reach(), 0);
      dims.push_back(dim);
    }
    return true;
  }

  /// [C, O / groups, K...] to [O * strides..., C / groups, taps...].
  Value makeWeight() {
    Value weight = op.getWeight();
    RankedTensorType type = op.getWeight().getType();
    int64_t groups = op.getGroups(), inputs = type.getDimSize(0) / groups, outputs = type.getDimSize(1);
    weight = fillUp(weight);
    // Each kernel as taps by remainders, the taps backwards.
    SmallVector<int64_t> apart{groups, inputs, outputs}, order{0, 2}, joined;
    int64_t channels = groups * outputs;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      apart.append({dim.taps, dim.stride});
      order.push_back(4 + 2 * i);
      channels *= dim.stride;
    }
    joined.append({channels, inputs});
    order.push_back(1);
    for (auto [i, dim] : llvm::enumerate(dims)) {
      order.push_back(3 + 2 * i);
      joined.push_back(dim.taps);
    }
    weight = reshape(weight, apart);
    weight = reverse(weight);
    return reshape(g.make<nn::TransposeOp>(weight, order), joined);
  }

  /// Zeros after the kernels' taps, so that the strides divide them.
  Value fillUp(Value weight) {
    auto type = cast<RankedTensorType>(weight.getType());
    SmallVector<OpFoldResult> pads(2 * rank, b.getIndexAttr(0));
    bool isWhole = true;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      int64_t missing = dim.taps * dim.stride - type.getDimSize(2 + i);
      pads[rank + 2 + i] = b.getIndexAttr(missing);
      isWhole &= missing == 0;
    }
    if (isWhole)
      return weight;
    auto scalar = RankedTensorType::get({}, type.getElementType());
    Value zero = nn::ConstantOp::create(b, loc, scalar, DenseElementsAttr::get(scalar, b.getZeroAttr(type.getElementType())));
    return g.make<nn::PadOp>(weight, nn::createSizes(b, loc, pads), zero, nn::PadMode::Constant);
  }

  Value reverse(Value weight) {
    SmallVector<int64_t> shape(cast<RankedTensorType>(weight.getType()).getShape());
    SmallVector<OpFoldResult> starts(shape.size(), b.getIndexAttr(0)), ends, steps(shape.size(), b.getIndexAttr(1));
    for (int64_t size : shape)
      ends.push_back(b.getIndexAttr(size));
    for (auto [i, dim] : llvm::enumerate(dims)) {
      if (dim.taps == 1)
        continue;
      starts[3 + 2 * i] = b.getIndexAttr(-1);
      ends[3 + 2 * i] = b.getIndexAttr(std::numeric_limits<int64_t>::min());
      steps[3 + 2 * i] = b.getIndexAttr(-1);
    }
    return g.make<nn::SliceOp>(weight, nn::createSizes(b, loc, starts), nn::createSizes(b, loc, ends),
                               nn::createSizes(b, loc, steps));
  }

  /// [N, O * strides..., places...] to [N, O, places * strides...].
  Value interleave(Value value) {
    SmallVector<OpFoldResult> sizes = m.dims(value), apart{sizes[0]}, joined{sizes[0]};
    OpFoldResult outputs = b.getIndexAttr(op.getGroups() * op.getWeight().getType().getDimSize(1));
    apart.push_back(outputs);
    joined.push_back(outputs);
    SmallVector<int64_t> order{0, 1};
    for (const Dim &dim : dims)
      apart.push_back(b.getIndexAttr(dim.stride));
    int64_t spatial = dims.size();
    for (auto [i, dim] : llvm::enumerate(dims)) {
      apart.push_back(sizes[2 + i]);
      order.append({2 + spatial + int64_t(i), 2 + int64_t(i)});
      joined.push_back(m.mul(sizes[2 + i], b.getIndexAttr(dim.stride)));
    }
    return reshape(g.make<nn::TransposeOp>(reshape(value, apart), order), joined);
  }

  /// The places that are the result's.
  Value cut(Value value) {
    SmallVector<OpFoldResult> sizes = m.dims(value), starts(rank, b.getIndexAttr(0)), ends = sizes;
    SmallVector<OpFoldResult> steps(rank, b.getIndexAttr(1));
    bool isWhole = true;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      OpFoldResult size = nn::getTransposedSize(
          b, loc, nn::getTransposedDim(op, i, m.dim(op.getInput(), 2 + i), m.dim(op.getWeight(), 2 + i)));
      starts[2 + i] = b.getIndexAttr(dim.offset);
      ends[2 + i] = m.add(size, starts[2 + i]);
      isWhole &= dim.offset == 0 && nn::isSameSize(ends[2 + i], sizes[2 + i]);
    }
    if (isWhole)
      return value;
    return g.make<nn::SliceOp>(value, nn::createSizes(b, loc, starts), nn::createSizes(b, loc, ends),
                               nn::createSizes(b, loc, steps));
  }

  Value addBias(Value value) {
    SmallVector<OpFoldResult> sizes(rank - 1, b.getIndexAttr(1));
    sizes[0] = m.dim(op.getBias(), 0);
    return g.make<nn::AddOp>(value, reshape(op.getBias(), sizes));
  }

  Value reshape(Value value, ArrayRef<OpFoldResult> sizes) {
    return g.make<nn::ReshapeOp>(value, nn::createSizes(b, loc, sizes), /*allowzero=*/true, /*exact=*/true);
  }
  Value reshape(Value value, ArrayRef<int64_t> sizes) { return reshape(value, getAsIndexOpFoldResult(b.getContext(), sizes)); }

  DenseI64ArrayAttr collect(llvm::function_ref<int64_t(const Dim &)> get) {
    return b.getDenseI64ArrayAttr(llvm::map_to_vector(dims, get));
  }
  DenseI64ArrayAttr makePads() {
    SmallVector<int64_t> pads = llvm::map_to_vector(dims, [](const Dim &d) { return d.padBegin; });
    llvm::append_range(pads, llvm::map_range(dims, [](const Dim &d) { return d.padEnd; }));
    return b.getDenseI64ArrayAttr(pads);
  }

  nn::ConvTransposeOp op;
  OpBuilder &b;
  Location loc;
  nn::SizeMath m;
  TensorMath g;
  int64_t rank;
  SmallVector<Dim> dims;
};

struct ExpandConvTranspose : OpRewritePattern<nn::ConvTransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::ConvTransposeOp op, PatternRewriter &rewriter) const override {
    Value result = Expander(op, rewriter).expand();
    if (!result)
      return failure();
    if (result.getType() != op.getType())
      result = tensor::CastOp::create(rewriter, op.getLoc(), op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct ExpandConvTransposePass : graph::impl::ExpandConvTransposePassBase<ExpandConvTransposePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandConvTranspose>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
