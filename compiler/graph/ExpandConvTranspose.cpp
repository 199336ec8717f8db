//===- ExpandConvTranspose.cpp - Transposed convolutions as others -*- C++ -*-===//
//
// Before: %y = nn.conv_transpose %x, %w {strides = [2]}       %w: [C, O, 4]
// After:  %v0, %v1 = the weights [O, C, 2] of the even and the odd taps, read backwards
//         %z0 = nn.conv %x, %v0 {strides = [1], pads = [1, 1]},  %z1 = nn.conv %x, %v1 ...
//         %y = nn.slice of %z0's and %z1's places, in turn      [N, O, 2 (D + 1)]
//
// A place q of the result, counted from before what is cut off, is i * stride + k of an element
// i and a tap k. So taps k = r + stride * j serve the places with the remainder r alone:
// result[m * stride + r] = sum over j of x[m - j] * w[r + stride * j], which is a convolution
// without strides for each r (Shi et al. 2016, "Real-Time Single Image and Video
// Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network"). Nothing is
// multiplied with the zeros that strides put between elements, and remainders without a tap
// are zeros. What is put in turn has its channels last, where whole rows of them move.
//
// Precondition: types inferred. Postcondition: no nn.conv_transpose is left whose sizes but the
// batch and the places are known, with channels first, and without dilation where it has strides.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNWindow.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
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
  int64_t stride, dilation, kernel;
  int64_t start;  // the first place of the convolutions
  int64_t padEnd; // of the convolutions
  int64_t offset; // of the result among the places in turn
  int64_t taps(int64_t remainder) const { return llvm::divideCeilSigned(std::max<int64_t>(kernel - remainder, 0), stride); }
  int64_t padBegin(int64_t remainder) const { return dilation * (taps(remainder) - 1) - start; }
};

class Expander {
public:
  Expander(nn::ConvTransposeOp op, OpBuilder &b)
      : op(op), b(b), loc(op.getLoc()), m(b, loc), g(b, loc), rank(op.getInput().getType().getRank()) {}

  /// Null where this form does not fit.
  Value expand() {
    if (op.getChannelsLast() || !op.getWeight().getType().hasStaticShape() || !findDims())
      return {};
    SmallVector<int64_t> last{0};
    for (int64_t i = 2; i < rank; ++i)
      last.push_back(i);
    last.push_back(1);
    SmallVector<Value> phases;
    int64_t count = 1;
    for (const Dim &dim : dims)
      count *= dim.stride;
    for (int64_t number = 0; number < count; ++number)
      phases.push_back(convolve(getRemainders(number)));
    if (!isStrided())
      return cut(phases[0], /*first=*/2);
    Value result = g.make<nn::TransposeOp>(cut(takeInTurn(phases, last), /*first=*/1), invertPermutationVector(last));
    if (op.getBias())
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
      Dim dim{whole.stride, whole.dilation, kernel, 0, 0, 0};
      // The first place is one that all of the convolutions have.
      int64_t fewest = dim.taps(std::min(kernel, dim.stride) - 1);
      dim.start = std::min(*crop / dim.stride, dim.dilation * (fewest - 1));
      dim.offset = *crop - dim.start * dim.stride;
      // They need ceil((crop + size) / stride) - start places: beyond the input's by a number that is
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
      dim.padEnd = std::max<int64_t>(wanted - places, 0);
      dims.push_back(dim);
    }
    return true;
  }

  /// Of each dimension, in row-major order.
  SmallVector<int64_t> getRemainders(int64_t number) const {
    SmallVector<int64_t> remainders(dims.size());
    for (int64_t i = dims.size() - 1; i >= 0; number /= dims[i].stride, --i)
      remainders[i] = number % dims[i].stride;
    return remainders;
  }

  /// The places with the remainders, [N, O, places...]; null if no tap serves them.
  Value convolve(ArrayRef<int64_t> remainders) {
    SmallVector<int64_t> begins, ends, ones(dims.size(), 1), dilations;
    for (auto [dim, remainder] : llvm::zip(dims, remainders)) {
      if (dim.taps(remainder) == 0)
        return {};
      begins.push_back(dim.padBegin(remainder));
      ends.push_back(dim.padEnd);
      dilations.push_back(dim.dilation);
    }
    llvm::append_range(begins, ends);
    return g.make<nn::ConvOp>(op.getInput(), makeWeight(remainders), isStrided() ? Value() : op.getBias(),
                              b.getDenseI64ArrayAttr(ones), b.getDenseI64ArrayAttr(dilations), b.getDenseI64ArrayAttr(begins),
                              nn::AutoPad::NotSet, op.getGroups(), /*channels_last=*/false);
  }

  /// [C, O / groups, K...] to [O, C / groups, taps...].
  Value makeWeight(ArrayRef<int64_t> remainders) {
    Value weight = takeBackwards(op.getWeight(), remainders);
    SmallVector<int64_t> shape(cast<RankedTensorType>(weight.getType()).getShape()), order{1, 0};
    int64_t groups = op.getGroups();
    if (groups > 1) {
      SmallVector<int64_t> apart(shape);
      apart[0] /= groups;
      apart.insert(apart.begin(), groups);
      weight = reshape(weight, apart);
      order = {0, 2, 1};
    }
    for (int64_t i = order.size(), e = cast<RankedTensorType>(weight.getType()).getRank(); i < e; ++i)
      order.push_back(i);
    weight = g.make<nn::TransposeOp>(weight, order);
    if (groups == 1)
      return weight;
    std::swap(shape[0], shape[1]);
    shape[0] *= groups;
    shape[1] /= groups;
    return reshape(weight, shape);
  }

  /// Of each kernel the taps with the remainders, the last first.
  Value takeBackwards(Value weight, ArrayRef<int64_t> remainders) {
    SmallVector<OpFoldResult> starts(rank, b.getIndexAttr(0)), ends = m.dims(weight), steps(rank, b.getIndexAttr(1));
    bool isWhole = true;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      int64_t taps = dim.taps(remainders[i]);
      bool isOne = taps == 1;
      starts[2 + i] = b.getIndexAttr(remainders[i] + dim.stride * (taps - 1));
      ends[2 + i] = b.getIndexAttr(isOne ? remainders[i] + 1 : std::numeric_limits<int64_t>::min());
      steps[2 + i] = b.getIndexAttr(isOne ? 1 : -dim.stride);
      isWhole &= dim.kernel == 1;
    }
    if (isWhole)
      return weight;
    return g.make<nn::SliceOp>(weight, nn::createSizes(b, loc, starts), nn::createSizes(b, loc, ends),
                               nn::createSizes(b, loc, steps));
  }

  /// [N, O, places...] for each remainder, null ones zeros, to [N, places * strides..., O].
  Value takeInTurn(MutableArrayRef<Value> phases, ArrayRef<int64_t> last) {
    Value some = *llvm::find_if(phases, [](Value phase) { return bool(phase); });
    SmallVector<OpFoldResult> sizes = applyPermutation(m.dims(some), last), apart{sizes[0]}, joined = sizes;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      apart.append({sizes[1 + i], m.constant(1)});
      joined[1 + i] = m.mul(sizes[1 + i], m.constant(dim.stride));
    }
    apart.push_back(sizes.back());
    SmallVector<Value> parts;
    for (Value phase : phases)
      parts.push_back(phase ? reshape(g.make<nn::TransposeOp>(phase, last), apart) : createZeros(apart));
    for (int64_t i = dims.size() - 1; i >= 0; --i) {
      SmallVector<Value> merged;
      for (size_t first = 0; first < parts.size(); first += dims[i].stride)
        merged.push_back(dims[i].stride == 1 ? parts[first]
                                             : g.make<nn::ConcatOp>(ArrayRef(parts).slice(first, dims[i].stride), 2 + 2 * i));
      parts = std::move(merged);
    }
    return reshape(parts[0], joined);
  }

  Value createZeros(ArrayRef<OpFoldResult> sizes) {
    Type element = op.getType().getElementType();
    auto scalar = RankedTensorType::get({}, element);
    Value zero = nn::ConstantOp::create(b, loc, scalar, DenseElementsAttr::get(scalar, b.getZeroAttr(element)));
    return g.make<nn::BroadcastOp>(zero, nn::createSizes(b, loc, sizes));
  }

  /// The places that are the result's, in the spatial dimensions from `first` on.
  Value cut(Value value, int64_t first) {
    SmallVector<OpFoldResult> sizes = m.dims(value), starts(rank, b.getIndexAttr(0)), ends = sizes;
    SmallVector<OpFoldResult> steps(rank, b.getIndexAttr(1));
    bool isWhole = true;
    for (auto [i, dim] : llvm::enumerate(dims)) {
      OpFoldResult size = nn::getTransposedSize(
          b, loc, nn::getTransposedDim(op, i, m.dim(op.getInput(), 2 + i), m.dim(op.getWeight(), 2 + i)));
      starts[first + i] = b.getIndexAttr(dim.offset);
      ends[first + i] = m.add(size, starts[first + i]);
      isWhole &= dim.offset == 0 && nn::isSameSize(ends[first + i], sizes[first + i]);
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
