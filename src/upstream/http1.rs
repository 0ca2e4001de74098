//! One request over an HTTP/1.1 connection ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)). The request is sent
//! and the response received at once, by whoever polls.
//!
//! `request` writes the head, `send` sends it and the body; `response` reads heads, `receive` the rest. What a target
//! sends is taken exactly as the RFC has it, and for a failure otherwise: another reader could find another end.

mod connection;
mod receive;
mod request;
mod response;
mod send;

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Method;

use self::receive::{Broken, Receive, Received};
use self::request::Written;
use self::send::Send;
use super::exchange::Event;
use super::failure::{Failure, FailureKind, Sent};
use crate::exchange::{Event as AnyEvent, Fed, RequestHead};

pub use connection::Connection;
pub use request::Host;

/// What was asked for, as far as the response depends on it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    is_head: bool,
    is_connect: bool,
    is_upgrade: bool,
    /// Whether it may be sent twice.
    is_idempotent: bool,
    has_body: bool,
    /// Whether the connection had served another request before.
    is_reused: bool,
}

/// A request under way.
#[derive(Debug)]
pub struct Http1 {
    connection: Box<Connection>,
    send: Send,
    receive: Receive,
    is_reused: bool,
}

impl Http1 {
    /// Begins a request over a connection that has nothing to do. Nothing is sent before the first poll.
    pub fn new(
        mut connection: Box<Connection>,
        request: &RequestHead,
        host: Host<'_>,
        body: Option<Fed>,
    ) -> Self {
        let is_reused = connection.has_served();
        let mut output = std::mem::take(&mut connection.output);
        let Written { framing, is_upgrade } =
            request::write(&mut output, request, host, body.is_some());
        let asked = Asked {
            is_head: request.method == Method::HEAD,
            is_connect: request.method == Method::CONNECT,
            is_upgrade,
            is_idempotent: request.method.is_idempotent(),
            has_body: body.is_some(),
            is_reused,
        };
        let send = Send::new(output, framing, request, body);
        Self { connection, send, receive: Receive::new(asked), is_reused }
    }

    /// The next event of the response; sends what there is of the request meanwhile. After an upgrade, the end is that
    /// of the target's direction, and polling on sends the rest of ours.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Err(error)) = self.send.poll(context, &mut self.connection) {
            return Poll::Ready(self.failed(FailureKind::Reset, error.to_string()));
        }
        if self.receive.is_closed() && self.goes_on() {
            return Poll::Pending;
        }
        let received = self.receive.poll(context, &mut self.connection, &mut self.send);
        received.map(|received| match received {
            Ok(Received::Event(event)) => event,
            Ok(Received::End) => {
                if !self.receive.is_upgraded() {
                    self.send.stop();
                }
                AnyEvent::End
            }
            Err(broken) => self.broken(broken),
        })
    }

    /// The connection, if the response is over and the next request may use it, and how long the target keeps it, if it
    /// says so.
    pub fn into_kept(self) -> Option<(Box<Connection>, Option<Duration>)> {
        let Self { mut connection, send, receive, .. } = self;
        let is_kept = receive.is_kept() && send.is_complete() && connection.input.is_empty();
        is_kept.then(|| {
            connection.renew(send.into_output());
            (connection, receive.keep_alive())
        })
    }

    /// Whether our direction goes on after the end of the target's, as after an upgrade.
    pub fn goes_on(&self) -> bool {
        self.receive.is_upgraded() && !self.send.is_over()
    }

    /// What of the request may have reached the target.
    pub fn sent(&self) -> Sent {
        if self.send.has_sent() { Sent::Maybe } else { Sent::Nothing }
    }

    /// Bytes of the body that were sent, and of the protocol that was switched to.
    pub fn sent_bytes(&self) -> u64 {
        self.send.sent_bytes()
    }

    fn broken(&self, broken: Broken) -> Event {
        let reason = match broken {
            Broken::Protocol(wrong) => return self.failed(FailureKind::Protocol, wrong.to_owned()),
            Broken::Closed => match self.send.error() {
                Some(error) => reason(error),
                None => "it closed the connection".to_owned(),
            },
            Broken::Read(error) => reason(&error),
            Broken::Idle => "it closed the idle connection with a 408".to_owned(),
        };
        match self.receive.has_head() {
            true => self.failed(FailureKind::Reset, format!("the response is truncated: {reason}")),
            false => self.failed(FailureKind::Reset, format!("no response: {reason}")),
        }
    }

    fn failed(&self, kind: FailureKind, detail: String) -> Event {
        let is_stale = kind == FailureKind::Reset && self.is_reused && !self.receive.has_begun();
        AnyEvent::Failed(Failure { kind, sent: self.sent(), is_stale, detail })
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "it reset the connection".to_owned()
        }
        _ => error.to_string(),
    }
}
