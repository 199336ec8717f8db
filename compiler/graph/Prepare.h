//===- Prepare.h - The function that computes parameters --------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_PREPARE_H
#define NACRE_COMPILER_GRAPH_PREPARE_H

#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

namespace nacre::graph {

/// The name of the function that computes parameters from parameters.
inline constexpr llvm::StringLiteral kPrepareName = "prepare";
/// Marks an nn.parameter whose value the function computes; `nacre.outputs` of the
/// function names them in order.
inline constexpr llvm::StringLiteral kComputedAttr = "nn.computed";

/// Whether a value depends on read-only parameters and constants alone, so that it can
/// be computed ahead of time.
bool isKnownAtCompileTime(mlir::Value value);

/// Moves computations on parameters into @prepare, which it makes when needed.
class PrepareBuilder {
public:
  explicit PrepareBuilder(mlir::ModuleOp module) : module(module), symbols(module) {}

  /// Makes the value a parameter, computed by a copy of its producers in @prepare, and replaces
  /// its uses. Values that the same ops compute of the same parameters are one.
  void hoist(mlir::Value value);

  /// Adds a result to @prepare and returns the parameter that it defines. The value
  /// must be defined in @prepare.
  nn::ParameterOp addResult(mlir::Value value, llvm::StringRef name);

  /// The value of a parameter in @prepare: what computes it there, if it is computed.
  mlir::Value lookup(nn::GetParameterOp get);

  /// Erases computed parameters that nothing but @prepare reads.
  void eraseUnused();

  /// A builder at the end of @prepare.
  mlir::OpBuilder getBuilder();
  /// The copy in @prepare of a value of another function that depends on parameters
  /// and constants only.
  mlir::Value clone(mlir::Value value);

private:
  mlir::func::FuncOp getFunction();
  /// The copy of an op in @prepare, where its operands have theirs: one for ops that are equal.
  mlir::Operation *cloneOnce(mlir::Operation *op);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  mlir::IRMapping mapping;
  llvm::DenseMap<llvm::hash_code, llvm::SmallVector<mlir::Operation *, 1>> copies;
  llvm::DenseMap<mlir::Value, nn::ParameterOp> hoisted;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_PREPARE_H
