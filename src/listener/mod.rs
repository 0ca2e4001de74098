//! Accepts connections and hands them to the gateway, one task each.
//!
//! Pingora's own listening service is not used, for four reasons: it ends the process when an
//! address is taken, it does not tell which port it was given, its SIGTERM always waits the whole
//! grace period, and its test for HTTP/2 waits for 24 bytes, which a short HTTP/1.0 request never
//! has. Requests themselves are pingora's, from `process_new` on.

mod bind;
mod drain;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

pub use bind::{ListenError, listen};
pub use drain::{Drain, Guard};

use bind::BACKLOG;

use crate::proxy::{Connection, Gateway, OpenConnections};

/// How every HTTP/2 connection begins
/// ([RFC 9113, section 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a new connection may stay silent.
const FIRST_BYTES: Duration = Duration::from_secs(60);
/// How often a connection that has sent a part of the preface is looked at again.
const NEXT_BYTES: Duration = Duration::from_millis(2);
/// How long accepting rests when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// The pingora service that accepts. It starts when `ready` is told to.
pub struct Acceptor {
    sockets: Vec<std::net::TcpListener>,
    ready: Option<oneshot::Receiver<()>>,
    front: Front,
}

/// What one connection needs.
#[derive(Clone)]
struct Front {
    http1: Arc<Gateway>,
    http2: Arc<Gateway>,
    drain: Drain,
    open: OpenConnections,
}

impl Acceptor {
    /// Serves connections of `sockets` by the gateways that `gateway` makes, once `ready` comes.
    pub fn new(
        sockets: Vec<std::net::TcpListener>,
        gateway: impl Fn() -> Gateway,
        drain: Drain,
        ready: oneshot::Receiver<()>,
    ) -> Self {
        let (http1, http2) = (Arc::new(gateway()), Arc::new(gateway().over_http2()));
        let front = Front { http1, http2, drain, open: OpenConnections::default() };
        Self { sockets, ready: Some(ready), front }
    }
}

#[async_trait]
impl Service for Acceptor {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some(ready) = self.ready.take() {
            // A sender that is gone has nothing more to wait for.
            ready.await.ok();
        }
        for socket in self.sockets.drain(..) {
            match TcpListener::from_std(socket) {
                Ok(socket) => {
                    tokio::spawn(accept(socket, self.front.clone()));
                }
                Err(error) => tracing::error!("cannot accept connections: {error}"),
            }
        }
        self.front.drain.started().await;
    }

    fn name(&self) -> &str {
        "proxy"
    }
}

/// Accepts until the drain starts; then the socket closes and new clients go elsewhere.
async fn accept(socket: TcpListener, front: Front) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = front.drain.started() => return accept_waiting(&socket, &front).await,
        };
        match accepted {
            Ok((stream, client)) => serve(stream, client, &front),
            Err(error) => {
                tracing::warn!("accepting a connection failed: {error}");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

/// Accepts the connections that were made before the socket closes, which would reset them.
async fn accept_waiting(socket: &TcpListener, front: &Front) {
    for _ in 0..BACKLOG {
        match tokio::time::timeout(Duration::ZERO, socket.accept()).await {
            Ok(Ok((stream, client))) => serve(stream, client, front),
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn serve(stream: TcpStream, client: SocketAddr, front: &Front) {
    tokio::spawn(converse(stream, client, front.clone(), front.drain.enter()));
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, client: SocketAddr, front: Front, _guard: Guard) {
    let speaks_http2 = tokio::select! {
        // A request that is there already is served, drain or not.
        biased;
        speaks_http2 = tokio::time::timeout(FIRST_BYTES, speaks_http2(&stream)) => speaks_http2,
        () = front.drain.started() => return,
    };
    let Ok(Ok(speaks_http2)) = speaks_http2 else { return };
    // Without it, a small response could wait for the acknowledgement of the one before.
    stream.set_nodelay(true).ok();
    let connection = Box::new(Connection::new(stream, client, front.open.clone()));
    if speaks_http2 {
        front.http2.process_new(connection, &front.drain.goaway()).await;
    } else {
        front.http1.process_new(connection, &front.drain.watch()).await;
    }
}

/// Whether a connection begins with the HTTP/2 preface. Consumes nothing.
async fn speaks_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        let seen = start.get(..seen).unwrap_or_default();
        if seen.is_empty() || !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if seen.len() == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(NEXT_BYTES).await;
    }
}
