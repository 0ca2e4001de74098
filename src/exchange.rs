//! What passes between the proxy and a backend while one request is served: [`Event`]s of the response
//! come out, parts of the request body go in through a [`Feed`]. Both directions run at once, and each
//! holds a part or two at most.

mod feed;

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;

pub use feed::{BodyUnwanted, Fed, Feed, Part, Waits};

/// An event of a response: informational heads, one head, then parts of the body, then the end. A failure `F`
/// may come at any point, and nothing follows it.
#[derive(Debug)]
pub enum Event<F> {
    /// An informational response (1xx) before the head, other than `101`.
    Informational(Box<Parts>),
    /// The head. After `101`, and after a success to CONNECT, data in both directions belongs to the protocol that the
    /// connection was upgraded to.
    Head(Box<Parts>),
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
