//! The broadcast itself, from the first connection to the figures.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::args::Args;
use crate::holdings::Holdings;
use crate::keys::Key;
use crate::report::Report;
use crate::screen::Screen;
use crate::signals::interrupted;
use crate::stage::{Stage, Turn};
use crate::terminal::Terminal;

pub(crate) type Failure = Box<dyn Error>;

/// Runs a broadcast until it is over, or somebody ends it.
pub(crate) async fn run(args: Args) -> Result<Report, Failure> {
    let signal = interrupted();
    tokio::pin!(signal);
    let (mut screen, mut keys) = (None, None);
    if !args.json && Terminal::available() {
        // What it opens once is there before anything is counted.
        let _ = crossterm::event::poll(Duration::ZERO);
        screen = Some(Screen::open().map_err(|e| format!("the terminal cannot be drawn on: {e}"))?);
        keys = Some(Terminal::keys());
    }
    let before = Holdings::now();
    let mut stage = Stage::open(args).await?;
    let ended = loop {
        tokio::select! {
            () = &mut signal => break Ok(()),
            () = quit(&mut keys) => break Ok(()),
            turn = stage.turn() => match turn {
                Ok(Turn::Draw) => {
                    let drawn = match &screen {
                        Some(screen) => screen.draw(&stage.title(), stage.rows(), stage.notice()),
                        None => Ok(()),
                    };
                    if let Err(error) = drawn {
                        break Err(format!("the terminal is gone: {error}").into());
                    }
                }
                Ok(Turn::Go) => {}
                Ok(Turn::Over) => break Ok(()),
                Err(error) => break Err(error),
            },
        }
    };
    // Once more, and what is on its way is not waited for. The signals can be heard again.
    let hurry = async {
        tokio::select! {
            () = &mut signal => {}
            () = quit(&mut keys) => {}
        }
    };
    let report = stage.close(before, hurry).await;
    drop(screen);
    ended.and(report)
}

/// Waits until somebody at a terminal wants to end it.
async fn quit(keys: &mut Option<mpsc::UnboundedReceiver<Key>>) {
    if let Some(keys) = keys {
        while let Some(key) = keys.recv().await {
            if key == Key::Quit {
                return;
            }
        }
    }
    pending().await
}
