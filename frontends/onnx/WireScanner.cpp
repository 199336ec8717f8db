//===- WireScanner.cpp - Splits a model from its tensor data ----*- C++ -*-===//
#include "frontends/onnx/WireScanner.h"
#include "llvm/Support/Endian.h"
#include <cstring>

using namespace nacre;
using namespace nacre::frontend;

#include "frontends/onnx/OnnxWire.inc"

namespace {

constexpr uint8_t kNone = 0, kTensorData = 255;
/// A length is written in this many bytes whatever its value, so that it can be
/// filled in after the message is known.
constexpr unsigned kPaddedLength = 5;

class Scanner {
public:
  Scanner(llvm::ArrayRef<char> file, const ImportOptions::Limits &limits,
          std::string &error)
      : file(file), limits(limits), error(error) {
    // A graph in a graph is three messages deep (node, attribute, graph).
    maxDepth = limits.depth * 3 + 16;
  }

  bool run(std::string &structure) {
    out = &structure;
    return scan(0, file.size(), /*message=*/0, /*depth=*/0);
  }

private:
  /// Scans one message in [position, end).
  bool scan(uint64_t position, uint64_t end, unsigned message, unsigned depth) {
    if (depth > maxDepth)
      return fail("graphs or types are nested deeper than the limit of " +
                  std::to_string(limits.depth));
    // Bytes from here to `position` are still to be copied.
    uint64_t pending = position;
    while (position < end) {
      uint64_t start = position, tag, length = 0;
      if (!readVarint(position, end, tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return corrupt(start);
      if (++records > limits.records)
        return fail("it has more than " + std::to_string(limits.records) +
                    " records");
      switch (tag & 7) {
      case 0:
        if (!readVarint(position, end, length))
          return corrupt(start);
        continue;
      case 1:
        if (!skip(position, end, 8))
          return corrupt(start);
        continue;
      case 5:
        if (!skip(position, end, 4))
          return corrupt(start);
        continue;
      case 2:
        break;
      default:
        return corrupt(start);
      }
      if (!readVarint(position, end, length))
        return corrupt(start);
      uint64_t payload = position;
      if (!skip(position, end, length))
        return corrupt(start);
      uint8_t child =
          tag >> 3 < kWireFields ? kWireTable[message][tag >> 3] : kNone;
      if (child == kNone)
        continue;
      if (++messages > limits.messages)
        return fail("it has more than " + std::to_string(limits.messages) +
                    " messages");
      if (child != kTensorData && !kWireHasData[child - 1]) {
        // Copied as it is with the bytes around it; scanned for the budget.
        std::string *keep = std::exchange(out, nullptr);
        bool scanned = scan(payload, position, child - 1, depth + 1);
        out = keep;
        if (!scanned)
          return false;
        continue;
      }
      if (!copy(pending, start))
        return false;
      pending = position;
      appendVarint(tag);
      size_t lengthAt = out->size();
      out->append(kPaddedLength, '\0');
      if (child == kTensorData) {
        char reference[16];
        llvm::support::endian::write64le(reference, payload);
        llvm::support::endian::write64le(reference + 8, length);
        out->append(reference, sizeof reference);
      } else if (!scan(payload, position, child - 1, depth + 1)) {
        return false;
      }
      uint64_t written = out->size() - lengthAt - kPaddedLength;
      for (unsigned i = 0; i < kPaddedLength; ++i)
        (*out)[lengthAt + i] = char(written >> (7 * i) & 0x7f) |
                               (i + 1 < kPaddedLength ? char(0x80) : 0);
    }
    return copy(pending, end);
  }

  bool readVarint(uint64_t &position, uint64_t end, uint64_t &value) const {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (position == end)
        return false;
      uint8_t byte = file[position++];
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80)
        return true;
    }
    return false;
  }
  static bool skip(uint64_t &position, uint64_t end, uint64_t count) {
    if (count > end - position)
      return false;
    position += count;
    return true;
  }
  bool copy(uint64_t begin, uint64_t end) {
    if (!out)
      return true;
    if (out->size() + (end - begin) > limits.structureBytes)
      return fail("without tensor data it is larger than the limit of " +
                  std::to_string(limits.structureBytes) +
                  " bytes; store tensors as raw_data or external data");
    out->append(file.data() + begin, end - begin);
    return true;
  }
  void appendVarint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      out->push_back(char(value | 0x80));
    out->push_back(char(value));
  }
  bool corrupt(uint64_t position) {
    return fail("it is truncated or corrupt, or no ONNX model (at byte " +
                std::to_string(position) + " of " +
                std::to_string(file.size()) + ")");
  }
  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }

  llvm::ArrayRef<char> file;
  const ImportOptions::Limits &limits;
  std::string &error;
  /// Null while a message is scanned whose bytes are copied as a whole.
  std::string *out = nullptr;
  uint64_t records = 0, messages = 0;
  unsigned maxDepth;
};

} // namespace

std::optional<std::string>
frontend::separateTensorData(llvm::ArrayRef<char> file,
                             const ImportOptions::Limits &limits,
                             std::string &error) {
  std::string structure;
  if (!Scanner(file, limits, error).run(structure))
    return std::nullopt;
  return structure;
}

std::optional<DataReference>
frontend::readDataReference(llvm::StringRef rawData, uint64_t fileSize) {
  if (rawData.size() != 16)
    return std::nullopt;
  DataReference reference;
  reference.offset = llvm::support::endian::read64le(rawData.data());
  reference.size = llvm::support::endian::read64le(rawData.data() + 8);
  if (reference.offset > fileSize ||
      reference.size > fileSize - reference.offset)
    return std::nullopt;
  return reference;
}
