//! Whether OpenH264 was built with its assembly.
#![cfg(feature = "h264")]

#[test]
fn openh264_was_built_with_nasm() {
    let expected = cfg!(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64"));
    assert!(
        paceline_codec::has_assembly() || !expected,
        "OpenH264 runs C++ alone: install nasm and build it again (cargo clean -p openh264-sys2)",
    );
}
