//===- RecurrentConverters.cpp - RNN, LSTM, GRU -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

void nacre::frontend::registerRecurrentConverters(ConverterTable &table) {}
