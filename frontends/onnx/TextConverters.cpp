//===- TextConverters.cpp - Strings, labels, n-grams ------------*- C++ -*-===//
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"
#include "runtime/abi/nacre_regex.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static bool isText(Type element) { return isa<nn::StringType>(element); }

//===----------------------------------------------------------------------===//
// Strings
//===----------------------------------------------------------------------===//

LogicalResult frontend::convertTextEqual(NodeContext &c) {
  return c.replaceWith<nn::StringEqualOp>(c.input(0), c.input(1));
}

/// What has no text of its own goes by way of 32 bits.
LogicalResult frontend::convertTextCast(NodeContext &c, Value value, Type to, bool saturates, nn::Rounding rounding) {
  Type from = c.typeOf(value).getElementType();
  auto getWide = [&](Type type) -> Type {
    if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
      return c.getBuilder().getF32Type();
    return nn::isCoded(type) ? Type(c.getBuilder().getI32Type()) : type;
  };
  if (isText(from) && isText(to))
    return c.replaceWith(value);
  if (isText(to)) {
    if (getWide(from) != from)
      value = c.make<nn::CastOp>(value, getWide(from));
    return value ? c.replaceWith<nn::StringFormatOp>(value) : failure();
  }
  if (to.isInteger(1))
    return c.error("a cast from strings to booleans is not supported");
  Value number = c.make<nn::StringParseOp>(value, getWide(to));
  if (number && getWide(to) != to)
    number = c.make<nn::CastOp>(number, to, saturates, rounding);
  return number ? c.replaceWith(number) : failure();
}

static LogicalResult convertStringConcat(NodeContext &c) {
  return c.replaceWith<nn::StringConcatOp>(c.input(0), c.input(1));
}

/// Vectors, or matrices of one row.
static LogicalResult convertStringNormalizer(NodeContext &c) {
  ShapeVectors v(c);
  auto change = llvm::StringSwitch<std::optional<nn::CaseChange>>(c.getString("case_change_action", "NONE"))
                    .Case("NONE", nn::CaseChange::None)
                    .Case("LOWER", nn::CaseChange::Lower)
                    .Case("UPPER", nn::CaseChange::Upper)
                    .Default(std::nullopt);
  if (!change)
    return c.error("the attribute 'case_change_action' is " + nn::quoted(c.getString("case_change_action")) +
                   ", expected NONE, LOWER or UPPER");
  // Unicode's mapping is that of all languages but these.
  StringRef locale = c.getString("locale", "en_US"), language = locale.take_until([](char x) { return !llvm::isAlpha(x); });
  if (llvm::is_contained({"tr", "az", "lt"}, language.lower()))
    return c.error("the attribute 'locale' is " + nn::quoted(locale) + ", whose rules for letters are not supported");
  bool isSensitive = c.getFlag("is_case_sensitive");
  Value stops = c.stringsConstant(c.getStrings("stopwords")), words = c.input(0);
  int64_t rank = c.rankOf(words);
  if (rank != 1 && rank != 2)
    return c.error("the input has rank " + Twine(rank) + ", expected 1 or 2");
  if (rank == 2)
    words = c.make<nn::SqueezeOp>(words, ArrayRef<int64_t>{0});
  auto normalized = words ? c.create<nn::StringNormalizeOp>(words, stops, *change, isSensitive)
                          : nn::StringNormalizeOp();
  if (!normalized)
    return failure();
  Value count = v.toVector(normalized.getCount());
  Value kept = count ? c.make<nn::SliceOp>(normalized.getWords(), v.constant(0), count, v.constant(1)) : Value();
  if (kept && rank == 2)
    kept = c.make<nn::UnsqueezeOp>(kept, ArrayRef<int64_t>{0});
  return kept ? c.replaceWith(kept) : failure();
}

/// How many pieces there are at most is counted first.
static LogicalResult convertStringSplit(NodeContext &c) {
  ShapeVectors v(c);
  int64_t most = c.getInt("maxsplit", -1);
  Value x = c.input(0), delimiter = c.stringConstant(c.getString("delimiter"));
  Value counts = delimiter ? c.make<nn::StringCountPiecesOp>(x, delimiter, most) : Value();
  if (!counts)
    return failure();
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(x)));
  Value width = axes.empty() ? counts : c.make<nn::ReduceOp>(nn::ReduceKind::max, counts, axes, /*keepdims=*/false);
  width = v.max(width, 0);
  Value pieces = width ? c.make<nn::StringSplitOp>(x, delimiter, width, most) : Value();
  return pieces ? c.setResults({pieces, counts}) : failure();
}

/// A pattern that is none is refused here, not in a run.
static LogicalResult convertRegexFullMatch(NodeContext &c) {
  StringRef pattern = c.getString("pattern");
  char message[256];
  if (!nacre_regex_check(pattern.data(), pattern.size(), message, sizeof message))
    return c.error("the attribute 'pattern' is " + nn::quoted(pattern) + ", which is no regular expression of RE2's: " +
                   Twine(message));
  return c.replaceWith<nn::StringMatchOp>(c.input(0), c.stringConstant(pattern));
}

//===----------------------------------------------------------------------===//
// ImageDecoder
//===----------------------------------------------------------------------===//

/// The pixels are a string between decoding and the time when their number is known.
static LogicalResult convertImageDecoder(NodeContext &c) {
  ShapeVectors v(c);
  StringRef name = c.getString("pixel_format", "RGB");
  auto format = llvm::StringSwitch<std::optional<nn::PixelFormat>>(name)
                    .Case("RGB", nn::PixelFormat::RGB)
                    .Case("BGR", nn::PixelFormat::BGR)
                    .Case("Grayscale", nn::PixelFormat::Gray)
                    .Default(std::nullopt);
  if (!format)
    return c.error("the attribute 'pixel_format' is " + nn::quoted(name) + ", expected RGB, BGR or Grayscale");
  if (c.rankOf(c.input(0)) != 1)
    return c.error("the encoded stream has rank " + Twine(c.rankOf(c.input(0))) + ", expected 1");
  auto image = c.create<nn::DecodeImageOp>(c.input(0), *format);
  if (!image)
    return failure();
  Value height = v.part(image.getSizes(), 0, 1), width = v.part(image.getSizes(), 1, 2);
  Value channels = v.constant(*format == nn::PixelFormat::Gray ? 1 : 3);
  Value count = v.toScalar(v.mul(v.mul(height, width), channels)), sizes = v.concat({height, width, channels});
  Value bytes = count ? c.make<nn::StringBytesOp>(image.getPixels(), count) : Value();
  return bytes && sizes ? c.replaceWith<nn::ReshapeOp>(bytes, sizes, /*allowzero=*/true) : failure();
}

//===----------------------------------------------------------------------===//
// LabelEncoder
//===----------------------------------------------------------------------===//

/// A list attribute as a vector, of whichever type is given; null if none is.
static Value getList(NodeContext &c, const std::string &prefix) {
  OpBuilder &b = c.getBuilder();
  auto vectorOf = [](size_t size, Type type) { return RankedTensorType::get({int64_t(size)}, type); };
  if (c.hasAttr(prefix + "_strings"))
    return c.stringsConstant(c.getStrings(prefix + "_strings"));
  if (c.hasAttr(prefix + "_int64s"))
    return c.intsConstant(c.getInts(prefix + "_int64s"));
  if (c.hasAttr(prefix + "_floats")) {
    auto values = llvm::map_to_vector(c.getFloats(prefix + "_floats"), [](double x) { return float(x); });
    return c.constant(DenseElementsAttr::get(vectorOf(values.size(), b.getF32Type()), ArrayRef<float>(values)));
  }
  return c.version() >= 4 ? c.getTensor(prefix + "_tensor") : Value();
}

/// The default of the values' type.
static Value getDefault(NodeContext &c, Type element) {
  // Those of other types have no meaning; exporters write all of them.
  for (StringRef other : {"default_string", "default_int64", "default_float", "default_tensor"})
    c.ignoreAttr(other);
  if (c.version() >= 4 && c.hasAttr("default_tensor")) {
    Value given = c.getTensor("default_tensor");
    if (!given)
      return {};
    RankedTensorType type = c.typeOf(given);
    if (type.getNumElements() != 1 || type.getElementType() != element) {
      (void)c.error("the attribute 'default_tensor' is no single value of the values' type");
      return {};
    }
    auto axes = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
    return axes.empty() ? given : c.make<nn::SqueezeOp>(given, axes);
  }
  if (isText(element))
    return c.stringConstant(c.getString("default_string", "_Unused"));
  return isa<FloatType>(element) ? c.scalarConstant(element, c.getFloat("default_float", -0.0))
                                 : c.scalarConstant(element, c.getInt("default_int64", -1));
}

/// Until version 1, `classes_strings` stand for their positions, and back.
static LogicalResult convertLabelEncoder(NodeContext &c) {
  Value x = c.input(0), keys, values;
  if (c.version() < 2) {
    SmallVector<StringRef> classes = c.getStrings("classes_strings");
    keys = c.intsConstant(llvm::to_vector(llvm::seq<int64_t>(0, classes.size())));
    values = c.stringsConstant(classes);
    if (isText(c.inputType(0).getElementType()))
      std::swap(keys, values);
  } else {
    keys = getList(c, "keys");
    values = c.hadError() ? Value() : getList(c, "values");
    if (!c.hadError() && (!keys || !values))
      return c.error("it has no keys or no values");
  }
  if (c.hadError())
    return failure();
  Value otherwise = getDefault(c, c.typeOf(values).getElementType());
  return otherwise ? c.replaceWith<nn::LookupOp>(x, keys, values, otherwise) : failure();
}

//===----------------------------------------------------------------------===//
// TfIdfVectorizer
//===----------------------------------------------------------------------===//

/// Whether `starts` cut a pool of `size` into n-grams of length 1, 2, …, `count` of
/// them altogether.
static bool isPool(ArrayRef<int64_t> starts, int64_t size, int64_t count) {
  int64_t number = 0;
  for (auto [i, start] : llvm::enumerate(starts)) {
    int64_t end = i + 1 < starts.size() ? starts[i + 1] : size;
    if (start < 0 || end < start || end > size || (end - start) % int64_t(i + 1) != 0)
      return false;
    number += (end - start) / int64_t(i + 1);
  }
  return number == count;
}

static LogicalResult convertTfIdfVectorizer(NodeContext &c) {
  constexpr int64_t kMaxColumns = 1 << 24;
  auto weighting = llvm::StringSwitch<std::optional<nn::NgramWeighting>>(c.getString("mode"))
                       .Case("TF", nn::NgramWeighting::Count)
                       .Case("IDF", nn::NgramWeighting::Weight)
                       .Case("TFIDF", nn::NgramWeighting::WeightedCount)
                       .Default(std::nullopt);
  if (!weighting)
    return c.error("the attribute 'mode' is " + nn::quoted(c.getString("mode")) + ", expected TF, IDF or TFIDF");
  SmallVector<int64_t> starts = c.getInts("ngram_counts"), columns = c.getInts("ngram_indexes");
  int64_t least = c.getInt("min_gram_length", 1), most = c.getInt("max_gram_length", 1),
          skip = c.getInt("max_skip_count", 0);
  bool isWords = c.hasAttr("pool_strings");
  SmallVector<StringRef> words = c.getStrings("pool_strings");
  SmallVector<int64_t> numbers = c.getInts("pool_int64s");
  if (least < 1 || most < least || most > int64_t(starts.size()) || skip < 0)
    return c.error("n-grams of " + Twine(least) + " to " + Twine(most) + " words, " + Twine(skip) +
                   " skipped, of a pool with " + Twine(starts.size()) + " lengths");
  if (!isPool(starts, isWords ? words.size() : numbers.size(), columns.size()))
    return c.error("'ngram_counts' and 'ngram_indexes' do not fit the pool");
  int64_t size = 0;
  for (int64_t column : columns) {
    if (column < 0 || column >= kMaxColumns)
      return c.error("the attribute 'ngram_indexes' has the element " + Twine(column));
    size = std::max(size, column + 1);
  }
  SmallVector<float> weights(columns.size(), 1.0f);
  if (c.hasAttr("weights")) {
    SmallVector<double> given = c.getFloats("weights");
    if (given.size() != columns.size())
      return c.error("it has " + Twine(given.size()) + " weights for " + Twine(columns.size()) + " n-grams");
    // The standard says that weights are those of n-grams, its reference takes them
    // as those of columns.
    if (*weighting != nn::NgramWeighting::Count &&
        !llvm::equal(columns, llvm::seq<int64_t>(0, columns.size())))
      return c.error("weights where 'ngram_indexes' are not 0, 1, 2, ... are not supported");
    llvm::copy(llvm::map_range(given, [](double x) { return float(x); }), weights.begin());
  }
  if (c.rankOf(c.input(0)) < 1 || c.rankOf(c.input(0)) > 2)
    return c.error("the input has rank " + Twine(c.rankOf(c.input(0))) + ", expected 1 or 2");
  Value pool = isWords ? c.stringsConstant(words) : c.intsConstant(numbers);
  auto type = RankedTensorType::get({int64_t(weights.size())}, c.getBuilder().getF32Type());
  Value factors = c.constant(DenseElementsAttr::get(type, ArrayRef<float>(weights)));
  return c.replaceWith<nn::NgramsOp>(c.input(0), pool, c.intsConstant(starts), c.intsConstant(columns), factors,
                                     *weighting, least, most, skip, size);
}

void nacre::frontend::registerTextConverters(ConverterTable &table) {
  table.add("LabelEncoder", convertLabelEncoder, "ai.onnx.ml");
  table.add("ImageDecoder", convertImageDecoder);
  table.add("RegexFullMatch", convertRegexFullMatch);
  table.add("StringConcat", convertStringConcat);
  table.add("StringNormalizer", convertStringNormalizer);
  table.add("StringSplit", convertStringSplit);
  table.add("TfIdfVectorizer", convertTfIdfVectorizer);
}
