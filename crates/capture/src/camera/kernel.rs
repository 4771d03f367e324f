//! What V4L2 of the kernel is made of: structures and numbers of `linux/videodev2.h`.
//!
//! All are plain integers, so that any bytes are valid ones. A test compiles a C program
//! against the header and compares sizes, places and numbers.

use std::ffi::c_long;

use rustix::ioctl::{Opcode, opcode};

/// `struct v4l2_capability`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus_info: [u8; 32],
    pub(super) version: u32,
    pub(super) capabilities: u32,
    pub(super) device_caps: u32,
    pub(super) reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct FormatDescription {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) description: [u8; 32],
    pub(super) pixel_format: u32,
    pub(super) mbus_code: u32,
    pub(super) reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`. Of `sizes` a discrete one has width and height, a range least,
/// most and step of the width, then of the height.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameSizes {
    pub(super) index: u32,
    pub(super) pixel_format: u32,
    pub(super) kind: u32,
    pub(super) sizes: [u32; 6],
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_fract`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fraction {
    pub(super) numerator: u32,
    pub(super) denominator: u32,
}

/// `struct v4l2_frmivalenum`. A discrete interval is the first, a range has least, most, step.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameIntervals {
    pub(super) index: u32,
    pub(super) pixel_format: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) kind: u32,
    pub(super) intervals: [Fraction; 3],
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_pix_format`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PixFormat {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel_format: u32,
    pub(super) field: u32,
    pub(super) bytes_per_line: u32,
    pub(super) size_image: u32,
    pub(super) colorspace: u32,
    pub(super) private: u32,
    pub(super) flags: u32,
    pub(super) encoding: u32,
    pub(super) quantization: u32,
    pub(super) transfer: u32,
}

/// `struct v4l2_format`, of whose union only the pictures of one plane are used. Others in it
/// hold pointers, and set where it begins.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) kind: u32,
    pub(super) pix: Union<PixFormat, 152>,
}

/// What of a union is used, aligned as a pointer, and the rest.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Union<T, const REST: usize> {
    pub(super) aligned: [usize; 0],
    pub(super) used: T,
    pub(super) rest: [u8; REST],
}

/// `struct v4l2_streamparm`, of whose union `struct v4l2_captureparm` is used.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamParameters {
    pub(super) kind: u32,
    pub(super) capability: u32,
    pub(super) mode: u32,
    pub(super) interval: Fraction,
    pub(super) extended: u32,
    pub(super) read_buffers: u32,
    pub(super) reserved: [u32; 4],
    pub(super) rest: [u8; 160],
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestBuffers {
    pub(super) count: u32,
    pub(super) kind: u32,
    pub(super) memory: u32,
    pub(super) capabilities: u32,
    pub(super) flags: u8,
    pub(super) reserved: [u8; 3],
}

/// `struct timeval`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeVal {
    pub(super) seconds: c_long,
    pub(super) micros: c_long,
}

/// `struct v4l2_buffer`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) bytes_used: u32,
    pub(super) flags: u32,
    pub(super) field: u32,
    pub(super) timestamp: TimeVal,
    pub(super) timecode: [u32; 4],
    pub(super) sequence: u32,
    pub(super) memory: u32,
    pub(super) offset: Union<u32, { size_of::<usize>() - 4 }>,
    pub(super) length: u32,
    pub(super) reserved: [u32; 2],
}

impl FormatDescription {
    pub(super) const fn of(index: u32) -> Self {
        Self {
            index,
            kind: VIDEO_CAPTURE,
            flags: 0,
            description: [0; 32],
            pixel_format: 0,
            mbus_code: 0,
            reserved: [0; 3],
        }
    }
}

impl Format {
    pub(super) const fn of(pix: PixFormat) -> Self {
        Self { kind: VIDEO_CAPTURE, pix: Union { aligned: [], used: pix, rest: [0; 152] } }
    }
}

impl StreamParameters {
    pub(super) const fn of(interval: Fraction) -> Self {
        Self {
            kind: VIDEO_CAPTURE,
            capability: 0,
            mode: 0,
            interval,
            extended: 0,
            read_buffers: 0,
            reserved: [0; 4],
            rest: [0; 160],
        }
    }
}

impl Buffer {
    pub(super) const fn of(index: u32) -> Self {
        Self {
            index,
            kind: VIDEO_CAPTURE,
            bytes_used: 0,
            flags: 0,
            field: 0,
            timestamp: TimeVal { seconds: 0, micros: 0 },
            timecode: [0; 4],
            sequence: 0,
            memory: MEMORY_MMAP,
            offset: Union { aligned: [], used: 0, rest: [0; size_of::<usize>() - 4] },
            length: 0,
            reserved: [0; 2],
        }
    }
}

// The numbers of the header, by the names it has without `VIDIOC_`.
pub(super) const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
pub(super) const ENUM_FMT: Opcode = opcode::read_write::<FormatDescription>(b'V', 2);
pub(super) const S_FMT: Opcode = opcode::read_write::<Format>(b'V', 5);
pub(super) const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(b'V', 8);
pub(super) const QUERYBUF: Opcode = opcode::read_write::<Buffer>(b'V', 9);
pub(super) const QBUF: Opcode = opcode::read_write::<Buffer>(b'V', 15);
pub(super) const DQBUF: Opcode = opcode::read_write::<Buffer>(b'V', 17);
pub(super) const STREAMON: Opcode = opcode::write::<i32>(b'V', 18);
pub(super) const STREAMOFF: Opcode = opcode::write::<i32>(b'V', 19);
pub(super) const S_PARM: Opcode = opcode::read_write::<StreamParameters>(b'V', 22);
pub(super) const ENUM_FRAMESIZES: Opcode = opcode::read_write::<FrameSizes>(b'V', 74);
pub(super) const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<FrameIntervals>(b'V', 75);

/// `V4L2_CAP_VIDEO_CAPTURE`
pub(super) const CAP_VIDEO_CAPTURE: u32 = 0x1;
/// `V4L2_CAP_STREAMING`
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
/// `V4L2_CAP_DEVICE_CAPS`
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`
pub(super) const VIDEO_CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`
pub(super) const MEMORY_MMAP: u32 = 1;
/// `V4L2_FIELD_NONE`: whole pictures, not every other row of two.
pub(super) const FIELD_NONE: u32 = 1;
/// `V4L2_FRMSIZE_TYPE_DISCRETE`, and of intervals `V4L2_FRMIVAL_TYPE_DISCRETE`
pub(super) const DISCRETE: u32 = 1;
/// `V4L2_BUF_FLAG_ERROR`
pub(super) const FLAG_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK`
pub(super) const FLAG_TIMESTAMP: u32 = 0xe000;
/// `V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC`
pub(super) const FLAG_MONOTONIC: u32 = 0x2000;
/// `V4L2_COLORSPACE_JPEG`
pub(super) const COLORSPACE_JPEG: u32 = 7;
/// `V4L2_QUANTIZATION_DEFAULT`
pub(super) const QUANTIZATION_DEFAULT: u32 = 0;
/// `V4L2_QUANTIZATION_FULL_RANGE`
pub(super) const QUANTIZATION_FULL: u32 = 1;
