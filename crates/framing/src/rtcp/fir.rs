//! Requests for a picture that a decoder can start with, each counted once.

use std::collections::{HashMap, VecDeque};

use super::{FirEntry, FullIntraRequest};

/// What became of a command given to [`FirReceiver::handle_command`].
///
/// ```
/// use paceline_framing::rtcp::{FirReceiver, FirVerdict};
///
/// let verdict = FirReceiver::new().handle_command(1, 2, 7);
/// assert_eq!(verdict, FirVerdict::New); // make a key frame
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum FirVerdict {
    /// It is new: the stream's encoder owes a key frame.
    New,
    /// Its number is that of the command before: the same once more.
    Repeated,
}

/// The sending side of streams: tells new requests from those that are repeated because
/// they may have been lost (RFC 5104 §4.3.1).
///
/// A pair of who asks and what is asked of has its own numbers. Any other number than
/// the last is new, a smaller one too: a peer that starts again counts from anywhere,
/// and one key frame too many costs less than none. A bound on how often an encoder
/// makes one belongs to who drives it.
///
/// ```
/// use paceline_framing::rtcp::{FirReceiver, FirVerdict};
///
/// let mut commands = FirReceiver::new();
/// assert_eq!(commands.handle_command(1, 2, 7), FirVerdict::New);
/// assert_eq!(commands.handle_command(1, 2, 7), FirVerdict::Repeated);
/// assert_eq!(commands.handle_command(1, 2, 8), FirVerdict::New);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FirReceiver {
    /// Who asks of what, and its last number; the one heard last is at the back.
    pairs: VecDeque<(u32, u32, u8)>,
}

impl FirReceiver {
    /// Nobody asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `requester` asks for a key frame of `media`, both SSRCs, by the number `sequence`.
    ///
    /// [`MAX_REQUESTERS`] pairs are remembered; the one that was silent longest goes
    /// first, and is new when it comes again.
    pub fn handle_command(&mut self, requester: u32, media: u32, sequence: u8) -> FirVerdict {
        let known = self.pairs.iter().position(|pair| (pair.0, pair.1) == (requester, media));
        let last = known.and_then(|at| self.pairs.remove(at));
        if last.is_none() && self.pairs.len() == MAX_REQUESTERS {
            self.pairs.pop_front();
        }
        self.pairs.push_back((requester, media, sequence));
        match last {
            Some((_, _, last)) if last == sequence => FirVerdict::Repeated,
            _ => FirVerdict::New,
        }
    }

    /// The streams of which a request has new commands, in their order. Entries of
    /// streams that are not ours are the caller's to leave out, before they are
    /// remembered: `ours` says which.
    ///
    /// ```
    /// use paceline_framing::rtcp::{FirReceiver, FirSender};
    ///
    /// let mut sender = FirSender::new(1);
    /// let mut receiver = FirReceiver::new();
    /// let request = sender.request([2, 3]);
    /// assert_eq!(receiver.handle_request(&request, |media| media == 3), [3]);
    /// assert!(receiver.handle_request(&sender.repeat([3]), |media| media == 3).is_empty());
    /// ```
    pub fn handle_request(
        &mut self,
        request: &FullIntraRequest,
        mut ours: impl FnMut(u32) -> bool,
    ) -> Vec<u32> {
        let mut new = Vec::new();
        for &FirEntry { ssrc, sequence_number } in &request.fir {
            if ours(ssrc)
                && self.handle_command(request.sender_ssrc, ssrc, sequence_number)
                    == FirVerdict::New
            {
                new.push(ssrc);
            }
        }
        new
    }
}

/// The receiving side of streams: numbers the requests (RFC 5104 §4.3.1).
///
/// It remembers every stream that it asked of, so that it is to be dropped with the call.
///
/// ```
/// use paceline_framing::rtcp::FirSender;
///
/// let mut requests = FirSender::new(1);
/// assert_eq!(requests.request([2]).fir[0].sequence_number, 0);
/// assert_eq!(requests.repeat([2]).fir[0].sequence_number, 0);
/// assert_eq!(requests.request([2]).fir[0].sequence_number, 1);
/// ```
#[derive(Clone, Debug)]
pub struct FirSender {
    requester: u32,
    /// The last number for each stream.
    numbers: HashMap<u32, u8>,
}

impl FirSender {
    /// Requests are `requester`'s, an SSRC.
    #[must_use]
    pub fn new(requester: u32) -> Self {
        Self { requester, numbers: HashMap::new() }
    }

    /// A new request for a key frame of each of these streams: the number is one up, and
    /// 0 after 255.
    #[must_use]
    pub fn request(&mut self, media: impl IntoIterator<Item = u32>) -> FullIntraRequest {
        let entry = |ssrc| {
            let number = self.numbers.entry(ssrc);
            let number = number.and_modify(|last| *last = last.wrapping_add(1)).or_insert(0);
            FirEntry { ssrc, sequence_number: *number }
        };
        let fir = media.into_iter().map(entry).collect();
        FullIntraRequest { sender_ssrc: self.requester, media_ssrc: 0, fir }
    }

    /// The last request for each of these streams once more, because it may have been
    /// lost. A stream that was never asked of is left out.
    #[must_use]
    pub fn repeat(&self, media: impl IntoIterator<Item = u32>) -> FullIntraRequest {
        let entry = |ssrc| {
            let &sequence_number = self.numbers.get(&ssrc)?;
            Some(FirEntry { ssrc, sequence_number })
        };
        let fir = media.into_iter().filter_map(entry).collect();
        FullIntraRequest { sender_ssrc: self.requester, media_ssrc: 0, fir }
    }
}

/// Pairs of a requester and a stream that a [`FirReceiver`] remembers. No RFC has it:
/// more than a room's guests times the streams of one, and little to search.
pub const MAX_REQUESTERS: usize = 64;
