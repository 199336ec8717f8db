//===- IndexingConverters.cpp - Gather, scatter and the like -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerIndexingConverters(ConverterTable &table) {}
