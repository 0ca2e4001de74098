//! An HTTP/2 client with prior knowledge: one connection, as many streams as a test wants.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::DEADLINE;
use super::response::Response;

/// One connection.
#[derive(Debug)]
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// One stream of the connection.
#[derive(Debug)]
pub struct Exchange {
    pub response: ResponseFuture,
    pub upload: SendStream<Bytes>,
}

/// A request without headers of its own.
pub fn request(method: &str, host: &str, path: &str) -> Request<()> {
    let uri = format!("http://{host}{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

impl Http2 {
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_after(address, b"")
    }

    /// A connection that begins with other bytes.
    pub fn connect_after(address: SocketAddr, start: &[u8]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, connection) = runtime.block_on(async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(start).await.unwrap();
            // Unread bytes of one stream take no room from the others.
            let mut client = h2::client::Builder::new();
            client.initial_connection_window_size(16 << 20);
            let (sender, connection) = client.handshake(stream).await.unwrap();
            (sender, tokio::spawn(connection))
        });
        Self { runtime, sender, connection }
    }

    /// Waits until the other side has ended the connection in an orderly way.
    #[track_caller]
    pub fn await_end(self) {
        let Self { runtime, sender, connection } = self;
        let deadline = async { tokio::time::timeout(DEADLINE, connection).await };
        let ended = runtime.block_on(deadline).expect("the end of the connection");
        ended.unwrap().unwrap();
        drop(sender);
    }

    /// Waits for something, but not forever.
    #[track_caller]
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let deadline = async { tokio::time::timeout(DEADLINE, future).await };
        self.runtime.block_on(deadline).expect("something within the deadline")
    }

    /// Opens a stream; `upload` stays open for a body if there is one.
    pub fn open(&self, request: Request<()>, has_body: bool) -> Exchange {
        let mut sender = self.wait(self.sender.clone().ready()).unwrap();
        let (response, upload) = sender.send_request(request, !has_body).unwrap();
        Exchange { response, upload }
    }

    pub fn get(&self, host: &str, path: &str) -> Response {
        let exchange = self.open(request("GET", host, path), false);
        self.response(exchange.response).unwrap()
    }

    /// The same; `None` where the connection goes away, so that the request was not sent, or only after the client had
    /// read that it should not be: it is beyond the streams that the server takes (RFC 9113, section 6.8).
    pub fn get_unless_gone(&self, host: &str, path: &str) -> Option<Response> {
        let mut sender = self.wait(self.sender.clone().ready()).ok()?;
        let (response, _) = sender.send_request(request("GET", host, path), true).ok()?;
        match self.response(response) {
            Err(error) if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) => None,
            response => Some(response.unwrap()),
        }
    }

    /// The response of a stream, as far as it came; an error if no head came.
    pub fn response(&self, response: ResponseFuture) -> Result<Response, h2::Error> {
        self.wait(read(response)).map(|(response, _)| response)
    }

    /// The responses of several streams, read side by side.
    pub fn responses(&self, responses: impl Iterator<Item = ResponseFuture>) -> Vec<Response> {
        let reading: Vec<_> =
            responses.map(|response| self.runtime.spawn(read(response))).collect();
        let read = reading.into_iter().map(|reading| self.wait(reading).unwrap().unwrap().0);
        read.collect()
    }

    /// The same as `response`, with the reason if the stream was reset.
    pub fn broken(&self, response: ResponseFuture) -> (Response, Option<Reason>) {
        self.wait(read(response)).unwrap()
    }
}

/// The response of a stream, and the reason if the stream was reset in the middle of it.
pub async fn read(response: ResponseFuture) -> Result<(Response, Option<Reason>), h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        ..Response::default()
    };
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                response.body.extend_from_slice(&data);
            }
            Err(error) => return Ok((response, error.reason())),
        }
    }
    match body.trailers().await {
        Ok(trailers) => response.trailers = trailers.as_ref().map(fields).unwrap_or_default(),
        Err(error) => return Ok((response, error.reason())),
    }
    response.complete = true;
    Ok((response, None))
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
