//! Responses that a connection cannot carry as they are: a host has to mend them, or to say that the guest has failed.

use wasip2::http::types::{Fields, Trailers};

use crate::call::{Call, Gone, Outcome, wait};

/// What ends a chunked body, were it not inside one.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Sends as many parts as it was asked for, whatever it has promised.
pub fn length(call: Call) -> Outcome {
    let (parts, pause) = (call.number("parts"), call.pause());
    let part = vec![b'.'; call.number("size") as usize];
    let trailers = with_trailers(&call)?;
    let length = call.number("is").to_string();
    let reply =
        call.head(200, &[("content-length", length.as_bytes()), ("trailer", b"x-checksum")])?;
    for _ in 0..parts {
        reply.write(&part)?;
        if !pause.is_zero() {
            wait(pause);
        }
    }
    reply.finish(trailers)
}

/// Says of each second `content-length`, and of each that is no number, whether the host took it.
pub fn lengths(call: Call) -> Outcome {
    let mut report = String::new();
    for values in [["8", "8"], ["8", "9"]] {
        let values: Vec<_> = values
            .iter()
            .map(|value| ("content-length".to_owned(), value.as_bytes().to_vec()))
            .collect();
        note(&mut report, "two lengths", Fields::from_list(&values).is_ok());
    }
    for value in ["8, 8", "eight", "+8", "-8", " 8", ""] {
        let taken = Fields::new().set("content-length", &[value.as_bytes().to_vec()]).is_ok();
        note(&mut report, &format!("`{value}`"), taken);
    }
    call.answer(200, &report)
}

/// Its body looks like the end of one.
pub fn last_chunk(call: Call) -> Outcome {
    let trailers = with_trailers(&call)?;
    let reply = match call.number("length") {
        0 => call.head(200, &[("trailer", b"x-checksum")])?,
        _ => call.head(200, &[("content-length", b"5"), ("trailer", b"x-checksum")])?,
    };
    reply.flush(LAST_CHUNK)?;
    reply.finish(trailers)
}

/// Sends a body with a status that may have none.
pub fn bodied(call: Call) -> Outcome {
    let code = call.number("code") as u16;
    let reply = call.stream_as(code)?;
    reply.write(b"a body\n")?;
    reply.finish(None)
}

pub fn te(call: Call) -> Outcome {
    let reply = call.head(200, &[("te", b"gzip"), ("x-kept", b"1")])?;
    reply.write(b"it has set te\n")?;
    reply.finish(None)
}

/// Sets every header that only a connection may set, and says of each whether the host took it.
pub fn forbidden(call: Call) -> Outcome {
    let headers = Fields::new();
    let mut report = String::new();
    for (name, value) in [
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
        note(&mut report, name, headers.set(name, &[value.as_bytes().to_vec()]).is_ok());
    }
    let reply = call.send(200, headers)?;
    reply.write(report.as_bytes())?;
    reply.finish(None)
}

/// Ends with trailers of which only the last is one.
pub fn odd_trailers(call: Call) -> Outcome {
    let reply =
        call.head(200, &[("trailer", b"te, content-length, transfer-encoding, x-checksum")])?;
    reply.write(b"see the trailers\n")?;
    let trailers = Fields::new();
    for (name, value) in [
        ("te", "trailers"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("x-checksum", "42"),
    ] {
        trailers.set(name, &[value.as_bytes().to_vec()]).ok();
    }
    reply.finish(Some(trailers))
}

fn note(report: &mut String, what: &str, taken: bool) {
    report.push_str(&format!("{what}: {}\n", if taken { "accepted" } else { "refused" }));
}

fn with_trailers(call: &Call) -> Result<Option<Trailers>, Gone> {
    if call.number("trailers") == 0 {
        return Ok(None);
    }
    let trailers = Fields::new();
    trailers.set("x-checksum", &[b"42".to_vec()]).map_err(|_| Gone)?;
    Ok(Some(trailers))
}
