//===- BatchUpdates.cpp - One kernel for many parameters --------*- C++ -*-===//
//
// Before: kern.call @update0 ins(%g0, %rate) outs(%w0)    @update0: linalg.generic on 64x784xf32
//         kern.call @update1 ins(%g1, %rate) outs(%w1)    @update1: the same on 64xf32
// After:  kern.call @update ins(%g0, %g1, %rate) outs(%w0, %w1)
//         @update: rt.parallel (%begin, %end) to 54 {          blocks of 1024 elements of all tensors
//           for %number in 0, 1: the blocks from %begin to %end that are tensor %number's
//             %g, %w = scf.index_switch %number {the tensor's memory, flat}
//             linalg.generic on what of them the blocks are }
//
// An optimiser updates each parameter in the same way: a kernel for each of them would be code
// and a launch for each, of which the threads wait for most.
//
// Precondition: kernels and host functions on buffers; kernels that are updates are not tiled.
// Postcondition: the updates of a function that no other op stands in the way of are one
// call for each way and (up to kMost) tensors.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/InPlaceUpdate.h"
#include "compiler/tile/Passes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/MapVector.h"

namespace nacre::tile {
#define GEN_PASS_DEF_BATCHUPDATESPASS
#include "compiler/tile/Passes.h.inc"
} // namespace nacre::tile

using namespace mlir;
using namespace nacre;

linalg::GenericOp tile::getInPlaceUpdate(kern::FuncOp kernel) {
  linalg::GenericOp update;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>() || isOpTriviallyDead(&op))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || update)
      return nullptr;
    update = generic;
  }
  if (!update || update.getNumLoops() != update.getNumParallelLoops() || update.hasIndexSemantics() ||
      update->getNumOperands() != kernel.getNumArguments())
    return nullptr;
  auto shaped = cast<ShapedType>(update.getDpsInits().front().getType());
  if (shaped.getRank() == 0)
    return nullptr;
  for (OpOperand &operand : update->getOpOperands()) {
    AffineMap map = update.getMatchingIndexingMap(&operand);
    auto type = dyn_cast<ShapedType>(operand.get().getType());
    auto memory = dyn_cast<MemRefType>(operand.get().getType());
    bool isScalar = map.getNumResults() == 0, isFull = map.isIdentity() && type && type.hasStaticShape() && type.getShape() == shaped.getShape();
    if (!isa<BlockArgument>(operand.get()) || !type || (memory && !memory.getLayout().isIdentity()) ||
        (update.isDpsInit(&operand) ? !isFull || !update.payloadUsesValueFromOperand(&operand) : !isFull && !isScalar))
      return nullptr;
  }
  return update;
}

namespace {

/// Elements that are a block.
constexpr int64_t kBlock = 1024, kGrain = 8;
/// Tensors of one kernel.
constexpr size_t kMost = 64;

/// What memory a host value is of: two values of one memory have the same.
const void *getMemory(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  if (auto parameter = value.getDefiningOp<rt::ParameterOp>())
    return parameter.getNameAttr().getAsOpaquePointer();
  return value.getAsOpaquePointer();
}

struct Update {
  mutable kern::CallOp call;
  mutable kern::FuncOp kernel;
  mutable linalg::GenericOp op;

  /// The call's operand for one of the op's.
  Value getOperand(unsigned number) const {
    return call->getOperand(cast<BlockArgument>(op->getOperand(number)).getArgNumber());
  }
  bool isScalar(unsigned number) const { return op.getIndexingMapsArray()[number].getNumResults() == 0; }
  int64_t getSize() const { return cast<MemRefType>(op.getDpsInits().front().getType()).getNumElements(); }
  bool writes(const void *memory) const {
    return llvm::any_of(call.getOuts(), [&](Value out) { return getMemory(out) == memory; });
  }
  bool touches(const void *memory) const {
    return llvm::any_of(call->getOperands(), [&](Value operand) { return getMemory(operand) == memory; });
  }
};

/// What an update does, whatever the tensors and the scalars: its operands' kinds and the body.
std::string describe(const Update &update) {
  std::string text;
  llvm::raw_string_ostream out(text);
  linalg::GenericOp op = update.op;
  llvm::DenseMap<Value, unsigned> numbers;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    out << getElementTypeOrSelf(operand.getType()) << (op.isDpsInit(&op->getOpOperand(i)) ? " out" : " in");
    out << (update.isScalar(i) ? " scalar\n" : "\n");
  }
  for (BlockArgument argument : op.getBody()->getArguments())
    numbers[argument] = numbers.size();
  for (Operation &inner : *op.getBody()) {
    out << inner.getName() << ' ' << inner.getAttrDictionary() << ' ' << inner.getResultTypes();
    for (Value operand : inner.getOperands()) {
      Attribute constant;
      auto found = numbers.find(operand);
      if (found != numbers.end())
        out << " %" << found->second;
      else if (matchPattern(operand, m_Constant(&constant)))
        out << ' ' << constant;
      else
        out << " ?" << operand.getAsOpaquePointer();
    }
    out << '\n';
    for (Value result : inner.getResults())
      numbers[result] = numbers.size();
  }
  return text;
}

/// Whether the call may stand at the place of a later one.
bool mayMove(const Update &update, Operation *to) {
  for (Operation *op = update.call->getNextNode(); op && op != to; op = op->getNextNode()) {
    if (isMemoryEffectFree(op))
      continue;
    if (op->getNumRegions() != 0)
      return false;
    auto call = dyn_cast<kern::CallOp>(op);
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (!isa<BaseMemRefType>(operand.getType()))
        continue;
      bool isWritten = !call || i >= call.getInputs().size();
      const void *memory = getMemory(operand);
      if (update.writes(memory) || (isWritten && update.touches(memory)))
        return false;
    }
  }
  return true;
}

class Batcher {
public:
  Batcher(ArrayRef<Update> updates, SymbolTable &symbols) : updates(updates), first(updates.front()), symbols(symbols) {}

  void run() {
    OpBuilder b(updates.back().call);
    Location loc = first.kernel.getLoc();
    // Inputs of each tensor, what they share, destinations of each tensor.
    SmallVector<Value> inputs, outs;
    for (bool shared : {false, true})
      for (const Update &update : shared ? updates.take_front() : updates)
        for (unsigned i = 0; i < numInputs(); ++i)
          if (isShared(i) == shared)
            inputs.push_back(update.getOperand(i));
    for (const Update &update : updates)
      for (unsigned i = numInputs(); i < numOperands(); ++i)
        outs.push_back(update.getOperand(i));
    SmallVector<Type> types(ValueRange(inputs).getTypes());
    llvm::append_range(types, ValueRange(outs).getTypes());
    OpBuilder moduleBuilder(first.kernel);
    auto kernel = kern::FuncOp::create(moduleBuilder, loc, first.kernel.getName(), b.getFunctionType(types, {}));
    symbols.insert(kernel);
    kernel.setNodesAttr(collectNodes(b));
    kernel.setFlops(0);
    build(kernel);
    kern::CallOp::create(b, loc, TypeRange(), kernel.getName(), inputs, outs);
    for (const Update &update : updates)
      update.call.erase();
  }

private:
  unsigned numInputs() const { return linalg::GenericOp(first.op).getNumDpsInputs(); }
  unsigned numOperands() const { return first.op->getNumOperands(); }

  /// A scalar that is the same for all tensors.
  bool isShared(unsigned i) const {
    return first.isScalar(i) && llvm::all_of(updates, [&](const Update &update) {
      return getMemory(update.getOperand(i)) == getMemory(first.getOperand(i));
    });
  }

  ArrayAttr collectNodes(OpBuilder &b) const {
    llvm::SetVector<Attribute> nodes;
    for (const Update &update : updates) {
      auto own = dyn_cast_if_present<ArrayAttr>(update.call->getAttr("nodes"));
      if (!own)
        own = kern::FuncOp(update.kernel).getNodesAttr();
      if (own)
        nodes.insert(own.begin(), own.end());
    }
    return b.getArrayAttr(nodes.getArrayRef());
  }

  /// The kernel's argument for operand `i` of tensor `number`.
  BlockArgument argumentOf(Block *entry, unsigned i, unsigned number) const {
    unsigned own = 0, shared = 0, before = 0;
    for (unsigned j = 0; j < numInputs(); ++j) {
      before += j < i && isShared(j) == isShared(i);
      (isShared(j) ? shared : own) += 1;
    }
    unsigned inputs = own * updates.size() + shared, results = numOperands() - numInputs();
    if (i >= numInputs())
      return entry->getArgument(inputs + number * results + i - numInputs());
    return entry->getArgument(isShared(i) ? own * updates.size() + before : number * own + before);
  }

  void build(kern::FuncOp kernel) {
    Block *entry = kernel.getBody().empty() ? &kernel.getBody().emplaceBlock() : &kernel.getBody().front();
    Location loc = kernel.getLoc();
    for (Type type : kernel.getArgumentTypes())
      entry->addArgument(type, loc);
    OpBuilder b = OpBuilder::atBlockBegin(entry);
    auto index = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(b, loc, value); };
    // All tensors as flat memory, the number of their elements, and the blocks before.
    SmallVector<SmallVector<Value>> rows;
    int64_t blocks = 0;
    for (auto [number, update] : llvm::enumerate(updates)) {
      SmallVector<Value> &row = rows.emplace_back();
      for (unsigned i = 0; i < numOperands(); ++i)
        if (!isShared(i))
          row.push_back(first.isScalar(i) ? argumentOf(entry, i, number) : flatten(b, argumentOf(entry, i, number)));
      row.append({index(update.getSize()), index(blocks)});
      blocks += llvm::divideCeil(update.getSize(), kBlock);
    }
    auto parallel = rt::ParallelOp::create(b, loc, index(blocks), kGrain);
    kern::ReturnOp::create(b, loc);
    Block &body = parallel.getBody().front();
    Value begin = body.getArgument(0), end = body.getArgument(1);
    b.setInsertionPoint(parallel);
    Value zero = index(0), one = index(1), count = index(updates.size()), size = index(kBlock);
    b.setInsertionPointToStart(&body);
    auto loop = scf::ForOp::create(b, loc, zero, count, one);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> chosen = choose(b, loc, loop.getInductionVar(), rows);
    Value before = chosen.pop_back_val(), elements = chosen.pop_back_val();
    auto place = [&](Value block) -> Value { // of its first element in the tensor
      Value from = arith::MulIOp::create(b, loc, arith::SubIOp::create(b, loc, block, before), size);
      return arith::MinSIOp::create(b, loc, arith::MaxSIOp::create(b, loc, from, zero), elements);
    };
    Value from = place(begin), length = arith::SubIOp::create(b, loc, place(end), from);
    auto part = [&](Value flat) -> Value {
      return memref::SubViewOp::create(b, loc, flat, ArrayRef<OpFoldResult>(from), ArrayRef<OpFoldResult>(length),
                                       ArrayRef<OpFoldResult>(b.getIndexAttr(1)));
    };
    SmallVector<Value> operands;
    SmallVector<AffineMap> maps;
    unsigned next = 0;
    for (unsigned i = 0; i < numOperands(); ++i) {
      Value memory = isShared(i) ? argumentOf(entry, i, 0) : chosen[next++];
      operands.push_back(first.isScalar(i) ? memory : part(memory));
      maps.push_back(first.isScalar(i) ? AffineMap::get(1, 0, b.getContext()) : b.getMultiDimIdentityMap(1));
    }
    auto generic = linalg::GenericOp::create(b, loc, ArrayRef(operands).take_front(numInputs()),
                                             ArrayRef(operands).drop_front(numInputs()), maps, utils::IteratorType::parallel);
    IRMapping mapping;
    b.setInsertionPoint(parallel);
    for (Operation &op : *first.op->getBlock())
      if (op.hasTrait<OpTrait::ConstantLike>())
        b.clone(op, mapping);
    first.op->getRegion(0).cloneInto(&generic.getRegion(), mapping);
  }

  static Value flatten(OpBuilder &b, Value memory) {
    auto type = cast<MemRefType>(memory.getType());
    Location loc = memory.getLoc();
    auto flat = MemRefType::get({type.getNumElements()}, type.getElementType());
    Value row = memref::ReinterpretCastOp::create(b, loc, flat, memory, /*offset=*/int64_t(0), ArrayRef(type.getNumElements()),
                                                  ArrayRef(int64_t(1)));
    return memref::CastOp::create(b, loc, MemRefType::get({ShapedType::kDynamic}, type.getElementType()), row);
  }

  /// The row with the number.
  static SmallVector<Value> choose(OpBuilder &b, Location loc, Value number, ArrayRef<SmallVector<Value>> rows) {
    if (rows.size() == 1)
      return rows[0];
    auto cases = llvm::to_vector(llvm::seq<int64_t>(0, rows.size() - 1));
    auto choice = scf::IndexSwitchOp::create(b, loc, ValueRange(rows[0]).getTypes(), number, cases, cases.size());
    OpBuilder::InsertionGuard guard(b);
    for (auto [region, row] : llvm::zip(choice->getRegions().drop_front(), rows)) {
      b.setInsertionPointToStart(&region.emplaceBlock());
      scf::YieldOp::create(b, loc, row);
    }
    b.setInsertionPointToStart(&choice.getDefaultRegion().emplaceBlock());
    scf::YieldOp::create(b, loc, rows.back());
    return choice.getResults();
  }

  ArrayRef<Update> updates;
  const Update &first;
  SymbolTable &symbols;
};

struct BatchUpdatesPass : tile::impl::BatchUpdatesPassBase<BatchUpdatesPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::SetVector<kern::FuncOp> done;
    for (auto func : getOperation().getOps<func::FuncOp>())
      func.walk([&](Block *block) {
        llvm::MapVector<StringRef, SmallVector<Update>> groups;
        llvm::StringMap<char> keys;
        for (auto call : block->getOps<kern::CallOp>()) {
          auto kernel = symbols.lookup<kern::FuncOp>(call.getCallee());
          if (linalg::GenericOp op = tile::getInPlaceUpdate(kernel)) {
            Update update{call, kernel, op};
            groups[keys.try_emplace(describe(update)).first->getKey()].push_back(update);
          }
        }
        for (auto &[key, updates] : groups)
          for (ArrayRef<Update> rest = updates; !rest.empty();) {
            size_t count = std::min(rest.size(), kMost);
            while (count > 1 && !llvm::all_of(rest.take_front(count), [&](const Update &update) {
                     return mayMove(update, rest[count - 1].call);
                   }))
              --count;
            for (const Update &update : rest.take_front(count))
              done.insert(update.kernel);
            Batcher(rest.take_front(count), symbols).run();
            numBatched += count;
            rest = rest.drop_front(count);
          }
      });
    for (kern::FuncOp kernel : done)
      if (SymbolTable::symbolKnownUseEmpty(kernel, getOperation()))
        symbols.erase(kernel);
  }
};

} // namespace
