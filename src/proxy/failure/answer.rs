//! Answers a client by a failure.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;

use super::{ALLOW, Failure};
use crate::config::Expose;
use crate::proxy::Flow;
use crate::proxy::ctx::RequestCtx;
use crate::proxy::headers::{
    self, WATERSHED_DECISION, WATERSHED_ERROR, WATERSHED_GENERATION, X_REQUEST_ID,
};
use crate::proxy::session::{Gone, Session};

/// Sends the client the failure's response, as long as no head was sent.
pub async fn tell(session: &mut Session, ctx: &mut RequestCtx, failure: &Failure) -> Flow {
    let is_lost = matches!(failure, Failure::ClientGone | Failure::ClientSlow);
    if is_lost || session.sent_head().is_some() {
        return Flow::Broken;
    }
    match respond(session, ctx, failure).await {
        Ok(()) => Flow::Done,
        Err(Gone) => Flow::Broken,
    }
}

async fn respond(
    session: &mut Session,
    ctx: &mut RequestCtx,
    failure: &Failure,
) -> std::result::Result<(), Gone> {
    let request_id = ctx.request_id(&session.request().headers);
    let (head, body) = response(ctx, failure, &request_id).map_err(|_| Gone)?;
    if headers::expects_continue(session.request()) || failure.ends_connection() {
        session.close_after();
    }
    let has_body = session.request().method != Method::HEAD;
    session.write_head(head, false).await?;
    if has_body {
        session.write(body).await?;
    }
    session.finish(None).await
}

/// The response to a request whose head could not be read.
pub fn unread(failure: &Failure) -> Result<(ResponseHeader, Bytes)> {
    let request_id = headers::request_id(&HeaderMap::new());
    bare_response(failure, &request_id)
}

fn response(
    ctx: &RequestCtx,
    failure: &Failure,
    request_id: &str,
) -> Result<(ResponseHeader, Bytes)> {
    let (mut head, body) = bare_response(failure, request_id)?;
    if ctx.expose == Expose::Decision {
        head.insert_header(WATERSHED_GENERATION, ctx.generation)?;
        if let Some(decision) = &ctx.decision {
            head.insert_header(WATERSHED_DECISION, decision.as_str())?;
        }
    }
    headers::tell_limit(&mut head, ctx, matches!(failure, Failure::RateLimit(_)))?;
    // A user whose first request fails stays with the version of that request too.
    if let Some(cookie) = ctx.chosen.as_ref().and_then(|chosen| chosen.cookie.as_ref()) {
        head.append_header(header::SET_COOKIE, cookie)?;
    }
    Ok((head, body))
}

fn bare_response(failure: &Failure, request_id: &str) -> Result<(ResponseHeader, Bytes)> {
    let body = failure.document(request_id);
    let mut head = ResponseHeader::build(failure.answer().status, Some(8))?;
    head.insert_header(header::CONTENT_TYPE, "application/problem+json")?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header(WATERSHED_ERROR, failure.code())?;
    head.insert_header(X_REQUEST_ID, request_id)?;
    if let Some(seconds) = failure.retry_after() {
        head.insert_header(header::RETRY_AFTER, seconds)?;
    }
    if let Failure::Connect = failure {
        head.insert_header(header::ALLOW, ALLOW)?;
    }
    Ok((head, body))
}
