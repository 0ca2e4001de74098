//! Calls another service, and passes both bodies on as they come.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};

use crate::call::{Call, Gone, Outcome, Reply, Upload};

const CHUNK: u64 = 64 * 1024;

/// Asks `url`, which is the rest of the query, with the request's own method and body. `times` such calls are made one
/// after the other, and the last one is answered with; `between` and `first` are time limits in milliseconds, 0: none.
pub fn fetch(call: Call) -> Outcome {
    let target = call.request.path_with_query().unwrap_or_default();
    let Some((_, url)) = target.split_once("url=") else {
        return call.answer(400, "`url` is missing\n");
    };
    for _ in 1..call.number("times") {
        if let Err(error) = ask(&call, url, false) {
            return call.answer(502, &format!("{error:?}\n"));
        }
    }
    match ask(&call, url, true) {
        Ok(response) => pass(call, response),
        Err(error) => call.answer(502, &format!("{error:?}\n")),
    }
}

fn ask(call: &Call, url: &str, with_body: bool) -> Result<IncomingResponse, ErrorCode> {
    let failed = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = url.split_once("://").ok_or_else(failed)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(headers(call)?);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_method(&call.request.method()).map_err(|()| failed())?;
    request.set_scheme(Some(&scheme)).map_err(|()| failed())?;
    request.set_authority(Some(authority)).map_err(|()| failed())?;
    request.set_path_with_query(Some(path)).map_err(|()| failed())?;
    let has_body = with_body && !matches!(call.request.method(), Method::Get | Method::Head);
    let body = if has_body { request.body().ok() } else { None };
    let response = outgoing_handler::handle(request, Some(options(call)))?;
    if let Some(body) = body {
        // Whoever takes no more of it may have answered already.
        drop(send(call, body));
    }
    response.subscribe().block();
    match response.get() {
        Some(Ok(response)) => response,
        _ => Err(ErrorCode::InternalError(None)),
    }
}

/// Those of the request that begin with `x-`, except for where it came from.
fn headers(call: &Call) -> Result<Fields, ErrorCode> {
    let own = call.request.headers().entries();
    let kept = own.into_iter().filter(|(name, _)| name.starts_with("x-sent-"));
    Fields::from_list(&kept.collect::<Vec<_>>()).map_err(|_| ErrorCode::InternalError(None))
}

fn options(call: &Call) -> RequestOptions {
    let options = RequestOptions::new();
    let limit = |name: &str| Some(call.number(name) * 1_000_000).filter(|limit| *limit > 0);
    options.set_first_byte_timeout(limit("first")).ok();
    options.set_between_bytes_timeout(limit("between")).ok();
    options
}

fn send(call: &Call, body: OutgoingBody) -> Outcome {
    let upload = Upload::of(&call.request)?;
    let sent = Reply::of(body)?;
    while let Some(chunk) = upload.next(CHUNK)? {
        sent.write(&chunk)?;
    }
    sent.finish(upload.trailers()?)
}

fn pass(call: Call, response: IncomingResponse) -> Outcome {
    let headers = Fields::new();
    for (name, value) in response.headers().entries() {
        if name.starts_with("x-") || name == "content-type" {
            headers.append(&name, &value).map_err(|_| Gone)?;
        }
    }
    headers.append("trailer", b"x-sum").map_err(|_| Gone)?;
    let reply = call.send(response.status(), headers)?;
    let download = Upload::from(response.consume()?)?;
    while let Some(chunk) = download.next(CHUNK)? {
        reply.write(&chunk)?;
    }
    reply.finish(download.trailers()?)
}
