//! An X server of one's own.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Xvfb without a window on it. Ends with this, and with the thread that started it.
#[derive(Debug)]
pub struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// Starts one of so many pixels; the system chooses its number. Comes back when it answers.
    ///
    /// # Errors
    ///
    /// If Xvfb is not installed, or ends before it says its number.
    pub fn start(width: u16, height: u16) -> io::Result<Self> {
        let mut command = bound("Xvfb");
        command.args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0"]);
        command.arg(format!("{width}x{height}x24"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn()?;
        let out = server.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // From here on it is ended whatever comes.
        let mut display = Self { server, name: String::new() };
        let mut number = String::new();
        BufReader::new(out).read_line(&mut number)?;
        let number: u32 = number.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::NotFound, "Xvfb did not say its number: is it installed?")
        })?;
        display.name = format!(":{number}");
        Ok(display)
    }

    /// What `$DISPLAY` would be.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A command that ends when the thread that starts it does, where `setpriv` is installed.
#[must_use]
pub fn bound(program: &str) -> Command {
    let has_setpriv = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_setpriv {
        return Command::new(program);
    }
    // It replaces itself by the program: the process is the same one.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}
