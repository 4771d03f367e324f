//! The driver that the kernel has.
#![expect(unsafe_code, reason = "the kernel is called by numbers, and memory of it mapped")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use memmap2::{Mmap, MmapOptions};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl};
use rustix::time::{ClockId, clock_gettime};

use super::driver::{
    Capability, Driver, Filled, Fourcc, Interval, Intervals, Layout, Ready, Sizes,
};
use super::kernel::{self, Buffer, DISCRETE, FrameIntervals, FrameSizes, VIDEO_CAPTURE};
use super::wait::wait;

/// A node below `/dev` that is open.
#[derive(Debug)]
pub(super) struct Node {
    file: File,
    buffers: Vec<Mmap>,
}

impl Node {
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        // Neither to open nor to take a buffer may wait; the descriptor is nobody else's.
        let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.cast_signed())
            .open(path)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self { file, buffers: Vec::new() })
    }

    fn buffer(&mut self, index: u32) -> Result<Mmap, Errno> {
        let mut buffer = Buffer::of(index);
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::QUERYBUF }, _>(&mut buffer) }?;
        let len = buffer.length as usize;
        if len == 0 || len > MAX_BUFFER {
            return Err(Errno::OVERFLOW);
        }
        // SAFETY: the memory is the driver's, which keeps it while it is mapped, also when the
        // camera is pulled out or the node closed. The driver writes to it while it has the
        // buffer: it is read only when `dqbuf` has taken it back and `qbuf` not given it yet.
        // What is read are bytes, of which any are valid: a driver that keeps on writing spoils
        // its picture.
        let map = unsafe {
            MmapOptions::new().offset(buffer.offset.used.into()).len(len).map(&self.file)
        };
        map.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))
    }

    /// # Safety
    ///
    /// `CALL` must be the number of a call that takes a pointer to a `T`, of which it may write
    /// what is valid as a `T`, and which keeps nothing of it.
    unsafe fn call<const CALL: Opcode, T>(&self, argument: &mut T) -> Result<(), Errno> {
        loop {
            // SAFETY: the caller's promise.
            match unsafe { ioctl(&self.file, Updater::<CALL, T>::new(&mut *argument)) } {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

impl Driver for Node {
    fn query_cap(&mut self) -> Result<Capability, Errno> {
        let mut found = kernel::Capability {
            driver: [0; 16],
            card: [0; 32],
            bus_info: [0; 32],
            version: 0,
            capabilities: 0,
            device_caps: 0,
            reserved: [0; 3],
        };
        // SAFETY: the number is of this structure, which the kernel fills.
        unsafe { self.call::<{ kernel::QUERYCAP }, _>(&mut found) }?;
        // What the node can is asked for, not what all nodes of the camera can together.
        let of_all = found.capabilities & kernel::CAP_DEVICE_CAPS == 0;
        let caps = if of_all { found.capabilities } else { found.device_caps };
        let needed = kernel::CAP_VIDEO_CAPTURE | kernel::CAP_STREAMING;
        Ok(Capability { card: text(&found.card), streams_video: caps & needed == needed })
    }

    fn enum_fmt(&mut self, index: u32) -> Result<Fourcc, Errno> {
        let mut found = kernel::FormatDescription::of(index);
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::ENUM_FMT }, _>(&mut found) }?;
        Ok(Fourcc(found.pixel_format.to_le_bytes()))
    }

    fn enum_framesizes(&mut self, format: Fourcc, index: u32) -> Result<Sizes, Errno> {
        let pixel_format = u32::from_le_bytes(format.0);
        let mut found = FrameSizes { index, pixel_format, ..FrameSizes::default() };
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::ENUM_FRAMESIZES }, _>(&mut found) }?;
        let [a, b, c, d, e, f] = found.sizes;
        Ok(match found.kind {
            DISCRETE => Sizes::Discrete((a, b)),
            _ => Sizes::Stepwise { min: (a, d), max: (b, e), step: (c, f) },
        })
    }

    fn enum_frameintervals(
        &mut self,
        format: Fourcc,
        (width, height): (u32, u32),
        index: u32,
    ) -> Result<Intervals, Errno> {
        let pixel_format = u32::from_le_bytes(format.0);
        let mut found =
            FrameIntervals { index, pixel_format, width, height, ..FrameIntervals::default() };
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::ENUM_FRAMEINTERVALS }, _>(&mut found) }?;
        let [min, max, _] = found.intervals.map(interval);
        Ok(match found.kind {
            DISCRETE => Intervals::Discrete(min),
            _ => Intervals::Range { min, max },
        })
    }

    fn s_fmt(&mut self, format: Fourcc, (width, height): (u32, u32)) -> Result<Layout, Errno> {
        let mut set = kernel::Format::of(kernel::PixFormat {
            width,
            height,
            pixel_format: u32::from_le_bytes(format.0),
            field: kernel::FIELD_NONE,
            ..kernel::PixFormat::default()
        });
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::S_FMT }, _>(&mut set) }?;
        let pix = set.pix.used;
        Ok(Layout {
            format: Fourcc(pix.pixel_format.to_le_bytes()),
            size: (pix.width, pix.height),
            bytes_per_row: pix.bytes_per_line,
            full_range: pix.quantization == kernel::QUANTIZATION_FULL
                || (pix.quantization == kernel::QUANTIZATION_DEFAULT
                    && pix.colorspace == kernel::COLORSPACE_JPEG),
        })
    }

    fn s_parm(&mut self, wanted: Interval) -> Result<Interval, Errno> {
        let Interval { numerator, denominator } = wanted;
        let mut set = kernel::StreamParameters::of(kernel::Fraction { numerator, denominator });
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::S_PARM }, _>(&mut set) }?;
        Ok(interval(set.interval))
    }

    fn reqbufs(&mut self, count: u32) -> Result<u32, Errno> {
        let mut set = kernel::RequestBuffers {
            count,
            kind: VIDEO_CAPTURE,
            memory: kernel::MEMORY_MMAP,
            ..kernel::RequestBuffers::default()
        };
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::REQBUFS }, _>(&mut set) }?;
        self.buffers.clear();
        for index in 0..set.count {
            let buffer = self.buffer(index)?;
            self.buffers.push(buffer);
        }
        Ok(set.count)
    }

    fn qbuf(&mut self, index: u32) -> Result<(), Errno> {
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::QBUF }, _>(&mut Buffer::of(index)) }
    }

    fn dqbuf(&mut self) -> Result<Filled, Errno> {
        let mut found = Buffer::of(0);
        // SAFETY: the number is of this structure, which the kernel reads and fills.
        unsafe { self.call::<{ kernel::DQBUF }, _>(&mut found) }?;
        let monotonic = found.flags & kernel::FLAG_TIMESTAMP == kernel::FLAG_MONOTONIC;
        Ok(Filled {
            index: found.index,
            bytes_used: found.bytes_used,
            damaged: found.flags & kernel::FLAG_ERROR != 0,
            age: if monotonic { since(found.timestamp) } else { Duration::ZERO },
        })
    }

    fn bytes(&self, index: u32) -> Option<&[u8]> {
        self.buffers.get(index as usize).map(|map| &map[..])
    }

    fn streamon(&mut self) -> Result<(), Errno> {
        let kind = VIDEO_CAPTURE.cast_signed();
        // SAFETY: the number is of an `int` that the kernel reads.
        unsafe { ioctl(&self.file, Setter::<{ kernel::STREAMON }, i32>::new(kind)) }
    }

    fn streamoff(&mut self) -> Result<(), Errno> {
        let kind = VIDEO_CAPTURE.cast_signed();
        // SAFETY: the number is of an `int` that the kernel reads.
        unsafe { ioctl(&self.file, Setter::<{ kernel::STREAMOFF }, i32>::new(kind)) }
    }

    fn poll(&mut self, end: BorrowedFd<'_>, timeout: Duration) -> Result<Ready, Errno> {
        wait(self.file.as_fd(), end, timeout)
    }
}

fn interval(kernel::Fraction { numerator, denominator }: kernel::Fraction) -> Interval {
    Interval { numerator, denominator }
}

/// How long ago this was on the clock that drivers stamp by.
fn since(stamp: kernel::TimeVal) -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = i128::from(now.tv_sec) - i128::from(stamp.seconds);
    let nanos =
        seconds * 1_000_000_000 + i128::from(now.tv_nsec) - i128::from(stamp.micros) * 1_000;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// What is there before the first zero, without what a terminal would obey.
fn text(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..len]);
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// The largest buffer that is mapped: four times what the largest picture that is taken has in
/// YUYV, so that no driver's mistake takes the address space.
const MAX_BUFFER: usize = 64 << 20;
