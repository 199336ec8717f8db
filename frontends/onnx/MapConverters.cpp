//===- MapConverters.cpp - Maps, and what takes them apart ------*- C++ -*-===//
//
// The operators of ai.onnx.ml that make and take maps, which are a vector of keys and one of
// values here (Sequences.h).
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Scores.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/ShapeVectors.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static bool isText(Type type) { return isa<nn::StringType>(type); }

/// The input as a map; nullopt after an error.
static std::optional<MapValue> getMapInput(NodeContext &c) {
  auto map = getMap(c.input(0));
  if (!map || map->isSequence) {
    (void)c.error("the input is no map");
    return std::nullopt;
  }
  return map;
}

/// A map for each row, with a key for each column.
static LogicalResult convertZipMap(NodeContext &c) {
  ShapeVectors v(c);
  Labels labels(c, "classlabels_strings", "classlabels_int64s");
  if (labels.names.empty() == labels.numbers.empty())
    return c.error("it has " + Twine(labels.names.size()) + " strings and " + Twine(labels.numbers.size()) +
                   " integers as keys, expected either");
  Value x = c.input(0);
  if (c.rankOf(x) == 1)
    x = c.make<nn::UnsqueezeOp>(x, ArrayRef<int64_t>{0});
  if (!x || c.rankOf(x) != 2)
    return c.error("the input has rank " + Twine(c.rankOf(c.input(0))) + ", expected 1 or 2");
  x = v.withSize(x, 1, labels.size(), "columns");
  Value keys = labels.names.empty() ? c.intsConstant(labels.numbers) : c.stringsConstant(labels.names);
  return x && keys ? c.replaceWith(makeMap(c.getBuilder(), c.getLoc(), {keys, x, /*isSequence=*/true})) : failure();
}

/// The values in the order of their keys (DENSE), or each at the place that its key is, with zeros between (SPARSE).
static LogicalResult convertCastMap(NodeContext &c) {
  ShapeVectors v(c);
  Builder &b = c.getBuilder();
  StringRef form = c.getString("map_form", "DENSE"), target = c.getString("cast_to", "TO_FLOAT");
  int64_t size = c.getInt("max_map", 1);
  auto to = llvm::StringSwitch<Type>(target)
                .Case("TO_FLOAT", b.getF32Type())
                .Case("TO_INT64", b.getI64Type())
                .Case("TO_STRING", nn::StringType::get(c.getContext()))
                .Default(Type());
  if (!to)
    return c.error("the attribute 'cast_to' is " + nn::quoted(target) + ", expected TO_FLOAT, TO_STRING or TO_INT64");
  if (form != "DENSE" && form != "SPARSE")
    return c.error("the attribute 'map_form' is " + nn::quoted(form) + ", expected DENSE or SPARSE");
  auto map = getMapInput(c);
  if (!map)
    return failure();
  Type from = c.typeOf(map->values).getElementType();
  if (!c.typeOf(map->keys).getElementType().isInteger(64) || (!from.isF32() && !isText(from)))
    return c.error("expected a map of integers to f32 or strings");

  Value values;
  if (form == "DENSE") {
    auto sorted = c.create<nn::TopKOp>(map->keys, v.toScalar(v.size(map->keys, 0)), 0, nn::TopKOrder::Smallest);
    values = sorted ? c.make<nn::GatherOp>(map->values, sorted.getIndices(), 0, /*in_bounds=*/true) : Value();
  } else {
    if (size < 1 || size > 1 << 24)
      return c.error("the attribute 'max_map' is " + Twine(size));
    if (failed(c.require(v.all(v.compare(nn::ComparePredicate::ge, map->keys, v.scalar(0))), "a key of the map is negative")))
      return failure();
    Value places = c.intsConstant(llvm::to_vector(llvm::seq<int64_t>(0, size)));
    Value zero = !isText(from) ? c.scalarConstant(from, 0) : c.stringConstant(isText(to) ? "" : "0");
    values = c.make<nn::LookupOp>(places, map->keys, map->values, zero);
  }
  values = values ? c.make<nn::UnsqueezeOp>(values, ArrayRef<int64_t>{0}) : Value();
  if (!values)
    return failure();
  if (isText(from) || isText(to))
    return convertTextCast(c, values, to, /*saturates=*/true, nn::Rounding::up);
  return c.replaceWith(v.cast(values, to));
}

/// A row with a column for each word of the vocabulary: its value, or zero.
static LogicalResult convertDictVectorizer(NodeContext &c) {
  Labels words(c, "string_vocabulary", "int64_vocabulary");
  if (words.names.empty() == words.numbers.empty())
    return c.error("it has " + Twine(words.names.size()) + " strings and " + Twine(words.numbers.size()) +
                   " integers as vocabulary, expected either");
  auto map = getMapInput(c);
  if (!map)
    return failure();
  if (isText(c.typeOf(map->keys).getElementType()) == words.names.empty())
    return c.error("the keys of the map are not of the vocabulary's type");
  Value keys = words.names.empty() ? c.intsConstant(words.numbers) : c.stringsConstant(words.names);
  Value zero = c.scalarConstant(c.typeOf(map->values).getElementType(), 0);
  Value found = keys && zero ? c.make<nn::LookupOp>(keys, map->keys, map->values, zero) : Value();
  return found ? c.replaceWith<nn::UnsqueezeOp>(found, ArrayRef<int64_t>{0}) : failure();
}

void nacre::frontend::registerMapConverters(ConverterTable &table) {
  StringRef domain = "ai.onnx.ml";
  table.add("CastMap", convertCastMap, domain);
  table.add("DictVectorizer", convertDictVectorizer, domain);
  table.add("ZipMap", convertZipMap, domain);
}
