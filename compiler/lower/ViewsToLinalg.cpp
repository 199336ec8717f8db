//===- ViewsToLinalg.cpp - Reshape, squeeze, unsqueeze, collapse -*- C++ -*-===//
//
// Before: %y = nn.reshape %x, %s : (tensor<?x768xf32>, tensor<3xi64>) -> tensor<?x12x64xf32>
// After:  %y = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 12, 64]
//
// Every view is at most one collapse_shape and one expand_shape: dimensions are put
// into the smallest groups whose sizes are known to agree. What has no elements is tensor.empty.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

using Sizes = ArrayRef<OpFoldResult>;

/// A run of dimensions of the input that become a run of dimensions of the result.
struct Group {
  ReassociationIndices input, result;
};

/// Groups dimensions, each group as small as it can be; what cannot be told apart
/// falls into the last group. A group may be without dimensions on one side where
/// the other has sizes of 1.
SmallVector<Group> groupDimensions(nn::SizeMath &m, Sizes input, Sizes result) {
  SmallVector<Group> groups;
  size_t i = 0, j = 0;
  while (i < input.size() || j < result.size()) {
    auto [nextI, nextJ] = [&]() -> std::pair<size_t, size_t> {
      for (size_t total = 1; total < input.size() - i + result.size() - j; ++total)
        for (size_t taken = 0; taken <= std::min(total, input.size() - i); ++taken)
          if (total - taken <= result.size() - j &&
              m.areSameProducts(input.slice(i, taken), result.slice(j, total - taken)))
            return {i + taken, j + total - taken};
      return {input.size(), result.size()};
    }();
    Group group;
    llvm::append_range(group.input, llvm::seq(i, nextI));
    llvm::append_range(group.result, llvm::seq(j, nextJ));
    groups.push_back(std::move(group));
    std::tie(i, j) = std::pair(nextI, nextJ);
  }
  // Sizes of 1 without a counterpart join a neighbour.
  for (size_t g = 0; groups.size() > 1 && g < groups.size();) {
    if (!groups[g].input.empty() && !groups[g].result.empty()) {
      ++g;
      continue;
    }
    size_t into = g > 0 ? g - 1 : 0;
    llvm::append_range(groups[into].input, groups[into + 1].input);
    llvm::append_range(groups[into].result, groups[into + 1].result);
    groups.erase(groups.begin() + into + 1);
    g = into;
  }
  return groups;
}

/// The type that a tensor has with each group of its dimensions made one.
RankedTensorType getCollapsedType(RankedTensorType type, ArrayRef<ReassociationIndices> groups) {
  SmallVector<int64_t> shape;
  for (const ReassociationIndices &group : groups) {
    int64_t size = 1;
    for (int64_t i : group)
      size = ShapedType::isDynamic(size) || type.isDynamicDim(i) ? ShapedType::kDynamic
                                                                 : size * type.getDimSize(i);
    shape.push_back(size);
  }
  return type.clone(shape);
}

Value castIfNeeded(OpBuilder &b, Location loc, Value value, RankedTensorType type) {
  return value.getType() == type ? value : tensor::CastOp::create(b, loc, type, value).getResult();
}

} // namespace

Value lower::createView(OpBuilder &b, Location loc, Value input, Sizes inputSizes, Sizes sizes,
                        RankedTensorType type) {
  auto inputType = cast<RankedTensorType>(input.getType());
  nn::SizeMath m(b, loc);
  // Where there are no elements, sizes that are not 0 need not multiply to the same: no groups agree.
  if (llvm::is_contained(inputType.getShape(), 0) || llvm::is_contained(type.getShape(), 0)) {
    SmallVector<OpFoldResult> known(sizes);
    for (auto [size, fixed] : llvm::zip_equal(known, type.getShape()))
      if (!ShapedType::isDynamic(fixed))
        size = b.getIndexAttr(fixed);
      else
        size = m.value(size);
    return castIfNeeded(b, loc, tensor::EmptyOp::create(b, loc, known, type.getElementType()), type);
  }
  SmallVector<Group> groups = groupDimensions(m, inputSizes, sizes);
  bool isScalar = inputType.getRank() == 0 || type.getRank() == 0;
  SmallVector<ReassociationIndices> inputGroups, resultGroups;
  if (!isScalar)
    for (Group &group : groups) {
      inputGroups.push_back(group.input);
      resultGroups.push_back(group.result);
    }
  else if (inputType.getRank() != 0) // a tensor of one element, to a scalar
    input = castIfNeeded(b, loc, input, inputType = inputType.clone(SmallVector<int64_t>(inputType.getRank(), 1)));

  auto allOnes = [](RankedTensorType t) { return t.clone(SmallVector<int64_t>(t.getRank(), 1)); };
  auto expandedType = isScalar ? allOnes(type) : type;
  RankedTensorType collapsed = getCollapsedType(inputType, inputGroups),
                   wanted = getCollapsedType(expandedType, resultGroups);
  if (collapsed.getRank() != inputType.getRank())
    input = tensor::CollapseShapeOp::create(b, loc, collapsed, input, inputGroups);
  input = castIfNeeded(b, loc, input, wanted);
  if (wanted.getRank() != expandedType.getRank()) {
    SmallVector<OpFoldResult> expandedSizes;
    for (auto [size, known] : llvm::zip(sizes, expandedType.getShape()))
      expandedSizes.push_back(ShapedType::isDynamic(known) ? OpFoldResult(m.value(size)) : m.constant(known));
    input = tensor::ExpandShapeOp::create(b, loc, expandedType, input, resultGroups, expandedSizes);
  }
  return castIfNeeded(b, loc, input, type);
}

namespace {

template <typename Op>
struct LowerView : Lowering<Op> {
  using Lowering<Op>::Lowering;

  LogicalResult matchAndRewrite(Op op, typename Op::Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(this->getTypeConverter()->convertType(op.getType()));
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    // Sizes of the result are in terms of the operand as it was before conversion.
    SmallVector<OpFoldResult> inputSizes = nn::getDims(rewriter, op.getLoc(), op.getInput());
    rewriter.replaceOp(op, lower::createView(rewriter, op.getLoc(), adaptor.getInput(), inputSizes, sizes, type));
    return success();
  }
};

} // namespace

void lower::populateViewsToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerView<nn::ReshapeOp>, LowerView<nn::SqueezeOp>, LowerView<nn::UnsqueezeOp>,
               LowerView<nn::CollapseOp>>(converter, patterns.getContext());
}
