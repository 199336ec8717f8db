//===- Groups.h - Settings of parameters by their names ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_GROUPS_H
#define NACRE_COMPILER_TRAIN_GROUPS_H

#include "compiler/train/Optimizers.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/GlobPattern.h"
#include <vector>

namespace nacre::train {

/// How the parameters of one group are trained.
struct Group {
  spec::Text text;
  llvm::GlobPattern pattern;
  spec::Request optimizer;
  double rateFactor = 1;
  bool isFrozen = false;
};

/// Reads "*.bias:weight_decay=0 + encoder*:frozen": a pattern (llvm::GlobPattern) and what differs
/// from the optimizer's settings, or lr_factor or frozen. False after a message.
bool parseGroups(spec::Text list, const spec::Request &optimizer, std::vector<Group> &groups,
                 spec::Message &message);

/// The first group whose pattern matches; -1 if none does.
int findGroup(llvm::ArrayRef<Group> groups, llvm::StringRef parameter);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_GROUPS_H
