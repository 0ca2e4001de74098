//! The request body on its way from the client to the backend. What was read is kept as long as the request may be sent
//! once more, up to a bound.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::exchange::{Feed, Part};
use crate::proxy::failure::Failure;
use crate::proxy::headers;
use crate::proxy::session::{Input, Session};
use crate::transport::{Pace, TooSlow};

/// What happened while the backend had no event.
pub enum Read {
    Client(Input),
    /// The client has been slower than its pace.
    TooSlow,
    /// A part of the body that was read for an attempt before.
    Again(Part),
    /// The body was read to its end for an attempt before, and all of it was sent again.
    WholeAgain,
    /// The backend does not want the rest of the body.
    Unwanted,
}

impl Read {
    /// Whether the client was waited for.
    pub fn is_of_client(&self) -> bool {
        matches!(self, Self::Client(Input::Data(data)) if !data.is_empty())
            || matches!(self, Self::Client(Input::End(_)))
    }
}

/// What a client sends behind its head: a body or, once the backend has switched protocols, bytes of the new one.
pub struct Upload {
    has_body: bool,
    /// Bytes that may still come.
    left: u64,
    /// Whether the client waits for `100 Continue` before it sends its body.
    pub awaits_continue: bool,
    /// `None` once the body is complete or no longer wanted.
    feed: Option<Feed>,
    /// Where the bytes go if the backend switches protocols, for a request that asks for it.
    switched: Option<Feed>,
    /// Whether nothing is read before the backend asks for it, so that the whole body is still at hand where a backend
    /// cannot even be connected to.
    is_lazy: bool,
    /// How fast the client must send the body.
    pace: Pace,
    /// Whether the head says how long the body is.
    is_declared: bool,
    kept: Kept,
    /// What is to be sent again.
    again: VecDeque<Part>,
}

/// What was read of a body.
#[derive(Default)]
struct Kept {
    /// A copy: a part of a body may hold on to a frame that is far larger.
    bytes: BytesMut,
    room: usize,
    /// Whether more was read than is kept.
    is_lost: bool,
    is_over: bool,
    trailers: Option<Box<HeaderMap>>,
}

impl Upload {
    /// The upload of a request whose body may have `limit` bytes, of which `room` are kept.
    pub fn new(has_body: bool, awaits_continue: bool, limit: u64, room: usize) -> Self {
        Self {
            has_body,
            left: limit,
            awaits_continue,
            feed: None,
            switched: None,
            is_lazy: false,
            pace: Pace::default(),
            is_declared: false,
            kept: Kept { room, ..Kept::default() },
            again: VecDeque::new(),
        }
    }

    /// The same for a client that must keep a pace. `is_declared` is whether the head says how long the body is.
    pub fn with_pace(self, pace: Pace, is_declared: bool) -> Self {
        Self { pace, is_declared, ..self }
    }

    /// Whether the request has a body.
    pub fn has_body(&self) -> bool {
        self.has_body
    }

    /// Whether all that was read of the body can be sent again.
    pub fn is_at_hand(&self) -> bool {
        !self.kept.is_lost
    }

    /// Begins anew for a backend that takes the body by `feed`.
    pub fn begin(&mut self, feed: Option<Feed>) {
        let Kept { bytes, is_over, trailers, .. } = &self.kept;
        self.again.clear();
        if !bytes.is_empty() {
            self.again.push_back(Part::Data(Bytes::copy_from_slice(bytes)));
        }
        if let Some(trailers) = trailers.as_deref().filter(|_| *is_over) {
            self.again.push_back(Part::Trailers(trailers.clone()));
        }
        (self.feed, self.switched, self.is_lazy) = (feed, None, false);
    }

    /// The same, for a backend of the network.
    pub fn begin_lazily(&mut self, feed: Option<Feed>) {
        self.begin(feed);
        self.is_lazy = true;
    }

    /// The same, for a request without a body that asks for another protocol.
    pub fn begin_switching(&mut self, feed: Option<Feed>) {
        self.begin(None);
        self.switched = feed;
    }

    /// From now on, everything that the client sends belongs to another protocol. Neither a limit of bodies nor a pace
    /// applies to it.
    pub fn switch(&mut self) {
        self.feed = self.switched.take();
        self.left = u64::MAX;
        self.pace = Pace::default();
    }

    /// Keeps nothing from now on: the response has begun.
    pub fn commit(&mut self) {
        self.kept = Kept { is_lost: true, ..Kept::default() };
        // From here on, a body of any length may be one half of a conversation, which pauses.
        if !self.is_declared {
            self.pace = Pace::default();
        }
    }

    /// Bytes that a version with this limit could still take; `None` where too much has been read already.
    pub fn renew_limit(&mut self, limit: u64) -> bool {
        let left = limit.checked_sub(self.kept.bytes.len() as u64);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Whether the backend has nothing to do before the client sends more.
    pub fn is_awaited(&self) -> bool {
        self.again.is_empty() && self.feed.as_ref().is_some_and(Feed::is_awaited)
    }

    /// Reads the client: its body while there is more of it and the backend takes it, and then whether the client is
    /// still there. Cancel-safe.
    pub async fn read(&mut self, session: &mut Session) -> Read {
        let Self { feed, awaits_continue, is_lazy, .. } = self;
        let Some(feed) = feed else {
            session.gone().await;
            return Read::Client(Input::Gone);
        };
        let is_read = self.again.is_empty() && !self.kept.is_over;
        let ready = async {
            if is_read && (*awaits_continue || *is_lazy) {
                feed.wanted().await;
            }
            feed.ready().await
        };
        tokio::select! {
            biased;
            ready = ready => if ready.is_err() { return Read::Unwanted },
            () = session.gone() => return Read::Client(Input::Gone),
        }
        if let Some(part) = self.again.pop_front() {
            return Read::Again(part);
        }
        if self.kept.is_over {
            return Read::WholeAgain;
        }
        if std::mem::take(awaits_continue) && session.write_continue().await.is_err() {
            return Read::Client(Input::Gone);
        }
        match self.pace.keep(session.read()).await {
            // Here, so that what is kept to be sent again is without them too.
            Ok(Input::End(trailers)) if !trailers.is_empty() => {
                let trailers = headers::keep_request_trailers(session.request(), trailers);
                Read::Client(Input::End(trailers))
            }
            Ok(input) => Read::Client(input),
            Err(TooSlow) => Read::TooSlow,
        }
    }

    /// Passes on what was read.
    ///
    /// # Errors
    ///
    /// Where the client has left, or sent what cannot be served.
    pub fn take(&mut self, read: Read) -> Result<(), Failure> {
        match read {
            Read::Unwanted | Read::WholeAgain => self.feed = None,
            Read::Again(Part::Data(data)) => self.feed(data),
            Read::Again(Part::Trailers(trailers)) => self.finish(trailers),
            // A part of a chunk's head, or an empty frame. A guest that waits for data must not get an empty chunk.
            Read::Client(Input::Data(data)) if data.is_empty() => {}
            Read::Client(Input::Data(data)) => {
                let length = data.len() as u64;
                self.pace.passed(length);
                self.left = self.left.checked_sub(length).ok_or(Failure::RequestBody)?;
                self.kept.keep(&data);
                self.feed(data);
            }
            Read::Client(Input::End(trailers)) => {
                self.kept.end(&trailers);
                self.finish(trailers);
            }
            Read::TooSlow => return Err(Failure::RequestTimeout),
            Read::Client(Input::Malformed) => return Err(Failure::BadRequest),
            Read::Client(Input::Gone) => return Err(Failure::ClientGone),
        }
        Ok(())
    }

    fn feed(&mut self, data: Bytes) {
        if self.feed.as_ref().is_some_and(|feed| feed.send(data).is_err()) {
            self.feed = None;
        }
    }

    /// The backend sees the end of the body when the feed is dropped.
    fn finish(&mut self, trailers: HeaderMap) {
        let Some(feed) = self.feed.take() else { return };
        if !trailers.is_empty() {
            // A backend that does not read its body does not miss the trailers.
            feed.finish(trailers).ok();
        }
    }
}

impl Kept {
    fn keep(&mut self, data: &[u8]) {
        if self.is_lost {
            return;
        }
        if self.bytes.len() + data.len() > self.room {
            *self = Self { is_lost: true, ..Self::default() };
            return;
        }
        self.bytes.extend_from_slice(data);
    }

    fn end(&mut self, trailers: &HeaderMap) {
        if self.is_lost {
            return;
        }
        self.is_over = true;
        self.trailers = (!trailers.is_empty()).then(|| Box::new(trailers.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::exchange::Fed;

    fn data(text: &'static str) -> Read {
        Read::Client(Input::Data(Bytes::from_static(text.as_bytes())))
    }

    async fn part(fed: &mut Fed) -> Option<Part> {
        poll_fn(|context| fed.poll_part(context)).await
    }

    /// Sends again what was kept, as [`Upload::read`] does it.
    fn resend(upload: &mut Upload) {
        let part = upload.again.pop_front().map_or(Read::WholeAgain, Read::Again);
        upload.take(part).unwrap();
    }

    #[tokio::test]
    async fn what_was_read_is_sent_again() {
        let mut upload = Upload::new(true, false, 100, 8);
        let (feed, mut first) = Feed::new();
        upload.begin(Some(feed));
        upload.take(data("ab")).unwrap();
        assert!(part(&mut first).await.is_some());
        upload.take(data("cd")).unwrap();
        let trailers: HeaderMap =
            [(http::header::ETAG, "1".parse().unwrap())].into_iter().collect();
        assert!(part(&mut first).await.is_some());
        upload.take(Read::Client(Input::End(trailers.clone()))).unwrap();
        drop(first);

        let (feed, mut second) = Feed::new();
        upload.begin(Some(feed));
        assert!(upload.is_at_hand());
        resend(&mut upload);
        assert_eq!(part(&mut second).await, Some(Part::Data(Bytes::from_static(b"abcd"))));
        resend(&mut upload);
        assert_eq!(part(&mut second).await, Some(Part::Trailers(trailers)));
        assert_eq!(part(&mut second).await, None);
    }

    #[tokio::test]
    async fn a_body_without_trailers_ends_again() {
        let mut upload = Upload::new(true, false, 100, 8);
        upload.begin(Some(Feed::new().0));
        upload.take(Read::Client(Input::End(HeaderMap::new()))).unwrap();
        let (feed, mut second) = Feed::new();
        upload.begin(Some(feed));
        resend(&mut upload);
        assert_eq!(part(&mut second).await, None);
    }

    #[test]
    fn a_body_beyond_the_buffer_is_not_at_hand() {
        let mut upload = Upload::new(true, false, 100, 4);
        for (text, is_at_hand) in [("ab", true), ("cd", true), ("e", false), ("", false)] {
            upload.take(data(text)).unwrap();
            assert_eq!(upload.is_at_hand(), is_at_hand, "{text}");
        }
        assert!(upload.kept.bytes.is_empty());
    }

    #[test]
    fn no_limit_of_bodies_is_exceeded() {
        let mut upload = Upload::new(true, false, 3, 100);
        upload.take(data("ab")).unwrap();
        assert!(!upload.renew_limit(1) && upload.renew_limit(2));
        assert!(matches!(upload.take(data("c")), Err(Failure::RequestBody)));
        upload.switch();
        upload.take(data("as much as there is")).unwrap();
    }
}
