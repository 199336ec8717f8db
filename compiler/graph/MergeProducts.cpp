//===- MergeProducts.cpp - One product with several matrices ----*- C++ -*-===//
//
// Before: %q = nn.add (nn.matmul %x, %wq), %bq : tensor<128x768xf32>
//         %k = nn.add (nn.matmul %x, %wk), %bk : tensor<128x768xf32>
// After:  %w = nn.concat %wq, %wk          %b = nn.concat %bq, %bk
//         %y = nn.add (nn.matmul %x, %w), %b : tensor<128x1536xf32>
//         %q = nn.slice %y[:, 0 : 768]     %k = nn.slice %y[:, 768 : 1536]
//
// The projections of attention are of this kind: %x is read once instead of three times, and there is one kernel to
// start, whose columns are shared among threads. Slices are views. Where more than a bias follows a product, a
// kernel of its own has that in its epilogue, which is worth more.
//
// Precondition: types inferred. Postcondition: matrix products with the same left side whose right sides, and
// what is added to their columns, are known at compile time, and that nothing element-wise follows, are one.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/TensorMath.h"
#include "dialects/nn/NNShapes.h"
#include "llvm/ADT/MapVector.h"

namespace nacre::graph {
#define GEN_PASS_DEF_MERGEPRODUCTSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::TensorMath, graph::typeOf;

namespace {

/// More than that is not computed ahead of time (hoist-parameters).
constexpr int64_t kMostElements = int64_t(32) << 20;

struct Product {
  nn::MatMulOp matmul;
  nn::AddOp biased; ///< Null if nothing is added.
  Value bias;

  Value result() { return biased ? biased.getResult() : matmul.getResult(); }
  int64_t columns() { return typeOf(matmul.getResult()).getShape().back(); }
};

/// What else an addition adds if it is a number for each column that is known at compile time.
Value findBias(nn::AddOp add, Value product) {
  Value other = add.getLhs() == product ? add.getRhs() : add.getLhs();
  auto type = typeOf(other);
  bool isPerColumn = other != product && type.hasStaticShape() && type.getRank() > 0 &&
                     type.getShape().back() == type.getNumElements() && type.getNumElements() == typeOf(product).getShape().back();
  return isPerColumn && add.getType() == product.getType() && graph::isKnownAtCompileTime(other) ? other : Value();
}

/// Only moved, or multiplied by others: no kernel takes it into the product's epilogue.
bool isReadAsItIs(Operation *user) {
  nn::KernelRole role = graph::getRole(user);
  return !graph::isElementwise(user) &&
         (role == nn::KernelRole::Host || role == nn::KernelRole::View || role == nn::KernelRole::Contraction);
}

std::optional<Product> findProduct(nn::MatMulOp op) {
  Value right = op.getRhs();
  auto type = typeOf(right);
  if (type.getRank() != 2 || !type.hasStaticShape() || !isa<FloatType>(type.getElementType()) || op.getTransposeLhs() ||
      graph::isKnownAtCompileTime(op.getLhs()) || !graph::isKnownAtCompileTime(right) || !op.getResult().hasOneUse())
    return std::nullopt;
  Product product = {op, nullptr, nullptr};
  if (auto add = dyn_cast<nn::AddOp>(*op.getResult().getUsers().begin()); add && add->getBlock() == op->getBlock())
    if (Value bias = findBias(add, op.getResult()))
      product = {op, add, bias};
  if (product.result().use_empty() || !llvm::all_of(product.result().getUsers(), isReadAsItIs))
    return std::nullopt;
  return product;
}

class Merger {
public:
  explicit Merger(MutableArrayRef<Product> products)
      : products(products), first(products.front().matmul), b(first), m(b, first.getLoc()) {}

  void run() {
    SmallVector<Value> weights, biases;
    SmallVector<Location> places;
    for (Product &product : products) {
      weights.push_back(bringUp(product.matmul.getRhs()));
      if (product.biased)
        biases.push_back(nn::reshapeTo(b, bringUp(product.bias), {product.columns()}));
      places.push_back(product.matmul.getLoc());
    }
    Location all = b.getFusedLoc(places);
    Value right = m.make<nn::ConcatOp>(ValueRange(weights), first.getTransposeRhs() ? 0 : 1);
    auto type = typeOf(first.getResult());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = typeOf(right).getDimSize(first.getTransposeRhs() ? 0 : 1);
    Value whole = nn::MatMulOp::create(b, all, type.clone(shape), first.getLhs(), right, first.getTransposeLhsAttr(), first.getTransposeRhsAttr());
    if (!biases.empty())
      whole = nn::AddOp::create(b, all, type.clone(shape), whole, m.make<nn::ConcatOp>(ValueRange(biases), 0));
    int64_t begin = 0, rank = type.getRank();
    for (Product &product : products) {
      SmallVector<int64_t> starts(rank, 0), ends(rank, INT64_MAX), steps(rank, 1);
      starts.back() = begin;
      ends.back() = begin += product.columns();
      Value part = nn::SliceOp::create(b, product.matmul.getLoc(), product.result().getType(), whole, m.ints(starts), m.ints(ends), m.ints(steps));
      product.result().replaceAllUsesWith(part);
    }
    for (Product &product : products) {
      if (product.biased)
        product.biased->erase();
      product.matmul->erase();
    }
  }

private:
  /// A value that is known at compile time, where the first product stands: computed again there if it comes later.
  Value bringUp(Value value) {
    Operation *op = value.getDefiningOp();
    if (op->getBlock() != first->getBlock() || op->isBeforeInBlock(first))
      return value;
    IRMapping operands;
    for (Value operand : op->getOperands())
      operands.map(operand, bringUp(operand));
    return b.clone(*op, operands)->getResult(cast<OpResult>(value).getResultNumber());
  }

  MutableArrayRef<Product> products;
  nn::MatMulOp first;
  OpBuilder b;
  TensorMath m;
};

struct MergeProductsPass : graph::impl::MergeProductsPassBase<MergeProductsPass> {
  void runOnOperation() override {
    getOperation().walk([](Block *block) { mergeIn(*block); });
  }

private:
  static void mergeIn(Block &block) {
    llvm::MapVector<std::pair<Value, unsigned>, SmallVector<Product>> groups; // by the left side and the form
    for (auto op : block.getOps<nn::MatMulOp>())
      if (std::optional<Product> product = findProduct(op))
        groups[{op.getLhs(), unsigned(op.getTransposeRhs()) + 2 * unsigned(product->biased != nullptr)}].push_back(*product);
    for (auto &[key, products] : groups) {
      int64_t elements = 0;
      for (Product &product : products)
        elements += typeOf(product.matmul.getRhs()).getNumElements();
      if (products.size() > 1 && elements <= kMostElements)
        Merger(products).run();
    }
  }
};

} // namespace
