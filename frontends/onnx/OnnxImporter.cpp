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
#include "llvm/ADT/StringSet.h"
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

/// The inputs that are vectors of integers whose lengths only the examples tell.
static SmallVector<std::pair<std::string, int64_t>> findOpenVectors(const ::onnx::GraphProto &graph,
                                                                    const ImportOptions &options) {
  SmallVector<std::pair<std::string, int64_t>> vectors;
  for (const auto &input : graph.input()) {
    const auto &type = input.type().tensor_type();
    auto shown = options.examples.find(input.name());
    bool isOpen = !type.has_shape() || (type.shape().dim_size() == 1 && !type.shape().dim(0).has_dim_value());
    if (!llvm::is_contained({::onnx::TensorProto::INT32, ::onnx::TensorProto::INT64}, type.elem_type()) || !isOpen ||
        options.inputShapes.count(input.name()) || shown == options.examples.end() || !shown->second)
      continue;
    ArrayRef<SmallVector<int64_t>> shapes = *shown->second;
    if (shapes.size() == 1 && shapes[0].size() == 1)
      vectors.emplace_back(input.name(), shapes[0][0]);
  }
  return vectors;
}

static OwningOpRef<ModuleOp> importOnce(ModelFile &file, Location loc, const ImportOptions &options, bool &lacksRank) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  GraphImporter importer(*loc.getContext(), options, file, *module, loc);
  bool isGood = succeeded(importer.run()) && succeeded(verify(*module));
  lacksRank = importer.lacksRank();
  return isGood ? std::move(module) : nullptr;
}

/// Imports with the lengths that are known. Where a rank depends on others, also with those that the
/// examples have: of one vector alone, or of all of them.
static OwningOpRef<ModuleOp> importGraph(ModelFile &file, Location loc, const ImportOptions &options) {
  bool lacksRank = false;
  auto vectors = findOpenVectors(file.model().graph(), options);
  if (vectors.empty())
    return importOnce(file, loc, options, lacksRank);

  SmallVector<ImportOptions> choices(1 + vectors.size() + (vectors.size() > 1), options);
  for (auto [i, vector] : llvm::enumerate(vectors)) {
    choices[1 + i].inputShapes[vector.first] = {vector.second};
    choices.back().inputShapes[vector.first] = {vector.second};
  }
  OwningOpRef<ModuleOp> module;
  std::vector<Diagnostic> said; // of the first choice, unless another is good
  for (const ImportOptions &choice : choices) {
    std::vector<Diagnostic> own;
    {
      ScopedDiagnosticHandler collector(loc.getContext(), [&](Diagnostic &diagnostic) {
        own.push_back(std::move(diagnostic));
        return success();
      });
      module = importOnce(file, loc, choice, lacksRank);
    }
    if (module || said.empty())
      said = std::move(own);
    if (module || !lacksRank)
      break;
  }
  for (Diagnostic &diagnostic : said)
    loc.getContext()->getDiagEngine().emit(std::move(diagnostic));
  return module;
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
  OwningOpRef<ModuleOp> module = importGraph(file, loc, options);
  if (!module)
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

static std::optional<std::vector<ModelInput>> list(std::shared_ptr<llvm::MemoryBuffer> buffer, std::string &error) {
  ModelFile file;
  if (!file.parse(std::move(buffer), "", ImportOptions(), error))
    return std::nullopt;
  llvm::StringSet<> initialized;
  for (const auto &tensor : file.model().graph().initializer())
    initialized.insert(tensor.name());
  std::vector<ModelInput> inputs;
  for (const auto &input : file.model().graph().input()) {
    if (initialized.contains(input.name()))
      continue;
    const ::onnx::TypeProto *type = &input.type();
    bool isOptional = type->has_optional_type();
    if (isOptional)
      type = &type->optional_type().elem_type();
    if (type->has_sequence_type())
      type = &type->sequence_type().elem_type();
    inputs.push_back({input.name(), type->has_tensor_type() && !type->tensor_type().has_shape(), isOptional});
  }
  return inputs;
}

std::optional<std::vector<ModelInput>> nacre::listOnnxInputs(StringRef path, std::string &error) {
  auto buffer = mapFile(path, error);
  return buffer ? list(std::move(buffer), error) : std::nullopt;
}

std::optional<std::vector<ModelInput>> nacre::listOnnxInputs(std::unique_ptr<llvm::MemoryBuffer> model,
                                                             std::string &error) {
  return list(std::move(model), error);
}
