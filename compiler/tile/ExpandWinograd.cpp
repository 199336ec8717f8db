//===- ExpandWinograd.cpp - kern.winograd as structured ops -----*- C++ -*-===//
//
// Before: kern.winograd %x, %u into %y
// After:  scf.for %n, %h, %w { rows of B^T x; their columns: V[36][%n, %h, %w][c] }
//         M[36][places][o] = V times %u, position by position
//         scf.for %n, %h, %w { rows of A^T M; their columns: %y[%n, 4 %h + i, 4 %w + j, o] }
//         and all of it for each image where their number is open
//
// B and A are those of F(4 x 4, 3 x 3), or of F(2 x 2, 3 x 3) (Lavin and Gray, arXiv:1509.09308), with the
// points of Winograd.h. One vector of channels goes through a transform at once. Where the places
// are no multiple, the last tile begins as far in front of the end as it has places.
//
// Precondition: memrefs. Postcondition: no kern.winograd is left.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/Passes.h"
#include "compiler/tile/Winograd.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace nacre::tile {
#define GEN_PASS_DEF_EXPANDWINOGRADPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;
using nacre::tile::kFarPoint;
using nacre::tile::kNearPoint;

namespace {

/// Arithmetic of one transform, on scalars that become lanes.
class Body {
public:
  Body(OpBuilder &b, Location loc, bool fma) : fma(fma), b(b), loc(loc) {}

  /// B^T d.
  SmallVector<Value> transformInput(ValueRange d) {
    if (d.size() == 4)
      return {add(d[0], -1, d[2]), add(d[1], d[2]), add(d[2], -1, d[1]), add(d[3], -1, d[1])};
    Value even = add(d[4], -b2, d[2]), odd = add(d[3], -b2, d[1]), near = add(d[4], -a2, d[2]), far = add(d[3], -a2, d[1]);
    return {add(add(d[4], -(a2 + b2), d[2]), a2 * b2, d[0]),
            add(even, kNearPoint, odd),
            add(even, -kNearPoint, odd),
            add(near, kFarPoint, far),
            add(near, -kFarPoint, far),
            add(add(d[5], -(a2 + b2), d[3]), a2 * b2, d[1])};
  }

  /// A^T m.
  SmallVector<Value> transformResult(ValueRange m) {
    if (m.size() == 4)
      return {add(add(m[0], m[1]), m[2]), add(add(m[1], -1, m[2]), m[3])};
    Value near = add(m[1], m[2]), far = add(m[3], m[4]), nearOdd = add(m[1], -1, m[2]), farOdd = add(m[3], -1, m[4]);
    return {add(add(m[0], near), far), add(times(kNearPoint, nearOdd), kFarPoint, farOdd), add(times(a2, near), b2, far),
            add(add(m[5], a2 * kNearPoint, nearOdd), b2 * kFarPoint, farOdd)};
  }

private:
  static constexpr double a2 = kNearPoint * kNearPoint, b2 = kFarPoint * kFarPoint;

  Value constant(double value, Type type) { return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value)); }
  Value times(double factor, Value x) { return arith::MulFOp::create(b, loc, constant(factor, x.getType()), x); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value add(Value x, double factor, Value y) {
    if (factor == -1)
      return arith::SubFOp::create(b, loc, x, y);
    if (!fma)
      return add(x, times(factor, y));
    return math::FmaOp::create(b, loc, constant(factor, x.getType()), y, x);
  }

  bool fma;
  OpBuilder &b;
  Location loc;
};

class Expander {
public:
  Expander(kern::WinogradOp op, bool fma)
      : b(op), loc(op.getLoc()), op(op), fma(fma), reads(cast<MemRefType>(op.getWeights().getType()).getDimSize(0)),
        places(kern::getWinogradPlaces(reads)) {}

  void run() {
    auto input = cast<MemRefType>(op.getInput().getType()), destination = cast<MemRefType>(op.getDestination().getType());
    int64_t height = destination.getDimSize(1), width = destination.getDimSize(2);
    int64_t down = llvm::divideCeil(height, places), across = llvm::divideCeil(width, places);
    int64_t inputs = input.getDimSize(3), outputs = destination.getDimSize(3);
    // What one dimension of a transform leaves for the other stays in the first-level cache.
    Value rows = allocate({reads, reads, inputs}), half = allocate({places, reads, outputs});
    // All images share a product, if their number is known.
    int64_t images = destination.getDimSize(0), together = ShapedType::isDynamic(images) ? 1 : images;
    Value columns = allocate({reads, reads, together, down, across, inputs});
    Value products = allocate({reads, reads, together, down, across, outputs});
    Value passes = together == images ? index(1) : memref::DimOp::create(b, loc, op.getDestination(), 0).getResult();
    OpBuilder::InsertionGuard guard(b);
    OpFoldResult pass = loop(passes);
    {
      OpBuilder::InsertionGuard inner(b);
      OpFoldResult image = loop(index(together)), row = loop(index(down)), column = loop(index(across));
      OpFoldResult n = plus(pass, image), y = start(row, height), x = start(column, width);
      transform([&](int64_t r) { return view(op.getInput(), {n, plus(y, r), x, at(0)}, {1, 1, reads, inputs}, {0, 1}); },
                [&](int64_t i) { return view(rows, {at(i), at(0), at(0)}, {1, reads, inputs}, {0}); }, reads);
      transform([&](int64_t s) { return view(rows, {at(0), at(s), at(0)}, {reads, 1, inputs}, {1}); },
                [&](int64_t s) {
                  return view(columns, {at(0), at(s), image, row, column, at(0)}, {reads, 1, 1, 1, 1, inputs}, {1, 2, 3, 4});
                },
                reads);
    }
    multiply(columns, products);
    {
      OpBuilder::InsertionGuard inner(b);
      OpFoldResult image = loop(index(together)), row = loop(index(down)), column = loop(index(across));
      OpFoldResult n = plus(pass, image), y = start(row, height), x = start(column, width);
      transform([&](int64_t r) {
                  return view(products, {at(r), at(0), image, row, column, at(0)}, {1, reads, 1, 1, 1, outputs}, {0, 2, 3, 4});
                },
                [&](int64_t i) { return view(half, {at(i), at(0), at(0)}, {1, reads, outputs}, {0}); }, places);
      transform([&](int64_t s) { return view(half, {at(0), at(s), at(0)}, {places, 1, outputs}, {1}); },
                [&](int64_t j) { return view(op.getDestination(), {n, y, plus(x, j), at(0)}, {1, places, 1, outputs}, {0, 2}); },
                places);
    }
    op.erase();
  }

private:
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  OpFoldResult at(int64_t value) { return b.getIndexAttr(value); }
  OpFoldResult plus(OpFoldResult value, int64_t more) { return plus(value, OpFoldResult(index(more))); }
  OpFoldResult plus(OpFoldResult value, OpFoldResult more) {
    return arith::AddIOp::create(b, loc, cast<Value>(value), cast<Value>(more)).getResult();
  }
  /// Where a tile begins.
  OpFoldResult start(OpFoldResult tile, int64_t size) {
    Value first = arith::MulIOp::create(b, loc, cast<Value>(tile), index(places));
    if (size % places != 0)
      first = arith::MinSIOp::create(b, loc, first, index(size - places));
    return first;
  }

  Value allocate(ArrayRef<int64_t> shape) {
    return memref::AllocOp::create(b, loc, MemRefType::get(shape, b.getF32Type()));
  }

  /// A loop from 0 on; the builder stands in it then.
  OpFoldResult loop(Value count) {
    auto made = scf::ForOp::create(b, loc, index(0), count, index(1));
    b.setInsertionPointToStart(made.getBody());
    return made.getInductionVar();
  }

  /// A part of a memref, without the dimensions `dropped`.
  Value view(Value source, ArrayRef<OpFoldResult> offsets, ArrayRef<int64_t> sizes, ArrayRef<unsigned> dropped) {
    SmallVector<int64_t> shape;
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (!llvm::is_contained(dropped, dim))
        shape.push_back(size);
    SmallVector<OpFoldResult> mixed = getAsIndexOpFoldResult(b.getContext(), sizes), ones(sizes.size(), b.getIndexAttr(1));
    auto type = memref::SubViewOp::inferRankReducedResultType(shape, cast<MemRefType>(source.getType()), offsets, mixed, ones);
    return memref::SubViewOp::create(b, loc, type, source, offsets, mixed, ones);
  }

  /// One dimension of a transform: as many views as a tile reads are read, `count` are written, element by element.
  void transform(llvm::function_ref<Value(int64_t)> read, llvm::function_ref<Value(int64_t)> written, int64_t count) {
    SmallVector<Value> from, to;
    for (int64_t i = 0; i < reads; ++i)
      from.push_back(read(i));
    for (int64_t i = 0; i < count; ++i)
      to.push_back(written(i));
    int64_t rank = cast<MemRefType>(from.front().getType()).getRank();
    SmallVector<AffineMap> maps(from.size() + to.size(), b.getMultiDimIdentityMap(rank));
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    linalg::GenericOp::create(b, loc, from, to, maps, iterators, [&](OpBuilder &inner, Location where, ValueRange e) {
      Body body(inner, where, fma);
      ValueRange read = e.take_front(reads);
      linalg::YieldOp::create(inner, where, count == reads ? body.transformInput(read) : body.transformResult(read));
    });
  }

  /// For each position: places by channels times channels by outputs.
  void multiply(Value left, Value products) {
    auto collapse = [&](Value value) {
      return memref::CollapseShapeOp::create(b, loc, value, ArrayRef<ReassociationIndices>{{0}, {1}, {2, 3, 4}, {5}});
    };
    Value result = collapse(products);
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(b.getF32Type()));
    linalg::FillOp::create(b, loc, zero, result);
    AffineExpr r, s, t, o, c;
    bindDims(b.getContext(), r, s, t, o, c);
    int64_t block = cast<MemRefType>(op.getWeights().getType()).getDimSize(4);
    auto mapOf = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(5, 0, exprs, b.getContext()); };
    auto parallel = utils::IteratorType::parallel;
    linalg::GenericOp::create(
        b, loc, ValueRange{collapse(left), op.getWeights()}, ValueRange{result},
        ArrayRef<AffineMap>{mapOf({r, s, t, c}), mapOf({r, s, o.floorDiv(block), c, o % block}), mapOf({r, s, t, o})},
        ArrayRef<utils::IteratorType>{parallel, parallel, parallel, parallel, utils::IteratorType::reduction},
        [](OpBuilder &inner, Location where, ValueRange e) {
          Value product = arith::MulFOp::create(inner, where, e[0], e[1]);
          linalg::YieldOp::create(inner, where, arith::AddFOp::create(inner, where, e[2], product).getResult());
        });
  }

  OpBuilder b;
  Location loc;
  kern::WinogradOp op;
  bool fma;
  int64_t reads, places;
};

struct ExpandWinogradPass : tile::impl::ExpandWinogradPassBase<ExpandWinogradPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<kern::WinogradOp> ops;
    getOperation()->walk([&](kern::WinogradOp op) { ops.push_back(op); });
    for (kern::WinogradOp op : ops)
      Expander(op, fma).run();
  }
};

} // namespace
