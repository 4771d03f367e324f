//! What is given to the kernel is what its header says.

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::PathBuf;
use std::process::Command;

use crate::camera::kernel::{self as k, *};

/// A directory that is gone with it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

macro_rules! checks {
    (sizes: $($ours:ty => $theirs:literal),+;
     places: $($of:ty, $($field:ident).+ => $c:literal, $c_field:literal),+;
     numbers: $($value:expr => $name:literal),+;) => {
        [
            $((format!("sizeof({})", $theirs), size_of::<$ours>() as u64),)+
            $((format!("offsetof({}, {})", $c, $c_field), offset_of!($of, $($field).+) as u64),)+
            $(($name.to_owned(), u64::from($value)),)+
        ]
    };
}

#[test]
fn structures_and_numbers_are_those_of_the_kernels_header() {
    let checks = checks! {
        sizes:
            Capability => "struct v4l2_capability",
            FormatDescription => "struct v4l2_fmtdesc",
            FrameSizes => "struct v4l2_frmsizeenum",
            FrameIntervals => "struct v4l2_frmivalenum",
            Fraction => "struct v4l2_fract",
            PixFormat => "struct v4l2_pix_format",
            Format => "struct v4l2_format",
            StreamParameters => "struct v4l2_streamparm",
            RequestBuffers => "struct v4l2_requestbuffers",
            Buffer => "struct v4l2_buffer";
        places:
            Capability, card => "struct v4l2_capability", "card",
            Capability, capabilities => "struct v4l2_capability", "capabilities",
            Capability, device_caps => "struct v4l2_capability", "device_caps",
            FormatDescription, kind => "struct v4l2_fmtdesc", "type",
            FormatDescription, pixel_format => "struct v4l2_fmtdesc", "pixelformat",
            FrameSizes, pixel_format => "struct v4l2_frmsizeenum", "pixel_format",
            FrameSizes, kind => "struct v4l2_frmsizeenum", "type",
            FrameSizes, sizes => "struct v4l2_frmsizeenum", "stepwise.min_width",
            FrameSizes, reserved => "struct v4l2_frmsizeenum", "reserved",
            FrameIntervals, width => "struct v4l2_frmivalenum", "width",
            FrameIntervals, height => "struct v4l2_frmivalenum", "height",
            FrameIntervals, kind => "struct v4l2_frmivalenum", "type",
            FrameIntervals, intervals => "struct v4l2_frmivalenum", "stepwise.min",
            Format, kind => "struct v4l2_format", "type",
            Format, pix.used.width => "struct v4l2_format", "fmt.pix.width",
            Format, pix.used.pixel_format => "struct v4l2_format", "fmt.pix.pixelformat",
            Format, pix.used.field => "struct v4l2_format", "fmt.pix.field",
            Format, pix.used.bytes_per_line => "struct v4l2_format", "fmt.pix.bytesperline",
            Format, pix.used.size_image => "struct v4l2_format", "fmt.pix.sizeimage",
            Format, pix.used.colorspace => "struct v4l2_format", "fmt.pix.colorspace",
            Format, pix.used.quantization => "struct v4l2_format", "fmt.pix.quantization",
            StreamParameters, interval => "struct v4l2_streamparm", "parm.capture.timeperframe",
            RequestBuffers, kind => "struct v4l2_requestbuffers", "type",
            RequestBuffers, memory => "struct v4l2_requestbuffers", "memory",
            Buffer, kind => "struct v4l2_buffer", "type",
            Buffer, bytes_used => "struct v4l2_buffer", "bytesused",
            Buffer, flags => "struct v4l2_buffer", "flags",
            Buffer, timestamp.seconds => "struct v4l2_buffer", "timestamp.tv_sec",
            Buffer, timestamp.micros => "struct v4l2_buffer", "timestamp.tv_usec",
            Buffer, sequence => "struct v4l2_buffer", "sequence",
            Buffer, memory => "struct v4l2_buffer", "memory",
            Buffer, offset.used => "struct v4l2_buffer", "m.offset",
            Buffer, length => "struct v4l2_buffer", "length";
        numbers:
            k::QUERYCAP => "VIDIOC_QUERYCAP",
            k::ENUM_FMT => "VIDIOC_ENUM_FMT",
            k::S_FMT => "VIDIOC_S_FMT",
            k::REQBUFS => "VIDIOC_REQBUFS",
            k::QUERYBUF => "VIDIOC_QUERYBUF",
            k::QBUF => "VIDIOC_QBUF",
            k::DQBUF => "VIDIOC_DQBUF",
            k::STREAMON => "VIDIOC_STREAMON",
            k::STREAMOFF => "VIDIOC_STREAMOFF",
            k::S_PARM => "VIDIOC_S_PARM",
            k::ENUM_FRAMESIZES => "VIDIOC_ENUM_FRAMESIZES",
            k::ENUM_FRAMEINTERVALS => "VIDIOC_ENUM_FRAMEINTERVALS",
            k::CAP_VIDEO_CAPTURE => "V4L2_CAP_VIDEO_CAPTURE",
            k::CAP_STREAMING => "V4L2_CAP_STREAMING",
            k::CAP_DEVICE_CAPS => "V4L2_CAP_DEVICE_CAPS",
            k::VIDEO_CAPTURE => "V4L2_BUF_TYPE_VIDEO_CAPTURE",
            k::MEMORY_MMAP => "V4L2_MEMORY_MMAP",
            k::FIELD_NONE => "V4L2_FIELD_NONE",
            k::DISCRETE => "V4L2_FRMSIZE_TYPE_DISCRETE",
            k::DISCRETE => "V4L2_FRMIVAL_TYPE_DISCRETE",
            k::FLAG_ERROR => "V4L2_BUF_FLAG_ERROR",
            k::FLAG_TIMESTAMP => "V4L2_BUF_FLAG_TIMESTAMP_MASK",
            k::FLAG_MONOTONIC => "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC",
            k::COLORSPACE_JPEG => "V4L2_COLORSPACE_JPEG",
            k::QUANTIZATION_DEFAULT => "V4L2_QUANTIZATION_DEFAULT",
            k::QUANTIZATION_FULL => "V4L2_QUANTIZATION_FULL_RANGE",
            u32::from_le_bytes(*b"YU12") => "V4L2_PIX_FMT_YUV420",
            u32::from_le_bytes(*b"NV12") => "V4L2_PIX_FMT_NV12",
            u32::from_le_bytes(*b"YUYV") => "V4L2_PIX_FMT_YUYV",
            u32::from_le_bytes(*b"MJPG") => "V4L2_PIX_FMT_MJPEG",
            u32::from_le_bytes(*b"JPEG") => "V4L2_PIX_FMT_JPEG";
    };
    let directory = std::env::temp_dir().join(format!("paceline-videodev2-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let scratch = Scratch(directory);
    let mut program = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\nint main(void) {\n",
    );
    for (expression, _) in &checks {
        writeln!(program, "printf(\"%llu\\n\", (unsigned long long)({expression}));").unwrap();
    }
    program.push_str("return 0; }\n");
    let (source, binary) = (scratch.0.join("header.c"), scratch.0.join("header"));
    std::fs::write(&source, program).unwrap();
    let required = std::env::var("PACELINE_INTEROP").is_ok_and(|value| value == "required");
    let built = match Command::new("cc").arg(&source).arg("-o").arg(&binary).output() {
        Ok(built) => built,
        Err(error) => {
            assert!(!required, "no C compiler: {error}");
            println!("skipped: no C compiler ({error})");
            return;
        }
    };
    let said = String::from_utf8_lossy(&built.stderr);
    if said.contains("videodev2.h: No such file") {
        assert!(!required, "{said}");
        println!("skipped: no header of the kernel");
        return;
    }
    assert!(built.status.success(), "{said}");
    let printed = Command::new(&binary).output().unwrap();
    let theirs = String::from_utf8(printed.stdout).unwrap();
    let theirs: Vec<u64> = theirs.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(theirs.len(), checks.len());
    for ((expression, ours), theirs) in checks.iter().zip(theirs) {
        assert_eq!(*ours, theirs, "{expression}");
    }
}
