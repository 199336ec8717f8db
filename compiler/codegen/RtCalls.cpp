//===- RtCalls.cpp - Kernels, parallel loops, checks to llvm ----*- C++ -*-===//
#include "compiler/codegen/RtToLLVM.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

//===----------------------------------------------------------------------===//
// kern.call
//===----------------------------------------------------------------------===//

// Small functions rather than code at each call: a model has as many calls as
// kernels, and the host code should stay small.
LLVM::LLVMFuncOp RtFunction::hookFunction(StringRef name, bool atEnd) {
  if (auto existing = symbols.lookup<LLVM::LLVMFuncOp>(name))
    return existing;
  OpBuilder::InsertionGuard guard(builder);
  Value callerContext = context;
  builder.setInsertionPoint(function);
  auto hook = LLVM::LLVMFuncOp::create(builder, loc, name,
                                       LLVM::LLVMFunctionType::get(i32, {ptr, i32}),
                                       LLVM::Linkage::Internal);
  hook.setNoUnwind(true);
  hook.setNoInline(true);
  symbols.insert(hook);
  Block *entry = hook.addEntryBlock(builder);
  Block *call = builder.createBlock(&hook.getBody(), hook.getBody().end());
  Block *done = builder.createBlock(&hook.getBody(), hook.getBody().end(), {i32}, {loc});
  context = hook.getArgument(0);

  builder.setInsertionPointToEnd(entry);
  Value onKernel = loadField(ptr, abi::offset::onKernel);
  Value null = LLVM::ZeroOp::create(builder, loc, ptr);
  Value isSet = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, onKernel, null);
  LLVM::CondBrOp::create(builder, loc, isSet, call, ValueRange(), done,
                         ValueRange{constant(0, 32)}, std::make_pair(1u, 2000u));

  builder.setInsertionPointToEnd(call);
  Value answer =
      callField(abi::offset::onKernel, i32, {hook.getArgument(1), constant(atEnd, 32)});
  LLVM::BrOp::create(builder, loc, ValueRange{answer}, done);

  builder.setInsertionPointToEnd(done);
  Value result = done->getArgument(0);
  if (atEnd) {
    Value address = LLVM::GEPOp::create(builder, loc, ptr, builder.getI8Type(), context,
                                        LLVM::GEPArg(static_cast<int32_t>(abi::offset::stop)));
    Value stop = LLVM::LoadOp::create(builder, loc, i32, address, /*alignment=*/4,
                                      /*isVolatile=*/false, false, false, false,
                                      LLVM::AtomicOrdering::monotonic);
    result = LLVM::OrOp::create(builder, loc, result, stop);
  }
  LLVM::ReturnOp::create(builder, loc, result);
  context = callerContext;
  return hook;
}

LogicalResult RtFunction::lowerCall(kern::CallOp op) {
  auto callee = symbols.lookup<LLVM::LLVMFuncOp>(kernelSymbol(op.getCallee()));
  if (!callee)
    return op.emitOpError("names no kernel: ") << op.getCalleeAttr();
  if (!isHost)
    return op.emitOpError("stands in a kernel");
  // Without an index, as in tests of single passes, nothing is reported.
  auto index = op->getAttrOfType<IntegerAttr>("kernel_index");
  int64_t kernel = index ? index.getInt() : -1;
  auto callHook = [&](StringRef name, bool atEnd) {
    LLVM::LLVMFuncOp hook = hookFunction(name, atEnd);
    Value answer = LLVM::CallOp::create(builder, loc, hook,
                                        ValueRange{context, constant(kernel, 32)})
                       .getResult();
    Value goesOn = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, answer,
                                        constant(0, 32));
    returnUnless(goesOn, NACRE_ABI_CANCELLED);
  };
  if (index)
    callHook("nacre.before_kernel", /*atEnd=*/false);
  SmallVector<Value> operands{context};
  for (Value operand : op->getOperands())
    calling.flatten(builder, loc, operand, operands);
  LLVM::CallOp::create(builder, loc, callee, operands);
  if (index)
    callHook("nacre.after_kernel", /*atEnd=*/true);
  op.erase();
  return success();
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
  for (auto [i, type] : llvm::enumerate(environment.getBody())) {
    Value field = LLVM::GEPOp::create(builder, loc, ptr, environment, entry->getArgument(1),
                                      ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
    operands.push_back(LLVM::LoadOp::create(builder, loc, type, field));
  }
  operands.push_back(entry->getArgument(2));
  operands.push_back(entry->getArgument(3));
  LLVM::CallOp::create(builder, loc, body, operands);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return task;
}

// count <= grain or one thread: call the body on the whole range. Otherwise put
// the captured values into a struct and hand it to the pool.
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
  Block *serial = builder.createBlock(&region, rest->getIterator());
  Block *run = builder.createBlock(&region, rest->getIterator());
  Block *parallel = builder.createBlock(&region, rest->getIterator());

  builder.setInsertionPointToEnd(op->getBlock());
  Value isSmall = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sle, count, grain);
  Value threads = loadField(i64, abi::offset::threadCount);
  Value isAlone =
      LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sle, threads, constant(1));
  Value inPlace = LLVM::OrOp::create(builder, loc, isSmall, isAlone);
  LLVM::CondBrOp::create(builder, loc, inPlace, serial, ValueRange(), parallel, ValueRange());

  builder.setInsertionPointToEnd(serial);
  Value some = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::sgt, count, zero);
  LLVM::CondBrOp::create(builder, loc, some, run, ValueRange(), rest, ValueRange());

  builder.setInsertionPointToEnd(run);
  SmallVector<Value> operands{context};
  llvm::append_range(operands, captures);
  operands.append({zero, count});
  LLVM::CallOp::create(builder, loc, body, operands);
  LLVM::BrOp::create(builder, loc, rest);

  builder.setInsertionPointToEnd(parallel);
  Value stored = entryAlloca(environment, 1);
  for (auto [i, capture] : llvm::enumerate(captures)) {
    Value field = LLVM::GEPOp::create(builder, loc, ptr, environment, stored,
                                      ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
    LLVM::StoreOp::create(builder, loc, capture, field);
  }
  Value task = LLVM::AddressOfOp::create(builder, loc, makeTask(body, environment, loc));
  callField(abi::offset::parallelFor, voidType, {task, stored, count, grain});
  LLVM::BrOp::create(builder, loc, rest);
  op.erase();
}

//===----------------------------------------------------------------------===//
// rt.check
//===----------------------------------------------------------------------===//

void RtFunction::lowerCheck(rt::CheckOp op) {
  Block *rest = splitAfter(op);
  Block *failed = builder.createBlock(&function.getBody(), function.getBody().end());
  builder.setInsertionPointToEnd(op->getBlock());
  LLVM::CondBrOp::create(builder, loc, op.getCondition(), rest, ValueRange(), failed, ValueRange(),
                         std::make_pair(2000u, 1u));
  builder.setInsertionPointToEnd(failed);
  Value status = constant(op.getStatus(), 32);
  callField(abi::offset::fail, voidType, {status, message(op.getMessage())});
  if (isHost)
    LLVM::BrOp::create(builder, loc, ValueRange{status}, exitBlock());
  else
    LLVM::BrOp::create(builder, loc, rest);
  op.erase();
}
