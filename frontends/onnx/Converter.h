//===- Converter.h - How one ONNX node becomes nn ops -----------*- C++ -*-===//
//
// One C++ function converts one ONNX operator, in all its versions:
//
//   static LogicalResult convertFlatten(NodeContext &c) {
//     int64_t axis = c.getInt("axis", 1);
//     ...
//     return c.replaceWith<nn::ReshapeOp>(c.input(0), shape);
//   }
//   void nacre::frontend::registerShapeConverters(ConverterTable &table) {
//     table.add("Flatten", convertFlatten);
//   }
//
// Rules:
// - Reading an attribute marks it as known. One that the converter has not read
//   when it returns is refused by name, so read every attribute that this
//   version of the operator has, and refuse the values that you do not support.
// - Every fault is reported through error(), or by a getter or make(), and from
// then
//   on make() returns null and the node counts as failed, whatever the
//   converter returns. So a chain of make() needs one check, before looking
//   inside a value.
// - The gate has checked the node against ONNX's schema of its version before
// the
//   converter runs (frontends/onnx/Schema.h): number of inputs and outputs,
//   types of inputs and attributes, required attributes.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_CONVERTER_H
#define NACRE_FRONTENDS_ONNX_CONVERTER_H

#include "dialects/nn/NNOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <optional>

namespace onnx {
class AttributeProto;
class GraphProto;
class NodeProto;
} // namespace onnx

namespace nacre::frontend {

using llvm::ArrayRef;
using llvm::LogicalResult;
using llvm::SmallVector;
using llvm::SmallVectorImpl;
using llvm::StringRef;
using llvm::Twine;
using mlir::RankedTensorType;
using mlir::Value;

class GraphImporter;
struct Frame;
struct Scope;

/// An attribute of the node being converted, and whether the converter asked
/// for it.
struct NodeAttribute {
  const ::onnx::AttributeProto *proto = nullptr;
  bool known = false;
};

/// A rank that only a run tells: an i64 scalar from `least` on. What is above `most` is refused by the run.
struct OpenRank {
  Value rank;
  int64_t least, most;
};

/// One node being converted.
class NodeContext {
public:
  //===--------------------------------------------------------------------===//
  // The node
  //===--------------------------------------------------------------------===//

  StringRef opType() const { return op; }
  StringRef domain() const { return opDomain; }
  StringRef name() const { return nodeName; }
  /// The model is compiled for training as well: what Dropout and the like do then is an
  /// nn.in_training.
  bool isTraining() const;
  /// The opset that the model (or function) imports for the node's domain.
  int64_t version() const { return opset; }
  mlir::Location getLoc() const { return loc; }
  mlir::OpBuilder &getBuilder() { return builder; }
  mlir::MLIRContext *getContext() { return builder.getContext(); }

  //===--------------------------------------------------------------------===//
  // Inputs and outputs
  //===--------------------------------------------------------------------===//

  unsigned numInputs() const { return inputs.size(); }
  /// Null if the optional input is absent (its name is empty, or the list is
  /// shorter).
  Value input(unsigned index) const {
    return index < inputs.size() ? inputs[index] : Value();
  }
  bool hasInput(unsigned index) const { return bool(input(index)); }
  /// All inputs, absent ones null.
  ArrayRef<Value> allInputs() const { return inputs; }
  /// The type of an input that is there.
  RankedTensorType inputType(unsigned index) const {
    return typeOf(input(index));
  }
  static RankedTensorType typeOf(Value value) {
    return llvm::cast<RankedTensorType>(value.getType());
  }
  static int64_t rankOf(Value value) { return typeOf(value).getRank(); }

  /// The value that a name of the graph stands for. Null after an error.
  Value lookup(StringRef name);

  unsigned numOutputs() const { return outputNames.size(); }
  /// Whether the model names this output (an unnamed one is not wanted).
  bool hasOutput(unsigned index) const {
    return index < outputNames.size() && !outputNames[index].empty();
  }
  void setResult(unsigned index, Value value);
  /// The rank that the model declares for an output, or for what is computed
  /// from it element by element: what tells it if the shape depends on a vector
  /// whose length is not known.
  std::optional<int64_t> declaredRank(unsigned index);

  //===--------------------------------------------------------------------===//
  // Attributes. A getter marks the attribute as known; one of the wrong type is
  // reported and the default returned. References of function bodies are
  // resolved.
  //===--------------------------------------------------------------------===//

  bool hasAttr(StringRef name);
  int64_t getInt(StringRef name, int64_t otherwise);
  bool getFlag(StringRef name, bool otherwise = false);
  double getFloat(StringRef name, double otherwise);
  /// Valid as long as the model.
  StringRef getString(StringRef name, StringRef otherwise = "");
  std::optional<int64_t> getOptionalInt(StringRef name);
  std::optional<double> getOptionalFloat(StringRef name);
  std::optional<SmallVector<int64_t>> getOptionalInts(StringRef name);
  SmallVector<int64_t> getInts(StringRef name,
                               ArrayRef<int64_t> otherwise = {});
  SmallVector<double> getFloats(StringRef name);
  SmallVector<StringRef> getStrings(StringRef name);
  /// A tensor attribute as a value: a constant if it is small, else a parameter
  /// whose bytes stay in the model file. Null if absent, or after an error.
  Value getTensor(StringRef name);
  const ::onnx::GraphProto *getGraph(StringRef name);
  /// Marks an attribute as known that has no effect on the result, or only
  /// repeats what is known otherwise. Say why at the call.
  void ignoreAttr(StringRef name);

  //===--------------------------------------------------------------------===//
  // Constants: «is it known at compile time?» is asked here, nowhere else
  //===--------------------------------------------------------------------===//

  /// The value of a constant or parameter, else null.
  mlir::ElementsAttr constantValue(Value value);
  /// The elements of a constant integer tensor (any width, booleans too).
  std::optional<SmallVector<int64_t>> constantInts(Value value);
  /// The elements of a constant floating-point or integer tensor.
  std::optional<SmallVector<double>> constantFloats(Value value);

  /// What was an attribute until opset `inputSince` and is input `index` from
  /// then on (axes, pads, shape, split, ...). Null if absent, or on error. The
  /// value is a 1-D i64 tensor: a constant for the attribute form.
  Value intsOperand(StringRef attr, unsigned index, int64_t inputSince);
  /// The same where only a constant will do: nullopt if absent, or, after an
  /// error has been reported, if it is not known at compile time (see
  /// hadError()).
  std::optional<SmallVector<int64_t>>
  constantIntsOperand(StringRef attr, unsigned index, int64_t inputSince);

  /// `axis` brought into [0, rank), or an error.
  std::optional<int64_t> normalizeAxis(int64_t axis, int64_t rank);
  /// All of them, distinct, in the given order, or an error.
  std::optional<SmallVector<int64_t>> normalizeAxes(ArrayRef<int64_t> axes,
                                                    int64_t rank);

  //===--------------------------------------------------------------------===//
  // Building. Never call Op::create for an op with inferred types: where
  // inference fails, that ends the process.
  //===--------------------------------------------------------------------===//

  /// Builds an op whose result types are inferred, from the arguments that its
  /// builder without result types takes. Null after an error.
  template <typename Op, typename... Args> Op create(Args &&...args) {
    return createTyped<Op>({}, std::forward<Args>(args)...);
  }
  /// The same for an op whose result types are given; inferred where `types` is
  /// empty.
  template <typename Op, typename... Args>
  Op createTyped(mlir::TypeRange types, Args &&...args) {
    if (failed)
      return {};
    SmallVector<mlir::Type> placeholders(types);
    if (types.empty())
      placeholders.assign(countResults<Op>(), builder.getNoneType());
    mlir::OperationState state(loc, Op::getOperationName());
    Op::build(builder, state, mlir::TypeRange(placeholders),
              std::forward<Args>(args)...);
    // Builders leave properties out that are all default; inference reads them.
    if constexpr (requires { typename Op::Properties; })
      state.getOrAddProperties<typename Op::Properties>();
    return llvm::cast_or_null<Op>(finishCreate(state, /*infer=*/types.empty()));
  }
  /// The first result of create(), folded if it is small and known.
  template <typename Op, typename... Args> Value make(Args &&...args) {
    Op made = create<Op>(std::forward<Args>(args)...);
    return made ? foldedResults(made).front() : Value();
  }
  template <typename Op, typename... Args>
  Value makeTyped(mlir::Type type, Args &&...args) {
    Op made = createTyped<Op>(type, std::forward<Args>(args)...);
    return made ? foldedResults(made).front() : Value();
  }
  /// Builds an op whose results are, in order, the node's.
  template <typename Op, typename... Args>
  LogicalResult replaceWith(Args &&...args) {
    Op made = create<Op>(std::forward<Args>(args)...);
    return made ? setResults(foldedResults(made)) : llvm::failure();
  }
  /// Gives the node its only result; fails if that is null.
  LogicalResult replaceWith(Value value);
  /// Gives the node its results, in order; what it has no output for is
  /// dropped.
  LogicalResult setResults(ArrayRef<Value> values);

  /// Until opset 6, two operands broadcast only if the attribute `broadcast`
  /// says so, and `axis` says where the second's dimensions stand. Reads both
  /// attributes and gives the second operand in a form that broadcasts as NumPy
  /// does.
  Value alignLegacyBroadcast(Value lhs, Value rhs);

  /// Converts a graph attribute at the end of a block; gives the values of its
  /// outputs. The graph sees the names around the node. nullopt after an error
  /// in it, which leaves hadError() as it is, so that other graphs can still be
  /// looked at.
  std::optional<SmallVector<Value>>
  importSubgraph(const ::onnx::GraphProto &graph, ArrayRef<Value> arguments,
                 mlir::Block &block);

  /// nn.constant from an attribute.
  Value constant(mlir::ElementsAttr value);
  /// A 1-D i64 constant.
  Value intsConstant(ArrayRef<int64_t> values);
  /// Constant strings: a vector, a scalar.
  Value stringsConstant(ArrayRef<StringRef> values);
  Value stringConstant(StringRef value);
  /// A rank-0 constant of an element type; integers must be exactly
  /// representable. Of strings the empty one, whatever the value.
  Value scalarConstant(mlir::Type elementType, double value);

  /// The element type of a TensorProto.DataType (attributes `to`, `dtype`), or
  /// an error that names what is not supported.
  mlir::Type elementType(int64_t dataType);

  //===--------------------------------------------------------------------===//
  // Errors
  //===--------------------------------------------------------------------===//

  /// States that a condition (a boolean scalar) holds. Where that is not known,
  /// a run in which it does not ends with this message and the node's name.
  LogicalResult require(Value condition, const Twine &message);

  /// The rank of the result where neither the node nor the model tells it, as it depends on how many `what` there are.
  /// nullopt after an error, or where the node is to be converted again for each rank that a run may have, which
  /// the importer sees to: here it counts as failed.
  std::optional<int64_t> chooseRank(const OpenRank &open, const Twine &what);

  /// The first of `count` streams of random numbers, that nothing else draws from. Nodes
  /// with seeds of their own share them, but a node that is met again has other ones.
  int64_t takeRandomStreams(int64_t count, bool hasSeed);

  /// Reports at the node: what was found, what was expected.
  LogicalResult error(const Twine &message);
  bool hadError() const { return failed; }

private:
  friend class GraphImporter;
  friend class Trial;
  NodeContext(GraphImporter &importer, mlir::OpBuilder &builder,
              mlir::Location loc)
      : importer(importer), builder(builder), loc(loc) {}

  /// How many results a builder wants types for before they are inferred.
  template <typename Op> static constexpr unsigned countResults() {
    if constexpr (Op::template hasTrait<mlir::OpTrait::OneResult>())
      return 1;
    else if constexpr (Op::template hasTrait<
                           mlir::OpTrait::NResults<2>::template Impl>())
      return 2;
    else if constexpr (Op::template hasTrait<
                           mlir::OpTrait::NResults<3>::template Impl>())
      return 3;
    else if constexpr (Op::template hasTrait<
                           mlir::OpTrait::NResults<4>::template Impl>())
      return 4;
    else
      return 0;
  }
  mlir::Operation *finishCreate(mlir::OperationState &state, bool infer);
  SmallVector<Value> foldedResults(mlir::Operation *op);
  const ::onnx::AttributeProto *findAttr(StringRef name, int type);

  GraphImporter &importer;
  const ::onnx::NodeProto *node = nullptr;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  StringRef op, opDomain, nodeName;
  int64_t opset = 0;
  SmallVector<Value> inputs;
  SmallVector<StringRef> outputNames;
  SmallVector<Value> results;
  Scope *scope = nullptr;
  const Frame *frame = nullptr;
  llvm::SmallVector<std::pair<StringRef, NodeAttribute>> attributes;
  bool failed = false;
  /// Failed because of a node in a graph of this one, which has been reported.
  bool poisoned = false;
  /// What chooseRank() gives, and what it was asked for.
  std::optional<int64_t> assumedRank;
  std::optional<OpenRank> openRank;
};

using Converter = LogicalResult (*)(NodeContext &);

/// The converters by domain and operator.
class ConverterTable {
public:
  /// The table with every family in it.
  static const ConverterTable &get();

  void add(StringRef opType, Converter converter, StringRef domain = "");
  Converter find(StringRef domain, StringRef opType) const;
  /// Domain and operator of each, in no order.
  SmallVector<std::pair<StringRef, StringRef>> list() const;

  /// Operators of the default domain whose first output has the first input's rank: what
  /// the model declares of the one holds for the other.
  void addRankKeeping(ArrayRef<StringRef> opTypes);
  bool keepsRank(StringRef opType) const { return rankKeeping.contains(opType); }

private:
  llvm::StringMap<llvm::StringMap<Converter>> domains;
  llvm::StringSet<> rankKeeping;
};

/// A converter for an operator without attributes whose inputs are, in order,
/// the nn op's operands.
template <typename Op> LogicalResult convertUnary(NodeContext &c) {
  return c.replaceWith<Op>(c.input(0));
}
template <typename Op> LogicalResult convertBinary(NodeContext &c) {
  return c.replaceWith<Op>(c.input(0), c.input(1));
}

/// The same for operators that until opset 6 broadcast by attributes:
/// `broadcast`, and `axis`, where the second operand's dimensions stand in the
/// first's.
template <typename Op> LogicalResult convertBroadcasting(NodeContext &c) {
  return c.replaceWith<Op>(c.input(0),
                           c.alignLegacyBroadcast(c.input(0), c.input(1)));
}

/// Refuses positions that are known to lie outside of what they are positions in.
LogicalResult checkConstantIndices(NodeContext &c, mlir::Operation *op);
/// A convolution with the node's window attributes; null after an error.
Value makeConv(NodeContext &c, Value input, Value weight, Value bias);
/// The p-th root of a sum, of which norms are made: with the gradient 0 at 0, where the
/// root's own is infinite. Null after an error.
Value makeRoot(NodeContext &c, Value sum, double p);
/// Casts from and to strings, and their comparison (TextConverters.cpp).
LogicalResult convertTextCast(NodeContext &c, Value value, mlir::Type to, bool saturates, nn::Rounding rounding);
LogicalResult convertTextEqual(NodeContext &c);
/// Einsum (EinsumConverter.cpp), of the family Linear.
LogicalResult convertEinsum(NodeContext &c);

// The families, each in <Family>Converters.cpp.
void registerMathConverters(ConverterTable &table);
void registerReductionConverters(ConverterTable &table);
void registerNormalizationConverters(ConverterTable &table);
void registerLinearConverters(ConverterTable &table);
void registerAttentionConverters(ConverterTable &table);
void registerLossConverters(ConverterTable &table);
void registerTrainingConverters(ConverterTable &table);
void registerMlConverters(ConverterTable &table);
void registerMapConverters(ConverterTable &table);
void registerTreeConverters(ConverterTable &table);
void registerLinearModelConverters(ConverterTable &table);
void registerContribConverters(ConverterTable &table);
void registerConvConverters(ConverterTable &table);
void registerRecurrentConverters(ConverterTable &table);
void registerShapeConverters(ConverterTable &table);
void registerPartConverters(ConverterTable &table);
void registerIndexingConverters(ConverterTable &table);
void registerGenerateConverters(ConverterTable &table);
void registerResizeConverters(ConverterTable &table);
void registerConstantConverters(ConverterTable &table);
void registerControlConverters(ConverterTable &table);
void registerScanConverters(ConverterTable &table);
void registerFourierConverters(ConverterTable &table);
void registerSequenceConverters(ConverterTable &table);
void registerQuantConverters(ConverterTable &table);
void registerRandomConverters(ConverterTable &table);
void registerTextConverters(ConverterTable &table);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_CONVERTER_H
