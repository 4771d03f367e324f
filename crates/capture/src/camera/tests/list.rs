//! Which nodes are cameras, and by which ids.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_types::{Device, DeviceKind};
use rustix::io::Errno;

use super::model::{Model, Opened, small};
use crate::CaptureError;
use crate::camera::device::Node;
use crate::camera::driver::{Driver, Fourcc};
use crate::camera::list::{Places, find, list};

/// What a system would have below `/dev`.
struct System {
    root: PathBuf,
    cameras: BTreeMap<String, Model>,
    forbidden: bool,
}

impl System {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("paceline-cameras-{}-{count}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(root.join("v4l/by-id")).expect("a directory");
        Self { root, cameras: BTreeMap::new(), forbidden: false }
    }

    fn plug(&mut self, node: &str, card: &'static str, format: Fourcc) -> Model {
        std::fs::write(self.root.join(node), "").expect("a node");
        let model = small(format);
        model.state().card = card;
        self.cameras.insert(node.to_owned(), model.clone());
        model
    }

    fn name(&self, name: &str, node: &str) {
        let link = self.root.join("v4l/by-id").join(name);
        symlink(format!("../../{node}"), link).expect("a name");
    }

    fn places(&self) -> Places {
        Places { nodes: self.root.clone(), names: self.root.join("v4l/by-id") }
    }

    fn open(&self, node: &Path) -> Result<Opened, Errno> {
        if self.forbidden {
            return Err(Errno::ACCESS);
        }
        let name = node.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.cameras.get(name).ok_or(Errno::NXIO)?.open()
    }

    fn list(&self) -> Result<Vec<Device>, CaptureError> {
        let listed = list(&self.places(), |node| self.open(node))?;
        Ok(listed.into_iter().map(|camera| camera.device).collect())
    }

    fn node(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Two cameras, one with a name that lasts, and nodes that are none.
fn desk() -> System {
    let mut system = System::new();
    system.plug("video10", "Second", Fourcc::MJPG);
    system.plug("video2", "First", Fourcc::YUYV);
    system.plug("video3", "First", Fourcc::YUYV).state().streams_video = false;
    // One that gives only what is not read here, and one that is broken.
    system.plug("video0", "Odd", Fourcc(*b"H264"));
    system.plug("video1", "Broken", Fourcc::YUYV).state().gone = true;
    for other in ["video", "videos", "video-1", "audio0", "vbi0"] {
        std::fs::write(system.root.join(other), "").expect("a node");
    }
    system.name("usb-Maker_First_1234-video-index0", "video2");
    system.name("usb-Maker_First_1234-video-index1", "video3");
    system
}

#[test]
fn those_that_give_pictures_are_listed_by_ids_that_last() {
    let system = desk();
    let device = |id: String, name: &str, is_default, size| Device {
        kind: DeviceKind::Camera,
        id,
        name: name.to_owned(),
        is_default,
        size,
    };
    let expected = [
        device(system.node("video0"), "Odd", false, None),
        device("usb-Maker_First_1234-video-index0".to_owned(), "First", true, Some((64, 48))),
        device(system.node("video10"), "Second", false, Some((64, 48))),
    ];
    assert_eq!(system.list().unwrap(), expected);
    assert!(system.cameras.values().all(|camera| camera.state().open == 0), "each is closed");
}

#[test]
fn it_is_found_by_its_id_by_its_node_or_as_the_default() {
    let system = desk();
    let found = |id: Option<&str>| {
        let found = find(id, &system.places(), |node| system.open(node));
        found.map(|(id, _driver)| {
            let open: Vec<_> =
                system.cameras.iter().filter(|(_, camera)| camera.state().open == 1).collect();
            (id, open.first().map(|(node, _)| node.to_string()))
        })
    };
    let first = ("usb-Maker_First_1234-video-index0".to_owned(), Some("video2".to_owned()));
    assert_eq!(found(None).unwrap(), first);
    assert_eq!(found(Some(&first.0)).unwrap(), first);
    assert_eq!(found(Some(&system.node("video2"))).unwrap(), first);
    let second = system.node("video10");
    assert_eq!(found(Some(&second)).unwrap(), (second, Some("video10".to_owned())));
}

#[test]
fn one_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let system = desk();
    for id in ["nobody", "", "video2", &system.node("video3")] {
        let error = find(Some(id), &system.places(), |node| system.open(node)).expect_err("none");
        let CaptureError::UnknownDevice { kind, id: asked, present } = error else {
            panic!("{error}");
        };
        assert_eq!((kind, asked.as_str()), (DeviceKind::Camera, id));
        assert_eq!(present, system.list().unwrap());
    }
}

#[test]
fn with_none_the_list_is_empty_and_the_default_is_unknown() {
    let system = System::new();
    let is_so = || {
        assert_eq!(system.list().unwrap(), []);
        let error = find(None, &system.places(), |node| system.open(node)).expect_err("none");
        assert_eq!(error.to_string(), "there is no camera default: none is there");
    };
    is_so();
    std::fs::remove_dir_all(&system.root).unwrap();
    is_so();
}

#[test]
fn those_that_may_not_be_opened_are_not_said_to_be_none() {
    let mut system = desk();
    system.forbidden = true;
    let error = system.list().expect_err("none may be opened");
    let said = error.to_string();
    assert!(matches!(error, CaptureError::Unavailable { .. }), "{said}");
    assert!(said.contains("group is mostly `video`"), "{said}");
}

#[test]
fn a_node_that_is_no_camera_says_so_itself() {
    let mut node = Node::open(Path::new("/dev/null")).unwrap();
    assert_eq!(node.query_cap().err(), Some(Errno::NOTTY));
    assert_eq!((node.streamon(), node.qbuf(0)), (Err(Errno::NOTTY), Err(Errno::NOTTY)));
    assert_eq!(node.dqbuf().err(), Some(Errno::NOTTY));
    assert_eq!(node.reqbufs(4).err(), Some(Errno::NOTTY));
    assert!(node.bytes(0).is_none());
    assert_eq!(Node::open(Path::new("/dev/video-none")).err(), Some(Errno::NOENT));
}
