//! Makes connections to targets.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Target;
use super::failure::{Failure, FailureKind};
use super::http1::Connection;
use super::http2::{Opening, Place, Turn};
use super::stream::Stream;
use super::tls::{self, Offer};
use crate::config::Protocol;

/// How much of a body the kernel holds before it sends it. With more, a body that a target takes slowly would seem sent,
/// and the target late with its response.
const UNSENT: u32 = 128 << 10;

/// A new connection, and the protocol that is spoken over it.
#[derive(Debug)]
pub enum Connected {
    Http1(Box<Connection>),
    /// A place on a connection, which may be one that others use too.
    Http2(Place),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purpose {
    /// A connection that has served others will not do.
    pub is_fresh: bool,
    /// To switch to another protocol: over TLS by HTTP/1.1, since few servers take that over HTTP/2.
    pub is_switch: bool,
}

/// Connects to a target within the time for it, TLS included.
///
/// # Errors
///
/// Where the target accepts no connection in time, or TLS fails.
pub async fn connect(target: &Target, purpose: Purpose) -> Result<Connected, Failure> {
    let time = target.settings().connect_timeout;
    match tokio::time::timeout(time, open(target, purpose)).await {
        Ok(connected) => connected,
        Err(_) => Err(failed(format!("no connection within {time:?}"))),
    }
}

fn failed(detail: String) -> Failure {
    Failure::unsent(FailureKind::Connect, detail)
}

async fn open(target: &Target, purpose: Purpose) -> Result<Connected, Failure> {
    match &target.settings().protocol {
        Protocol::Http1 => Ok(http1(target, Stream::Tcp(open_socket(target).await?))),
        Protocol::H2c => match target.http2().turn(purpose.is_fresh).await {
            Turn::Place(place) => Ok(Connected::Http2(place)),
            Turn::Open(opening) => {
                let socket = open_socket(target).await?;
                Ok(Connected::Http2(opening.opened(socket).await?))
            }
        },
        Protocol::Tls(_) if purpose.is_switch => {
            Ok(http1(target, Stream::Tls(Box::new(open_tls(target, Offer::Http1).await?))))
        }
        Protocol::Tls(_) => match target.http2().turn(purpose.is_fresh).await {
            Turn::Place(place) => Ok(Connected::Http2(place)),
            Turn::Open(opening) => open_either(target, opening).await,
        },
    }
}

/// A connection over TLS, in which the target chooses the protocol.
async fn open_either(target: &Target, opening: Opening) -> Result<Connected, Failure> {
    let stream = open_tls(target, Offer::Both).await?;
    if tls::is_http2(&stream) {
        return Ok(Connected::Http2(opening.opened(stream).await?));
    }
    opening.found_http1();
    Ok(http1(target, Stream::Tls(Box::new(stream))))
}

fn http1(target: &Target, stream: Stream) -> Connected {
    Connected::Http1(Box::new(Connection::new(stream, target.counters().clone())))
}

async fn open_tls(target: &Target, offer: Offer) -> Result<TlsStream<TcpStream>, Failure> {
    let tls = target.settings().tls.as_ref();
    let tls = tls.ok_or_else(|| Failure::unsent(FailureKind::Tls, "no certificates were read"))?;
    let socket = open_socket(target).await?;
    tls.connect(socket, target.declared(), offer).await
}

async fn open_socket(target: &Target) -> Result<TcpStream, Failure> {
    let connected = TcpStream::connect(target.address()).await.and_then(|socket| {
        // A request's last bytes must not wait for the acknowledgement of those before.
        socket.set_nodelay(true)?;
        // A kernel that does not know this holds more.
        SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT).ok();
        Ok(socket)
    });
    connected.map_err(|error: io::Error| failed(format!("cannot connect: {error}")))
}
