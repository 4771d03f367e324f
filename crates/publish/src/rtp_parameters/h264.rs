//! `profile-level-id` (RFC 6184 §8.1): which H.264, and how much of it.

use std::cmp::Ordering;
use std::fmt;

/// Which tools of H.264 a stream may use: those RTP knows by name (RFC 6184 table 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Profile {
    /// `42 00`.
    Baseline,
    /// `42 e0`: what every browser and every mediasoup takes, and what OpenH264 makes.
    ConstrainedBaseline,
    /// `64 0c`.
    ConstrainedHigh,
    /// `64 00`.
    High,
    /// `4d 00`.
    Main,
    /// `f4 00`.
    PredictiveHigh444,
}

impl Profile {
    const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Baseline => [0x42, 0x00],
            Self::ConstrainedBaseline => [0x42, 0xe0],
            Self::ConstrainedHigh => [0x64, 0x0c],
            Self::High => [0x64, 0x00],
            Self::Main => [0x4d, 0x00],
            Self::PredictiveHigh444 => [0xf4, 0x00],
        }
    }
}

/// How much a decoder has to do (H.264 table A-1), in the order of that table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Level(u8);

impl Level {
    /// Level 3.1: 1280 × 720 at 30 pictures a second. What browsers announce.
    pub const L3_1: Self = Self(31);
    /// Level 1b, which lies between 1 and 1.1 (10 and 11) and has no number of its own.
    const L1B: Self = Self(LEVEL_1B);

    /// The least level for pictures of this size at this rate, none if there is none.
    ///
    /// ```
    /// use paceline_publish::rtp_parameters::Level;
    ///
    /// assert_eq!(Level::of(1280, 720, 30), Some(Level::L3_1));
    /// assert_eq!(Level::of(1920, 1080, 30).map(|level| level.to_string()), Some("4".into()));
    /// ```
    #[must_use]
    pub fn of(width: u16, height: u16, frame_rate: u16) -> Option<Self> {
        let (width, height) = (u64::from(width).div_ceil(16), u64::from(height).div_ceil(16));
        let macroblocks = width * height;
        let a_second = macroblocks * u64::from(frame_rate);
        // H.264 A.3.1: neither side may be longer than the root of 8 × MaxFS.
        let longest = width.max(height).pow(2);
        LEVELS
            .iter()
            .find(|&&(_, max_rate, max_size)| {
                a_second <= max_rate && macroblocks <= max_size && longest <= 8 * max_size
            })
            .map(|&(level, ..)| Self(level))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.0 / 10, self.0 % 10) {
            (LEVEL_1B, ..) => f.write_str("1b"),
            (_, whole, 0) => write!(f, "{whole}"),
            (_, whole, tenth) => write!(f, "{whole}.{tenth}"),
        }
    }
}

/// Profile and level, as three bytes in hexadecimal.
///
/// ```
/// use paceline_publish::rtp_parameters::{Level, Profile, ProfileLevelId};
///
/// let id = ProfileLevelId::parse("42E01F").expect("known");
/// assert_eq!(id, ProfileLevelId::new(Profile::ConstrainedBaseline, Level::L3_1));
/// assert_eq!(id.to_string(), "42e01f");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProfileLevelId {
    profile: Profile,
    level: Level,
}

impl ProfileLevelId {
    /// What an absent parameter is taken for, by libwebrtc and `h264-profile-level-id`.
    pub const DEFAULT: Self = Self::new(Profile::ConstrainedBaseline, Level::L3_1);

    /// Of a stream.
    #[must_use]
    pub const fn new(profile: Profile, level: Level) -> Self {
        Self { profile, level }
    }

    /// From the text of an SDP or a router; none if profile or level has no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, idc, constraints, level] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        let profile = PROFILES
            .iter()
            .find(|&&(id, mask, bits, _)| id == idc && constraints & mask == bits)
            .map(|&(.., profile)| profile)?;
        // In these profiles, level_idc 11 with constraint_set3_flag is level 1b (A.3.1).
        let is_1b = level == 11 && constraints & CONSTRAINT_SET3 != 0 && idc != 0x64;
        let level = if is_1b { LEVEL_1B } else { level };
        let known = is_1b || LEVELS.iter().any(|&(known, ..)| known == level);
        known.then_some(Self { profile, level: Level(level) })
    }

    /// Which tools.
    #[must_use]
    pub const fn profile(self) -> Profile {
        self.profile
    }

    /// How much.
    #[must_use]
    pub const fn level(self) -> Level {
        self.level
    }

    /// What is sent if we would send this and a router has that: none if the profiles differ;
    /// our level if both sides take any (RFC 6184 §8.2.2), otherwise the lower one.
    #[must_use]
    pub fn answer(self, router: Self, asymmetry: bool) -> Option<Self> {
        let level = if asymmetry { self.level } else { self.level.min(router.level) };
        (self.profile == router.profile).then_some(Self { level, ..self })
    }
}

impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [idc, constraints] = self.profile.bytes();
        if self.level == Level::L1B {
            return write!(f, "{idc:02x}{:02x}0b", constraints | CONSTRAINT_SET3);
        }
        write!(f, "{idc:02x}{constraints:02x}{:02x}", self.level.0)
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        // 1b lies between 1 and 1.1: half a step above 10.
        let rank = |level: Self| if level == Self::L1B { 21 } else { u16::from(level.0) * 2 };
        rank(*self).cmp(&rank(*other))
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Not a `level_idc`: 9 is one for other profiles only, and these do not use it.
const LEVEL_1B: u8 = 9;
/// H.264 §7.4.2.1.1.
const CONSTRAINT_SET3: u8 = 0x10;

/// RFC 6184 table 5: `profile_idc`, and which of the constraint bits must be what.
const PROFILES: [(u8, u8, u8, Profile); 9] = [
    (0x42, 0x4f, 0x40, Profile::ConstrainedBaseline),
    (0x4d, 0x8f, 0x80, Profile::ConstrainedBaseline),
    (0x58, 0xcf, 0xc0, Profile::ConstrainedBaseline),
    (0x42, 0x4f, 0x00, Profile::Baseline),
    (0x58, 0xcf, 0x80, Profile::Baseline),
    (0x4d, 0xaf, 0x00, Profile::Main),
    (0x64, 0xff, 0x00, Profile::High),
    (0x64, 0xff, 0x0c, Profile::ConstrainedHigh),
    (0xf4, 0xff, 0x00, Profile::PredictiveHigh444),
];

/// H.264 table A-1: `level_idc`, MaxMBPS, MaxFS. Level 1b has the numbers of level 1.
const LEVELS: [(u8, u64, u64); 19] = [
    (10, 1_485, 99),
    (11, 3_000, 396),
    (12, 6_000, 396),
    (13, 11_880, 396),
    (20, 11_880, 396),
    (21, 19_800, 792),
    (22, 20_250, 1_620),
    (30, 40_500, 1_620),
    (31, 108_000, 3_600),
    (32, 216_000, 5_120),
    (40, 245_760, 8_192),
    (41, 245_760, 8_192),
    (42, 522_240, 8_704),
    (50, 589_824, 22_080),
    (51, 983_040, 36_864),
    (52, 2_073_600, 36_864),
    (60, 4_177_920, 139_264),
    (61, 8_355_840, 139_264),
    (62, 16_711_680, 139_264),
];
