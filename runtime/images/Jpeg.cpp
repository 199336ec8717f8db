// JPEG, by libjpeg-turbo.
#include "runtime/images/Images.h"

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

namespace nacre::images {

namespace {

struct Errors {
  jpeg_error_mgr manager;
  jmp_buf back;
};

void leave(j_common_ptr state) { std::longjmp(reinterpret_cast<Errors *>(state->err)->back, 1); }
void ignore(j_common_ptr, int) {}
void say(j_common_ptr) {}

} // namespace

bool decodeJpeg(Bytes file, Image &image) {
  if (!file.beginsWith("\xFF\xD8\xFF", 3))
    return false;
  jpeg_decompress_struct state;
  Errors errors;
  state.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = leave;
  errors.manager.emit_message = ignore;
  errors.manager.output_message = say;
  uint8_t *volatile line = nullptr;
  if (setjmp(errors.back)) {
    jpeg_destroy_decompress(&state);
    std::free(line);
    return false;
  }
  jpeg_create_decompress(&state);
  jpeg_mem_src(&state, file.data, file.size);
  jpeg_read_header(&state, TRUE);
  // Four inks can't be converted by the library.
  bool isInk = state.num_components == 4;
  state.out_color_space = isInk ? JCS_CMYK : JCS_RGB;
  bool isInverted = state.saw_Adobe_marker;
  bool isRoom = image.reserve(state.image_width, state.image_height);
  if (isRoom && isInk) {
    line = static_cast<uint8_t *>(std::malloc(4 * image.width));
    isRoom = line != nullptr;
  }
  if (isRoom) {
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      uint8_t *to = image.row(state.output_scanline), *row = isInk ? static_cast<uint8_t *>(line) : to;
      jpeg_read_scanlines(&state, &row, 1);
      for (size_t x = 0; isInk && x < image.width; ++x)
        for (size_t i = 0; i < 3; ++i) {
          unsigned ink = row[4 * x + i], black = row[4 * x + 3];
          if (!isInverted)
            ink = 255 - ink, black = 255 - black;
          to[3 * x + i] = static_cast<uint8_t>((ink * black + 127) / 255);
        }
    }
    jpeg_finish_decompress(&state);
  }
  jpeg_destroy_decompress(&state);
  std::free(line);
  return isRoom;
}

} // namespace nacre::images
