//! The requests of an HTTP/2 connection that h2 refuses by itself: it answers a head that is far too large with 431,
//! and resets streams whose heads are malformed, or that are too many. It reports none of them, so they are found among
//! the frames that it writes.

use std::collections::VecDeque;
use std::ops::Range;

use h2::Reason;
use http::StatusCode;

use super::frames::{Frame, kind};
use super::observed::Noted;
use crate::proxy::failure::Failure;

/// How many gaps between accepted streams are remembered. A client that leaves out more numbers than that hides some of
/// its refusals.
const GAPS: usize = 256;

/// A stream that may have been refused: h2 reset it, or answered it with nothing but a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    stream: u32,
    /// `None` where the stream was answered.
    reason: Option<Reason>,
}

/// The refusals of one connection.
#[derive(Debug)]
pub struct Refusals {
    noted: Noted,
    /// The last accepted stream. h2 accepts streams in the order of their numbers, which only grow.
    last: Option<u32>,
    /// Numbers before it that were not accepted: of refused streams, and those that the client left out.
    gaps: VecDeque<Range<u32>>,
}

impl Refusals {
    /// The refusals among what is noted of a connection.
    pub fn new(noted: Noted) -> Self {
        Self { noted, last: None, gaps: VecDeque::new() }
    }

    /// Remembers that a request was accepted.
    pub fn accepted(&mut self, stream: u32) {
        // A client's streams have odd numbers.
        let next = self.last.map_or(1, |last| last.saturating_add(2));
        if stream > next {
            if self.gaps.len() == GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back(next..stream);
        }
        self.last = self.last.max(Some(stream));
    }

    /// Whether a request was accepted on a stream. h2 may reset or end such a stream too, and the request has a record
    /// of its own.
    fn is_accepted(&self, stream: u32) -> bool {
        self.last.is_some_and(|last| stream <= last)
            && !self.gaps.iter().any(|gap| gap.contains(&stream))
    }

    /// The requests that were refused since the last call, with the statuses that the client was sent. All requests
    /// that could be accepted must have been accepted by now.
    pub fn take(&mut self) -> Vec<(Failure, Option<StatusCode>)> {
        let mut refused = self.noted.take_refused();
        // An answered stream may have been reset afterwards.
        refused.dedup_by_key(|refused| refused.stream);
        refused.retain(|refused| !self.is_accepted(refused.stream));
        refused.into_iter().filter_map(Refused::failure).collect()
    }
}

impl Refused {
    /// The stream of a frame that h2 writes, where the frame may be a refusal.
    pub fn of(frame: &Frame) -> Option<Self> {
        let is_one = frame.reason.is_some() || (frame.kind == kind::HEADERS && frame.ends_stream());
        is_one.then_some(Self { stream: frame.stream, reason: frame.reason })
    }

    /// Resets for other reasons are ours.
    fn failure(self) -> Option<(Failure, Option<StatusCode>)> {
        match self.reason {
            None => Some((Failure::RequestHead, Some(Failure::RequestHead.status()))),
            Some(Reason::PROTOCOL_ERROR) => Some((Failure::BadRequest, None)),
            Some(Reason::REFUSED_STREAM) => Some((Failure::TooManyStreams, None)),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::frames::END_STREAM;
    use super::*;

    /// A request that is answered late, without a body, after many others is none that h2 refused.
    #[test]
    fn only_streams_that_were_not_accepted_are_refused() {
        let mut refusals = Refusals::new(Noted::new(NonZeroU32::MIN));
        // 3 and 9 are never accepted, and then the client leaves out very many.
        for stream in [1, 5, 7].into_iter().chain((11..2_000).step_by(2)).chain([1 << 30]) {
            refusals.accepted(stream);
        }
        let seen = [1, 3, 5, 9, 11, 1_001, 1 << 30, (1 << 30) + 2];
        for stream in seen {
            let frame =
                Frame { kind: kind::HEADERS, flags: END_STREAM, stream, length: 0, reason: None };
            refusals.noted.sent(&frame);
        }
        let refused: Vec<_> = seen.into_iter().filter(|it| !refusals.is_accepted(*it)).collect();
        assert_eq!(refused, [3, 9, (1 << 30) + 2]);
        assert_eq!(refusals.take().len(), 3);
        // However many gaps there are, what was accepted stays so.
        for stream in (1..2_000).map(|it| (1 << 30) + 8 * it) {
            refusals.accepted(stream + 1);
        }
        assert!(refusals.is_accepted(1) && refusals.gaps.len() == GAPS);
    }
}
