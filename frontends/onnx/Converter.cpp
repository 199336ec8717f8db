//===- Converter.cpp - How one ONNX node becomes nn ops ---------*- C++ -*-===//
#include "frontends/onnx/Converter.h"
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/rt/RtOps.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/TensorData.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;
using nn::quoted;
using ::onnx::AttributeProto;

/// Results of more elements are not folded while importing; passes decide about
/// them.
static constexpr int64_t kMaxFoldedElements = 1024;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

StringRef frontend::getAttributeTypeName(int type) {
  switch (type) {
  case AttributeProto::FLOAT:
    return "a float";
  case AttributeProto::INT:
    return "an integer";
  case AttributeProto::STRING:
    return "a string";
  case AttributeProto::TENSOR:
    return "a tensor";
  case AttributeProto::GRAPH:
    return "a graph";
  case AttributeProto::FLOATS:
    return "a list of floats";
  case AttributeProto::INTS:
    return "a list of integers";
  case AttributeProto::STRINGS:
    return "a list of strings";
  default:
    return "something else";
  }
}

const AttributeProto *NodeContext::findAttr(StringRef attr, int type) {
  for (auto &[key, entry] : attributes) {
    if (key != attr)
      continue;
    entry.known = true;
    // Null: a reference to an attribute that the call leaves out.
    if (!entry.proto)
      return nullptr;
    if (type == AttributeProto::UNDEFINED || entry.proto->type() == type)
      return entry.proto;
    (void)error("attribute " + quoted(attr) + " is " +
                getAttributeTypeName(entry.proto->type()) + ", expected " +
                getAttributeTypeName(type));
    return nullptr;
  }
  return nullptr;
}

bool NodeContext::hasAttr(StringRef attr) {
  return findAttr(attr, AttributeProto::UNDEFINED);
}
void NodeContext::ignoreAttr(StringRef attr) {
  (void)findAttr(attr, AttributeProto::UNDEFINED);
}

std::optional<int64_t> NodeContext::getOptionalInt(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::INT);
  return proto ? std::optional<int64_t>(proto->i()) : std::nullopt;
}
int64_t NodeContext::getInt(StringRef attr, int64_t otherwise) {
  return getOptionalInt(attr).value_or(otherwise);
}
bool NodeContext::getFlag(StringRef attr, bool otherwise) {
  int64_t value = getInt(attr, otherwise);
  if (value != 0 && value != 1)
    (void)error("attribute " + quoted(attr) + " is " + Twine(value) +
                ", expected 0 or 1");
  return value == 1;
}
std::optional<double> NodeContext::getOptionalFloat(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::FLOAT);
  return proto ? std::optional<double>(proto->f()) : std::nullopt;
}
double NodeContext::getFloat(StringRef attr, double otherwise) {
  return getOptionalFloat(attr).value_or(otherwise);
}
StringRef NodeContext::getString(StringRef attr, StringRef otherwise) {
  const auto *proto = findAttr(attr, AttributeProto::STRING);
  return proto ? StringRef(proto->s()) : otherwise;
}
std::optional<SmallVector<int64_t>>
NodeContext::getOptionalInts(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::INTS);
  if (!proto)
    return std::nullopt;
  return SmallVector<int64_t>(proto->ints().begin(), proto->ints().end());
}
SmallVector<int64_t> NodeContext::getInts(StringRef attr,
                                          ArrayRef<int64_t> otherwise) {
  auto values = getOptionalInts(attr);
  return values ? std::move(*values) : SmallVector<int64_t>(otherwise);
}
SmallVector<double> NodeContext::getFloats(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::FLOATS);
  return proto ? SmallVector<double>(proto->floats().begin(),
                                     proto->floats().end())
               : SmallVector<double>();
}
SmallVector<StringRef> NodeContext::getStrings(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::STRINGS);
  return proto ? SmallVector<StringRef>(proto->strings().begin(),
                                        proto->strings().end())
               : SmallVector<StringRef>();
}
const ::onnx::GraphProto *NodeContext::getGraph(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::GRAPH);
  return proto ? &proto->g() : nullptr;
}

Value NodeContext::getTensor(StringRef attr) {
  const auto *proto = findAttr(attr, AttributeProto::TENSOR);
  if (!proto || failed)
    return {};
  StringRef tensorName = proto->t().name();
  Value value = importer.createTensor(
      proto->t(), tensorName.empty() ? nodeName : tensorName,
      "attribute " + quoted(attr), loc, builder, /*isInitializer=*/false);
  failed |= !value;
  return value;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

ElementsAttr NodeContext::constantValue(Value value) {
  ElementsAttr attr;
  if (!value)
    return {};
  if (auto parameter = value.getDefiningOp<nn::GetParameterOp>())
    return importer.parameterValues.lookup(parameter.getNameAttr().getAttr());
  matchPattern(value, m_Constant(&attr));
  return attr;
}

/// The elements of an attribute as numbers, through the bytes of a resource if
/// need be.
template <typename Number>
static std::optional<SmallVector<Number>> getNumbers(ElementsAttr attr) {
  if (!attr)
    return std::nullopt;
  Type type = attr.getElementType();
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    // For what passes ask, some thousand elements are many; a copy for the time
    // being.
    auto tensor = cast<RankedTensorType>(attr.getShapedType());
    if (tensor.getNumElements() > (1 << 20) || nn::isCoded(type))
      return std::nullopt;
    if (type.isInteger(1)) {
      SmallVector<bool> flags(resource.getData().begin(),
                              resource.getData().end());
      dense = DenseElementsAttr::get(tensor, ArrayRef<bool>(flags));
    } else {
      dense = DenseElementsAttr::getFromRawBuffer(tensor, resource.getData());
    }
  }
  if (!dense)
    return std::nullopt;
  SmallVector<Number> numbers;
  numbers.reserve(dense.getNumElements());
  if (isa<FloatType>(type)) {
    if (std::is_integral_v<Number>)
      return std::nullopt;
    for (APFloat element : dense.getValues<APFloat>()) {
      bool lossy;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                      &lossy);
      numbers.push_back(static_cast<Number>(element.convertToDouble()));
    }
  } else {
    bool isUnsigned = type.isUnsignedInteger() || type.isInteger(1);
    for (const APInt &element : dense.getValues<APInt>())
      numbers.push_back(isUnsigned
                            ? static_cast<Number>(element.getZExtValue())
                            : static_cast<Number>(element.getSExtValue()));
  }
  return numbers;
}

std::optional<SmallVector<int64_t>> NodeContext::constantInts(Value value) {
  return getNumbers<int64_t>(constantValue(value));
}
std::optional<SmallVector<double>> NodeContext::constantFloats(Value value) {
  return getNumbers<double>(constantValue(value));
}

Value NodeContext::intsOperand(StringRef attr, unsigned index,
                               int64_t inputSince) {
  if (opset < inputSince) {
    auto values = getOptionalInts(attr);
    return values ? intsConstant(*values) : Value();
  }
  Value value = input(index);
  if (!value)
    return {};
  auto type = typeOf(value);
  if (type.getElementType().isSignlessInteger(64) && type.getRank() == 1)
    return value;
  auto values = constantInts(value);
  if (values && type.getRank() <= 1)
    return intsConstant(*values);
  if (isa<IntegerType>(type.getElementType()) && type.getRank() == 1)
    return make<nn::CastOp>(value, Type(builder.getI64Type()));
  (void)error("input " + Twine(index) + " (" + attr +
              ") is a tensor of another type than " +
              "a list of integers");
  return {};
}

std::optional<SmallVector<int64_t>>
NodeContext::constantIntsOperand(StringRef attr, unsigned index,
                                 int64_t inputSince) {
  if (opset < inputSince)
    return getOptionalInts(attr);
  if (!hasInput(index))
    return std::nullopt;
  auto values = constantInts(input(index));
  if (!values)
    (void)error("input " + Twine(index) + " (" + attr +
                ") is not known at compile time, " + "which is not supported");
  return values;
}

std::optional<int64_t> NodeContext::normalizeAxis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  (void)error("axis " + Twine(axis) + " is out of range for rank " +
              Twine(rank));
  return std::nullopt;
}

std::optional<SmallVector<int64_t>>
NodeContext::normalizeAxes(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  llvm::SmallBitVector seen(rank);
  for (int64_t axis : axes) {
    auto normal = normalizeAxis(axis, rank);
    if (!normal)
      return std::nullopt;
    if (seen.test(*normal)) {
      (void)error("axis " + Twine(axis) + " is given twice");
      return std::nullopt;
    }
    seen.set(*normal);
    result.push_back(*normal);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Operation *NodeContext::finishCreate(OperationState &state, bool infer) {
  uint64_t errors = importer.errorCount;
  auto fail = [&]() -> Operation * {
    // The op has said why; if not, say at least what was refused.
    if (importer.errorCount == errors)
      (void)error("operands of the types (" +
                  llvm::join(llvm::map_range(state.operands,
                                             [](Value v) {
                                               std::string text;
                                               llvm::raw_string_ostream(text)
                                                   << v.getType();
                                               return text;
                                             }),
                             ", ") +
                  ") are not accepted by " + state.name.getStringRef());
    failed = true;
    return nullptr;
  };
  if (llvm::is_contained(state.operands, Value())) {
    (void)error("an input that it needs is missing");
    failed = true;
    return nullptr;
  }
  if (infer) {
    auto inference = state.name.getInterface<InferTypeOpInterface>();
    SmallVector<Type> types;
    if (!inference || llvm::failed(inference->inferReturnTypes(
                          getContext(), loc, state.operands,
                          state.attributes.getDictionary(getContext()),
                          state.getRawProperties(), state.regions, types)))
      return fail();
    state.types = std::move(types);
  }
  if (llvm::failed(nn::verifySizes(loc, state.types)))
    return fail();
  Operation *op = builder.create(state);
  if (llvm::failed(op->getName().verifyInvariants(op))) {
    op->erase();
    return fail();
  }
  if (llvm::failed(checkConstantIndices(*this, op)))
    return nullptr;
  return op;
}

SmallVector<Value> NodeContext::foldedResults(Operation *op) {
  bool small = llvm::all_of(op->getResultTypes(), [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape() &&
           tensor.getNumElements() <= kMaxFoldedElements;
  });
  SmallVector<Value> values;
  if (small && llvm::succeeded(builder.tryFold(op, values)) &&
      !values.empty()) {
    if (!llvm::is_contained(values, op->getResult(0)))
      op->erase();
    return values;
  }
  return SmallVector<Value>(op->getResults());
}

Value NodeContext::lookup(StringRef valueName) {
  auto found = importer.lookup(*scope, valueName);
  if (!found)
    importer.reportUndefined(*scope, valueName, loc);
  failed |= !found;
  poisoned |= found && found->failed; // reported where it failed
  return found ? found->value : Value();
}

void NodeContext::setResult(unsigned index, Value value) {
  if (index < results.size())
    results[index] = value;
}
std::optional<int64_t> NodeContext::declaredRank(unsigned index) {
  if (!hasOutput(index))
    return std::nullopt;
  return importer.getDeclaredRank(*scope, outputNames[index]);
}
LogicalResult NodeContext::replaceWith(Value value) {
  return setResults(value);
}
LogicalResult NodeContext::setResults(ArrayRef<Value> values) {
  for (auto [index, value] : llvm::enumerate(values)) {
    if (!value)
      return failure();
    setResult(index, value);
  }
  return success(!failed);
}

Value NodeContext::alignLegacyBroadcast(Value lhs, Value rhs) {
  if (opset >= 7 || !lhs || !rhs)
    return rhs;
  bool broadcast = getFlag("broadcast");
  auto axis = getOptionalInt("axis");
  ignoreAttr(
      "consumed_inputs"); // told executors of opset 1 what they may overwrite
  int64_t lhsRank = rankOf(lhs), rhsRank = rankOf(rhs);
  if (!broadcast || !axis || rhsRank == 0)
    return rhs;
  int64_t begin = *axis < 0 ? *axis + lhsRank : *axis;
  if (begin < 0 || begin >= lhsRank || begin > lhsRank - rhsRank) {
    (void)error("attribute 'axis' is " + Twine(*axis) + ", where " + Twine(rhsRank) + " dimensions do not fit into " +
                Twine(lhsRank));
    return {};
  }
  int64_t behind = lhsRank - begin - rhsRank;
  return behind == 0 ? rhs : make<nn::UnsqueezeOp>(rhs, llvm::to_vector(llvm::seq<int64_t>(rhsRank, rhsRank + behind)));
}

std::optional<SmallVector<Value>>
NodeContext::importSubgraph(const ::onnx::GraphProto &graph,
                            ArrayRef<Value> arguments, Block &block) {
  if (failed)
    return std::nullopt;
  OpBuilder inside = OpBuilder::atBlockEnd(&block);
  auto values =
      importer.importGraph(graph, arguments, scope, *frame, inside, loc);
  poisoned |= !values;
  return values;
}

Value NodeContext::constant(ElementsAttr value) {
  if (failed)
    return {};
  return nn::ConstantOp::create(builder, loc, value.getShapedType(), value);
}
Value NodeContext::stringsConstant(ArrayRef<StringRef> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, nn::StringType::get(getContext()));
  return failed ? Value() : nn::StringConstantOp::create(builder, loc, type, builder.getStrArrayAttr(values));
}
Value NodeContext::stringConstant(StringRef value) {
  auto type = RankedTensorType::get({}, nn::StringType::get(getContext()));
  return failed ? Value() : nn::StringConstantOp::create(builder, loc, type, builder.getStrArrayAttr(value));
}
Value NodeContext::intsConstant(ArrayRef<int64_t> values) {
  auto type =
      RankedTensorType::get({int64_t(values.size())}, builder.getI64Type());
  return constant(DenseIntElementsAttr::get(type, values));
}
Value NodeContext::scalarConstant(Type elementType, double value) {
  if (isa<nn::StringType>(elementType))
    return stringConstant("");
  auto type = RankedTensorType::get({}, elementType);
  if (auto floatType = dyn_cast<FloatType>(elementType))
    return constant(DenseElementsAttr::get(
        type, Attribute(builder.getFloatAttr(floatType, value))));
  if (!(std::abs(value) <= 0x1p53) || value != std::trunc(value)) {
    (void)error("the value " + llvm::formatv("{0}", value).str() + " is no element of its tensor, whose type is " +
                getDataTypeName(getDataType(elementType)));
    return {};
  }
  APInt integer(elementType.getIntOrFloatBitWidth(),
                static_cast<int64_t>(value), /*isSigned=*/true,
                /*implicitTrunc=*/true);
  return constant(DenseElementsAttr::get(type, integer));
}

Type NodeContext::elementType(int64_t dataType) {
  Type type = getElementType(getContext(), dataType);
  if (!type)
    (void)error("the element type " + getDataTypeName(dataType) +
                " is not supported");
  return type;
}

LogicalResult NodeContext::require(Value condition, const Twine &message) {
  if (!condition || failed)
    return failure();
  if (auto known = constantInts(condition))
    return known->front() ? success() : error(message);
  Value holds =
      tensor::ExtractOp::create(builder, loc, condition, ValueRange());
  rt::CheckOp::create(builder, loc, holds, rt::Status::InvalidValue, message);
  return success();
}

std::optional<int64_t> NodeContext::chooseRank(const OpenRank &open, const Twine &what) {
  if (assumedRank)
    return assumedRank;
  if (failed || !open.rank)
    return std::nullopt;
  if (importer.options.choosesRanks) {
    openRank = open;
    failed = true;
    return std::nullopt;
  }
  uint64_t faults = importer.faultCount();
  (void)error("the result's rank depends on the number of " + what +
              ", which is not known, and the model does not declare it; --input-shape may tell how many there are");
  importer.openRanks += importer.faultCount() - faults;
  return std::nullopt;
}

bool NodeContext::isTraining() const { return importer.options.trainable; }

int64_t NodeContext::takeRandomStreams(int64_t count, bool hasSeed) {
  int64_t &next = hasSeed ? importer.seededStreams[node] : importer.nextRandomStream;
  // The seeds may be the same.
  constexpr int64_t kFirstSeeded = int64_t(1) << 40;
  return std::exchange(next, next + count) + (hasSeed ? kFirstSeeded : 0);
}

LogicalResult NodeContext::error(const Twine &message) {
  failed = true;
  return importer.error(loc, message);
}

//===----------------------------------------------------------------------===//
// ConverterTable
//===----------------------------------------------------------------------===//

const ConverterTable &ConverterTable::get() {
  static const ConverterTable table = [] {
    ConverterTable all;
    registerMathConverters(all);
    registerReductionConverters(all);
    registerNormalizationConverters(all);
    registerLinearConverters(all);
    registerAttentionConverters(all);
    registerLossConverters(all);
    registerTrainingConverters(all);
    registerMlConverters(all);
    registerMapConverters(all);
    registerTreeConverters(all);
    registerLinearModelConverters(all);
    registerContribConverters(all);
    registerConvConverters(all);
    registerRecurrentConverters(all);
    registerShapeConverters(all);
    registerPartConverters(all);
    registerIndexingConverters(all);
    registerGenerateConverters(all);
    registerResizeConverters(all);
    registerConstantConverters(all);
    registerControlConverters(all);
    registerScanConverters(all);
    registerFourierConverters(all);
    registerSequenceConverters(all);
    registerQuantConverters(all);
    registerRandomConverters(all);
    registerTextConverters(all);
    return all;
  }();
  return table;
}

void ConverterTable::addRankKeeping(ArrayRef<StringRef> opTypes) {
  rankKeeping.insert(opTypes.begin(), opTypes.end());
}

void ConverterTable::add(StringRef opType, Converter converter,
                         StringRef domain) {
  bool isNew = domains[domain].try_emplace(opType, converter).second;
  assert(isNew && "two converters for one operator");
  (void)isNew;
}

SmallVector<std::pair<StringRef, StringRef>> ConverterTable::list() const {
  SmallVector<std::pair<StringRef, StringRef>> names;
  for (const auto &domain : domains)
    for (const auto &entry : domain.second)
      names.push_back({domain.first(), entry.first()});
  return names;
}

Converter ConverterTable::find(StringRef domain, StringRef opType) const {
  auto found = domains.find(domain);
  return found == domains.end() ? nullptr : found->second.lookup(opType);
}
