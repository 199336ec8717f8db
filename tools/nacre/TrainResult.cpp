//===- TrainResult.cpp - What a training comes to ---------------*- C++ -*-===//
#include "tools/nacre/TrainResult.h"
#include "compiler/support/OutputFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace nacre;
using namespace nacre::tool;

/// What the trained model is compiled into if it is not written as it was read.
static std::optional<Emit> getArtefact(llvm::StringRef output) {
  for (Emit kind : {Emit::Shared, Emit::Object, Emit::StaticLibrary})
    if (llvm::sys::path::extension(output) == llvm::StringRef(getEnding(kind)))
      return kind;
  return std::nullopt;
}

std::string tool::checkName(llvm::StringRef path, llvm::StringRef output) {
  llvm::StringRef ending = llvm::sys::path::extension(path), own = llvm::sys::path::extension(output);
  bool isOther = own == ".mlir" || own == ".onnx" || llvm::any_of(kEmitKinds, [&](Emit kind) {
    return !own.empty() && llvm::StringRef(getEnding(kind)) == own;
  });
  if (own == ending || getArtefact(output) || (ending == ".onnx" && !isOther) || (ending == ".mlir" && own.empty()))
    return "";
  return ("-o " + output + ": the trained model is a file like " + path + ", or compiled for inference: expected a name "
          "that ends in " + ending + ", or in .so, .o or .a").str();
}

Status tool::checkPlace(const std::string &output) {
  if (llvm::sys::fs::is_directory(output))
    return Error{NACRE_IO_ERROR, "-o " + output + ": is a folder, expected a file's name"};
  if (llvm::Expected<OutputFile> file = OutputFile::create(output); !file)
    return Error{NACRE_IO_ERROR, "cannot write '" + output + "': " + llvm::toString(file.takeError())};
  return {};
}

Status tool::writeResult(Exporter &exporter, Session &session, const CompileOptions &trained, const std::string &path,
                         const std::string &output) {
  std::optional<Emit> kind = getArtefact(output);
  if (!kind)
    return exporter.write(session, output);
  CompileOptions options = trained;
  options.train.reset();
  options.trainMemory = nullptr;
  options.emit = {*kind};
  // Beside the artefact, where there is room for it; of the name that the artefact tells of.
  llvm::SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory(output + ".making", folder))
    return Error{NACRE_IO_ERROR, "cannot write beside '" + output + "': " + code.message()};
  llvm::SmallString<128> model = folder;
  llvm::sys::path::append(model, llvm::sys::path::filename(path));
  Status written = exporter.write(session, model.str().str());
  if (written) {
    // A training is worth more than its artefact.
    if (Status compiled = compileToFile(model.str().str(), output, options); !compiled)
      return Error{compiled.error().status, compiled.error().message + "\nthe trained model is kept: " + model.str().str()};
  }
  (void)llvm::sys::fs::remove_directories(folder);
  return written;
}

std::string tool::describe(const TrainedNodes &nodes) {
  std::string text;
  auto add = [&](int64_t count, const char *what) {
    if (count)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  };
  add(nodes.batchNormalizations, "BatchNormalization");
  add(nodes.dropouts, "Dropout");
  text = text.empty() ? "" : "in training mode: " + text + "\n";
  if (nodes.foldedBatchNormalizations)
    text += "the exporter has folded BatchNormalization into " + std::to_string(nodes.foldedBatchNormalizations) +
            " convolution" + (nodes.foldedBatchNormalizations > 1 ? "s" : "") + ": these are trained, without it\n";
  else if (text.empty())
    text = "no BatchNormalization, no Dropout: if the model had any, its exporter has folded or removed it; what is in the "
           "file is trained\n";
  return text;
}
