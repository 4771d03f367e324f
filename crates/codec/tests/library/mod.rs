//! Shared libraries that a test has made, and loads.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use paceline_codec::{Library, LibraryError};

/// A directory that is gone with its owner.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("paceline-{name}-{}", process::id()));
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        // As the loader will say it, which goes by the path without links.
        Self(path.canonicalize().expect("it is there"))
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a file can be written there");
        path
    }

    /// A library with the symbols of OpenH264, which says that it is `version`, and makes
    /// neither encoders nor decoders: it answers with `code`. `None` without a compiler.
    pub(crate) fn stub(&self, name: &str, version: (u32, u32, u32), code: i32) -> Option<PathBuf> {
        let (major, minor, revision) = version;
        let source = format!(
            "struct version {{ unsigned parts[4]; }};\n\
             struct version WelsGetCodecVersion(void) \
             {{ struct version v = {{{{{major}, {minor}, {revision}, 0}}}}; return v; }}\n\
             int WelsCreateSVCEncoder(void **out) {{ *out = 0; return {code}; }}\n\
             void WelsDestroySVCEncoder(void *encoder) {{ (void)encoder; }}\n\
             long WelsCreateDecoder(void **out) {{ *out = 0; return {code}; }}\n\
             void WelsDestroyDecoder(void *decoder) {{ (void)decoder; }}\n"
        );
        let source = self.file(&format!("{name}.c"), source.as_bytes());
        // Made beside it and moved there: what is loaded already stays as it is.
        let (made, library) = (self.0.join(format!("{name}.new")), self.0.join(name));
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&made).arg(source);
        cc.status().is_ok_and(|status| status.success()).then_some(())?;
        fs::rename(made, &library).expect("within a directory");
        Some(library)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left is the system's to clear away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Loads without a check. Nothing here is loaded but what these tests made or the system
/// has of C.
pub(crate) fn load_unchecked(path: &Path) -> Result<Library, LibraryError> {
    #[expect(unsafe_code, reason = "the point of the test")]
    // SAFETY: as said; a library that is not OpenH264 is refused for lack of its symbols
    // before any of them is called.
    unsafe {
        Library::load_unchecked(path)
    }
}

/// Says why a test proves nothing here, and fails where it has to.
pub(crate) fn skip(why: &str) {
    assert!(env::var("PACELINE_INTEROP").as_deref() != Ok("required"), "{why}");
    eprintln!("skipped: {why}");
}
