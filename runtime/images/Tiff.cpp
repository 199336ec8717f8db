// TIFF, by libtiff.
#include "runtime/images/Images.h"

#include <tiffio.h>

namespace nacre::images {

namespace {

struct Reader {
  Bytes file;
  uint64_t at = 0;
};

tmsize_t read(thandle_t handle, void *to, tmsize_t size) {
  auto &reader = *static_cast<Reader *>(handle);
  uint64_t left = reader.at < reader.file.size ? reader.file.size - reader.at : 0;
  uint64_t count = size < 0 ? 0 : uint64_t(size) < left ? uint64_t(size) : left;
  std::memcpy(to, reader.file.data + reader.at, count);
  reader.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t write(thandle_t, void *, tmsize_t) { return 0; }
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto &reader = *static_cast<Reader *>(handle);
  reader.at = offset + (whence == SEEK_CUR ? reader.at : whence == SEEK_END ? reader.file.size : 0);
  return reader.at;
}
int close(thandle_t) { return 0; }
toff_t size(thandle_t handle) { return static_cast<Reader *>(handle)->file.size; }
int map(thandle_t handle, void **base, toff_t *length) {
  auto &reader = *static_cast<Reader *>(handle);
  *base = const_cast<uint8_t *>(reader.file.data);
  *length = reader.file.size;
  return 1;
}
void unmap(thandle_t, void *, toff_t) {}

} // namespace

bool decodeTiff(Bytes file, Image &image) {
  if (!file.beginsWith("II", 2) && !file.beginsWith("MM", 2))
    return false;
  TIFFSetErrorHandler(nullptr); // they would write to the standard error stream
  TIFFSetWarningHandler(nullptr);
  Reader reader{file};
  TIFF *tiff = TIFFClientOpen("image", "r", &reader, read, write, seek, close, size, map, unmap);
  if (!tiff)
    return false;
  uint32_t width = 0, height = 0;
  bool isRead = TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) && TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height) &&
                image.reserve(width, height);
  auto *packed = isRead ? static_cast<uint32_t *>(std::malloc(4 * image.width * image.height)) : nullptr;
  isRead = packed && TIFFReadRGBAImageOriented(tiff, width, height, packed, ORIENTATION_TOPLEFT, /*stopOnError=*/1);
  for (size_t i = 0, e = image.width * image.height; isRead && i < e; ++i) {
    image.pixels[3 * i] = static_cast<uint8_t>(TIFFGetR(packed[i]));
    image.pixels[3 * i + 1] = static_cast<uint8_t>(TIFFGetG(packed[i]));
    image.pixels[3 * i + 2] = static_cast<uint8_t>(TIFFGetB(packed[i]));
  }
  std::free(packed);
  TIFFClose(tiff);
  return isRead;
}

} // namespace nacre::images
