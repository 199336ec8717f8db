//===- SortToLinalg.cpp - Order and choice ----------------------*- C++ -*-===//
//
// top_k, unique and non_max_suppression order numbers of elements in a heap: in
// place, without allocation, in O(n log k), and with one result whatever the number
// of threads, as no two elements are equal in the order.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

using Predicate = arith::CmpIPredicate;

Value index(OpBuilder &b, Location loc, int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
Value compare(OpBuilder &b, Location loc, Predicate predicate, Value l, Value r) {
  return arith::CmpIOp::create(b, loc, predicate, l, r);
}
Value load(OpBuilder &b, Location loc, Value tensor, Value at) { return tensor::ExtractOp::create(b, loc, tensor, at); }
Value store(OpBuilder &b, Location loc, Value value, Value tensor, Value at) {
  return tensor::InsertOp::create(b, loc, value, tensor, at);
}
/// A tensor of rank 0.
Value createScalar(OpBuilder &b, Location loc, Value value) {
  Value empty = lower::createEmpty(b, loc, {}, value.getType());
  return tensor::InsertOp::create(b, loc, value, empty, ValueRange());
}
Value choose(OpBuilder &b, Location loc, Value condition, Value yes, Value no) {
  return arith::SelectOp::create(b, loc, condition, yes, no);
}

/// Whether element number `lhs` comes after element number `rhs` (both i64) in the order.
using ComesAfter = llvm::function_ref<Value(OpBuilder &, Location, Value lhs, Value rhs)>;

/// A heap of element numbers in a 1-D i64 tensor; the root comes last in the order.
class Heap {
public:
  Heap(OpBuilder &b, Location loc, ComesAfter comesAfter) : b(b), loc(loc), comesAfter(comesAfter) {}

  /// Lets the number at `start` sink to its place among the first `size`.
  Value siftDown(Value heap, Value start, Value size) {
    Value item = load(b, loc, heap, start);
    Value one = index(b, loc, 1);
    auto loop = scf::WhileOp::create(
        b, loc, TypeRange{heap.getType(), b.getIndexType(), b.getIndexType()}, ValueRange{heap, start},
        [&](OpBuilder &n, Location l, ValueRange state) {
          // The child that comes last, if there is one, moves up if the item comes before it.
          Value tensor = state[0], place = state[1];
          Value left = arith::AddIOp::create(n, l, arith::AddIOp::create(n, l, place, place), one);
          Value right = arith::AddIOp::create(n, l, left, one);
          Value hasLeft = compare(n, l, Predicate::slt, left, size);
          Value hasRight = compare(n, l, Predicate::slt, right, size);
          Value safeLeft = choose(n, l, hasLeft, left, place), safeRight = choose(n, l, hasRight, right, safeLeft);
          Value leftItem = load(n, l, tensor, safeLeft), rightItem = load(n, l, tensor, safeRight);
          Value isRight = comesAfter(n, l, rightItem, leftItem);
          Value child = choose(n, l, isRight, safeRight, safeLeft);
          Value childItem = choose(n, l, isRight, rightItem, leftItem);
          Value moves = arith::AndIOp::create(n, l, hasLeft, comesAfter(n, l, childItem, item));
          scf::ConditionOp::create(n, l, moves, ValueRange{tensor, place, child});
        },
        [&](OpBuilder &n, Location l, ValueRange state) {
          Value moved = store(n, l, load(n, l, state[0], state[2]), state[0], state[1]);
          scf::YieldOp::create(n, l, ValueRange{moved, state[2]});
        });
    return store(b, loc, item, loop.getResult(0), loop.getResult(1));
  }

  /// Makes a heap of the first `size` numbers.
  Value build(Value heap, Value size) {
    Value half = arith::DivUIOp::create(b, loc, size, index(b, loc, 2)), one = index(b, loc, 1);
    return scf::ForOp::create(b, loc, index(b, loc, 0), half, one, heap,
                              [&](OpBuilder &n, Location l, Value i, ValueRange carried) {
                                Value last = arith::SubIOp::create(n, l, half, one);
                                Value start = arith::SubIOp::create(n, l, last, i);
                                Heap inner(n, l, comesAfter);
                                scf::YieldOp::create(n, l, inner.siftDown(carried[0], start, size));
                              })
        .getResult(0);
  }

  /// Brings a heap of `size` numbers into the order.
  Value sort(Value heap, Value size) {
    Value zero = index(b, loc, 0), one = index(b, loc, 1);
    return scf::ForOp::create(b, loc, one, size, one, heap,
                              [&](OpBuilder &n, Location l, Value i, ValueRange carried) {
                                Value end = arith::SubIOp::create(n, l, size, i);
                                Value root = load(n, l, carried[0], zero), last = load(n, l, carried[0], end);
                                Value swapped = store(n, l, last, store(n, l, root, carried[0], end), zero);
                                Heap inner(n, l, comesAfter);
                                scf::YieldOp::create(n, l, inner.siftDown(swapped, zero, end));
                              })
        .getResult(0);
  }

private:
  OpBuilder &b;
  Location loc;
  ComesAfter comesAfter;
};

/// Fills a tensor with 0, 1, 2, ….
Value fillWithNumbers(OpBuilder &b, Location loc, Value tensor, Value size) {
  return scf::ForOp::create(b, loc, index(b, loc, 0), size, index(b, loc, 1), tensor,
                            [&](OpBuilder &n, Location l, Value i, ValueRange carried) {
                              Value number = arith::IndexCastOp::create(n, l, n.getI64Type(), i);
                              scf::YieldOp::create(n, l, store(n, l, number, carried[0], i));
                            })
      .getResult(0);
}

struct Order {
  Value isLess, isGreater;
};

/// Compares two elements; NaN is larger than every number and equal to NaN.
Order compareElements(OpBuilder &b, Location loc, Value l, Value r, bool isUnsigned) {
  if (!isa<FloatType>(l.getType()))
    return {compare(b, loc, isUnsigned ? Predicate::ult : Predicate::slt, l, r),
            compare(b, loc, isUnsigned ? Predicate::ugt : Predicate::sgt, l, r)};
  using FloatPredicate = arith::CmpFPredicate;
  auto is = [&](FloatPredicate predicate, Value x, Value y) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  };
  auto isOnly = [&](Value x, Value y) -> Value { // x is NaN, y is not
    return arith::AndIOp::create(b, loc, is(FloatPredicate::UNO, x, x), is(FloatPredicate::ORD, y, y));
  };
  return {arith::OrIOp::create(b, loc, is(FloatPredicate::OLT, l, r), isOnly(r, l)),
          arith::OrIOp::create(b, loc, is(FloatPredicate::OGT, l, r), isOnly(l, r))};
}

bool isUnsignedElement(Value tensor) {
  Type type = getElementTypeOrSelf(tensor);
  return type.isUnsignedInteger() || type.isInteger(1);
}

Value toIndex(OpBuilder &b, Location loc, Value number) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), number);
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

/// The first k numbers stand in a heap whose root is the worst; each better one that
/// comes by takes its place.
struct LowerTopK : Lowering<nn::TopKOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::TopKOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    int64_t axis = op.getAxis();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size();
    Value input = adaptor.getInput();
    Type element = getElementTypeOrSelf(input), i64 = rewriter.getI64Type();
    // k may not be larger than the dimension: checked before; here only made safe.
    OpFoldResult size = m.dim(op.getInput(), axis);
    Value count = m.value(m.min(sizes[axis], size));
    Value streamed = m.value(m.select(nn::SizeMath::Predicate::sgt, sizes[axis], m.constant(0), size, m.constant(0)));

    SmallVector<OpFoldResult> rows(sizes);
    rows.erase(rows.begin() + axis);
    Value values = lower::createEmpty(rewriter, loc, sizes, element);
    Value indices = lower::createEmpty(rewriter, loc, sizes, i64);
    auto rowShape = cast<RankedTensorType>(values.getType()).getDimSize(axis);
    auto atRow = [&](ValueRange places, Value inner) {
      SmallVector<Value> at(places);
      at.insert(at.begin() + axis, inner);
      return at;
    };
    auto parts = [&](ValueRange places) -> SmallVector<lower::Part> {
      SmallVector<OpFoldResult> offsets, partSizes(rank, m.constant(1));
      for (int64_t i = 0, next = 0; i < rank; ++i)
        offsets.push_back(i == axis ? m.constant(0) : OpFoldResult(places[next++]));
      partSizes[axis] = sizes[axis];
      return {{offsets, partSizes, RankedTensorType::get(ArrayRef(rowShape), element)},
              {offsets, partSizes, RankedTensorType::get(ArrayRef(rowShape), i64)}};
    };
    auto body = [&](OpBuilder &b, Location l, ValueRange places, ValueRange pieces) -> SmallVector<Value> {
      auto comesAfter = [&](OpBuilder &n, Location at, Value lhs, Value rhs) -> Value {
        Value x = tensor::ExtractOp::create(n, at, input, atRow(places, toIndex(n, at, lhs)));
        Value y = tensor::ExtractOp::create(n, at, input, atRow(places, toIndex(n, at, rhs)));
        Order order = compareElements(n, at, x, y, isUnsignedElement(op.getInput()));
        bool largest = op.getOrder() == nn::TopKOrder::Largest;
        Value worse = largest ? order.isLess : order.isGreater, better = largest ? order.isGreater : order.isLess;
        // Of equal ones the later comes after.
        Value later = compare(n, at, Predicate::sgt, lhs, rhs);
        Value isTie = arith::XOrIOp::create(n, at, better, arith::ConstantIntOp::create(n, at, 1, 1));
        return arith::OrIOp::create(n, at, worse, arith::AndIOp::create(n, at, isTie, later));
      };
      Value zero = index(b, l, 0), one = index(b, l, 1);
      Heap heap(b, l, comesAfter);
      Value numbers = heap.build(fillWithNumbers(b, l, pieces[1], count), count);
      numbers = scf::ForOp::create(b, l, count, streamed, one, numbers,
                                   [&](OpBuilder &n, Location at, Value i, ValueRange carried) {
                                     Value number = arith::IndexCastOp::create(n, at, i64, i);
                                     Value root = load(n, at, carried[0], zero);
                                     auto branch = scf::IfOp::create(
                                         n, at, comesAfter(n, at, root, number),
                                         [&](OpBuilder &then, Location thenLoc) {
                                           Heap inner(then, thenLoc, comesAfter);
                                           Value replaced = store(then, thenLoc, number, carried[0], zero);
                                           scf::YieldOp::create(then, thenLoc, inner.siftDown(replaced, zero, count));
                                         },
                                         [&](OpBuilder &otherwise, Location elseLoc) {
                                           scf::YieldOp::create(otherwise, elseLoc, carried[0]);
                                         });
                                     scf::YieldOp::create(n, at, branch.getResults());
                                   })
                    .getResult(0);
      numbers = heap.sort(numbers, count);
      Value taken = scf::ForOp::create(b, l, zero, count, one, pieces[0],
                                       [&](OpBuilder &n, Location at, Value i, ValueRange carried) {
                                         Value from = toIndex(n, at, load(n, at, numbers, i));
                                         Value value = tensor::ExtractOp::create(n, at, input, atRow(places, from));
                                         scf::YieldOp::create(n, at, store(n, at, value, carried[0], i));
                                       })
                        .getResult(0);
      return {taken, numbers};
    };
    SmallVector<Value> results = lower::createParallelParts(rewriter, loc, rows, {values, indices}, parts, body);
    rewriter.replaceOp(op, {lower::castTo(rewriter, loc, results[0], getTypeConverter()->convertType(op.getValues().getType())),
                            lower::castTo(rewriter, loc, results[1], op.getIndices().getType())});
    return success();
  }
};

//===----------------------------------------------------------------------===//
// unique
//===----------------------------------------------------------------------===//

struct LowerUnique : Lowering<nn::UniqueOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::UniqueOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    Type i64 = rewriter.getI64Type();
    SmallVector<OpFoldResult> inputSizes = m.dims(op.getInput());
    OpFoldResult size = inputSizes[0];
    Value n = m.value(size), zero = index(rewriter, loc, 0), one = index(rewriter, loc, 1);
    Value zeroI64 = arith::ConstantIntOp::create(rewriter, loc, 0, 64);

    // Compares slices: from the end, so that the first difference decides last.
    auto compareSlices = [&](OpBuilder &b, Location l, Value lhs, Value rhs) -> Order {
      Value x = toIndex(b, l, lhs), y = toIndex(b, l, rhs);
      Value no = arith::ConstantIntOp::create(b, l, 0, 1);
      SmallVector<Value> order = lower::createLoops(
          b, l, ArrayRef(inputSizes).drop_front(), {no, no},
          [&](OpBuilder &inner, Location at, ValueRange places, ValueRange carried) -> SmallVector<Value> {
            SmallVector<Value> left{x}, right{y};
            for (auto [place, innerSize] : llvm::zip(places, ArrayRef(inputSizes).drop_front())) {
              nn::SizeMath math(inner, at);
              Value reversed = math.value(math.sub(math.sub(innerSize, math.constant(1)), place));
              left.push_back(reversed);
              right.push_back(reversed);
            }
            Order one = compareElements(inner, at, tensor::ExtractOp::create(inner, at, adaptor.getInput(), left),
                                        tensor::ExtractOp::create(inner, at, adaptor.getInput(), right),
                                        isUnsignedElement(op.getInput()));
            Value differs = arith::OrIOp::create(inner, at, one.isLess, one.isGreater);
            return {choose(inner, at, differs, one.isLess, carried[0]),
                    choose(inner, at, differs, one.isGreater, carried[1])};
          });
      return {order[0], order[1]};
    };
    auto comesAfter = [&](OpBuilder &b, Location l, Value lhs, Value rhs) -> Value {
      Order order = compareSlices(b, l, lhs, rhs);
      Value isTie = arith::XOrIOp::create(b, l, order.isLess, arith::ConstantIntOp::create(b, l, 1, 1));
      Value later = compare(b, l, Predicate::sgt, lhs, rhs);
      return arith::OrIOp::create(b, l, order.isGreater, arith::AndIOp::create(b, l, isTie, later));
    };
    Heap heap(rewriter, loc, comesAfter);
    Value order = fillWithNumbers(rewriter, loc, lower::createEmpty(rewriter, loc, size, i64), n);
    order = heap.sort(heap.build(order, n), n);

    // Equal slices stand together, the first occurrence first. Each learns the place
    // of the first of its kind.
    Value first = lower::createFilled(rewriter, loc, size, zeroI64), repeats = lower::createFilled(rewriter, loc, size, zeroI64);
    Value inverse = lower::createFilled(rewriter, loc, size, zeroI64);
    bool sorted = op.getSorted();
    auto scan = scf::ForOp::create(
        rewriter, loc, zero, n, one, ValueRange{first, inverse, repeats, zero},
        [&](OpBuilder &b, Location l, Value t, ValueRange carried) {
          Value number = load(b, l, order, t);
          Value isFirst = compare(b, l, Predicate::eq, t, zero);
          Value before = choose(b, l, isFirst, zero, arith::SubIOp::create(b, l, t, one));
          Order ordered = compareSlices(b, l, load(b, l, order, before), number);
          Value isNew = arith::OrIOp::create(b, l, isFirst, arith::OrIOp::create(b, l, ordered.isLess, ordered.isGreater));
          // The group of this slice: carried[3] counts the groups.
          Value next = arith::AddIOp::create(b, l, carried[3], one);
          Value groups = choose(b, l, isNew, next, carried[3]);
          Value group = arith::SubIOp::create(b, l, groups, one);
          Value occurrence = choose(b, l, isNew, number, load(b, l, carried[0], group));
          Value newFirst = store(b, l, occurrence, carried[0], group);
          Value groupNumber = arith::IndexCastOp::create(b, l, i64, group);
          Value newInverse = store(b, l, sorted ? groupNumber : occurrence, carried[1], toIndex(b, l, number));
          Value at = sorted ? group : toIndex(b, l, occurrence);
          Value oneI64 = arith::ConstantIntOp::create(b, l, 1, 64);
          Value more = arith::AddIOp::create(b, l, load(b, l, carried[2], at), oneI64);
          Value newRepeats = store(b, l, more, carried[2], at);
          scf::YieldOp::create(b, l, ValueRange{newFirst, newInverse, newRepeats, groups});
        });
    first = scan.getResult(0);
    inverse = scan.getResult(1);
    repeats = scan.getResult(2);
    Value groups = scan.getResult(3);
    if (!sorted) {
      // In the order of occurrence: `inverse` holds first places, `repeats` stands at them.
      // A first place comes before all that refer to it, and groups are not more than
      // slices seen: both are renumbered in place, front to back.
      auto renumber = scf::ForOp::create(
          rewriter, loc, zero, n, one, ValueRange{first, inverse, repeats, zero},
          [&](OpBuilder &b, Location l, Value i, ValueRange carried) {
            Value occurrence = toIndex(b, l, load(b, l, carried[1], i));
            Value isNew = compare(b, l, Predicate::eq, occurrence, i);
            Value next = arith::AddIOp::create(b, l, carried[3], one);
            Value count = choose(b, l, isNew, next, carried[3]);
            Value old = load(b, l, carried[1], occurrence);
            Value group = choose(b, l, isNew, arith::IndexCastOp::create(b, l, i64, carried[3]), old);
            Value newInverse = store(b, l, group, carried[1], i);
            Value place = choose(b, l, isNew, carried[3], toIndex(b, l, group));
            Value number = arith::IndexCastOp::create(b, l, i64, i);
            Value newFirst = store(b, l, choose(b, l, isNew, number, load(b, l, carried[0], place)), carried[0], place);
            Value moved = choose(b, l, isNew, load(b, l, carried[2], i), load(b, l, carried[2], place));
            Value newRepeats = store(b, l, moved, carried[2], place);
            scf::YieldOp::create(b, l, ValueRange{newFirst, newInverse, newRepeats, count});
          });
      first = renumber.getResult(0);
      inverse = renumber.getResult(1);
      // What stood at places beyond the number of groups has moved to the front.
      repeats = scf::ForOp::create(rewriter, loc, groups, n, one, renumber.getResult(2),
                                   [&](OpBuilder &b, Location l, Value i, ValueRange carried) {
                                     scf::YieldOp::create(b, l, store(b, l, zeroI64, carried[0], i));
                                   })
                    .getResult(0);
    }
    Value count = createScalar(rewriter, loc, arith::IndexCastOp::create(rewriter, loc, i64, groups));
    SmallVector<Value> results{first, inverse, repeats, count};
    for (auto [result, original] : llvm::zip(results, op.getResults()))
      result = lower::castTo(rewriter, loc, result, original.getType());
    rewriter.replaceOp(op, results);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// non_max_suppression
//===----------------------------------------------------------------------===//

/// A box as its corners, and its area.
struct Box {
  nn::Expr y1, x1, y2, x2, area;

  /// The same for code that another builder makes.
  Box at(OpBuilder &b, Location loc) const {
    return {{b, loc, y1}, {b, loc, x1}, {b, loc, y2}, {b, loc, x2}, {b, loc, area}};
  }
};

Box loadBox(OpBuilder &b, Location loc, Value boxes, Value batch, Value number, bool isCenter) {
  auto coordinate = [&](int64_t i) {
    return nn::Expr(b, loc, tensor::ExtractOp::create(b, loc, boxes, ValueRange{batch, number, index(b, loc, i)}));
  };
  nn::Expr c0 = coordinate(0), c1 = coordinate(1), c2 = coordinate(2), c3 = coordinate(3);
  auto least = [&](nn::Expr l, nn::Expr r) { return l.apply<arith::MinNumFOp>(r); };
  auto most = [&](nn::Expr l, nn::Expr r) { return l.apply<arith::MaxNumFOp>(r); };
  Box box = isCenter ? Box{c1 - c3 / 2.0, c0 - c2 / 2.0, c1 + c3 / 2.0, c0 + c2 / 2.0, c0}
                     : Box{least(c0, c2), least(c1, c3), most(c0, c2), most(c1, c3), c0};
  box.area = (box.y2 - box.y1) * (box.x2 - box.x1);
  return box;
}

/// Whether two boxes overlap by more than the threshold. Comparisons with NaN are false.
Value overlaps(OpBuilder &b, Location loc, const Box &l, const Box &r, Value threshold) {
  auto least = [&](nn::Expr x, nn::Expr y) { return x.apply<arith::MinNumFOp>(y); };
  auto most = [&](nn::Expr x, nn::Expr y) { return x.apply<arith::MaxNumFOp>(y); };
  auto isAbove = [&](nn::Expr x, nn::Expr y) -> Value {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  };
  nn::Expr width = least(l.x2, r.x2) - most(l.x1, r.x1), height = least(l.y2, r.y2) - most(l.y1, r.y1);
  nn::Expr shared = width * height, all = l.area + r.area - shared, zero = shared.constant(0.0);
  Value result = isAbove(shared / all, l.area.with(threshold));
  for (nn::Expr positive : {width, height, shared, l.area, r.area, all})
    result = arith::AndIOp::create(b, loc, result, isAbove(positive, zero));
  return result;
}

struct LowerNonMaxSuppression : Lowering<nn::NonMaxSuppressionOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::NonMaxSuppressionOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    Type i64 = rewriter.getI64Type();
    OpFoldResult batches = m.dim(op.getScores(), 0), classes = m.dim(op.getScores(), 1);
    Value numBoxes = m.value(m.dim(op.getScores(), 2));
    Value zero = index(rewriter, loc, 0), one = index(rewriter, loc, 1), two = index(rewriter, loc, 2);
    auto scalar = [&](Value tensor) -> Value { return tensor::ExtractOp::create(rewriter, loc, tensor, ValueRange()); };
    Value iouThreshold = scalar(adaptor.getIouThreshold()), scoreThreshold = scalar(adaptor.getScoreThreshold());
    Value limit = m.value(m.max(m.element(op.getMaxBoxes(), 0), m.constant(0)));

    Value selected = lower::createFilled(rewriter, loc, lower::resultSizes(rewriter, op),
                                         arith::ConstantIntOp::create(rewriter, loc, 0, 64));
    Value candidates = lower::createEmpty(rewriter, loc, m.dim(op.getScores(), 2), i64);
    auto score = [&](OpBuilder &b, Location l, ValueRange places, Value number) -> Value {
      return tensor::ExtractOp::create(b, l, adaptor.getScores(), ValueRange{places[0], places[1], number});
    };
    auto visitClass = [&](OpBuilder &b, Location l, ValueRange places, ValueRange carried) -> SmallVector<Value> {
      auto comesAfter = [&](OpBuilder &n, Location at, Value lhs, Value rhs) -> Value {
        Order order = compareElements(n, at, score(n, at, places, toIndex(n, at, lhs)),
                                      score(n, at, places, toIndex(n, at, rhs)), false);
        Value isTie = arith::XOrIOp::create(n, at, order.isGreater, arith::ConstantIntOp::create(n, at, 1, 1));
        Value later = compare(n, at, Predicate::sgt, lhs, rhs);
        return arith::OrIOp::create(n, at, order.isLess, arith::AndIOp::create(n, at, isTie, later));
      };
      // The boxes whose score is above the threshold, best first.
      auto filter = scf::ForOp::create(
          b, l, zero, numBoxes, one, ValueRange{carried[2], zero},
          [&](OpBuilder &n, Location at, Value i, ValueRange state) {
            Value number = arith::IndexCastOp::create(n, at, i64, i);
            // A place is always there; it is taken again unless the box is good.
            Value kept = store(n, at, number, state[0], state[1]);
            Value isGood = arith::CmpFOp::create(n, at, arith::CmpFPredicate::OGT, score(n, at, places, i), scoreThreshold);
            Value next = arith::AddIOp::create(n, at, state[1], one);
            scf::YieldOp::create(n, at, ValueRange{kept, choose(n, at, isGood, next, state[1])});
          });
      Value count = filter.getResult(1);
      Heap heap(b, l, comesAfter);
      Value ordered = heap.sort(heap.build(filter.getResult(0), count), count);
      // Take each that overlaps none taken before; rows from carried[1] on are this class's.
      Value start = carried[1];
      auto take = scf::ForOp::create(
          b, l, zero, count, one, ValueRange{carried[0], start},
          [&](OpBuilder &n, Location at, Value i, ValueRange state) {
            Value number = load(n, at, ordered, i);
            Value taken = arith::SubIOp::create(n, at, state[1], start);
            Value isRoom = compare(n, at, Predicate::slt, taken, limit);
            Box box = loadBox(n, at, adaptor.getBoxes(), places[0], toIndex(n, at, number), op.getCenterPointBox());
            auto search = scf::WhileOp::create(
                n, at, TypeRange{n.getIndexType(), n.getI1Type()}, ValueRange{start, isRoom},
                [&](OpBuilder &s, Location sl, ValueRange arguments) {
                  Value isMore = compare(s, sl, Predicate::slt, arguments[0], state[1]);
                  scf::ConditionOp::create(s, sl, arith::AndIOp::create(s, sl, isMore, arguments[1]), arguments);
                },
                [&](OpBuilder &s, Location sl, ValueRange arguments) {
                  Value other = toIndex(s, sl, tensor::ExtractOp::create(s, sl, state[0], ValueRange{arguments[0], two}));
                  Box against = loadBox(s, sl, adaptor.getBoxes(), places[0], other, op.getCenterPointBox());
                  Value isFree = arith::XOrIOp::create(s, sl, overlaps(s, sl, box.at(s, sl), against, iouThreshold),
                                                       arith::ConstantIntOp::create(s, sl, 1, 1));
                  scf::YieldOp::create(s, sl, ValueRange{arith::AddIOp::create(s, sl, arguments[0], one), isFree});
                });
            auto branch = scf::IfOp::create(
                n, at, search.getResult(1),
                [&](OpBuilder &then, Location tl) {
                  Value row = state[0];
                  auto put = [&](Value value, int64_t column) {
                    row = tensor::InsertOp::create(then, tl, value, row, ValueRange{state[1], index(then, tl, column)});
                  };
                  put(arith::IndexCastOp::create(then, tl, i64, places[0]), 0);
                  put(arith::IndexCastOp::create(then, tl, i64, places[1]), 1);
                  put(number, 2);
                  scf::YieldOp::create(then, tl, ValueRange{row, arith::AddIOp::create(then, tl, state[1], one)});
                },
                [&](OpBuilder &otherwise, Location el) { scf::YieldOp::create(otherwise, el, state); });
            scf::YieldOp::create(n, at, branch.getResults());
          });
      return {take.getResult(0), take.getResult(1), ordered};
    };
    SmallVector<Value> results =
        lower::createLoops(rewriter, loc, {batches, classes}, {selected, zero, candidates}, visitClass);
    Value count = createScalar(rewriter, loc, arith::IndexCastOp::create(rewriter, loc, i64, results[1]));
    rewriter.replaceOp(op, {lower::castTo(rewriter, loc, results[0], op.getSelected().getType()), count});
    return success();
  }
};

} // namespace

void lower::populateSortToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerTopK, LowerUnique, LowerNonMaxSuppression>(converter, patterns.getContext());
}
