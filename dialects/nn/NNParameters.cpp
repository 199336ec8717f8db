//===- NNParameters.cpp - Constants and named parameters --------*- C++ -*-===//
#include "dialects/nn/NNOps.h"

using namespace mlir;
using namespace nacre::nn;

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult GetParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(*this, getNameAttr());
  if (!parameter)
    return emitOpError("names no parameter: ") << getNameAttr();
  if (parameter.getType() != getType())
    return emitOpError("has type ") << getType() << ", but the parameter is " << parameter.getType();
  return success();
}

KernelRole GetParameterOp::getKernelRole() { return KernelRole::Host; }

LogicalResult nacre::nn::verifySetsParameter(Operation *op, FlatSymbolRefAttr name, Value value,
                                             SymbolTableCollection &symbols) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(op, name);
  if (!parameter || !parameter.getTrainable())
    return op->emitOpError("names no trainable parameter: ") << name;
  if (parameter.getType() != value.getType())
    return op->emitOpError("sets a value of type ") << value.getType() << ", but the parameter is "
                                                    << parameter.getType();
  return success();
}

LogicalResult SetParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifySetsParameter(*this, getNameAttr(), getValue(), symbols);
}

KernelRole SetParameterOp::getKernelRole() { return KernelRole::Host; }
