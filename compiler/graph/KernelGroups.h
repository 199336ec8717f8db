//===- KernelGroups.h - Which ops become one kernel -------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_KERNELGROUPS_H
#define NACRE_COMPILER_GRAPH_KERNELGROUPS_H

#include "dialects/nn/NNOps.h"
#include "llvm/ADT/SetVector.h"
#include <memory>
#include <string>
#include <vector>

namespace nacre::graph {

/// Ops that will be one kernel, the last first.
struct Group {
  llvm::SetVector<mlir::Operation *> ops;
  /// Those whose results are the kernel's: the last op, and new values of parameters that it is
  /// computed from.
  llvm::SmallVector<mlir::Operation *> roots;
  /// The one op that is not element-wise or a view, if any: it sets the loops.
  mlir::Operation *anchor = nullptr;
  /// Of each op whose result leaves the kernel, why it is not in that of what reads it.
  llvm::SmallVector<std::pair<mlir::Operation *, std::string>> ends;
};

/// Whether kernels compute an op, not the host.
bool isComputeOp(mlir::Operation *op);

/// The parameter whose new value an element-wise op computes; null if it does not.
nn::SetParameterOp getUpdate(mlir::Operation *op);

/// The models' nodes that an op came from: the names in its location.
void collectNodes(mlir::Location loc, llvm::SetVector<mlir::Attribute> &nodes);

/// An op by its kind and its model's node, for a remark.
std::string describeOp(mlir::Operation *op);

/// Divides the compute ops of a block into groups.
class GroupFormer {
public:
  explicit GroupFormer(mlir::Block &block) : block(block) {}

  /// All groups, in the order of their last ops; as long as this lives.
  llvm::SmallVector<Group *> run();

private:
  Group *findGroupToJoin(mlir::Operation *op, std::string &why);
  std::string findObstacle(mlir::Operation *op, const Group &group);

  mlir::Block &block;
  std::vector<std::unique_ptr<Group>> groups;
  llvm::DenseMap<mlir::Operation *, Group *> groupOf;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_KERNELGROUPS_H
