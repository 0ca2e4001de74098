//! Writes a response to the client: informational heads, the head with what is ours to say, and its framing.

use http::{HeaderValue, Method, StatusCode, Version, header};

use super::{Execution, poll_once};
use crate::config::Expose;
use crate::exchange::{Event, ResponseHead};
use crate::proxy::failure::Failure;
use crate::proxy::headers::{self, WATERSHED_DECISION, WATERSHED_GENERATION};
use crate::proxy::session::Gone;
use crate::routing::WATERSHED_VERSION;

impl Execution<'_> {
    /// An informational response goes to clients that know such responses ([RFC 9110, section
    /// 15.2](https://www.rfc-editor.org/rfc/rfc9110#section-15.2)). `100` goes only to a client that waits for it, and
    /// once.
    pub(super) async fn informational(&mut self, mut head: ResponseHead) -> Result<(), Gone> {
        let attempts = &mut self.attempts;
        if head.status == StatusCode::CONTINUE {
            return match std::mem::take(&mut attempts.upload.awaits_continue) {
                true => attempts.session.write_continue().await,
                false => Ok(()),
            };
        }
        if attempts.session.request().version < Version::HTTP_11 {
            return Ok(());
        }
        headers::keep_end_to_end(&mut head.fields);
        // There is no body, and no length of one (RFC 9110, section 8.6).
        head.fields.remove(&header::CONTENT_LENGTH);
        attempts.session.write_informational(head).await
    }

    /// The head of the response.
    pub(super) async fn head(&mut self, mut head: ResponseHead) -> Result<(), Failure> {
        let is_switch = head.status == StatusCode::SWITCHING_PROTOCOLS;
        match is_switch {
            true => headers::keep_of_switch(&mut head.fields),
            false => self.named = headers::keep_end_to_end(&mut head.fields),
        }
        let chosen = &self.attempts.chosen;
        let expose = self.attempts.ctx.expose;
        let version = chosen.version.header.as_ref().filter(|_| expose != Expose::None);
        if let Some(version) = version {
            head.fields.insert(WATERSHED_VERSION, version.clone());
        }
        self.tell(&mut head);
        if is_switch {
            return self.switch(head).await;
        }
        if self.attempts.session.is_tunnel() && head.status.is_success() {
            // Any success would tell the client that the protocol was switched (RFC 8441, section 5).
            return Err(Failure::Connect);
        }
        self.frame(&mut head).await;
        let is_last = self.is_whole(&head).await;
        if let Some(Event::Failed(failure)) = self.ahead.last() {
            // Nothing is committed yet, so the client gets the truth.
            return Err(failure.clone());
        }
        if std::mem::take(&mut self.attempts.upload.awaits_continue) {
            // A client that was not told to continue need not send its body, so the next bytes could be a body or a
            // request.
            self.attempts.session.close_after();
        }
        self.attempts.commit();
        Ok(self.attempts.session.write_head(head, is_last).await?)
    }

    /// From here on, both sides are bytes.
    async fn switch(&mut self, head: ResponseHead) -> Result<(), Failure> {
        self.is_switched = true;
        self.attempts.commit();
        self.attempts.upload.switch();
        Ok(self.attempts.session.switch(head).await?)
    }

    /// Adds the decision's headers, and the cookie with the key by which a user stays with the version.
    fn tell(&self, head: &mut ResponseHead) {
        let (ctx, chosen) = (&self.attempts.ctx, &self.attempts.chosen);
        if ctx.expose == Expose::Decision {
            head.fields.insert(WATERSHED_DECISION, chosen.decision.as_str());
            head.fields.insert(WATERSHED_GENERATION, ctx.generation);
        }
        headers::tell_limit(&mut head.fields, ctx, false);
        headers::tell_key(&mut head.fields, chosen);
    }

    /// Makes sure that the client can tell where the body ends.
    async fn frame(&mut self, head: &mut ResponseHead) {
        if head.status == StatusCode::NO_CONTENT {
            head.fields.remove(&header::CONTENT_LENGTH);
        }
        let request = self.attempts.session.request();
        let (is_http_1_1, is_http_2) =
            (request.version == Version::HTTP_11, request.version == Version::HTTP_2);
        if bodiless(&request.method, head.status) || head.fields.contains(&header::CONTENT_LENGTH) {
            return;
        }
        if let Some(length) = self.length_ahead().await {
            // The head itself says that nothing follows.
            if length > 0 || !is_http_2 {
                head.fields.insert(header::CONTENT_LENGTH, length);
            }
        } else if is_http_1_1 {
            let chunked = HeaderValue::from_static("chunked");
            head.fields.insert(header::TRANSFER_ENCODING, chunked);
        } else {
            self.attempts.session.close_after();
        }
    }

    /// Whether the head is the whole response, as HTTP/2 says it: clients miss the body that a `content-length` announces
    /// where a head does not end its stream, even if there can be none.
    async fn is_whole(&mut self, head: &ResponseHead) -> bool {
        let request = self.attempts.session.request();
        if request.version == Version::HTTP_2 {
            let is_bodiless = bodiless(&request.method, head.status);
            if is_bodiless && !self.attempts.upload.has_body() {
                return true;
            }
            // A client that still sends its body may stop at the end of the response, so that end must be one. Behind a body
            // without any bytes there may be trailers.
            let is_empty = is_bodiless || head.fields.get(&header::CONTENT_LENGTH) == Some(b"0");
            if is_empty
                && self.ahead.is_empty()
                && let Some(event) = poll_once(&mut self.exchange).await
            {
                self.ahead.push(event);
            }
        }
        matches!(self.ahead.first(), Some(Event::End))
    }

    /// The length of the body, if the backend has written all of it already: then head and body leave in one packet, and
    /// need no chunks.
    async fn length_ahead(&mut self) -> Option<usize> {
        let mut length = 0;
        loop {
            match poll_once(&mut self.exchange).await? {
                Event::Data(data) => {
                    length += data.len();
                    self.ahead.push(Event::Data(data));
                }
                event => {
                    let is_end = matches!(event, Event::End);
                    self.ahead.push(event);
                    return is_end.then_some(length);
                }
            }
            if self.ahead.is_full() {
                return None;
            }
        }
    }

    /// Whether data is a part of the response: after a switch, all of it is.
    pub(super) fn has_body(&self) -> bool {
        let session = &self.attempts.session;
        let method = &session.request().method;
        session.sent_head().is_some_and(|(status, _)| !bodiless(method, status))
    }
}

/// Whether a response has no body whatever its headers say
/// ([RFC 9112, section 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
fn bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
