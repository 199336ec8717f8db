//===- TrainData.h - Examples in files --------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINDATA_H
#define NACRE_TOOLS_NACRE_TRAINDATA_H

#include "runtime/api/nacre_data.hpp"
#include "tools/nacre/TensorFiles.h"

namespace nacre::tool {

/// The arrays of a .npz archive that a model's training step takes.
class TrainData {
public:
  /// Targets become of the step's type; the model's own inputs must be of theirs. What the step
  /// takes and the archive lacks is left to the trainer to tell.
  static Result<TrainData> read(const Archive &archive, const Model &model);

  /// Over what this object holds.
  std::vector<Column> columns() const;
  /// Of all names, types, shapes and elements.
  std::string hash() const;

private:
  std::vector<std::pair<std::string, HostTensor>> arrays;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINDATA_H
