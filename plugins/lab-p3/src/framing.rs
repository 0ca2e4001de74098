//! Responses that a connection cannot carry as they are: a host has to mend them, or to say that the guest has failed.

use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::spawn_local;

use crate::bodies::consume;
use crate::reply::{answer, fields, send, start, wait};
use crate::{Answer, Query};

/// What ends a chunked body, were it not inside one.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Sends as many parts as it was asked for, whatever it has promised, and goes on when the host takes no more.
pub fn length(query: &Query) -> Answer {
    let length = query.number("is", 8).to_string();
    let (parts, size, pause) =
        (query.number("parts", 2), query.number("size", 8), query.number("ms", 0));
    let trailers = with_trailers(query)?;
    let (response, mut body, _) = start(&[("content-length", &length), ("trailer", "x-checksum")])?;
    spawn_local(async move {
        for _ in 0..parts {
            if body.write(vec![b'.'; size as usize]).await.is_err() {
                break;
            }
            if pause > 0 {
                wait(pause).await;
            }
        }
        body.finish(trailers).await.ok();
    });
    Ok(response)
}

/// Promises a length, and gives its request body to the host as the response body.
pub fn relay_length(request: Request, length: u64) -> Answer {
    let (contents, trailers) = consume(request);
    let length = length.to_string();
    Ok(Response::new(fields(&[("content-length", &length)])?, Some(contents), trailers).0)
}

/// Says of each second `content-length`, and of each that is no number, whether the host took it.
pub fn lengths() -> Answer {
    let mut report = String::new();
    for values in [["8", "8"], ["8", "9"]] {
        let values = values.map(|value| ("content-length", value));
        note(&mut report, "two lengths", fields(&values).is_ok());
    }
    for value in ["8, 8", "eight", "+8", "-8", " 8", ""] {
        note(&mut report, &format!("`{value}`"), fields(&[("content-length", value)]).is_ok());
    }
    answer(200, report)
}

/// Its body looks like the end of one.
pub fn last_chunk(query: &Query) -> Answer {
    let headers: &[_] = match query.number("length", 0) {
        0 => &[("trailer", "x-checksum")],
        _ => &[("content-length", "5"), ("trailer", "x-checksum")],
    };
    send(200, headers, LAST_CHUNK.to_vec(), with_trailers(query)?)
}

/// Sends a body with a status that may have none.
pub fn bodied(code: u64) -> Answer {
    send(code as u16, &[("content-type", "text/plain")], b"a body\n".into(), None)
}

pub fn te() -> Answer {
    send(200, &[("te", "gzip"), ("x-kept", "1")], b"it has set te\n".into(), None)
}

/// Sets every header that only a connection may set, and says of each whether the host took it.
pub fn forbidden() -> Answer {
    let mut report = String::new();
    let mut accepted = Vec::new();
    for header in [
        ("connection", "close, x-kept"),
        ("host", "elsewhere.example"),
        ("http2-settings", "AAMAAABk"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x-none"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-kept", "1"),
    ] {
        let taken = fields(&[header]).is_ok();
        note(&mut report, header.0, taken);
        accepted.extend(taken.then_some(header));
    }
    send(200, &accepted, report.into_bytes(), None)
}

/// Ends with trailers of which only the last is one.
pub fn odd_trailers() -> Answer {
    let trailers = Fields::new();
    for (name, value) in [
        ("te", "trailers"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("x-checksum", "42"),
    ] {
        trailers.set(name, &[value.as_bytes().to_vec()]).ok();
    }
    let announced = [("trailer", "te, content-length, transfer-encoding, x-checksum")];
    send(200, &announced, b"see the trailers\n".into(), Some(trailers))
}

fn note(report: &mut String, what: &str, taken: bool) {
    report.push_str(&format!("{what}: {}\n", if taken { "accepted" } else { "refused" }));
}

fn with_trailers(query: &Query) -> Result<Option<Trailers>, ErrorCode> {
    match query.number("trailers", 0) {
        0 => Ok(None),
        _ => fields(&[("x-checksum", "42")]).map(Some),
    }
}
