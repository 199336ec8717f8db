//===- ContribConverters.cpp - ONNX Runtime's own operators -----*- C++ -*-===//
//
// Operators of the domain com.microsoft, as optimisers and exporters write them. ONNX has no
// schema for them, so converters look at their inputs themselves.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// Whether there are at least `least` inputs, all of which are given, and at most `most`.
static LogicalResult checkInputs(NodeContext &c, unsigned least, unsigned most) {
  if (c.numInputs() > most || c.numInputs() < least)
    return c.error("it has " + Twine(c.numInputs()) + " inputs, expected " + Twine(least) + " to " + Twine(most));
  for (unsigned i = 0; i < c.numInputs(); ++i) {
    if (i < least && !c.hasInput(i))
      return c.error("input " + Twine(i) + " is missing");
    if (c.hasInput(i) && !isa<RankedTensorType>(c.input(i).getType()))
      return c.error("input " + Twine(i) + " is no tensor");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

template <bool isTanh> static LogicalResult convertGelu(NodeContext &c) {
  if (failed(checkInputs(c, 1, 2)))
    return failure();
  Value x = c.hasInput(1) ? c.make<nn::AddOp>(c.input(0), c.input(1)) : c.input(0);
  return x ? c.replaceWith<nn::GeluOp>(x, isTanh) : failure();
}

void nacre::frontend::registerContribConverters(ConverterTable &table) {
  StringRef domain = "com.microsoft";
  table.add("Gelu", convertGelu<false>, domain);
  table.add("BiasGelu", convertGelu<false>, domain);
  table.add("FastGelu", convertGelu<true>, domain);
}
