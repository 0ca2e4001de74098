//! The requests of an HTTP/2 connection that h2 refuses by itself: it answers a head that is far too large with 431,
//! and resets streams whose heads are malformed, or that are too many. It reports none of them, so they are found among
//! the frames that it writes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use h2::Reason;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::failure::Failure;
use crate::transport::Connection;

/// Length, type, flags and stream of a frame
/// ([RFC 9113, section 4.1](https://www.rfc-editor.org/rfc/rfc9113#section-4.1)).
const HEADER: usize = 9;
/// Bytes of a reset's reason.
const REASON: usize = 4;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const END_STREAM: u8 = 0x1;

/// How many gaps between accepted streams are remembered. A client that leaves out more numbers than that hides some of
/// its refusals.
const GAPS: usize = 256;

/// A connection that notes what h2 refuses.
pub struct Observed {
    connection: Connection,
    frames: Frames,
    refused: Arc<Mutex<Vec<Refused>>>,
}

/// A stream that may have been refused: h2 reset it, or answered it with nothing but a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    stream: u32,
    /// `None` where the stream was answered.
    reason: Option<Reason>,
}

/// The refusals of one connection.
pub struct Refusals {
    refused: Arc<Mutex<Vec<Refused>>>,
    /// The last accepted stream. h2 accepts streams in the order of their numbers, which only grow.
    last: Option<u32>,
    /// Numbers before it that were not accepted: of refused streams, and those that the client left out.
    gaps: VecDeque<Range<u32>>,
}

impl Refusals {
    /// The connection for h2 to use, and the refusals that h2 makes on it.
    pub fn of(connection: Connection) -> (Observed, Self) {
        let refused = Arc::<Mutex<Vec<Refused>>>::default();
        let this = Self { refused: refused.clone(), last: None, gaps: VecDeque::new() };
        (Observed { connection, frames: Frames::default(), refused }, this)
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
        let mut refused = std::mem::take(&mut *lock(&self.refused));
        // An answered stream may have been reset afterwards.
        refused.dedup_by_key(|refused| refused.stream);
        refused.retain(|refused| !self.is_accepted(refused.stream));
        refused.into_iter().filter_map(Refused::failure).collect()
    }
}

impl Refused {
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

fn lock(refused: &Mutex<Vec<Refused>>) -> MutexGuard<'_, Vec<Refused>> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the frames as they are written, in parts of any size.
#[derive(Debug, Default)]
struct Frames {
    /// What has come of a frame's header, and of the reason that follows in a reset.
    head: Vec<u8>,
    /// Bytes of the present frame that are skipped.
    skip: usize,
}

impl Frames {
    fn look(&mut self, mut bytes: &[u8], mut found: impl FnMut(Refused)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = self.wanted().min(bytes.len());
            let (head, rest) = bytes.split_at(wanted);
            self.head.extend_from_slice(head);
            bytes = rest;
            if self.wanted() == 0 && self.head.len() >= HEADER {
                self.end_of_head(&mut found);
            }
        }
    }

    /// How much of the head is yet to come.
    fn wanted(&self) -> usize {
        let is_reset = self.head.get(3) == Some(&RST_STREAM);
        let whole = if is_reset { HEADER + REASON } else { HEADER };
        if self.skip > 0 { 0 } else { whole.saturating_sub(self.head.len()) }
    }

    fn end_of_head(&mut self, found: &mut impl FnMut(Refused)) {
        let &[a, b, c, kind, flags, s0, s1, s2, s3, ref reason @ ..] = self.head.as_slice() else {
            return;
        };
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.skip = length.saturating_sub(reason.len());
        let reason = reason.try_into().map(|reason| Reason::from(u32::from_be_bytes(reason))).ok();
        if kind == RST_STREAM || (kind == HEADERS && flags & END_STREAM != 0) {
            found(Refused { stream, reason });
        }
        self.head.clear();
    }
}

impl Observed {
    fn wrote<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, mut written: usize) {
        for part in parts {
            let part = part.get(..written).unwrap_or(part);
            written -= part.len();
            self.frames.look(part, |refused| lock(&self.refused).push(refused));
        }
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.connection).poll_write(context, data))?;
        self.wrote(std::iter::once(data), written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.connection).poll_write_vectored(context, parts))?;
        self.wrote(parts.iter().map(|part| &**part), written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn reset(stream: u32, reason: Reason) -> Vec<u8> {
        frame(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes())
    }

    /// A request that is answered late, without a body, after many others is none that h2 refused.
    #[test]
    fn only_streams_that_were_not_accepted_are_refused() {
        let mut refusals = Refusals { refused: Arc::default(), last: None, gaps: VecDeque::new() };
        // 3 and 9 are never accepted, and then the client leaves out very many.
        for stream in [1, 5, 7].into_iter().chain((11..2_000).step_by(2)).chain([1 << 30]) {
            refusals.accepted(stream);
        }
        let seen = [1, 3, 5, 9, 11, 1_001, 1 << 30, (1 << 30) + 2];
        lock(&refusals.refused).extend(seen.map(|stream| Refused { stream, reason: None }));
        let refused: Vec<_> = seen.into_iter().filter(|it| !refusals.is_accepted(*it)).collect();
        assert_eq!(refused, [3, 9, (1 << 30) + 2]);
        assert_eq!(refusals.take().len(), 3);
        // However many gaps there are, what was accepted stays so.
        for stream in (1..2_000).map(|it| (1 << 30) + 8 * it) {
            refusals.accepted(stream + 1);
        }
        assert!(refusals.is_accepted(1) && refusals.gaps.len() == GAPS);
    }

    /// Frames that contain the bytes of other frames, an empty one, and those that are looked for.
    #[test]
    fn refusals_are_found_however_they_are_cut() {
        let written = [
            frame(0x4, 0, 0, &[RST_STREAM; 12]),
            frame(HEADERS, 0x4, 1, b"head of an answer"),
            frame(0x0, END_STREAM, 1, &reset(9, Reason::PROTOCOL_ERROR)),
            reset(3, Reason::PROTOCOL_ERROR),
            frame(0x4, 0x1, 0, b""),
            frame(HEADERS, END_STREAM | 0x4, 5, b"431"),
            reset(5, Reason::PROTOCOL_ERROR),
            reset(7, Reason::CANCEL),
        ]
        .concat();
        let reset = |stream, reason| Refused { stream, reason: Some(reason) };
        let expected = [
            reset(3, Reason::PROTOCOL_ERROR),
            Refused { stream: 5, reason: None },
            reset(5, Reason::PROTOCOL_ERROR),
            reset(7, Reason::CANCEL),
        ];
        for size in 1..=written.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for part in written.chunks(size) {
                frames.look(part, |refused| found.push(refused));
            }
            assert_eq!(found, expected, "in parts of {size}");
        }
    }
}
