//! Response bodies: one whole text in as few host calls as can be, or a stream of lines.
//!
//! A write that fails means that the client has gone. Then sending simply ends, and the body, dropped unfinished, tells
//! the host that it is not complete.

use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

/// Sends a text of known length.
pub fn send_whole(out: ResponseOutparam, status: u16, text: &str) {
    let length = (String::from("content-length"), text.len().to_string().into_bytes());
    if let Some(body) = open(out, status, &[text_plain(), length])
        && write_whole(&body, text.as_bytes()).is_ok()
    {
        finish(body);
    }
}

/// Sends lines whose number is known but whose length is not, each as soon as it is written.
pub fn send_lines(out: ResponseOutparam, count: u32) {
    if let Some(body) = open(out, 200, &[text_plain()])
        && write_lines(&body, count).is_ok()
    {
        finish(body);
    }
}

fn text_plain() -> (String, Vec<u8>) {
    (String::from("content-type"), b"text/plain".to_vec())
}

/// Sends the head. `None`: the host refused it, and has been told so.
fn open(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)]) -> Option<OutgoingBody> {
    let prepared = Fields::from_list(headers).map_err(|_| ()).and_then(|headers| {
        let response = OutgoingResponse::new(headers);
        if status != 200 {
            response.set_status_code(status)?;
        }
        response.body().map(|body| (response, body))
    });
    match prepared {
        Ok((response, body)) => {
            ResponseOutparam::set(out, Ok(response));
            Some(body)
        }
        Err(()) => {
            ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
            None
        }
    }
}

/// A new stream has room at once, so a short text goes out by `write`, which never waits. `blocking_write_and_flush`
/// would suspend the guest until the host has taken the text, and `finish` flushes anyway.
fn write_whole(body: &OutgoingBody, mut text: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    while !text.is_empty() {
        let room = stream.check_write()?;
        let (now, later) = text.split_at(text.len().min(room as usize));
        match now {
            [] => stream.subscribe().block(),
            _ => stream.write(now)?,
        }
        text = later;
    }
    Ok(())
}

fn write_lines(body: &OutgoingBody, count: u32) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    for line in 1..=count {
        stream.blocking_write_and_flush(format!("line {line} of {count}\n").as_bytes())?;
    }
    Ok(())
}

/// An error here can only be a body whose length differs from its `content-length`, which the host already knows.
fn finish(body: OutgoingBody) {
    drop(OutgoingBody::finish(body, None));
}
