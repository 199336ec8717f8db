// The decoders of image files (nacre-images.o), each on a library that is maintained, and
// those of formats so simple that they have none.
#ifndef NACRE_RUNTIME_IMAGES_H
#define NACRE_RUNTIME_IMAGES_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace nacre::images {

struct Bytes {
  const uint8_t *data;
  size_t size;

  bool beginsWith(const char *magic, size_t length) const {
    return size >= length && std::memcmp(data, magic, length) == 0;
  }
};

// 8 bits each of red, green and blue. Its memory comes from malloc: there are no exceptions.
struct Image {
  uint8_t *pixels = nullptr;
  size_t width = 0, height = 0;

  Image() = default;
  Image(const Image &) = delete;
  Image &operator=(const Image &) = delete;
  ~Image() { std::free(pixels); }

  // Black pixels; false if there are none or too many, or no memory for them. What a file
  // says of its size is not believed without limit.
  bool reserve(uint64_t columns, uint64_t rows) {
    constexpr uint64_t most = uint64_t(1) << 28;
    if (pixels || columns == 0 || rows == 0 || columns > most || rows > most / columns)
      return false;
    pixels = static_cast<uint8_t *>(std::calloc(columns * rows, 3));
    width = columns;
    height = rows;
    return pixels != nullptr;
  }
  uint8_t *row(size_t y) { return pixels + 3 * width * y; }
};

// Each gives false where the bytes are none of its files, or damaged.
bool decodeBmp(Bytes file, Image &image);
bool decodeJpeg(Bytes file, Image &image);
bool decodeJpeg2000(Bytes file, Image &image);
bool decodePng(Bytes file, Image &image);
bool decodePnm(Bytes file, Image &image);
bool decodeTiff(Bytes file, Image &image);
bool decodeWebp(Bytes file, Image &image);

} // namespace nacre::images

#endif // NACRE_RUNTIME_IMAGES_H
