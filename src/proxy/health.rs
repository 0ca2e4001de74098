//! The answer to balancers that ask at the address of requests whether the process serves: for any host, by any method,
//! before anything is looked for. It is no request of a service, so nothing counts it.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora::http::ResponseHeader;

use super::headers;
use super::session::{Gone, Session};
use crate::config::ServerSettings;

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
    let head = head(status, body.len()).map_err(|_| Gone)?;
    if headers::expects_continue(session.request()) {
        // The client was not told to send its body, so the next bytes could be a body or a request.
        session.close_after();
    }
    let has_body = session.request().method != Method::HEAD;
    session.write_head(head, !has_body).await?;
    if has_body {
        session.write(Bytes::from_static(body.as_bytes())).await?;
    }
    session.finish(None).await
}

fn head(status: StatusCode, length: usize) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(3))?;
    head.insert_header(header::CONTENT_TYPE, "text/plain")?;
    head.insert_header(header::CONTENT_LENGTH, length)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    Ok(head)
}
