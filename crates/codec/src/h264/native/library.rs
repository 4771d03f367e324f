//! OpenH264 as somebody else compiled it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openh264_sys2::{API, DynamicAPI, Error};

use crate::h264::{H264Decoder, H264Encoder};
use crate::{LibraryError, VideoDecoder, VideoEncoder, VideoEncoderConfig};

/// OpenH264 from a shared library: Cisco's own, for one.
///
/// For the binary that Cisco builds and lets be downloaded Cisco pays the fees of the AVC
/// patent pool, on conditions: it comes from Cisco's server to the user's machine, not
/// with the program; the user can turn it on and off, and is told whose it is
/// (`openh264.org`, "Binary license"). For OpenH264 from source the fees are the business
/// of whoever distributes it. The feature `cisco` has the one from source compiled in as
/// well, for those who have no library; whether a program may be shipped so is not for
/// this documentation to say.
///
/// Encoders and decoders keep the library loaded for as long as they live.
///
/// ```
/// use paceline_codec::{Library, VideoEncoderConfig};
///
/// match Library::load("/nowhere/libopenh264-2.6.0-linux64.8.so") {
///     Ok(library) => drop(library.encoder(VideoEncoderConfig::default())),
///     Err(error) => assert!(error.to_string().contains("download"), "{error}"),
/// }
/// ```
#[derive(Clone)]
pub struct Library {
    api: Arc<DynamicAPI>,
    path: PathBuf,
    version: (u32, u32, u32),
}

impl Library {
    /// Loads a binary that Cisco has released.
    ///
    /// It is known by its SHA-256, of which openh264-sys2 has a list (its 0.9.9: of
    /// 2.6.0). Between reading the file and loading it another may take its place: have
    /// it where only whom you trust can write.
    ///
    /// # Errors
    ///
    /// [`LibraryError`], which says what to do about it. Only of
    /// [`Missing`](LibraryError::Missing) and [`Unknown`](LibraryError::Unknown) was
    /// nothing of the file run.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LibraryError> {
        let path = whole(path.as_ref())?;
        let loaded = DynamicAPI::from_blob_path(&path);
        Self::checked(path, loaded)
    }

    /// Loads any library that has the interface, such as the one of a distribution.
    ///
    /// Its version is asked, and nothing else is checked. The patent fees are then not
    /// Cisco's.
    ///
    /// # Errors
    ///
    /// [`LibraryError`].
    ///
    /// # Safety
    ///
    /// The file is OpenH264: loading runs its code, and what it says of itself is
    /// believed.
    pub unsafe fn load_unchecked(path: impl AsRef<Path>) -> Result<Self, LibraryError> {
        let path = whole(path.as_ref())?;
        // SAFETY: the caller's promise.
        let loaded = unsafe { DynamicAPI::from_blob_path_unchecked(&path) };
        Self::checked(path, loaded)
    }

    fn checked(path: PathBuf, loaded: Result<DynamicAPI, Error>) -> Result<Self, LibraryError> {
        let api = match loaded {
            Ok(api) => api,
            Err(Error::Io(error)) => {
                return Err(LibraryError::Missing { path, kind: error.kind() });
            }
            Err(Error::InvalidHash(sha256)) => return Err(LibraryError::Unknown { path, sha256 }),
            Err(error) => {
                return Err(LibraryError::NotLoaded { path, reason: error.to_string() });
            }
        };
        if let Some(symbol) = missing_symbol(&api) {
            return Err(LibraryError::Symbol { path, symbol });
        }
        // SAFETY: the symbol is there, and has no conditions.
        let version = unsafe { api.WelsGetCodecVersion() };
        let version = (version.uMajor, version.uMinor, version.uRevision);
        if version.0 != MAJOR || version.1 < MIN_MINOR {
            return Err(LibraryError::Version { path, version });
        }
        Ok(Self { api: Arc::new(api), path, version })
    }

    /// Its version: major, minor, revision.
    #[must_use]
    pub const fn version(&self) -> (u32, u32, u32) {
        self.version
    }

    /// An encoder of H.264 by this library.
    #[must_use]
    pub fn encoder(&self, config: VideoEncoderConfig) -> Box<dyn VideoEncoder> {
        Box::new(H264Encoder::with_api(Arc::clone(&self.api), config))
    }

    /// A decoder of H.264 by this library.
    #[must_use]
    pub fn decoder(&self) -> Box<dyn VideoDecoder> {
        Box::new(H264Decoder::with_api(Arc::clone(&self.api)))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The path from the root, without links. What has no `/` in it the system would look for
/// where it has libraries, and not where the file is of which the sum was taken.
fn whole(path: &Path) -> Result<PathBuf, LibraryError> {
    path.canonicalize()
        .map_err(|error| LibraryError::Missing { path: path.into(), kind: error.kind() })
}

/// The first symbol that is not there; calling it would be a panic.
fn missing_symbol(api: &DynamicAPI) -> Option<&'static str> {
    let DynamicAPI::Libloading(api) = api else { return None };
    [
        ("WelsCreateSVCEncoder", api.WelsCreateSVCEncoder.is_err()),
        ("WelsDestroySVCEncoder", api.WelsDestroySVCEncoder.is_err()),
        ("WelsCreateDecoder", api.WelsCreateDecoder.is_err()),
        ("WelsDestroyDecoder", api.WelsDestroyDecoder.is_err()),
        ("WelsGetCodecVersion", api.WelsGetCodecVersion.is_err()),
    ]
    .into_iter()
    .find_map(|(symbol, missing)| missing.then_some(symbol))
}

/// Of the interface that the bindings were made of: 2.7.0 here. Since 2.6.0, where the
/// number of the library's interface went from 7 to 8, what an encoder answers has room
/// for PSNR (`SLayerBSInfo::rPsnr`); one that is older would be misread.
const MAJOR: u32 = 2;

const MIN_MINOR: u32 = 6;
