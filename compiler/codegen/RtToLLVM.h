//===- RtToLLVM.h - Functions and rt ops to the llvm dialect ----*- C++ -*-===//
//
// Shared by the files of the pass: RtToLLVM.cpp (functions, and which op goes
// where), RtMemory.cpp (buffers), RtCalls.cpp (kernels, parallel loops, checks),
// RtHost.cpp (strings and the host library).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_RTTOLLVM_H
#define NACRE_COMPILER_CODEGEN_RTTOLLVM_H

#include "compiler/codegen/AbiTypes.h"
#include "compiler/codegen/Calling.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace nacre::codegen {

/// The name of a kernel's code.
std::string kernelSymbol(llvm::StringRef name);
/// The same for a host function or a part of one.
std::string hostSymbol(llvm::StringRef name);

/// On a function that takes scratch: its caller gives it back.
inline constexpr llvm::StringLiteral takesScratch = "nacre.takes_scratch";

/// The messages of checks, each once in a module.
using Messages = llvm::DenseMap<mlir::Attribute, mlir::LLVM::GlobalOp>;

/// Lowers the rt ops of one function, which has the context as its first
/// argument and whose control flow is flat: an op that may end the run splits
/// its block.
class RtFunction {
public:
  RtFunction(mlir::LLVM::LLVMFuncOp function, const Calling &calling, mlir::SymbolTable &symbols,
             Messages &messages, bool isHost);

  /// Lowers and erases the op; failure if it is not one of the runtime's.
  mlir::LogicalResult lower(mlir::Operation *op);

private:
  // Buffers.
  void lowerArena(rt::ArenaOp op);
  void lowerParameter(rt::ParameterOp op);
  void lowerInput(rt::InputOp op);
  mlir::LogicalResult lowerOutput(rt::OutputOp op);
  void lowerRelease(rt::ReleaseOp op);
  void lowerMark(rt::MarkOp op);
  void lowerReleaseSince(rt::ReleaseSinceOp op);
  void lowerWork(rt::WorkOp op);
  void lowerStrings(rt::StringsOp op);
  /// The address of a static dense buffer at a place known now (arena, parameter,
  /// input), or null: it needs no descriptor.
  mlir::Value constantAddress(mlir::Value memref);
  mlir::Value addressOf(rt::ArenaOp op);
  mlir::Value addressOf(rt::ParameterOp op);
  mlir::Value addressOf(rt::InputOp op);
  mlir::Value loadOfInput(mlir::Type type, int64_t index, int64_t offset);
  /// rt.alloc and rt.scratch: memory by the context's function at the offset.
  void lowerAllocation(mlir::Operation *op, int64_t functionOffset, mlir::ValueRange more = {});

  // Control.
  mlir::LogicalResult lowerCall(kern::CallOp op);
  void lowerPartCall(mlir::func::CallOp op);
  void lowerLaunch(rt::LaunchOp op);
  void lowerCheck(rt::CheckOp op);
  void lowerHostCall(rt::HostCallOp op);
  /// An array of nacre_host_tensor that describes the buffers.
  mlir::Value describeTensors(mlir::ValueRange buffers, mlir::ArrayRef<mlir::Attribute> types);
  /// A function `void task(context, environment, begin, end)` that calls the
  /// body with what it finds in the environment.
  mlir::LLVM::LLVMFuncOp makeTask(mlir::LLVM::LLVMFuncOp body,
                                  mlir::LLVM::LLVMStructType environment, mlir::Location loc);
  /// What is done between kernels: hooks, and looking whether the run has ended.
  mlir::LLVM::LLVMFuncOp hookFunction();
  void pairHooks();

  // Building blocks; all insert at `builder`.
  mlir::Value loadField(mlir::Type type, int64_t offset);
  void replaceByField(mlir::Operation *op, int64_t offset);
  mlir::Value constant(int64_t value, unsigned bits = 64);
  mlir::Value callField(int64_t offset, mlir::Type result, mlir::ValueRange arguments);
  mlir::Value message(mlir::StringRef text);
  /// What stands in front of a message about the op: its node, or null.
  mlir::Value nodeOf(mlir::Operation *op);
  mlir::Value toI64(mlir::Value index) { return calling.toLLVM(builder, loc, index); }
  mlir::Value entryAlloca(mlir::Type type, int64_t count);
  /// Leaves the function, with the status if it is the host's, unless the
  /// condition holds; the builder goes on in a new block.
  void returnUnless(mlir::Value condition, int32_t status);
  void returnUnless(mlir::Value condition, mlir::Value status);
  /// A branch that hardly ever goes to the second block, with operands.
  void likelyBranch(mlir::Value condition, mlir::Block *likely, mlir::Block *unlikely,
                    mlir::ValueRange operands = {});
  /// Splits the block after the op; the builder stands at the end of the first
  /// half, without a terminator.
  mlir::Block *splitAfter(mlir::Operation *op);
  mlir::Block *exitBlock();

  mlir::LLVM::LLVMFuncOp function;
  const Calling &calling;
  mlir::SymbolTable &symbols;
  Messages &messages;
  bool isHost;
  mlir::OpBuilder builder;
  mlir::Location loc;
  mlir::Value context;
  mlir::Type ptr, i32, i64, voidType;
  mlir::Block *exit = nullptr;

  /// What is reported around a kern.call. An index of -1: nothing, as in tests of
  /// single passes.
  struct Hooks {
    int64_t index = -1, next = -1;
    bool startsWithPrevious = false;
  };
  llvm::DenseMap<mlir::Operation *, Hooks> hooksOf;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_RTTOLLVM_H
