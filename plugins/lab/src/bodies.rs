//! Behaviours that stream, and responses of unusual shape. All of them are good: a host has to pass them on as they are.

use wasip2::http::types::Fields;

use crate::call::{Call, Gone, Outcome, Upload, wait};

const CHUNK: u64 = 64 * 1024;
const CHUNKS_PER_MIB: u64 = 1024 * 1024 / CHUNK;

pub fn echo(call: Call) -> Outcome {
    let upload = Upload::of(&call.request)?;
    let headers = Fields::new();
    let content_type = call.request.headers().get("content-type");
    if !content_type.is_empty() {
        headers.set("content-type", &content_type).map_err(|_| ())?;
    }
    let announced = call.request.headers().get("trailer");
    if !announced.is_empty() {
        headers.set("trailer", &announced).map_err(|_| ())?;
    }
    let reply = call.send(200, headers)?;
    while let Some(chunk) = upload.next(CHUNK)? {
        reply.write(&chunk)?;
    }
    reply.finish(upload.trailers()?)
}

pub fn big(call: Call) -> Outcome {
    let chunks = call.number("mib").saturating_mul(CHUNKS_PER_MIB);
    let chunk = vec![b'.'; CHUNK as usize];
    let reply = call.head(200, &[("content-type", b"application/octet-stream")])?;
    for _ in 0..chunks {
        reply.write(&chunk)?;
    }
    reply.finish(None)
}

pub fn slow_body(call: Call) -> Outcome {
    let (chunks, pause) = (call.number("chunks"), call.pause());
    let reply = call.stream()?;
    for chunk in 1..=chunks {
        wait(pause);
        reply.flush(format!("chunk {chunk} of {chunks}\n").as_bytes())?;
    }
    reply.finish(None)
}

pub fn early(call: Call) -> Outcome {
    let upload = Upload::of(&call.request)?;
    let reply = call.stream()?;
    reply.flush(b"early\n")?;
    let bytes = measure(&upload, u64::MAX)?;
    reply.write(format!("then {bytes} bytes\n").as_bytes())?;
    reply.finish(None)
}

pub fn read(call: Call) -> Outcome {
    let upload = Upload::of(&call.request)?;
    let bytes = measure(&upload, call.number("bytes"))?;
    call.answer(200, &format!("read {bytes} bytes\n"))
}

fn measure(upload: &Upload, most: u64) -> Result<u64, Gone> {
    let mut bytes = 0;
    while bytes < most
        && let Some(chunk) = upload.next(CHUNK.min(most - bytes))?
    {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}

/// The trailer is announced, because HTTP/1.1 servers send none that is not.
pub fn trailers(call: Call) -> Outcome {
    let reply = call.head(200, &[("content-type", b"text/plain"), ("trailer", b"x-checksum")])?;
    reply.write(b"see the trailers\n")?;
    let trailers = Fields::new();
    trailers.set("x-checksum", &[b"42".to_vec()]).map_err(|_| ())?;
    reply.finish(Some(trailers))
}

pub fn status(call: Call) -> Outcome {
    let code = call.number("code");
    match code {
        200..=599 if bodiless(code) => call.head(code as u16, &[])?.finish(None),
        200..=599 => call.answer(code as u16, &format!("status {code}\n")),
        _ => call.answer(400, "`code` must be from 200 to 599\n"),
    }
}

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
fn bodiless(code: u64) -> bool {
    matches!(code, 204 | 205 | 304)
}

/// Says of each header whether the bindings accepted it: hosts may refuse those that only a connection may set.
pub fn hop(call: Call) -> Outcome {
    let headers = Fields::new();
    let mut report = String::new();
    for (name, value) in
        [("connection", "x-secret"), ("x-secret", "1"), ("keep-alive", "5"), ("x-kept", "1")]
    {
        let accepted = headers.set(name, &[value.as_bytes().to_vec()]).is_ok();
        report.push_str(&format!("{name}: {}\n", if accepted { "accepted" } else { "refused" }));
    }
    let reply = call.send(200, headers)?;
    reply.write(report.as_bytes())?;
    reply.finish(None)
}
