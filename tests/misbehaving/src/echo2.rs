//! An upstream that speaks HTTP/2 as it should, and sends back what it gets.

use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};

use crate::arrivals::{self, Arrivals};

/// Serves one connection until its peer leaves.
pub fn serve(stream: TcpStream, arrivals: &Arrivals, connection: usize) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let local = tokio::task::LocalSet::new();
    // A peer that leaves in the middle is none of our business.
    local.block_on(&runtime, accept(stream, arrivals, connection)).ok();
}

async fn accept(stream: TcpStream, arrivals: &Arrivals, connection: usize) -> Result<(), Error> {
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let mut connection_of_h2 =
        Builder::new().enable_connect_protocol().handshake::<_, Bytes>(stream).await?;
    let mut streams = Streams::default();
    loop {
        tokio::select! {
            accepted = connection_of_h2.accept() => match accepted {
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    streams.add(answer(request, respond, arrivals, connection));
                }
                None => return Ok(()),
            },
            () = streams.run() => {}
        }
    }
}

/// Everything that can end a connection or a stream.
#[derive(Debug)]
enum Error {
    Io,
    H2,
}

impl From<io::Error> for Error {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

impl From<h2::Error> for Error {
    fn from(_: h2::Error) -> Self {
        Self::H2
    }
}

type Stream<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// The streams of a connection, run beside each other in its own task.
#[derive(Default)]
struct Streams<'a>(Vec<Stream<'a>>);

impl<'a> Streams<'a> {
    fn add(&mut self, stream: impl Future<Output = Result<(), Error>> + 'a) {
        self.0.push(Box::pin(stream));
    }

    /// Never ends.
    async fn run(&mut self) {
        poll_fn(|context| {
            self.0.retain_mut(|stream| stream.as_mut().poll(context).is_pending());
            Poll::<()>::Pending
        })
        .await;
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    arrivals: &Arrivals,
    connection: usize,
) -> Result<(), Error> {
    let (head, body) = request.into_parts();
    let number = arrivals.begin(arrivals::Request {
        connection,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        fields: texts(&head.headers),
        is_complete: body.is_end_stream(),
        ..arrivals::Request::default()
    });
    let mut response = Response::builder()
        .header("echo-method", head.method.as_str())
        .header("echo-target", head.uri.to_string());
    for (name, value) in &head.headers {
        response = response.header(format!("echo-{name}"), value);
    }
    let length = head.headers.get("content-length").filter(|_| head.method != Method::CONNECT);
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    let response = response.body(()).map_err(|_| Error::H2)?;
    let ends = body.is_end_stream();
    let send = respond.send_response(response, ends)?;
    if ends { Ok(()) } else { echo(body, send, arrivals, number).await }
}

async fn echo(
    mut body: RecvStream,
    mut send: SendStream<Bytes>,
    arrivals: &Arrivals,
    number: usize,
) -> Result<(), Error> {
    while let Some(data) = body.data().await {
        let mut data = data?;
        arrivals.add_data(number, &data);
        // The peer may send more once this has left.
        let taken = data.len();
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let room = poll_fn(|context| send.poll_capacity(context)).await;
            let room = room.ok_or(Error::H2)??.min(data.len());
            send.send_data(data.split_to(room), false)?;
        }
        body.flow_control().release_capacity(taken)?;
    }
    let trailers = body.trailers().await?;
    arrivals.update(number, |request| {
        request.trailers = trailers.as_ref().map(texts).unwrap_or_default();
        request.is_complete = true;
    });
    match trailers {
        Some(trailers) => send.send_trailers(trailers)?,
        None => send.send_data(Bytes::new(), true)?,
    }
    Ok(())
}

fn texts(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
