//! A request and its response, over either version of HTTP. The code that serves the request need not know which one it
//! is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use pingora::http::RequestHeader;

use super::headers::Hop;
use super::http1::Http1;
use super::http2::Http2;
use super::local::{Chain, Local};
use crate::exchange::ResponseHead;
use crate::routing::Forwarded;
use crate::transport::Pace;
use crate::transport::tls::TlsPeer;
use crate::versions::Snapshot;

/// The client is gone, or as good as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What a client sends behind the head of its request.
#[derive(Debug)]
pub enum Input {
    Data(Bytes),
    /// The body is complete, with these trailers.
    End(HeaderMap),
    /// The body's framing is invalid.
    Malformed,
    /// The client has left before its request was complete.
    Gone,
}

/// One request of a client, and the way back to the client. Counts the bytes in both directions.
pub struct Session {
    codec: Codec,
    client: SocketAddr,
    scheme: Scheme,
    /// Whether the request comes from a trusted proxy.
    is_believed: bool,
    /// `strict-transport-security` of the response.
    hsts: Option<HeaderValue>,
    /// The status that was sent, and when.
    sent_head: Option<(StatusCode, Instant)>,
    received: u64,
    sent: u64,
}

/// How a request and its response are written on the connection.
pub enum Codec {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// A call of a guest, without a connection.
    Local(Box<Local>),
}

impl Session {
    /// A request that has come over `scheme`. The connection decides the scheme, whatever the client says.
    pub fn new(codec: Codec, scheme: Scheme) -> Self {
        let client = match &codec {
            Codec::Http1(session) => session.peer().address,
            Codec::Http2(session) => session.peer().address,
            Codec::Local(session) => session.client(),
        };
        Self {
            codec,
            client,
            scheme,
            is_believed: false,
            hsts: None,
            sent_head: None,
            received: 0,
            sent: 0,
        }
    }

    /// Believes what the request says of its client and its scheme, if it comes from one of these proxies.
    pub fn believe(&mut self, proxies: &[IpNet]) {
        let peer = match &self.codec {
            Codec::Http1(session) => session.peer(),
            Codec::Http2(session) => session.peer(),
            Codec::Local(_) => return,
        };
        if proxies.is_empty() || !peer.is_known {
            return;
        }
        let Some(forwarded) = Forwarded::of(&self.request().headers, peer.address, proxies) else {
            return;
        };
        self.is_believed = true;
        self.client = forwarded.client;
        if let Some(scheme) = forwarded.scheme {
            self.scheme = scheme;
        }
    }

    /// The protocol's own session, which ends the request on its connection.
    pub fn into_codec(self) -> Codec {
        self.codec
    }

    /// The head of the request.
    pub fn request(&self) -> &RequestHeader {
        match &self.codec {
            Codec::Http1(session) => session.request(),
            Codec::Http2(session) => session.request(),
            Codec::Local(session) => session.request(),
        }
    }

    /// Whether the request's head is larger than allowed. HTTP/1 refuses such heads before there is a session.
    pub fn is_head_too_large(&self) -> bool {
        match &self.codec {
            Codec::Http1(_) | Codec::Local(_) => false,
            Codec::Http2(session) => session.is_head_too_large(),
        }
    }

    /// The snapshot that was pinned for the request before it came here, if one was.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        match &self.codec {
            Codec::Http1(_) | Codec::Http2(_) => None,
            Codec::Local(session) => Some(session.snapshot()),
        }
    }

    /// The chain of calls that the request belongs to.
    pub fn chain(&self) -> Chain {
        match &self.codec {
            Codec::Http1(_) | Codec::Http2(_) => Chain { client: self.client, length: 0 },
            Codec::Local(session) => session.chain(),
        }
    }

    /// Whether the request is a call of a guest of this process.
    pub fn is_local(&self) -> bool {
        matches!(self.codec, Codec::Local(_))
    }

    /// What the handshake of the connection has agreed on; `None` where there was none.
    pub fn tls(&self) -> Option<&TlsPeer> {
        match &self.codec {
            Codec::Http1(session) => session.tls(),
            Codec::Http2(session) => session.tls(),
            Codec::Local(_) => None,
        }
    }

    /// Has the response tell browsers to use HTTPS only, unless it says something about that by itself.
    pub fn set_hsts(&mut self, hsts: HeaderValue) {
        self.hsts = Some(hsts);
    }

    /// Who sent the request: the other end of the connection, or whom trusted proxies name. The port is 0 where no proxy
    /// says which.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// The last step of the request's way. That of a call began with the client of the chain's first request.
    pub fn hop(&self) -> Hop<'_> {
        let peer = match &self.codec {
            Codec::Http1(session) => session.peer().address,
            Codec::Http2(session) => session.peer().address,
            Codec::Local(session) => session.client(),
        };
        Hop { peer: peer.ip(), scheme: &self.scheme, is_believed: self.is_believed }
    }

    /// The scheme of the request: that of the connection, or what a trusted proxy says.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The status of the response and the time at which it was sent, once its head is sent.
    pub fn sent_head(&self) -> Option<(StatusCode, Instant)> {
        self.sent_head
    }

    /// Bytes of the request's body that were read.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the response's body that were written.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the request has no body.
    pub fn is_body_empty(&mut self) -> bool {
        match &mut self.codec {
            Codec::Http1(session) => session.is_body_empty(),
            Codec::Http2(session) => session.is_body_empty(),
            Codec::Local(session) => session.is_body_empty(),
        }
    }

    /// The next part of the body. Cancel-safe.
    pub async fn read(&mut self) -> Input {
        let input = match &mut self.codec {
            Codec::Http1(session) => session.read().await,
            Codec::Http2(session) => session.read().await,
            Codec::Local(session) => session.read().await,
        };
        if let Input::Data(data) = &input {
            self.received += data.len() as u64;
        }
        input
    }

    /// Waits until the client no longer waits for the response.
    pub async fn gone(&mut self) {
        match &mut self.codec {
            Codec::Http1(session) => session.gone().await,
            Codec::Http2(session) => session.gone().await,
            Codec::Local(session) => session.gone().await,
        }
    }

    /// How long the client may take no data of the response.
    pub fn set_patience(&mut self, patience: Duration) {
        match &mut self.codec {
            Codec::Http1(session) => session.set_patience(patience),
            Codec::Http2(session) => session.set_patience(patience),
            Codec::Local(session) => session.set_patience(patience),
        }
    }

    /// How fast the client must take the response.
    pub fn set_pace(&mut self, pace: Pace) {
        match &mut self.codec {
            Codec::Http1(session) => session.set_pace(pace),
            Codec::Http2(session) => session.set_pace(pace),
            Codec::Local(_) => {}
        }
    }

    /// Whether the client was given up because it took too little of the response, or nothing.
    pub fn is_late(&self) -> bool {
        match &self.codec {
            Codec::Http1(session) => session.is_late(),
            Codec::Http2(session) => session.is_late(),
            Codec::Local(_) => false,
        }
    }

    /// Tells the client to send its body.
    pub async fn write_continue(&mut self) -> Result<(), Gone> {
        match &mut self.codec {
            Codec::Http1(session) => session.write_continue().await,
            Codec::Http2(session) => session.write_continue(),
            // The body comes without being asked for.
            Codec::Local(_) => Ok(()),
        }
    }

    /// An informational response, which more follow. The client must know such responses.
    pub async fn write_informational(&mut self, head: ResponseHead) -> Result<(), Gone> {
        match &mut self.codec {
            Codec::Http1(session) => session.write_informational(head).await,
            Codec::Http2(session) => session.write_informational(head),
            // Guests are told the last head only.
            Codec::Local(_) => Ok(()),
        }
    }

    /// Whether the client takes any success for a switch to the protocol that it asks for, as with HTTP/2.
    pub fn is_tunnel(&self) -> bool {
        match &self.codec {
            Codec::Http1(_) | Codec::Local(_) => false,
            Codec::Http2(session) => session.is_tunnel(),
        }
    }

    /// The head of a response that switches protocols. All that is read and written afterwards belongs to the new one.
    pub async fn switch(&mut self, head: ResponseHead) -> Result<(), Gone> {
        let status = head.status;
        match &mut self.codec {
            Codec::Http1(session) => session.switch(head).await?,
            Codec::Http2(session) => session.switch(head)?,
            // No guest can ask for another protocol.
            Codec::Local(_) => return Err(Gone),
        }
        self.sent_head = Some((status, Instant::now()));
        Ok(())
    }

    /// The head of the response. `is_last`: no body and no trailers follow, which HTTP/2 says with the head: in gRPC, that
    /// makes the fields of the head trailers.
    pub async fn write_head(&mut self, mut head: ResponseHead, is_last: bool) -> Result<(), Gone> {
        let status = head.status;
        if let Some(hsts) = self.hsts.take()
            && !head.fields.contains(&header::STRICT_TRANSPORT_SECURITY)
        {
            head.fields.append(header::STRICT_TRANSPORT_SECURITY, hsts);
        }
        match &mut self.codec {
            Codec::Http1(session) => session.write_head(head).await?,
            Codec::Http2(session) => session.write_head(head, is_last)?,
            Codec::Local(session) => session.write_head(head)?,
        }
        self.sent_head = Some((status, Instant::now()));
        Ok(())
    }

    /// A part of the body of the response. `is_last`: no data and no trailers follow, which HTTP/2 says with the data.
    pub async fn write(&mut self, data: Bytes, is_last: bool) -> Result<(), Gone> {
        let length = data.len() as u64;
        match &mut self.codec {
            Codec::Http1(session) => session.write(&data).await?,
            Codec::Http2(session) => session.write(data, is_last).await?,
            Codec::Local(session) => session.write(data).await?,
        }
        self.sent += length;
        Ok(())
    }

    /// The end of the response, with trailers where its framing has room for them.
    pub async fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        match &mut self.codec {
            Codec::Http1(session) => session.finish(trailers).await,
            Codec::Http2(session) => session.finish(trailers),
            Codec::Local(session) => session.finish(trailers).await,
        }
    }

    /// Gives up the connection; for HTTP/2, only this request's stream.
    pub fn close_after(&mut self) {
        match &mut self.codec {
            Codec::Http1(session) => session.close_after(),
            Codec::Http2(_) | Codec::Local(_) => {}
        }
    }

    /// Whether no other request is being served now. An HTTP/2 connection carries several.
    pub fn is_alone(&self) -> bool {
        match &self.codec {
            Codec::Http1(session) => session.is_alone(),
            Codec::Http2(_) | Codec::Local(_) => false,
        }
    }

    /// Whether responses that are ready together leave together without waiting for each other.
    pub fn gathers(&self) -> bool {
        matches!(self.codec, Codec::Http2(_))
    }
}
