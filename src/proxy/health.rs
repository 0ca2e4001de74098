//! The answer to balancers that ask at the address of requests whether the process serves: for any host, by any method,
//! before anything is looked for. It is no request of a service, so nothing counts it.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use super::headers;
use super::session::{Gone, Session};
use crate::config::ServerSettings;
use crate::exchange::ResponseHead;

/// Whether a request of a client asks for the health path.
pub fn is_asked(session: &Session, settings: &ServerSettings) -> bool {
    let is_path = |path: &String| session.request().uri.path() == path;
    settings.health_path.as_ref().is_some_and(is_path) && !session.is_local()
}

/// Says whether the process serves, or drains and is to be left alone.
pub async fn answer(session: &mut Session, is_draining: bool) -> Result<(), Gone> {
    let (status, body) = match is_draining {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        false => (StatusCode::OK, "ok\n"),
    };
    let head = head(status, body.len());
    if headers::expects_continue(session.request()) {
        // The client was not told to send its body, so the next bytes could be a body or a request.
        session.close_after();
    }
    let has_body = session.request().method != Method::HEAD;
    session.write_head(head, !has_body).await?;
    if has_body {
        session.write(Bytes::from_static(body.as_bytes()), true).await?;
    }
    session.finish(None).await
}

fn head(status: StatusCode, length: usize) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    head.fields.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    head.fields.append(header::CONTENT_LENGTH, length.into());
    head.fields.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head
}
