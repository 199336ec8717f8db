//===- TreeConverters.cpp - Ensembles of decision trees ---------*- C++ -*-===//
//
// Which leaf a row reaches in each tree is one nn.tree_leaves; what the leaves give is
// gathered, and joined for each target.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/Expr.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Scores.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <map>
#include <set>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

namespace {

enum class Joining { Average, Sum, Min, Max };

/// The bits of nn.tree_leaves' outcomes.
enum Outcome : int8_t { kLess = 1, kEqual = 2, kGreater = 4, kNaN = 8 };

/// What an inner node does, in the order of opset 5's numbers; the last is a set.
constexpr int8_t kOutcomes[] = {kLess | kEqual, kLess,  kEqual | kGreater,        kGreater,
                                kEqual,         kEqual ^ (kLess | kEqual | kGreater | kNaN)};
constexpr int64_t kMember = 6;

/// All trees. A number of a node from 0 on, or -1 - leaf.
struct Forest {
  SmallVector<int32_t> roots, features, yes, no;
  SmallVector<int8_t> outcomes;
  SmallVector<double> splits;
  /// What each leaf gives: weights, and which targets they are for.
  SmallVector<SmallVector<std::pair<int64_t, double>>> leaves;
  int64_t targets = 0;

  int32_t add(int64_t feature, double split, int8_t outcome) {
    features.push_back(feature);
    splits.push_back(split);
    outcomes.push_back(outcome);
    yes.push_back(-1);
    no.push_back(-1);
    return features.size() - 1;
  }
};

template <typename T> Value integersConstant(NodeContext &c, ArrayRef<T> numbers) {
  Type element = c.getBuilder().getIntegerType(8 * sizeof(T));
  return c.constant(DenseElementsAttr::get(RankedTensorType::get({int64_t(numbers.size())}, element), numbers));
}

/// Every way from a root ends.
LogicalResult checkWays(NodeContext &c, const Forest &forest) {
  enum : char { kNew, kOpen, kDone };
  SmallVector<char> states(forest.features.size(), kNew);
  SmallVector<int32_t> way;
  for (int32_t root : forest.roots) {
    if (root < 0 || states[root] == kDone)
      continue;
    way.push_back(root);
    while (!way.empty()) {
      int32_t node = way.back();
      if (states[node] != kNew) { // all below has been looked at
        states[node] = kDone;
        way.pop_back();
        continue;
      }
      states[node] = kOpen;
      for (int32_t next : {forest.yes[node], forest.no[node]}) {
        if (next >= 0 && states[next] == kOpen)
          return c.error("a way through a tree comes back to a node that it has passed");
        if (next >= 0 && states[next] == kNew)
          way.push_back(next);
      }
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What comes out
//===----------------------------------------------------------------------===//

/// [rows, targets] of `element`, before a transformation. A target of no leaf has the largest
/// or smallest number of the result's type.
Value joinLeaves(NodeContext &c, const Forest &forest, Value leaves, Joining joining, Type element, Type result) {
  ShapeVectors v(c);
  double largest = APFloat::getLargest(cast<FloatType>(result).getFloatSemantics()).convertToDouble();
  double initial = joining == Joining::Min ? largest : joining == Joining::Max ? -largest : 0;
  auto [scatter, reduce] = joining == Joining::Min   ? std::pair(nn::ScatterReduction::Min, nn::ReduceKind::min)
                           : joining == Joining::Max ? std::pair(nn::ScatterReduction::Max, nn::ReduceKind::max)
                                                     : std::pair(nn::ScatterReduction::Add, nn::ReduceKind::sum);
  // Leaves that give less than others give something that changes nothing.
  size_t width = 1;
  for (const auto &leaf : forest.leaves)
    width = std::max(width, leaf.size());
  constexpr size_t kMost = 1 << 26; // a few wide leaves among many would use up all memory
  if (forest.leaves.size() * width > kMost) {
    (void)c.error("it has " + Twine(forest.leaves.size()) + " leaves of up to " + Twine(width) +
                  " weights, expected at most " + Twine(kMost) + " in all");
    return {};
  }
  SmallVector<double> weights;
  SmallVector<int64_t> targets;
  for (const auto &leaf : forest.leaves)
    for (size_t i = 0; i < width; ++i) {
      weights.push_back(i < leaf.size() ? leaf[i].second : initial);
      targets.push_back(i < leaf.size() ? leaf[i].first : 0);
    }
  auto table = [&](Value vector) -> Value {
    Value shape = v.constant({int64_t(forest.leaves.size()), int64_t(width)});
    Value rows = vector ? c.make<nn::ReshapeOp>(vector, shape, /*allowzero=*/true) : Value();
    Value taken = rows ? c.make<nn::GatherOp>(rows, leaves, 0, /*in_bounds=*/true) : Value();
    return taken ? c.make<nn::CollapseOp>(taken, 1, 3) : Value();
  };
  Value given = table(vectorConstant(c, element, weights));
  if (!given)
    return {};
  Value joined;
  if (forest.targets == 1) {
    joined = c.make<nn::ReduceOp>(reduce, given, ArrayRef<int64_t>{1}, /*keepdims=*/true);
  } else {
    Value places = table(integersConstant<int64_t>(c, targets));
    Value start = v.broadcast(c.scalarConstant(element, initial), v.concat({v.size(leaves, 0), v.constant(forest.targets)}));
    joined = places && start ? c.make<nn::ScatterElementsOp>(start, places, given, 1, scatter, /*in_bounds=*/true) : Value();
  }
  if (joining == Joining::Average)
    joined = v.div(joined, c.scalarConstant(element, forest.roots.size()));
  return joined;
}

/// The leaf of each tree; the features, of any type, are compared in that of the splits.
Value findLeaves(NodeContext &c, const Forest &forest, Type element) {
  ShapeVectors v(c);
  Value x = c.input(0);
  if (c.rankOf(x) == 1)
    x = c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{0});
  if (!x || c.rankOf(x) != 2) {
    if (x)
      (void)c.error("the input has rank " + Twine(c.rankOf(x)) + ", expected 2");
    return {};
  }
  int64_t most = -1;
  for (int32_t feature : forest.features)
    most = std::max<int64_t>(most, feature);
  int64_t known = c.typeOf(x).getDimSize(1);
  std::string text = "the trees look at feature " + std::to_string(most) + " of too few";
  if (!ShapedType::isDynamic(known) && known <= most) {
    (void)c.error("the trees look at feature " + Twine(most) + " of " + Twine(known));
    return {};
  }
  Value enough = v.compare(nn::ComparePredicate::gt, v.toScalar(v.size(x, 1)), v.scalar(most));
  if (!enough || failed(c.require(enough, text)))
    return {};
  Value features = v.cast(x, element), splits = vectorConstant(c, element, forest.splits);
  return c.make<nn::TreeLeavesOp>(features, integersConstant<int32_t>(c, forest.roots),
                                  integersConstant<int32_t>(c, forest.features), splits,
                                  integersConstant<int8_t>(c, forest.outcomes), integersConstant<int32_t>(c, forest.yes),
                                  integersConstant<int32_t>(c, forest.no));
}

//===----------------------------------------------------------------------===//
// TreeEnsemble
//===----------------------------------------------------------------------===//

/// The numbers of a tensor attribute, which must be there; nullopt after an error.
std::optional<SmallVector<double>> getNumbers(NodeContext &c, StringRef name) {
  Value value = c.getTensor(name);
  if (!value)
    return std::nullopt;
  auto numbers = c.constantFloats(value);
  if (!numbers)
    (void)c.error("the attribute " + nn::quoted(name) + " holds no numbers");
  return numbers;
}

LogicalResult readForest(NodeContext &c, Forest &forest) {
  auto splits = getNumbers(c, "nodes_splits"), modes = getNumbers(c, "nodes_modes"), weights = getNumbers(c, "leaf_weights");
  SmallVector<int64_t> features = c.getInts("nodes_featureids"), yes = c.getInts("nodes_truenodeids"),
                       no = c.getInts("nodes_falsenodeids"), yesLeafs = c.getInts("nodes_trueleafs"),
                       noLeafs = c.getInts("nodes_falseleafs"), roots = c.getInts("tree_roots"),
                       targets = c.getInts("leaf_targetids");
  SmallVector<int64_t> missing = c.getInts("nodes_missing_value_tracks_true", SmallVector<int64_t>(features.size(), 0));
  auto members = c.hasAttr("membership_values") ? getNumbers(c, "membership_values") : SmallVector<double>();
  c.ignoreAttr("nodes_hitrates"); // how often nodes are passed
  forest.targets = c.getInt("n_targets", 0);
  if (!splits || !modes || !weights || !members)
    return failure();
  size_t count = features.size();
  for (size_t size : {splits->size(), modes->size(), yes.size(), no.size(), yesLeafs.size(), noLeafs.size(), missing.size()})
    if (size != count)
      return c.error("the attributes 'nodes_…' have " + Twine(count) + " and " + Twine(size) + " elements");
  if (weights->size() != targets.size() || targets.empty())
    return c.error("the attributes 'leaf_…' have " + Twine(weights->size()) + " and " + Twine(targets.size()) + " elements");
  for (auto [weight, target] : llvm::zip_equal(*weights, targets)) {
    if (target < 0 || target >= forest.targets)
      return c.error("a leaf is for target " + Twine(target) + " of " + Twine(forest.targets));
    forest.leaves.push_back({{target, weight}});
  }
  for (size_t i = 0; i < count; ++i) {
    // As a number first: it need not be an integer's, nor one at all.
    if (!((*modes)[i] >= 0 && (*modes)[i] <= kMember))
      return c.error("a node's mode is " + llvm::formatv("{0}", (*modes)[i]).str() + ", expected 0 to 6");
    int64_t mode = int64_t((*modes)[i]);
    if (features[i] < 0 || features[i] > INT32_MAX)
      return c.error("a node looks at feature " + Twine(features[i]));
    forest.add(features[i], (*splits)[i], (mode == kMember ? kEqual : kOutcomes[mode]) | (missing[i] ? kNaN : 0));
  }
  auto end = [&](ArrayRef<int64_t> ids, ArrayRef<int64_t> leafs, size_t i) -> std::optional<int32_t> {
    int64_t limit = leafs[i] ? forest.leaves.size() : count;
    if (ids[i] < 0 || ids[i] >= limit) {
      (void)c.error("a node leads to " + Twine(leafs[i] ? "leaf " : "node ") + Twine(ids[i]) + " of " + Twine(limit));
      return std::nullopt;
    }
    return leafs[i] ? -1 - ids[i] : ids[i];
  };
  const double *member = members->begin();
  for (size_t i = 0; i < count; ++i) {
    auto yesEnd = end(yes, yesLeafs, i), noEnd = end(no, noLeafs, i);
    if (!yesEnd || !noEnd)
      return failure();
    forest.yes[i] = *yesEnd;
    forest.no[i] = *noEnd;
    if (int64_t((*modes)[i]) != kMember)
      continue;
    // A node for each member, one after the other.
    int32_t node = i;
    bool isFirst = true;
    for (; member != members->end() && !std::isnan(*member); ++member, isFirst = false) {
      if (!isFirst) {
        int32_t next = forest.add(features[i], *member, forest.outcomes[node]);
        forest.no[node] = next;
        node = next;
        forest.yes[node] = *yesEnd;
        forest.no[node] = *noEnd;
      }
      forest.splits[node] = *member;
    }
    if (member == members->end())
      return c.error("'membership_values' has fewer sets than there are nodes that want one");
    ++member;
    if (isFirst) // of nothing
      forest.outcomes[i] &= kNaN;
  }
  for (int64_t root : roots) {
    if (root < 0 || root >= int64_t(count))
      return c.error("a tree begins at node " + Twine(root) + " of " + Twine(count));
    forest.roots.push_back(root);
  }
  if (forest.roots.empty())
    return c.error("it has no trees");
  return checkWays(c, forest);
}

LogicalResult convertTreeEnsemble(NodeContext &c) {
  int64_t joining = c.getInt("aggregate_function", 1), transformation = c.getInt("post_transform", 0);
  if (joining < 0 || joining > 3 || transformation < 0 || transformation > 4)
    return c.error("'aggregate_function' and 'post_transform' are " + Twine(joining) + " and " + Twine(transformation) +
                   ", expected 0 to 3 and 0 to 4");
  Forest forest;
  if (failed(readForest(c, forest)))
    return failure();
  Type element = c.inputType(0).getElementType(), wide = nn::getComputeType(element);
  Value leaves = findLeaves(c, forest, element);
  Value joined = leaves ? joinLeaves(c, forest, leaves, Joining(joining), wide, element) : Value();
  Value result = ShapeVectors(c).cast(transformScores(c, joined, Transform(transformation)), element);
  return result ? c.replaceWith(result) : failure();
}

//===----------------------------------------------------------------------===//
// TreeEnsembleRegressor, TreeEnsembleClassifier: until opset 5
//===----------------------------------------------------------------------===//

/// A list of numbers, or, since opset 3, a tensor, and its type: f64 only as such a tensor.
SmallVector<double> getFloats(NodeContext &c, const std::string &name, bool *isDouble = nullptr) {
  if (c.hasAttr(name))
    return c.getFloats(name);
  Value value = c.version() >= 3 ? c.getTensor(name + "_as_tensor") : Value();
  if (!value)
    return {};
  if (isDouble && c.typeOf(value).getElementType().isF64())
    *isDouble = true;
  return c.constantFloats(value).value_or(SmallVector<double>());
}

/// Nodes are named by trees and numbers, leaves are nodes too. `ends` is the prefix of what
/// leaves give.
LogicalResult readNamedForest(NodeContext &c, StringRef ends, Forest &forest, bool &isDouble) {
  SmallVector<double> splits = getFloats(c, "nodes_values", &isDouble);
  SmallVector<double> weights = getFloats(c, (ends + "_weights").str(), &isDouble);
  SmallVector<StringRef> modes = c.getStrings("nodes_modes");
  SmallVector<int64_t> trees = c.getInts("nodes_treeids"), names = c.getInts("nodes_nodeids"),
                       features = c.getInts("nodes_featureids"), yes = c.getInts("nodes_truenodeids"),
                       no = c.getInts("nodes_falsenodeids");
  SmallVector<int64_t> missing = c.getInts("nodes_missing_value_tracks_true", SmallVector<int64_t>(trees.size(), 0));
  SmallVector<int64_t> endTrees = c.getInts((ends + "_treeids").str()), endNames = c.getInts((ends + "_nodeids").str()),
                       targets = c.getInts((ends + "_ids").str());
  c.ignoreAttr("nodes_hitrates"); // how often nodes are passed
  c.ignoreAttr("nodes_hitrates_as_tensor");
  if (c.hadError())
    return failure();
  size_t count = trees.size();
  if (missing.empty())
    missing.assign(count, 0);
  for (size_t size : {splits.size(), modes.size(), names.size(), features.size(), yes.size(), no.size(), missing.size()})
    if (size != count || count == 0)
      return c.error("the attributes 'nodes_…' have " + Twine(count) + " and " + Twine(size) + " elements");
  for (size_t size : {endTrees.size(), endNames.size(), targets.size()})
    if (size != weights.size())
      return c.error("the attributes '" + ends + "_…' have " + Twine(weights.size()) + " and " + Twine(size) + " elements");

  // First numbers for all, then what they lead to. A tree begins at its first node. A file may give any integers as
  // names, also the two that a DenseMap keeps for itself.
  std::map<std::pair<int64_t, int64_t>, int32_t> numbers;
  std::set<int64_t> begun;
  for (size_t i = 0; i < count; ++i) {
    int64_t mode = llvm::StringSwitch<int64_t>(modes[i])
                       .Case("BRANCH_LEQ", 0)
                       .Case("BRANCH_LT", 1)
                       .Case("BRANCH_GTE", 2)
                       .Case("BRANCH_GT", 3)
                       .Case("BRANCH_EQ", 4)
                       .Case("BRANCH_NEQ", 5)
                       .Case("LEAF", kMember)
                       .Default(-1);
    if (mode < 0)
      return c.error("a node's mode is " + nn::quoted(modes[i]) + ", expected BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, "
                     "BRANCH_GT, BRANCH_EQ, BRANCH_NEQ or LEAF");
    int32_t number;
    if (mode == kMember) {
      forest.leaves.emplace_back();
      number = -int32_t(forest.leaves.size());
    } else {
      if (features[i] < 0 || features[i] > INT32_MAX)
        return c.error("a node looks at feature " + Twine(features[i]));
      number = forest.add(features[i], splits[i], kOutcomes[mode] | (missing[i] ? kNaN : 0));
    }
    if (!numbers.insert({{trees[i], names[i]}, number}).second)
      return c.error("tree " + Twine(trees[i]) + " has the node " + Twine(names[i]) + " twice");
    if (begun.insert(trees[i]).second)
      forest.roots.push_back(number);
  }
  for (size_t i = 0; i < count; ++i) {
    int32_t number = numbers.at({trees[i], names[i]});
    if (number < 0)
      continue;
    auto yesEnd = numbers.find({trees[i], yes[i]}), noEnd = numbers.find({trees[i], no[i]});
    if (yesEnd == numbers.end() || noEnd == numbers.end())
      return c.error("node " + Twine(names[i]) + " of tree " + Twine(trees[i]) + " leads to a node that is not there");
    forest.yes[number] = yesEnd->second;
    forest.no[number] = noEnd->second;
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = numbers.find({endTrees[i], endNames[i]});
    if (found == numbers.end() || found->second >= 0)
      return c.error("'" + ends + "_…' name the leaf " + Twine(endNames[i]) + " of tree " + Twine(endTrees[i]) +
                     ", which is none");
    if (targets[i] < 0 || targets[i] >= forest.targets)
      return c.error("a leaf is for target " + Twine(targets[i]) + " of " + Twine(forest.targets));
    forest.leaves[-1 - found->second].push_back({targets[i], weights[i]});
  }
  if (forest.features.empty()) // trees of one leaf each; the op wants a node
    forest.add(0, 0, 0);
  return checkWays(c, forest);
}

/// What is added for each target.
Value addBase(NodeContext &c, Value scores, ArrayRef<double> base) {
  if (base.empty() || !scores)
    return scores;
  Value values = vectorConstant(c, NodeContext::typeOf(scores).getElementType(), base);
  return ShapeVectors(c).add(scores, values);
}

LogicalResult convertTreeRegressor(NodeContext &c) {
  auto joining = llvm::StringSwitch<std::optional<Joining>>(c.getString("aggregate_function", "SUM"))
                     .Case("AVERAGE", Joining::Average)
                     .Case("SUM", Joining::Sum)
                     .Case("MIN", Joining::Min)
                     .Case("MAX", Joining::Max)
                     .Default(std::nullopt);
  if (!joining)
    return c.error("the attribute 'aggregate_function' is " + nn::quoted(c.getString("aggregate_function")) +
                   ", expected AVERAGE, SUM, MIN or MAX");
  auto kind = getTransform(c);
  Forest forest;
  forest.targets = c.getInt("n_targets", 1);
  SmallVector<double> base = getFloats(c, "base_values");
  if (forest.targets < 1 || forest.targets > 1 << 24 || (!base.empty() && int64_t(base.size()) != forest.targets))
    return c.error("it has " + Twine(forest.targets) + " targets and " + Twine(base.size()) + " values to begin with");
  bool isDouble = false;
  if (!kind || failed(readNamedForest(c, "target", forest, isDouble)))
    return failure();
  Type element = isDouble ? Type(c.getBuilder().getF64Type()) : Type(c.getBuilder().getF32Type());
  Value leaves = findLeaves(c, forest, element);
  Value joined = leaves ? joinLeaves(c, forest, leaves, *joining, element, element) : Value();
  Value result = transformScores(c, addBase(c, joined, base), *kind);
  result = ShapeVectors(c).cast(result, c.getBuilder().getF32Type());
  return result ? c.replaceWith(result) : failure();
}

/// A label for each row, and the scores of all classes.
LogicalResult convertTreeClassifier(NodeContext &c) {
  auto kind = getTransform(c);
  Labels labels(c, "classlabels_strings", "classlabels_int64s");
  Forest forest;
  forest.targets = labels.size();
  SmallVector<double> base = getFloats(c, "base_values");
  bool isDouble = false;
  if (forest.targets < 2)
    return c.error("it has " + Twine(forest.targets) + " labels, expected 2 or more");
  if (!kind || failed(readNamedForest(c, "class", forest, isDouble)))
    return failure();
  ShapeVectors v(c);
  Type element = isDouble ? Type(c.getBuilder().getF64Type()) : Type(c.getBuilder().getF32Type());
  // Two classes, but all weights are one's.
  bool arePositive = true, isOneSided = forest.targets == 2;
  std::optional<int64_t> only;
  for (const auto &leaf : forest.leaves)
    for (auto [target, weight] : leaf) {
      isOneSided &= !only || *only == target;
      arePositive &= weight >= 0;
      only = target;
    }
  isOneSided &= bool(only);
  if (!base.empty() && int64_t(base.size()) != forest.targets && !(isOneSided && base.size() == 1))
    return c.error("it has " + Twine(forest.targets) + " classes and " + Twine(base.size()) + " values to begin with");
  if (isOneSided) {
    for (auto &leaf : forest.leaves)
      for (auto &[target, weight] : leaf)
        target = 0;
    forest.targets = 1;
    if (base.size() == 2)
      base = {base[1]};
  }
  Value leaves = findLeaves(c, forest, element);
  Value joined = addBase(c, leaves ? joinLeaves(c, forest, leaves, Joining::Sum, element, element) : Value(), base);
  if (!joined)
    return failure();
  Value places, scores;
  if (isOneSided) {
    Value isSecond = v.compare(nn::ComparePredicate::gt, joined, c.scalarConstant(element, arePositive ? 0.5 : 0));
    places = isSecond ? c.make<nn::SqueezeOp>(v.toI64(isSecond), ArrayRef<int64_t>{1}) : Value();
    scores = completeScores(c, joined, arePositive, *kind);
  } else {
    places = c.make<nn::ArgReduceOp>(nn::ReduceKind::max, joined, 1, /*keepdims=*/false, /*select_last=*/false);
    scores = transformScores(c, joined, *kind);
  }
  Value label = labels.at(c, places);
  scores = v.cast(scores, c.getBuilder().getF32Type());
  return label && scores ? c.setResults({label, scores}) : failure();
}

} // namespace

void nacre::frontend::registerTreeConverters(ConverterTable &table) {
  StringRef domain = "ai.onnx.ml";
  table.add("TreeEnsemble", convertTreeEnsemble, domain);
  table.add("TreeEnsembleClassifier", convertTreeClassifier, domain);
  table.add("TreeEnsembleRegressor", convertTreeRegressor, domain);
}
