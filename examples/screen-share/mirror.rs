//! The copy for a player on this machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use paceline::Share;
use paceline::sfu::mirror::MirrorConfig;

/// What was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mirror {
    /// Where to.
    pub(crate) to: SocketAddr,
    /// Where its description is written; else it is said.
    pub(crate) sdp: Option<PathBuf>,
}

impl Mirror {
    /// Whoever names another machine means it.
    pub(crate) fn config(&self) -> MirrorConfig {
        let config = MirrorConfig::default().address(self.to.ip()).first_port(self.to.port());
        if self.is_here() { config } else { config.beyond_this_machine() }
    }

    fn is_here(&self) -> bool {
        self.to.ip().to_canonical().is_loopback()
    }

    /// Writes the description, and gives what there is to say of it; the error is a line for a
    /// person.
    pub(crate) fn describe(&self, share: &Share) -> Result<Vec<String>, String> {
        let Some(description) = share.mirror() else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        if !self.is_here() {
            lines.push(format!(
                "the mirror goes to {}, unencrypted: whoever is on the way sees and hears all",
                self.to.ip()
            ));
        }
        match &self.sdp {
            Some(path) => {
                fs::write(path, description.to_string()).map_err(|error| {
                    let path = path.display();
                    format!("{path} cannot be written ({error}): give --sdp another path")
                })?;
                lines.push(format!(
                    "mirror at {}: ffplay -protocol_whitelist file,udp,rtp {}",
                    self.to,
                    path.display()
                ));
            }
            None => {
                lines.push(format!(
                    "mirror at {}, for a player that reads this as a file:",
                    self.to
                ));
                lines.extend(description.to_string().lines().map(|line| format!("  {line}")));
            }
        }
        Ok(lines)
    }
}

/// RFC 3551 §8: the port of RTP where nothing else was agreed on.
pub(crate) const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_004);
