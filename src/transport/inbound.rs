//! What comes from a client, cut at the ends of heads and bodies.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, ReadBuf};

use super::head::{Framing, HeadLimits, Malformed, Scan, Seen};
use super::stream::{Reader, Stream};
use super::target::origin_form;
use crate::chunked::{Chunks, NotChunked, Piece};

/// Bytes per read while a head is awaited, and while a body is.
const READ: usize = 4 << 10;
const READ_BODY: usize = 64 << 10;

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Inbound {
    /// Bytes that have come and were not read yet.
    inbox: BytesMut,
    scan: Scan,
    /// Bytes of empty lines before the head.
    skipped: usize,
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
        self.skipped = 0;
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
            self.skipped += 2;
        }
        // A client that sends nothing else keeps a task busy for as long as it likes.
        if self.skipped > limits.bytes {
            return Err(Malformed::TooLarge);
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
        self.take(length)
    }

    /// Reads what has come of a head; 0 bytes mean the end of the stream. A connection on which nothing has come holds
    /// no memory for a head.
    pub fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<usize>> {
        self.poll_fill_with(context, stream, READ)
    }

    fn poll_fill_with(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        if stream.poll_readable(context)?.is_pending() {
            if self.inbox.is_empty() {
                self.inbox = BytesMut::new();
            }
            return Poll::Pending;
        }
        self.inbox.reserve(room);
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

    /// Whether more of the present request may come.
    pub fn has_body(&self) -> bool {
        !matches!(self.stage, Stage::Between | Stage::Head(_, Framing::None))
    }

    /// The next data of the present request's body. `None` is the end of the body; of a protocol that was switched to, the
    /// end of the client's direction.
    pub fn poll_data(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
    ) -> Poll<io::Result<Option<Bytes>>> {
        while self.has_body() {
            if self.inbox.is_empty()
                && ready!(self.poll_fill_with(context, stream, self.stage.room()))? == 0
            {
                return Poll::Ready(match self.stage {
                    Stage::Raw => Ok(None),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                });
            }
            let data = self.data()?;
            if !data.is_empty() {
                return Poll::Ready(Ok(Some(data)));
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Takes data of the body from what has come. It may have been framing alone.
    fn data(&mut self) -> io::Result<Bytes> {
        let length = match &mut self.stage {
            Stage::Between | Stage::Head(..) => 0,
            Stage::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.inbox.len());
                *left -= here as u64;
                here
            }
            Stage::Chunked(chunks) => match chunks.piece(&self.inbox) {
                Ok(Piece::Data(length)) => length,
                Ok(Piece::Framing(length)) => {
                    self.inbox.advance(length);
                    0
                }
                Err(NotChunked) => {
                    self.is_malformed = true;
                    self.stage = Stage::Between;
                    return Err(io::ErrorKind::InvalidData.into());
                }
            },
            Stage::Raw => self.inbox.len(),
        };
        match &self.stage {
            Stage::Length(0) => self.stage = Stage::Between,
            Stage::Chunked(chunks) if chunks.is_done() => {
                self.trailers = chunks.trailers();
                self.stage = Stage::Between;
            }
            _ => {}
        }
        Ok(self.take(length).freeze())
    }

    /// Reads bytes of another protocol.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        stream: &dyn Stream,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.stage {
            Stage::Raw if self.inbox.is_empty() => {
                ready!(stream.poll_readable(context))?;
                stream.poll_read(context, buffer)
            }
            Stage::Raw => {
                let here = self.inbox.len().min(buffer.remaining());
                buffer.put_slice(self.inbox.get(..here).unwrap_or_default());
                self.inbox.advance(here);
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(io::Error::other("a request is read in parts"))),
        }
    }

    /// Takes bytes that have come, in the memory that they came in.
    fn take(&mut self, length: usize) -> BytesMut {
        // Nothing that follows shares the memory then, and nothing has to count who does.
        match length == self.inbox.len() {
            true => std::mem::take(&mut self.inbox),
            false => self.inbox.split_to(length),
        }
    }
}

impl Stage {
    /// Bytes of a body that are read at once.
    fn room(&self) -> usize {
        match self {
            Self::Length(left) => usize::try_from(*left).unwrap_or(READ_BODY).min(READ_BODY),
            _ => READ_BODY,
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
