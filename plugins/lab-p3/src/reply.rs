//! Responses: a whole text, or a head whose body is written afterwards.

use std::time::Duration;

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Response, Trailers};
use wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

use crate::Answer;

/// The client, or the host, no longer takes the body.
pub struct Gone;

/// How the host took a response: known once it has all of it.
pub type Delivery = FutureReader<Result<(), ErrorCode>>;

/// The body of a response. Dropped unfinished, it tells the host that it is not complete.
///
/// The stream comes first because it must end before the trailers do.
pub struct Body {
    stream: StreamWriter<u8>,
    trailers: FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

impl Body {
    /// Waits until the host has taken all of it.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        match self.stream.write_all(bytes).await.as_slice() {
            [] => Ok(()),
            _ => Err(Gone),
        }
    }

    pub async fn finish(self, trailers: Option<Trailers>) -> Result<(), Gone> {
        drop(self.stream);
        self.trailers.write(Ok(trailers)).await.map_err(|_| Gone)
    }
}

/// Answers with a text of known length.
pub fn answer(status: u16, text: String) -> Answer {
    let length = text.len().to_string();
    let headers = [("content-type", "text/plain"), ("content-length", length.as_str())];
    send(status, &headers, text.into_bytes(), None)
}

/// Answers with these bytes, and nothing else.
pub fn send(
    status: u16,
    headers: &[(&str, &str)],
    bytes: Vec<u8>,
    trailers: Option<Trailers>,
) -> Answer {
    let (response, mut body, _) = start(headers)?;
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    spawn_local(async move {
        if body.write(bytes).await.is_ok() {
            body.finish(trailers).await.ok();
        }
    });
    Ok(response)
}

/// Answers with a text that `write` streams; an error of it means that there is nobody left to tell.
pub fn stream<W>(write: impl FnOnce(Body) -> W) -> Answer
where
    W: Future<Output = Result<(), Gone>> + 'static,
{
    let (response, body, _) = start(&[("content-type", "text/plain")])?;
    let writing = write(body);
    spawn_local(async move { drop(writing.await) });
    Ok(response)
}

/// A response, its body, and how it was delivered.
pub fn start(headers: &[(&str, &str)]) -> Result<(Response, Body, Delivery), ErrorCode> {
    let (stream, contents) = wit_stream::new();
    let (trailers, end) = wit_future::new(|| Err(ErrorCode::HttpResponseIncomplete));
    let (response, delivery) = Response::new(fields(headers)?, Some(contents), end);
    Ok((response, Body { stream, trailers }, delivery))
}

pub fn fields(headers: &[(&str, &str)]) -> Result<Fields, ErrorCode> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    Fields::from_list(&headers).map_err(|_| ErrorCode::InternalError(None))
}

pub async fn wait(milliseconds: u64) {
    let time = Duration::from_millis(milliseconds);
    wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
}
