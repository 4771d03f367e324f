//! The way into a room, by the signalling server.

use std::time::{Duration, Instant, SystemTime};

use paceline_playout::terminal::sanitize;
use paceline_session::Roster;
use paceline_signaling::{
    Capabilities, Client, ClientConfig, ClientEvent, ClientOutput, ConnectError, Connection, Joined,
};
use paceline_types::{NtpTime, PeerId, WallClock};

use crate::driver::{MAX_REASON, clock, member_of};
use crate::error::JoinError;

/// Who is in a room, and by which connection.
pub(crate) struct Entered {
    pub(crate) peer: PeerId,
    pub(crate) client: Client,
    pub(crate) connection: Connection,
    /// When the server had taken the connection.
    pub(crate) connected: Instant,
    pub(crate) joined: Joined,
}

/// Goes into the room as somebody new.
pub(crate) async fn enter(
    url: &str,
    name: &str,
    capabilities: Capabilities,
    timeout: Duration,
) -> Result<Entered, JoinError> {
    let peer = PeerId::from_random(random()?);
    let client = Client::new(ClientConfig::new(peer, name).capabilities(capabilities));
    let announced = tokio::time::timeout(timeout, announce(url, client, timeout)).await;
    let (client, connection, connected, joined) =
        announced.map_err(|_| JoinError::Timeout { url: url.to_owned(), timeout })??;
    Ok(Entered { peer, client, connection, connected, joined })
}

/// Connects to the server and announces us; tells when the server had taken the
/// connection.
async fn announce(
    url: &str,
    mut client: Client,
    timeout: Duration,
) -> Result<(Client, Connection, Instant, Joined), JoinError> {
    let mut connection = Connection::connect(url, timeout).await?;
    let connected = clock();
    client.handle_open();
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Send(text) => connection.send(text).await?,
                ClientOutput::Event(ClientEvent::Joined(joined)) => {
                    return Ok((client, connection, connected, joined));
                }
                ClientOutput::Event(ClientEvent::Refused { message, .. }) => {
                    // The server's words: they must not write to a terminal.
                    let message = sanitize(&message, MAX_REASON);
                    return Err(JoinError::Refused { url: url.to_owned(), message });
                }
                _ => {}
            }
        }
        let lost = || ConnectError::Lost { reason: "the server closed the connection".to_owned() };
        let text = connection.recv().await.ok_or_else(lost)??;
        if let Err(error) = client.handle_text(&text) {
            tracing::debug!(%error, "the signalling server said something odd");
        }
    }
}

/// What the join reply says, as the session has it.
pub(crate) fn roster_of(joined: Joined, may_host: bool) -> Roster {
    let Joined { session, sender, epoch, host, genesis, members, .. } = joined;
    let members = members.into_iter().map(member_of).collect();
    Roster { session, sender, epoch, host, may_host, genesis, members }
}

fn random() -> Result<[u8; 16], JoinError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| JoinError::System(error.to_string()))?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the facade is where the wallclock is read")]
pub(crate) fn wall_clock() -> WallClock {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallClock::new(Instant::now(), NtpTime::from_unix(since))
}
