//===- RtCalls.cpp - Kernels, parallel loops, checks to llvm ----*- C++ -*-===//
#include "compiler/codegen/RtToLLVM.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

//===----------------------------------------------------------------------===//
// kern.call
//===----------------------------------------------------------------------===//

// Calls that follow each other share a hook: the end of one and the start of the
// next are one call in the host code, which is mostly such.
void RtFunction::pairHooks() {
  auto indexOf = [](kern::CallOp call) {
    auto index = call->getAttrOfType<IntegerAttr>("kernel_index");
    return index ? index.getInt() : -1;
  };
  for (Block &block : function.getBody()) {
    Hooks *previous = nullptr;
    for (Operation &op : block) {
      if (auto call = dyn_cast<kern::CallOp>(op)) {
        Hooks hooks;
        hooks.index = indexOf(call);
        if (previous && previous->index >= 0 && hooks.index >= 0) {
          previous->next = hooks.index;
          hooks.startsWithPrevious = true;
        }
        previous = &(hooksOf[&op] = hooks);
      } else if (!isMemoryEffectFree(&op)) {
        previous = nullptr;
      }
    }
  }
}

// A small function rather than code at each call: a model has as many calls as
// kernels, and the host code should stay small.
//
//   i32 nacre.at_kernel(context, i32 ended, i32 starting)   (-1: none)
LLVM::LLVMFuncOp RtFunction::hookFunction() {
  constexpr StringLiteral name = "nacre.at_kernel";
  if (auto existing = symbols.lookup<LLVM::LLVMFuncOp>(name))
    return existing;
  OpBuilder::InsertionGuard guard(builder);
  Value callerContext = context;
  builder.setInsertionPoint(function);
  auto hook = LLVM::LLVMFuncOp::create(builder, loc, name,
                                       LLVM::LLVMFunctionType::get(i32, {ptr, i32, i32}),
                                       LLVM::Linkage::Internal);
  hook.setNoUnwind(true);
  hook.setNoInline(true);
  symbols.insert(hook);
  context = hook.addEntryBlock(builder)->getArgument(0);
  auto newBlock = [&](TypeRange types = {}) {
    OpBuilder::InsertionGuard guard(builder);
    return builder.createBlock(&hook.getBody(), hook.getBody().end(), types,
                               SmallVector<Location>(types.size(), loc));
  };
  Block *whenEnded = newBlock(), *callEnd = newBlock(), *whenStarting = newBlock(),
        *callStart = newBlock(), *checkStop = newBlock(), *done = newBlock(i32);
  auto branchIf = [&](Value condition, Block *yes, Block *no, ValueRange noOperands = {}) {
    LLVM::CondBrOp::create(builder, loc, condition, yes, ValueRange(), no, noOperands);
  };
  auto compare = [&](LLVM::ICmpPredicate predicate, Value value) -> Value {
    return LLVM::ICmpOp::create(builder, loc, predicate, value, constant(0, 32));
  };
  builder.setInsertionPointToEnd(&hook.getBody().front());
  Value onKernel = loadField(ptr, abi::offset::onKernel);
  Value isSet = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, onKernel,
                                     LLVM::ZeroOp::create(builder, loc, ptr));
  branchIf(isSet, whenEnded, checkStop);

  auto callHook = [&](Block *when, Block *call, unsigned argument, bool atEnd, Block *next) {
    Value index = hook.getArgument(argument);
    builder.setInsertionPointToEnd(when);
    branchIf(compare(LLVM::ICmpPredicate::sge, index), call, next);
    builder.setInsertionPointToEnd(call);
    Value answer = callField(abi::offset::onKernel, i32, {index, constant(atEnd, 32)});
    branchIf(compare(LLVM::ICmpPredicate::eq, answer), next, done, answer);
  };
  callHook(whenEnded, callEnd, 1, /*atEnd=*/true, whenStarting);
  callHook(whenStarting, callStart, 2, /*atEnd=*/false, checkStop);

  builder.setInsertionPointToEnd(checkStop);
  Value address = LLVM::GEPOp::create(builder, loc, ptr, builder.getI8Type(), context,
                                      LLVM::GEPArg(static_cast<int32_t>(abi::offset::stop)));
  Value stop = LLVM::LoadOp::create(builder, loc, i32, address, /*alignment=*/4,
                                    /*isVolatile=*/false, false, false, false,
                                    LLVM::AtomicOrdering::monotonic);
  LLVM::BrOp::create(builder, loc, ValueRange{stop}, done);
  builder.setInsertionPointToEnd(done);
  LLVM::ReturnOp::create(builder, loc, done->getArgument(0));
  context = callerContext;
  return hook;
}

LogicalResult RtFunction::lowerCall(kern::CallOp op) {
  auto callee = symbols.lookup<LLVM::LLVMFuncOp>(kernelSymbol(op.getCallee()));
  if (!callee)
    return op.emitOpError("names no kernel: ") << op.getCalleeAttr();
  if (!isHost)
    return op.emitOpError("stands in a kernel");
  Hooks hooks = hooksOf.lookup(op);
  auto callHook = [&](int64_t ended, int64_t starting) {
    Value answer =
        LLVM::CallOp::create(builder, loc, hookFunction(),
                             ValueRange{context, constant(ended, 32), constant(starting, 32)})
            .getResult();
    Value goesOn = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, answer,
                                        constant(0, 32));
    returnUnless(goesOn, NACRE_ABI_CANCELLED);
  };
  if (!hooks.startsWithPrevious)
    callHook(-1, hooks.index);
  SmallVector<Value> operands{context};
  for (Value operand : op->getOperands())
    if (Value address = constantAddress(operand))
      operands.push_back(address);
    else
      calling.flatten(builder, loc, operand, operands);
  LLVM::CallOp::create(builder, loc, callee, operands);
  callHook(hooks.index, hooks.next);
  // A set: operands may be one view, or views of another operand.
  llvm::SmallSetVector<Value, 8> buffers(op->operand_begin(), op->operand_end());
  op.erase();
  // Views whose address went directly into the call. rt ops are lowered later.
  while (!buffers.empty()) {
    Operation *view = buffers.pop_back_val().getDefiningOp<ViewLikeOpInterface>();
    if (!view || !isOpTriviallyDead(view))
      continue;
    buffers.insert(view->getOperand(0));
    view->erase();
  }
  return success();
}

void RtFunction::lowerPartCall(func::CallOp op) {
  auto callee = symbols.lookup<LLVM::LLVMFuncOp>(hostSymbol(op.getCallee()));
  SmallVector<Value> operands{context, function.getArgument(1)};
  for (Value operand : op.getOperands())
    calling.flatten(builder, loc, operand, operands);
  SmallVector<Type> types;
  for (Type type : op.getResultTypes())
    (void)calling.appendTypes(type, types); // checked at the callee
  Value results = types.empty()
                      ? Value(LLVM::ZeroOp::create(builder, loc, ptr))
                      : entryAlloca(LLVM::LLVMStructType::getLiteral(builder.getContext(), types), 1);
  operands.push_back(results);
  Value status = LLVM::CallOp::create(builder, loc, callee, operands).getResult();
  Value goesOn =
      LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, status, constant(0, 32));
  returnUnless(goesOn, status);
  SmallVector<Value> flat = calling.loadFields(builder, loc, types, results);
  ValueRange rest = flat;
  for (Value result : op.getResults())
    result.replaceAllUsesWith(calling.rebuild(builder, loc, result.getType(), rest));
  op.erase();
}

//===----------------------------------------------------------------------===//
// rt.launch
//===----------------------------------------------------------------------===//

LLVM::LLVMFuncOp RtFunction::makeTask(LLVM::LLVMFuncOp body, LLVM::LLVMStructType environment,
                                      Location loc) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(body);
  auto task = LLVM::LLVMFuncOp::create(builder, loc, (body.getName() + ".task").str(),
                                       LLVM::LLVMFunctionType::get(voidType, {ptr, ptr, i64, i64}),
                                       LLVM::Linkage::Internal);
  task.setNoUnwind(true);
  symbols.insert(task);
  Block *entry = task.addEntryBlock(builder);
  builder.setInsertionPointToEnd(entry);
  SmallVector<Value> operands{entry->getArgument(0)};
  llvm::append_range(operands,
                     calling.loadFields(builder, loc, environment.getBody(), entry->getArgument(1)));
  operands.push_back(entry->getArgument(2));
  operands.push_back(entry->getArgument(3));
  LLVM::CallOp::create(builder, loc, body, operands);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return task;
}

// count <= grain, or one thread and not many grains: call the body on the whole range,
// unless it takes scratch, which only the pool gives back, or runs backwards in turn. Otherwise put the captured values into a struct and hand it to the pool, which cuts long
// loops so that they can be cancelled.
void RtFunction::lowerLaunch(rt::LaunchOp op) {
  auto body = symbols.lookup<LLVM::LLVMFuncOp>(kernelSymbol(op.getBody()));
  SmallVector<Value> captures;
  for (Value capture : op.getCaptures())
    calling.flatten(builder, loc, capture, captures);
  auto environment =
      LLVM::LLVMStructType::getLiteral(builder.getContext(), llvm::to_vector(ValueRange(captures).getTypes()));
  Value count = toI64(op.getCount());
  Value grain = constant(op.getGrain());
  Value zero = constant(0);

  Block *rest = splitAfter(op);
  Region &region = function.getBody();
  auto callPool = [&] {
    Value stored = entryAlloca(environment, 1);
    calling.storeFields(builder, loc, captures, stored);
    Value task = LLVM::AddressOfOp::create(builder, loc, makeTask(body, environment, loc));
    Value marked = op.getAlternating() ? constant(op.getGrain() | NACRE_ABI_ALTERNATE) : grain;
    callField(abi::offset::parallelFor, voidType, {task, stored, count, marked});
    cf::BranchOp::create(builder, loc, rest);
  };
  if (body->hasAttr(takesScratch) || op.getAlternating()) {
    callPool();
    op.erase();
    return;
  }
  Block *serial = builder.createBlock(&region, rest->getIterator());
  Block *run = builder.createBlock(&region, rest->getIterator());
  Block *parallel = builder.createBlock(&region, rest->getIterator());

  builder.setInsertionPointToEnd(op->getBlock());
  Value isSmall = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sle, count, grain);
  Value threads = loadField(i64, abi::offset::threadCount);
  Value isAlone =
      LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sle, threads, constant(1));
  constexpr int64_t fewGrains = 16;
  Value isShort = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sle, count,
                                       constant(op.getGrain() * fewGrains));
  Value isShortAlone = LLVM::AndOp::create(builder, loc, isAlone, isShort);
  Value inPlace = LLVM::OrOp::create(builder, loc, isSmall, isShortAlone);
  cf::CondBranchOp::create(builder, loc, inPlace, serial, parallel);

  builder.setInsertionPointToEnd(serial);
  Value some = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sgt, count, zero);
  cf::CondBranchOp::create(builder, loc, some, run, rest);

  builder.setInsertionPointToEnd(run);
  SmallVector<Value> operands{context};
  llvm::append_range(operands, captures);
  operands.append({zero, count});
  LLVM::CallOp::create(builder, loc, body, operands);
  cf::BranchOp::create(builder, loc, rest);

  builder.setInsertionPointToEnd(parallel);
  callPool();
  op.erase();
}

//===----------------------------------------------------------------------===//
// rt.check
//===----------------------------------------------------------------------===//

void RtFunction::lowerCheck(rt::CheckOp op) {
  Block *rest = splitAfter(op);
  Block *failed = builder.createBlock(&function.getBody(), function.getBody().end());
  builder.setInsertionPointToEnd(op->getBlock());
  likelyBranch(op.getCondition(), rest, failed);
  builder.setInsertionPointToEnd(failed);
  Value status = constant(op.getStatus(), 32);
  callField(abi::offset::fail, voidType, {status, message(op.getMessage())});
  if (isHost)
    cf::BranchOp::create(builder, loc, exitBlock(), status);
  else
    cf::BranchOp::create(builder, loc, rest);
  op.erase();
}
