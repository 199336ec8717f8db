// libFuzzer's mutations of ONNX models: of the message's tree instead of its bytes, where
// every length has to be right for anything behind it to be seen. Op types, attributes and
// their types are the standard's, and names those that the model has: most of what comes out
// passes the Protobuf parser and reaches the converters.
#include "frontends/onnx/Schema.h"
#include "llvm/ADT/STLExtras.h"
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace nacre::frontend;
using llvm::StringRef;

#include "frontends/onnx/OnnxOperators.inc"
#include "frontends/onnx/OnnxWire.inc"

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

constexpr unsigned kMaxDepth = 40;
// Messages, in the order of kWireTable, and their fields; tested in `knowsFields`.
constexpr unsigned kModel = 0, kNode = 7, kTensor = 8, kAttribute = 12;
constexpr uint32_t kNodeInput = 1, kNodeOutput = 2, kNodeOpType = 4, kNodeAttribute = 5, kNodeDomain = 7;
constexpr uint32_t kAttributeName = 1, kAttributeType = 20;
static_assert(kWireTable[kNode][kNodeAttribute] == kAttribute + 1 && kWireTable[kAttribute][5] == kTensor + 1,
              "the order of ONNX's messages has changed");

/// One field of a message.
struct Record {
  uint32_t field = 0;
  uint8_t wire = 0;                     // Protobuf's wire type
  uint64_t number = 0;                  // of wire types 0, 1, 5
  std::string bytes;                    // of wire type 2, if it is no message
  std::optional<unsigned> message;      // of wire type 2: the message's number
  std::vector<Record> records;          // of a message
};
using Message = std::vector<Record>;

//===----------------------------------------------------------------------===//
// Bytes to tree and back
//===----------------------------------------------------------------------===//

bool readVarint(StringRef &bytes, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 70 && !bytes.empty(); shift += 7) {
    uint8_t byte = uint8_t(bytes.front());
    bytes = bytes.drop_front();
    if (shift < 64)
      value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool parse(StringRef bytes, unsigned message, unsigned depth, Message &records) {
  if (depth > kMaxDepth)
    return false;
  while (!bytes.empty()) {
    Record record;
    uint64_t tag = 0, size = 0;
    if (!readVarint(bytes, tag) || tag > UINT32_MAX)
      return false;
    record.field = uint32_t(tag >> 3);
    record.wire = tag & 7;
    switch (record.wire) {
    case 0:
      if (!readVarint(bytes, record.number))
        return false;
      break;
    case 1:
    case 5:
      size = record.wire == 1 ? 8 : 4;
      if (bytes.size() < size)
        return false;
      std::memcpy(&record.number, bytes.data(), size);
      bytes = bytes.drop_front(size);
      break;
    case 2: {
      if (!readVarint(bytes, size) || size > bytes.size())
        return false;
      StringRef payload = bytes.take_front(size);
      bytes = bytes.drop_front(size);
      uint8_t child = record.field < kWireFields ? kWireTable[message][record.field] : 0;
      if (child != 0 && child != 255 && parse(payload, child - 1u, depth + 1, record.records)) {
        record.message = child - 1u;
      } else {
        record.records.clear();
        record.bytes = payload.str();
      }
      break;
    }
    default:
      return false;
    }
    records.push_back(std::move(record));
  }
  return true;
}

void writeVarint(uint64_t value, std::string &out) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(char(value | 0x80));
  out.push_back(char(value));
}

std::string serialize(const Message &records) {
  std::string out;
  for (const Record &record : records) {
    writeVarint(uint64_t(record.field) << 3 | record.wire, out);
    if (record.wire == 0)
      writeVarint(record.number, out);
    else if (record.wire != 2)
      out.append(reinterpret_cast<const char *>(&record.number), record.wire == 1 ? 8 : 4);
    else {
      std::string payload = record.message ? serialize(record.records) : record.bytes;
      writeVarint(payload.size(), out);
      out += payload;
    }
  }
  return out;
}

//===----------------------------------------------------------------------===//
// Mutations
//===----------------------------------------------------------------------===//

class Mutator {
public:
  Mutator(Message &model, unsigned seed) : random(seed) { collect(model, kModel); }

  void mutate() {
    switch (pick(10)) {
    case 0:
      return remove();
    case 1:
      return duplicate();
    case 2:
      return swap();
    case 3:
      return copyOver();
    case 4:
      return addField();
    case 5:
      return changeOp();
    case 6:
      return addAttribute();
    case 7:
      return changeNumber();
    default:
      return changeText();
    }
  }

  /// Takes a part of another model: in the place of one of its kind, or beside it.
  void splice(Message &other) {
    Mutator donor(other, unsigned(random()));
    if (donor.records.empty() || records.empty())
      return;
    for (int attempt = 0; attempt < 20; ++attempt) {
      const Place &from = donor.any(donor.records);
      auto [record, siblings, message] = any(records);
      if (from.message != message || from.record->field != record->field)
        continue;
      if (pick(2))
        *record = *from.record;
      else
        insertAt(*siblings, *from.record);
      return;
    }
  }

private:
  /// A record, the message that it is a part of, and that message's number.
  struct Place {
    Record *record;
    Message *siblings;
    unsigned message;
  };

  /// All records, and the texts among them.
  void collect(Message &siblings, unsigned message) {
    if (siblings.empty())
      empty.push_back({nullptr, &siblings, message});
    for (Record &record : siblings) {
      records.push_back({&record, &siblings, message});
      if (record.message == kNode)
        nodes.push_back({&record, &siblings, message});
      if (record.wire == 2 && !record.message)
        texts.push_back({&record, &siblings, message});
      else if (record.wire != 2)
        numbers.push_back({&record, &siblings, message});
      if (record.message)
        collect(record.records, *record.message);
    }
  }

  size_t pick(size_t count) { return random() % count; }
  template <typename Range> auto any(Range &range) -> decltype(range[0]) { return range[pick(std::size(range))]; }
  void insertAt(Message &siblings, Record record) {
    siblings.insert(siblings.begin() + ptrdiff_t(pick(siblings.size() + 1)), std::move(record));
  }

  void remove() {
    if (records.empty())
      return;
    auto [record, siblings, message] = any(records);
    siblings->erase(siblings->begin() + (record - siblings->data()));
  }
  void duplicate() {
    if (records.empty())
      return;
    auto [record, siblings, message] = any(records);
    insertAt(*siblings, *record);
  }
  void swap() {
    if (records.empty())
      return;
    auto [record, siblings, message] = any(records);
    std::swap(*record, any(*siblings));
  }

  /// One record in the place of another of the same message and field.
  void copyOver() {
    if (records.empty())
      return;
    Place to = any(records);
    for (int attempt = 0; attempt < 20; ++attempt) {
      Place from = any(records);
      if (from.record == to.record || from.message != to.message || from.record->field != to.record->field)
        continue;
      Record copy = *from.record; // one may be a part of the other
      *to.record = std::move(copy);
      return;
    }
  }

  /// A field that the message may have: a message, or what was seen in its place elsewhere,
  /// or a number or text.
  void addField() {
    Place place = !empty.empty() && pick(3) == 0 ? any(empty) : records.empty() ? Place() : any(records);
    if (!place.siblings)
      return;
    Record record;
    record.field = uint32_t(1 + pick(kWireFields - 1));
    if (uint8_t child = kWireTable[place.message][record.field]; child != 0 && child != 255) {
      record.wire = 2;
      record.message = child - 1u;
      for (const Place &known : records)
        if (known.record->message == record.message && pick(3) == 0) {
          record.records = known.record->records;
          break;
        }
    } else if (pick(2) && !texts.empty()) {
      record.wire = 2;
      record.bytes = any(texts).record->bytes;
    } else
      record.number = makeNumber(0);
    insertAt(*place.siblings, std::move(record));
  }

  /// Another operator on the same operands, perhaps with more or fewer of them.
  void changeOp() {
    if (nodes.empty())
      return;
    Record &node = *any(nodes).record;
    const OpSchema &schema = any(kSchemas);
    bool hasDomain = false;
    size_t inputs = 0;
    for (Record &field : node.records) {
      if (field.field == kNodeOpType && field.wire == 2)
        field.bytes = schema.name.str();
      if (field.field == kNodeDomain && field.wire == 2)
        field.bytes = schema.domain.str(), hasDomain = true;
      inputs += field.field == kNodeInput;
    }
    Message more; // all of it before any of it: places point to what is there now
    if (!hasDomain && !schema.domain.empty())
      more.push_back(makeText(kNodeDomain, schema.domain.str()));
    for (; int64_t(inputs) < schema.minInputs && inputs < 8 && !texts.empty(); ++inputs)
      more.push_back(makeText(kNodeInput, anyValue()));
    for (const SchemaAttribute &attribute : schema.attributes())
      if (attribute.required || pick(4) == 0)
        more.push_back(makeAttribute(attribute));
    if (pick(2)) // what it had belongs to another op
      llvm::erase_if(node.records, [](const Record &field) { return field.field == kNodeAttribute; });
    llvm::append_range(node.records, std::move(more));
  }

  /// An attribute that the node's op knows.
  void addAttribute() {
    if (nodes.empty())
      return;
    Record &node = *any(nodes).record;
    std::string op, domain;
    for (const Record &field : node.records) {
      if (field.field == kNodeOpType)
        op = field.bytes;
      if (field.field == kNodeDomain)
        domain = field.bytes;
    }
    llvm::ArrayRef<OpSchema> schemas = findSchemas(domain, op);
    if (schemas.empty())
      return changeOp();
    const OpSchema &schema = any(schemas);
    if (schema.attributeCount == 0) {
      node.records.push_back(makeText(pick(2) ? kNodeInput : kNodeOutput, anyValue()));
      return;
    }
    Record attribute = makeAttribute(schema.attributes()[pick(schema.attributeCount)]);
    for (Record &field : node.records)
      if (field.message == kAttribute && !field.records.empty() && field.records[0].bytes == attribute.records[0].bytes) {
        field = std::move(attribute);
        return;
      }
    node.records.push_back(std::move(attribute));
  }

  Record makeAttribute(const SchemaAttribute &schema) {
    Record attribute;
    attribute.field = kNodeAttribute;
    attribute.wire = 2;
    attribute.message = kAttribute;
    int type = pick(30) == 0 ? int(pick(15)) : schema.type;
    attribute.records = {makeText(kAttributeName, schema.name.str()), makeNumberRecord(kAttributeType, 0, uint64_t(type))};
    auto add = [&](Record record) { attribute.records.push_back(std::move(record)); };
    size_t count = pick(5);
    switch (type) {
    case 1: // FLOAT
      add(makeNumberRecord(2, 5, makeFloat()));
      break;
    case 2: // INT
      add(makeNumberRecord(3, 0, makeNumber(1)));
      break;
    case 3: // STRING
      add(makeText(4, anyWord()));
      break;
    case 6: // FLOATS
      for (size_t i = 0; i < count; ++i)
        add(makeNumberRecord(7, 5, makeFloat()));
      break;
    case 7: // INTS
      for (size_t i = 0; i < count; ++i)
        add(makeNumberRecord(8, 0, makeNumber(1)));
      break;
    case 8: // STRINGS
      for (size_t i = 0; i < count; ++i)
        add(makeText(9, anyWord()));
      break;
    default: // TENSOR, GRAPH, ...: one that the model has
      constexpr std::pair<int, uint32_t> fields[] = {{4, 5}, {5, 6}, {9, 10}, {10, 11}, {11, 22}, {12, 23}, {13, 14}, {14, 15}};
      for (auto [known, field] : fields)
        if (known == type)
          for (const Place &place : records)
            if (place.record->message && *place.record->message + 1 == kWireTable[kAttribute][field] && pick(3) == 0) {
              Record copy = *place.record;
              copy.field = field;
              add(std::move(copy));
              break;
            }
    }
    return attribute;
  }

  void changeNumber() {
    if (numbers.empty())
      return;
    Record &record = *any(numbers).record;
    record.number = record.wire == 5 ? makeFloat() : makeNumber(record.number);
  }

  /// Another name of the model, or other bytes.
  void changeText() {
    if (texts.empty())
      return;
    Record &text = *any(texts).record;
    if (pick(2)) {
      text.bytes = any(texts).record->bytes;
      return;
    }
    size_t size = text.bytes.size();
    text.bytes.resize(size + 1 + pick(16));
    text.bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(text.bytes.data()), size, text.bytes.size()));
  }

  static Record makeText(uint32_t field, std::string bytes) {
    Record record;
    record.field = field;
    record.wire = 2;
    record.bytes = std::move(bytes);
    return record;
  }
  static Record makeNumberRecord(uint32_t field, uint8_t wire, uint64_t number) {
    Record record;
    record.field = field;
    record.wire = wire;
    record.number = number;
    return record;
  }

  /// The name of a value, or something else that some field of the model says.
  std::string anyValue() {
    for (int attempt = 0; attempt < 10 && !texts.empty(); ++attempt)
      if (const Place &place = any(texts);
          place.message == kNode && (place.record->field == kNodeInput || place.record->field == kNodeOutput))
        return place.record->bytes;
    return texts.empty() ? "x" : any(texts).record->bytes;
  }
  /// What string attributes may be.
  std::string anyWord() {
    constexpr StringRef words[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "constant", "reflect", "edge", "wrap",
                                   "nearest", "linear", "cubic", "bilinear", "avg", "max", "sum", "mean", "none",
                                   "add", "mul", "min", "DCR", "CRD", "forward", "reverse", "bidirectional", "Tanh",
                                   "ij,jk->ik", "...ij->...", "half_pixel", "align_corners", "asymmetric", "floor",
                                   "ceil", "zeros", "border", "reflection", "LOWER", "UPPER", "left", "exact", "tanh"};
    return pick(8) || texts.empty() ? std::string(any(words)) : any(texts).record->bytes;
  }
  uint64_t makeNumber(uint64_t old) {
    switch (pick(6)) {
    case 0:
      return old + pick(7) - 3;
    case 1:
      return numbers.empty() ? old : any(numbers).record->number;
    case 2: {
      constexpr int64_t edges[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, int64_t(UINT32_MAX), int64_t(1) << 40, -1, 0, 65536};
      return uint64_t(any(edges));
    }
    case 3:
      return old ^ (uint64_t(1) << pick(64));
    default:
      return uint64_t(int64_t(pick(20)) - 4);
    }
  }
  uint64_t makeFloat() {
    constexpr float edges[] = {0, -0.f, 1, -1, 0.5, 2, 1e30, 1e-30, __builtin_inff(), -__builtin_inff(), __builtin_nanf("")};
    float value = any(edges);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
  }

  std::minstd_rand random;
  std::vector<Place> records, texts, numbers, nodes, empty;
};

size_t deliver(const Message &model, uint8_t *data, size_t maxSize) {
  std::string bytes = serialize(model);
  if (bytes.empty() || bytes.size() > maxSize)
    return 0;
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

StringRef toText(const uint8_t *data, size_t size) { return {reinterpret_cast<const char *>(data), size}; }

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::minstd_rand random(seed);
  Message model;
  // Some wrong lengths, too.
  if (random() % 32 == 0 || !parse(toText(data, size), kModel, 0, model))
    return LLVMFuzzerMutate(data, size, maxSize);
  // Places move with every mutation: each collects them anew.
  for (size_t count = 1 + random() % 4; count > 0; --count)
    Mutator(model, unsigned(random())).mutate();
  size_t written = deliver(model, data, maxSize);
  return written ? written : LLVMFuzzerMutate(data, size, maxSize);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                            uint8_t *out, size_t maxSize, unsigned seed) {
  Message model, other;
  if (!parse(toText(data1, size1), kModel, 0, model) || !parse(toText(data2, size2), kModel, 0, other))
    return 0;
  std::minstd_rand random(seed);
  for (size_t count = 1 + random() % 3; count > 0; --count)
    Mutator(model, unsigned(random())).splice(other);
  return deliver(model, out, maxSize);
}
