//===- PackedInputs.cpp - Inputs that are sequences -------------*- C++ -*-===//
//
// A sequence that a run is given has any number of elements of one rank: it comes packed
// (Sequences.h), and what it says of its elements' sizes is checked.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/ShapeVectors.h"
#include "frontends/onnx/TensorData.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;

std::optional<int64_t> GraphImporter::getPackedRank(const std::string &name, const ::onnx::TypeProto_Tensor &type) {
  auto shown = options.examples.find(name);
  bool isShown = shown != options.examples.end() && shown->second;
  bool isNothing = !isShown && shown != options.examples.end();
  // Shapes of single elements are for as many as there are.
  std::string first = name + "[";
  auto fixed = options.inputShapes.lower_bound(first);
  bool isFixed = fixed != options.inputShapes.end() && StringRef(fixed->first).starts_with(first);
  if (isNothing || isFixed || options.inputLengths.count(name))
    return std::nullopt;
  if (type.has_shape())
    return type.shape().dim_size();
  if (auto given = options.inputShapes.find(name); given != options.inputShapes.end())
    return given->second.size();
  if (!isShown || shown->second->empty() ||
      !llvm::all_equal(llvm::map_range(*shown->second, [](ArrayRef<int64_t> shape) { return shape.size(); })))
    return std::nullopt;
  return shown->second->front().size();
}

int64_t GraphImporter::getKnownSize(const ::onnx::TensorShapeProto_Dimension &dim) const {
  if (dim.has_dim_value())
    return dim.dim_value() < 0 ? ShapedType::kDynamic : dim.dim_value();
  auto bound = symbolSizes.find(dim.dim_param());
  return dim.dim_param().empty() || bound == symbolSizes.end() ? ShapedType::kDynamic : bound->second;
}

Value GraphImporter::makePackedInput(const InputValue &input, ValueRange arguments, OpBuilder &builder, Location loc) {
  NodeContext c(*this, builder, loc);
  ShapeVectors v(c);
  PackedSequence sequence{arguments[0], arguments[1]};
  const std::string &name = input.proto->name();
  // What the model and the options say of the elements' sizes.
  SmallVector<int64_t> sizes(sequence.getRank(), ShapedType::kDynamic);
  for (auto [axis, dim] : llvm::enumerate(input.element->shape().dim()))
    sizes[axis] = getKnownSize(dim);
  if (auto given = options.inputShapes.find(name); given != options.inputShapes.end()) {
    if (given->second.size() != sizes.size()) {
      (void)error(modelLoc, "input " + quoted(name) + " has elements of rank " + Twine(sizes.size()) +
                                ", the shape given for it has rank " + Twine(given->second.size()));
      return {};
    }
    for (auto [size, other] : llvm::zip_equal(sizes, given->second))
      size = ShapedType::isDynamic(other) ? size : other;
  }
  // Numbers of elements as f64, which do not overflow.
  Type f64 = builder.getF64Type();
  Value shapes = sequence.shapes, length = v.cast(v.size(shapes, 0), f64);
  Value flat = c.make<nn::CollapseOp>(shapes, 0, 2);
  Value counts = sizes.empty() ? Value() : c.make<nn::ReduceOp>(nn::ReduceKind::prod, v.cast(shapes, f64),
                                                                ArrayRef<int64_t>{1}, /*keepdims=*/false);
  Value total = sizes.empty() ? v.toScalar(length) : v.sum(counts);
  Value fits = v.compare(nn::ComparePredicate::eq, total, v.toScalar(v.cast(v.size(sequence.data, 0), f64)));
  if (failed(c.require(v.all(v.compare(nn::ComparePredicate::ge, flat, v.scalar(0))), "an element has a size below 0")) ||
      failed(c.require(fits, "the sizes of its elements are not those of its data")))
    return {};
  for (auto [axis, size] : llvm::enumerate(sizes)) {
    if (ShapedType::isDynamic(size))
      continue;
    Value column = c.make<nn::GatherOp>(shapes, v.scalar(axis), 1, /*in_bounds=*/true);
    if (failed(c.require(v.all(v.compare(nn::ComparePredicate::eq, column, v.scalar(size))),
                         "an element has another size than " + Twine(size) + " in dimension " + Twine(axis))))
      return {};
  }
  return makePacked(builder, loc, sequence);
}
