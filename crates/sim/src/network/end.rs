//! One end of a connection: what it has said and heard, and the path it has.

use std::time::{Duration, Instant};

use paceline_transport::rtp::Chain;

use super::description::{Address, Description};
use crate::reliable::{Inbox, Outbox, Recovery};

/// The end of one node towards another.
#[derive(Debug)]
pub(super) struct End {
    /// Unlike that of any other end that ever was.
    pub(super) id: u64,
    version: u64,
    /// The ICE generation of an offer that is not answered. With one, the signalling
    /// state is have-local-offer, else stable.
    offered: Option<u64>,
    /// The generation in force, ours and the other's.
    pub(super) ours: Option<u64>,
    pub(super) theirs: Option<Description>,
    /// While a path of that generation is looked for.
    pub(super) search: Option<Search>,
    pub(super) route: Option<Route>,
    pub(super) open: bool,
    /// Whether the path works, as was told.
    pub(super) up: bool,
    pub(super) heard: Instant,
    pub(super) sent: Instant,
    /// Bytes that came and were not polled.
    pub(super) unread: usize,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    /// If it carries RTP.
    pub(super) chain: Option<Chain>,
    /// When it is woken, if it is.
    pub(super) wake: Option<Instant>,
}

/// From where to where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Route {
    pub(super) ours: Address,
    pub(super) theirs: Address,
}

/// The search for a path: who offered knocks, who answered waits for it.
#[derive(Debug, Default)]
pub(super) struct Search {
    knocks: bool,
    pub(super) candidates: Vec<Address>,
    pub(super) again: Option<Instant>,
}

/// Why an engine does not do what it was asked.
pub(super) type Refusal = &'static str;

impl End {
    pub(super) fn new(now: Instant, id: u64, recovery: Recovery, chain: Option<Chain>) -> Self {
        Self {
            id,
            version: 0,
            offered: None,
            ours: None,
            theirs: None,
            search: None,
            route: None,
            open: false,
            up: true,
            heard: now,
            sent: now,
            unread: 0,
            outbox: Outbox::new(recovery),
            inbox: Inbox::default(),
            chain,
            wake: None,
        }
    }

    /// Makes an offer with credentials of its own. One that is unanswered may be
    /// replaced (RFC 9429 §4.1.8.1).
    pub(super) fn offer(&mut self, ufrag: u64) -> Description {
        self.offered = Some(ufrag);
        self.describe(ufrag)
    }

    /// Takes the offer back.
    pub(super) fn roll_back(&mut self) -> Result<(), Refusal> {
        self.offered.take().map(drop).ok_or("there is no offer to roll back")
    }

    /// Takes an offer of the other end, and answers it. `ufrag` is used if the offer
    /// restarts ICE.
    pub(super) fn answer(
        &mut self,
        offer: Description,
        ufrag: u64,
    ) -> Result<(Description, bool), Refusal> {
        if self.offered.is_some() {
            return Err("an offer came while ours is unanswered");
        }
        if let Some(theirs) = self.theirs
            && theirs.session != offer.session
        {
            return Err("the offer is of another session");
        }
        let same = self.theirs.is_some_and(|theirs| theirs.ufrag == offer.ufrag);
        self.theirs = Some(offer);
        if same && let Some(ours) = self.ours {
            return Ok((self.describe(ours), false));
        }
        self.ours = Some(ufrag);
        self.search = Some(Search::default());
        Ok((self.describe(ufrag), true))
    }

    /// Takes the answer to our offer.
    pub(super) fn handle_answer(&mut self, answer: Description) -> Result<(), Refusal> {
        if self.theirs.is_some_and(|theirs| theirs.session != answer.session) {
            return Err("the answer is of another session");
        }
        let offered = self.offered.take().ok_or("an answer came, and no offer is unanswered")?;
        self.ours = Some(offered);
        self.theirs = Some(answer);
        self.search = Some(Search { knocks: true, ..Search::default() });
        Ok(())
    }

    /// Takes a candidate of the generation that is named, or of the latest if none is;
    /// `false` if it is of no use to any path.
    pub(super) fn handle_candidate(&mut self, now: Instant, at: Address, ufrag: &str) -> bool {
        let Some(theirs) = self.theirs else { return false };
        if !ufrag.is_empty() && u64::from_str_radix(ufrag, 16) != Ok(theirs.ufrag) {
            return false;
        }
        if let Some(search) = &mut self.search
            && search.candidates.len() < MAX_CANDIDATES
            && !search.candidates.contains(&at)
        {
            search.candidates.push(at);
            if search.knocks {
                search.again.get_or_insert(now);
            }
        }
        true
    }

    /// Whether a check names the generation that is in force here.
    pub(super) fn is_for(&self, theirs: u64, ours: u64) -> bool {
        self.ours == Some(ours) && self.theirs.is_some_and(|known| known.ufrag == theirs)
    }

    /// A path was found; `true` if it is of a search that goes on.
    pub(super) fn settle(&mut self, now: Instant, route: Route) -> bool {
        if self.search.take().is_none() {
            return false;
        }
        if self.open && (self.route != Some(route) || !self.up) {
            self.outbox.handle_new_path(now);
        }
        self.route = Some(route);
        true
    }

    /// Whether no offer is under way.
    pub(super) const fn is_stable(&self) -> bool {
        self.offered.is_none()
    }

    /// Whether the other end has to hear that we are there.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.sent + ALIVE_INTERVAL <= now
    }

    /// When something has to be done.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let again = self.search.as_ref().and_then(|search| search.again);
        let open = self.open.then(|| {
            let alive = self.sent + ALIVE_INTERVAL;
            let down = self.up.then_some(self.heard + DOWN_AFTER);
            let chain = self.chain.as_ref().and_then(Chain::poll_timeout);
            [Some(alive), down, self.outbox.poll_timeout(), chain].into_iter().flatten().min()
        });
        [again, open.flatten()].into_iter().flatten().min()
    }

    fn describe(&mut self, ufrag: u64) -> Description {
        self.version += 1;
        Description { session: self.id, version: self.version, ufrag }
    }
}

/// Candidates of one generation. There is one for each address that a node has.
const MAX_CANDIDATES: usize = 16;

/// An end that has sent nothing for so long says that it is there: three times before it
/// would count as down, so that one lost packet is not the end of it.
const ALIVE_INTERVAL: Duration = Duration::from_millis(600);

/// Silence after which a path counts as down.
pub(super) const DOWN_AFTER: Duration = Duration::from_secs(2);
