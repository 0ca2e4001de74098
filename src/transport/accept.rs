//! Accepts connections and hands each to a [`Front`], in a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::bind::BACKLOG;
use super::connection::Connection;
use super::drain::{Drain, Guard};
use super::places::Places;

/// How long accepting rests when a connection cannot be had.
const REST: Duration = Duration::from_millis(100);
/// How often the log says so.
const TELL: Duration = Duration::from_secs(10);

/// Serves connections.
pub trait Front: Clone + Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(&self, connection: Box<Connection>) -> impl Future<Output = ()> + Send;
}

/// The pingora service that accepts. It starts when `ready` is told to.
pub struct Acceptor<F> {
    sockets: Vec<std::net::TcpListener>,
    ready: Option<oneshot::Receiver<()>>,
    door: Door<F>,
}

/// What accepting needs.
#[derive(Clone)]
struct Door<F> {
    front: F,
    places: Places,
    drain: Drain,
}

impl<F: Front> Acceptor<F> {
    /// Has `front` serve the connections of `sockets`, once `ready` comes.
    pub fn new(
        sockets: Vec<std::net::TcpListener>,
        front: F,
        places: Places,
        drain: Drain,
        ready: oneshot::Receiver<()>,
    ) -> Self {
        Self { sockets, ready: Some(ready), door: Door { front, places, drain } }
    }
}

#[async_trait]
impl<F: Front> Service for Acceptor<F> {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some(ready) = self.ready.take() {
            // A sender that is gone has nothing more to wait for.
            ready.await.ok();
        }
        for socket in self.sockets.drain(..) {
            tokio::spawn(self.door.clone().keep_accepting(socket));
        }
        self.door.drain.started().await;
    }

    fn name(&self) -> &str {
        "proxy"
    }
}

impl<F: Front> Door<F> {
    /// Accepts until the drain starts, whatever happens.
    async fn keep_accepting(self, socket: std::net::TcpListener) {
        let mut told: Option<Instant> = None;
        let socket = loop {
            // The system may have no memory for it, or no watch.
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
        // It ends by itself, or by a panic, which is told where it happens.
        while tokio::spawn(self.clone().accept(socket.clone())).await.is_err() {
            tokio::time::sleep(REST).await;
        }
    }

    /// Accepts until the drain starts; then the socket closes and new clients go elsewhere.
    async fn accept(self, socket: Arc<TcpListener>) {
        let mut told: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = self.drain.started() => return self.accept_waiting(&socket).await,
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
                    // It may be that the system has no descriptor left, where we have.
                    self.places.make_room();
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// Accepts the connections that were made before the socket closes, which would reset them.
    async fn accept_waiting(&self, socket: &TcpListener) {
        for _ in 0..BACKLOG {
            match tokio::time::timeout(Duration::ZERO, socket.accept()).await {
                Ok(Ok((stream, client))) => self.serve(stream, client).await,
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Serves a connection once there is a place for it; until then, others wait to be accepted.
    async fn serve(&self, stream: TcpStream, client: SocketAddr) {
        let place = self.places.enter().await;
        let connection = Box::new(Connection::new(stream, client, place));
        tokio::spawn(converse(self.front.clone(), connection, self.drain.enter()));
    }
}

async fn converse<F: Front>(front: F, connection: Box<Connection>, _guard: Guard) {
    front.serve(connection).await;
}
