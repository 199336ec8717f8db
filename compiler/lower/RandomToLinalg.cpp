//===- RandomToLinalg.cpp - Random numbers ----------------------*- C++ -*-===//
//
// Before: %y = nn.random %key, %shape stream 3 of f32 : (i64, tensor<1xi64>) -> tensor<?xf32>
// After:  %y = linalg.generic { Philox4x32-10 of (index 0, 3) under %key, as a float }
//
// J. Salmon, M. Moraes, R. Dror, D. Shaw: "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011. The words of 32 bits lie in integers of 64, as their products do: that is what
// vector units multiply.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// Integers of 64 bits.
class Words {
public:
  Words(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  Value constant(uint64_t value) { return arith::ConstantIntOp::create(b, loc, int64_t(value), 64); }
  Value add(Value l, Value r) { return arith::AddIOp::create(b, loc, l, r); }
  Value mul(Value l, Value r) { return arith::MulIOp::create(b, loc, l, r); }
  Value exclusiveOr(Value l, Value r) { return arith::XOrIOp::create(b, loc, l, r); }
  Value both(Value l, Value r) { return arith::OrIOp::create(b, loc, l, r); }
  Value left(Value x, unsigned bits) { return arith::ShLIOp::create(b, loc, x, constant(bits)); }
  Value right(Value x, unsigned bits) { return arith::ShRUIOp::create(b, loc, x, constant(bits)); }
  Value low(Value x) { return arith::AndIOp::create(b, loc, x, constant(0xFFFFFFFF)); }

private:
  OpBuilder &b;
  Location loc;
};

using Block4 = std::array<Value, 4>;

/// Philox4x32 with the paper's ten rounds and constants.
Block4 philox(Words w, Block4 counter, Value key) {
  Value factor0 = w.constant(0xD2511F53), factor1 = w.constant(0xCD9E8D57);
  Value key0 = w.low(key), key1 = w.right(key, 32);
  for (unsigned round = 0; round < 10; ++round) {
    Value product0 = w.mul(factor0, counter[0]), product1 = w.mul(factor1, counter[2]);
    counter = {w.exclusiveOr(w.exclusiveOr(w.right(product1, 32), counter[1]), key0), w.low(product1),
               w.exclusiveOr(w.exclusiveOr(w.right(product0, 32), counter[3]), key1), w.low(product0)};
    key0 = w.low(w.add(key0, w.constant(0x9E3779B9)));
    key1 = w.low(w.add(key1, w.constant(0xBB67AE85)));
  }
  return counter;
}

/// Bits made the mantissa of a number in [1, 2), less 1; f32 converts more of them.
Value toUnit(OpBuilder &b, Location loc, Words w, const Block4 &bits, Type type) {
  if (type.isF32()) {
    Value word = arith::TruncIOp::create(b, loc, b.getI32Type(), w.right(bits[0], 8));
    Value whole = arith::SIToFPOp::create(b, loc, type, word);
    Value unit = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0x1p-24));
    return arith::MulFOp::create(b, loc, whole, unit);
  }
  Value mantissa = w.both(w.left(bits[0], 20), w.right(bits[1], 12));
  Value inOneTwo = arith::BitcastOp::create(b, loc, type, w.both(mantissa, w.constant(0x3FF0000000000000)));
  Value one = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 1.0));
  return arith::SubFOp::create(b, loc, inOneTwo, one);
}

struct LowerRandom : Lowering<nn::RandomOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RandomOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    SmallVector<Value> lengths;
    nn::SizeMath m(rewriter, op.getLoc());
    for (OpFoldResult size : sizes)
      lengths.push_back(m.value(size));
    uint64_t stream = op.getStream();
    Value result = lower::createElements(
        rewriter, op.getLoc(), {}, {}, sizes, op.getElement(),
        [&](OpBuilder &b, Location loc, ValueRange, ValueRange places) -> Value {
          Words w(b, loc);
          Value place = w.constant(0);
          for (auto [i, index] : llvm::enumerate(places)) {
            Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
            Value length = arith::IndexCastOp::create(b, loc, b.getI64Type(), lengths[i]);
            place = i == 0 ? wide : w.add(w.mul(place, length), wide);
          }
          Block4 bits = philox(w, {w.low(place), w.right(place, 32), w.constant(stream & 0xFFFFFFFF),
                                   w.constant(stream >> 32)}, adaptor.getKey());
          return toUnit(b, loc, w, bits, op.getElement());
        });
    rewriter.replaceOp(op, lower::castTo(rewriter, op.getLoc(), result, op.getType()));
    return success();
  }
};

} // namespace

void lower::populateRandomToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerRandom>(converter, patterns.getContext());
}
