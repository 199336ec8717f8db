//===- RecordSignature.cpp - Keep the model's signature ---------*- C++ -*-===//
//
// Before: func.func @main(%x: tensor<?x3xui8> {nn.name = "x", nn.symbols = ["n", ""]})
// After:  ... attributes {nacre.inputs = [{name = "x", symbols = ["n", ""],
//                                          type = tensor<?x3xui8>}], nacre.outputs = ...}
//
// Precondition: types inferred. Postcondition: the attributes are set; later phases may
// change the function's type.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::graph {
#define GEN_PASS_DEF_RECORDSIGNATUREPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

struct RecordSignaturePass : graph::impl::RecordSignaturePassBase<RecordSignaturePass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    Builder b(&getContext());
    SmallVector<Attribute> inputs, outputs;
    for (BlockArgument argument : func.getArguments()) {
      unsigned index = argument.getArgNumber();
      inputs.push_back(describe(b, func.getArgAttrOfType<StringAttr>(index, "nn.name"),
                                argument.getType(),
                                func.getArgAttrOfType<ArrayAttr>(index, "nn.symbols"), "input", index));
    }
    graph::DimAnalysis dims(func);
    Operation *terminator = func.getBody().back().getTerminator();
    for (auto [index, result] : llvm::enumerate(terminator->getOperands()))
      outputs.push_back(describe(b, func.getResultAttrOfType<StringAttr>(index, "nn.name"),
                                 result.getType(), nameDims(b, dims, result), "output", index));
    dims.eraseUnused();
    func->setAttr("nacre.inputs", b.getArrayAttr(inputs));
    func->setAttr("nacre.outputs", b.getArrayAttr(outputs));
  }

private:
  static Attribute describe(Builder &b, StringAttr name, Type type, ArrayAttr symbols, StringRef kind,
                            unsigned index) {
    if (!name)
      name = b.getStringAttr(kind + Twine(index));
    if (!symbols)
      symbols = b.getStrArrayAttr(
          SmallVector<StringRef>(cast<RankedTensorType>(type).getRank(), StringRef()));
    return b.getDictionaryAttr({b.getNamedAttr("name", name), b.getNamedAttr("symbols", symbols),
                                b.getNamedAttr("type", TypeAttr::get(type))});
  }

  /// An output's dimension has the name of the input's dimension that it equals.
  static ArrayAttr nameDims(Builder &b, graph::DimAnalysis &dims, Value value) {
    SmallVector<Attribute> names;
    for (OpFoldResult size : dims.getDims(value))
      names.push_back(dims.getSymbol(size));
    return b.getArrayAttr(names);
  }
};

} // namespace
