//===- ReductionConverters.cpp - Reductions over axes -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerReductionConverters(ConverterTable &table) {}
