//! A path without a slash in it is a file of this directory, not a library of the system.
#![cfg(all(feature = "cisco", target_os = "linux"))]

mod library;

use std::env;
use std::path::Path;

use library::{Directory, load_unchecked, skip};
use paceline_codec::LibraryError;

/// Alone in its file: it goes to another directory, and takes the process along.
#[test]
fn a_path_without_a_slash_is_not_searched_for_where_the_system_has_libraries() {
    let directory = Directory::new("slash");
    let (name, version) = ("libm.so.6", (2, 5, 3));
    let Some(path) = directory.stub(name, version, 1) else { return skip("no compiler") };
    env::set_current_dir(&directory.0).expect("it is there");
    // Of the system's mathematics it would be that a symbol is missing.
    let error = load_unchecked(Path::new(name)).expect_err("its interface is another");
    assert_eq!(error, LibraryError::Version { path, version });
    env::set_current_dir("/").expect("it is there");
}
