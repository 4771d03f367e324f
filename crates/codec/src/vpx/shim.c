/* What is used of libvpx, without its structs: those differ from one release to the next,
 * so that only a compiler which reads the installed headers knows how they lie. What is
 * called from Rust takes and gives plain numbers and pointers, and the two structs of ours.
 *
 * Codes: 0 is well, above it is a vpx_codec_err_t, below it is ours. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vpx/vp8cx.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>
#include <vpx/vpx_encoder.h>

enum { NO_MEMORY = -1, NOT_8_BIT_420 = -2, CORRUPTED = -3, SEVERAL_PACKETS = -4 };

/* RTP clock of video, RFC 7741 section 4.1: what a duration counts. */
enum { TICKS_PER_SECOND = 90000 };

struct paceline_vpx_encoder {
  vpx_codec_ctx_t context;
  vpx_codec_enc_cfg_t config;
  vpx_image_t image;
  int64_t now;
  int vp9;
};

struct paceline_vpx_decoder {
  vpx_codec_ctx_t context;
};

struct paceline_vpx_packet {
  const uint8_t *data;
  size_t len;
  int key;
  int quantizer;
};

struct paceline_vpx_picture {
  const uint8_t *planes[3];
  int strides[3];
  unsigned int width;
  unsigned int height;
};

int paceline_vpx_encoder_set_screen(struct paceline_vpx_encoder *encoder, int screen) {
  vpx_codec_ctx_t *context = &encoder->context;
  if (encoder->vp9) {
    int code = vpx_codec_control(context, VP9E_SET_TUNE_CONTENT,
                                 screen ? VP9E_CONTENT_SCREEN : VP9E_CONTENT_DEFAULT);
    if (code) return code;
    /* Cyclic refresh spends on a background that moves a little; that of a screen does not. */
    return vpx_codec_control(context, VP9E_SET_AQ_MODE, screen ? 0u : 3u);
  }
  int code = vpx_codec_control(context, VP8E_SET_SCREEN_CONTENT_MODE, screen ? 1u : 0u);
  if (code) return code;
  return vpx_codec_control(context, VP8E_SET_STATIC_THRESHOLD, screen ? 100u : 1u);
}

static int set_up(struct paceline_vpx_encoder *encoder, int screen,
                  unsigned int max_intra_percent) {
  vpx_codec_ctx_t *context = &encoder->context;
  int code;
  /* VP8 takes a positive speed for one that it may change by the clock. */
  if ((code = vpx_codec_control(context, VP8E_SET_CPUUSED, encoder->vp9 ? 8 : -8))) return code;
  if ((code = vpx_codec_control(context, VP8E_SET_MAX_INTRA_BITRATE_PCT, max_intra_percent)))
    return code;
  if (encoder->vp9) {
    if ((code = vpx_codec_control(context, VP9E_SET_NOISE_SENSITIVITY, 0u))) return code;
    if ((code = vpx_codec_control(context, VP8E_SET_STATIC_THRESHOLD, 1u))) return code;
    if ((code = vpx_codec_control(context, VP9E_SET_FRAME_PARALLEL_DECODING, 0u))) return code;
    if ((code = vpx_codec_control(context, VP9E_SET_COLOR_SPACE, VPX_CS_BT_601))) return code;
    if ((code = vpx_codec_control(context, VP9E_SET_COLOR_RANGE, VPX_CR_STUDIO_RANGE)))
      return code;
  } else if ((code = vpx_codec_control(context, VP8E_SET_NOISE_SENSITIVITY, 0u))) {
    return code;
  }
  return paceline_vpx_encoder_set_screen(encoder, screen);
}

int paceline_vpx_encoder_new(struct paceline_vpx_encoder **out, int vp9, unsigned int width,
                             unsigned int height, unsigned int kilobits, int screen,
                             unsigned int max_intra_percent) {
  vpx_codec_iface_t *interface = vp9 ? vpx_codec_vp9_cx() : vpx_codec_vp8_cx();
  struct paceline_vpx_encoder *encoder = calloc(1, sizeof(*encoder));
  *out = NULL;
  if (!encoder) return NO_MEMORY;
  encoder->vp9 = vp9;

  vpx_codec_enc_cfg_t *config = &encoder->config;
  int code = vpx_codec_enc_config_default(interface, config, 0);
  if (code) {
    free(encoder);
    return code;
  }
  config->g_w = width;
  config->g_h = height;
  config->g_threads = 1;
  config->g_timebase.num = 1;
  config->g_timebase.den = TICKS_PER_SECOND;
  config->g_error_resilient = 0;
  config->g_pass = VPX_RC_ONE_PASS;
  config->g_lag_in_frames = 0;
  config->kf_mode = VPX_KF_DISABLED;
  config->rc_end_usage = VPX_CBR;
  config->rc_resize_allowed = 0;
  config->rc_target_bitrate = kilobits;
  /* Those of libwebrtc's encoders: percent of the buffer, quantizers of 0 to 63, ms. */
  config->rc_dropframe_thresh = 30;
  config->rc_min_quantizer = 2;
  config->rc_max_quantizer = 56;
  config->rc_undershoot_pct = vp9 ? 50 : 100;
  config->rc_overshoot_pct = vp9 ? 50 : 15;
  config->rc_buf_initial_sz = 500;
  config->rc_buf_optimal_sz = 600;
  config->rc_buf_sz = 1000;

  code = vpx_codec_enc_init(&encoder->context, interface, config, 0);
  if (code) {
    /* What a failed start leaves is freed by the library. */
    free(encoder);
    return code;
  }
  code = set_up(encoder, screen, max_intra_percent);
  if (code) {
    vpx_codec_destroy(&encoder->context);
    free(encoder);
    return code;
  }
  *out = encoder;
  return 0;
}

void paceline_vpx_encoder_free(struct paceline_vpx_encoder *encoder) {
  vpx_codec_destroy(&encoder->context);
  free(encoder);
}

int paceline_vpx_encoder_set_bitrate(struct paceline_vpx_encoder *encoder,
                                     unsigned int kilobits) {
  encoder->config.rc_target_bitrate = kilobits;
  return vpx_codec_enc_config_set(&encoder->context, &encoder->config);
}

int paceline_vpx_encoder_set_max_intra(struct paceline_vpx_encoder *encoder,
                                       unsigned int percent) {
  return vpx_codec_control(&encoder->context, VP8E_SET_MAX_INTRA_BITRATE_PCT, percent);
}

/* planes: tight I420 of the size that the encoder was made for, which is only read. A packet
 * of no bytes is a picture that was left out. It stays until the next call. */
int paceline_vpx_encode(struct paceline_vpx_encoder *encoder, const uint8_t *planes,
                        unsigned int ticks, int force_key, struct paceline_vpx_packet *packet) {
  memset(packet, 0, sizeof(*packet));
  if (!vpx_img_wrap(&encoder->image, VPX_IMG_FMT_I420, encoder->config.g_w, encoder->config.g_h,
                    1, (uint8_t *)planes))
    return NO_MEMORY;
  int code = vpx_codec_encode(&encoder->context, &encoder->image, encoder->now, ticks,
                              force_key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME);
  if (code) return code;
  encoder->now += ticks;

  const vpx_codec_cx_pkt_t *next;
  vpx_codec_iter_t iterator = NULL;
  while ((next = vpx_codec_get_cx_data(&encoder->context, &iterator))) {
    if (next->kind != VPX_CODEC_CX_FRAME_PKT || next->data.frame.sz == 0) continue;
    if (packet->len) return SEVERAL_PACKETS;
    packet->data = next->data.frame.buf;
    packet->len = next->data.frame.sz;
    packet->key = (next->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
  }
  return vpx_codec_control(&encoder->context, VP8E_GET_LAST_QUANTIZER, &packet->quantizer);
}

int paceline_vpx_decoder_new(struct paceline_vpx_decoder **out, int vp9) {
  vpx_codec_dec_cfg_t config = { .threads = 1 };
  struct paceline_vpx_decoder *decoder = calloc(1, sizeof(*decoder));
  *out = NULL;
  if (!decoder) return NO_MEMORY;
  int code = vpx_codec_dec_init(&decoder->context, vp9 ? vpx_codec_vp9_dx() : vpx_codec_vp8_dx(),
                                &config, 0);
  if (code) {
    free(decoder);
    return code;
  }
  *out = decoder;
  return 0;
}

void paceline_vpx_decoder_free(struct paceline_vpx_decoder *decoder) {
  vpx_codec_destroy(&decoder->context);
  free(decoder);
}

/* A picture of no width is none: the frame is not to be shown. The planes stay until the next
 * call. */
int paceline_vpx_decode(struct paceline_vpx_decoder *decoder, const uint8_t *data,
                        unsigned int len, struct paceline_vpx_picture *picture) {
  memset(picture, 0, sizeof(*picture));
  int code = vpx_codec_decode(&decoder->context, data, len, NULL, 0);
  if (code) return code;

  const vpx_image_t *next, *image = NULL;
  vpx_codec_iter_t iterator = NULL;
  while ((next = vpx_codec_get_frame(&decoder->context, &iterator))) image = next;
  int corrupted = 0;
  /* It has an answer only once there is a picture. */
  if (image && vpx_codec_control(&decoder->context, VP8D_GET_FRAME_CORRUPTED, &corrupted) == 0 &&
      corrupted)
    return CORRUPTED;
  if (!image) return 0;
  if (image->fmt != VPX_IMG_FMT_I420 || image->bit_depth != 8) return NOT_8_BIT_420;
  for (int plane = 0; plane < 3; plane++) {
    picture->planes[plane] = image->planes[plane];
    picture->strides[plane] = image->stride[plane];
  }
  picture->width = image->d_w;
  picture->height = image->d_h;
  return 0;
}
