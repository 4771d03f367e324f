//! Memory that is shared with the X server.
#![expect(unsafe_code, reason = "memory is mapped that a server writes to")]

use std::fs::File;
use std::io;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Pages that no process can make fewer: what is mapped stays mapped.
#[derive(Debug)]
pub(super) struct SharedPages {
    map: MmapMut,
}

impl SharedPages {
    /// `len` bytes of zeros, and the file that the server is to map.
    ///
    /// # Errors
    ///
    /// What the system says: no memory, no descriptors, or no `memfd` (Linux 3.17).
    pub(super) fn new(len: usize) -> io::Result<(Self, File)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("paceline-screen", flags)?);
        file.set_len(len as u64)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // SAFETY: the file is ours alone and sealed, so it is as long as the map for as long as
        // the map is. Only the server has it too, and writes to it when it is asked for an
        // image: we read and write between its answer and the next question, and what we read
        // are bytes of which any are valid. One that writes at other times spoils its picture.
        let map = unsafe { MmapOptions::new().len(len).map_mut(&file)? };
        Ok((Self { map }, file))
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.map
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}
