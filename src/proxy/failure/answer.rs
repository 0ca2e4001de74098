//! Answers a client by a failure.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::{ALLOW, Failure};
use crate::config::Expose;
use crate::exchange::ResponseHead;
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
) -> Result<(), Gone> {
    let request_id = ctx.request_id(&session.request().headers);
    let (head, body) = response(ctx, failure, &request_id);
    if headers::expects_continue(session.request()) || failure.ends_connection() {
        session.close_after();
    }
    let has_body = session.request().method != Method::HEAD;
    session.write_head(head, !has_body).await?;
    if has_body {
        session.write(body, true).await?;
    }
    session.finish(None).await
}

/// The response to a request whose head could not be read.
pub fn unread(failure: &Failure) -> (ResponseHead, Bytes) {
    let request_id = headers::request_id(&HeaderMap::new());
    bare_response(failure, &request_id)
}

fn response(ctx: &RequestCtx, failure: &Failure, request_id: &str) -> (ResponseHead, Bytes) {
    let (mut head, body) = bare_response(failure, request_id);
    let fields = &mut head.fields;
    if ctx.expose == Expose::Decision {
        fields.insert(WATERSHED_GENERATION, ctx.generation);
        if let Some(decision) = &ctx.decision {
            fields.insert(WATERSHED_DECISION, decision.as_str());
        }
    }
    headers::tell_limit(fields, ctx, matches!(failure, Failure::RateLimit(_)));
    // A user whose first request fails stays with the version of that request too.
    if let Some(chosen) = &ctx.chosen {
        headers::tell_key(fields, chosen);
    }
    (head, body)
}

fn bare_response(failure: &Failure, request_id: &str) -> (ResponseHead, Bytes) {
    let body = failure.document(request_id);
    let mut head = ResponseHead::new(failure.answer().status);
    let fields = &mut head.fields;
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    fields.insert(header::CONTENT_LENGTH, body.len());
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(WATERSHED_ERROR, failure.code());
    fields.insert(X_REQUEST_ID, request_id);
    if let Some(seconds) = failure.retry_after() {
        fields.insert(header::RETRY_AFTER, seconds);
    }
    if let Failure::Connect = failure {
        fields.insert(header::ALLOW, HeaderValue::from_static(ALLOW));
    }
    (head, body)
}
