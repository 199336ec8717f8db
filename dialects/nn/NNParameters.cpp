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

LogicalResult SetParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(*this, getNameAttr());
  if (!parameter || !parameter.getTrainable())
    return emitOpError("names no trainable parameter: ") << getNameAttr();
  if (parameter.getType() != getValue().getType())
    return emitOpError("sets a value of type ") << getValue().getType() << ", but the parameter is "
                                                << parameter.getType();
  return success();
}

KernelRole SetParameterOp::getKernelRole() { return KernelRole::Host; }
