//===- RtToLLVM.cpp - Functions and rt ops to the llvm dialect --*- C++ -*-===//
//
// Before: kern.func @k(%a: memref<?x8xf32>) { ... kern.return }
//         func.func @main() { %b = rt.arena 64 : memref<8xf32>  ... return }
// After:  llvm.func @k(%context: !llvm.ptr, %a: !llvm.ptr, %a_0: i64) { ... llvm.return }
//         llvm.func @nacre.main(%context: !llvm.ptr, %inputs: !llvm.ptr) -> i32 { ... }
//
// Values are bridged by unrealized casts between memref and descriptor, which
// the conversions of the other dialects meet.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/RtToLLVM.h"
#include "compiler/codegen/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_CONVERTRTTOLLVMPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

// Prefixed, so that no kernel's name means something to the linker.
std::string codegen::kernelSymbol(StringRef name) { return ("kernel." + name).str(); }
std::string codegen::hostSymbol(StringRef name) { return ("nacre." + name).str(); }

//===----------------------------------------------------------------------===//
// RtFunction: building blocks
//===----------------------------------------------------------------------===//

RtFunction::RtFunction(LLVM::LLVMFuncOp function, const Calling &calling, SymbolTable &symbols,
                       Messages &messages, bool isHost)
    : function(function), calling(calling), symbols(symbols), messages(messages), isHost(isHost),
      builder(function.getContext()), loc(function.getLoc()), context(function.getArgument(0)),
      ptr(LLVM::LLVMPointerType::get(function.getContext())), i32(builder.getI32Type()),
      i64(builder.getI64Type()), voidType(LLVM::LLVMVoidType::get(function.getContext())) {
  pairHooks();
}

LogicalResult RtFunction::lower(Operation *op) {
  loc = op->getLoc();
  builder.setInsertionPoint(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](rt::ArenaOp op) { return lowerArena(op), success(); })
      .Case([&](rt::ParameterOp op) { return lowerParameter(op), success(); })
      .Case([&](rt::InputOp op) { return lowerInput(op), success(); })
      .Case([&](rt::OutputOp op) { return lowerOutput(op); })
      .Case([&](rt::SeedOp op) { return replaceByField(op, abi::offset::seed), success(); })
      .Case([&](rt::RunOp op) { return replaceByField(op, abi::offset::runNumber), success(); })
      .Case([&](rt::WorkOp op) { return lowerWork(op), success(); })
      .Case([&](rt::ReleaseOp op) { return lowerRelease(op), success(); })
      .Case([&](rt::MarkOp op) { return lowerMark(op), success(); })
      .Case([&](rt::ReleaseSinceOp op) { return lowerReleaseSince(op), success(); })
      // Which node calls a kernel, the kernel does not know.
      .Case([&](rt::AllocOp op) { return lowerAllocation(op, abi::offset::allocateFor, nodeOf(op)), success(); })
      .Case([&](rt::ScratchOp op) { return lowerAllocation(op, abi::offset::scratch), success(); })
      .Case([&](rt::CheckOp op) { return lowerCheck(op), success(); })
      .Case([&](rt::StringsOp op) { return lowerStrings(op), success(); })
      .Case([&](rt::HostCallOp op) { return lowerHostCall(op), success(); })
      .Case([&](rt::LaunchOp op) { return lowerLaunch(op), success(); })
      .Case([&](kern::CallOp op) { return lowerCall(op); })
      .Case([&](func::CallOp op) { return lowerPartCall(op), success(); })
      .Default([](Operation *op) {
        return op->emitOpError("is not known to code generation");
      });
}

Value RtFunction::constant(int64_t value, unsigned bits) {
  Type type = builder.getIntegerType(bits);
  return LLVM::ConstantOp::create(builder, loc, type, builder.getIntegerAttr(type, value));
}

Value RtFunction::loadField(Type type, int64_t offset) {
  Value address = LLVM::GEPOp::create(builder, loc, ptr, builder.getI8Type(), context,
                                      LLVM::GEPArg(static_cast<int32_t>(offset)));
  // The runtime writes none of these fields while a run is in flight.
  return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/0, /*isVolatile=*/false,
                              /*isNonTemporal=*/false, /*isInvariant=*/true);
}

void RtFunction::replaceByField(Operation *op, int64_t offset) {
  Value value = loadField(op->getResult(0).getType(), offset);
  op->replaceAllUsesWith(ValueRange(value));
  op->erase();
}

void RtFunction::lowerWork(rt::WorkOp op) {
  Value address = LLVM::GEPOp::create(builder, loc, ptr, builder.getI8Type(), context,
                                      LLVM::GEPArg(static_cast<int32_t>(abi::offset::work)));
  Value sum = LLVM::AddOp::create(builder, loc, LLVM::LoadOp::create(builder, loc, i64, address),
                                  toI64(op.getFlops()));
  LLVM::StoreOp::create(builder, loc, sum, address);
  op.erase();
}

Value RtFunction::callField(int64_t offset, Type result, ValueRange arguments) {
  SmallVector<Value> operands{loadField(ptr, offset), context};
  llvm::append_range(operands, arguments);
  auto types = llvm::to_vector(llvm::drop_begin(ValueRange(operands).getTypes()));
  auto type = LLVM::LLVMFunctionType::get(result, types);
  auto call = LLVM::CallOp::create(builder, loc, type, operands);
  call.setNoUnwind(true);
  return call.getNumResults() ? call.getResult() : Value();
}

Value RtFunction::message(StringRef text) {
  std::string bytes = text.str();
  bytes.push_back('\0');
  auto value = builder.getStringAttr(bytes);
  LLVM::GlobalOp &global = messages[value];
  if (!global) {
    OpBuilder atModule = OpBuilder::atBlockBegin(function->getBlock());
    global = LLVM::GlobalOp::create(
        atModule, loc, LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size()),
        /*isConstant=*/true, LLVM::Linkage::Internal, "message", value);
    symbols.insert(global); // makes the name unique
  }
  return LLVM::AddressOfOp::create(builder, loc, global);
}

Value RtFunction::nodeOf(Operation *op) {
  std::string node = rt::nodeMessage(op->getLoc(), "");
  return node.empty() ? Value(LLVM::ZeroOp::create(builder, loc, ptr)) : message(node);
}

Value RtFunction::entryAlloca(Type type, int64_t count) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  return LLVM::AllocaOp::create(builder, loc, ptr, type, constant(count));
}

Block *RtFunction::splitAfter(Operation *op) {
  Block *block = op->getBlock();
  Block *rest = block->splitBlock(std::next(op->getIterator()));
  builder.setInsertionPointToEnd(block);
  return rest;
}

Block *RtFunction::exitBlock() {
  if (exit)
    return exit;
  OpBuilder::InsertionGuard guard(builder);
  exit = builder.createBlock(&function.getBody(), function.getBody().end());
  if (isHost)
    exit->addArgument(i32, loc);
  LLVM::ReturnOp::create(builder, loc, exit->getArguments());
  return exit;
}

void RtFunction::returnUnless(Value condition, int32_t status) {
  returnUnless(condition, isHost ? constant(status, 32) : Value());
}

void RtFunction::likelyBranch(Value condition, Block *likely, Block *unlikely, ValueRange operands) {
  auto branch = cf::CondBranchOp::create(builder, loc, condition, likely, ValueRange(), unlikely, operands);
  branch.setBranchWeights(ArrayRef<int32_t>{2000, 1});
}

void RtFunction::returnUnless(Value condition, Value status) {
  Block *block = builder.getInsertionBlock();
  Block *rest = block->splitBlock(builder.getInsertionPoint());
  builder.setInsertionPointToEnd(block);
  SmallVector<Value> operands;
  if (isHost)
    operands.push_back(status);
  likelyBranch(condition, rest, exitBlock(), operands);
  builder.setInsertionPointToStart(rest);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

/// The attributes of a kernel's argument that hold for the address it travels
/// as.
DictionaryAttr pointerAttributes(kern::FuncOp kernel, unsigned argument) {
  NamedAttrList attributes;
  if (DictionaryAttr known = kernel.getArgAttrDict(argument))
    for (NamedAttribute attribute : known)
      if (attribute.getName().getValue().starts_with("llvm."))
        attributes.push_back(attribute);
  return attributes.getDictionary(kernel.getContext());
}

class ModuleLowering {
public:
  ModuleLowering(ModuleOp module)
      : module(module), symbols(module), converter(module.getContext()), calling(converter),
        ptr(LLVM::LLVMPointerType::get(module.getContext())) {}

  LogicalResult run() {
    // All signatures first: calls look them up.
    for (auto kernel : llvm::make_early_inc_range(module.getOps<kern::FuncOp>()))
      if (failed(lowerKernel(kernel)))
        return failure();
    for (auto host : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      bool isPart = host->hasAttr("nacre.part");
      if ((isPart || !host.isDeclaration()) && failed(isPart ? lowerPart(host) : lowerHost(host)))
        return failure();
    }
    for (auto &[function, isHost] : functions) {
      SmallVector<Operation *> ops;
      function.walk([&](Operation *op) {
        auto call = dyn_cast<func::CallOp>(op);
        if (isa<rt::RtDialect>(op->getDialect()) || isa<kern::CallOp>(op) ||
            (call && symbols.lookup<LLVM::LLVMFuncOp>(hostSymbol(call.getCallee()))))
          ops.push_back(op);
      });
      RtFunction lowering(function, calling, symbols, messages, isHost);
      // Backwards: splitting a block moves what follows, which is then short.
      for (Operation *op : llvm::reverse(ops))
        if (failed(lowering.lower(op)))
          return failure();
    }
    return success();
  }

private:
  LogicalResult lowerKernel(kern::FuncOp kernel) {
    if (kernel.getNumResults() != 0)
      return kernel.emitOpError("has results, but code generation expects buffers");
    SmallVector<Type> types{ptr};
    SmallVector<Attribute> attributes{DictionaryAttr::get(kernel.getContext())};
    for (auto [i, type] : llvm::enumerate(kernel.getArgumentTypes())) {
      if (failed(calling.appendTypes(type, types)))
        return kernel.emitOpError("argument of a type that cannot travel: ") << type;
      if (attributes.size() < types.size() && isa<MemRefType>(type))
        attributes.push_back(pointerAttributes(kernel, i));
      attributes.resize(types.size(), DictionaryAttr::get(kernel.getContext()));
    }
    bool isBody = SymbolTable::getSymbolVisibility(kernel) == SymbolTable::Visibility::Private &&
                  !kernel.isDeclaration();
    auto function = makeFunction(kernel, kernelSymbol(kernel.getName()), types,
                                 LLVM::LLVMVoidType::get(kernel.getContext()));
    function.setArgAttrsAttr(ArrayAttr::get(kernel.getContext(), attributes));
    if (isBody) {
      function.setLinkage(LLVM::Linkage::Internal);
      function.setVisibility_(LLVM::Visibility::Default);
      // Called once for a serial run, and once by the task: not two copies.
      function.setNoInline(true);
    }
    if (!kernel.isDeclaration()) {
      if (kernel->walk([](rt::ScratchOp) { return WalkResult::interrupt(); }).wasInterrupted())
        function->setAttr(takesScratch, UnitAttr::get(kernel.getContext()));
      takeBody(function, kernel.getBody(), /*leading=*/1);
      functions.push_back({function, false});
    }
    return finish(function, kernel);
  }

  LogicalResult lowerHost(func::FuncOp host) {
    if (host.getNumArguments() != 0 || host.getNumResults() != 0)
      return host.emitOpError("has arguments or results: a host function reads rt.input and "
                              "writes rt.output");
    auto function = makeFunction(host, hostSymbol(host.getName()), {ptr, ptr},
                                 IntegerType::get(host.getContext(), 32));
    takeBody(function, host.getBody(), /*leading=*/2);
    functions.push_back({function, true});
    return finish(function, host);
  }

  /// A part of a host function takes the inputs too, then what it captures, then
  /// a struct for its results.
  LogicalResult lowerPart(func::FuncOp part) {
    SmallVector<Type> types{ptr, ptr}, results;
    for (Type type : part.getArgumentTypes())
      if (failed(calling.appendTypes(type, types)))
        return part.emitOpError("argument of a type that cannot travel: ") << type;
    for (Type type : part.getResultTypes())
      if (failed(calling.appendTypes(type, results)))
        return part.emitOpError("result of a type that cannot travel: ") << type;
    types.push_back(ptr);
    auto function = makeFunction(part, hostSymbol(part.getName()), types,
                                 IntegerType::get(part.getContext(), 32));
    function.setNoInline(true);
    if (!part.isDeclaration()) {
      takeBody(function, part.getBody(), /*leading=*/2);
      functions.push_back({function, true});
    }
    return finish(function, part);
  }

  LLVM::LLVMFuncOp makeFunction(Operation *op, StringRef name, ArrayRef<Type> types, Type result) {
    OpBuilder builder(op);
    auto function = LLVM::LLVMFuncOp::create(builder, op->getLoc(), name,
                                             LLVM::LLVMFunctionType::get(result, types));
    function.setVisibility_(LLVM::Visibility::Hidden);
    function.setDsoLocal(true);
    function.setNoUnwind(true);
    return function;
  }

  /// Moves a body in: behind `leading` new arguments, those it had are made again
  /// from what they travelled as. What it returned goes to the last argument.
  void takeBody(LLVM::LLVMFuncOp function, Region &from, unsigned leading) {
    Region &body = function.getBody();
    body.takeBody(from);
    Block *entry = &body.front();
    OpBuilder builder = OpBuilder::atBlockBegin(entry);
    Location loc = function.getLoc();
    unsigned old = entry->getNumArguments();
    for (Type type : function.getArgumentTypes())
      entry->addArgument(type, loc);
    ValueRange flat = entry->getArguments().drop_front(old + leading);
    for (unsigned i = 0; i < old; ++i) {
      BlockArgument argument = entry->getArgument(i);
      argument.replaceAllUsesWith(
          calling.rebuild(builder, loc, argument.getType(), flat));
    }
    entry->eraseArguments(0, old);
    bool hasStatus = !isa<LLVM::LLVMVoidType>(function.getFunctionType().getReturnType());
    for (Block &block : body) {
      Operation *terminator = block.getTerminator();
      if (!isa<kern::ReturnOp, func::ReturnOp>(terminator))
        continue;
      builder.setInsertionPoint(terminator);
      SmallVector<Value> results, status;
      for (Value result : terminator->getOperands())
        calling.flatten(builder, loc, result, results);
      if (!results.empty())
        calling.storeFields(builder, loc, results, entry->getArguments().back());
      if (hasStatus)
        status.push_back(LLVM::ConstantOp::create(builder, loc, builder.getI32Type(),
                                                  builder.getI32IntegerAttr(NACRE_ABI_OK)));
      LLVM::ReturnOp::create(builder, loc, status);
      terminator->erase();
    }
  }

  LogicalResult finish(LLVM::LLVMFuncOp function, Operation *old) {
    symbols.erase(old);
    symbols.insert(function);
    return success();
  }

  ModuleOp module;
  SymbolTable symbols;
  LLVMTypeConverter converter;
  Calling calling;
  Messages messages;
  Type ptr;
  SmallVector<std::pair<LLVM::LLVMFuncOp, bool>> functions;
};

struct ConvertRtToLLVMPass : codegen::impl::ConvertRtToLLVMPassBase<ConvertRtToLLVMPass> {
  void runOnOperation() override {
    if (failed(ModuleLowering(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
