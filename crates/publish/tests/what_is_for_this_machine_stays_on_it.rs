//! Beside a proxy that is not asked, on loopback.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use paceline_publish::{PublishError, SfuConfig, SfuSender, SfuTarget};

/// Answers whoever comes with this status; the address.
fn answers(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 1_024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(len @ 1..) => request.extend_from_slice(&buffer[..len]),
                    _ => break,
                }
            }
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address
}

/// What is said to a server of this machine has the keys of the media in it, in the clear.
#[test]
fn a_proxy_of_the_environment_hears_nothing_that_is_for_this_machine() {
    let this = "a_proxy_of_the_environment_hears_nothing_that_is_for_this_machine";
    // In a process of its own: the environment is that of all tests.
    if std::env::var_os("PACELINE_ALONE").is_none() {
        let proxy = format!("http://{}", answers("418 A Proxy"));
        let mut alone = Command::new(std::env::current_exe().unwrap());
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            alone.env(name, &proxy);
        }
        for name in ["no_proxy", "NO_PROXY", "REQUEST_METHOD"] {
            alone.env_remove(name);
        }
        let status = alone.args(["--exact", this]).env("PACELINE_ALONE", "1").status().unwrap();
        return assert!(status.success());
    }
    let server = answers("401 The Server");
    let target: SfuTarget = format!("broadcaster:http://{server}/rooms/r").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let sender = SfuSender::connect(target, SfuConfig::default().connect_timeout(WATCHDOG));
        sender.await.map(drop).unwrap_err()
    });
    assert!(matches!(error, PublishError::AuthRefused { status: 401 }), "{error}");
}

/// Ours: long after all of it.
const WATCHDOG: Duration = Duration::from_secs(20);
