//! Which screens and windows there are.

use paceline_types::{Device, DeviceKind};
use x11rb::errors::ReplyError;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, GetPropertyReply, MapState, Window, WindowClass,
};

use super::server::Server;
use super::title;
use crate::CaptureError;

/// The monitors of `display` (as `$DISPLAY` names it; `None` is what that says), the primary
/// first. The id is the name of its connector, as `xrandr` lists it.
///
/// # Errors
///
/// [`CaptureError::Unavailable`] if there is no X server, or it does not let us in.
pub fn screens(display: Option<&str>) -> Result<Vec<Device>, CaptureError> {
    let server = Server::connect(display, DeviceKind::Screen)?;
    let monitors = monitors(&server).map_err(|error| ended(DeviceKind::Screen, &error))?;
    Ok(devices(&monitors))
}

/// The windows of `display` (as `$DISPLAY` names it; `None` is what that says) that a person
/// would name: those a window manager lists, or without one all that lie on the screen
/// themselves and are shown. At most 256. Titles are what programs chose, without controls, and
/// cut at 80 characters.
///
/// # Errors
///
/// [`CaptureError::Unavailable`] if there is no X server, or it does not let us in.
pub fn windows(display: Option<&str>) -> Result<Vec<Device>, CaptureError> {
    let server = Server::connect(display, DeviceKind::Window)?;
    windows_of(&server).map_err(|error| ended(DeviceKind::Window, &error))
}

fn ended(kind: DeviceKind, error: &ReplyError) -> CaptureError {
    let reason = format!("the X server does not answer: {error}");
    CaptureError::Unavailable { kind, id: "default".to_owned(), reason }
}

/// A part of the screen that a person calls one.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub(super) name: String,
    pub(super) corner: (i16, i16),
    pub(super) size: (u16, u16),
}

/// The primary one first, as [`screens`] has them.
pub(super) fn monitors(server: &Server) -> Result<Vec<Monitor>, ReplyError> {
    let connection = &server.connection;
    let root = server.screen().root;
    if server.monitors {
        let mut infos = connection.randr_get_monitors(root, true)?.reply()?.monitors;
        infos.truncate(MAX_LISTED);
        infos.sort_by_key(|info| !info.primary);
        let names: Result<Vec<_>, _> =
            infos.iter().map(|info| connection.get_atom_name(info.name)).collect();
        let mut monitors = Vec::with_capacity(infos.len());
        for (info, name) in infos.iter().zip(names?) {
            let name = title::clean(&String::from_utf8_lossy(&name.reply()?.name));
            let (corner, size) = ((info.x, info.y), (info.width, info.height));
            monitors.push(Monitor { name, corner, size });
        }
        if !monitors.is_empty() {
            return Ok(monitors);
        }
    }
    let whole = connection.get_geometry(root)?.reply()?;
    let size = (whole.width, whole.height);
    Ok(vec![Monitor { name: "screen".to_owned(), corner: (0, 0), size }])
}

pub(super) fn devices(monitors: &[Monitor]) -> Vec<Device> {
    let device = |(index, monitor): (usize, &Monitor)| Device {
        kind: DeviceKind::Screen,
        id: monitor.name.clone(),
        name: monitor.name.clone(),
        is_default: index == 0,
        size: Some(monitor.size),
    };
    monitors.iter().enumerate().map(device).collect()
}

pub(super) fn windows_of(server: &Server) -> Result<Vec<Device>, ReplyError> {
    let connection = &server.connection;
    let [client_list, net_name, utf8] = ["_NET_CLIENT_LIST", "_NET_WM_NAME", "UTF8_STRING"]
        .map(|name| connection.intern_atom(true, name.as_bytes()));
    // Without one of them nobody can have used it, and no property is of this name.
    let (client_list, net_name, utf8) =
        (client_list?.reply()?.atom, net_name?.reply()?.atom, utf8?.reply()?.atom);
    let windows = match client_windows(server, client_list)? {
        Some(windows) => windows,
        None => top_windows(server)?,
    };
    let mut asked = Vec::with_capacity(windows.len());
    for window in windows {
        let name =
            |kind: Atom| connection.get_property(false, window, kind, AtomEnum::ANY, 0, MAX_NAME);
        asked.push((
            window,
            connection.get_geometry(window)?,
            name(net_name)?,
            name(AtomEnum::WM_NAME.into())?,
        ));
    }
    let mut devices = Vec::with_capacity(asked.len());
    for (window, geometry, net_name, wm_name) in asked {
        let (geometry, net_name, wm_name) =
            (known(geometry.reply())?, known(net_name.reply())?, known(wm_name.reply())?);
        // One that was closed meanwhile is not listed.
        let Some(geometry) = geometry else { continue };
        let name = net_name.and_then(|name| text(&name, utf8));
        let name = name.or_else(|| wm_name.and_then(|name| text(&name, utf8)));
        devices.push(Device {
            kind: DeviceKind::Window,
            id: format!("{window:#x}"),
            name: name.unwrap_or_default(),
            is_default: false,
            size: Some((geometry.width, geometry.height)),
        });
    }
    Ok(devices)
}

/// What a window manager lists (EWMH, `_NET_CLIENT_LIST`).
fn client_windows(server: &Server, list: Atom) -> Result<Option<Vec<Window>>, ReplyError> {
    if list == x11rb::NONE {
        return Ok(None);
    }
    let root = server.screen().root;
    let max = MAX_LISTED as u32;
    let list =
        server.connection.get_property(false, root, list, AtomEnum::WINDOW, 0, max)?.reply()?;
    Ok(list.value32().map(|windows| windows.take(MAX_LISTED).collect()))
}

/// What lies on the screen itself, is shown, and no menu or the like.
fn top_windows(server: &Server) -> Result<Vec<Window>, ReplyError> {
    let connection = &server.connection;
    let mut children = connection.query_tree(server.screen().root)?.reply()?.children;
    // The topmost are last.
    children.reverse();
    children.truncate(4 * MAX_LISTED);
    let asked: Result<Vec<_>, _> =
        children.iter().map(|&window| connection.get_window_attributes(window)).collect();
    let mut windows = Vec::new();
    for (&window, attributes) in children.iter().zip(asked?) {
        let Some(attributes) = known(attributes.reply())? else { continue };
        let shown = attributes.map_state == MapState::VIEWABLE
            && attributes.class == WindowClass::INPUT_OUTPUT
            && !attributes.override_redirect;
        if shown && windows.len() < MAX_LISTED {
            windows.push(window);
        }
    }
    Ok(windows)
}

/// What the server answers about a window, which may be closed by now.
fn known<T>(answer: Result<T, ReplyError>) -> Result<Option<T>, ReplyError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name that is not empty.
fn text(property: &GetPropertyReply, utf8: Atom) -> Option<String> {
    if property.format != 8 || property.value.is_empty() {
        return None;
    }
    let text = if property.type_ == u32::from(AtomEnum::STRING) && property.type_ != utf8 {
        title::latin_1(&property.value)
    } else {
        String::from_utf8_lossy(&property.value).into_owned()
    };
    Some(title::clean(&text))
}

/// More than fit a screen, or a list that is read.
const MAX_LISTED: usize = 256;
/// In units of 4 bytes: 80 characters of UTF-8.
const MAX_NAME: u32 = 80;
