//! What comes from a client, cut at the ends of heads and bodies.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, ReadBuf};

use super::head::{Framing, HeadLimits, Malformed, Scan, Seen};
use super::stream::{Reader, Stream};
use super::target::origin_form;
use crate::chunked::Chunks;

/// Bytes per read while a head is awaited.
const READ: usize = 4 << 10;

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Inbound {
    /// Bytes that have come and were not read yet.
    inbox: BytesMut,
    scan: Scan,
    stage: Stage,
    trailers: HeaderMap,
    is_malformed: bool,
}

/// What may be read next.
#[derive(Debug, Default)]
enum Stage {
    /// Nothing, until the next head is complete.
    #[default]
    Between,
    /// A head of this many bytes, and then its body.
    Head(usize, Framing),
    /// This many more bytes of a body.
    Length(u64),
    Chunked(Box<Chunks>),
    /// Everything: HTTP/2 has frames of its own, and other protocols are not looked into.
    Raw,
}

impl Inbound {
    /// Forgets what belonged to the request before.
    pub fn begin(&mut self) {
        self.scan = Scan::default();
        self.stage = Stage::Between;
        self.trailers.clear();
        self.is_malformed = false;
    }

    /// Whether any byte of the next request has come.
    pub fn has_begun(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Looks for a complete head in what has come.
    ///
    /// # Errors
    ///
    /// Where the head cannot be served.
    pub fn look(&mut self, limits: HeadLimits) -> Result<Seen, Malformed> {
        // Empty lines between requests belong to neither (RFC 9112, section 2.2).
        while self.inbox.starts_with(b"\r\n") && !self.scan.is_begun() {
            self.inbox.advance(2);
            self.scan = Scan::default();
        }
        let seen = self.scan.look(&self.inbox, limits)?;
        match seen {
            Seen::Part => {}
            Seen::Preface => self.stage = Stage::Raw,
            Seen::Head(length, framing) => {
                let mut length = length;
                let head = self.inbox.get(..length).unwrap_or_default();
                if let Some(head) = origin_form(head)? {
                    let rest = self.inbox.split_off(length);
                    length = head.len();
                    self.inbox = BytesMut::from(head.as_slice());
                    self.inbox.unsplit(rest);
                }
                self.stage = Stage::Head(length, framing);
            }
        }
        Ok(seen)
    }

    /// The head that was found, in the memory that it came in. What is read afterwards is its body.
    pub fn take_head(&mut self) -> BytesMut {
        let Stage::Head(length, framing) = self.stage else { return BytesMut::new() };
        self.stage = framing.into();
        // Nothing that follows shares the memory then, and nothing has to count who does.
        match length == self.inbox.len() {
            true => std::mem::take(&mut self.inbox),
            false => self.inbox.split_to(length),
        }
    }

    /// Reads what has come of a head; 0 bytes mean the end of the stream. A connection on which nothing has come holds
    /// no memory for a head.
    pub fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<usize>> {
        if self.inbox.is_empty()
            && let Poll::Pending = stream.poll_readable(context)?
        {
            self.inbox = BytesMut::new();
            return Poll::Pending;
        }
        self.inbox.reserve(READ);
        let read = pin!(Reader(stream).read_buf(&mut self.inbox)).poll(context);
        if read.is_pending() && self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
        read
    }

    /// Ends the framing by requests: all that comes belongs to another protocol.
    pub fn switch(&mut self) {
        self.stage = Stage::Raw;
    }

    /// The trailers of the body that was read to its end.
    pub fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }

    /// Whether the body is framed wrongly.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Reads bytes of the present request.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Between => Poll::Ready(Err(io::Error::other("read beyond a request"))),
            Stage::Head(left, framing) => {
                let framing = *framing;
                *left -= give(&mut self.inbox, *left, buffer);
                if *left == 0 {
                    self.stage = framing.into();
                }
                Poll::Ready(Ok(()))
            }
            Stage::Raw if self.inbox.is_empty() => stream.poll_read(context, buffer),
            Stage::Raw => {
                give(&mut self.inbox, usize::MAX, buffer);
                Poll::Ready(Ok(()))
            }
            Stage::Length(_) | Stage::Chunked(_) => self.poll_body(context, stream, buffer),
        }
    }

    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.inbox.is_empty() {
            let here = self.inbox.len().min(buffer.remaining());
            let here = self.stage.take(self.inbox.get(..here).unwrap_or_default());
            let here = self.checked(here)?;
            give(&mut self.inbox, here, buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(stream.poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let ours = self.stage.take(read);
        let ours = self.checked(ours)?;
        // The bytes behind the body belong to the next request.
        self.inbox.extend_from_slice(buffer.filled().get(before + ours..).unwrap_or_default());
        buffer.set_filled(before + ours);
        Poll::Ready(Ok(()))
    }

    /// Notes that the body is malformed, or complete.
    fn checked(&mut self, taken: Option<usize>) -> io::Result<usize> {
        let Some(taken) = taken else {
            self.is_malformed = true;
            self.stage = Stage::Between;
            return Err(io::ErrorKind::InvalidData.into());
        };
        match &self.stage {
            Stage::Length(0) => self.stage = Stage::Between,
            Stage::Chunked(chunks) if chunks.is_done() => {
                self.trailers = chunks.trailers();
                self.stage = Stage::Between;
            }
            _ => {}
        }
        Ok(taken)
    }
}

impl Stage {
    /// How many of these bytes belong to the body; `None` where they cannot be a body.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                Some(here)
            }
            Self::Chunked(chunks) => chunks.look(bytes).ok(),
            Self::Between | Self::Head(..) | Self::Raw => Some(0),
        }
    }
}

impl From<Framing> for Stage {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Between,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::default()),
        }
    }
}

/// Moves at most `limit` bytes to a reader.
fn give(inbox: &mut BytesMut, limit: usize, buffer: &mut ReadBuf<'_>) -> usize {
    let here = inbox.len().min(limit).min(buffer.remaining());
    buffer.put_slice(inbox.get(..here).unwrap_or_default());
    inbox.advance(here);
    here
}
