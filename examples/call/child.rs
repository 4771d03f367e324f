//! What a process that another one of us started tells it, and how it ends with it.
//!
//! Each line on stderr that is a JSON object with one of these names is for the process
//! that started us; all else there is for people.
//!
//! | name | when | what |
//! |---|---|---|
//! | `main_us` | at once | when `main` began, in microseconds since 1970 |
//! | `joining_us` | next | when joining began |
//! | `joined` | in the room | `true` |
//! | `first_us` | a picture of the mix is there | when |
//! | `hosting` | whenever it changes | the bits of the epoch under which it hosts, or null |
//! | `status` | each second | who is there, pictures a second, and what changes of the host were like |
//! | `timeline` | at the end | the steps of joining, in milliseconds from `joining_us` |
//! | `report` | at the end | what `Report::raw` makes |

use std::future::pending;
use std::io::{Write, stderr, stdin};
use std::time::Duration;

use paceline::JoinTimeline;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::report::changes;
use crate::screen::Screen;

/// Tells it.
pub(crate) fn tell(name: &str, value: impl Into<Value>) {
    let line = Value::Object(Map::from_iter([(name.to_owned(), value.into())]));
    // If nobody hears it any more, our input has ended too, and so do we.
    let _ = writeln!(stderr(), "{line}");
}

/// What a line tells; `None` if it is for people.
pub(crate) fn told(line: &str) -> Option<(String, Value)> {
    match serde_json::from_str(line.strip_prefix('{').map(|_| line)?).ok()? {
        Value::Object(told) if told.len() == 1 => told.into_iter().next(),
        _ => None,
    }
}

/// What whoever started us wants of us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    /// Hand over, if we host.
    HandOver,
}

/// The line on our standard input that means it.
pub(crate) const HAND_OVER: &str = "hand-over";

/// What comes on our standard input.
#[derive(Debug)]
pub(crate) struct Commands(Option<mpsc::UnboundedReceiver<Command>>);

/// Listens to whoever started us, if anybody did.
pub(crate) fn commands(is_child: bool) -> Commands {
    Commands(is_child.then(|| {
        let (said, heard) = mpsc::unbounded_channel();
        // It ends with the process.
        std::thread::spawn(move || {
            for line in stdin().lines().map_while(Result::ok) {
                if line == HAND_OVER && said.send(Command::HandOver).is_err() {
                    break;
                }
            }
        });
        heard
    }))
}

impl Commands {
    /// Waits for the next; `None` once whoever started us has let go of our input, or is
    /// gone. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        match &mut self.0 {
            Some(heard) => heard.recv().await,
            None => pending().await,
        }
    }
}

/// What there is to tell each second.
pub(crate) fn status(screen: &Screen) -> Value {
    json!({
        "fps": screen.fps.round(),
        "people": screen.names.values().collect::<Vec<_>>(),
        "host": screen.host,
        "changes": changes::raw(&screen.changes),
        "stale": screen.stats.stale_epoch_rendered,
    })
}

/// The steps of joining, in milliseconds.
pub(crate) fn timeline(timeline: &JoinTimeline) -> Value {
    let ms = |span: Option<Duration>| span.map(|span| span.as_secs_f64() * 1e3);
    json!({
        "opened": ms(timeline.opened),
        "signaling": ms(timeline.signaling),
        "joined": ms(timeline.joined),
        "described": ms(timeline.described),
        "channel": ms(timeline.channel),
        "connected": ms(timeline.connected),
        "first_frame": ms(timeline.first_frame),
        "due": ms(timeline.due),
        "shown": ms(timeline.shown),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_of_one_name_is_for_the_parent() {
        assert_eq!(told(r#"{"joined":true}"#), Some(("joined".to_owned(), true.into())));
        for text in ["", "call: no such file", "{", r#"{"a":1,"b":2}"#, "[1]", "{}", "true"] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
