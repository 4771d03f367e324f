//! SRTP and SRTCP, with keys from elsewhere.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use shared::error::Error;
use srtp::context::Context;
use srtp::crypto::RTCCryptoProvider;
use srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use srtp::protection_profile::ProtectionProfile;

/// How packets are protected.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CryptoSuite {
    /// RFC 7714 §12: AES-128 in Galois/counter mode.
    AeadAes128Gcm,
    /// RFC 7714 §12: AES-256 in Galois/counter mode.
    AeadAes256Gcm,
    /// RFC 4568 §6.2: AES-128 in counter mode, 32 bits of HMAC-SHA1 for RTP, 80 for RTCP.
    AesCm128HmacSha1_32,
    /// RFC 4568 §6.2: AES-128 in counter mode, 80 bits of HMAC-SHA1.
    AesCm128HmacSha1_80,
}

impl CryptoSuite {
    /// Its name, as SDP and mediasoup spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of the master key and of the salt: 16 + 14 (RFC 3711 §8.2), 16 + 12 and 32 + 12
    /// (RFC 7714 §12).
    #[must_use]
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
            Self::AesCm128HmacSha1_32 | Self::AesCm128HmacSha1_80 => (16, 14),
        }
    }

    const fn profile(self) -> ProtectionProfile {
        match self {
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        }
    }
}

/// A master key and its salt, for one direction. Its debug form does not show them.
///
/// **One key sends for one uplink.** Another that is given the same, as after a connection that was
/// lost, counts from the start again, and what two packets of one number hold is given
/// away; with AES-GCM so is the key of the tags (RFC 3711 §9.1, RFC 7714 §8.4). So agree on a new one
/// for each.
#[derive(Clone)]
pub struct SrtpKey {
    suite: CryptoSuite,
    /// Key, then salt; of the longest suite 44 bytes.
    bytes: [u8; 44],
}

impl SrtpKey {
    /// A key from key and salt one after the other, as `a=crypto` and mediasoup's `keyBase64`
    /// have them when decoded. `None` if the length is not the suite's.
    #[must_use]
    pub fn new(suite: CryptoSuite, key_and_salt: &[u8]) -> Option<Self> {
        let (key, salt) = suite.lengths();
        let mut bytes = [0; 44];
        (key_and_salt.len() == key + salt).then(|| {
            bytes[..key + salt].copy_from_slice(key_and_salt);
            Self { suite, bytes }
        })
    }

    fn context(&self, crypto: &dyn RTCCryptoProvider) -> Result<Context, Error> {
        let (key, salt) = self.suite.lengths();
        Context::new(
            &self.bytes[..key],
            &self.bytes[key..key + salt],
            self.suite.profile(),
            Some(srtp_replay_protection(REPLAY_WINDOW)),
            Some(srtcp_replay_protection(REPLAY_WINDOW)),
            crypto.crypto(),
        )
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Both directions of one uplink.
pub(super) struct Crypto {
    local: Context,
    remote: Context,
    /// Sources that have shown that they have the key. A context remembers each source that it
    /// is asked about, before it has looked at the packet: so it is asked about these only.
    sources: Vec<u32>,
    remote_key: SrtpKey,
    provider: Arc<dyn RTCCryptoProvider>,
}

impl Crypto {
    pub(super) fn new(local: &SrtpKey, remote: &SrtpKey) -> Result<Self, Error> {
        let provider =
            srtp::crypto::default_provider().map_err(|error| Error::Crypto(error.to_string()))?;
        Ok(Self {
            local: local.context(&*provider)?,
            remote: remote.context(&*provider)?,
            sources: Vec::new(),
            remote_key: remote.clone(),
            provider,
        })
    }

    pub(super) fn seal_rtp(&mut self, packet: &[u8]) -> Result<BytesMut, Error> {
        self.local.encrypt_rtp(packet)
    }

    pub(super) fn seal_rtcp(&mut self, compound: &[u8]) -> Result<BytesMut, Error> {
        self.local.encrypt_rtcp(compound)
    }

    pub(super) fn open_rtcp(&mut self, datagram: &[u8]) -> Result<BytesMut, Error> {
        let Some(&[a, b, c, d]) = datagram.get(4..8) else { return Err(Error::ErrTooShortRtcp) };
        let source = u32::from_be_bytes([a, b, c, d]);
        if !self.sources.contains(&source) {
            if self.sources.len() >= MAX_SOURCES {
                return Err(Error::Other("too many sources".to_owned()));
            }
            self.remote_key.context(&*self.provider)?.decrypt_rtcp(datagram)?;
            self.sources.push(source);
        }
        self.remote.decrypt_rtcp(datagram)
    }
}

/// RFC 3711 §3.3.2: at least 64.
const REPLAY_WINDOW: usize = 64;

/// Sources of one server's reports: mediasoup has one for all, ffmpeg one a stream.
const MAX_SOURCES: usize = 64;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use std::time::{Duration, Instant};

    use paceline_types::Bitrate;
    use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
    use rtp::packet::Packet;
    use shared::marshal::Marshal;

    use super::*;
    use crate::uplink::History;

    #[test]
    fn a_key_is_as_long_as_its_suite_says_and_is_not_shown() {
        for (suite, len) in [
            (CryptoSuite::AeadAes128Gcm, 28),
            (CryptoSuite::AeadAes256Gcm, 44),
            (CryptoSuite::AesCm128HmacSha1_32, 30),
            (CryptoSuite::AesCm128HmacSha1_80, 30),
        ] {
            for wrong in [0, len - 1, len + 1, 100] {
                assert!(SrtpKey::new(suite, &vec![7; wrong]).is_none());
            }
            let key = SrtpKey::new(suite, &vec![77; len]).expect("the right length");
            assert!(!format!("{key:?}").contains("77"));
            assert!(Crypto::new(&key, &key).is_ok());
        }
    }

    #[test]
    fn who_does_not_have_the_key_leaves_no_trace_however_many_sources_it_names() {
        let key = |fill| SrtpKey::new(CryptoSuite::AeadAes128Gcm, &[fill; 28]).expect("28 bytes");
        let mut ours = Crypto::new(&key(1), &key(2)).expect("keys");
        let mut theirs = Crypto::new(&key(2), &key(1)).expect("keys");
        let mut forger = Crypto::new(&key(3), &key(1)).expect("keys");
        let report = |source: u32| [&[0x80, 201, 0, 1][..], &source.to_be_bytes()].concat();
        for source in 0..1_000 {
            let forged = forger.seal_rtcp(&report(source)).expect("sealed");
            assert!(ours.open_rtcp(&forged).is_err());
        }
        assert!(ours.sources.is_empty());
        for source in 0..200_u32 {
            let sealed = theirs.seal_rtcp(&report(source)).expect("sealed");
            assert_eq!(ours.open_rtcp(&sealed).is_ok(), (source as usize) < MAX_SOURCES);
            assert!(ours.open_rtcp(&sealed).is_err(), "replayed");
        }
        assert_eq!(ours.sources.len(), MAX_SOURCES);
    }

    /// To protect an old packet takes the count of wraps back to where it was then.
    #[test]
    fn what_is_sent_after_the_oldest_that_is_kept_was_sent_again_is_authentic() {
        let key = SrtpKey::new(CryptoSuite::AesCm128HmacSha1_80, &[1; 30]).expect("30 bytes");
        let mut ours = Crypto::new(&key, &key).expect("keys");
        let mut theirs = Crypto::new(&key, &key).expect("keys");
        let mut history = History::new(u16::MAX, Bitrate::from_kbps(10_000));
        history.add_stream(7, None);
        let (mut now, mut packet, mut oldest) = (Instant::now(), Packet::default(), 0);
        (packet.header.version, packet.header.ssrc) = (2, 7);
        for at in 0..200_000_u32 {
            packet.header.sequence_number = at as u16;
            history.record(&packet);
            let sealed = ours.seal_rtp(&packet.marshal().expect("it is one")).expect("sealed");
            assert!(theirs.remote.decrypt_rtp(&sealed).is_ok(), "the one at {at}");
            if at % 1_009 != 1_008 {
                continue;
            }
            now += Duration::from_secs(1);
            let mut again = Vec::new();
            for behind in [1 << 15, (1 << 15) - 1, 1 << 14, (1 << 14) - 1, 0] {
                let nacks =
                    vec![NackPair { packet_id: (at as u16).wrapping_sub(behind), lost_packets: 0 }];
                let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: 7, nacks };
                history.answer(now, &nack, &mut again);
                if let Some(packet) = again.pop() {
                    ours.seal_rtp(&packet.marshal().expect("it is one")).expect("sealed");
                    oldest = oldest.max(behind);
                    break;
                }
            }
        }
        assert_eq!(oldest, (1 << 14) - 1);
    }
}
