//! Accepts connections to the admin listener. A client that is slow, silent or gone neither keeps its connection nor
//! delays other clients: heads and writes have deadlines, and the number of connections is bounded.

mod refusals;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use refusals::Refusals;

use super::events::EVENT_STREAM;
use crate::transport::{ConnectionLimit, Drain, Permit};

/// How long a head may take, on a new or a kept connection, until its last byte.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take none of what was sent.
const UNTAKEN: Duration = Duration::from_secs(30);
/// Connections at once; more wait to be accepted. A connection without a request does not last.
const CONNECTIONS: usize = 64;
/// How long accepting pauses after a failure.
const REST: Duration = Duration::from_millis(100);

/// Answers by `routes` until dropped. While `drain` suspends accepting, clients wait in the sockets' queues.
///
/// # Errors
///
/// Where a socket cannot be used.
pub async fn serve(
    sockets: Vec<std::net::TcpListener>,
    routes: Router,
    drain: &Drain,
) -> io::Result<()> {
    let limit = ConnectionLimit::new(CONNECTIONS);
    let mut accepting = JoinSet::new();
    for socket in sockets {
        let socket = TcpListener::from_std(socket)?;
        accepting.spawn(accept(socket, routes.clone(), drain.clone(), limit.clone()));
    }
    match accepting.join_next().await {
        // Each accepts until it is dropped, or panics.
        Some(Err(panicked)) => Err(io::Error::other(panicked)),
        Some(Ok(())) | None => Ok(()),
    }
}

async fn accept(socket: TcpListener, routes: Router, drain: Drain, limit: ConnectionLimit) {
    let address = socket.local_addr().ok();
    let mut is_short = false;
    loop {
        drain.accepts(address).await;
        let accepted = tokio::select! {
            biased;
            () = drain.suspends(address) => continue,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                is_short = false;
                // Silent connections are closed to make room for this one.
                let permit = limit.acquire().await;
                tokio::spawn(converse(
                    stream,
                    Peer(peer.ip()),
                    routes.clone(),
                    permit,
                    drain.clone(),
                ));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_short, true) {
                    tracing::warn!("the admin listener cannot accept a connection: {error}");
                }
                sleep(REST).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: Peer, routes: Router, permit: Permit, drain: Drain) {
    // A socket that takes no option is served nevertheless.
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNTAKEN)).ok();
    stream.set_nodelay(true).ok();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).half_close(true);
    let requests = Requests::default();
    let routes = TowerToHyperService::new(routes);
    let service = Counted { routes, peer, requests: requests.clone(), drain };
    let served = server.serve_connection(TokioIo::new(Refusals::on(stream)), service);
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!("a connection to the admin listener broke off: {error}");
            }
        }
        () = close_when_asked(&permit, &requests) => {}
    }
}

/// Waits until others need the permit of this connection, which has no request under way.
async fn close_when_asked(permit: &Permit, requests: &Requests) {
    let mut is_new = true;
    loop {
        permit.asked_to_close(is_new).await;
        if Arc::strong_count(&requests.0) <= IDLE {
            return;
        }
        is_new = false;
    }
}

/// The requests of a connection: each holds a clone while it runs.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<()>);

/// Whether an answer goes on for as long as its client wants.
fn is_stream(answer: &Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == EVENT_STREAM)
}

/// The connection itself, and what answers.
const IDLE: usize = 2;

/// Whose connection a request came by. Handlers take it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Answers a request, and counts it as under way meanwhile.
struct Counted {
    routes: TowerToHyperService<Router>,
    peer: Peer,
    requests: Requests,
    drain: Drain,
}

impl Service<Request<Incoming>> for Counted {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let (answer, request_under_way) = (self.routes.call(request), self.requests.clone());
        let parting = self.drain.part();
        Box::pin(async move {
            let answer = answer.await;
            // The drain waits for answers, and a stream has its own last word.
            drop(parting);
            answer.map(|answer| match is_stream(&answer) {
                true => answer.map(|body| {
                    Body::new(body.map_frame(move |frame| {
                        // For as long as the stream goes on, the connection is not idle.
                        let _held = &request_under_way;
                        frame
                    }))
                }),
                false => answer,
            })
        })
    }
}
