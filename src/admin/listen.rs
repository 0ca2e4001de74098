//! Accepts connections to the admin listener. A client that is slow, silent or gone keeps neither
//! its connection nor anybody else from being answered: a head has its time, what is sent must be
//! taken, and there is a bound to how many may come at once.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::transport::{ConnectionLimit, Permit};

/// From when a head may come to its last byte, also of a connection that is kept.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may leave untaken what was sent.
const UNTAKEN: Duration = Duration::from_secs(30);
/// Connections at once. More wait to be accepted; none of these lasts without a request.
const CONNECTIONS: usize = 64;
/// How long accepting rests after it failed.
const REST: Duration = Duration::from_millis(100);

/// Answers by `routes` until dropped.
///
/// # Errors
///
/// Where the socket cannot be used.
pub async fn serve(socket: std::net::TcpListener, routes: Router) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let limit = ConnectionLimit::new(CONNECTIONS);
    let mut is_short = false;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                is_short = false;
                // Silent connections make room for it.
                let permit = limit.acquire().await;
                tokio::spawn(converse(stream, routes.clone(), permit));
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

async fn converse(stream: TcpStream, routes: Router, permit: Permit) {
    // A socket that takes no option is served all the same.
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNTAKEN)).ok();
    stream.set_nodelay(true).ok();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).half_close(true);
    let requests = Requests::default();
    let service = Counted { routes: TowerToHyperService::new(routes), requests: requests.clone() };
    let served = server.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                tracing::debug!("a connection to the admin listener broke off: {error}");
            }
        }
        () = close_when_asked(&permit, &requests) => {}
    }
}

/// Waits until others need the permit of a connection that has no request under way.
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

/// The requests of a connection: each holds on to it.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<()>);

/// The connection itself, and what answers.
const IDLE: usize = 2;

/// Answers, and counts what is under way.
struct Counted {
    routes: TowerToHyperService<Router>,
    requests: Requests,
}

impl Service<Request<Incoming>> for Counted {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (answer, request_under_way) = (self.routes.call(request), self.requests.clone());
        Box::pin(async move {
            let answer = answer.await;
            drop(request_under_way);
            answer
        })
    }
}
