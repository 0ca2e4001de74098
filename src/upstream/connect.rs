//! Makes connections to targets.

use std::io;

use tokio::net::TcpStream;

use super::Target;
use super::failure::{Failure, FailureKind};
use super::http1::Connection;
use super::stream::Stream;
use crate::config::Protocol;

/// A new connection, and the protocol that is spoken over it.
#[derive(Debug)]
pub enum Connected {
    Http1(Box<Connection>),
}

/// Connects to a target within the time for it, TLS included.
///
/// # Errors
///
/// Where the target accepts no connection in time, or TLS fails.
pub async fn connect(target: &Target) -> Result<Connected, Failure> {
    let time = target.settings().connect_timeout;
    match tokio::time::timeout(time, open(target)).await {
        Ok(connected) => connected,
        Err(_) => Err(failed(format!("no connection within {time:?}"))),
    }
}

fn failed(detail: String) -> Failure {
    Failure::unsent(FailureKind::Connect, detail)
}

async fn open(target: &Target) -> Result<Connected, Failure> {
    let socket = open_socket(target).await;
    let socket = socket.map_err(|error| failed(format!("cannot connect: {error}")))?;
    match &target.settings().protocol {
        Protocol::Http1 => {
            let connection = Connection::new(Stream::Tcp(socket), target.counters().clone());
            Ok(Connected::Http1(Box::new(connection)))
        }
        protocol @ (Protocol::H2c | Protocol::Tls(_)) => {
            Err(failed(format!("the protocol {} is not spoken yet", protocol.as_str())))
        }
    }
}

async fn open_socket(target: &Target) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(target.address()).await?;
    // A request's last bytes must not wait for the acknowledgement of those before.
    socket.set_nodelay(true)?;
    Ok(socket)
}
