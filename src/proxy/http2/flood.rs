//! How much a client may make a connection do beside serving requests. Pure: it counts frames.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use h2::Reason;

use super::frames::{Frame, kind};

/// The time in which frames are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Frames without a part of a request that a client may send in that time.
const IDLE: u32 = 1_000;
/// How many more it may send for each frame with a part of a request or of a response. Clients update windows, and
/// measure the delay of the connection, as often as they are sent something.
const IDLE_A_FRAME: u32 = 10;
/// A write of fewer bytes than this, though there are more, is what a client's tiny window leads to.
pub const TINY: usize = 256;

/// What a client has done too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It reset streams, or had us reset them.
    Resets,
    /// It sent frames that carry nothing, or took a response in tiny parts.
    Idle,
    /// Its first frame was another one than SETTINGS ([RFC 9113, section
    /// 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
    NoSettings,
}

impl Excess {
    /// What the client is told.
    pub fn reason(self) -> Reason {
        match self {
            Self::Resets | Self::Idle => Reason::ENHANCE_YOUR_CALM,
            Self::NoSettings => Reason::PROTOCOL_ERROR,
        }
    }
}

/// The counts of one connection.
#[derive(Debug)]
pub struct Flood {
    resets_allowed: NonZeroU32,
    /// When the present window began. A window begins with the first frame that is counted against the client.
    since: Option<Instant>,
    resets: u32,
    idle: u32,
    useful: u32,
}

impl Flood {
    /// The counts of a connection whose client may reset so many streams in ten seconds.
    pub fn new(resets_allowed: NonZeroU32) -> Self {
        Self { resets_allowed, since: None, resets: 0, idle: 0, useful: 0 }
    }

    /// Counts a frame that the client has sent.
    ///
    /// # Errors
    ///
    /// What is too much with this frame.
    pub fn received(&mut self, frame: &Frame) -> Result<(), Excess> {
        match frame.kind {
            kind::RST_STREAM => self.reset(),
            kind::HEADERS => self.carried(),
            kind::DATA if frame.length > 0 || frame.ends_stream() => self.carried(),
            // SETTINGS, PING, PRIORITY, WINDOW_UPDATE, CONTINUATION, what nobody knows, and empty ones.
            _ => self.idle(),
        }
    }

    /// Counts a frame that was sent to the client.
    ///
    /// # Errors
    ///
    /// What is too much with this frame.
    pub fn sent(&mut self, frame: &Frame) -> Result<(), Excess> {
        match (frame.kind, frame.reason) {
            // CVE-2025-8671: frames that break a rule of a stream have us reset it.
            (_, Some(reason)) if is_provoked(reason) => self.reset(),
            (kind::HEADERS | kind::DATA, _) => self.carried(),
            _ => Ok(()),
        }
    }

    /// Counts a write that the client's window made tiny.
    ///
    /// # Errors
    ///
    /// Where these are too many.
    pub fn dribbled(&mut self) -> Result<(), Excess> {
        // The frame of the write must not make room for another one.
        self.useful = self.useful.saturating_sub(1);
        self.idle()
    }

    fn carried(&mut self) -> Result<(), Excess> {
        self.useful = self.useful.saturating_add(1);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Excess> {
        self.renew();
        self.resets = self.resets.saturating_add(1);
        if self.resets > self.resets_allowed.get() { Err(Excess::Resets) } else { Ok(()) }
    }

    fn idle(&mut self) -> Result<(), Excess> {
        self.renew();
        self.idle = self.idle.saturating_add(1);
        let allowed = IDLE.saturating_add(self.useful.saturating_mul(IDLE_A_FRAME));
        if self.idle > allowed { Err(Excess::Idle) } else { Ok(()) }
    }

    /// Begins a window where none is under way.
    fn renew(&mut self) {
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            *self = Self { since: Some(now), ..Self::new(self.resets_allowed) };
        }
    }
}

/// Whether the client has led to a reset of ours. We end a stream otherwise where its response breaks off, or where the
/// rest of its request is not wanted.
fn is_provoked(reason: Reason) -> bool {
    !matches!(reason, Reason::NO_ERROR | Reason::CANCEL | Reason::INTERNAL_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: NonZeroU32 = NonZeroU32::new(3).unwrap();
    const PING: u8 = 0x6;

    fn frame(kind: u8, length: usize) -> Frame {
        Frame { kind, flags: 0, stream: 1, length, reason: None }
    }

    fn reset(reason: Reason) -> Frame {
        Frame { reason: Some(reason), ..frame(kind::RST_STREAM, 4) }
    }

    #[test]
    fn resets_of_both_sides_count_together() {
        let mut flood = Flood::new(ALLOWED);
        assert_eq!(flood.received(&reset(Reason::CANCEL)), Ok(()));
        assert_eq!(flood.sent(&reset(Reason::PROTOCOL_ERROR)), Ok(()));
        // These were no fault of the client's.
        for ours in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
            assert_eq!(flood.sent(&reset(ours)), Ok(()));
        }
        assert_eq!(flood.sent(&reset(Reason::STREAM_CLOSED)), Ok(()));
        assert_eq!(flood.received(&reset(Reason::NO_ERROR)), Err(Excess::Resets));
    }

    #[test]
    fn after_ten_seconds_counting_begins_anew() {
        let mut flood = Flood::new(ALLOWED);
        for _ in 0..10 {
            for _ in 0..3 {
                assert_eq!(flood.received(&reset(Reason::CANCEL)), Ok(()));
            }
            flood.since = flood.since.and_then(|since| since.checked_sub(WINDOW));
        }
    }

    #[test]
    fn what_carries_nothing_is_allowed_in_proportion() {
        let mut flood = Flood::new(ALLOWED);
        for _ in 0..IDLE {
            assert_eq!(flood.received(&frame(PING, 8)), Ok(()));
        }
        assert_eq!(flood.received(&frame(kind::DATA, 0)), Err(Excess::Idle));
        assert_eq!(flood.sent(&frame(kind::DATA, 1)), Ok(()));
        for _ in 1..IDLE_A_FRAME {
            assert_eq!(flood.received(&frame(PING, 8)), Ok(()));
        }
        assert_eq!(flood.received(&frame(0xfe, 8)), Err(Excess::Idle));
    }

    #[test]
    fn a_tiny_window_is_no_progress() {
        let mut flood = Flood::new(ALLOWED);
        for _ in 0..IDLE / 2 {
            assert_eq!(flood.received(&frame(0x8, 4)), Ok(()));
            assert_eq!(flood.dribbled(), Ok(()));
            assert_eq!(flood.sent(&frame(kind::DATA, 1)), Ok(()));
        }
        let mut further = (0..20).map(|_| flood.dribbled());
        assert!(further.any(|dribbled| dribbled == Err(Excess::Idle)));
    }
}
