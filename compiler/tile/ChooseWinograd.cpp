//===- ChooseWinograd.cpp - Convolutions by fewer products ------*- C++ -*-===//
//
// Before: %y = linalg.generic {3 x 3 convolution} ins(%x, %w)      (%w constant: [o, c, 3, 3])
//         %r = linalg.generic {relu} ins(%y)
// After:  %y = kern.winograd %x, %u                                 (%u: [6, 6, o / 32, c, 32])
//         %r = linalg.generic {relu} ins(%y)
//         and @prepare computes %u = G %w G^T
//
// It reads four times as many weights and moves the input and the result once more each, which
// pays if enough places share the weights. Tiles of 2 x 2 places (%u: [4, 4, ...]) read less than twice
// as many weights, for 16 products instead of 36.
//
// Precondition: kernels of structured ops on tensors, each with one call. Postcondition: f32
// convolutions with constant 3 x 3 windows that gain by it are kern.winograd, with a result that
// an element-wise root op reads.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Prepare.h"
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "compiler/tile/Winograd.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

namespace nacre::tile {
#define GEN_PASS_DEF_CHOOSEWINOGRADPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

namespace {

/// The direct convolution's loops: n, h, w, o, and the reductions y, x, c.
enum Loops { N, H, W, O, Y, X, C, kLoops };

/// The weights' operand of a convolution that kern.winograd can compute; null if it is none.
OpOperand *findWeights(linalg::GenericOp op) {
  if (op.getNumLoops() != kLoops || op.getNumParallelLoops() != 4 || op.getNumDpsInputs() != 2 ||
      op.getNumDpsInits() != 1)
    return nullptr;
  MLIRContext *context = op.getContext();
  auto d = [&](unsigned loop) { return getAffineDimExpr(loop, context); };
  auto mapOf = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(kLoops, 0, exprs, context); };
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (maps[0] != mapOf({d(N), d(H) + d(Y), d(W) + d(X), d(C)}) || maps[1] != mapOf({d(O), d(C), d(Y), d(X)}) ||
      maps[2] != mapOf({d(N), d(H), d(W), d(O)}))
    return nullptr;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (sizes[Y] != 3 || sizes[X] != 3 || llvm::any_of(ArrayRef(sizes).drop_front(), ShapedType::isDynamic))
    return nullptr;
  for (Value operand : op->getOperands())
    if (!getElementTypeOrSelf(operand).isF32())
      return nullptr;
  // Starts from 0, adds products.
  auto fill = op.getDpsInits().front().getDefiningOp<linalg::FillOp>();
  bool addsProducts = linalg::detail::isContractionBody(*op.getBody(), [](Operation *product, Operation *sum) {
    return isa<arith::MulFOp>(product) && isa<arith::AddFOp>(sum);
  });
  bool startsAtZero = fill && matchPattern(fill.getInputs().front(), m_AnyZeroFloat());
  return addsProducts && startsAtZero ? op.getDpsInputOperand(1) : nullptr;
}

/// The root op reads the convolution place by place, as does everything in between.
bool isElementwiseBehind(kern::FuncOp func, linalg::GenericOp conv) {
  linalg::LinalgOp root = tile::getRootOp(func);
  if (!root || root == conv || root.getNumLoops() != 4)
    return false;
  auto type = conv.getResult(0).getType();
  for (Operation *op = root; op != conv;) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic.getNumLoops() != generic.getNumParallelLoops())
      return false;
    Operation *next = nullptr;
    for (OpOperand &operand : generic->getOpOperands()) {
      auto producer = operand.get().getDefiningOp<linalg::GenericOp>();
      if (operand.get().getType() == type && producer && generic.getMatchingIndexingMap(&operand).isIdentity())
        next = producer;
    }
    if (!next || !generic.getIndexingMapsArray().back().isIdentity())
      return false;
    op = next;
  }
  return conv.getResult(0).hasOneUse();
}

constexpr double a = tile::kNearPoint, b = tile::kFarPoint;
constexpr double A = 1 / (2 * a * a * (a * a - b * b)), B = 1 / (2 * b * b * (b * b - a * a));
constexpr double G4[] = {1 / (a * a * b * b), 0, 0, A, A * a, A * a * a, A, -A * a, A * a * a,
                         B, B * b, B * b * b, B, -B * b, B * b * b, 0, 0, 1};
constexpr double G2[] = {1, 0, 0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0, 0, 1};

/// A kernel that computes the transformed weights, as sums over the window.
kern::FuncOp createTransform(OpBuilder &moduleBuilder, Location loc, RankedTensorType from, RankedTensorType to,
                             StringRef name) {
  OpBuilder b(moduleBuilder.getContext());
  auto func = kern::FuncOp::create(moduleBuilder, loc, name, b.getFunctionType({from, to}, to));
  Block *body = b.createBlock(&func.getBody(), {}, {from, to}, {loc, loc});
  int64_t reads = to.getDimSize(0);
  SmallVector<float> table(kern::getWinogradPlaces(reads) == 4 ? ArrayRef<double>(G4) : ArrayRef<double>(G2));
  Value factors = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(RankedTensorType::get({reads, 3}, b.getF32Type()), ArrayRef<float>(table)));
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(b.getF32Type()));
  Value filled = linalg::FillOp::create(b, loc, zero, body->getArgument(1)).getResult(0);
  // Loops: the position, the block, the channel, the place in the block; then the window.
  AffineExpr r, s, q, c, o, y, x;
  bindDims(b.getContext(), r, s, q, c, o, y, x);
  int64_t block = to.getDimSize(4);
  auto mapOf = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(7, 0, exprs, b.getContext()); };
  auto parallel = utils::IteratorType::parallel, reduction = utils::IteratorType::reduction;
  auto generic = linalg::GenericOp::create(
      b, loc, to, ValueRange{body->getArgument(0), factors, factors}, filled,
      ArrayRef<AffineMap>{mapOf({q * block + o, c, y, x}), mapOf({r, y}), mapOf({s, x}), mapOf({r, s, q, c, o})},
      ArrayRef<utils::IteratorType>{parallel, parallel, parallel, parallel, parallel, reduction, reduction},
      [](OpBuilder &inner, Location at, ValueRange e) {
        Value factor = arith::MulFOp::create(inner, at, e[1], e[2]);
        Value product = arith::MulFOp::create(inner, at, e[0], factor);
        linalg::YieldOp::create(inner, at, arith::AddFOp::create(inner, at, e[3], product).getResult());
      });
  kern::ReturnOp::create(b, loc, generic.getResults());
  return func;
}

struct ChooseWinogradPass : tile::impl::ChooseWinogradPassBase<ChooseWinogradPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    graph::PrepareBuilder prepare(module);
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(module.getBody());
    SmallVector<kern::CallOp> calls;
    for (func::FuncOp func : graph::getMainAndVersions(module))
      func.walk([&](kern::CallOp call) { calls.push_back(call); });
    llvm::DenseMap<std::pair<Attribute, int64_t>, nn::ParameterOp> transformed;
    for (kern::CallOp call : calls) {
      auto func = symbols.lookup<kern::FuncOp>(call.getCallee());
      for (auto [index, input] : llvm::enumerate(call.getInputs())) {
        auto get = input.getDefiningOp<nn::GetParameterOp>();
        BlockArgument argument = func.getArgument(index);
        if (!get || !argument.hasOneUse() || argument.getType() != get.getType() ||
            symbols.lookup<nn::ParameterOp>(get.getName()).getTrainable())
          continue;
        OpOperand &use = *argument.getUses().begin();
        auto conv = dyn_cast<linalg::GenericOp>(use.getOwner());
        if (!conv || findWeights(conv) != &use || !isElementwiseBehind(func, conv))
          continue;
        int64_t places = choosePlaces(conv);
        if (places == 0)
          continue;
        auto type = cast<RankedTensorType>(argument.getType());
        int64_t outputs = type.getDimSize(0), block = outputs % (vectorBits / 16) ? vectorBits / 32 : vectorBits / 16;
        auto packed = RankedTensorType::get({places + 2, places + 2, outputs / block, type.getDimSize(1), block}, type.getElementType());
        nn::ParameterOp &parameter = transformed[{get.getNameAttr(), places}];
        if (!parameter) {
          kern::FuncOp kernel = createTransform(moduleBuilder, get.getLoc(), type, packed,
                                                ("winograd_" + Twine(transformed.size() - 1)).str());
          symbols.insert(kernel);
          OpBuilder inside = prepare.getBuilder();
          Value source = prepare.lookup(get);
          inside.setInsertionPointAfterValue(source);
          Value empty = tensor::EmptyOp::create(inside, get.getLoc(), packed.getShape(), packed.getElementType());
          auto made = kern::CallOp::create(inside, get.getLoc(), TypeRange(packed), kernel.getSymName(), source, empty);
          parameter = prepare.addResult(made.getResult(0), (get.getName() + ".winograd" + (places == 2 ? "2" : "")).str());
        }
        OpBuilder b(call);
        call.getInputsMutable()[index].set(
            nn::GetParameterOp::create(b, get.getLoc(), packed, parameter.getSymName()));
        argument.setType(packed);
        func.setFunctionType(b.getFunctionType(func.getBody().front().getArgumentTypes(), func.getResultTypes()));
        b.setInsertionPoint(conv);
        auto result = cast<RankedTensorType>(conv.getResult(0).getType());
        SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, conv.getLoc(), conv.getDpsInits().front());
        Value empty = tensor::EmptyOp::create(b, conv.getLoc(), sizes, result.getElementType());
        auto winograd = kern::WinogradOp::create(b, conv.getLoc(), TypeRange(result), conv.getDpsInputs()[0], argument, empty);
        remark::passed(conv.getLoc(), remark::RemarkOpts::name("ChooseWinograd").category("choose-winograd"))
            << remark::add(places == 4 ? "a 3 x 3 convolution by 36 products for 16 places"
                                       : "a 3 x 3 convolution by 16 products for 4 places");
        conv.getResult(0).replaceAllUsesWith(winograd.getResult(0));
        conv.erase();
      }
    }
    prepare.eraseUnused();
  }

private:
  /// Places of a tile by which the convolution takes the least time; 0 if it does without transforms.
  int64_t choosePlaces(linalg::GenericOp conv) {
    SmallVector<int64_t> sizes = conv.getStaticLoopRanges();
    if (sizes[O] % (vectorBits / 32))
      return 0;
    tile::WinogradShape shape = {ShapedType::isDynamic(sizes[N]) ? 1 : sizes[N], sizes[H], sizes[W], sizes[C], sizes[O]};
    tile::WinogradCore core = {lanes, l2Bytes};
    constexpr double kLeastGain = 1.25;
    double least = shape.getDirectCost(core) / kLeastGain;
    int64_t chosen = 0;
    for (int64_t places : {2, 4})
      if (auto tile = shape.chooseTile(places, core); tile && tile->cost < least) {
        least = tile->cost;
        chosen = places;
      }
    return chosen;
  }
};

} // namespace
