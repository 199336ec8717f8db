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

namespace {

/// An input that is a vector, of the length that the examples have.
struct OpenVector {
  std::string name;
  int64_t length;
};

/// What came of one attempt to import a model: see GraphImporter.
struct Attempt {
  OwningOpRef<ModuleOp> module;
  bool lacksRank = false, lacksRankOnly = false;
};

} // namespace

/// The vectors whose lengths only the examples tell.
static SmallVector<OpenVector> findOpenVectors(const ::onnx::GraphProto &graph, const ImportOptions &options) {
  SmallVector<OpenVector> vectors;
  for (const ::onnx::ValueInfoProto *input : listGivenInputs(graph)) {
    const std::string &name = input->name();
    const auto &type = input->type().tensor_type();
    auto isOpen = [&](const ::onnx::TensorShapeProto::Dimension &dim) {
      return !dim.has_dim_value() && !options.dims.count(dim.dim_param());
    };
    auto shown = options.examples.find(name);
    if (!input->type().has_tensor_type() || options.inputShapes.count(name) || shown == options.examples.end() ||
        (type.has_shape() && (type.shape().dim_size() != 1 || !isOpen(type.shape().dim(0)))))
      continue;
    if (shown->second && shown->second->size() == 1 && shown->second->front().size() == 1)
      vectors.push_back({name, shown->second->front().front()});
  }
  return vectors;
}

static Attempt importOnce(ModelFile &file, Location loc, const ImportOptions &options) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  GraphImporter importer(*loc.getContext(), options, file, *module, loc);
  bool isGood = succeeded(importer.run()) && succeeded(verify(*module));
  return {isGood ? std::move(module) : nullptr, importer.lacksRank(), importer.lacksRankOnly()};
}

/// Imports with the lengths that are known. Where a rank depends on others, also with those that the
/// examples have: of one vector alone, or of all of them. What these do not tell either is left to the run.
static OwningOpRef<ModuleOp> importGraph(ModelFile &file, Location loc, const ImportOptions &options) {
  SmallVector<OpenVector> vectors = findOpenVectors(file.model().graph(), options);
  SmallVector<ArrayRef<OpenVector>> choices{{}};
  for (const OpenVector &vector : vectors)
    choices.push_back(vector);
  if (vectors.size() > 1)
    choices.push_back(vectors);
  std::vector<Diagnostic> own, said; // of the first choice, unless another has all ranks
  auto attempt = [&](const ImportOptions &fixed) {
    own.clear();
    ScopedDiagnosticHandler collector(loc.getContext(), [&](Diagnostic &diagnostic) {
      own.push_back(std::move(diagnostic));
      return success();
    });
    return importOnce(file, loc, fixed);
  };
  OwningOpRef<ModuleOp> module;
  bool isOpen = false;
  for (ArrayRef<OpenVector> choice : choices) {
    ImportOptions fixed = options;
    for (const OpenVector &vector : choice)
      fixed.inputShapes[vector.name] = {vector.length};
    Attempt made = attempt(fixed);
    isOpen = choice.empty() ? made.lacksRankOnly : made.lacksRank;
    if (choice.empty() || !isOpen) {
      said = std::move(own);
      module = std::move(made.module);
    }
    if (!isOpen)
      break;
  }
  if (isOpen && !options.trainable) {
    ImportOptions choosing = options;
    choosing.choosesRanks = true;
    module = std::move(attempt(choosing).module);
    said = std::move(own);
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
  std::vector<ModelInput> inputs;
  for (const ::onnx::ValueInfoProto *input : listGivenInputs(file.model().graph())) {
    const ::onnx::TypeProto *type = &input->type();
    bool isOptional = type->has_optional_type();
    if (isOptional)
      type = &type->optional_type().elem_type();
    if (type->has_sequence_type())
      type = &type->sequence_type().elem_type();
    inputs.push_back({input->name(), type->has_tensor_type() && !type->tensor_type().has_shape(), isOptional});
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
