//===- MathConverters.cpp - Arithmetic, logic, activations -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerMathConverters(ConverterTable &table) {
  table.add("Add", convertBroadcasting<nn::AddOp>);
  table.add("Mul", convertBroadcasting<nn::MulOp>);
  table.add("Relu", convertUnary<nn::ReluOp>);
}
