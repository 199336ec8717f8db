//===- VectorizeTilesMemory.cpp - Addresses, loads and stores ------------===//
//
// Every memref is seen as a flat one; an address is a sum over loops.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"

using namespace mlir;
using namespace nacre::tile;

void NestWriter::prepare() {
  SmallVector<Range> ranges =
      cast<linalg::LinalgOp>(linalg::GenericOp(nest.op).getOperation()).createLoopRanges(b, loc);
  for (const Loop &loop : nest.loops) {
    if (loop.isStatic()) {
      bounds.push_back(index(loop.size));
      continue;
    }
    Value bound;
    for (unsigned origin : loop.origin) {
      Value size = getValueOrCreateConstantIndexOp(b, loc, ranges[origin].size);
      bound = bound ? arith::MulIOp::create(b, loc, bound, size).getResult() : size;
    }
    bounds.push_back(bound);
  }
  for (auto [number, access] : llvm::enumerate(nest.accesses)) {
    if (!nest.isRead(number) && !nest.isWritten(number))
      continue;
    auto type = cast<MemRefType>(access.source.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)type.getStridesAndOffset(strides, offset);
    bool isStatic = type.hasStaticShape() && llvm::none_of(strides, ShapedType::isDynamic);
    if (!isStatic || ShapedType::isDynamic(offset))
      metadata[number] = memref::ExtractStridedMetadataOp::create(b, loc, access.source);
    // One more than the largest offset.
    OpFoldResult size;
    if (isStatic) {
      int64_t extent = 1;
      for (auto [dim, stride] : llvm::zip(type.getShape(), strides))
        extent += (dim - 1) * stride;
      size = b.getIndexAttr(std::max<int64_t>(extent, 0));
    } else {
      Value extent = index(1);
      for (unsigned dim = 0; dim < strides.size(); ++dim) {
        Value length =
            type.isDynamicDim(dim) ? metadata[number].getSizes()[dim] : index(type.getDimSize(dim));
        Value stride = ShapedType::isDynamic(strides[dim]) ? metadata[number].getStrides()[dim]
                                                           : index(strides[dim]);
        Value last = arith::SubIOp::create(b, loc, length, index(1));
        extent = add(extent, mul(last, stride));
      }
      size = extent;
    }
    OpFoldResult start = ShapedType::isDynamic(offset) ? OpFoldResult(metadata[number].getOffset())
                                                       : OpFoldResult(b.getIndexAttr(offset));
    int64_t staticSize = isStatic ? *getConstantIntValue(size) : ShapedType::kDynamic;
    MemRefLayoutAttrInterface layout;
    if (offset != 0)
      layout = StridedLayoutAttr::get(b.getContext(), offset, {1});
    auto flatType = MemRefType::get({staticSize}, access.element, layout, type.getMemorySpace());
    flat[number] = memref::ReinterpretCastOp::create(b, loc, flatType, access.source, start,
                                                     ArrayRef<OpFoldResult>{size},
                                                     ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  }
}

Value NestWriter::strideOf(unsigned access, const Term &term) {
  if (term.isStatic())
    return index(term.stride);
  OpBuilder::InsertionGuard guard(b);
  Value stride = metadata[access].getStrides()[term.dim];
  return term.factor == 1 ? stride : mul(stride, index(term.factor));
}

Value NestWriter::termAt(unsigned access, const Term &term, Value iv) {
  // Loops count from 0 up, so unsigned division is right and cheaper.
  if (term.stride == 0)
    return {};
  if (term.kind == Term::FloorDiv)
    iv = arith::DivUIOp::create(b, loc, iv, index(term.divisor));
  else if (term.kind == Term::Mod)
    iv = arith::RemUIOp::create(b, loc, iv, index(term.divisor));
  return mul(iv, strideOf(access, term));
}

Value NestWriter::constantTerms(unsigned number) {
  const Access &access = nest.accesses[number];
  Value sum;
  for (auto [dim, factor] : access.constants) {
    Term term;
    auto type = cast<MemRefType>(access.source.getType());
    term.stride = type.getStridesAndOffset().first[dim];
    term.factor = factor;
    term.dim = dim;
    if (term.isStatic())
      term.stride *= factor;
    sum = add(sum, strideOf(number, term));
  }
  return sum;
}

/// Adds what copy `at` of the term's loop has beyond copy 0 (linear), or all of
/// the term (packed).
Value Emitter::offsetTerm(unsigned access, const Term &term, Value sum, const Coordinate &at) {
  int64_t offset = at[term.loop] * step(term.loop);
  if (term.kind != Term::Linear)
    return add(sum, termAt(access, term, add(positions[term.loop].iv, index(offset))));
  if (offset == 0)
    return sum;
  if (term.isStatic())
    return add(sum, index(offset * term.stride));
  return add(sum, mul(strideOf(access, term), index(offset)));
}

/// Computes the addresses of the block that starts at the parallel loops'
/// positions.
void Emitter::placeBlock() {
  bases.clear();
  std::fill(moved.begin(), moved.end(), Value());
  for (auto [number, access] : llvm::enumerate(nest.accesses)) {
    if (!flat[number])
      continue;
    Value common = constantTerms(number);
    for (const Term &term : access.terms)
      if (contains(nest.parallel, term.loop) && term.kind == Term::Linear)
        common = add(common, termAt(number, term, positions[term.loop].iv));
    LoopSet loops = access.loops & nest.parallel;
    forEach(loops, [&, number = number, &access = access](const Coordinate &at) {
      Value address = common;
      for (const Term &term : access.terms)
        if (contains(nest.parallel, term.loop))
          address = offsetTerm(number, term, address, at);
      bases[{number, this->number(loops, at)}] = address ? address : index(0);
    });
  }
}

Value Emitter::addressOf(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  Value address = bases.lookup({number, this->number(access.loops & nest.parallel, at)});
  address = add(address, moved[number]);
  for (const Term &term : access.terms)
    if (contains(nest.reduction, term.loop))
      address = offsetTerm(number, inGroups(term), address, at);
  return address;
}

/// Iterations of the grouped loop start at whole groups: packed operands are linear there.
Term Emitter::inGroups(Term term) const {
  if (int(term.loop) != plan.grouped || term.kind == Term::Linear)
    return term;
  term.stride = term.kind == Term::FloorDiv ? term.stride / term.divisor : 0;
  term.kind = Term::Linear;
  return term;
}

/// Offsets of the lanes from the first, for an operand that is not contiguous.
Value Emitter::gatherOffsets(unsigned number) {
  const Access &access = nest.accesses[number];
  SmallVector<int64_t> fixed(plan.width, 0);
  Value dynamic;
  for (const Term &term : access.terms) {
    if (term.loop != plan.lanes || (term.kind == Term::FloorDiv && term.divisor % plan.width == 0))
      continue;
    for (int64_t lane = 0; lane < plan.width && term.isStatic(); ++lane)
      fixed[lane] += term.stride * (term.kind == Term::FloorDiv ? lane / term.divisor
                                    : term.kind == Term::Mod    ? lane % term.divisor
                                                                : lane);
    if (!term.isStatic()) {
      auto type = vectorOf(b.getIndexType());
      Value ramp = vector::StepOp::create(b, loc, type);
      Value stride = vector::BroadcastOp::create(b, loc, type, strideOf(number, term));
      dynamic = add(dynamic, arith::MulIOp::create(b, loc, ramp, stride));
    }
  }
  bool narrow = !dynamic && llvm::all_of(fixed, [](int64_t v) { return llvm::isInt<32>(v); });
  auto type = vectorOf(narrow ? Type(b.getI32Type()) : Type(b.getIndexType()));
  SmallVector<Attribute> elements;
  for (int64_t value : fixed)
    elements.push_back(b.getIntegerAttr(type.getElementType(), value));
  Value offsets = constant(DenseElementsAttr::get(type, elements));
  return dynamic ? arith::AddIOp::create(b, loc, offsets, dynamic).getResult() : offsets;
}

Value Emitter::load(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  Value address = addressOf(number, at);
  Access::Lanes along = access.along(plan.lanes, plan.width);
  if (along == Access::None)
    return memref::LoadOp::create(b, loc, flat[number], address);
  auto type = vectorOf(access.element);
  if (along == Access::Same)
    return vector::BroadcastOp::create(
        b, loc, type, memref::LoadOp::create(b, loc, flat[number], address).getResult());
  Value mask = maskAt(at);
  if (along == Access::Contiguous && !mask)
    return vector::LoadOp::create(b, loc, type, flat[number], address);
  Value none = constant(b.getZeroAttr(type));
  if (std::optional<int64_t> count = mask ? getConstantIntValue(positions[plan.lanes].count) : plan.width;
      along == Access::Reversed && count) {
    // The last lane's element lies first.
    Value first = add(address, index(1 - *count));
    Value loaded = mask ? vector::MaskedLoadOp::create(b, loc, type, flat[number], first, mask, none).getResult()
                        : vector::LoadOp::create(b, loc, type, flat[number], first).getResult();
    SmallVector<int64_t> lanes = llvm::to_vector(llvm::seq(plan.width));
    std::reverse(lanes.begin(), lanes.begin() + *count);
    return vector::ShuffleOp::create(b, loc, loaded, loaded, lanes);
  }
  if (along == Access::Contiguous)
    return vector::MaskedLoadOp::create(b, loc, type, flat[number], address, mask, none);
  if (!mask)
    mask = constant(DenseElementsAttr::get(vectorOf(b.getI1Type()), true));
  return vector::GatherOp::create(b, loc, type, flat[number], address, gatherOffsets(number), mask,
                                  none);
}

void Emitter::store(unsigned number, const Coordinate &at, Value value) {
  Value address = addressOf(number, at);
  if (!isa<VectorType>(value.getType())) {
    memref::StoreOp::create(b, loc, value, flat[number], address);
    return;
  }
  if (Value mask = maskAt(at))
    vector::MaskedStoreOp::create(b, loc, flat[number], address, mask, value);
  else
    vector::StoreOp::create(b, loc, value, flat[number], address);
}


//===----------------------------------------------------------------------===//
// Transposed operands
//===----------------------------------------------------------------------===//

bool Emitter::isTransposed(unsigned number) const {
  const Access &access = nest.accesses[number];
  return plan.transposed >= 0 && access.along(plan.lanes, plan.width) == Access::Strided;
}

/// Loads a square, one vector for each lane along `plan.transposed`, and returns a
/// vector along the lanes for each copy of `plan.transposed`.
SmallVector<Value> Emitter::loadTransposed(unsigned number) {
  const Access &access = nest.accesses[number];
  auto type = vectorOf(access.element);
  int64_t columns = positions[plan.transposed].copies;
  Value mask, none = constant(b.getZeroAttr(type));
  if (columns < plan.width) {
    SmallVector<bool> lanes(plan.width, false);
    std::fill_n(lanes.begin(), columns, true);
    mask = constant(DenseElementsAttr::get(vectorOf(b.getI1Type()), lanes));
  }
  Value count = positions[plan.lanes].count, lastRow;
  std::optional<int64_t> staticCount = count ? getConstantIntValue(count) : plan.width;
  if (!staticCount)
    lastRow = arith::SubIOp::create(b, loc, count, index(1));
  const Term *stride = access.linearAlong(plan.lanes);
  Value start = addressOf(number, Coordinate(nest.loops.size(), 0));
  SmallVector<Value> rows;
  for (int64_t row = 0; row < plan.width; ++row) {
    if (staticCount && row >= *staticCount) {
      rows.push_back(none);
      continue;
    }
    Value offset = index(row);
    if (lastRow) // rows beyond the end read the last one again
      offset = arith::MinUIOp::create(b, loc, offset, lastRow);
    Value address = stride->isStatic() && !lastRow
                        ? add(start, index(row * stride->stride))
                        : add(start, mul(offset, strideOf(number, *stride)));
    rows.push_back(
        mask ? vector::MaskedLoadOp::create(b, loc, type, flat[number], address, mask, none)
                   .getResult()
             : vector::LoadOp::create(b, loc, type, flat[number], address).getResult());
  }
  rows = transposeVectors(b, loc, std::move(rows));
  rows.resize(columns);
  return rows;
}

/// Interleaves row i with row i + n/2, log2(n) times.
SmallVector<Value> nacre::tile::transposeVectors(OpBuilder &b, Location loc, SmallVector<Value> rows) {
  int64_t width = rows.size();
  SmallVector<int64_t> low, high;
  for (int64_t lane = 0; lane < width / 2; ++lane) {
    llvm::append_values(low, lane, width + lane);
    llvm::append_values(high, width / 2 + lane, width + width / 2 + lane);
  }
  for (int64_t stage = 1; stage < width; stage *= 2) {
    SmallVector<Value> next;
    for (int64_t row = 0; row < width / 2; ++row)
      for (ArrayRef<int64_t> lanes : {ArrayRef(low), ArrayRef(high)})
        next.push_back(vector::ShuffleOp::create(b, loc, rows[row], rows[row + width / 2], lanes));
    rows = std::move(next);
  }
  return rows;
}
