//! Makes what the fuzz targets of publishing, and of RTP on a path, begin with: scripts in which
//! all goes well, and some in which one thing does not.
//!
//! `cargo run -p paceline-fuzz --example seeds`

use std::fs;
use std::path::Path;

fn main() {
    for first in 0..16 {
        write("publish", &format!("well-{first}"), &published(first));
        write("broadcaster", &format!("well-{first}"), &broadcast(first & 7));
    }
    for place in 0..12 {
        // The router, and then the transport, is odd in one place.
        let router = [vec![4, 8, 0, 0, 3, place * 9, place], vec![0; 12]].concat();
        write("publish", &format!("router-{place}"), &router);
        let transport = [vec![0, 8, 0, 0, 0, 0, 0, 3, place * 2, place + 9], vec![0; 12]].concat();
        write("publish", &format!("transport-{place}"), &transport);
        write("sdp", &format!("router-{place}"), &[2, 0, place * 9, place]);
        write("sdp", &format!("transport-{place}"), &[0, 1, place * 2, place + 9]);
        write("sdp", &format!("line-{place}"), &[1, 3, place * 3, 0, 5, place, place * 2]);
    }
    write("sdp", "well", &[0]);
    write("sdp", "told", b"\x00\x07\x09\x07passive\x04\x0b\x05a=x:y\x06\x08\x0a");
    let talk = b"\0\0\0\x07\x07\x01\x01\x05\x03\x00\x08\x02\x04\x00\x09\x00\x0a\x03no!\x0b\xff";
    write("protoo", "talk", talk);
    write("protoo", "text", b"\xff\xff\xff\xff\0\x10{\"response\":true}\x07\x01\x0f\xff\x07\x01");
    write(
        "rtp_path",
        "sent",
        &[vec![0, 0, 40, 200, 5, 100, 0, 7, 3, 255, 3, 60, 2], feedback()].concat(),
    );
    write(
        "rtp_path",
        "came",
        &(0..40).flat_map(|at| [6, 1 + at % 3, 1, 3, 10, 0]).collect::<Vec<_>>(),
    );
    write("estimator", "steady", &[4, 20, 20, 30, 0].repeat(12));
    write("estimator", "queue", &[3, 20, 20, 30, 0, 4, 20, 10, 200, 1].repeat(6));
    write("estimator", "silence", &[[4, 20, 20, 30, 0], [0, 200, 4, 0, 0]].concat());
    write("rtp_link", "pictures", &[0, 0, 0x18, 9, 8, 0, 0x08, 20].repeat(12));
    write(
        "rtp_link",
        "asked",
        &[6, 0, 0, 0, 5, 200, 0, 0, 4, 0, 3, 0, 7, 0, 80, 0, 5, 9, 0, 0].repeat(3),
    );
}

fn write(target: &str, name: &str, script: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a place for it");
    fs::write(folder.join(format!("seed-{name}")), script).expect("a place for it");
}

/// An offer, an answer to each request, a path, a score, ICE that restarts, and an end.
fn published(first: u8) -> Vec<u8> {
    let mut script = vec![first, 8, 0, 0];
    script.extend([0; 3].repeat(7));
    script.extend([9, 0, 0, 6, 0xf8, 0, 6, 0xf9, 0, 10, 0, 0, 0, 0, 0, 8, 3, 1, 9, 0, 0]);
    script.extend([13, 1, 0, 0, 0, 0, 13, 0, 1, 0, 0, 0, 7, 9, 0, 11, 255, 0, 15, 255, 0]);
    script
}

fn broadcast(first: u8) -> Vec<u8> {
    let mut script = vec![first, 5, 0, 0];
    script.extend([0; 3].repeat(8));
    script.extend([6, 0, 0, 7, 2, 255]);
    script
}

/// That the first packets have come, one after the other, each a millisecond after the last.
fn feedback() -> Vec<u8> {
    let mut script = vec![11, 8, 16];
    script.extend([0, 0, 1, 0, 0x20, 8, 4, 4, 4, 4, 4, 4, 4, 4, 0, 0]);
    script
}
