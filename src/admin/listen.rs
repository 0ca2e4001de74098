//! Accepts connections to the admin listener. A client that is slow, silent or gone keeps neither
//! its connection nor anybody else from being answered: a head has its time, what is sent must be
//! taken, and there is a bound to how many may come at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

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
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut is_short = false;
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        match socket.accept().await {
            Ok((stream, _)) => {
                is_short = false;
                let conversation = converse(stream, routes.clone());
                tokio::spawn(async move {
                    conversation.await;
                    drop(place);
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut is_short, true) {
                    tracing::warn!("the admin listener cannot accept a connection: {error}");
                }
                sleep(REST).await;
            }
        }
    }
    Ok(())
}

async fn converse(stream: TcpStream, routes: Router) {
    // A socket that takes no option is served all the same.
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNTAKEN)).ok();
    stream.set_nodelay(true).ok();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).half_close(true);
    let served =
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await;
    if let Err(error) = served {
        tracing::debug!("a connection to the admin listener broke off: {error}");
    }
}
