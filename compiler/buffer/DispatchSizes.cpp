//===- DispatchSizes.cpp - Call the version for a run's sizes ---*- C++ -*-===//
//
// Before: func.func @main() { ... }
//         func.func private @main.batch_1() attributes {nacre.sizes = {batch = 1}} { ... }
// After:  func.func @main() { %x = rt.input 0  %n = memref.dim %x, 0
//           scf.index_switch %n
//           case 1 { call @main.batch_1() }
//           default { call @main.open() } }
//         func.func private @main.open() attributes {nacre.part} { ... }
//         func.func private @main.batch_1() attributes {nacre.part, ...} { ... }
//
// The runtime has checked that a symbol has one size in all inputs, so the first says it.
//
// Precondition: host functions after PlanMemory. Postcondition: versions are parts of @main.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/Passes.h"
#include "compiler/graph/SpecializeSizes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_DISPATCHSIZESPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// Where an input has the size that a symbol stands for, or that has none.
struct Symbol {
  StringRef name;
  int64_t input, dim;
  ArrayRef<int64_t> shape;
};

std::optional<int64_t> getSize(func::FuncOp func, StringRef symbol) {
  auto sizes = func->getAttrOfType<DictionaryAttr>(graph::kSizesAttr);
  auto size = sizes ? sizes.getAs<IntegerAttr>(symbol) : IntegerAttr();
  return size ? std::optional(size.getInt()) : std::nullopt;
}

size_t countSizes(func::FuncOp func) {
  auto sizes = func->getAttrOfType<DictionaryAttr>(graph::kSizesAttr);
  return sizes ? sizes.size() : 0;
}

SmallVector<Symbol> getSymbols(func::FuncOp main) {
  SmallVector<Symbol> symbols;
  llvm::DenseSet<StringAttr> seen;
  auto inputs = main->getAttrOfType<ArrayAttr>("nacre.inputs");
  for (bool hasSymbol : {true, false}) // a symbol may be called as a place is
    for (auto [i, input] : llvm::enumerate(inputs.getAsRange<DictionaryAttr>())) {
      auto type = cast<RankedTensorType>(input.getAs<TypeAttr>("type").getValue());
      for (auto [dim, name] : llvm::enumerate(input.getAs<ArrayAttr>("symbols").getAsRange<StringAttr>())) {
        if (name.empty() == hasSymbol || !type.isDynamicDim(dim))
          continue;
        StringAttr called = hasSymbol ? name : graph::getPlaceName(input.getAs<StringAttr>("name"), dim);
        if (seen.insert(called).second)
          symbols.push_back({called.getValue(), int64_t(i), int64_t(dim), type.getShape()});
      }
    }
  return symbols;
}

/// Calls the one of `versions` with most sizes whose sizes those of the run are, where they differ
/// in the symbols of `rest` at most.
void dispatch(OpBuilder &b, Location loc, ArrayRef<Symbol> rest, ArrayRef<func::FuncOp> versions) {
  if (rest.empty()) {
    auto best = llvm::max_element(
        versions, [](func::FuncOp l, func::FuncOp r) { return countSizes(l) < countSizes(r); });
    func::CallOp::create(b, loc, *best, ValueRange());
    return;
  }
  const Symbol &symbol = rest.front();
  llvm::SetVector<int64_t> sizes;
  for (func::FuncOp version : versions)
    if (std::optional<int64_t> size = getSize(version, symbol.name))
      sizes.insert(*size);
  if (sizes.empty())
    return dispatch(b, loc, rest.drop_front(), versions);
  // What the elements are does not matter to who asks for a size.
  Value input = rt::InputOp::create(b, loc, MemRefType::get(symbol.shape, b.getI8Type()), symbol.input);
  Value size = memref::DimOp::create(b, loc, input, symbol.dim);
  auto choice = scf::IndexSwitchOp::create(b, loc, TypeRange(), size, sizes.getArrayRef(), sizes.size());
  auto fill = [&](Region &region, std::optional<int64_t> chosen) {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&region);
    dispatch(b, loc, rest.drop_front(), llvm::filter_to_vector(versions, [&](func::FuncOp version) {
      std::optional<int64_t> own = getSize(version, symbol.name);
      return !own || own == chosen;
    }));
    scf::YieldOp::create(b, loc);
  };
  for (auto [region, chosen] : llvm::zip_equal(choice.getCaseRegions(), sizes))
    fill(region, chosen);
  fill(choice.getDefaultRegion(), std::nullopt);
}

struct DispatchSizesPass : buffer::impl::DispatchSizesPassBase<DispatchSizesPass> {
  void runOnOperation() override {
    SmallVector<func::FuncOp> versions = graph::getMainAndVersions(getOperation());
    if (versions.size() < 2)
      return;
    func::FuncOp main = versions.front();
    OpBuilder b(&getContext());
    auto open = func::FuncOp::create(main.getLoc(), "main.open", main.getFunctionType());
    open.getBody().takeBody(main.getBody());
    SymbolTable(getOperation()).insert(open, std::next(main->getIterator())); // a parameter may have the name
    versions.front() = open;
    StringRef arenaSize = "nacre.arena_size";
    auto arena = main->getAttrOfType<IntegerAttr>(arenaSize);
    for (func::FuncOp version : versions) {
      version.setPrivate();
      version->setAttr("nacre.part", b.getUnitAttr());
      if (auto own = version->getAttrOfType<IntegerAttr>(arenaSize); own && arena && own.getInt() > arena.getInt())
        arena = own;
    }
    if (arena)
      main->setAttr(arenaSize, arena);
    b.setInsertionPointToStart(main.addEntryBlock());
    dispatch(b, main.getLoc(), getSymbols(main), versions);
    func::ReturnOp::create(b, main.getLoc());
  }
};

} // namespace
