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
// convolutions with 3 x 3 windows that gain by it are kern.winograd, which is a kernel's root or has a result that
// an element-wise root op reads. Weights that are trained, or come as inputs, are transformed before each call.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Parameters.h"
#include "compiler/graph/Prepare.h"
#include "compiler/tile/Choices.h"
#include "compiler/support/Remarks.h"
#include "compiler/tile/Passes.h"
#include "compiler/tile/RootOp.h"
#include "compiler/tile/Winograd.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

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

/// The convolution is the root op, or that reads it place by place, as does everything in between.
bool isElementwiseBehind(kern::FuncOp func, linalg::GenericOp conv) {
  auto root = dyn_cast_or_null<linalg::GenericOp>(tile::getRootOp(func).getOperation());
  if (!root || root.getNumLoops() != (root == conv ? unsigned(kLoops) : 4))
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

constexpr auto kParallel = utils::IteratorType::parallel, kReduction = utils::IteratorType::reduction;

/// A kernel of one argument and its destination, whose body `build` writes.
kern::FuncOp createKernel(OpBuilder &moduleBuilder, Location loc, StringRef name, RankedTensorType from, RankedTensorType to,
                          llvm::function_ref<Value(OpBuilder &, Value source, Value destination)> build) {
  OpBuilder b(moduleBuilder.getContext());
  auto func = kern::FuncOp::create(moduleBuilder, loc, name, b.getFunctionType({from, to}, to));
  Block *body = b.createBlock(&func.getBody(), {}, {from, to}, {loc, loc});
  kern::ReturnOp::create(b, loc, build(b, body->getArgument(0), body->getArgument(1)));
  return func;
}

/// A kernel that moves windows [o, c, y, x] to where lanes want them, [y, x, o / b, c, b].
kern::FuncOp createMove(OpBuilder &moduleBuilder, Location loc, StringRef name, RankedTensorType from, RankedTensorType to) {
  return createKernel(moduleBuilder, loc, name, from, to, [&](OpBuilder &b, Value source, Value destination) {
    AffineExpr y, x, q, c, o;
    bindDims(b.getContext(), y, x, q, c, o);
    auto map = AffineMap::get(5, 0, {q * to.getDimSize(4) + o, c, y, x}, b.getContext());
    return linalg::GenericOp::create(b, loc, to, source, destination, ArrayRef<AffineMap>{map, b.getMultiDimIdentityMap(5)},
                                     SmallVector<utils::IteratorType>(5, kParallel),
                                     [](OpBuilder &inner, Location at, ValueRange e) { linalg::YieldOp::create(inner, at, e[0]); })
        .getResult(0);
  });
}

/// A kernel that computes the transformed weights of those, as sums over the window.
kern::FuncOp createTransform(OpBuilder &moduleBuilder, Location loc, StringRef name, RankedTensorType from, RankedTensorType to) {
  auto func = createKernel(moduleBuilder, loc, name, from, to, [&](OpBuilder &b, Value source, Value destination) {
    int64_t reads = to.getDimSize(0);
    ArrayRef<double> factor = kern::getWinogradPlaces(reads) == 4 ? ArrayRef<double>(G4) : ArrayRef<double>(G2);
    SmallVector<float> table; // of both dimensions at once
    for (int64_t position = 0; position < reads * reads; ++position)
      for (int64_t tap = 0; tap < 9; ++tap)
        table.push_back(factor[position / reads * 3 + tap / 3] * factor[position % reads * 3 + tap % 3]);
    Value factors = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(RankedTensorType::get({reads, reads, 3, 3}, b.getF32Type()), ArrayRef<float>(table)));
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(b.getF32Type()));
    Value filled = linalg::FillOp::create(b, loc, zero, destination).getResult(0);
    // Loops: the position, the block, the channel, the place in the block; then the window.
    AffineExpr r, s, q, c, o, y, x;
    bindDims(b.getContext(), r, s, q, c, o, y, x);
    auto mapOf = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(7, 0, exprs, b.getContext()); };
    return linalg::GenericOp::create(
               b, loc, to, ValueRange{source, factors}, filled,
               ArrayRef<AffineMap>{mapOf({y, x, q, c, o}), mapOf({r, s, y, x}), mapOf({r, s, q, c, o})},
               ArrayRef<utils::IteratorType>{kParallel, kParallel, kParallel, kParallel, kParallel, kReduction, kReduction},
               [](OpBuilder &inner, Location at, ValueRange e) {
                 Value product = arith::MulFOp::create(inner, at, e[0], e[1]);
                 linalg::YieldOp::create(inner, at, arith::AddFOp::create(inner, at, e[2], product).getResult());
               })
        .getResult(0);
  });
  // All positions of some channels: their windows are read once.
  constexpr int64_t kChannels = 8;
  func.setTilingAttr(kern::TilingAttr::get(func.getContext(), {0, 0, 1, kChannels, 0, 0, 0}, /*grain=*/1));
  return func;
}

struct ChooseWinogradPass : tile::impl::ChooseWinogradPassBase<ChooseWinogradPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    graph::PrepareBuilder prepare(module);
    SmallVector<kern::CallOp> calls;
    module.walk([&](kern::CallOp call) { calls.push_back(call); });
    for (kern::CallOp call : calls) {
      auto func = symbols.lookup<kern::FuncOp>(call.getCallee());
      for (auto [index, input] : llvm::enumerate(call.getInputs())) {
        BlockArgument argument = func.getArgument(index);
        if (!argument.hasOneUse() || argument.getType() != input.getType())
          continue;
        OpOperand &use = *argument.getUses().begin();
        auto conv = dyn_cast<linalg::GenericOp>(use.getOwner());
        if (!conv || findWeights(conv) != &use || !isElementwiseBehind(func, conv))
          continue;
        auto get = input.getDefiningOp<nn::GetParameterOp>();
        bool isConstant = get && !symbols.lookup<nn::ParameterOp>(get.getName()).getTrainable();
        int64_t places = choosePlaces(func, conv, isConstant);
        if (places == 0)
          continue;
        auto type = cast<RankedTensorType>(argument.getType());
        int64_t outputs = type.getDimSize(0), block = outputs % (vectorBits / 16) ? vectorBits / 32 : vectorBits / 16;
        auto packed = RankedTensorType::get({places + 2, places + 2, outputs / block, type.getDimSize(1), block}, type.getElementType());
        OpBuilder b(call);
        Value weights = isConstant ? prepareWeights(get, packed, symbols, prepare)
                                   : transform(b, input, packed, symbols);
        call.getInputsMutable()[index].set(weights);
        argument.setType(packed);
        func.setFunctionType(b.getFunctionType(func.getBody().front().getArgumentTypes(), func.getResultTypes()));
        replace(conv, argument);
      }
    }
    prepare.eraseUnused();
  }

private:
  /// Places of a tile by which the convolution takes the least time; 0 if it does without transforms.
  int64_t choosePlaces(kern::FuncOp func, linalg::GenericOp conv, bool isConstant) {
    SmallVector<int64_t> sizes = conv.getStaticLoopRanges();
    if (sizes[O] % (vectorBits / 32))
      return 0;
    tile::WinogradShape shape = {ShapedType::isDynamic(sizes[N]) ? 1 : sizes[N], sizes[H], sizes[W], sizes[C], sizes[O]};
    tile::WinogradCore core = {lanes, l2Bytes};
    constexpr double kLeastGain = 1.25;
    SmallVector<std::pair<double, int64_t>> costs = {{shape.getDirectCost(core) / kLeastGain, 0}};
    for (int64_t places : {2, 4})
      if (auto tile = shape.chooseTile(places, core))
        costs.push_back({tile->cost + (isConstant ? 0 : shape.getWeightsCost(places)), places});
    llvm::stable_sort(costs, llvm::less_first());
    int64_t chosen = costs.front().second;
    tile::Choice choice(func, "winograd", decisions, recordChoices, isConstant ? "constant" : "");
    if (!choice.isIdle() && costs.size() > 1)
      chosen = decide(choice, costs);
    SmallVector<std::string> estimates;
    for (auto [cost, places] : costs)
      estimates.push_back(llvm::formatv("{0:f0} {1}", (places ? cost : cost * kLeastGain) / 1000, kWays[places / 2]));
    auto about = aboutKernel("choose-winograd", func);
    (chosen ? remark::passed(conv.getLoc(), about) : remark::missed(conv.getLoc(), about))
        << remark::add("a 3 x 3 convolution {0}: thousand cycles by the cost model: {1}; transforms must gain a quarter",
                       kWays[chosen / 2], llvm::join(estimates, ", "));
    return chosen;
  }

  /// By places of a tile.
  static constexpr const char *kWays[] = {"directly", "by 16 products for 4 places", "by 36 products for 16 places"};

  /// What is decided for, or the model's choice; with what costs little more by the model.
  static int64_t decide(const tile::Choice &choice, ArrayRef<std::pair<double, int64_t>> costs) {
    constexpr double kUnsure = 2;
    int64_t chosen = costs.front().second;
    if (choice.getDecision()) {
      auto decided = llvm::find_if(costs, [&](auto cost) { return std::to_string(cost.second) == *choice.getDecision(); });
      if (decided != costs.end())
        chosen = decided->second;
      else
        choice.warnOfDecision();
    }
    SmallVector<std::string> others;
    for (auto [cost, places] : costs)
      if (places != chosen && cost <= costs.front().first * kUnsure)
        others.push_back(std::to_string(places));
    choice.record(std::to_string(chosen), others);
    return chosen;
  }

  /// Calls that transform weights, where `b` stands.
  Value transform(OpBuilder &b, Value weights, RankedTensorType packed, SymbolTable &symbols) {
    OpBuilder moduleBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
    Location loc = weights.getLoc();
    auto call = [&](kern::FuncOp kernel, Value source) {
      symbols.insert(kernel);
      auto to = cast<RankedTensorType>(kernel.getResultTypes().front());
      Value empty = tensor::EmptyOp::create(b, loc, to.getShape(), to.getElementType());
      return kern::CallOp::create(b, loc, TypeRange(to), kernel.getSymName(), source, empty).getResult(0);
    };
    SmallVector<int64_t> shape(packed.getShape());
    shape[0] = shape[1] = 3;
    auto moved = RankedTensorType::get(shape, packed.getElementType());
    std::string name = ("winograd_" + Twine(transforms++)).str();
    Value source = call(createMove(moduleBuilder, loc, name + "_move", cast<RankedTensorType>(weights.getType()), moved), weights);
    return call(createTransform(moduleBuilder, loc, name, moved, packed), source);
  }

  /// A parameter that @prepare computes of another; one for all its readers.
  Value prepareWeights(nn::GetParameterOp get, RankedTensorType packed, SymbolTable &symbols, graph::PrepareBuilder &prepare) {
    nn::ParameterOp &parameter = prepared[{get.getNameAttr(), packed}];
    if (!parameter) {
      OpBuilder inside = prepare.getBuilder();
      Value source = prepare.lookup(get);
      inside.setInsertionPointAfterValue(source);
      bool isSmall = packed.getDimSize(0) == 4;
      parameter = prepare.addResult(transform(inside, source, packed, symbols),
                                    (get.getName() + ".winograd" + (isSmall ? "2" : "")).str());
      // CPUs that round the sums alike share them.
      if (symbols.lookup<nn::ParameterOp>(get.getName())->hasAttr(codegen::kCommonAttr))
        parameter->setAttr(codegen::kPackingAttr, inside.getArrayAttr({get.getNameAttr(), TypeAttr::get(packed), inside.getBoolAttr(fma)}));
    }
    OpBuilder b(get);
    return nn::GetParameterOp::create(b, get.getLoc(), packed, parameter.getSymName());
  }

  static void replace(linalg::GenericOp conv, Value weights) {
    OpBuilder b(conv);
    auto result = cast<RankedTensorType>(conv.getResult(0).getType());
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, conv.getLoc(), conv.getDpsInits().front());
    Value empty = tensor::EmptyOp::create(b, conv.getLoc(), sizes, result.getElementType());
    auto winograd = kern::WinogradOp::create(b, conv.getLoc(), TypeRange(result), conv.getDpsInputs()[0], weights, empty);
    conv.getResult(0).replaceAllUsesWith(winograd.getResult(0));
    conv.erase();
  }

  llvm::DenseMap<std::pair<Attribute, Type>, nn::ParameterOp> prepared;
  unsigned transforms = 0;
};

} // namespace
