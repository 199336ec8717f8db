//===- ConvConverters.cpp - Convolution and pooling -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerConvConverters(ConverterTable &table) {}
