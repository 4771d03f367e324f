//! OpenH264 from a shared library.
#![cfg(feature = "cisco")]

mod library;
mod material;

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use library::{Directory, load_unchecked, skip};
use material::{frame, picture, psnr};
use paceline_codec::types::EncodedFrame;
use paceline_codec::{DecodeError, EncodeError, Library, LibraryError, VideoEncoderConfig};

/// OpenH264 as a shared library, of the objects that a build of this workspace made of its
/// source, if there are any and a compiler. Which of several does not matter, as long as it
/// has the interface: those of releases before are passed over.
fn from_own_objects(directory: &Directory) -> Option<Library> {
    let here = env::current_exe().ok()?;
    let build = here.parent()?.parent()?.join("build");
    let mut builds: Vec<_> =
        fs::read_dir(build).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    builds.sort();
    builds.iter().enumerate().find_map(|(index, build)| {
        let library = directory.0.join(format!("libopenh264-{index}.so"));
        let archives = ["encoder", "decoder", "processing", "common"]
            .map(|part| build.join(format!("out/libopenh264_{part}.a")));
        if archives.iter().any(|archive| !archive.exists()) {
            return None;
        }
        let status = Command::new("c++")
            .args(["-shared", "-Wl,-Bsymbolic", "-o"])
            .arg(&library)
            .arg("-Wl,--whole-archive")
            .args(archives)
            .arg("-Wl,--no-whole-archive")
            .status();
        status.is_ok_and(|status| status.success()).then(|| load_unchecked(&library).ok())?
    })
}

#[test]
fn a_file_that_is_not_there_is_missing_and_the_error_says_what_to_get() {
    let path = Path::new("/nonexistent/libopenh264.so");
    for error in [Library::load(path), load_unchecked(path)].map(|result| result.unwrap_err()) {
        let (path, kind) = (path.to_path_buf(), io::ErrorKind::NotFound);
        assert_eq!(error, LibraryError::Missing { path, kind });
        let text = error.to_string();
        for word in ["/nonexistent/libopenh264.so", "download", "2.6.0"] {
            assert!(text.contains(word), "{text}");
        }
    }
}

#[test]
fn a_file_of_unknown_sum_is_refused_and_none_of_it_runs() {
    let directory = Directory::new("unknown");
    let path = directory.file("libopenh264.so", b"abc");
    // The sum of "abc" is the first example of FIPS 180-4.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
    assert_eq!(Library::load(&path).unwrap_err(), LibraryError::Unknown { path, sha256 });
}

#[test]
fn a_file_that_is_no_library_is_not_loaded() {
    let directory = Directory::new("garbage");
    let path = directory.file("libopenh264.so", &[0x7f; 4_096]);
    let error = load_unchecked(&path).unwrap_err();
    assert!(matches!(error, LibraryError::NotLoaded { .. }), "{error}");
    assert!(error.to_string().contains("platform"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn another_library_lacks_a_symbol() {
    // The mathematics of the C library: no code of it runs when it is loaded.
    let found = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"]
        .into_iter()
        .map(|lib| Path::new(lib).join(format!("{}-linux-gnu/libm.so.6", env::consts::ARCH)))
        .chain([Path::new("/lib64/libm.so.6").to_path_buf()])
        .find_map(|path| path.canonicalize().ok());
    let Some(path) = found else { return skip("no libm.so.6 where Debian and Fedora have it") };
    let symbol = "WelsCreateSVCEncoder";
    assert_eq!(load_unchecked(&path).unwrap_err(), LibraryError::Symbol { path, symbol });
}

#[test]
#[cfg(target_os = "linux")]
fn a_library_of_another_interface_is_refused() {
    let directory = Directory::new("interface");
    for version in [(1, 6, 0), (2, 5, 9), (3, 0, 0)] {
        let name = format!("{version:?}");
        let Some(path) = directory.stub(&name, version, 1) else { return skip("no compiler") };
        let error = load_unchecked(&path).unwrap_err();
        assert_eq!(error, LibraryError::Version { path, version });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn encoders_and_decoders_are_of_the_library_that_was_loaded_whatever_is_at_its_path_by_now() {
    let directory = Directory::new("replaced");
    let Some(path) = directory.stub("libopenh264.so", (2, 6, 0), 77) else {
        return skip("no compiler");
    };
    let library = load_unchecked(&path).expect("it has the interface");
    directory.stub("libopenh264.so", (2, 6, 0), 88).expect("there was a compiler");
    let encoded = library.encoder(VideoEncoderConfig::default()).encode(&picture(64, 48, 0));
    assert_eq!(encoded, Err(EncodeError::Native { encoder: "OpenH264", code: 77 }));
    let key = material::h264(VideoEncoderConfig::default()).encode(&picture(64, 48, 0));
    let key = key.unwrap().expect("the first is not skipped");
    let decoded = library.decoder().decode(&frame(key.coding, key.data, 0));
    assert_eq!(decoded, Err(DecodeError::Native { decoder: "OpenH264", code: 77 }));
}

#[test]
#[cfg(target_os = "linux")]
fn a_loaded_library_encodes_and_decodes_and_outlives_its_handle_and_its_file() {
    let directory = Directory::new("own");
    let Some(library) = from_own_objects(&directory) else {
        return skip("no compiler, or OpenH264 was not built beside this test");
    };
    assert!(library.version() >= (2, 6, 0));
    let mut encoder = library.encoder(VideoEncoderConfig::default());
    let mut decoder = library.decoder();
    drop((library, directory));
    for index in 0..20 {
        let sent = picture(320, 180, index);
        let encoded = encoder.encode(&sent).unwrap().expect("none is skipped");
        let encoded = frame(encoded.coding, encoded.data, index);
        if index == 10 {
            // One that failed starts anew, of the same library.
            let cut = EncodedFrame { data: encoded.data.slice(..9), ..encoded.clone() };
            assert!(decoder.decode(&cut).unwrap_err().needs_keyframe());
            encoder.set_target(paceline_codec::EncoderTarget { bitrate: None, keyframe: true });
            continue;
        }
        let got = decoder.decode(&encoded).unwrap().expect("a picture");
        assert!(psnr(&sent, &got) > 30.0);
    }
}
