//! One request over HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::uri::Scheme;
use http::{Response, StatusCode};

use super::failed::failed;
use super::switch::Switch;
use super::{Place, request};
use crate::exchange::{Event, Fed, Part, RequestHead};
use crate::upstream::failure::{Failure, FailureKind, Sent};
use crate::upstream::http1::Host;

/// Informational responses of one request. They come without being asked for, and nothing else bounds them.
const INFORMATIONAL: u32 = 64;

/// A request on a connection. Dropping it resets its stream, if anything of it is still to come.
#[derive(Debug)]
pub struct Http2Exchange {
    place: Place,
    /// What was asked for beside a response.
    switch: Option<Switch>,
    response: Awaited,
    upload: Option<Upload>,
    /// Bytes of the body that the target gave room for.
    sent: u64,
    is_switched: bool,
    informational: u32,
}

/// Why a request did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// The connection takes no more requests. Another one may.
    Closing(Failure),
    Impossible(Failure),
}

/// What of the response comes next.
#[derive(Debug)]
enum Awaited {
    Head(ResponseFuture),
    Body {
        stream: RecvStream,
        /// Bytes that were handed on. The target may send as many again once the next event is asked for: then those were
        /// taken.
        handed: usize,
    },
    Nothing,
}

/// A request body on its way.
#[derive(Debug)]
struct Upload {
    stream: SendStream<Bytes>,
    body: Fed,
    /// What the target gives no room for yet.
    part: Bytes,
}

impl Http2Exchange {
    /// Sends the head of a request.
    ///
    /// # Errors
    ///
    /// Where the connection takes no more requests, and another one will, or HTTP/2 cannot say what is asked. Nothing was
    /// sent, and the body comes back.
    pub fn start(
        place: Place,
        asked: &RequestHead,
        body: Option<Fed>,
        scheme: Scheme,
        host: Host<'_>,
    ) -> Result<Self, (NotStarted, Option<Fed>)> {
        let head = match request::head(asked, scheme, host) {
            Ok(head) => head,
            Err(why) => return Err((impossible(&why), body)),
        };
        let switch = Switch::of(asked);
        let mut send = place.connection().send();
        if switch.is_some() && !send.is_extended_connect_protocol_enabled() {
            return Err((impossible("it takes no extended CONNECT"), body));
        }
        match send.send_request(head, body.is_none()) {
            Ok((response, stream)) => {
                let upload = body.map(|body| Upload { stream, body, part: Bytes::new() });
                let response = Awaited::Head(response);
                Ok(Self {
                    place,
                    switch,
                    response,
                    upload,
                    sent: 0,
                    is_switched: false,
                    informational: 0,
                })
            }
            Err(error) => {
                place.give_up();
                // It was never on the wire.
                let failure = Failure { sent: Sent::Nothing, ..failed(&error, &place, false) };
                Err((NotStarted::Closing(failure), body))
            }
        }
    }

    /// What of the request may have reached the target.
    pub fn sent(&self) -> Sent {
        Sent::Maybe
    }

    /// Polls for the next event of the response; sends what there is of the request meanwhile.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event<Failure>> {
        if let Some(upload) = &mut self.upload
            && upload.poll(context, &mut self.sent).is_ready()
        {
            self.upload = None;
        }
        let goes_on = self.goes_on();
        let event = match &mut self.response {
            Awaited::Head(_) => ready!(self.poll_head(context)),
            Awaited::Body { .. } => ready!(self.poll_body(context)),
            Awaited::Nothing if goes_on => return Poll::Pending,
            Awaited::Nothing => Ok(Event::End),
        };
        Poll::Ready(event.unwrap_or_else(|failure| {
            self.response = Awaited::Nothing;
            self.upload = None;
            Event::Failed(failure)
        }))
    }

    /// Whether our direction goes on after the end of the target's, as after a switch of protocols.
    pub fn goes_on(&self) -> bool {
        self.is_switched && self.upload.is_some() && matches!(self.response, Awaited::Nothing)
    }

    /// Bytes of the body that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.sent
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Event<Failure>, Failure>> {
        let Awaited::Head(response) = &mut self.response else { return Poll::Pending };
        // The head is asked for only once nothing can come before it: that would be lost.
        let head = match ready!(response.poll_informational(context)) {
            Some(Ok(informational)) => return Poll::Ready(self.informational(informational)),
            Some(Err(error)) => Err(error),
            None => ready!(Pin::new(response).poll(context)),
        };
        Poll::Ready(match head {
            Ok(head) => {
                self.place.connection().answered();
                let (mut head, stream) = head.into_parts();
                if let Some(switch) = self.switch.take() {
                    switch.answer(&mut head);
                    self.is_switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
                }
                self.response = Awaited::Body { stream, handed: 0 };
                Ok(Event::Head(head.into()))
            }
            Err(error) => Err(failed(&error, &self.place, false)),
        })
    }

    fn informational(&mut self, head: Response<()>) -> Result<Event<Failure>, Failure> {
        self.informational += 1;
        let why = match self.informational > INFORMATIONAL {
            true => "it sends one informational response after the other",
            // HTTP/2 has no such switch (RFC 9113, section 8.6).
            false if head.status() == StatusCode::SWITCHING_PROTOCOLS => {
                "it answers 101 over HTTP/2"
            }
            false => return Ok(Event::Informational(head.into_parts().0.into())),
        };
        let (kind, detail) = (FailureKind::Protocol, why.to_owned());
        Err(Failure { kind, sent: Sent::Maybe, is_stale: false, detail })
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Event<Failure>, Failure>> {
        let Awaited::Body { stream, handed } = &mut self.response else { return Poll::Pending };
        // It fails only where the stream is over, which the next read tells.
        stream.flow_control().release_capacity(std::mem::take(handed)).ok();
        let trailers = loop {
            match ready!(stream.poll_data(context)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    *handed = data.len();
                    return Poll::Ready(Ok(Event::Data(data)));
                }
                Some(Err(error)) => break Err(error),
                None => break ready!(stream.poll_trailers(context)),
            }
        };
        Poll::Ready(match trailers {
            Ok(trailers) => {
                self.response = Awaited::Nothing;
                Ok(trailers.map_or(Event::End, Event::Trailers))
            }
            Err(error) => Err(failed(&error, &self.place, true)),
        })
    }
}

fn impossible(why: &str) -> NotStarted {
    let detail = format!("HTTP/2 cannot ask it for this: {why}");
    NotStarted::Impossible(Failure::unsent(FailureKind::Protocol, detail))
}

impl Upload {
    /// Ready once the body is sent, or nobody wants it. Why nobody does, the response tells.
    fn poll(&mut self, context: &mut Context<'_>, sent: &mut u64) -> Poll<()> {
        loop {
            while !self.part.is_empty() {
                let room = match ready!(self.poll_room(context)) {
                    Some(room) => room.min(self.part.len()),
                    None => return Poll::Ready(()),
                };
                let part = self.part.split_to(room);
                *sent += room as u64;
                if self.stream.send_data(part, false).is_err() {
                    return Poll::Ready(());
                }
            }
            // A failure is told by the response.
            match ready!(self.body.poll_part(context)) {
                Some(Part::Data(data)) => self.part = data,
                Some(Part::Trailers(trailers)) => {
                    self.stream.send_trailers(request::trailers(trailers)).ok();
                    return Poll::Ready(());
                }
                None => {
                    self.stream.send_data(Bytes::new(), true).ok();
                    return Poll::Ready(());
                }
            }
        }
    }

    /// How many bytes the target gives room for; `None`: it takes no more.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(self.part.len());
        loop {
            match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(context)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(None),
                },
                room => return Poll::Ready(Some(room)),
            }
        }
    }
}
