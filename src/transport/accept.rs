//! Accepts connections and hands each to a [`Handler`], in a task of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::bind::BACKLOG;
use super::connection::Connection;
use super::drain::{Drain, OpenConnection};
use super::limit::{ConnectionLimit, Permit};
use super::peer::Peer;
use super::proxy_protocol::{self, PeerError, Unread};
use super::tls::{HandshakeLimits, Handshakes, Rejected};

/// How long accepting pauses after a failure.
const REST: Duration = Duration::from_millis(100);
/// How often the log reports that accepting fails.
const TELL: Duration = Duration::from_secs(10);

/// Serves connections.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + Send;

    /// What handshakes of TLS may take and offer now.
    fn handshake_limits(&self) -> HandshakeLimits;

    /// Has to do with a client that asked for a handshake of TLS and did not come to its end.
    fn reject(&self, rejected: Rejected) -> impl Future<Output = ()> + Send;

    /// Whether the proxy at an address may name its clients in PROXY headers.
    fn trusts(&self, address: IpAddr) -> bool;

    /// How long a PROXY header may take.
    fn head_time(&self) -> Duration;

    /// Is told of a connection that is closed because nobody knows who sends its requests.
    fn refused(&self, address: SocketAddr, why: PeerError);
}

/// The pingora service that accepts connections. It starts when `ready` says so.
pub struct Acceptor<H> {
    sockets: Vec<std::net::TcpListener>,
    tls: Option<(Vec<std::net::TcpListener>, Handshakes)>,
    ready: Option<oneshot::Receiver<()>>,
    loops: AcceptLoop<H>,
}

/// Accepts on one socket; each socket has a clone.
#[derive(Clone)]
struct AcceptLoop<H> {
    handler: H,
    limit: ConnectionLimit,
    drain: Drain,
    /// Where connections begin with a handshake.
    handshakes: Option<Handshakes>,
    /// Whether connections begin with PROXY headers.
    reads_proxy_headers: bool,
}

impl<H: Handler> Acceptor<H> {
    /// Has `handler` serve the connections of `sockets`, once `ready` says so.
    pub fn new(
        sockets: Vec<std::net::TcpListener>,
        handler: H,
        limit: ConnectionLimit,
        drain: Drain,
        ready: oneshot::Receiver<()>,
    ) -> Self {
        let loops =
            AcceptLoop { handler, limit, drain, handshakes: None, reads_proxy_headers: false };
        Self { sockets, tls: None, ready: Some(ready), loops }
    }

    /// Has connections of these sockets served, too, after a handshake of TLS.
    pub fn with_tls(self, sockets: Vec<std::net::TcpListener>, handshakes: Handshakes) -> Self {
        Self { tls: Some((sockets, handshakes)), ..self }
    }

    /// Whether every connection begins with a PROXY header, and comes from a trusted proxy. Others are closed then.
    pub fn with_proxy_headers(mut self, reads_proxy_headers: bool) -> Self {
        self.loops.reads_proxy_headers = reads_proxy_headers;
        self
    }
}

#[async_trait]
impl<H: Handler> Service for Acceptor<H> {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some(ready) = self.ready.take() {
            // If the sender is gone, there is nothing to wait for.
            ready.await.ok();
        }
        for socket in self.sockets.drain(..) {
            tokio::spawn(self.loops.clone().keep_accepting(socket));
        }
        if let Some((sockets, handshakes)) = self.tls.take() {
            let loops = AcceptLoop { handshakes: Some(handshakes), ..self.loops.clone() };
            for socket in sockets {
                tokio::spawn(loops.clone().keep_accepting(socket));
            }
        }
        self.loops.drain.started().await;
    }

    fn name(&self) -> &str {
        "proxy"
    }
}

impl<H: Handler> AcceptLoop<H> {
    /// Accepts until the drain starts, and goes on after errors and panics.
    async fn keep_accepting(self, socket: std::net::TcpListener) {
        let mut told: Option<Instant> = None;
        let socket = loop {
            // The system may have no memory for the socket, or no room in its epoll instance.
            match socket.try_clone().and_then(TcpListener::from_std) {
                Ok(socket) => break Arc::new(socket),
                Err(error) if told.is_none_or(|told| told.elapsed() >= TELL) => {
                    told = Some(Instant::now());
                    tracing::error!("cannot accept connections, and tries again: {error}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(REST).await;
        };
        // A task ends normally or by a panic, which the panic hook logs.
        while tokio::spawn(self.clone().accept(socket.clone())).await.is_err() {
            tokio::time::sleep(REST).await;
        }
    }

    /// Accepts until the drain starts; then the socket closes, and new clients connect elsewhere. While accepting is
    /// suspended, clients wait in the socket's queue.
    async fn accept(self, socket: Arc<TcpListener>) {
        let address = socket.local_addr().ok();
        loop {
            tokio::select! {
                biased;
                // Whoever waits now is for the process that has the same socket.
                () = self.drain.started() => return,
                () = self.drain.accepts(address) => {}
            }
            // The drain is not over before the last connection that was accepted is counted.
            let _accepting = self.drain.part();
            self.accept_all(&socket, address).await;
        }
    }

    /// Accepts until accepting is suspended, or the drain starts.
    async fn accept_all(&self, socket: &TcpListener, address: Option<SocketAddr>) {
        let mut told: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drain.suspends(address) => return,
                accepted = socket.accept() => accepted,
                () = self.drain.started() => return self.accept_waiting(socket).await,
            };
            match accepted {
                Ok((stream, client)) => self.serve(stream, client).await,
                Err(error) => {
                    if told.is_none_or(|told| told.elapsed() >= TELL) {
                        told = Some(Instant::now());
                        tracing::warn!(
                            "accepting a connection failed, and is tried again: {error}"
                        );
                    }
                    // The whole system may be out of descriptors while this process is not.
                    if is_shortage(&error) {
                        self.limit.make_room();
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Accepts the connections that are already established: closing the socket would reset them.
    async fn accept_waiting(&self, socket: &TcpListener) {
        for _ in 0..BACKLOG {
            match tokio::time::timeout(Duration::ZERO, socket.accept()).await {
                Ok(Ok((stream, client))) => self.serve(stream, client).await,
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Serves a connection once the limits permit; until then, others wait to be accepted.
    async fn serve(&self, stream: TcpStream, client: SocketAddr) {
        let permit = self.limit.acquire().await;
        let handshake = match &self.handshakes {
            Some(handshakes) => Some((handshakes.clone(), handshakes.enter().await)),
            None => None,
        };
        let accepted = Accepted { stream, client, permit };
        let open = self.drain.enter();
        tokio::spawn(self.clone().handle(accepted, handshake, open));
    }

    async fn handle(
        self,
        accepted: Accepted,
        handshake: Option<(Handshakes, Permit)>,
        _open: OpenConnection,
    ) {
        let Accepted { mut stream, client, permit } = accepted;
        let mut peer = Peer::from(client);
        if self.reads_proxy_headers {
            // Boxed, so that what it takes is given back at its end.
            let place = handshake.as_ref().map(|(_, place)| place);
            match Box::pin(self.relayed(&mut stream, peer, (&permit, place))).await {
                Some(relayed) => peer = relayed,
                None => return,
            }
        }
        let handler = self.handler;
        let connection = match handshake {
            None => Connection::new(stream, peer, permit),
            Some((handshakes, place)) => {
                let limits = handler.handshake_limits();
                // Boxed, so that what a handshake takes is given back at its end.
                let shaken = Box::pin(handshakes.shake(stream, (peer, permit), place, limits));
                match shaken.await {
                    Ok(connection) => connection,
                    Err(Some(rejected)) => return handler.reject(rejected).await,
                    Err(None) => return,
                }
            }
        };
        handler.serve(connection).await;
    }

    /// Whom a trusted proxy relays; `None` where the connection must close. While nothing has come, the connection closes
    /// like one without a request. A place among the handshakes is given to others like in a handshake.
    async fn relayed(
        &self,
        stream: &mut TcpStream,
        proxy: Peer,
        (permit, place): (&Permit, Option<&Permit>),
    ) -> Option<Peer> {
        let refused = |why| self.handler.refused(proxy.address, why);
        if !self.handler.trusts(proxy.address.ip()) {
            refused(PeerError::Untrusted);
            return None;
        }
        let mut first = [0];
        let header = async {
            // Not `readable`, which may say so of a socket on which nothing has come.
            tokio::select! {
                biased;
                begun = stream.peek(&mut first) => drop(begun?),
                () = self.drain.started() => return Err(Unread::Gone),
                () = permit.asked_to_close(true) => return Err(Unread::Gone),
            }
            tokio::select! {
                biased;
                read = proxy_protocol::read(stream, proxy) => read,
                () = permit.asked_to_give_way(false) => Err(Unread::Crowded),
            }
        };
        let gives_way = async {
            match place {
                Some(place) => place.asked_to_close(true).await,
                None => std::future::pending().await,
            }
        };
        let read = tokio::select! {
            read = timeout(self.handler.head_time(), header) => read.ok(),
            () = gives_way => None,
        };
        match read {
            Some(Ok(peer)) => return Some(peer),
            Some(Err(Unread::Malformed)) => refused(PeerError::Malformed),
            Some(Err(Unread::Crowded)) => refused(PeerError::Crowded),
            None => refused(PeerError::TooSlow),
            // Whoever looks whether the port is open leaves without a word.
            Some(Err(Unread::Gone)) => {}
        }
        None
    }
}

/// Whether a connection that ends would help. Other errors are about the connection that was to be accepted.
fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| short.contains(&errno))
}

/// A client's socket, before anything is known about it.
struct Accepted {
    stream: TcpStream,
    client: SocketAddr,
    permit: Permit,
}
