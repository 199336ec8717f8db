// BMP and PNM: no library is wanted for these.
#include "runtime/images/Images.h"

namespace nacre::images {

namespace {

uint32_t read16(const uint8_t *at) { return at[0] | uint32_t(at[1]) << 8; }
uint32_t read32(const uint8_t *at) { return read16(at) | read16(at + 2) << 16; }

// A field of a pixel, scaled to 8 bits.
struct Mask {
  uint32_t mask;
  unsigned shift = 0, width = 0;

  explicit Mask(uint32_t bits) : mask(bits) {
    for (; mask && !(mask >> shift & 1); ++shift)
      ;
    for (; shift + width < 32 && (mask >> (shift + width) & 1); ++width)
      ;
  }
  uint8_t get(uint32_t pixel) const {
    uint64_t most = width ? (uint64_t(1) << width) - 1 : 1, value = (pixel & mask) >> shift;
    return static_cast<uint8_t>((value * 255 + most / 2) / most);
  }
};

struct Bitmap {
  Bytes file;
  uint32_t bits, compression, colours;
  const uint8_t *palette;
  size_t entry; // size of a colour of the palette

  bool setColour(uint8_t *pixel, uint32_t index) const {
    if (index >= colours)
      return false;
    const uint8_t *colour = palette + entry * index;
    pixel[0] = colour[2], pixel[1] = colour[1], pixel[2] = colour[0];
    return true;
  }
};

// Runs of equal pixels (RLE8, RLE4), from the bottom row up.
bool readRuns(const Bitmap &bitmap, size_t at, Image &image) {
  const Bytes &file = bitmap.file;
  size_t x = 0, y = 0;
  bool isWide = bitmap.bits == 8;
  auto put = [&](uint32_t index) {
    return x < image.width && y < image.height && bitmap.setColour(image.row(image.height - 1 - y) + 3 * x++, index);
  };
  while (file.size >= 2 && at <= file.size - 2) {
    uint32_t count = file.data[at], value = file.data[at + 1];
    at += 2;
    if (count > 0) {
      for (uint32_t i = 0; i < count; ++i)
        if (!put(isWide ? value : (i % 2 ? value & 15 : value >> 4)))
          return false;
    } else if (value == 0) {
      x = 0, ++y;
    } else if (value == 1) {
      return true;
    } else if (value == 2) {
      if (file.size - at < 2)
        return false;
      x += file.data[at], y += file.data[at + 1];
      at += 2;
    } else {
      size_t bytes = isWide ? value : (value + 1) / 2;
      if (file.size - at < bytes)
        return false;
      for (uint32_t i = 0; i < value; ++i) {
        uint32_t byte = file.data[at + (isWide ? i : i / 2)];
        if (!put(isWide ? byte : (i % 2 ? byte & 15 : byte >> 4)))
          return false;
      }
      at += bytes + bytes % 2;
    }
  }
  return true; // an end that is missing is forgiven
}

} // namespace

bool decodeBmp(Bytes file, Image &image) {
  if (!file.beginsWith("BM", 2) || file.size < 26)
    return false;
  const uint8_t *header = file.data + 14;
  uint64_t offset = read32(file.data + 10), length = read32(header);
  bool isOld = length == 12; // OS/2's
  if ((!isOld && length < 40) || length > file.size - 14)
    return false;
  int64_t width = isOld ? read16(header + 4) : int32_t(read32(header + 4));
  int64_t height = isOld ? read16(header + 6) : int32_t(read32(header + 8));
  bool isFromTop = height < 0;
  height = isFromTop ? -height : height;
  Bitmap bitmap{file, isOld ? read16(header + 10) : read16(header + 14), isOld ? 0 : read32(header + 16), 0, nullptr,
                size_t(isOld ? 3 : 4)};
  uint32_t used = isOld ? 0 : read32(header + 32), bits = bitmap.bits;
  bool hasMasks = bitmap.compression == 3 || bitmap.compression == 6;
  uint64_t behind = 14 + length;
  uint32_t masks[3] = {0xFF0000, 0xFF00, 0xFF};
  if (bits == 16)
    masks[0] = 0x7C00, masks[1] = 0x3E0, masks[2] = 0x1F;
  if (hasMasks) {
    // In the header, or behind a short one.
    uint64_t place = 14 + 40;
    if (file.size < place + 12)
      return false;
    for (int i = 0; i < 3; ++i)
      masks[i] = read32(file.data + place + 4 * static_cast<size_t>(i));
    if (length == 40)
      behind += bitmap.compression == 6 ? 16 : 12;
  }
  if (bits <= 8) {
    uint64_t colours = used ? used : uint64_t(1) << bits, room = behind < file.size ? (file.size - behind) / bitmap.entry : 0;
    bitmap.colours = static_cast<uint32_t>(colours < room ? colours : room);
    bitmap.palette = file.data + behind;
  }
  bool isRuns = (bitmap.compression == 1 && bits == 8) || (bitmap.compression == 2 && bits == 4);
  bool isPlain = bitmap.compression == 0 || (hasMasks && (bits == 16 || bits == 32));
  bool isKnown = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
  if (width <= 0 || height <= 0 || offset > file.size || !isKnown || (!isRuns && !isPlain))
    return false;
  uint64_t stride = (uint64_t(width) * bits + 31) / 32 * 4;
  if (isPlain && (file.size - offset) / stride < uint64_t(height))
    return false;
  if (!image.reserve(uint64_t(width), uint64_t(height)))
    return false;
  if (isRuns)
    return readRuns(bitmap, offset, image);
  Mask red(masks[0]), green(masks[1]), blue(masks[2]);
  for (size_t y = 0; y < image.height; ++y) {
    const uint8_t *row = file.data + offset + stride * (isFromTop ? y : image.height - 1 - y);
    uint8_t *to = image.row(y);
    for (size_t x = 0; x < image.width; ++x, to += 3) {
      if (bits <= 8) {
        unsigned perByte = 8 / bits, place = static_cast<unsigned>(x % perByte);
        uint32_t index = row[x / perByte] >> (8 - bits * (place + 1)) & ((1u << bits) - 1);
        if (!bitmap.setColour(to, index))
          return false;
      } else if (bits == 24) {
        to[0] = row[3 * x + 2], to[1] = row[3 * x + 1], to[2] = row[3 * x];
      } else {
        uint32_t pixel = bits == 16 ? read16(row + 2 * x) : read32(row + 4 * x);
        to[0] = red.get(pixel), to[1] = green.get(pixel), to[2] = blue.get(pixel);
      }
    }
  }
  return true;
}

namespace {

// The numbers of a PNM file's text.
struct Numbers {
  Bytes file;
  size_t at;

  static bool isSpace(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }
  void skip() {
    for (; at < file.size && (isSpace(file.data[at]) || file.data[at] == '#'); ++at)
      if (file.data[at] == '#')
        while (at < file.size && file.data[at] != '\n')
          ++at;
  }
  // -1 where there is none, or a large one.
  int64_t next() {
    skip();
    int64_t value = 0;
    size_t begin = at;
    for (; at < file.size && file.data[at] >= '0' && file.data[at] <= '9'; ++at) {
      value = value * 10 + (file.data[at] - '0');
      if (value > INT32_MAX)
        return -1;
    }
    return at > begin ? value : -1;
  }
  // Of a bitmap's text: digits need no space between them.
  int64_t nextBit() {
    skip();
    if (at >= file.size || (file.data[at] != '0' && file.data[at] != '1'))
      return -1;
    return file.data[at++] - '0';
  }
};

} // namespace

bool decodePnm(Bytes file, Image &image) {
  if (file.size < 3 || file.data[0] != 'P' || file.data[1] < '1' || file.data[1] > '6' || !Numbers::isSpace(file.data[2]))
    return false;
  int kind = file.data[1] - '0'; // 1 to 3: text; bits, grey, colours
  bool isText = kind <= 3, isBits = kind % 3 == 1;
  size_t channels = kind % 3 == 0 ? 3 : 1;
  Numbers numbers{file, 2};
  int64_t width = numbers.next(), height = numbers.next(), most = isBits ? 1 : numbers.next();
  if (width <= 0 || height <= 0 || most < 1 || most > 65535)
    return false;
  size_t begin = numbers.at + 1, depth = most > 255 ? 2 : 1; // one white-space character is the header's end
  uint64_t row = isBits ? (uint64_t(width) + 7) / 8 : uint64_t(width) * channels * depth;
  if (!isText && (begin > file.size || (file.size - begin) / row < uint64_t(height)))
    return false;
  if (isText && file.size < uint64_t(width) * channels) // at least a byte for each number
    return false;
  if (!image.reserve(uint64_t(width), uint64_t(height)))
    return false;
  const uint8_t *at = file.data + begin;
  for (size_t y = 0; y < image.height; ++y, at += row) {
    uint8_t *to = image.row(y);
    for (size_t x = 0; x < image.width; ++x, to += 3)
      for (size_t i = 0; i < channels; ++i) {
        int64_t value;
        if (isText)
          value = isBits ? numbers.nextBit() : numbers.next();
        else if (isBits)
          value = at[x / 8] >> (7 - x % 8) & 1;
        else
          value = depth == 1 ? at[x * channels + i] : at[2 * (x * channels + i)] << 8 | at[2 * (x * channels + i) + 1];
        if (value < 0 || value > most)
          return false;
        if (isBits)
          value = 1 - value; // 1 is black
        auto scaled = static_cast<uint8_t>((value * 255 + most / 2) / most);
        if (channels == 3)
          to[i] = scaled;
        else
          to[0] = to[1] = to[2] = scaled;
      }
  }
  return true;
}

} // namespace nacre::images
