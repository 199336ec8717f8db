// What the libraries would call, but is not linked.
//
// libjpeg-turbo's vector code (runtime/CMakeLists.txt says why): here it says that it can do
// nothing, so that the library computes by itself and calls none of the rest.
//
// JBIG-KIT, which libtiff has for a rare compression of black and white, and whose licence, the
// GNU GPL, would be that of every model with images: here its decoder finds nothing it knows.

#define NACRE_PLAIN(can, function)                                                                                     \
  int jsimd_can_##can() { return 0; }                                                                                  \
  void jsimd_##function() {}
#define NACRE_PLAIN_SAME(name) NACRE_PLAIN(name, name)

extern "C" {
NACRE_PLAIN(rgb_ycc, rgb_ycc_convert)
NACRE_PLAIN(rgb_gray, rgb_gray_convert)
NACRE_PLAIN(ycc_rgb, ycc_rgb_convert)
NACRE_PLAIN(ycc_rgb565, ycc_rgb565_convert)
NACRE_PLAIN_SAME(h2v1_downsample)
NACRE_PLAIN_SAME(h2v2_downsample)
NACRE_PLAIN_SAME(h2v2_smooth_downsample)
NACRE_PLAIN_SAME(h2v1_upsample)
NACRE_PLAIN_SAME(h2v2_upsample)
NACRE_PLAIN_SAME(int_upsample)
NACRE_PLAIN_SAME(h2v1_fancy_upsample)
NACRE_PLAIN_SAME(h2v2_fancy_upsample)
NACRE_PLAIN_SAME(h1v2_fancy_upsample)
NACRE_PLAIN_SAME(h2v1_merged_upsample)
NACRE_PLAIN_SAME(h2v2_merged_upsample)
NACRE_PLAIN_SAME(convsamp)
NACRE_PLAIN_SAME(convsamp_float)
NACRE_PLAIN_SAME(fdct_islow)
NACRE_PLAIN_SAME(fdct_ifast)
NACRE_PLAIN_SAME(fdct_float)
NACRE_PLAIN_SAME(quantize)
NACRE_PLAIN_SAME(quantize_float)
NACRE_PLAIN_SAME(idct_2x2)
NACRE_PLAIN_SAME(idct_4x4)
NACRE_PLAIN_SAME(idct_6x6)
NACRE_PLAIN_SAME(idct_12x12)
NACRE_PLAIN_SAME(idct_islow)
NACRE_PLAIN_SAME(idct_ifast)
NACRE_PLAIN_SAME(idct_float)
NACRE_PLAIN_SAME(huff_encode_one_block)
NACRE_PLAIN_SAME(encode_mcu_AC_first_prepare)
NACRE_PLAIN_SAME(encode_mcu_AC_refine_prepare)

void jbg_dec_init(void *) {}
int jbg_dec_in(void *, unsigned char *, unsigned long, unsigned long *) { return 0xFF; }
unsigned long jbg_dec_getsize(const void *) { return 0; }
unsigned char *jbg_dec_getimage(const void *, int) { return nullptr; }
void jbg_dec_free(void *) {}
void jbg_enc_init(void *, unsigned long, unsigned long, int, unsigned char **, void *, void *) {}
void jbg_enc_out(void *) {}
void jbg_enc_free(void *) {}
int jbg_newlen(unsigned char *, unsigned long) { return 0; }
const char *jbg_strerror(int) { return "JBIG is not supported"; }
}
