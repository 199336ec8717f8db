//===- GraphImporter.h - Graphs, functions and their names ------*- C++ -*-===//
//
// Internal to the importer: walks the graphs of a model, keeps what names mean,
// calls the converters, collects the faults. A fault does not end the walk, so
// that a user sees the whole list; what depends on a failed node is passed over
// in silence.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_ONNX_GRAPHIMPORTER_H
#define NACRE_FRONTENDS_ONNX_GRAPHIMPORTER_H

#include "frontends/onnx/Converter.h"
#include "frontends/onnx/ModelFile.h"
#include "frontends/onnx/Schema.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace nacre::frontend {

/// What a name stands for.
struct NamedValue {
  /// Null for an optional input of a function that the call leaves out, and for
  /// the result of a node that could not be converted.
  Value value;
  bool failed = false;
};

/// The domain of Gradient and the optimisers.
inline constexpr llvm::StringLiteral kTrainingDomain = "ai.onnx.preview.training";

using NodeList = google::protobuf::RepeatedPtrField<::onnx::NodeProto>;
using ValueInfoList =
    google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto>;
using OpsetMap = llvm::StringMap<int64_t>;

/// What names mean within one graph. A graph in a graph sees its parent's
/// names.
struct Scope {
  Scope *parent = nullptr;
  /// Graphs and functions around.
  unsigned depth = 0;
  llvm::DenseMap<StringRef, NamedValue> values;
  /// Initializers that nothing has used yet.
  llvm::DenseMap<StringRef, const ::onnx::TensorProto *> tensors;
  /// The graph's own statements about types, looked at only where asked for.
  const ValueInfoList *declared = nullptr, *outputs = nullptr;
  std::optional<llvm::DenseMap<StringRef, const ::onnx::ValueInfoProto *>>
      declaredTypes;
  /// Who makes which value, known only after a name was not found.
  const NodeList *nodes = nullptr;
  std::optional<llvm::DenseMap<StringRef, const ::onnx::NodeProto *>> producers;
  /// The node that computes something of the same rank from a value, known only after
  /// a rank was asked for.
  std::optional<llvm::DenseMap<StringRef, const ::onnx::NodeProto *>> followers;
  /// What a Gradient node among the nodes differentiates by: these names mean an
  /// nn.variable.
  llvm::StringSet<> variables;
  /// The body of a function: where it is called from, and by which node.
  Scope *caller = nullptr;
  const ::onnx::FunctionProto *function = nullptr;
  const ::onnx::NodeProto *call = nullptr;
};

/// The model, or an expanded function: what its nodes are to be read with.
struct Frame {
  const Frame *caller = nullptr;
  const ::onnx::FunctionProto *function = nullptr;
  const OpsetMap *opsets = nullptr;
  /// The function's attributes as the call gives them; null if left out.
  llvm::DenseMap<StringRef, const ::onnx::AttributeProto *> attributes;
  /// "<name of the call>/" of all calls around.
  std::string prefix;
};

/// An input of the model as tensors: see FunctionInfo's `nn.input_values`.
struct InputValue {
  const ::onnx::ValueInfoProto *proto = nullptr;
  /// Empty after an error.
  std::string kind;
  /// Which of the tensors.
  unsigned first = 0, count = 0;
  /// Of a packed sequence: its elements' type.
  const ::onnx::TypeProto_Tensor *element = nullptr;
};

/// A tensor that @main takes: an input of the model, or an element of one.
struct InputTensor {
  /// "x", or "x[0]".
  std::string name;
  /// The model's input.
  StringRef input;
  const ::onnx::TypeProto_Tensor *type = nullptr;
  /// Of a sequence or optional: names in its dimensions are no promise that other sizes are equal.
  bool isElement = false;
  /// Of a value that the options show.
  std::optional<int64_t> exampleRank;
  /// A part of a packed sequence or an optional, whose own shape the options do not say.
  bool isPart = false;
};

/// An output of the model as tensors: see FunctionInfo's `nn.output_values`.
struct OutputValue {
  std::string kind;
  SmallVector<Value> tensors;
  /// What is put behind the output's name for each of them.
  SmallVector<std::string> suffixes;
  /// How many of them, from the first on, hold elements of the declared type.
  size_t elementCount = 0;
};

class GraphImporter {
public:
  GraphImporter(mlir::MLIRContext &context, const ImportOptions &options,
                ModelFile &file, mlir::ModuleOp module,
                mlir::Location modelLoc);

  /// Imports the model as @main. Fails if anything has been reported.
  LogicalResult run();
  /// Whether a rank was not known because a vector's length was not; whether nothing else was wrong.
  bool lacksRank() const { return openRanks > 0; }
  bool lacksRankOnly() const { return openRanks > 0 && openRanks == faultCount(); }

  /// Converts the nodes of a graph at the builder's place, its inputs being
  /// `arguments`; gives the values of its outputs, or nullopt if one of them is
  /// missing.
  std::optional<SmallVector<Value>>
  importGraph(const ::onnx::GraphProto &graph, ArrayRef<Value> arguments,
              Scope *parent, const Frame &frame, mlir::OpBuilder &builder,
              mlir::Location loc);

  /// Counts what a node of sequences makes as so many nodes more, so that their limit bounds time and memory: one
  /// node may make any number of values again. False after an error.
  static bool spendOnSequence(NodeContext &c, uint64_t work);

private:
  friend class NodeContext;
  friend class NodeImporter;
  friend class Trial;

  //===--- the model (ImportModel.cpp) ---===//
  bool checkModel();
  bool readOpsets(
      const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>
          &imports,
      OpsetMap &opsets, const Twine &where);
  void removeStandIns();
  std::optional<OutputValue> flattenMap(const ::onnx::ValueInfoProto &output, Value value);
  std::optional<OutputValue> flattenOutput(const ::onnx::ValueInfoProto &output, Value value,
                                           mlir::OpBuilder &builder);
  LogicalResult checkOutput(const ::onnx::ValueInfoProto &output, Value value);

  //===--- the model's inputs (ModelInputs.cpp) ---===//
  /// What the model takes, as tensors; false after an error that leaves nothing to look at.
  bool flattenInputs(const ::onnx::GraphProto &graph, SmallVectorImpl<InputValue> &values,
                     SmallVectorImpl<InputTensor> &tensors);
  InputValue flattenInput(const ::onnx::ValueInfoProto &input, SmallVectorImpl<InputTensor> &tensors);
  /// A tensor that is a part of an input, of one dimension. A name in that ties it to others.
  ::onnx::TypeProto_Tensor &addPart(StringRef input, StringRef suffix, int elementType, StringRef symbol,
                                    SmallVectorImpl<InputTensor> &tensors);
  /// The rank of the elements of a sequence whose length is left open; nullopt if it has to be fixed.
  std::optional<int64_t> getPackedRank(const std::string &name, const ::onnx::TypeProto_Tensor &type);
  /// The packed sequence of its two arguments, whose sizes are required to fit. Null after an error.
  Value makePackedInput(const InputValue &input, mlir::ValueRange arguments, mlir::OpBuilder &builder,
                        mlir::Location loc);
  /// What is known of a dimension: declared, or bound by its name; kDynamic if nothing is.
  int64_t getKnownSize(const ::onnx::TensorShapeProto_Dimension &dim) const;
  bool bindSymbols(ArrayRef<InputValue> values, ArrayRef<InputTensor> tensors);
  RankedTensorType getInputType(const InputTensor &input,
                                SmallVectorImpl<mlir::Attribute> &symbols);
  /// The input's value from its arguments; null after an error in one's type.
  Value makeInput(const InputValue &input, ArrayRef<mlir::Type> types, mlir::ValueRange arguments,
                  mlir::OpBuilder &builder);

  //===--- graphs ---===//
  void addInitializers(const ::onnx::GraphProto &graph, Scope &scope,
                       mlir::Location loc);
  void importNodes(const NodeList &nodes, Scope &scope, const Frame &frame,
                   mlir::OpBuilder &builder);
  /// What a name stands for, here or in a graph around; nullopt if nothing.
  std::optional<NamedValue> lookup(Scope &scope, StringRef name);
  void define(Scope &scope, StringRef name, NamedValue value,
              mlir::OpBuilder &builder, mlir::Location loc);
  void findVariables(Scope &scope);
  /// Replaces the value of a name by an nn.variable if it is to be one.
  void makeVariable(Scope &scope, StringRef name, Value &value,
                    mlir::OpBuilder &builder, mlir::Location loc);
  void reportUndefined(Scope &scope, StringRef name, mlir::Location loc);
  /// What the model states about a value of this graph; null if nothing.
  const ::onnx::ValueInfoProto *getDeclared(Scope &scope, StringRef name);
  std::optional<int64_t> getDeclaredRank(Scope &scope, StringRef name);
  /// After a failure: makes the outputs stand-ins of the declared type, so that
  /// more of the graph can be looked at.
  void defineFailed(const ::onnx::NodeProto &node, Scope &scope,
                    mlir::OpBuilder &builder, mlir::Location loc);

  //===--- nodes ---===//
  void importNode(const ::onnx::NodeProto &node, Scope &scope,
                  const Frame &frame, mlir::OpBuilder &builder);
  /// Calls its function, or converts it, with these inputs; false after an error.
  bool importWith(const ::onnx::NodeProto &node, ArrayRef<NamedValue> inputs, Scope &scope, const Frame &frame,
                  mlir::OpBuilder &builder, mlir::Location loc, StringRef name);
  /// What bounds the time that a node takes, as functions may be expanded many times.
  static uint64_t getWork(const ::onnx::NodeProto &node);
  /// For either of two cases of it, as branches; false after an error (Choices.cpp).
  bool importForBranches(const ::onnx::NodeProto &node, Value condition, Scope &scope, mlir::OpBuilder &builder,
                         mlir::Location loc,
                         llvm::function_ref<bool(unsigned branch, Scope &, mlir::OpBuilder &)> import);
  /// For either of the values that an input may be.
  bool importForChoice(const ::onnx::NodeProto &node, ArrayRef<NamedValue> inputs, Scope &scope, const Frame &frame,
                       mlir::OpBuilder &builder, mlir::Location loc, StringRef name);
  /// For each rank that the result may have.
  bool importForRanks(const ::onnx::NodeProto &node, ArrayRef<NamedValue> inputs, OpenRank open, Scope &scope,
                      const Frame &frame, mlir::OpBuilder &builder, mlir::Location loc, StringRef name);
  bool convertNode(const ::onnx::NodeProto &node, StringRef domain,
                   ArrayRef<NamedValue> inputs, Scope &scope,
                   const Frame &frame, mlir::OpBuilder &builder,
                   mlir::Location loc, StringRef name);
  bool expandFunction(const ::onnx::NodeProto &node,
                      const ::onnx::FunctionProto &function,
                      ArrayRef<NamedValue> inputs, Scope &scope,
                      const Frame &frame, mlir::OpBuilder &builder,
                      mlir::Location loc, StringRef name);
  /// Checks a node against ONNX's schema of its version (CheckNode.cpp).
  bool checkNode(const ::onnx::NodeProto &node, const OpSchema &schema,
                 int64_t version, ArrayRef<NamedValue> inputs,
                 ArrayRef<std::pair<StringRef, NodeAttribute>> attributes,
                 mlir::Location loc);
  /// For an operator that the imported opset of its domain does not have.
  bool reportUnknown(StringRef opType, StringRef domain, int64_t version,
                     mlir::Location loc);
  /// The body that the standard gives for an operator, null if it gives none.
  const ::onnx::FunctionProto *getStandardBody(const OpSchema &schema);
  bool readAttributes(
      const ::onnx::NodeProto &node, const Frame &frame, mlir::Location loc,
      SmallVectorImpl<std::pair<StringRef, NodeAttribute>> &attributes);
  bool spend(uint64_t work, mlir::Location loc);
  /// At least how much a call of a function takes. Linear in the functions' size, where
  /// expanding them may be exponential.
  uint64_t getExpandedWork(const ::onnx::FunctionProto &function, unsigned depth);
  bool checkDepth(unsigned depth, mlir::Location loc);

  //===--- values ---===//
  /// A tensor as a constant or parameter; null after an error at `loc` about
  /// `what`. Only an initializer may be trainable.
  Value createTensor(const ::onnx::TensorProto &tensor, StringRef name,
                     const Twine &what, mlir::Location loc,
                     mlir::OpBuilder &builder, bool isInitializer);
  mlir::LogicalResult error(mlir::Location loc, const Twine &message);

  mlir::MLIRContext &context;
  const ImportOptions &options;
  ModelFile &file;
  mlir::ModuleOp module;
  mlir::Location modelLoc;
  const ConverterTable &converters;
  /// At the top of the module, behind the parameters made so far.
  mlir::OpBuilder parameterBuilder;
  /// At the top of @main, behind the values of initializers made so far.
  mlir::OpBuilder entryBuilder;
  /// Symbols taken, with the last suffix that was tried for a name.
  llvm::StringMap<unsigned> symbolNames;
  /// One parameter for a tensor, however often it is met.
  llvm::DenseMap<const ::onnx::TensorProto *, Value> tensorValues;
  /// Values of parameters, for questions about constants.
  llvm::DenseMap<mlir::StringAttr, mlir::ElementsAttr> parameterValues;
  OpsetMap modelOpsets;
  /// The types of parts of inputs, which the model does not write down.
  std::deque<::onnx::TypeProto_Tensor> partTypes;
  /// Sizes of named dimensions that the options fix.
  llvm::StringMap<int64_t> symbolSizes;
  /// Model-local functions by "domain\0name\0overload".
  llvm::StringMap<const ::onnx::FunctionProto *> functions;
  /// Null after an error.
  llvm::DenseMap<const ::onnx::FunctionProto *, std::unique_ptr<OpsetMap>>
      functionOpsets;
  llvm::DenseMap<const OpSchema *, std::unique_ptr<::onnx::FunctionProto>>
      standardBodies;
  /// The names of the nn.variables, with the last number that was put behind each.
  llvm::StringMap<unsigned> variableNames;
  /// See NodeContext::takeRandomStreams.
  int64_t nextRandomStream = 0;
  llvm::DenseMap<const ::onnx::NodeProto *, int64_t> seededStreams;
  uint64_t workDone = 0;
  llvm::DenseMap<const ::onnx::FunctionProto *, uint64_t> expandedWork;
  uint64_t errorCount = 0;
  uint64_t unreported = 0;
  /// Grows with every fault, whether it is listed or not.
  uint64_t faultCount() const { return errorCount + unreported; }
  bool outOfBudget = false;
  /// The rank of the result of the node that is converted next, in one of the cases of importForRanks.
  std::optional<int64_t> assumedRank;
  /// How many of the faults are ranks that are not known.
  uint64_t openRanks = 0;
};

/// The inputs that a run gives values to, in order: those without an initializer.
SmallVector<const ::onnx::ValueInfoProto *> listGivenInputs(const ::onnx::GraphProto &graph);

/// The dialects that an imported model is made of.
void loadImportDialects(mlir::MLIRContext &context);

/// "an integer" for AttributeProto.INT.
StringRef getAttributeTypeName(int type);
/// "" for both spellings of the default domain.
StringRef normalizeDomain(StringRef domain);

} // namespace nacre::frontend

#endif // NACRE_FRONTENDS_ONNX_GRAPHIMPORTER_H
