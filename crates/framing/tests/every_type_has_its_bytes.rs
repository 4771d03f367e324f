//! The wire form, byte for byte. The checksums were computed by another program.

use bytes::Bytes;
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, Epoch, Frequency, MediaTime, MixInfo, MixSource, NtpTime,
    PeerId, PixelFormat, Rect, SenderId, SeqNo, StreamId, StreamKey, VideoCodec,
};
use paceline_framing::{
    Body, ByeReason, Control, Fragmenter, Hello, Packet, ParseError, ReceptionReport, Role,
};

const CAPTURE: NtpTime = NtpTime::from_bits(0xE8D4_A510_0000_0001);
const SENDER: SenderId = SenderId::new(0x0102_0304);

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn media(stream: StreamId, seq: u64, coding: Coding, data: &[u8]) -> Packet {
    let clock = if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO };
    Packet {
        sender: SENDER,
        epoch: None,
        body: Body::Media(EncodedFrame {
            stream,
            seq: SeqNo::new(seq),
            time: MediaTime::new(0x12345, clock),
            capture: CAPTURE,
            coding,
            data: Bytes::copy_from_slice(data),
        }),
    }
}

fn hosted(body: Body) -> Packet {
    Packet { sender: SENDER, epoch: Some(Epoch::new(3, 1)), body }
}

fn control(control: Control) -> Packet {
    hosted(Body::Control(control))
}

fn video(data: &[u8]) -> Packet {
    let coding = Coding::Video {
        codec: VideoCodec::H264,
        key: true,
        discardable: false,
        width: 640,
        height: 360,
    };
    hosted(media(StreamId::MIX_VIDEO, 8, coding, data).body)
}

#[track_caller]
fn assert_bytes(packet: &Packet, bytes: &str) {
    assert_eq!(packet.emit(), hex(bytes));
    assert_eq!(Packet::parse(hex(bytes)).as_ref(), Ok(packet));
}

#[test]
fn an_image_is_type_1() {
    let coding = Coding::Image { format: PixelFormat::Rgb24, width: 2, height: 1 };
    assert_bytes(
        &media(StreamId::VIDEO, 5, coding, &[1, 2, 3, 4, 5, 6]),
        "deadbeef 01 00 0001 00000022 a56792fb 01020304
         0001 00000005 01 00 0002 0001 0000000000012345 e8d4a51000000001 010203040506",
    );
}

#[test]
fn sound_is_type_2() {
    let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 2 };
    assert_bytes(
        &media(StreamId::AUDIO, 6, coding, b"opus"),
        "deadbeef 01 00 0002 0000001c 81907b91 01020304
         0002 00000006 01 02 0000000000012345 e8d4a51000000001 6f707573",
    );
}

#[test]
fn text_cells_are_type_3() {
    assert_bytes(
        &media(
            StreamId::VIDEO,
            7,
            Coding::Cells { columns: 1, rows: 1 },
            &[1, 255, 0, 0, 0, 0, 255],
        ),
        "deadbeef 01 00 0003 00000021 808ddf55 01020304
         0001 00000007 0001 0001 0000000000012345 e8d4a51000000001 01ff00000000ff",
    );
}

#[test]
fn encoded_video_is_type_4() {
    assert_bytes(
        &video(&[0, 0, 0, 1, 0x65]),
        "deadbeef 01 02 0004 00000029 09f62df4 01020304 0000000000030001
         0003 00000008 01 01 0280 0168 0000000000012345 e8d4a51000000001 0000000165",
    );
}

#[test]
fn hello_is_type_128() {
    let hello = Hello {
        session: std::array::from_fn(|index| index as u8),
        peer: PeerId::from_bytes([0x11; 16]),
        sender: SENDER,
        min_version: 1,
        max_version: 1,
        role: Role::Host,
        capabilities: Hello::DECODES_H264 | Hello::DECODES_OPUS,
        max_message: 16_384,
        max_packet: 4 << 20,
        resume: [0x22; 16],
    };
    assert_bytes(
        &control(Control::Hello(hello)),
        "deadbeef 01 02 0080 0000004c 131df934 01020304 0000000000030001
         000102030405060708090a0b0c0d0e0f 11111111111111111111111111111111 01020304
         01 01 02 00 00000003 00004000 00400000 22222222222222222222222222222222",
    );
}

#[test]
fn ping_is_type_129_and_pong_130() {
    assert_bytes(
        &control(Control::Ping { t1: 10 }),
        "deadbeef 01 02 0081 00000010 331da3ce 01020304 0000000000030001 000000000000000a",
    );
    assert_bytes(
        &control(Control::Pong { t1: 10, t2: 20, t3: 30 }),
        "deadbeef 01 02 0082 00000020 83c7f38a 01020304 0000000000030001
         000000000000000a 0000000000000014 000000000000001e",
    );
}

#[test]
fn a_keyframe_request_is_type_131() {
    assert_bytes(
        &control(Control::KeyframeRequest { stream: StreamId::VIDEO }),
        "deadbeef 01 02 0083 0000000a d9cd0642 01020304 0000000000030001 0001",
    );
}

#[test]
fn track_state_is_type_132() {
    assert_bytes(
        &control(Control::TrackState { stream: StreamId::AUDIO, enabled: true }),
        "deadbeef 01 02 0084 0000000b 2af0f982 01020304 0000000000030001 0002 01",
    );
}

#[test]
fn a_receiver_report_is_type_133() {
    let report = ReceptionReport {
        stream: StreamKey { sender: SenderId::new(9), stream: StreamId::VIDEO },
        highest_seq: 100,
        lost: 2,
        jitter: 800,
        last_capture: CAPTURE,
        queue_delay: 50_000,
    };
    assert_bytes(
        &control(Control::ReceiverReport(vec![report])),
        "deadbeef 01 02 0085 00000026 d2c6b43c 01020304 0000000000030001
         00000009 0001 00000064 00000002 00000320 e8d4a51000000001 0000c350",
    );
}

#[test]
fn bye_is_type_135() {
    assert_bytes(
        &control(Control::Bye { reason: ByeReason::Leaving }),
        "deadbeef 01 02 0087 00000009 fa8ae3a7 01020304 0000000000030001 01",
    );
    assert_bytes(
        &control(Control::Bye { reason: ByeReason::TooSlow }),
        "deadbeef 01 02 0087 00000009 1bb19350 01020304 0000000000030001 03",
    );
}

#[test]
fn mix_info_is_type_149() {
    let source = MixSource {
        sender: SenderId::new(9),
        tile: Rect { x: 0, y: 1, width: 320, height: 180 },
        level: 30,
        capture: CAPTURE,
        muted: true,
    };
    let info = MixInfo {
        stream: StreamId::MIX_VIDEO,
        time: MediaTime::new(0x12345, Frequency::VIDEO),
        sources: vec![source],
    };
    assert_bytes(
        &control(Control::MixInfo(info)),
        "deadbeef 01 02 0095 00000028 d9e1a198 01020304 0000000000030001
         0003 0000000000012345
         00000009 0000 0001 0140 00b4 1e e8d4a51000000001 01",
    );
}

#[test]
fn a_fragment_has_a_header_of_its_own() {
    let cut = Fragmenter::new(128).cut(&video(&[9; 100]));
    let nines = "09".repeat(64);
    let first = format!(
        "deadbeef 01 03 0004 0000006c 61d3da41 01020304 0000000000030001 00000000 0000 0002
         0003 00000008 01 01 0280 0168 0000000000012345 e8d4a51000000001 {nines}"
    );
    let nines = "09".repeat(36);
    let second = format!(
        "deadbeef 01 03 0004 00000034 19210738 01020304 0000000000030001 00000000 0001 0002 {nines}"
    );
    assert_eq!(cut.messages(), [hex(&first), hex(&second)]);
    assert_eq!(Packet::parse(hex(&first)), Err(ParseError::Fragment));
}

#[test]
fn each_codec_and_format_has_its_code() {
    let code = |coding, data: &[u8]| media(StreamId::VIDEO, 0, coding, data).emit()[26];
    let audio = |codec| code(Coding::Audio { codec, channels: 1 }, &[]);
    assert_eq!([AudioCodec::Opus, AudioCodec::PcmF32].map(audio), [1, 2]);
    let image =
        |(format, len)| code(Coding::Image { format, width: 2, height: 2 }, &[0; 16][..len]);
    let formats = [(PixelFormat::Rgb24, 12), (PixelFormat::I420, 6), (PixelFormat::Rgba, 16)];
    assert_eq!(formats.map(image), [1, 2, 3]);
    let video = |codec| {
        code(Coding::Video { codec, key: false, discardable: true, width: 2, height: 2 }, &[])
    };
    let codecs = [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];
    assert_eq!(codecs.map(video), [1, 2, 3, 4]);
}
