//===- NpzFile.cpp - NumPy's archives ---------------------------*- C++ -*-===//
//
// A .npz file is a ZIP archive of .npy files. Its table of contents stands at its end:
// entries, then a record that says where they begin; sizes of 4 GiB and more in ZIP64's
// records beside these. What precedes the bytes of an entry is only skipped.
//
//===----------------------------------------------------------------------===//
#include "tools/nacre/TensorFiles.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/Endian.h"
#include <algorithm>
#include <limits>
#include <zlib.h>

using namespace nacre;
using namespace nacre::tool;
using llvm::StringRef;
using namespace llvm::support::endian;

namespace {

Error bad(const std::string &file, const std::string &what) {
  return {NACRE_CORRUPT, file + ": " + what};
}

/// `size` bytes at `offset`, or nothing if they are not there.
StringRef slice(StringRef bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size)
    return {};
  return bytes.substr(offset, size);
}

/// Where the entries stand, and how many.
struct Directory {
  uint64_t offset = 0, count = 0;
};

std::optional<Directory> findDirectory(StringRef bytes) {
  size_t end = bytes.rfind(StringRef("PK\5\6", 4));
  StringRef record = end == StringRef::npos ? StringRef() : slice(bytes, end, 22);
  if (record.empty())
    return std::nullopt;
  Directory directory{read32le(record.data() + 16), read16le(record.data() + 10)};
  if (directory.offset != 0xffffffff && directory.count != 0xffff)
    return directory;
  StringRef locator = end < 20 ? StringRef() : slice(bytes, end - 20, 20);
  if (!locator.starts_with(StringRef("PK\6\7", 4)))
    return directory;
  StringRef wide = slice(bytes, read64le(locator.data() + 8), 56);
  if (!wide.starts_with(StringRef("PK\6\6", 4)))
    return std::nullopt;
  return Directory{read64le(wide.data() + 48), read64le(wide.data() + 32)};
}

/// Replaces those of the 32-bit fields that are full by ZIP64's: false if they lack.
bool readWide(StringRef extra, uint64_t &size, uint64_t &packed, uint64_t &offset) {
  StringRef wide;
  while (extra.size() >= 4) {
    uint16_t id = read16le(extra.data()), length = read16le(extra.data() + 2);
    StringRef field = slice(extra, 4, length);
    if (id == 1)
      wide = field;
    extra = extra.drop_front(std::min<size_t>(extra.size(), 4 + length));
  }
  for (uint64_t *value : {&size, &packed, &offset}) {
    if (*value != 0xffffffff)
      continue;
    if (wide.size() < 8)
      return false;
    *value = read64le(wide.data());
    wide = wide.drop_front(8);
  }
  return true;
}

/// Inflates what fills `out`: all of it, or its start.
bool inflate(StringRef packed, llvm::MutableArrayRef<char> out, bool isAll) {
  constexpr size_t kStep = std::numeric_limits<uInt>::max() / 2;
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  size_t in = 0, done = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    // zlib's counts have 32 bits.
    uInt available = uInt(std::min(kStep, packed.size() - in));
    uInt room = uInt(std::min(kStep, out.size() - done));
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data() + in));
    stream.avail_in = available;
    stream.next_out = reinterpret_cast<Bytef *>(out.data() + done);
    stream.avail_out = room;
    status = ::inflate(&stream, Z_NO_FLUSH);
    in += available - stream.avail_in;
    done += room - stream.avail_out;
  }
  inflateEnd(&stream);
  return done == out.size() && (status == Z_STREAM_END || !isAll);
}

} // namespace

Result<std::vector<ArchiveEntry>> tool::parseArchive(StringRef bytes, const std::string &file) {
  std::optional<Directory> directory = findDirectory(bytes);
  if (!directory)
    return bad(file, "no .npz archive, or a truncated one");
  std::vector<ArchiveEntry> entries;
  uint64_t position = directory->offset;
  for (uint64_t i = 0; i < directory->count; ++i) {
    StringRef fixed = slice(bytes, position, 46);
    if (!fixed.starts_with(StringRef("PK\1\2", 4)))
      return bad(file, "the archive's table of contents is damaged");
    uint16_t flags = read16le(fixed.data() + 8), method = read16le(fixed.data() + 10);
    uint64_t packed = read32le(fixed.data() + 20), size = read32le(fixed.data() + 24);
    uint64_t nameSize = read16le(fixed.data() + 28), extraSize = read16le(fixed.data() + 30);
    uint64_t offset = read32le(fixed.data() + 42);
    StringRef name = slice(bytes, position + 46, nameSize);
    StringRef extra = slice(bytes, position + 46 + nameSize, extraSize);
    position += 46 + nameSize + extraSize + read16le(fixed.data() + 32);
    if (!name.consume_back(".npy"))
      continue;
    if (!readWide(extra, size, packed, offset))
      return bad(file, "the archive's table of contents is damaged");
    if ((flags & 1) || (method != 0 && method != 8))
      return bad(file, "array '" + name.str() + "' is encrypted or packed in an unknown way");
    StringRef local = slice(bytes, offset, 30);
    if (!local.starts_with(StringRef("PK\3\4", 4)))
      return bad(file, "array '" + name.str() + "' is not where the archive says");
    uint64_t begin = offset + 30 + read16le(local.data() + 26) + read16le(local.data() + 28);
    StringRef content = slice(bytes, begin, packed);
    // Deflate makes at most 1032 bytes of one: a larger claim is no reason to allocate.
    bool fits = method == 0 ? size == packed : size / 1032 <= packed;
    if (content.size() != packed || !fits)
      return bad(file, "array '" + name.str() + "' is truncated");
    entries.push_back({name.str(), content, size_t(size), read32le(fixed.data() + 16), method == 8});
  }
  return entries;
}

bool tool::isIntact(const ArchiveEntry &entry) {
  return llvm::crc32(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(entry.packed.data()), entry.packed.size())) ==
         entry.checksum;
}

std::string tool::extractStart(const ArchiveEntry &entry, size_t size) {
  size = std::min(size, entry.size);
  if (!entry.isDeflated)
    return entry.packed.take_front(size).str();
  std::string start(size, 0);
  return inflate(entry.packed, llvm::MutableArrayRef(start.data(), size), /*isAll=*/false) ? start : "";
}

Result<HostTensor> tool::extract(const ArchiveEntry &entry, const std::string &file) {
  std::string name = file + ":" + entry.name;
  std::vector<char> unpacked;
  StringRef content = entry.packed;
  if (entry.isDeflated) {
    unpacked.resize(entry.size);
    if (!inflate(entry.packed, unpacked, /*isAll=*/true))
      return bad(name, "the packed data is damaged");
    content = StringRef(unpacked.data(), unpacked.size());
  }
  if (llvm::crc32(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(content.data()), content.size())) != entry.checksum)
    return bad(name, "the checksum does not fit");
  return parseNpy(content, name);
}
