//===- OnnxImporter.cpp - From an ONNX file to the nn dialect ---*- C++ -*-===//
#include "frontends/onnx/OnnxImporter.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/rt/RtOps.h"
#include "frontends/onnx/GraphImporter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

/// A size in decimal digits, within the range of int64_t.
static bool parseSize(StringRef text, int64_t &size) {
  return !text.empty() && llvm::all_of(text, llvm::isDigit) &&
         !text.getAsInteger(10, size);
}

bool ImportOptions::addInputShape(StringRef text, std::string &error) {
  // A name may have "=" in it, a shape has none.
  auto [name, sizes] = text.rsplit('=');
  SmallVector<int64_t> shape;
  bool valid = !name.empty() && text.contains('=');
  SmallVector<StringRef> parts;
  if (!sizes.empty())
    sizes.split(parts, 'x');
  for (StringRef part : parts) {
    shape.push_back(ShapedType::kDynamic);
    valid &= part == "?" || parseSize(part, shape.back());
  }
  if (!valid) {
    error =
        "malformed shape " + nn::quoted(text) + ", expected NAME=1x3x224x224";
    return false;
  }
  if (!inputShapes.insert({name.str(), shape}).second) {
    error = "the shape of " + nn::quoted(name) + " is given twice";
    return false;
  }
  return true;
}

bool ImportOptions::addInputLength(StringRef text, std::string &error) {
  auto [name, digits] = text.rsplit('=');
  int64_t length = 0;
  bool isNone = digits == "none";
  if (name.empty() || (!isNone && !parseSize(digits, length))) {
    error = "malformed length " + nn::quoted(text) + ", expected NAME=3 or NAME=none";
    return false;
  }
  if (!inputLengths.insert({name.str(), isNone ? std::nullopt : std::optional(length)}).second) {
    error = "the length of " + nn::quoted(name) + " is given twice";
    return false;
  }
  return true;
}

bool ImportOptions::addDim(StringRef text, std::string &error) {
  auto [name, digits] = text.rsplit('=');
  int64_t size = 0;
  if (name.empty() || !parseSize(digits, size)) {
    error = "malformed dimension " + nn::quoted(text) + ", expected NAME=8";
    return false;
  }
  if (!dims.insert({name.str(), size}).second) {
    error = "the dimension " + nn::quoted(name) + " is given twice";
    return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

void nacre::setSourceHash(ModuleOp module, StringRef bytes) {
  auto hash = llvm::BLAKE3::hash(llvm::arrayRefFromStringRef(bytes));
  module->setAttr(kSourceHashAttr, StringAttr::get(module.getContext(), llvm::toHex(hash, /*LowerCase=*/true)));
}

void frontend::loadImportDialects(MLIRContext &context) {
  context
      .loadDialect<nn::NNDialect, affine::AffineDialect, arith::ArithDialect,
                   func::FuncDialect, rt::RtDialect, scf::SCFDialect,
                   tensor::TensorDialect>();
}

static OwningOpRef<ModuleOp> import(std::shared_ptr<llvm::MemoryBuffer> buffer,
                                    StringRef folder, Location loc,
                                    const ImportOptions &options) {
  MLIRContext &context = *loc.getContext();
  loadImportDialects(context);
  std::string problem;
  ModelFile file;
  StringRef bytes = buffer->getBuffer();
  if (!file.parse(std::move(buffer), folder, options, problem)) {
    emitError(loc, problem);
    return nullptr;
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  if (failed(GraphImporter(context, options, file, *module, loc).run()) ||
      failed(verify(*module)))
    return nullptr;
  if (options.hashSource)
    setSourceHash(*module, bytes);
  return module;
}

OwningOpRef<ModuleOp> nacre::importOnnx(StringRef path, MLIRContext &context,
                                        const ImportOptions &options) {
  // Without its folder: an artefact does not depend on where its source lies.
  Location loc = FileLineColLoc::get(&context, llvm::sys::path::filename(path), 0, 0);
  std::string problem;
  auto buffer = mapFile(path, problem);
  if (!buffer) {
    emitError(loc, problem);
    return nullptr;
  }
  StringRef folder = llvm::sys::path::parent_path(path);
  return import(std::move(buffer), folder.empty() ? "." : folder, loc, options);
}

OwningOpRef<ModuleOp>
nacre::importOnnx(std::unique_ptr<llvm::MemoryBuffer> model, StringRef folder,
                  MLIRContext &context, const ImportOptions &options) {
  Location loc =
      FileLineColLoc::get(&context, model->getBufferIdentifier(), 0, 0);
  return import(std::move(model), folder, loc, options);
}
