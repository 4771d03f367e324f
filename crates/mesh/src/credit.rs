//! How much of an application's data a receiver still takes: type 134 of the wire.
//!
//! Only application data count. Media are bounded by jitter buffers that leave out what is
//! old, and control has to go always, or nothing would ever say that there is room again.

/// What one packet of application data counts: its data, and 32 bytes for the rest, so that
/// empty ones are not free.
///
/// ```
/// assert_eq!(paceline_mesh::credit_cost(1_000), 1_032);
/// ```
#[must_use]
pub const fn credit_cost(data: usize) -> u64 {
    (data as u64).saturating_add(PACKET)
}

/// What a receiver tells: the fields of
/// [`Control::Window`](paceline_framing::Control::Window).
///
/// ```
/// use paceline_mesh::{Meter, Window};
///
/// let mut meter = Meter::new(1_000);
/// meter.handle_received(600)?;
/// meter.handle_consumed(600);
/// assert_eq!(meter.poll_window(), Some(Window { consumed: 600, allowed: 1_000 }));
/// # Ok::<(), paceline_mesh::Overrun>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the wire has no more")]
pub struct Window {
    /// Bytes taken since the connection began.
    pub consumed: u64,
    /// Bytes allowed beyond those.
    pub allowed: u32,
}

/// The sender's end: how much may be sent.
///
/// ```
/// use paceline_mesh::{Credit, credit_cost};
///
/// let mut credit = Credit::new(10_000);
/// assert!(credit.take(credit_cost(4_968)));
/// assert!(credit.take(credit_cost(4_000)));
/// assert!(!credit.take(credit_cost(4_000)), "968 are left");
/// credit.handle_window(5_000, 10_000);
/// assert!(credit.take(credit_cost(4_000)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    sent: u64,
    limit: u64,
    allowed: u32,
}

impl Credit {
    /// Of a connection that begins, with the window that both ends start from:
    /// [`Meter::INITIAL`] by the format.
    #[must_use]
    pub const fn new(initial: u32) -> Self {
        Self { sent: 0, limit: initial as u64, allowed: initial }
    }

    /// The receiver told how far he is. What he never got he has not consumed, and what he
    /// allowed he does not take back: such a claim is cut to that.
    pub fn handle_window(&mut self, consumed: u64, allowed: u32) {
        let limit = consumed.min(self.sent).saturating_add(allowed.into());
        if limit >= self.limit {
            self.limit = limit;
            self.allowed = allowed;
        }
    }

    /// Takes so many bytes for a packet that is sent then; `false`, and nothing is taken,
    /// if there are not so many: it has to wait for the next window.
    #[must_use]
    pub fn take(&mut self, bytes: u64) -> bool {
        let fits = bytes <= self.available();
        if fits {
            self.sent += bytes;
        }
        fits
    }

    /// Bytes that may be sent now.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.limit - self.sent
    }

    /// What a packet may count at most: half of the window. A larger one might wait for
    /// ever, because a receiver tells of half a window, not of less; it is to be refused.
    #[must_use]
    pub const fn max_packet(&self) -> u64 {
        self.allowed as u64 / 2
    }
}

/// The peer sent more than he was allowed: his connection is to be given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to it")]
pub struct Overrun {
    /// By how many bytes.
    pub excess: u64,
}

impl std::fmt::Display for Overrun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of application data beyond the window", self.excess)
    }
}

impl std::error::Error for Overrun {}

/// The receiver's end: how much came, how much the application took.
///
/// ```
/// use paceline_mesh::Meter;
///
/// let mut meter = Meter::new(1_000);
/// meter.handle_received(900)?;
/// // The application is slow.
/// meter.handle_consumed(300);
/// assert_eq!(meter.poll_window(), None);
/// assert_eq!(meter.held(), 600);
/// // He was told of 1,000 and no more.
/// assert!(meter.handle_received(200).is_err());
/// # Ok::<(), paceline_mesh::Overrun>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    window: u32,
    received: u64,
    consumed: u64,
    /// How much was consumed when the sender was last told.
    told: u64,
    /// What he may send since the connection began.
    limit: u64,
}

impl Meter {
    /// The window that both ends start from, before anything is said: 256 KiB, what may be
    /// held for a peer that is stalled.
    pub const INITIAL: u32 = 256 << 10;

    /// Of a connection that begins, to a receiver that holds so many bytes. The other end
    /// has to start from the same, which is [`INITIAL`](Self::INITIAL) by the format.
    #[must_use]
    pub const fn new(window: u32) -> Self {
        Self { window, received: 0, consumed: 0, told: 0, limit: window as u64 }
    }

    /// A packet came that counts so much.
    ///
    /// # Errors
    ///
    /// [`Overrun`] if that is more than was allowed; it is not counted.
    pub fn handle_received(&mut self, bytes: u64) -> Result<(), Overrun> {
        let received = self.received.saturating_add(bytes);
        if received > self.limit {
            return Err(Overrun { excess: received - self.limit });
        }
        self.received = received;
        Ok(())
    }

    /// The application took packets that count so much together. More than came counts as
    /// all that came.
    pub fn handle_consumed(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes).min(self.received);
    }

    /// What to tell the sender, if that is due: half of the window was consumed since he
    /// was last told.
    #[must_use]
    pub fn poll_window(&mut self) -> Option<Window> {
        if self.consumed - self.told < u64::from(self.window / 2).max(1) {
            return None;
        }
        let window = Window { consumed: self.consumed, allowed: self.window };
        self.limit = self.consumed.saturating_add(self.window.into());
        self.told = self.consumed;
        Some(window)
    }

    /// Bytes that came and were not consumed: never more than the window.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.received - self.consumed
    }
}

/// The header (20), the epoch (8), the channel (2), and 2.
const PACKET: u64 = 32;
