// JPEG 2000, by OpenJPEG.
#include "runtime/images/Images.h"

#include <openjpeg.h>

namespace nacre::images {

namespace {

struct Reader {
  Bytes file;
  uint64_t at = 0;
};

OPJ_SIZE_T read(void *to, OPJ_SIZE_T size, void *handle) {
  auto &reader = *static_cast<Reader *>(handle);
  uint64_t left = reader.file.size - reader.at, count = size < left ? size : left;
  if (count == 0)
    return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(to, reader.file.data + reader.at, count);
  reader.at += count;
  return count;
}
OPJ_BOOL seek(OPJ_OFF_T offset, void *handle) {
  auto &reader = *static_cast<Reader *>(handle);
  if (offset < 0 || uint64_t(offset) > reader.file.size)
    return OPJ_FALSE;
  reader.at = static_cast<uint64_t>(offset);
  return OPJ_TRUE;
}
OPJ_OFF_T skip(OPJ_OFF_T count, void *handle) {
  auto &reader = *static_cast<Reader *>(handle);
  if (count < 0)
    return -1;
  uint64_t left = reader.file.size - reader.at;
  reader.at += uint64_t(count) < left ? uint64_t(count) : left;
  return count;
}

// An element of a channel, which may have fewer of them than the image has pixels, in 8 bits.
struct Channel {
  const opj_image_comp_t &component;

  int get(const opj_image_t &whole, size_t x, size_t y) const {
    auto at = [](uint64_t place, uint64_t begin, uint64_t step, uint64_t first, uint64_t count) {
      uint64_t own = (place + begin) / step;
      own = own > first ? own - first : 0;
      return own < count ? own : count - 1;
    };
    uint64_t column = at(x, whole.x0, component.dx, component.x0, component.w);
    uint64_t row = at(y, whole.y0, component.dy, component.y0, component.h);
    int64_t most = (int64_t(1) << component.prec) - 1;
    int64_t value = component.data[row * component.w + column] + (component.sgnd ? int64_t(1) << (component.prec - 1) : 0);
    value = value < 0 ? 0 : value > most ? most : value;
    return static_cast<int>(component.prec <= 8 ? (value * 255 + most / 2) / most : value >> (component.prec - 8));
  }
};

uint8_t clamp(double value) { return value < 0 ? 0 : value > 255 ? 255 : static_cast<uint8_t>(value + 0.5); }

bool convert(const opj_image_t &decoded, Image &image) {
  size_t channels = decoded.numcomps;
  if (channels == 0 || decoded.x1 <= decoded.x0 || decoded.y1 <= decoded.y0 ||
      !image.reserve(decoded.x1 - decoded.x0, decoded.y1 - decoded.y0))
    return false;
  for (size_t i = 0; i < channels; ++i) {
    const opj_image_comp_t &c = decoded.comps[i];
    if (!c.data || c.w == 0 || c.h == 0 || c.dx == 0 || c.dy == 0 || c.prec < 1 || c.prec > 31)
      return false;
  }
  for (size_t y = 0; y < image.height; ++y)
    for (size_t x = 0; x < image.width; ++x) {
      uint8_t *to = image.row(y) + 3 * x;
      int values[3];
      for (size_t i = 0; i < 3; ++i) // grey, perhaps with transparency, or colours
        values[i] = Channel{decoded.comps[channels >= 3 ? i : 0]}.get(decoded, x, y);
      if (channels >= 3 && decoded.color_space == OPJ_CLRSPC_SYCC) {
        double blue = values[1] - 128, red = values[2] - 128;
        to[0] = clamp(values[0] + 1.402 * red);
        to[1] = clamp(values[0] - 0.344136 * blue - 0.714136 * red);
        to[2] = clamp(values[0] + 1.772 * blue);
      } else {
        for (size_t i = 0; i < 3; ++i)
          to[i] = static_cast<uint8_t>(values[i]);
      }
    }
  return true;
}

void ignore(const char *, void *) {}

} // namespace

bool decodeJpeg2000(Bytes file, Image &image) {
  bool isBoxed = file.beginsWith("\0\0\0\x0CjP  ", 8), isBare = file.beginsWith("\xFF\x4F\xFF\x51", 4);
  if (!isBoxed && !isBare)
    return false;
  Reader reader{file};
  opj_codec_t *codec = opj_create_decompress(isBoxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
  opj_image_t *decoded = nullptr;
  bool isRead = false;
  if (codec && stream) {
    opj_set_info_handler(codec, ignore, nullptr);
    opj_set_warning_handler(codec, ignore, nullptr);
    opj_set_error_handler(codec, ignore, nullptr);
    opj_stream_set_user_data(stream, &reader, nullptr);
    opj_stream_set_user_data_length(stream, file.size);
    opj_stream_set_read_function(stream, read);
    opj_stream_set_seek_function(stream, seek);
    opj_stream_set_skip_function(stream, skip);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    // The header first: memory is taken for what it says.
    isRead = opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &decoded);
    isRead = isRead && uint64_t(decoded->x1 - decoded->x0) * (decoded->y1 - decoded->y0) <= uint64_t(1) << 28;
    isRead = isRead && opj_decode(codec, stream, decoded) && opj_end_decompress(codec, stream) && convert(*decoded, image);
  }
  if (decoded)
    opj_image_destroy(decoded);
  if (stream)
    opj_stream_destroy(stream);
  if (codec)
    opj_destroy_codec(codec);
  return isRead;
}

} // namespace nacre::images
