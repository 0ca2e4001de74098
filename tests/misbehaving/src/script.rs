//! What an upstream does with one request, step by step.

use std::time::Duration;

/// One step. A step that needs a peer which has left ends the connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads the head of a request. A connection that its peer closes instead is over.
    ReadHead,
    /// Reads the rest of the request's body.
    ReadBody,
    /// Reads this many bytes of the body, as sent: chunk sizes count.
    ReadSome(usize),
    /// Reads the body this many bytes at a time, with a pause before each.
    ReadSlowly {
        at_once: usize,
        pause: Duration,
    },
    Send(Vec<u8>),
    /// Sends one byte at a time, with a pause before each.
    Drip {
        bytes: Vec<u8>,
        pause: Duration,
    },
    /// Sends the same again and again, until the peer leaves or this many times.
    Flood {
        bytes: Vec<u8>,
        times: usize,
    },
    Pause(Duration),
    /// A complete response: status 200, the request's body, and its trailers. It goes out while the request comes in.
    Echo,
    /// After this, what comes is sent back as it is.
    EchoBytes,
    /// Closes both directions in an orderly way.
    Close,
    /// The same, without TLS's word for it.
    Cut,
    /// Ends its own side, and goes on reading.
    EndWriting,
    /// Resets the connection.
    Reset,
    /// Does nothing until the peer has left.
    Hang,
}

/// Which request a script is for.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Of the upstream's connections, from 0 on.
    pub connection: usize,
    /// Of the connection's requests, from 0 on.
    pub request: usize,
}

/// What is done with one request. After the last step, the connection waits for the next request.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Step>);

impl Script {
    /// Nothing at all. The first step happens as soon as the connection is there: without [`Script::read_head`] no
    /// request is waited for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole request and answers with these bytes, as they are.
    pub fn answer(bytes: impl AsRef<[u8]>) -> Self {
        Self::new().read_head().read_body().send(bytes)
    }

    /// Reads a whole request and answers with status 200 and this text.
    pub fn text(text: &str) -> Self {
        Self::status(200, text)
    }

    /// Reads a whole request and answers with this status and text.
    pub fn status(status: u16, text: &str) -> Self {
        Self::answer(response(status, text))
    }

    /// Answers from the head alone, and leaves the body unread.
    pub fn early(status: u16, text: &str) -> Self {
        Self::new().read_head().send(response(status, text))
    }

    /// Sends back what it gets: status 200, the method and target in `echo-method` and `echo-target`, each field in
    /// `echo-NAME`, and the body with its trailers.
    pub fn echo() -> Self {
        Self::new().read_head().then(Step::Echo)
    }

    /// Agrees to whatever upgrade is asked for, and sends back what comes.
    pub fn upgrade() -> Self {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        Self::new().read_head().send(head).then(Step::EchoBytes)
    }

    pub fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    pub fn read_head(self) -> Self {
        self.then(Step::ReadHead)
    }

    pub fn read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    pub fn read_some(self, bytes: usize) -> Self {
        self.then(Step::ReadSome(bytes))
    }

    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Send(bytes.as_ref().to_vec()))
    }

    pub fn drip(self, bytes: impl AsRef<[u8]>, pause: Duration) -> Self {
        self.then(Step::Drip { bytes: bytes.as_ref().to_vec(), pause })
    }

    pub fn flood(self, bytes: impl AsRef<[u8]>, times: usize) -> Self {
        self.then(Step::Flood { bytes: bytes.as_ref().to_vec(), times })
    }

    pub fn pause(self, pause: Duration) -> Self {
        self.then(Step::Pause(pause))
    }

    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    pub fn hang(self) -> Self {
        self.then(Step::Hang)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// A complete response.
fn response(status: u16, text: &str) -> String {
    let length = text.len();
    format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{text}"
    )
}
