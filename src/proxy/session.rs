//! A request and its response, over either version of HTTP. The version of a service that serves it
//! need not know which it is.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::uri::Scheme;
use pingora::http::{RequestHeader, ResponseHeader};

use super::http1::Http1;
use super::http2::Http2;

/// The client is gone, or as good as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What a client sends behind the head of its request.
#[derive(Debug)]
pub enum Input {
    Data(Bytes),
    /// The body is complete, with these trailers.
    End(HeaderMap),
    /// The body is not framed as it should be.
    Malformed,
    /// The client has left before its request was complete.
    Gone,
}

/// One request of a client, and the way back to it.
pub enum Session {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

impl Session {
    /// The head of the request.
    pub fn request(&self) -> &RequestHeader {
        match self {
            Self::Http1(session) => session.request(),
            Self::Http2(session) => session.request(),
        }
    }

    /// The other end of the connection.
    pub fn client(&self) -> SocketAddr {
        match self {
            Self::Http1(session) => session.client(),
            Self::Http2(session) => session.client(),
        }
    }

    /// The scheme of the request. The connection tells it, whatever the client says.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Http1(session) => session.scheme(),
            Self::Http2(session) => session.scheme(),
        }
    }

    /// Whether the request has no body.
    pub fn is_body_empty(&mut self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_empty(),
            Self::Http2(session) => session.is_body_empty(),
        }
    }

    /// The next part of the body. Cancel-safe.
    pub async fn read(&mut self) -> Input {
        match self {
            Self::Http1(session) => session.read().await,
            Self::Http2(session) => session.read().await,
        }
    }

    /// Waits until nobody is there for the response.
    pub async fn gone(&mut self) {
        match self {
            Self::Http1(session) => session.gone().await,
            Self::Http2(session) => session.gone().await,
        }
    }

    /// How long the client may take no data of the response.
    pub fn set_patience(&mut self, patience: Duration) {
        match self {
            Self::Http1(session) => session.set_patience(patience),
            Self::Http2(session) => session.set_patience(patience),
        }
    }

    /// Lets the client send its body.
    pub async fn write_continue(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http1(session) => session.write_continue().await,
            Self::Http2(session) => session.write_continue(),
        }
    }

    /// The head of the response.
    pub async fn write_head(&mut self, head: ResponseHeader) -> Result<(), Gone> {
        match self {
            Self::Http1(session) => session.write_head(head).await,
            Self::Http2(session) => session.write_head(head),
        }
    }

    /// A part of the body of the response.
    pub async fn write(&mut self, data: Bytes) -> Result<(), Gone> {
        match self {
            Self::Http1(session) => session.write(&data).await,
            Self::Http2(session) => session.write(data).await,
        }
    }

    /// The end of the response, with trailers where its framing has room for them.
    pub async fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        match self {
            Self::Http1(session) => session.finish(trailers).await,
            Self::Http2(session) => session.finish(trailers),
        }
    }

    /// Nothing more of this connection is served; of one of HTTP/2, nothing more of this request.
    pub fn close_after(&mut self) {
        match self {
            Self::Http1(session) => session.close_after(),
            Self::Http2(_) => {}
        }
    }

    /// Whether no other request is served now. A connection of HTTP/2 carries several.
    pub fn is_alone(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_alone(),
            Self::Http2(_) => false,
        }
    }
}
