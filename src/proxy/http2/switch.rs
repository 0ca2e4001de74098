//! Requests to switch to another protocol over HTTP/2: an extended CONNECT ([RFC
//! 8441](https://www.rfc-editor.org/rfc/rfc8441)). Behind this file it looks like one of HTTP/1.1: a GET with `upgrade`,
//! which is answered with `101`. So routing, versions and upstreams need to know one form only.

use http::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::exchange::ResponseHead;
use crate::routing::Id;

const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const WEBSOCKET: &str = "websocket";
/// Digits of an id that begin a key.
const KEY_DIGITS: usize = 21;

/// Makes a GET of an extended CONNECT. Returns whether it was one.
pub fn take(request: &mut Parts) -> bool {
    let Some(protocol) = request.extensions.remove::<h2::ext::Protocol>() else { return false };
    let Ok(name) = HeaderValue::from_str(protocol.as_str()) else { return false };
    request.method = Method::GET;
    request.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    request.headers.insert(UPGRADE, name);
    // HTTP/2 has no such key, and a server of HTTP/1.1 demands one (RFC 8441, section 5).
    if protocol.as_str() == WEBSOCKET {
        request.headers.extend(key().map(|key| (SEC_WEBSOCKET_KEY, key)));
    }
    true
}

/// 16 bytes in Base64 ([RFC 6455, section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)), of which the first
/// 15 and a half are random hexadecimal digits as they stand.
fn key() -> Option<HeaderValue> {
    let id = Id::random();
    let digits = id.as_str().get(..KEY_DIGITS)?;
    HeaderValue::from_str(&format!("{digits}A==")).ok()
}

/// Makes the answer to an extended CONNECT of a `101`.
pub fn answer(mut head: ResponseHead) -> ResponseHead {
    head.status = StatusCode::OK;
    // The accepted key is one that the client has not seen.
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        head.fields.remove(&name);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(protocol: Option<&'static str>) -> Parts {
        let mut request = http::Request::connect("http://a.test/chat").body(()).unwrap();
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
        }
        request.into_parts().0
    }

    #[test]
    fn an_extended_connect_becomes_a_get_with_a_key() {
        let mut request = connect(Some("websocket"));
        assert!(take(&mut request));
        assert_eq!((request.method.as_str(), request.uri.path()), ("GET", "/chat"));
        assert_eq!(request.headers[UPGRADE], "websocket");
        let key = request.headers[SEC_WEBSOCKET_KEY].to_str().unwrap();
        assert!(key.len() == 24 && key.ends_with("A=="), "{key}");
        let mut other = connect(Some("connect-udp"));
        assert!(take(&mut other) && !other.headers.contains_key(SEC_WEBSOCKET_KEY));
        let mut plain = connect(None);
        assert!(!take(&mut plain) && plain.method == Method::CONNECT);
    }

    #[test]
    fn the_answer_is_a_success_without_fields_of_http_1() {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::SWITCHING_PROTOCOLS;
        for name in ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol"] {
            parts.headers.insert(name, HeaderValue::from_static("chat"));
        }
        let answer = answer(parts.into());
        assert_eq!((answer.status, answer.fields.len()), (StatusCode::OK, 1));
    }
}
