//! What arrived, beside what was painted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_benches::scene::{self, Scene};
use paceline_codec::types::{Coding, EncodedFrame, NtpTime, StreamId, VideoCodec, VideoFrame};
use paceline_codec::{AnyVideoDecoder, VideoDecoder};
use paceline_framing::rtp::{self, Codec, Depacketizer, DepacketizerConfig, Frame, Output};
use serde::Serialize;

use crate::Failure;
use crate::receiver::Datagram;
use crate::statistics::share;

/// What a viewer has of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Verdict {
    /// From painted to the first packet of its picture, and to the last, in ms: what 5, 50
    /// and 95 of 100 were within. Nothing of a desktop that does not move.
    pub(crate) first_ms: Option<[f64; 3]>,
    pub(crate) last_ms: Option<[f64; 3]>,
    /// Of the luma, over all that is seen; 99 at most.
    pub(crate) psnr_db: f64,
    /// Payload of UDP.
    pub(crate) kbps: f64,
    /// Of what was painted, how many of a hundred were seen.
    pub(crate) seen: f64,
    /// Of the largest picture, in kB.
    pub(crate) largest_kb: f64,
    /// Packets that did not come, or frames that could not be decoded.
    pub(crate) broken: u64,
}

/// Looks at everything, and judges what was painted and came between `from` and `to`.
pub(crate) fn judge(
    scene: &Scene,
    painted: &[Duration],
    datagrams: &[Datagram],
    (from, to): (Duration, Duration),
) -> Result<Verdict, Failure> {
    let within = |time: Duration| (from..to).contains(&time);
    let (frames, mut broken) = frames(datagrams)?;
    let mut decoder = AnyVideoDecoder::new();
    let mut seen = BTreeMap::new();
    let (mut errors, mut compared, mut largest) = (0.0, 0, 0);
    let mut last = None;
    for (index, arrived) in frames.iter().enumerate() {
        let picture = match decoder.decode(&encoded(&arrived.frame)) {
            Ok(Some(picture)) => picture,
            Ok(None) => continue,
            Err(_) => {
                broken += 1;
                continue;
            }
        };
        let Some(number) = scene::number(&picture) else {
            broken += u64::from(within(arrived.last));
            continue;
        };
        seen.entry(number).or_insert((arrived.first, arrived.last));
        if within(arrived.last) {
            largest = largest.max(arrived.frame.data.len());
            if index % EACH == 0 {
                errors += error(&picture, &scene.picture(number.into()).frame());
                compared += 1;
            }
        }
        last = Some((number, picture));
    }
    if compared == 0 {
        // Nothing came because nothing changed: what is seen is what came before.
        let (number, picture) = last.ok_or("no picture could be decoded")?;
        errors = error(&picture, &scene.picture(number.into()).frame());
        compared = 1;
    }
    let moves = scene.kind() != scene::Kind::Idle;
    let numbers: Vec<usize> =
        (0..painted.len()).filter(|&number| moves && within(painted[number])).collect();
    let latency = |of: fn(&(Duration, Duration)) -> Duration| {
        let times = numbers.iter().filter_map(|&number| {
            let arrived = of(seen.get(&(number as u16))?);
            Some(1e3 * (arrived.as_secs_f64() - painted[number].as_secs_f64()))
        });
        let times: Vec<f64> = times.collect();
        Some([share(&times, 0.05)?, share(&times, 0.5)?, share(&times, 0.95)?])
    };
    let shown = numbers.iter().filter(|&&number| seen.contains_key(&(number as u16))).count();
    let bytes: usize =
        datagrams.iter().filter(|(time, _)| within(*time)).map(|(_, bytes)| bytes.len()).sum();
    let mean: f64 = errors / f64::from(compared);
    Ok(Verdict {
        first_ms: latency(|times| times.0),
        last_ms: latency(|times| times.1),
        psnr_db: (10.0 * (255.0 * 255.0 / mean).log10()).min(MAX_DB),
        kbps: bytes as f64 * 8.0 / 1e3 / (to - from).as_secs_f64(),
        seen: if moves { 100.0 * shown as f64 / numbers.len().max(1) as f64 } else { 100.0 },
        largest_kb: largest as f64 / 1e3,
        broken,
    })
}

/// A frame and when its first and its last packet came.
struct Arrived {
    first: Duration,
    last: Duration,
    frame: Frame,
}

/// The frames that are whole, and how often one was not.
fn frames(datagrams: &[Datagram]) -> Result<(Vec<Arrived>, u64), Failure> {
    let begin = Instant::now();
    let mut depacketizer: Option<Depacketizer> = None;
    let mut times = vec![Duration::ZERO; 1 << 16];
    let (mut frames, mut broken) = (Vec::new(), 0);
    for (time, bytes) in datagrams {
        let packet = rtp::parse(Bytes::clone(bytes))?;
        times[usize::from(packet.header.sequence_number)] = *time;
        let depacketizer = depacketizer.get_or_insert_with(|| {
            Depacketizer::new(packet.header.ssrc, Codec::H264, DepacketizerConfig::default())
        });
        let now = begin + time.saturating_sub(datagrams[0].0);
        depacketizer.handle_timeout(now);
        let _ = depacketizer.handle_packet(now, packet);
        while let Some(output) = depacketizer.poll_output() {
            let Output::Frame(frame) = output else {
                broken += 1;
                continue;
            };
            let first = times[frame.first_seq.get() as usize & 0xffff];
            frames.push(Arrived { first, last: *time, frame });
        }
    }
    Ok((frames, broken))
}

fn encoded(frame: &Frame) -> EncodedFrame {
    let coding = Coding::Video {
        codec: VideoCodec::H264,
        key: frame.key,
        discardable: frame.discardable,
        width: 0,
        height: 0,
    };
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: frame.first_seq,
        time: frame.time,
        capture: NtpTime::default(),
        coding,
        data: frame.data.clone(),
    }
}

/// The mean square of what the luma of one is off from that of the other.
fn error(seen: &VideoFrame, truth: &VideoFrame) -> f64 {
    if (seen.width(), seen.height()) != (truth.width(), truth.height()) {
        return 255.0 * 255.0;
    }
    let rows = seen.y().chunks(seen.width().into()).zip(truth.y().chunks(truth.width().into()));
    let row = |(seen, truth): (&[u8], &[u8])| -> u32 {
        seen.iter().zip(truth).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let sum: u64 = rows.map(|rows| u64::from(row(rows))).sum();
    sum as f64 / truth.y().len() as f64
}

/// Every so many pictures one is compared: it takes longer than to decode it.
const EACH: usize = 4;

/// A picture without an error has infinitely many.
const MAX_DB: f64 = 99.0;

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_benches::scene::Kind;
    use paceline_codec::types::Bitrate;
    use paceline_codec::types::{MediaTime, PictureFormat, SeqNo};
    use paceline_codec::{VideoEncoderConfig, video_encoder};
    use paceline_framing::rtp::{Packetizer, PacketizerConfig};

    /// What a sender would send of a scene, each picture `delay` after it was painted.
    fn sent(scene: &Scene, pictures: u32, delay: Duration) -> (Vec<Duration>, Vec<Datagram>) {
        let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(8_000));
        let mut encoder = video_encoder(PictureFormat::H264, config).unwrap();
        let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
        let (mut painted, mut datagrams) = (Vec::new(), Vec::new());
        for number in 0..pictures {
            let at = Duration::from_millis(1_000 + 40 * u64::from(number));
            painted.push(at);
            let frame = scene.picture(number).frame();
            let time = MediaTime::new(u64::from(number) * 3_600, frame.time().frequency());
            let planes = frame.planes().clone();
            let frame = VideoFrame::new(1_920, 1_080, time, frame.capture(), planes).unwrap();
            let Some(picture) = encoder.encode(&frame).unwrap() else { continue };
            let frame = EncodedFrame {
                stream: StreamId::VIDEO,
                seq: SeqNo::new(number.into()),
                time,
                capture: NtpTime::default(),
                coding: picture.coding,
                data: picture.data,
            };
            let packets = packetizer.packetize(&frame).unwrap();
            let (first, last) = (at + delay, at + 2 * delay);
            let count = packets.len();
            assert!(count > 1, "a picture in one packet has no last one");
            datagrams.extend(packets.iter().enumerate().map(|(index, packet)| {
                let time = if index + 1 == count { last } else { first };
                (time, rtp::emit(packet))
            }));
        }
        (painted, datagrams)
    }

    #[test]
    fn what_was_painted_is_found_again_with_its_delay_and_its_quality() {
        let scene = Scene::new(Kind::Drag);
        let delay = Duration::from_millis(10);
        let (painted, datagrams) = sent(&scene, 20, delay);
        let all = (Duration::ZERO, Duration::from_secs(9));
        let verdict = judge(&scene, &painted, &datagrams, all).unwrap();
        assert_eq!(verdict.broken, 0, "{verdict:?}");
        // The encoder may leave some out behind the key frame.
        let frames = frames(&datagrams).unwrap().0.len();
        assert!((12..=20).contains(&frames), "{frames} frames");
        assert_eq!(verdict.seen, 5.0 * frames as f64, "{verdict:?}");
        let [low, middle, high] = verdict.first_ms.unwrap();
        assert!(low > 9.9 && middle < 10.1 && high < 10.1, "{verdict:?}");
        let [low, _, high] = verdict.last_ms.unwrap();
        assert!(low > 19.9 && high < 20.1, "{verdict:?}");
        assert!(verdict.psnr_db > 30.0 && verdict.psnr_db < MAX_DB, "{verdict:?}");

        // Against another scene the same pictures are wrong.
        let other = judge(&Scene::new(Kind::Typing), &painted, &datagrams, all).unwrap();
        assert!(other.psnr_db < verdict.psnr_db - 8.0, "{other:?}");
    }

    #[test]
    fn what_is_lost_is_not_seen() {
        let scene = Scene::new(Kind::Drag);
        let (painted, mut datagrams) = sent(&scene, 12, Duration::from_millis(10));
        let all = (Duration::ZERO, Duration::from_secs(9));
        let whole = judge(&scene, &painted, &datagrams, all).unwrap();
        datagrams.remove(datagrams.len() - 4);
        let verdict = judge(&scene, &painted, &datagrams, all).unwrap();
        assert!(verdict.seen < whole.seen, "{whole:?}, {verdict:?}");
    }
}
