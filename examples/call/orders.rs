//! What the command line wants to happen to whoever is at the front, and when.

use std::collections::VecDeque;
use std::time::Duration;

use paceline::types::Epoch;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::args::{Args, Mode, UsageError};
use crate::call::DEFAULT_DURATION;

/// Who is at the front, as far as those who are told for know: under which epoch, and which
/// participant, from 0.
pub(crate) type Front = Option<(Epoch, usize)>;

/// Takes in that a participant is at the front, or is not any more.
pub(crate) fn note_front(front: &watch::Sender<Front>, index: usize, hosts: Option<Epoch>) {
    front.send_if_modified(|front| {
        let next = match (*front, hosts) {
            // Who was there before may hear of it later than the one after him.
            (Some((newest, _)), Some(epoch)) if epoch < newest => *front,
            (_, Some(epoch)) => Some((epoch, index)),
            (Some((_, who)), None) if who == index => None,
            (other, None) => other,
        };
        std::mem::replace(front, next) != next
    });
}

/// Something that is to happen to whoever is at the front.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Order {
    /// He hands over to whoever stands by.
    HandOver,
    /// He is gone at once, without a word.
    Kill,
}

/// What has not happened yet.
#[derive(Debug)]
pub(crate) struct Orders {
    began: Instant,
    waiting: VecDeque<(Duration, Order)>,
    front: watch::Receiver<Front>,
}

impl Orders {
    pub(crate) fn new(args: &Args, began: Instant, front: watch::Receiver<Front>) -> Self {
        let at = |times: &[Duration], order| {
            Vec::from_iter(times.iter().map(move |&time| (time, order)))
        };
        let mut waiting = at(&args.hand_over_at, Order::HandOver);
        waiting.extend(at(&args.kill_host_at, Order::Kill));
        waiting.sort_unstable();
        Self { began, waiting: waiting.into(), front }
    }

    /// Waits until one is due and there is somebody whom it is for. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (Order, usize) {
        let Some(&(after, order)) = self.waiting.front() else {
            return std::future::pending().await;
        };
        sleep_until(self.began + after).await;
        let Ok(front) = self.front.wait_for(Option::is_some).await.map(|front| *front) else {
            return std::future::pending().await;
        };
        self.waiting.pop_front();
        match front {
            Some((_, index)) => (order, index),
            None => std::future::pending().await,
        }
    }
}

/// Reads `5` or `5,10`: seconds after everybody is in the room.
pub(crate) fn seconds(option: &str, value: &str) -> Result<Vec<Duration>, UsageError> {
    let second = |word: &str| {
        let seconds = word.trim().parse::<u64>().ok().filter(|at| (1..=86_400).contains(at));
        seconds.map(Duration::from_secs).ok_or_else(|| {
            UsageError(format!("{option} {value}: it takes seconds from 1 to 86400, as 5 or 5,10"))
        })
    };
    value.split(',').map(second).collect()
}

/// Checks what was asked for against the call that it is for.
pub(crate) fn settle(args: &Args) -> Result<(), UsageError> {
    let orders = [
        ("--handover-at", &args.hand_over_at, AFTER_HANDOVER),
        ("--kill-host-at", &args.kill_host_at, AFTER_KILL),
    ];
    for (option, times, after) in orders.into_iter().filter(|(_, times, _)| !times.is_empty()) {
        if args.is_mesh() {
            return Err(UsageError(format!(
                "{option}: nobody hosts in a mesh: leave it out, or use --topology star"
            )));
        }
        if !matches!(args.mode, Mode::All) {
            return Err(UsageError(format!(
                "{option} is for a call that this command starts as a whole: leave host, join \
                 and the measure commands out"
            )));
        }
        let latest = times.iter().max().copied().unwrap_or_default();
        let duration = args.duration.or(args.json.then_some(DEFAULT_DURATION));
        if let Some(duration) = duration.filter(|&duration| duration < latest + after) {
            return Err(UsageError(format!(
                "{option} {}: the call is over after {} s: give a longer --duration, {} or more, \
                 for what it was like is measured until {} s after it",
                latest.as_secs(),
                duration.as_secs(),
                (latest + after).as_secs(),
                after.as_secs(),
            )));
        }
    }
    let kills = args.kill_host_at.len();
    if kills >= args.participants {
        return Err(UsageError(format!(
            "--kill-host-at: after {kills} kills none of {} participants is left: give more \
             --participants, or fewer times",
            args.participants
        )));
    }
    if !args.hand_over_at.is_empty() && args.participants - kills < 2 {
        return Err(UsageError(
            "--handover-at: there has to be somebody to hand over to: give more --participants"
                .to_owned(),
        ));
    }
    Ok(())
}

/// How much longer than until a handover a call lasts: half a second to prepare it at most,
/// and what is looked at then is 1.2 s.
const AFTER_HANDOVER: Duration = Duration::from_secs(2);

/// And than until a kill: within a second another is elected, and three are looked at.
const AFTER_KILL: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;
    use crate::args::Parsed;
    use crate::system;

    fn parse(line: &str) -> Result<Args, String> {
        let words = line.split_whitespace().map(Into::into);
        match Args::parse(std::iter::once("call".into()).chain(words)) {
            Ok(Parsed::Run(args)) => Ok(*args),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn times_are_one_or_several_and_fit_into_the_call() {
        let args = parse("--kill-host-at 10,5 --handover-at 7 --duration 20 --participants 4")
            .expect("it is right");
        assert_eq!(args.kill_host_at, [10, 5].map(Duration::from_secs));
        assert_eq!(args.hand_over_at, [Duration::from_secs(7)]);
        for (line, words) in [
            ("--kill-host-at soon", "as 5 or 5,10"),
            ("--handover-at 0", "from 1 to 86400"),
            ("--handover-at 5,", "as 5 or 5,10"),
            ("--kill-host-at 5 --duration 5", "over after 5 s: give a longer --duration, 9 or"),
            ("--kill-host-at 5 --duration 8", "over after 8 s: give a longer --duration, 9 or"),
            ("--handover-at 5 --duration 6", "over after 6 s: give a longer --duration, 7 or"),
            ("--handover-at 20 --json", "over after 20 s: give a longer --duration, 22 or"),
            ("--handover-at 19 --json", "over after 20 s: give a longer --duration, 21 or"),
            ("--kill-host-at 5,6,7", "give more --participants"),
            ("--kill-host-at 5,6 --handover-at 7", "somebody to hand over to"),
            ("--handover-at 5 --participants 1", "somebody to hand over to"),
            ("--handover-at 5 --topology mesh", "nobody hosts in a mesh"),
            ("--kill-host-at 5 --topology mesh", "nobody hosts in a mesh"),
            ("host --kill-host-at 5", "leave host, join"),
            ("join ws://127.0.0.1:1/call --handover-at 5", "leave host, join"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn a_call_lasts_until_what_it_did_is_measured() {
        for line in ["--kill-host-at 5 --duration 9", "--handover-at 18 --json"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    /// What has come by now.
    async fn now(orders: &mut Orders) -> Option<(Order, usize)> {
        let mut next = std::pin::pin!(orders.next());
        std::future::poll_fn(|context| match next.as_mut().poll(context) {
            Poll::Ready(order) => Poll::Ready(Some(order)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn an_order_waits_for_its_time_and_for_somebody_to_host() {
        let line = "--kill-host-at 10,900 --handover-at 5 --participants 4 --duration 999";
        let args = parse(line).expect("it is right");
        let (front, seen) = watch::channel(None);
        note_front(&front, 2, Some(Epoch::new(1, 0)));
        let mut early = Orders::new(&args, system::now().into(), seen.clone());
        assert_eq!(now(&mut early).await, None);
        // The first two are due, the last is not.
        let began = Instant::from(system::now()) - Duration::from_secs(20);
        let mut orders = Orders::new(&args, began, seen);
        assert_eq!(now(&mut orders).await, Some((Order::HandOver, 2)));
        note_front(&front, 2, None);
        assert_eq!(now(&mut orders).await, None);
        note_front(&front, 0, Some(Epoch::new(2, 0)));
        assert_eq!(now(&mut orders).await, Some((Order::Kill, 0)));
        assert_eq!(now(&mut orders).await, None);
    }

    #[test]
    fn the_newest_epoch_says_who_is_at_the_front() {
        let (front, seen) = watch::channel(None);
        let epoch = |term| Epoch::new(term, 0);
        for (index, hosts, expected) in [
            (0, Some(epoch(1)), Some((epoch(1), 0))),
            (1, Some(epoch(2)), Some((epoch(2), 1))),
            // He hears late that it is him no more.
            (0, None, Some((epoch(2), 1))),
            (0, Some(epoch(1)), Some((epoch(2), 1))),
            (1, None, None),
        ] {
            note_front(&front, index, hosts);
            assert_eq!(*seen.borrow(), expected);
        }
    }
}
