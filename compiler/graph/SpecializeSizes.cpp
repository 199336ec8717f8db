//===- SpecializeSizes.cpp - Versions of @main for given sizes --*- C++ -*-===//
//
// Before: func.func @main(%x: tensor<?x64xf32> {nn.symbols = ["batch", ""]}) { ... }
// After:  func.func @main as it was, and
//         func.func private @main.batch_1(%x: tensor<1x64xf32>) attributes {nacre.sizes = {batch = 1}}
//
// Each symbol, and each open dimension without one (x[0]), has one of the sizes that are asked for, or stays open: there is a version for every
// combination but the last, which is @main. They go through the same passes, and share parameters.
// dispatch-sizes makes @main call the one that fits a run.
//
// Precondition: the imported module. Postcondition: the types in a version are inferred.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/SpecializeSizes.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NodeLocation.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

namespace nacre::graph {
#define GEN_PASS_DEF_SPECIALIZESIZESPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

static constexpr StringLiteral kMain = "main";

SmallVector<func::FuncOp> graph::getMainAndVersions(ModuleOp module) {
  SmallVector<func::FuncOp> functions;
  if (auto main = module.lookupSymbol<func::FuncOp>(kMain))
    functions.push_back(main);
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr(kSizesAttr))
      functions.push_back(func);
  return functions;
}

StringAttr graph::getPlaceName(StringAttr input, int64_t dim) {
  return StringAttr::get(input.getContext(), input.getValue() + "[" + Twine(dim) + "]");
}

StringRef graph::getVersionSuffix(func::FuncOp func) {
  return func && func->hasAttr(kSizesAttr) ? func.getName().drop_front(kMain.size()) : StringRef();
}

namespace {

/// The sizes to choose from, by symbol; what is chosen, a size for some symbols.
using Sizes = llvm::MapVector<StringRef, SmallVector<int64_t>>;
using Choice = SmallVector<std::pair<StringRef, int64_t>>;

/// Each is compiled as a model of its own is.
constexpr uint64_t kMostVersions = 64;

/// The symbols of an argument's dimensions, "" for those without.
SmallVector<StringAttr> getSymbols(func::FuncOp func, BlockArgument argument) {
  if (auto given = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "nn.symbols"))
    return llvm::to_vector(given.getAsRange<StringAttr>());
  return SmallVector<StringAttr>(cast<RankedTensorType>(argument.getType()).getRank(),
                                 StringAttr::get(func.getContext(), ""));
}

/// What an argument's dimensions are called, null for those that are not open. A symbol of any
/// argument goes before a place of the same name.
SmallVector<StringAttr> nameSizes(func::FuncOp func, BlockArgument argument) {
  llvm::DenseSet<StringAttr> symbols;
  for (BlockArgument other : func.getArguments())
    symbols.insert_range(getSymbols(func, other));
  auto input = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "nn.name");
  SmallVector<StringAttr> names = getSymbols(func, argument);
  for (auto [dim, name] : llvm::enumerate(names)) {
    if (!name.empty())
      continue;
    bool isOpen = input && cast<RankedTensorType>(argument.getType()).isDynamicDim(dim);
    name = isOpen ? graph::getPlaceName(input, dim) : StringAttr();
    if (isOpen && symbols.contains(name))
      name = StringAttr();
  }
  return names;
}

struct SpecializeSizesPass : graph::impl::SpecializeSizesPassBase<SpecializeSizesPass> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>(kMain);
    if (!main || main.isExternal() || sizes.empty())
      return;
    Sizes asked;
    if (failed(read(main, asked)))
      return signalPassFailure();
    SymbolTable symbols(getOperation());
    OpPassManager inference(func::FuncOp::getOperationName());
    inference.addPass(graph::createInferShapesPass());
    Operation *last = main;
    for (const Choice &choice : combine(asked)) {
      if (choice.empty())
        continue;
      func::FuncOp version = createVersion(main, choice);
      symbols.insert(version, std::next(last->getIterator()));
      last = version;
      if (succeeded(runPipeline(inference, version)))
        continue;
      main.emitError("cannot be specialised for ") << describe(choice) << ", with which the model is not valid";
      return signalPassFailure();
    }
  }

private:
  /// The sizes by symbol, each once.
  LogicalResult read(func::FuncOp main, Sizes &asked) {
    llvm::SetVector<StringAttr> names;
    for (BlockArgument argument : main.getArguments())
      names.insert_range(llvm::make_filter_range(nameSizes(main, argument), [](StringAttr name) { return bool(name); }));
    for (const std::string &text : sizes) {
      auto [name, digits] = StringRef(text).rsplit('=');
      int64_t size = 0;
      if (digits.getAsInteger(10, size) || size < 0)
        return main.emitError("malformed size ") << nn::quoted(text) << " to specialise for, expected NAME=8";
      if (!names.contains(StringAttr::get(main.getContext(), name))) {
        InFlightDiagnostic error = main.emitError("cannot be specialised for sizes of ")
                                   << nn::quoted(name) << ": no open dimension of an input has that name";
        if (names.empty())
          return error << ", nor any";
        error << "; expected ";
        for (auto [i, known] : llvm::enumerate(names))
          error << (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") << nn::quoted(known.getValue());
        return error;
      }
      if (SmallVector<int64_t> &list = asked[name]; !llvm::is_contained(list, size))
        list.push_back(size);
    }
    uint64_t count = 1;
    for (const auto &[name, list] : asked)
      count = std::min(count * (list.size() + 1), kMostVersions + 2);
    if (count - 1 > kMostVersions)
      return main.emitError("cannot be specialised for so many combinations of sizes: more than ") << kMostVersions;
    return success();
  }

  /// All that may be chosen, of each symbol a size or none; nothing of any comes last.
  static SmallVector<Choice> combine(const Sizes &asked) {
    SmallVector<Choice> choices(1);
    for (const auto &[symbol, list] : asked) {
      SmallVector<Choice> longer;
      for (const Choice &choice : choices) {
        for (int64_t size : list) {
          longer.push_back(choice);
          longer.back().emplace_back(symbol, size);
        }
        longer.push_back(choice);
      }
      choices = std::move(longer);
    }
    return choices;
  }

  static std::string describe(const Choice &choice) {
    return llvm::join(llvm::map_range(choice, [](auto &size) {
      return (nn::quoted(size.first) + " = " + Twine(size.second)).str();
    }), ", ");
  }

  static func::FuncOp createVersion(func::FuncOp main, const Choice &choice) {
    func::FuncOp version = main.clone();
    Builder b(main.getContext());
    std::string name = kMain.str();
    SmallVector<NamedAttribute> sizes;
    for (auto [symbol, size] : choice) {
      name += '.';
      for (char c : symbol) // no more than any tool takes in a name
        name += llvm::isAlnum(c) ? c : '_';
      name += '_' + std::to_string(size);
      sizes.emplace_back(symbol, b.getI64IntegerAttr(size));
    }
    version.setName(name);
    version.setPrivate();
    DictionaryAttr known = b.getDictionaryAttr(sizes);
    version->setAttr(graph::kSizesAttr, known);
    for (auto [open, argument] : llvm::zip_equal(main.getArguments(), version.getArguments()))
      fixSizes(version, argument, nameSizes(main, open), known);
    version.setFunctionType(b.getFunctionType(ValueRange(version.getArguments()).getTypes(), version.getResultTypes()));
    return version;
  }

  static void fixSizes(func::FuncOp version, BlockArgument argument, ArrayRef<StringAttr> names, DictionaryAttr known) {
    auto type = cast<RankedTensorType>(argument.getType());
    SmallVector<int64_t> shape(type.getShape());
    auto open = llvm::to_vector_of<Attribute>(getSymbols(version, argument));
    for (auto [size, symbol, name] : llvm::zip_equal(shape, open, names))
      if (auto fixed = name ? known.getAs<IntegerAttr>(name) : IntegerAttr()) {
        size = fixed.getInt();
        symbol = StringAttr::get(version.getContext(), "");
      }
    argument.setType(type.clone(shape));
    if (version.getArgAttr(argument.getArgNumber(), "nn.symbols"))
      version.setArgAttr(argument.getArgNumber(), "nn.symbols", ArrayAttr::get(version.getContext(), open));
  }
};

} // namespace
