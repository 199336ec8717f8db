// nn.decode_image: finds the decoder of a file, and makes the pixels that are wanted.
#include "runtime/host/Host.h"
#include "runtime/images/Images.h"

using namespace nacre::host;
using namespace nacre::images;

namespace {

// nn::PixelFormat
enum Format : int64_t { kRGB, kBGR, kGray };

bool decode(Bytes file, Image &image) {
  using Decoder = bool (*)(Bytes, Image &);
  constexpr Decoder decoders[] = {decodeJpeg, decodePng, decodeWebp, decodeBmp, decodeTiff, decodeJpeg2000, decodePnm};
  for (Decoder decoder : decoders)
    if (decoder(file, image))
      return true;
    else if (image.pixels) // its file, but damaged
      return false;
  return false;
}

void write(Image &image, int64_t format, uint8_t *to) {
  size_t count = image.width * image.height;
  const uint8_t *from = image.pixels;
  for (size_t i = 0; i < count; ++i, from += 3) {
    if (format == kGray) // ITU-R 601, rounded
      *to++ = static_cast<uint8_t>((from[0] * 19595u + from[1] * 38470u + from[2] * 7471u + 0x8000u) >> 16);
    else
      for (int channel = 0; channel < 3; ++channel)
        *to++ = from[format == kBGR ? 2 - channel : channel];
  }
}

} // namespace

NACRE_HOST_FUNCTION(decode_image) {
  Call call(context, description);
  Tensor input = call.input(0);
  int64_t format = call.number(0), channels = format == kGray ? 1 : 3;
  Handle &pixels = call.output(0).as<Handle>()[0];
  int64_t *sizes = call.output(1).as<int64_t>();
  pixels = nullptr;
  sizes[0] = sizes[1] = 0;
  sizes[2] = channels;
  Image image;
  if (!decode({input.as<uint8_t>(), static_cast<size_t>(input.count())}, image))
    return;
  int64_t width = static_cast<int64_t>(image.width), height = static_cast<int64_t>(image.height);
  char *to = call.makeString(width * height * channels, pixels);
  if (!to)
    return;
  write(image, format, reinterpret_cast<uint8_t *>(to));
  sizes[0] = height;
  sizes[1] = width;
}
