//===- Report.cpp - What a model tells of how it was compiled ---*- C++ -*-===//
#include "compiler/codegen/Report.h"
#include "compiler/buffer/BufferSizes.h"
#include "compiler/support/Remarks.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace nacre;
namespace json = llvm::json;

namespace {

/// The buffer that a value is a view of, or that a loop carries on: what it begins with.
Value getRoot(Value value) {
  for (;;) {
    if (auto view = value.getDefiningOp<ViewLikeOpInterface>()) {
      value = view.getViewSource();
      continue;
    }
    OpOperand *init = nullptr;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (auto loop = dyn_cast_or_null<LoopLikeOpInterface>(argument.getOwner()->getParentOp()))
        init = loop.getTiedLoopInit(argument);
    } else if (auto loop = value.getDefiningOp<LoopLikeOpInterface>()) {
      init = loop.getTiedLoopInit(cast<OpResult>(value));
    }
    if (!init)
      return value;
    value = init->get();
  }
}

std::string getText(MemRefType type) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (int64_t size : type.getShape())
    if (ShapedType::isDynamic(size))
      os << "?x";
    else
      os << size << 'x';
  os << type.getElementType();
  return text;
}

/// The name of an input or output.
std::string getName(func::FuncOp function, StringRef attribute, int64_t index) {
  auto list = function->getAttrOfType<ArrayAttr>(attribute);
  auto entry = list && index < int64_t(list.size()) ? dyn_cast<DictionaryAttr>(list[index]) : DictionaryAttr();
  auto name = entry ? entry.getAs<StringAttr>("name") : StringAttr();
  return name ? name.str() : std::to_string(index);
}

class FunctionDescriber {
public:
  explicit FunctionDescriber(func::FuncOp function) : function(function) {}

  json::Object run() {
    visit(function.getBody(), -1);
    json::Array lives;
    for (Buffer &buffer : buffers) {
      buffer.object["first"] = buffer.first;
      buffer.object["last"] = buffer.last;
      lives.push_back(std::move(buffer.object));
    }
    return json::Object{{"name", json::fixUTF8(function.getName())},
                        {"regions", std::move(regions)},
                        {"buffers", std::move(lives)},
                        {"steps", std::move(steps)}};
  }

private:
  struct Buffer {
    json::Object object;
    int64_t first, last;
  };

  void visit(Region &region, int64_t number) {
    for (Operation &op : region.getOps()) {
      if (auto call = dyn_cast<kern::CallOp>(op)) {
        addStep(call, number);
      } else if (auto call = dyn_cast<func::CallOp>(op)) { // code for some sizes
        if (auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr()))
          enter({&callee.getBody()}, "branch", number);
      } else if (op.getNumRegions() != 0) {
        enter(llvm::to_vector(llvm::make_pointer_range(op.getRegions())), isa<LoopLikeOpInterface>(op) ? "loop" : "branch", number);
      }
    }
  }

  /// What is in a loop, or in branches; nothing if there is no step in it.
  void enter(ArrayRef<Region *> inner, StringRef kind, int64_t parent) {
    int64_t number = regions.size(), first = steps.size();
    regions.push_back(nullptr);
    for (Region *region : inner)
      visit(*region, number);
    if (first == int64_t(steps.size()))
      return regions.pop_back();
    regions[number] = json::Object{{"kind", kind}, {"parent", parent}, {"first", first}, {"last", int64_t(steps.size()) - 1}};
  }

  void addStep(kern::CallOp call, int64_t region) {
    int64_t step = steps.size();
    json::Array reads, writes;
    llvm::DenseSet<Value> read;
    for (Value input : call.getInputs())
      if (isa<MemRefType>(input.getType()) && read.insert(getRoot(input)).second)
        reads.push_back(use(getRoot(input), step, /*isNew=*/false));
    auto overwrites = call->getAttrOfType<DenseI64ArrayAttr>(kern::kOverwrites);
    for (auto [number, output] : llvm::enumerate(call.getOuts()))
      if (isa<MemRefType>(output.getType())) {
        Value root = getRoot(output);
        bool isWhole = root == output || cast<MemRefType>(root.getType()).getNumElements() == cast<MemRefType>(output.getType()).getNumElements();
        bool isNew = isWhole && !read.contains(root) && !(overwrites && llvm::is_contained(overwrites.asArrayRef(), int64_t(number)));
        writes.push_back(use(root, step, region < 0 && isNew));
      }
    auto kernel = call->getAttrOfType<IntegerAttr>("kernel_index");
    steps.push_back(json::Object{{"kernel", kernel ? kernel.getInt() : -1}, {"region", region},
                                 {"reads", std::move(reads)}, {"writes", std::move(writes)}});
  }

  /// The number of the buffer that a value is. In the arena one value is several, one after the other: a new one is
  /// written as a whole.
  int64_t use(Value root, int64_t step, bool isNew) {
    auto [place, isFirst] = numbers.try_emplace(root, buffers.size());
    if (isFirst || (isNew && isa_and_present<rt::ArenaOp>(root.getDefiningOp()))) {
      place->second = buffers.size();
      buffers.push_back({makeBuffer(root), step, step});
    }
    buffers[place->second].last = step;
    return place->second;
  }

  json::Object makeBuffer(Value root) {
    auto type = cast<MemRefType>(root.getType());
    json::Object object{{"kind", "allocated"}, {"type", getText(type)},
                        {"bytes", type.hasStaticShape() && (type.getElementType().isIntOrIndexOrFloat() || isa<ComplexType>(type.getElementType()))
                                      ? buffer::getStaticBytes(type)
                                      : -1}};
    auto name = [&](StringRef kind, StringRef text) {
      object["kind"] = kind;
      object["name"] = json::fixUTF8(text);
    };
    Operation *op = root.getDefiningOp();
    if (auto arena = dyn_cast_or_null<rt::ArenaOp>(op)) {
      object["kind"] = "arena";
      object["offset"] = int64_t(arena.getOffset());
    } else if (auto input = dyn_cast_or_null<rt::InputOp>(op)) {
      name("input", getName(function, "nacre.inputs", input.getIndex()));
    } else if (auto output = dyn_cast_or_null<rt::OutputOp>(op)) {
      name("output", getName(function, "nacre.outputs", output.getIndex()));
    } else if (auto parameter = dyn_cast_or_null<rt::ParameterOp>(op)) {
      name("parameter", parameter.getName());
    }
    return object;
  }

  func::FuncOp function;
  json::Array regions, steps;
  std::vector<Buffer> buffers;
  llvm::DenseMap<Value, size_t> numbers;
};

} // namespace

json::Object codegen::describe(ArrayRef<func::FuncOp> functions, ArrayRef<ReportedKernel> kernels, const RemarkLog &remarks) {
  json::Array described, said;
  for (func::FuncOp function : functions)
    if (!function->hasAttr("nacre.part")) // described where it is called
      described.push_back(FunctionDescriber(function).run());
  for (const ReportedKernel &kernel : kernels) {
    json::Array own;
    llvm::StringSet<> passes; // that came before the code was found to be another's
    for (const RemarkLog::Entry &entry : remarks.get(kernel.formedAs)) {
      passes.insert(entry.pass);
      own.push_back(json::Array{entry.pass, entry.kind, json::fixUTF8(entry.text)});
    }
    for (const RemarkLog::Entry &entry : kernel.name != kernel.formedAs ? remarks.get(kernel.name) : std::vector<RemarkLog::Entry>())
      if (!passes.contains(entry.pass))
        own.push_back(json::Array{entry.pass, entry.kind, json::fixUTF8(entry.text)});
    said.push_back(std::move(own));
  }
  return json::Object{{"functions", std::move(described)}, {"kernels", std::move(said)}};
}
