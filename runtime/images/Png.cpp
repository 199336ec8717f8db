// PNG, by libpng's simplified interface.
#include "runtime/images/Images.h"

#include <png.h>

namespace nacre::images {

bool decodePng(Bytes file, Image &image) {
  if (!file.beginsWith("\x89PNG\r\n\x1A\n", 8))
    return false;
  png_image state;
  std::memset(&state, 0, sizeof state);
  state.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&state, file.data, file.size))
    return false;
  // Transparency is left out, not mixed with a background.
  bool isClear = (state.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  state.format = isClear ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  uint8_t *mixed = nullptr;
  bool isRoom = image.reserve(state.width, state.height);
  if (isRoom && isClear)
    isRoom = (mixed = static_cast<uint8_t *>(std::malloc(4 * image.width * image.height))) != nullptr;
  bool isRead = isRoom && png_image_finish_read(&state, nullptr, isClear ? mixed : image.pixels, 0, nullptr);
  for (size_t i = 0, e = image.width * image.height; isRead && isClear && i < e; ++i)
    std::memcpy(image.pixels + 3 * i, mixed + 4 * i, 3);
  png_image_free(&state);
  std::free(mixed);
  return isRead;
}

} // namespace nacre::images
