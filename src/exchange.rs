//! What passes between the proxy and a backend while one request is served: [`Event`]s of the response
//! come out, parts of the request body go in through a [`Feed`]. Both directions run at once, and each
//! holds a part or two at most.

mod feed;
mod fields;

use bytes::Bytes;
use http::HeaderMap;

pub use feed::{BodyUnwanted, Fed, Feed, Part, Waits};
pub use fields::{Field, Fields, Line, RequestHead, ResponseHead, is, trim};

/// An event of a response: informational heads, one head, then parts of the body, then the end. A failure `F`
/// may come at any point, and nothing follows it.
#[derive(Debug)]
pub enum Event<F> {
    /// An informational response (1xx) before the head, other than `101`.
    Informational(ResponseHead),
    /// The head. After `101`, and after a success to CONNECT, data in both directions belongs to the protocol that the
    /// connection was upgraded to.
    Head(ResponseHead),
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Failed(F),
}

impl<F> Event<F> {
    /// The same event of a backend that fails in another way.
    pub fn map_failure<G>(self, map: impl FnOnce(F) -> G) -> Event<G> {
        match self {
            Self::Informational(head) => Event::Informational(head),
            Self::Head(head) => Event::Head(head),
            Self::Data(data) => Event::Data(data),
            Self::Trailers(trailers) => Event::Trailers(trailers),
            Self::End => Event::End,
            Self::Failed(failure) => Event::Failed(map(failure)),
        }
    }
}
