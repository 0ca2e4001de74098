//! A session of rustls and what is on its way between the session and the socket.
//!
//! Bytes from the socket wait in `ahead` until the session takes them, and the session has at most a few records of
//! plaintext at a time: whoever reads takes them first. Records for the client wait in the session, at most those of one
//! write. What a session does not need while its client is silent is given back.

use std::io::{self, BufRead, IoSlice, Write};
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::ServerConnection;
use tokio::io::{AsyncReadExt, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::stream::{Reader, Stream};

/// Bytes that are read at a time from a client that sends little, and from one that sends much.
const LITTLE: usize = 4 << 10;
const MUCH: usize = 32 << 10;

/// A session with a client.
#[derive(Debug)]
pub struct Session {
    tls: ServerConnection,
    /// Bytes of the client that the session has yet to take.
    ahead: BytesMut,
    /// How many bytes to read at a time.
    at_once: usize,
    /// Whether the socket did not take all that was to be sent.
    is_blocked: bool,
    is_closed: bool,
    /// Whether the socket has come to its end.
    has_ended: bool,
}

impl Session {
    pub fn new(tls: ServerConnection) -> Self {
        Self {
            tls,
            ahead: BytesMut::new(),
            at_once: LITTLE,
            is_blocked: false,
            is_closed: false,
            has_ended: false,
        }
    }

    pub fn tls(&self) -> &ServerConnection {
        &self.tls
    }

    /// Whether no more bytes come from the client.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The first byte that came, while the session has not taken it.
    pub fn first_byte(&self) -> Option<u8> {
        self.ahead.first().copied()
    }

    #[cfg(test)]
    pub fn buffered(&self) -> usize {
        self.ahead.capacity()
    }

    /// Waits until a read may find something.
    pub fn poll_readable(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // An end and an error are something to read, too.
        let has_more = !matches!(self.tls.reader().fill_buf(), Err(error) if is_not_now(&error));
        if has_more || !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let readable = socket.poll_readable(context);
        if readable.is_pending() {
            self.rest(socket, context)?;
        }
        readable
    }

    /// Reads plaintext into the free part of `buffer`.
    pub fn poll_read(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            let is_over = self.take_plaintext(buffer)?;
            if is_over || buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_feed(socket, context))?;
        }
    }

    /// Moves plaintext that is here already. `true` where the client has closed its direction.
    fn take_plaintext(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        let mut reader = self.tls.reader();
        while buffer.remaining() > 0 {
            let part = match reader.fill_buf() {
                Ok(part) => part,
                Err(error) if is_not_now(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            let length = part.len().min(buffer.remaining());
            if length == 0 {
                return Ok(true);
            }
            buffer.put_slice(part.get(..length).unwrap_or_default());
            reader.consume(length);
        }
        Ok(false)
    }

    /// Has the session take bytes of the client; waits for them where none are here. Then the session may have
    /// plaintext.
    pub fn poll_feed(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            ready!(self.poll_fill(socket, context))?;
        }
        let mut part = self.ahead.as_ref();
        // This is how a session learns of the end: a client that ends without a `close_notify` may have been cut off.
        match self.tls.read_tls(&mut part)? {
            // After a `close_notify`, nothing counts.
            0 => self.ahead.clear(),
            taken => self.ahead.advance(taken),
        }
        if let Err(error) = self.tls.process_new_packets() {
            // The client should hear of it; whether it does changes nothing.
            drop(self.poll_send(socket, context));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads bytes of the client. Holds no memory while it waits for them.
    pub fn poll_fill(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match socket.poll_readable(context)? {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.ahead.reserve(self.at_once);
                pin!(Reader(socket).read_buf(&mut self.ahead)).poll(context)?
            }
        };
        match read {
            Poll::Pending => {
                self.rest(socket, context)?;
                Poll::Pending
            }
            Poll::Ready(read) => {
                self.at_once = if read >= LITTLE { MUCH } else { LITTLE };
                self.has_ended = read == 0;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Prepares to wait for the client: what is to be sent leaves, and memory is given back.
    fn rest(&mut self, socket: &TcpStream, context: &mut Context<'_>) -> io::Result<()> {
        self.ahead = BytesMut::new();
        self.at_once = LITTLE;
        match self.poll_send(socket, context) {
            Poll::Ready(sent) => sent,
            // The client may take it while it sends nothing.
            Poll::Pending => Ok(()),
        }
    }

    /// Writes plaintext, as much as the session takes at once.
    pub fn poll_write(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // What waits for no other reason leaves together with the new records.
        if self.is_blocked {
            ready!(self.poll_send(socket, context))?;
        }
        let written = self.tls.writer().write_vectored(parts)?;
        // What the socket does not take is sent before the next write.
        match self.poll_send(socket, context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(written)),
        }
    }

    /// Sends the records that wait.
    pub fn poll_send(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_blocked = true;
        while self.tls.wants_write() {
            ready!(socket.poll_write_ready(context))?;
            match self.tls.write_tls(&mut Now(socket)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if is_not_now(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.is_blocked = false;
        Poll::Ready(Ok(()))
    }

    /// Tells the client that nothing more comes ([RFC 8446, section
    /// 6.1](https://www.rfc-editor.org/rfc/rfc8446#section-6.1)).
    pub fn poll_close(
        &mut self,
        socket: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.close();
        self.poll_send(socket, context)
    }

    /// Says that nothing more comes as far as the socket takes it at once.
    pub fn close_now(&mut self, socket: &TcpStream) {
        self.close();
        // Who does not take it is about to see the end of the connection.
        while self.tls.wants_write() && self.tls.write_tls(&mut Now(socket)).is_ok_and(|it| it > 0)
        {
        }
    }

    fn close(&mut self) {
        if !self.is_closed && !self.tls.is_handshaking() {
            self.is_closed = true;
            self.tls.send_close_notify();
        }
    }
}

fn is_not_now(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Writes as much as the socket takes at once.
struct Now<'a>(&'a TcpStream);

impl Write for Now<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.try_write(data)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
