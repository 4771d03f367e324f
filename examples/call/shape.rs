//! The shape of a call: one who mixes for all, or everybody connected to everybody.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use paceline::types::{Bitrate, Carrier, PictureFormat};
use paceline::{Config, Topology};

use crate::args::{Args, Mode, UsageError, number, picture_word};

/// What `--topology` says.
pub(crate) fn topology(value: &str) -> Result<Topology, UsageError> {
    match value {
        "mesh" => Ok(Topology::Mesh),
        "star" => Ok(Topology::Star),
        _ => Err(UsageError(format!("--topology {value}: it is star or mesh"))),
    }
}

/// What `--topology` takes for it.
pub(crate) fn topology_word(topology: Topology) -> &'static str {
    if topology == Topology::Mesh { "mesh" } else { "star" }
}

/// What `--carrier` says.
pub(crate) fn carrier(value: &str) -> Result<Carrier, UsageError> {
    match value {
        "channel" => Ok(Carrier::Channel),
        "rtp" => Ok(Carrier::Rtp),
        _ => Err(UsageError(format!("--carrier {value}: it is channel or rtp"))),
    }
}

/// What `--carrier` takes for it.
pub(crate) fn carrier_word(carrier: Carrier) -> &'static str {
    if carrier == Carrier::Rtp { "rtp" } else { "channel" }
}

/// How many people may be in a call of this shape.
pub(crate) fn people(topology: Topology) -> RangeInclusive<usize> {
    match topology {
        Topology::Mesh => 2..=topology.max_peers() + 1,
        // More tiles than nine have no room for a name in 80 columns.
        _ => 1..=9,
    }
}

/// Checks how many were asked for, and whether the shape has a host to wish for.
pub(crate) fn settle(
    args: &mut Args,
    participants: Option<&OsString>,
    host: Option<usize>,
) -> Result<(), UsageError> {
    let mesh = args.topology == Topology::Mesh;
    let (least, most) = people(args.topology).into_inner();
    if let Some(count) = participants {
        let count = number("--participants", count, least, most);
        args.participants = count.map_err(|UsageError(text)| {
            let why = if mesh {
                " in a mesh, in which each sends to all the others"
            } else {
                ", or with --topology mesh from 2 to 10"
            };
            UsageError(format!("{text}{why}"))
        })?;
    }
    if args.carrier == Carrier::Rtp && args.picture != PictureFormat::H264 {
        return Err(UsageError(format!(
            "--carrier rtp takes h264 pictures: leave --picture {} out",
            picture_word(args.picture)
        )));
    }
    if let Some(host) = host.filter(|_| mesh) {
        return Err(UsageError(format!(
            "--host {host}: nobody hosts in a mesh: leave it out, or use --topology star"
        )));
    }
    args.host = host;
    let why = match args.mode {
        Mode::MeasureFailover => "measure-failover kills hosts, and a mesh has none",
        Mode::MeasureJoins(_) => "measure-joins measures joins to a host",
        _ => return Ok(()),
    };
    if mesh {
        return Err(UsageError(format!("{why}: leave --topology mesh out")));
    }
    Ok(())
}

impl Args {
    pub(crate) fn is_mesh(&self) -> bool {
        self.topology == Topology::Mesh
    }

    /// Whether participant `index` joins only when somebody else is in the room, who is at
    /// the front then.
    pub(crate) fn comes_late(&self, index: usize) -> bool {
        self.host.is_some_and(|host| host != index + 1)
    }

    /// What joins this call: `call join`, and what has to follow for the same shape.
    pub(crate) fn join_line(&self, url: &str) -> String {
        let shape = if self.is_mesh() { "--topology mesh " } else { "" };
        let carrier = if self.carrier == Carrier::Rtp { "--carrier rtp " } else { "" };
        format!("call join {shape}{carrier}{url}")
    }

    /// The bounds of each participant's room.
    pub(crate) fn config(&self) -> Config {
        let config = Config::default()
            .topology(self.topology)
            .carrier(self.carrier)
            .picture(self.picture)
            .clapper(self.json)
            .bind(self.bind);
        let config = match self.bitrate {
            Some(bitrate) => config.video_bitrate(bitrate),
            None if self.is_crowded() => config.video_bitrate(Bitrate::from_kbps(CROWDED_KBPS)),
            None => config,
        };
        if !self.is_crowded() {
            return config;
        }
        let (width, height, frame_rate) = CROWDED_PICTURE;
        let config = config.max_own_picture(width, height, frame_rate);
        match self.picture {
            PictureFormat::H264 => config.mix(640, 360, frame_rate),
            _ => config,
        }
    }

    /// Whether more are in a mesh, or may come, than can send what a star's members do.
    fn is_crowded(&self) -> bool {
        let is_open = self.child.is_none() && matches!(self.mode, Mode::Host | Mode::Join(_));
        self.is_mesh() && (is_open || self.participants > CROWD)
    }
}

/// From five people on in a mesh pictures are small and few, so that ten of them on two
/// cores run in real time.
const CROWD: usize = 4;

/// Width, height and pictures a second: a tile of ten in 640 × 360 has 160 × 90.
const CROWDED_PICTURE: (u16, u16, u32) = (320, 180, 15);

/// As many bits for a pixel as 1.2 Mbit/s are for 640 × 360 at 30 a second, and half as
/// many again, for a code of black and white in the picture is not cheap.
const CROWDED_KBPS: u64 = 225;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Parsed;

    fn parse(line: &str) -> Result<Args, String> {
        parse_words(line.split_whitespace().map(Into::into))
    }

    fn parse_words(words: impl Iterator<Item = OsString>) -> Result<Args, String> {
        match Args::parse(std::iter::once("call".into()).chain(words)) {
            Ok(Parsed::Run(args)) => Ok(*args),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_mesh_has_two_to_ten_people_and_nobody_who_hosts() {
        let args = parse("--participants 10 --topology mesh").expect("ten are not too many");
        assert_eq!((args.participants, args.host, args.viewer()), (10, None, 0));
        assert_eq!(parse("--participants 9").expect("a star").host, None);
        for (line, viewer) in [("--host 1", 1), ("--host 2", 0), ("", 1), ("--view 3", 2)] {
            assert_eq!(parse(line).expect(line).viewer(), viewer, "{line}");
        }
        for (line, words) in [
            ("--participants 11 --topology mesh", "from 2 to 10 in a mesh"),
            ("--topology mesh --participants 1", "from 2 to 10 in a mesh"),
            ("--participants many", "--participants many: it takes a number from 1 to 9"),
            ("--participants 10", "from 1 to 9, or with --topology mesh from 2 to 10"),
            ("--topology mesh --host 1", "nobody hosts in a mesh"),
            ("--topology mesh --view 4", "there are 3 participants"),
            ("--topology ring", "it is star or mesh"),
            ("measure-joins --topology mesh", "leave --topology mesh out"),
            ("measure-failover --topology mesh", "leave --topology mesh out"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn a_child_is_told_the_shape_and_how_many_they_are() {
        let line = "--topology mesh --participants 6 --carrier rtp --bitrate 300 --json";
        let args = parse(line).expect("it is right");
        let line = args.child(3, "ws://127.0.0.1:1/call");
        let child = parse_words(line.into_iter()).expect("a child understands its parent");
        assert!(child.is_mesh() && child.is_crowded() && child.child == Some(3));
        assert_eq!((child.participants, child.host), (6, None));
        assert_eq!((child.carrier, child.bitrate), (Carrier::Rtp, Some(Bitrate::from_kbps(300))));
    }

    #[test]
    fn who_is_told_how_to_join_goes_by_the_same_carrier() {
        let args = parse("host --carrier rtp").expect("it is right");
        assert_eq!(args.join_line("ws://a/b"), "call join --carrier rtp ws://a/b");
        for (line, words) in [
            ("--carrier pigeon", "it is channel or rtp"),
            ("--carrier rtp --picture cells", "leave --picture cells out"),
            ("--bitrate 63", "from 64 to 20000"),
            ("--trace a.csv", "add --json"),
            ("--json --processes --trace a.csv", "leave --processes out"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn pictures_are_small_where_many_send_to_many() {
        for (line, crowded) in [
            ("--participants 9", false),
            ("--topology mesh --participants 4", false),
            ("--topology mesh --participants 5", true),
            ("join ws://127.0.0.1:1/call", false),
            // Nobody knows how many will come.
            ("join --topology mesh ws://127.0.0.1:1/call", true),
            ("host --topology mesh", true),
        ] {
            let args = parse(line).expect(line);
            assert_eq!(args.is_crowded(), crowded, "{line}");
            assert_eq!(args.config().validate(), Ok(()), "{line}");
        }
    }
}
