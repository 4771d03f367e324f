//! Compiles what stands between this crate and libvpx, against the headers that are installed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "vpx")]
    vpx();
}

#[cfg(feature = "vpx")]
fn vpx() {
    println!("cargo:rerun-if-changed=src/vpx/shim.c");
    let found =
        pkg_config::Config::new().atleast_version(OLDEST).cargo_metadata(false).probe("vpx");
    let library = found.unwrap_or_else(|error| {
        panic!(
            "the feature `vpx` needs libvpx {OLDEST} or newer with its headers, and pkg-config to \
             find it: install the packages libvpx-dev and pkg-config (so Debian and Ubuntu call \
             them), or build without the feature.\n{error}"
        )
    });
    let mut shim = cc::Build::new();
    shim.includes(&library.include_paths).file("src/vpx/shim.c").warnings(true);
    shim.compile("paceline_vpx_shim");
    // After the shim: whoever links from the left needs what is used before what has it.
    for path in &library.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for name in &library.libs {
        println!("cargo:rustc-link-lib={name}");
    }
}

/// What is used of it was there then: screen content of VP8, tuning and row threads of VP9.
#[cfg(feature = "vpx")]
const OLDEST: &str = "1.8";
