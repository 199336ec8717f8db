// WebP, by libwebp.
#include "runtime/images/Images.h"

#include <webp/decode.h>

namespace nacre::images {

bool decodeWebp(Bytes file, Image &image) {
  if (!file.beginsWith("RIFF", 4) || file.size < 16 || std::memcmp(file.data + 8, "WEBP", 4) != 0)
    return false;
  int width, height;
  if (!WebPGetInfo(file.data, file.size, &width, &height) || width <= 0 || height <= 0 ||
      !image.reserve(static_cast<uint64_t>(width), static_cast<uint64_t>(height)))
    return false;
  return WebPDecodeRGBInto(file.data, file.size, image.pixels, 3 * image.width * image.height, 3 * width) != nullptr;
}

} // namespace nacre::images
