//===- OnnxImporter.h - From an ONNX file to the nn dialect -----*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_ONNXIMPORTER_H
#define NACRE_FRONTENDS_ONNX_ONNXIMPORTER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nacre {

struct ImportOptions {
  /// Shapes of inputs by name; mlir::ShapedType::kDynamic keeps a size open. That of a
  /// sequence is each element's; an element "x[0]" of it may have one of its own.
  std::map<std::string, llvm::SmallVector<int64_t>> inputShapes;
  /// How many elements an input has that is a sequence; 1 of an optional tensor, nullopt of an
  /// optional that has no element. They are part of the compiled model; else a run tells it.
  std::map<std::string, std::optional<int64_t>> inputLengths;
  /// The shapes of the elements of values that will be given to the model, by input: one of a
  /// tensor, nullopt for an optional without an element. Of them is taken what neither the model
  /// nor the options above say: ranks, and where these depend on it the length of a vector. Inputs that the model does not have are passed over.
  std::map<std::string, std::optional<std::vector<llvm::SmallVector<int64_t>>>> examples;
  /// Sizes of named dimensions, in all inputs.
  std::map<std::string, int64_t> dims;
  /// Floating-point initializers become trainable parameters, however small.
  bool trainable = false;
  /// External data may be reached through symbolic links that leave the model's
  /// folder (as in the caches of model hubs).
  bool allowSymlinks = false;
  /// Note the file's hash in the module (kSourceHashAttr); it reads the whole file.
  bool hashSource = false;
  /// Where nothing tells a rank, what depends on it is there once for each that a run may have.
  bool choosesRanks = false;

  /// The budget: what goes beyond it is refused.
  struct Limits {
    /// Graphs in graphs and functions in functions.
    unsigned depth = 64;
    /// Nodes after functions have been expanded.
    uint64_t nodes = 1'000'000;
    /// Records of the Protobuf message, and those that are messages themselves, which
    /// bounds the memory that it takes (about 40 and 250 bytes each, at most).
    uint64_t records = 32'000'000;
    uint64_t messages = 10'000'000;
    /// Bytes of the file without tensor data.
    uint64_t structureBytes = uint64_t(1) << 30;
  } limits;

  /// Takes "data=1x3x224x224" ("?" for a size that stays open, nothing after
  /// "=" for a scalar). False with a message if it is malformed.
  bool addInputShape(llvm::StringRef text, std::string &error);
  /// Takes "sequence=3" and "optional=none".
  bool addInputLength(llvm::StringRef text, std::string &error);
  /// Takes "batch=8".
  bool addDim(llvm::StringRef text, std::string &error);
};

/// Reads a model and checks all of it. Null if anything is wrong or
/// unsupported: then every fault has been reported as an error diagnostic, each
/// at the location of its node (dialects/nn/NodeLocation.h makes a line of text
/// of it). Weights are not copied: the module's resources point into the mapped
/// files and keep them mapped; their bytes may be aligned to less than an
/// element. Loads the dialects that it needs.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::StringRef path,
                                             mlir::MLIRContext &context,
                                             const ImportOptions &options = {});

/// A module's attribute: the BLAKE3 hash of the file that it came from, in hexadecimal.
inline constexpr llvm::StringLiteral kSourceHashAttr = "nn.source_hash";
void setSourceHash(mlir::ModuleOp module, llvm::StringRef bytes);

/// The same for a model in memory, whose buffer the resources keep alive.
/// External data is looked for in `folder`; if that is empty, it is refused.
mlir::OwningOpRef<mlir::ModuleOp>
importOnnx(std::unique_ptr<llvm::MemoryBuffer> model, llvm::StringRef folder,
           mlir::MLIRContext &context, const ImportOptions &options = {});

/// An input that a run gives a value to, and what has to be known of it that the model leaves open: the rank
/// of a tensor, or of elements; whether an optional has an element.
struct ModelInput {
  std::string name;
  bool lacksRank, lacksElement;
};

/// The inputs of a model, in order; nullopt with a message if the file is none.
std::optional<std::vector<ModelInput>> listOnnxInputs(llvm::StringRef path, std::string &error);
std::optional<std::vector<ModelInput>> listOnnxInputs(std::unique_ptr<llvm::MemoryBuffer> model, std::string &error);

/// An operator as the standard has it since a version of its domain, or one that is no standard's (version 0).
struct OperatorVersion {
  std::string domain, name;
  int64_t since;
  /// The standard advises against it.
  bool isDeprecated;
  /// Converted by code of its own; expanded into the function that the standard defines it by; refused.
  enum class Kind { Converted, Expanded, Refused } kind;
};

/// All that the importer knows of, ordered by domain, name and version.
std::vector<OperatorVersion> listOperators();

} // namespace nacre

#endif // NACRE_FRONTENDS_ONNX_ONNXIMPORTER_H
