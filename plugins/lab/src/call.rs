//! One request and the right to answer it: what every behaviour is handed, and the few moves that they share.

use std::collections::BTreeMap;
use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{
    Fields, FutureTrailers, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse,
    ResponseOutparam, Trailers,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// Why a behaviour ended before its end: the other side went away, or refused what it was given.
pub struct Gone;

pub type Outcome = Result<(), Gone>;

impl From<StreamError> for Gone {
    fn from(_: StreamError) -> Self {
        Gone
    }
}

impl From<()> for Gone {
    fn from((): ()) -> Self {
        Gone
    }
}

pub struct Call {
    pub request: IncomingRequest,
    pub out: ResponseOutparam,
    numbers: BTreeMap<&'static str, u64>,
}

impl Call {
    pub fn new(request: IncomingRequest, out: ResponseOutparam) -> Self {
        Self { request, out, numbers: BTreeMap::new() }
    }

    /// Takes the numbers from the query: `mib=3&ms=5`. Says what is wrong with one that is no
    /// number; others are ignored.
    pub fn read_numbers(
        &mut self,
        known: &'static [(&'static str, u64)],
        query: &str,
    ) -> Result<(), String> {
        self.numbers.extend(known.iter().copied());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = self.numbers.iter_mut().find(|(known, _)| **known == name);
            let Some((_, number)) = number else { continue };
            *number = value
                .parse()
                .map_err(|_| format!("`{name}` must be a whole number, not `{value}`\n"))?;
        }
        Ok(())
    }

    /// A number of the query, or its default from the table.
    pub fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or_default()
    }

    /// The number `ms`, as the time that it is.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.number("ms"))
    }

    /// Answers with a text of known length.
    pub fn answer(self, status: u16, text: &str) -> Outcome {
        let length = text.len().to_string();
        let reply = self.head(
            status,
            &[("content-type", b"text/plain"), ("content-length", length.as_bytes())],
        )?;
        reply.write(text.as_bytes())?;
        reply.finish(None)
    }

    /// Sends the head of a streamed text.
    pub fn stream(self) -> Result<Reply, Gone> {
        self.stream_as(200)
    }

    /// The same with this status.
    pub fn stream_as(self, status: u16) -> Result<Reply, Gone> {
        self.head(status, &[("content-type", b"text/plain")])
    }

    pub fn head(self, status: u16, headers: &[(&str, &[u8])]) -> Result<Reply, Gone> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect();
        self.send(status, Fields::from_list(&headers).map_err(|_| Gone)?)
    }

    pub fn send(self, status: u16, headers: Fields) -> Result<Reply, Gone> {
        let response = OutgoingResponse::new(headers);
        response.set_status_code(status)?;
        let body = response.body()?;
        ResponseOutparam::set(self.out, Ok(response));
        Ok(Reply { stream: body.write()?, body })
    }
}

/// A response whose head has been sent. Dropped unfinished, it tells the host that the body is not complete.
///
/// The stream comes first because it must be dropped before the body that it belongs to.
pub struct Reply {
    stream: OutputStream,
    body: OutgoingBody,
}

impl Reply {
    /// The body of a call.
    pub fn of(body: OutgoingBody) -> Result<Self, Gone> {
        Ok(Self { stream: body.write()?, body })
    }

    /// Writes as the host makes room, and does not wait until it has passed the bytes on.
    pub fn write(&self, mut bytes: &[u8]) -> Outcome {
        while !bytes.is_empty() {
            let room = bytes.len().min(self.stream.check_write()? as usize);
            if room == 0 {
                self.stream.subscribe().block();
                continue;
            }
            let (now, later) = bytes.split_at(room);
            self.stream.write(now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Writes, and waits until the host has passed the bytes on.
    pub fn flush(&self, bytes: &[u8]) -> Outcome {
        self.write(bytes)?;
        Ok(self.stream.blocking_flush()?)
    }

    pub fn finish(self, trailers: Option<Trailers>) -> Outcome {
        drop(self.stream);
        OutgoingBody::finish(self.body, trailers).map_err(|_| Gone)
    }
}

/// A request body, read chunk by chunk.
pub struct Upload {
    stream: InputStream,
    body: IncomingBody,
}

impl Upload {
    pub fn of(request: &IncomingRequest) -> Result<Self, Gone> {
        Self::from(request.consume()?)
    }

    /// Of the response to a call.
    pub fn from(body: IncomingBody) -> Result<Self, Gone> {
        Ok(Self { stream: body.stream()?, body })
    }

    /// The next chunk, of `most` bytes or fewer; `None` at the end.
    pub fn next(&self, most: u64) -> Result<Option<Vec<u8>>, Gone> {
        match self.stream.blocking_read(most) {
            Ok(chunk) => Ok(Some(chunk)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(_)) => Err(Gone),
        }
    }

    pub fn trailers(self) -> Result<Option<Trailers>, Gone> {
        drop(self.stream);
        let trailers: FutureTrailers = IncomingBody::finish(self.body);
        trailers.subscribe().block();
        match trailers.get() {
            Some(Ok(Ok(trailers))) => Ok(trailers),
            _ => Err(Gone),
        }
    }
}

pub fn wait(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    subscribe_duration(nanoseconds).block();
}
