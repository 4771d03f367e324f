//! What goes wrong most, provoked: each says what happened, to whom, and what to do, in
//! the words of `docs/ERRORS.md`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use paceline_signaling::{RoomsConfig, Server, ServerConfig};

/// How long any one process may take.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The programs.
const CALL: &str = env!("CARGO_BIN_EXE_call");
const SHARE: &str = env!("CARGO_BIN_EXE_screen-share");

/// What `docs/ERRORS.md` promises for each.
const PROMISES: &str = include_str!("../../docs/ERRORS.md");

/// The program, running.
struct Call {
    child: Child,
    /// What it says on either stream, line by line, until it closes both.
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Call {
    fn start(args: &[&str]) -> Self {
        Self::of(CALL, args)
    }

    /// The same of another program.
    fn of(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (line, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for stream in streams {
            let line = line.clone();
            thread::spawn(move || {
                let texts = BufReader::new(stream).lines().map_while(Result::ok);
                texts.for_each(|text| drop(line.send(text)));
            });
        }
        Self { child, lines, said: String::new() }
    }

    /// Waits for the next line; `false` if there is none any more.
    fn listen(&mut self) -> bool {
        match self.lines.recv_timeout(WATCHDOG) {
            Ok(line) => {
                self.said.push_str(&line);
                self.said.push('\n');
                true
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs, after:\n{}", self.said),
        }
    }

    /// Waits until it is in the room, which its first status line shows.
    fn is_in(&mut self) {
        while !self.said.contains("|host ") {
            assert!(self.listen(), "{}", self.said);
        }
    }

    /// Waits for its end: its exit status, and all that it said.
    fn end(mut self) -> (Option<i32>, String) {
        while self.listen() {}
        (self.child.wait().expect("it was started").code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Does nothing if it has ended; else a test has failed.
        let _ = self.child.kill();
    }
}

/// That a call with `args` ends with `code` and says `promise`, in which `…` stands for
/// anything, and which is in the table.
#[track_caller]
fn fails(args: &[&str], code: i32, promise: &str) {
    ends_with(Call::start(args), code, promise);
}

/// The same of a share.
#[track_caller]
fn share_fails(args: &[&str], code: i32, promise: &str) {
    ends_with(Call::of(SHARE, args), code, promise);
}

#[track_caller]
fn ends_with(program: Call, code: i32, promise: &str) {
    is_promised(promise);
    let (status, said) = program.end();
    assert_eq!(status, Some(code), "{said}");
    assert!(said.lines().any(|line| matches(line, promise)), "{promise}\n{said}");
}

/// That the table has it.
#[track_caller]
fn is_promised(promise: &str) {
    // As Markdown quotes what has backquotes in it, and what has none.
    let quoted = match promise.contains('`') {
        true => format!("| `` {promise} `` |"),
        false => format!("| `{promise}` |"),
    };
    assert!(PROMISES.contains(&quoted), "not in docs/ERRORS.md: {promise}");
}

/// Whether all parts of `promise` between its `…` are in `line`, in order.
fn matches(line: &str, promise: &str) -> bool {
    let mut rest = line;
    promise.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// A file with these bytes, for as long as it lives.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
        fs::write(&path, bytes).expect("a temporary file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The URL of a server that does `serve` with whoever connects.
fn impostor(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    format!("ws://127.0.0.1:{port}/call")
}

#[test]
fn a_wrong_command_line_is_said_and_is_exit_2() {
    fails(
        &["frob"],
        2,
        "call: `…` is no command: it is host, join URL, measure-joins, measure-failover, or nothing",
    );
    fails(&["--frobnicate"], 2, "call: invalid option '…'");
    fails(&["join", "there"], 2, "call: join …: it takes ws://HOST:PORT/ROOM");
    fails(&["join"], 2, "call: join needs the URL that `call host` printed");
    fails(&["--participants", "10"], 2, "call: --participants …: it takes a number from 1 to 9");
    fails(&["--host", "4"], 2, "call: --host …: there are … participants");
    fails(&["--listen", "here"], 2, "call: --listen …: it takes ADDRESS:PORT, as 127.0.0.1:4455");
    fails(
        &["--video", "a.mp4"],
        2,
        "call: --video …: it is screen, screen:ID, window:ID, camera, camera:ID, FILE.y4m, FILE.h264 \
         or test",
    );
}

#[test]
fn a_share_that_cannot_be_is_said() {
    let missing = "screen-share: --to is missing: say where to, as --to room:ws://HOST:PORT/ROOM";
    share_fails(&[], 2, missing);
    share_fails(
        &["--to", "somewhere"],
        2,
        "screen-share: --to …: it is mediasoup:wss://…, broadcaster:https://…, \
         room:ws://HOST:PORT/ROOM or external",
    );
    let source = "screen-share: --source …: it is screen, screen:ID, window:ID, camera, camera:ID, \
                  FILE.y4m, FILE.h264 or test";
    share_fails(&["--source", "a.mp4"], 2, source);
    share_fails(
        &["--to", "external"],
        1,
        "screen-share: a share cannot begin as an external one: name another target before it",
    );
    let missing = "screen-share: … cannot be read (…): check the path and who may read it";
    share_fails(&["--to", "room:ws://127.0.0.1:9/a", "--source", "/nowhere/a.y4m"], 1, missing);
}

#[test]
fn a_share_without_a_target_that_works_says_what_to_do() {
    let promise = "screen-share: … does not work (…) and no other target is left: check the URL and \
                   whether the server runs, or name another with --fallback";
    share_fails(&["--to", "room:ws://127.0.0.1:9/a/b", "--source", "test"], 1, promise);
}

#[test]
fn a_server_that_is_not_there_is_said() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("ws://{}/call", listener.local_addr().expect("it is bound"));
    drop(listener);
    let promise = "call: no signalling server answers at … (…): is `call host` running, and is \
                   the port right?";
    fails(&["join", &url], 1, promise);
}

#[test]
fn a_server_that_says_nothing_is_said() {
    let silent = impostor(|stream| {
        thread::spawn(move || {
            let mut stream = stream;
            let _ = stream.read_to_end(&mut Vec::new());
        });
    });
    let promise = "call: no signalling server answers at … (…): is `call host` running, and is \
                   the port right?";
    fails(&["join", &silent], 1, promise);
}

#[test]
fn a_server_that_is_another_is_said() {
    let web = impostor(|mut stream| {
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    });
    fails(&["join", &web], 1, "call: what answers at … is not a signalling server: …");
}

#[test]
fn a_url_that_cannot_be_is_said() {
    let promise = "call: … is not ws://HOST:PORT/ROOM (ROOM is 1 to 64 of A-Z a-z 0-9 _ -)";
    fails(&["join", "ws://127.0.0.1:9/my/room"], 1, promise);
    let promise = "call: … is a wss URL, and TLS is not built in yet: use ws://HOST:PORT/ROOM";
    fails(&["join", "wss://127.0.0.1:9/call"], 1, promise);
}

#[test]
fn an_address_that_cannot_be_listened_on_is_said() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = listener.local_addr().expect("it is bound").to_string();
    let promise = "call: port … of … is in use: end what listens there, or take another port";
    fails(&["host", "--listen", &taken], 1, promise);
    // Private, and the last that anybody would give.
    let promise = "call: … is no address of this machine: use …127.0.0.1 for this machine only, \
                   or 0.0.0.0 for all addresses";
    fails(&["host", "--listen", "10.255.255.254:0"], 1, promise);
    // RFC 5737: nobody has this address.
    let promise = "call: … is not in a private network, and calls over the internet do not work \
                   yet: use an address that begins with 10., 172.16. to 172.31., or 192.168.";
    fails(&["host", "--listen", "192.0.2.1:0"], 1, promise);
}

#[test]
fn a_file_that_cannot_be_used_is_said() {
    let promise = "call: … cannot be read (…): check the path and who may read it";
    fails(&["--video", "/nowhere/a.y4m"], 1, promise);
    let y4m = TempFile::new("sides.y4m", b"YUV4MPEG2 W0 H0\n");
    let promise =
        "call: …: a picture of … × … cannot be sent: both sides must be even, and at most …";
    fails(&["--video", y4m.path()], 1, promise);
    let h264 = TempFile::new("empty.h264", &[0, 0, 0, 1, 0x67]);
    fails(&["--video", h264.path()], 1, "call: … holds no …: is it the right file?");
    let wav = TempFile::new("odd.wav", b"RIFF\x04\0\0\0WAVE");
    let promise = "call: …: it is not 16, 24 or 32-bit PCM or 32-bit float, 8 to 192 kHz, 1 to 8 \
                   channels: convert it";
    fails(&["--audio", wav.path()], 1, promise);
}

#[test]
fn a_name_that_cannot_be_is_said() {
    let promise = "call: … does not let us in: Invalid params: a name is a short line without \
                   control characters (the limit is 64)";
    fails(&["host", "--name", "a\u{1b}b"], 1, promise);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_full_is_said() {
    let config = ServerConfig::default().rooms(RoomsConfig::default().max_members(1));
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), config).await.expect("a port");
    let url = server.url("call");
    let both = tokio::task::spawn_blocking(move || {
        let mut first = Call::start(&["join", &url, "--duration", "600"]);
        first.is_in();
        let promise = "call: … does not let us in: the room is full: … of … are in it";
        fails(&["join", &url], 1, promise);
    });
    both.await.expect("the second is refused");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_said() {
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Server::bind(address, ServerConfig::default()).await.expect("a port");
    let url = server.url("call");
    let guest = tokio::task::spawn_blocking(move || {
        let mut guest = Call::start(&["join", &url, "--duration", "600"]);
        guest.is_in();
        guest
    });
    let guest = guest.await.expect("it joins");
    server.shutdown().await;
    let end = tokio::task::spawn_blocking(|| guest.end());
    let (_, said) = end.await.expect("it ends");
    let promise = "…; and nobody is connected: the call is over";
    is_promised(promise);
    assert!(said.lines().any(|line| matches(line, promise)), "{said}");
}
