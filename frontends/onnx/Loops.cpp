//===- Loops.cpp - What If, Loop and Scan share -----------------*- C++ -*-===//
#include "frontends/onnx/Loops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Support/DebugStringHelper.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using ::onnx::GraphProto;

bool frontend::mayHaveOneElement(RankedTensorType type) {
  return llvm::all_of(type.getShape(), [](int64_t size) {
    return size == 1 || ShapedType::isDynamic(size);
  });
}

Value frontend::extractScalar(OpBuilder &b, Location loc, Value tensor) {
  RankedTensorType type = NodeContext::typeOf(tensor);
  if (!type.hasStaticShape()) { // a run in which it has no element, or several, ends
    auto none = RankedTensorType::get({0}, b.getI64Type());
    Value shape = nn::ConstantOp::create(b, loc, none, DenseElementsAttr::get(none, ArrayRef<int64_t>()));
    tensor = nn::ReshapeOp::create(b, loc, type.clone(ArrayRef<int64_t>()), tensor, shape, /*allowzero=*/true);
  }
  SmallVector<Value> zeros;
  for (int64_t i = 0; i < NodeContext::rankOf(tensor); ++i)
    zeros.push_back(arith::ConstantIndexOp::create(b, loc, 0));
  return tensor::ExtractOp::create(b, loc, tensor, zeros);
}

Value frontend::castSizes(OpBuilder &b, Location loc, Type type, Value value) {
  return value.getType() == type ? value
                                 : tensor::CastOp::create(b, loc, type, value);
}

RankedTensorType frontend::joinTypes(Type lhs, Type rhs) {
  auto l = dyn_cast<RankedTensorType>(lhs), r = dyn_cast<RankedTensorType>(rhs);
  if (!l || !r || l.getElementType() != r.getElementType() ||
      l.getRank() != r.getRank())
    return {};
  SmallVector<int64_t> shape(l.getShape());
  for (auto [size, other] : llvm::zip_equal(shape, r.getShape()))
    if (size != other)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(shape, l.getElementType());
}

static RankedTensorType withoutSizes(RankedTensorType type) {
  return type.clone(SmallVector<int64_t>(type.getRank(), ShapedType::kDynamic));
}

Draft frontend::createDraft(NodeContext &c) {
  Draft draft;
  auto holder =
      scf::ExecuteRegionOp::create(c.getBuilder(), c.getLoc(), TypeRange());
  draft.holder = holder;
  draft.block = &holder.getRegion().emplaceBlock();
  return draft;
}

void frontend::moveDraft(Draft &draft, Region &region) {
  region.takeBody(draft.holder->getRegion(0));
  draft.holder->erase();
}

SmallVector<Value> Collected::createInitial(NodeContext &c) const {
  SmallVector<int64_t> shape{0};
  if (type.hasStaticShape())
    llvm::append_range(shape, type.getShape());
  Value none =
      isa<nn::StringType>(type.getElementType())
          ? Value(nn::StringConstantOp::create(c.getBuilder(), c.getLoc(), type.clone(shape),
                                               c.getBuilder().getArrayAttr({})))
          : c.constant(DenseElementsAttr::get(type.clone(shape), ArrayRef<Attribute>()));
  if (!none)
    return {};
  shape[0] = ShapedType::kDynamic;
  SmallVector<Value> carried{
      castSizes(c.getBuilder(), c.getLoc(), type.clone(shape), none)};
  for (size_t i = 0; i < type.getNumDynamicDims(); ++i)
    carried.push_back(
        arith::ConstantIndexOp::create(c.getBuilder(), c.getLoc(), 0));
  return carried;
}

SmallVector<Value> Collected::add(NodeContext &c, ValueRange carried) const {
  Value row = type.hasStaticShape()
                  ? c.make<nn::UnsqueezeOp>(slice, ArrayRef<int64_t>{0})
                  : c.make<nn::CollapseOp>(slice, int64_t(0), type.getRank());
  SmallVector<Value> parts{carried.front(), row};
  if (inFront)
    std::swap(parts[0], parts[1]);
  Value all = c.make<nn::ConcatOp>(parts, int64_t(0));
  if (!all)
    return {};
  SmallVector<Value> next{
      castSizes(c.getBuilder(), c.getLoc(), carried.front().getType(), all)};
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      next.push_back(
          tensor::DimOp::create(c.getBuilder(), c.getLoc(), slice, i));
  return next;
}

Value Collected::finish(NodeContext &c, ValueRange carried, Value count) const {
  if (type.hasStaticShape())
    return carried.front();
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  SmallVector<Value> sizes{
      arith::IndexCastOp::create(b, loc, b.getI64Type(), count)};
  unsigned next = 1;
  for (int64_t size : type.getShape())
    sizes.push_back(
        ShapedType::isDynamic(size)
            ? Value(arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                               carried[next++]))
            : Value(arith::ConstantIntOp::create(b, loc, size, 64)));
  Value shape = tensor::FromElementsOp::create(b, loc, sizes);
  return c.make<nn::ReshapeOp>(carried.front(), shape, /*allowzero=*/true);
}

std::optional<LoopBody>
frontend::convertBody(NodeContext &c, const GraphProto &graph, ArrayRef<Value> states,
            unsigned firstState,
            llvm::function_ref<SmallVector<Value>(Block &)> getArguments) {
  LoopBody body;
  llvm::append_range(body.types, ValueRange(states).getTypes());
  for (unsigned attempt = 0;; ++attempt) {
    body.draft = createDraft(c);
    Block &block = *body.draft.block;
    block.addArgument(c.getBuilder().getIndexType(), c.getLoc());
    for (Type type : body.types)
      block.addArgument(type, c.getLoc());
    SmallVector<Value> arguments = getArguments(block);
    auto values = c.importSubgraph(graph, arguments, block);
    if (!values)
      return std::nullopt;
    bool stable = true;
    for (auto [i, type] : llvm::enumerate(body.types)) {
      Type next = (*values)[firstState + i].getType();
      RankedTensorType joined = joinTypes(type, next);
      if (!joined) {
        (void)c.error("carried value " + Twine(i) + " has the type " +
                      debugString(type) + " in one iteration and " +
                      debugString(next) +
                      " in the next, which is not supported");
        return std::nullopt;
      }
      if (joined != type) {
        stable = false;
        type = attempt ? withoutSizes(joined) : joined;
      }
    }
    if (stable) {
      body.draft.values = std::move(*values);
      return body;
    }
    if (attempt == 2)
      for (Type &type : body.types)
        type = withoutSizes(cast<RankedTensorType>(type));
    body.draft.holder->erase();
  }
}

std::optional<SmallVector<Value>>
frontend::buildLoop(NodeContext &c, LoopBody &body, ArrayRef<Value> states,
          ArrayRef<Value> nextStates, ArrayRef<Collected> collected,
          Value count, Value condition, Value first) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  Block &block = *body.draft.block;
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);

  // What changes its sizes can't be carried by scf.for: upstream's folder of casts
  // would give it the sizes of the first iteration.
  bool isWhile = condition || !collected.empty() ||
                 !llvm::equal(ValueRange(states).getTypes(), body.types);
  SmallVector<Value> initial;
  for (auto [state, type] : llvm::zip_equal(states, body.types))
    initial.push_back(castSizes(b, loc, type, state));
  SmallVector<std::pair<unsigned, unsigned>>
      places; // of what each collected tensor carries
  for (const Collected &tensor : collected) {
    SmallVector<Value> carried = tensor.createInitial(c);
    if (carried.empty())
      return std::nullopt;
    places.push_back({initial.size(), carried.size()});
    llvm::append_range(initial, carried);
    for (Value value : carried)
      block.addArgument(value.getType(), loc);
  }

  SmallVector<Value> next;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    for (auto [state, type] : llvm::zip_equal(nextStates, body.types))
      next.push_back(castSizes(b, loc, type, state));
    for (auto [tensor, place] : llvm::zip_equal(collected, places)) {
      ValueRange carried =
          block.getArguments().drop_front(1).slice(place.first, place.second);
      SmallVector<Value> more = tensor.add(c, carried);
      if (more.empty())
        return std::nullopt;
      llvm::append_range(next, more);
    }
    if (isWhile) {
      Value flag = condition ? extractScalar(b, loc, condition)
                             : Value(arith::ConstantIntOp::create(b, loc, 1, 1));
      next.insert(
          next.begin(),
          {arith::AddIOp::create(b, loc, block.getArgument(0), one), flag});
    }
    scf::YieldOp::create(b, loc, next);
  }

  SmallVector<Value> results;
  Value iterations = count;
  if (!isWhile) {
    auto loop = scf::ForOp::create(b, loc, zero, count, one, initial);
    moveDraft(body.draft, loop.getRegion());
    llvm::append_range(results, loop.getResults());
    iterations = arith::MaxSIOp::create(b, loc, count, zero);
  } else {
    initial.insert(initial.begin(), {zero, first});
    block.insertArgument(1u, b.getI1Type(), loc);
    SmallVector<Type> types(ValueRange(initial).getTypes());
    auto loop = scf::WhileOp::create(b, loc, types, initial);
    moveDraft(body.draft, loop.getAfter());
    OpBuilder::InsertionGuard guard(b);
    Block *before = b.createBlock(&loop.getBefore(), {}, types,
                                  SmallVector<Location>(types.size(), loc));
    Value go = before->getArgument(1);
    if (count) {
      Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                         before->getArgument(0), count);
      go = arith::AndIOp::create(b, loc, go, more);
    }
    scf::ConditionOp::create(b, loc, go, before->getArguments());
    llvm::append_range(results, loop.getResults().drop_front(2));
    iterations = loop.getResult(0);
  }

  SmallVector<Value> values(ArrayRef<Value>(results).take_front(states.size()));
  for (auto [tensor, place] : llvm::zip_equal(collected, places)) {
    ValueRange carried = ValueRange(results).slice(place.first, place.second);
    values.push_back(tensor.finish(c, carried, iterations));
    if (!values.back())
      return std::nullopt;
  }
  return values;
}

SmallVector<Value> frontend::getIterations(OpBuilder &b) {
  SmallVector<Value> iterations;
  for (Operation *op = nullptr; Block *block = op ? op->getBlock() : b.getInsertionBlock(); op = block->getParentOp())
    if (block->getNumArguments() && block->getArgument(0).getType().isIndex()) // the body of a loop
      iterations.push_back(block->getArgument(0));
  return iterations;
}
