//===- PackParameters.cpp - Lay weights out for the micro-kernel -*- C++ -*-===//
//
// Before: %w = nn.get_parameter @w : tensor<768x512xf32>
//         kern.call @k ins(%x, %w), where @k reads w by (m, n, k) -> (k, n)
// After:  %w = nn.get_parameter @w.packed : tensor<16x768x32xf32>
//         kern.call @k ins(%x, %w), where @k reads w by (m, n, k) -> (n / 32, k, n % 32)
//         and @prepare computes @w.packed from @w
//
// The lanes of a vector run along n, so that a micro-kernel reads one packed panel from
// start to end. The last panel is padded with zeros.
//
// Where groups of steps, two of bf16, are multiplied at once, they lie side by side:
// (m, n, k) -> (n / 32, k / 2, n % 32, k % 2); for a matrix unit in panels of 16.
//
// Precondition: kernels of structured ops on tensors, each with one call.
// Postcondition: constant operands of contractions are packed.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Parameters.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/support/Remarks.h"
#include "compiler/tile/MultiplyTiles.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/VectorizeTiles.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::tile {
#define GEN_PASS_DEF_PACKPARAMETERSPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// Fewer steps are not worth groups: what is left over of one takes as long as a whole one.
constexpr int64_t kFewestSteps = 8;

/// How one operand is packed: which loop each packed dimension follows.
struct Packing {
  int64_t lanesLoop = -1, lanesDim = -1, block = 0;
  /// The reduction whose steps lie in groups, padded to a multiple of `depth`. -1: none.
  int64_t stepLoop = -1, stepDim = -1, group = 1, depth = 0;
  /// Dimensions of the operand in packed order; lanesDim stands for its panel number, stepDim
  /// for that of its group. The block follows at the end, then the group.
  SmallVector<int64_t> order;

  int64_t rank() const { return order.size() + (stepDim < 0 ? 1 : 2); }
};

/// What operands are packed for.
struct Target {
  tile::VectorTarget vectors;
  bool matrixTiles;
  int64_t lanes() const { return vectors.vectorBits / 32; }
};

/// Lets steps lie in groups if the contraction will be of groups: its other operand has steps side by
/// side, and for a matrix unit rows.
void chooseGroups(linalg::GenericOp op, OpOperand &operand, const Target &target, Packing &packing) {
  std::optional<tile::TileProduct> product = tile::getTileProduct(op);
  if (!product)
    return;
  OpOperand *left = op.getDpsInputOperand(1 - operand.getOperandNumber());
  AffineMap leftMap = op.getMatchingIndexingMap(left), map = op.getMatchingIndexingMap(&operand);
  auto last = dyn_cast<AffineDimExpr>(leftMap.getResults().back());
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  auto isEnough = [&](unsigned loop, int64_t fewest) { return ShapedType::isDynamic(sizes[loop]) || sizes[loop] >= fewest; };
  if (!last || op.getIteratorTypesArray()[last.getPosition()] != utils::IteratorType::reduction ||
      !map.getResultPosition(last) || !isEnough(packing.lanesLoop, tile::kFewestTileColumns))
    return;
  bool hasRows = false;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    hasRows |= op.getIteratorTypesArray()[loop] == utils::IteratorType::parallel && leftMap.isFunctionOfDim(loop) &&
               !map.isFunctionOfDim(loop) && isEnough(loop, tile::kFewestTileRows);
  int64_t steps = sizes[last.getPosition()];
  bool isForTiles = target.matrixTiles && hasRows && isEnough(last.getPosition(), tile::kTileEdge / 2 * product->group());
  tile::Grouping grouping = tile::chooseDot(*product, target.vectors, target.lanes());
  if (isForTiles) {
    packing.block = tile::kTileEdge;
    packing.group = product->group();
    packing.depth = tile::getTileDepth(steps, packing.group);
  } else if (grouping.dot != tile::Dot::None && isEnough(last.getPosition(), kFewestSteps)) {
    packing.group = packing.depth = grouping.size;
  } else {
    return;
  }
  packing.stepLoop = last.getPosition();
  packing.stepDim = *map.getResultPosition(last);
  llvm::erase(packing.order, packing.stepDim);
  packing.order.push_back(packing.stepDim);
}

/// Whether a dimension of a value is summed over by what alone reads it, maybe after element-wise ops.
bool isSummed(Value value, unsigned dim) {
  auto user = value.hasOneUse() ? dyn_cast<linalg::GenericOp>(*value.user_begin()) : nullptr;
  if (!user || user.getNumDpsInits() != 1)
    return false;
  auto loop = dyn_cast<AffineDimExpr>(user.getMatchingIndexingMap(&*value.use_begin()).getResult(dim));
  if (!loop)
    return false;
  if (user.getIteratorTypesArray()[loop.getPosition()] == utils::IteratorType::reduction)
    return true;
  std::optional<unsigned> next = user.getMatchingIndexingMap(user.getDpsInitOperand(0)).getResultPosition(loop);
  return next && isSummed(user.getResult(0), *next);
}

/// Decides whether and how to pack an operand of a generic.
std::optional<Packing> choosePacking(linalg::GenericOp op, OpOperand &operand, const Target &target) {
  auto type = cast<RankedTensorType>(operand.get().getType());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  // Integers only where they are converted to floats one by one, or multiplied in groups.
  bool isNumber = isa<FloatType>(getElementTypeOrSelf(op.getDpsInits().front()));
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() != 1 || !type.hasStaticShape() ||
      !(isNumber || tile::getTileProduct(op)) || !map.isProjectedPermutation() || type.getRank() < 2)
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  auto lanes = dyn_cast<AffineDimExpr>(out.getResults().back());
  if (!lanes || !map.getResultPosition(lanes))
    return std::nullopt;
  Packing packing;
  packing.lanesLoop = lanes.getPosition();
  packing.lanesDim = *map.getResultPosition(lanes);
  int64_t size = type.getDimSize(packing.lanesDim);
  // Rows that share the panel want it as wide as a register block: three vectors, which read less
  // for each product, or two. Without such rows, as in a depthwise convolution, one vector can be
  // cut into tiles more freely.
  bool isShared = llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *other) {
    return !op.getMatchingIndexingMap(other).isFunctionOfDim(packing.lanesLoop);
  });
  int64_t rows = 1;
  for (auto [loop, range, iterator] : llvm::enumerate(op.getStaticLoopRanges(), op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::parallel && !map.isFunctionOfDim(loop))
      rows *= ShapedType::isDynamic(range) ? tile::kFewestSharingRows : range;
  int64_t vector = target.lanes();
  packing.block = size <= vector || !isShared                 ? vector
                  : target.vectors.registers >= 32 && size % (3 * vector) == 0 && rows >= tile::kFewestSharingRows ? 3 * vector
                                                              : 2 * vector;

  // Parallel loops first, then the panel, then those that a tile runs through: of products that are summed for the
  // kernel's result (AccumulateProducts), and the reductions.
  auto iterators = op.getIteratorTypesArray();
  SmallVector<std::pair<int64_t, int64_t>> parallel, summed, reduction; // (loop, dimension)
  for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
    int64_t loop = cast<AffineDimExpr>(expr).getPosition();
    if (loop == packing.lanesLoop)
      continue;
    if (iterators[loop] == utils::IteratorType::reduction)
      reduction.push_back({loop, dim});
    else if (auto position = out.getResultPosition(getAffineDimExpr(loop, op.getContext())); position && isSummed(op.getResult(0), *position))
      summed.push_back({loop, dim});
    else
      parallel.push_back({loop, dim});
  }
  for (auto *list : {&parallel, &summed, &reduction})
    llvm::sort(*list);
  for (auto [loop, dim] : parallel)
    packing.order.push_back(dim);
  packing.order.push_back(packing.lanesDim);
  for (auto [loop, dim] : llvm::concat<std::pair<int64_t, int64_t>>(summed, reduction))
    packing.order.push_back(dim);
  chooseGroups(op, operand, target, packing);
  if (packing.stepDim < 0 && !isNumber)
    return std::nullopt;
  return packing;
}

RankedTensorType getPackedType(RankedTensorType type, const Packing &packing) {
  SmallVector<int64_t> shape;
  for (int64_t dim : packing.order)
    shape.push_back(dim == packing.lanesDim  ? llvm::divideCeil(type.getDimSize(dim), packing.block)
                    : dim == packing.stepDim ? llvm::alignTo(type.getDimSize(dim), packing.depth) / packing.group
                                             : type.getDimSize(dim));
  shape.push_back(packing.block);
  if (packing.stepDim >= 0)
    shape.push_back(packing.group);
  return type.clone(shape);
}

/// From the indices of the packed operand to those of the operand.
AffineMap getSourceMap(const Packing &packing, MLIRContext *context) {
  int64_t lane = packing.order.size();
  SmallVector<AffineExpr> exprs(lane);
  for (auto [i, dim] : llvm::enumerate(packing.order)) {
    exprs[dim] = getAffineDimExpr(i, context);
    if (dim == packing.lanesDim)
      exprs[dim] = exprs[dim] * packing.block + getAffineDimExpr(lane, context);
    else if (dim == packing.stepDim)
      exprs[dim] = exprs[dim] * packing.group + getAffineDimExpr(lane + 1, context);
  }
  return AffineMap::get(packing.rank(), 0, exprs, context);
}

/// A kernel that packs `view` (may be null) of a tensor of the given type.
kern::FuncOp createPackKernel(OpBuilder &moduleBuilder, Location loc, RankedTensorType type,
                              Operation *view, const Packing &packing, StringRef name) {
  auto viewed = view ? cast<RankedTensorType>(view->getResult(0).getType()) : type;
  RankedTensorType packed = getPackedType(viewed, packing);
  OpBuilder b(moduleBuilder.getContext());
  auto func = kern::FuncOp::create(moduleBuilder, loc, name,
                                   b.getFunctionType({type, packed}, packed));
  Block *body = b.createBlock(&func.getBody(), {}, {type, packed}, {loc, loc});
  Value source = body->getArgument(0);
  if (view) {
    IRMapping mapping;
    mapping.map(view->getOperand(0), source);
    source = b.clone(*view, mapping)->getResult(0);
    type = viewed;
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[packing.lanesDim] = llvm::alignTo(shape[packing.lanesDim], packing.block);
  if (packing.stepDim >= 0)
    shape[packing.stepDim] = llvm::alignTo(shape[packing.stepDim], packing.depth);
  if (shape != type.getShape()) {
    SmallVector<OpFoldResult> low(type.getRank(), b.getIndexAttr(0)), high = low;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      high[dim] = b.getIndexAttr(shape[dim] - type.getDimSize(dim));
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
    source = tensor::PadOp::create(b, loc, type.clone(shape), source, low, high, zero);
  }
  int64_t rank = packed.getRank();
  auto generic = linalg::GenericOp::create(
      b, loc, packed, source, body->getArgument(1),
      ArrayRef<AffineMap>{getSourceMap(packing, b.getContext()), b.getMultiDimIdentityMap(rank)},
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [](OpBuilder &inner, Location innerLoc, ValueRange e) {
        linalg::YieldOp::create(inner, innerLoc, e[0]);
      });
  kern::ReturnOp::create(b, loc, generic.getResults());
  return func;
}

/// Rewrites the generic to read the packed operand.
void readPacked(linalg::GenericOp op, OpOperand &operand, const Packing &packing) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  AffineExpr lanes = getAffineDimExpr(packing.lanesLoop, op.getContext());
  SmallVector<AffineExpr> exprs;
  for (int64_t dim : packing.order)
    exprs.push_back(dim == packing.lanesDim  ? lanes.floorDiv(packing.block)
                    : dim == packing.stepDim ? map.getResult(dim).floorDiv(packing.group)
                                             : map.getResult(dim));
  exprs.push_back(lanes % packing.block);
  if (packing.stepDim >= 0)
    exprs.push_back(map.getResult(packing.stepDim) % packing.group);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps[operand.getOperandNumber()] = AffineMap::get(map.getNumDims(), 0, exprs, op.getContext());
  op.setIndexingMapsAttr(OpBuilder(op).getAffineMapArrayAttr(maps));
}

struct PackParametersPass : tile::impl::PackParametersPassBase<PackParametersPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    graph::PrepareBuilder prepare(module);
    llvm::DenseMap<Attribute, nn::ParameterOp> packedAlready;
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<kern::CallOp> calls;
    for (func::FuncOp func : graph::getMainAndVersions(module))
      func.walk([&](kern::CallOp call) { calls.push_back(call); });
    Target target = {{.vectorBits = vectorBits, .registers = registers, .dotBF16 = dotBF16, .dotI8 = dotI8,
                      .dotSameI8 = dotSameI8, .dotMixedI8 = dotMixedI8, .dotI16 = dotI16}, matrixTiles};
    unsigned number = 0;
    for (kern::CallOp call : calls) {
      auto func = symbols.lookup<kern::FuncOp>(call.getCallee());
      for (auto [index, input] : llvm::enumerate(call.getInputs())) {
        auto get = input.getDefiningOp<nn::GetParameterOp>();
        BlockArgument argument = func.getArgument(index);
        if (!get || !argument.hasOneUse())
          continue;
        auto parameter = symbols.lookup<nn::ParameterOp>(get.getName());
        // Groups may be a dimension of their own, or one that is left out.
        Operation *view = *argument.getUsers().begin();
        if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(view) || !view->hasOneUse())
          view = nullptr;
        OpOperand &operand = view ? *view->getUses().begin() : *argument.getUses().begin();
        auto generic = dyn_cast<linalg::GenericOp>(operand.getOwner());
        if (!generic || parameter.getTrainable() || argument.getType() != get.getType())
          continue;
        std::optional<Packing> packing = choosePacking(generic, operand, target);
        if (!packing)
          continue;

        auto type = cast<RankedTensorType>(argument.getType());
        RankedTensorType packedType =
            getPackedType(cast<RankedTensorType>(operand.get().getType()), *packing);
        // Small groups would mostly be padding.
        if (view && packedType.getNumElements() > 2 * type.getNumElements())
          continue;
        // The same type may hold the elements in another order.
        OpBuilder b(call);
        auto key = b.getArrayAttr({get.getNameAttr(), TypeAttr::get(operand.get().getType()),
                                   TypeAttr::get(packedType),
                                   AffineMapAttr::get(getSourceMap(*packing, &getContext()))});
        nn::ParameterOp &packed = packedAlready[key];
        if (!packed) {
          kern::FuncOp kernel = createPackKernel(moduleBuilder, get.getLoc(), type, view, *packing,
                                                 ("pack_" + Twine(number++)).str());
          symbols.insert(kernel);
          OpBuilder inside = prepare.getBuilder();
          // Right after the source: what is computed only to be packed is not kept for long.
          Value source = prepare.lookup(get);
          inside.setInsertionPointAfterValue(source);
          Value empty = tensor::EmptyOp::create(inside, get.getLoc(), packedType.getShape(),
                                                packedType.getElementType());
          auto pack = kern::CallOp::create(inside, get.getLoc(), packedType, kernel.getSymName(), source, empty);
          packed = prepare.addResult(pack.getResult(0), (get.getName() + ".packed").str());
          if (parameter->hasAttr(codegen::kCommonAttr))
            packed->setAttr(codegen::kPackingAttr, key);
        }
        call.getInputsMutable()[index].set(
            nn::GetParameterOp::create(b, get.getLoc(), packedType, packed.getSymName()));
        if (view) {
          operand.set(argument);
          view->erase();
        }
        argument.setType(packedType);
        func.setFunctionType(b.getFunctionType(func.getBody().front().getArgumentTypes(),
                                               func.getResultTypes()));
        readPacked(generic, operand, *packing);
        remark::passed(generic.getLoc(), aboutKernel("pack-parameters", func))
            << remark::add("the weights {0} lie in panels of {1} columns from when the model is compiled",
                           get.getName().str(), packing->block)
            << remark::add("{0}", packing->group > 1 ? ", steps in groups of " + std::to_string(packing->group) + " for dot products" : "");
      }
    }
    prepare.eraseUnused();
  }
};

} // namespace
