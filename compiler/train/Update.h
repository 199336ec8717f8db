//===- Update.h - One parameter's step ---------------------------*- C++ -*-===//
//
// What an optimiser computes with: a parameter's value and gradient, the state that it
// keeps beside the parameter, and numbers that all parameters share.
//
// Elements are computed in f32 (f64 for f64 parameters), numbers like rates and powers of
// decays in f64, as PyTorch does, for 1 - 0.999^t in f32 has four digits.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TRAIN_UPDATE_H
#define NACRE_COMPILER_TRAIN_UPDATE_H

#include "dialects/nn/NNOps.h"
#include "dialects/nn/TensorExpr.h"
#include "runtime/api/nacre_spec.hpp"
#include "llvm/ADT/MapVector.h"

namespace nacre::train {

/// The parameters that a step makes for itself.
class StepState {
public:
  StepState(mlir::SymbolTable &symbols, mlir::OpBuilder &builder) : symbols(symbols), b(builder) {}

  /// The value before the step. The first call makes it.
  mlir::Value get(llvm::StringRef name, mlir::RankedTensorType type, double initial, mlir::Location loc);
  /// The value after it; of several for one name the first counts.
  void set(llvm::StringRef name, mlir::Value value) { changed.insert({b.getStringAttr(name), value}); }
  /// The number of this update, from 1, as f64.
  mlir::Value getCount(mlir::Location loc);

  /// The values after the step. Where `isDue` (may be null) does not hold, they are those before.
  llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>> finish(mlir::Value isDue);

private:
  struct Entry {
    mlir::StringAttr symbol;
    mlir::Value old;
  };
  mlir::SymbolTable &symbols;
  mlir::OpBuilder &b;
  llvm::MapVector<mlir::StringAttr, Entry> entries;
  llvm::MapVector<mlir::StringAttr, mlir::Value> changed;
  mlir::Value count;
};

/// One parameter's update as an optimiser sees it.
class Update {
public:
  Update(StepState &state, const spec::Request &settings, std::string name, std::string group, nn::TensorExpr value,
         nn::TensorExpr gradient, nn::TensorExpr rate)
      : settings(settings), value(value), gradient(gradient), rate(rate), state(state), name(std::move(name)),
        group(std::move(group)) {}

  const spec::Request &settings;
  nn::TensorExpr value, gradient;
  /// The learning rate, a number in f64.
  nn::TensorExpr rate;

  double operator[](llvm::StringRef key) const { return settings[spec::Text(key)]; }
  bool isOn(llvm::StringRef flag) const { return settings[spec::Text(flag)] != 0; }

  /// The state `<parameter>.<slot>`, of the parameter's shape, `initial` at the first update.
  nn::TensorExpr get(llvm::StringRef slot, double initial = 0);
  void set(llvm::StringRef slot, nn::TensorExpr value);
  /// A number in f64 that the parameters of a group share: `optimizer.<slot>`.
  nn::TensorExpr getShared(llvm::StringRef slot, double initial);
  void setShared(llvm::StringRef slot, nn::TensorExpr value);
  /// The number of this update, from 1, in f64.
  nn::TensorExpr count();
  /// A number of f64 as one of the elements' type.
  nn::TensorExpr narrow(nn::TensorExpr number);

private:
  StepState &state;
  std::string name, group;
};

nn::TensorExpr min(nn::TensorExpr l, nn::TensorExpr r);
nn::TensorExpr max(nn::TensorExpr l, nn::TensorExpr r);
nn::TensorExpr pow(nn::TensorExpr base, nn::TensorExpr exponent);
nn::TensorExpr sign(nn::TensorExpr x);
/// The sum, or the mean, of all elements: a scalar.
nn::TensorExpr sumAll(nn::TensorExpr x);
nn::TensorExpr meanAll(nn::TensorExpr x);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_UPDATE_H
