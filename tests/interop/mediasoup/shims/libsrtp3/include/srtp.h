// What the worker calls of libsrtp 3, over libsrtp 2: functions of the same names that take
// a source and a room of its own for the result.
#pragma once

// The policy is a pointer there and a structure here.
#define srtp_policy_t srtp2_policy_t
#include <srtp2/srtp.h>
#undef srtp_policy_t

#include <cstddef>
#include <cstdint>
#include <cstring>

constexpr auto srtp_err_status_buffer_small = static_cast<srtp_err_status_t>(28);
constexpr auto srtp_err_status_cryptex_err = static_cast<srtp_err_status_t>(29);

struct srtp3_policy {
  srtp2_policy_t inner{};
  std::uint8_t key[SRTP_MAX_KEY_LEN]{};
};
using srtp_policy_t = srtp3_policy*;

inline srtp_err_status_t srtp_policy_create(srtp_policy_t* policy) {
  *policy = new srtp3_policy;
  (*policy)->inner.key = (*policy)->key;
  return srtp_err_status_ok;
}

inline void srtp_policy_destroy(srtp_policy_t policy) { delete policy; }

inline srtp_err_status_t srtp_policy_set_ssrc(srtp_policy_t policy, srtp_ssrc_t ssrc) {
  policy->inner.ssrc = ssrc;
  return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_profile(srtp_policy_t policy, srtp_profile_t profile) {
  const auto status = srtp_crypto_policy_set_from_profile_for_rtp(&policy->inner.rtp, profile);
  if (status != srtp_err_status_ok) return status;
  return srtp_crypto_policy_set_from_profile_for_rtcp(&policy->inner.rtcp, profile);
}

inline srtp_err_status_t srtp_policy_add_key(srtp_policy_t policy, const std::uint8_t* key, std::size_t key_len,
                                             const std::uint8_t* salt, std::size_t salt_len,
                                             const std::uint8_t* /*mki*/, std::size_t mki_len) {
  if (mki_len != 0 || key_len + salt_len > sizeof(policy->key)) return srtp_err_status_bad_param;
  std::memcpy(policy->key, key, key_len);
  std::memcpy(policy->key + key_len, salt, salt_len);
  return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_allow_repeat_tx(srtp_policy_t policy, bool allow) {
  policy->inner.allow_repeat_tx = allow ? 1 : 0;
  return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_window_size(srtp_policy_t policy, std::size_t size) {
  policy->inner.window_size = size;
  return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_create(srtp_t* session, srtp_policy_t policy) {
  return srtp_create(session, &policy->inner);
}

inline srtp_err_status_t srtp_stream_remove(srtp_t session, std::uint32_t ssrc) {
  return srtp_remove_stream(session, ssrc);
}

// Copies what is to be changed, as libsrtp 2 changes it where it is.
template <class Change>
srtp_err_status_t srtp3_apply(Change change, std::size_t growth, srtp_t session, const std::uint8_t* from,
                              std::size_t from_len, std::uint8_t* to, std::size_t* to_len) {
  if (*to_len < from_len + growth) return srtp_err_status_buffer_small;
  if (to != from) std::memcpy(to, from, from_len);
  auto len = static_cast<int>(from_len);
  const auto status = change(session, to, &len);
  if (status == srtp_err_status_ok) *to_len = static_cast<std::size_t>(len);
  return status;
}

using srtp2_change = srtp_err_status_t (*)(srtp_t, void*, int*);

inline srtp_err_status_t srtp_protect(srtp_t session, const std::uint8_t* from, std::size_t from_len,
                                      std::uint8_t* to, std::size_t* to_len, std::size_t /*mki*/) {
  return srtp3_apply(static_cast<srtp2_change>(srtp_protect), SRTP_MAX_TRAILER_LEN, session, from, from_len, to, to_len);
}

inline srtp_err_status_t srtp_unprotect(srtp_t session, const std::uint8_t* from, std::size_t from_len,
                                        std::uint8_t* to, std::size_t* to_len) {
  return srtp3_apply(static_cast<srtp2_change>(srtp_unprotect), 0, session, from, from_len, to, to_len);
}

inline srtp_err_status_t srtp_protect_rtcp(srtp_t session, const std::uint8_t* from, std::size_t from_len,
                                           std::uint8_t* to, std::size_t* to_len, std::size_t /*mki*/) {
  // With the index of SRTCP.
  constexpr std::size_t growth = SRTP_MAX_TRAILER_LEN + 4;
  return srtp3_apply(static_cast<srtp2_change>(srtp_protect_rtcp), growth, session, from, from_len, to, to_len);
}

inline srtp_err_status_t srtp_unprotect_rtcp(srtp_t session, const std::uint8_t* from, std::size_t from_len,
                                             std::uint8_t* to, std::size_t* to_len) {
  return srtp3_apply(static_cast<srtp2_change>(srtp_unprotect_rtcp), 0, session, from, from_len, to, to_len);
}
