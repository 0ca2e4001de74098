//! Requests to switch to another protocol. Everywhere else in this program such a request is a GET with `upgrade`, which
//! is answered with `101`, as HTTP/1.1 has it; HTTP/2 has an extended CONNECT and a success ([RFC
//! 8441](https://www.rfc-editor.org/rfc/rfc8441)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE,
};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use sha1::{Digest as _, Sha1};

use crate::exchange::RequestHead;

const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const WEBSOCKET: &[u8] = b"websocket";
/// What a server of WebSocket puts behind the key ([RFC 6455, section
/// 4.2.2](https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2)).
const BEHIND_KEY: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A switch that was asked for, in the form of HTTP/1.1.
#[derive(Debug)]
pub struct Switch {
    protocol: HeaderValue,
    /// What a client of WebSocket expects, which HTTP/2 has no use for.
    accept: Option<HeaderValue>,
}

/// The protocol that a request asks to switch to.
pub fn protocol(request: &RequestHead) -> Option<Protocol> {
    Some(Protocol::from(std::str::from_utf8(request.fields.get(&UPGRADE)?).ok()?))
}

/// Leaves the fields that an extended CONNECT has.
pub fn keep_fields(headers: &mut HeaderMap) {
    headers.remove(SEC_WEBSOCKET_KEY);
    headers.remove(CONTENT_LENGTH);
}

impl Switch {
    /// The switch that a request asks for, if it does.
    pub fn of(request: &RequestHead) -> Option<Self> {
        let protocol = HeaderValue::from_bytes(request.fields.get(&UPGRADE)?).ok()?;
        let key = request.fields.get(&SEC_WEBSOCKET_KEY);
        let key = key.filter(|_| protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET));
        Some(Self { protocol, accept: key.and_then(accept) })
    }

    /// Makes a `101` of a success.
    pub fn answer(self, head: &mut Parts) {
        if !head.status.is_success() {
            return;
        }
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(UPGRADE, self.protocol);
        head.headers.extend(self.accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    }
}

fn accept(key: &[u8]) -> Option<HeaderValue> {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(BEHIND_KEY);
    HeaderValue::try_from(STANDARD.encode(hash.finalize())).ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_success_becomes_the_101_that_a_client_of_websocket_expects() {
        // The example of RFC 6455, section 1.3.
        let request = Request::get("/chat")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let request = RequestHead::from(request.body(()).unwrap());
        let switch = Switch::of(&request).unwrap();
        let (mut head, ()) = http::Response::new(()).into_parts();
        switch.answer(&mut head);
        assert_eq!(head.status, 101);
        assert_eq!(head.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(
            (&head.headers["upgrade"], &head.headers["connection"]),
            (&"WebSocket".parse().unwrap(), &"upgrade".parse().unwrap())
        );
        head.status = StatusCode::FORBIDDEN;
        Switch::of(&request).unwrap().answer(&mut head);
        assert_eq!(head.status, 403);
        assert!(Switch::of(&Request::new(()).into()).is_none());
    }
}
