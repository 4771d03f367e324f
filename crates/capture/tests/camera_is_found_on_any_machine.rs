//! The cameras of the machine that this runs on, which may have none.
#![cfg(all(feature = "camera", target_os = "linux"))]

use paceline_capture::types::DeviceKind;
use paceline_capture::{Camera, CameraConfig, CaptureError, VideoSource, cameras};

#[test]
fn a_camera_that_nobody_has_is_unknown_and_those_that_are_there_are_told() {
    let error = Camera::open(Some("usb-Nobody_Has_This"), CameraConfig::default());
    match (cameras(), error.expect_err("nobody has it")) {
        (Ok(there), CaptureError::UnknownDevice { kind, id, present }) => {
            assert_eq!((kind, id.as_str()), (DeviceKind::Camera, "usb-Nobody_Has_This"));
            assert_eq!(present, there);
        }
        // There are some, and this user may not open them.
        (Err(listing), opening) => assert_eq!(listing.to_string(), opening.to_string()),
        (Ok(_), other) => panic!("{other}"),
    }
}

#[test]
fn with_a_camera_there_is_a_default_that_opens_and_without_there_is_none() {
    let Ok(there) = cameras() else {
        println!("skipped: this user may open no camera");
        return;
    };
    let default = there.iter().find(|camera| camera.is_default);
    match (Camera::open(None, CameraConfig::default()), default) {
        (Ok(camera), Some(device)) => {
            assert_eq!((camera.id(), Some(camera.size())), (device.id.as_str(), device.size));
        }
        // Another program may have it.
        (Err(error), Some(_)) => {
            assert!(matches!(error, CaptureError::Unavailable { .. }), "{error}")
        }
        (result, None) => {
            let error = result.expect_err("there is none");
            assert!(matches!(error, CaptureError::UnknownDevice { .. }), "{error}");
        }
    }
}
