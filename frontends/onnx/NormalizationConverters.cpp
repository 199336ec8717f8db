//===- NormalizationConverters.cpp - Normalisations, softmax, losses -*- C++
//-*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerNormalizationConverters(ConverterTable &table) {}
