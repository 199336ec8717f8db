//===- TrainData.h - Examples in files --------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINDATA_H
#define NACRE_TOOLS_NACRE_TRAINDATA_H

#include "runtime/api/nacre_data.hpp"
#include "tools/nacre/TensorFiles.h"
#include <deque>
#include <map>

namespace nacre::tool {

/// Files with examples: an archive, NAME.npy, or all of a folder. There the archives, in the order of their
/// names, are parts of one whole, or the .npy files, NAME.npy or NAME.PART.npy each.
class DataFiles {
public:
  static Result<DataFiles> open(const std::string &path);

  /// The shape of each array, all its parts together, as the files' first bytes tell of it; by the names
  /// that a model may have for it, of which X.Y.npy has two.
  std::map<std::string, std::vector<int64_t>> shapes() const;

private:
  friend class TrainData;
  using File = std::pair<std::string, std::unique_ptr<llvm::MemoryBuffer>>; // mapped, and its path

  std::string path;
  std::vector<std::pair<std::string, Archive>> archives; // with their paths, in order
  std::vector<File> arrays;                              // else the .npy files
};

/// The arrays of files that a model's training step takes. What can be used where it stands is not
/// read: it may be larger than the memory.
class TrainData {
public:
  /// Targets become of the step's type; the model's own inputs must be of theirs. What the step
  /// takes and the files lack is left to the trainer to tell. `files` must outlive the data.
  static Result<TrainData> read(const DataFiles &files, const Model &model);

  /// Over what this object and the files hold.
  std::vector<Column> columns() const { return list; }

private:
  /// An array of a part; of the step's type `wanted`, unless that is none.
  struct Found {
    std::string file;
    llvm::StringRef bytes;                                       // of a .npy file, or
    const Archive *archive = nullptr;                            // in an archive
    const ArchiveEntry *entry = nullptr;
  };
  Status add(const std::string &name, const Found &found, nacre_dtype wanted);
  /// What the step does not take, without its elements: for messages that say what there is.
  void addOthers(const DataFiles &files);
  Status checkParts(const std::vector<std::string> &parts) const;

  std::vector<Column> list;
  std::deque<HostTensor> owned; // what had to be read
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINDATA_H
