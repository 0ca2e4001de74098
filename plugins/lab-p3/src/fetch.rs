//! Calls another service, and passes both bodies on while they come.

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::wit_future;

use crate::Answer;
use crate::bodies::consume;
use crate::reply::answer;

/// Asks `url` with the request's own method and body. The bodies are the host's on both sides, so it moves them by itself.
pub async fn fetch(request: Request, url: String) -> Answer {
    match ask(request, &url).await {
        Ok(response) => pass(response),
        Err(error) => answer(502, format!("{error:?}\n")),
    }
}

async fn ask(request: Request, url: &str) -> Result<Response, ErrorCode> {
    let failed = |()| ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = url.split_once("://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let method = request.get_method();
    let call = match method {
        Method::Get | Method::Head => {
            let (end, trailers) = wit_future::new(|| Ok(None));
            drop(end);
            Request::new(Fields::new(), None, trailers, None).0
        }
        _ => {
            let (contents, trailers) = consume(request);
            Request::new(Fields::new(), Some(contents), trailers, None).0
        }
    };
    call.set_method(&method).map_err(failed)?;
    call.set_scheme(Some(&scheme)).map_err(failed)?;
    call.set_authority(Some(authority)).map_err(failed)?;
    call.set_path_with_query(Some(path)).map_err(failed)?;
    client::send(call).await
}

fn pass(response: Response) -> Answer {
    let status = response.get_status_code();
    let kept = response.get_headers().copy_all().into_iter();
    let kept = kept.filter(|(name, _)| name.starts_with("x-") || name == "content-type");
    let mut kept: Vec<_> = kept.collect();
    kept.push(("trailer".into(), b"x-sum".to_vec()));
    let headers = Fields::from_list(&kept).map_err(|_| ErrorCode::InternalError(None))?;
    let (processed, result) = wit_future::new(|| Ok(()));
    drop(processed);
    let (contents, trailers) = Response::consume_body(response, result);
    let passed = Response::new(headers, Some(contents), trailers).0;
    passed.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(passed)
}
