//! Directories for a test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A directory of its own for one test, removed with what is in it when dropped.
///
/// ```
/// use paceline_tests::TempDir;
///
/// let dir = TempDir::new();
/// std::fs::write(dir.file("a"), "b")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new and empty one.
    ///
    /// # Panics
    ///
    /// If the system does not let us.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("paceline-tests-{}-{count}", process::id()));
        // Whoever had our process id before did not clean up.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for temporary files can be written");
        Self(path)
    }

    /// Where a file of that name is, or would be.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
