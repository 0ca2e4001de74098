//! Behaviours that stream. All of them are good: a host has to pass them on as they are.

use wasip3::http::types::{ErrorCode, Request, Response, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use wasip3::{spawn_local, wit_future};

use crate::Answer;
use crate::reply::{Body, Gone, answer, fields, start, stream, wait};

const CHUNK: usize = 64 * 1024;
const CHUNKS_PER_MIB: u64 = (1024 * 1024 / CHUNK) as u64;

/// A request body, and the trailers behind it.
pub type Upload = (StreamReader<u8>, FutureReader<Result<Option<Trailers>, ErrorCode>>);

pub fn consume(request: Request) -> Upload {
    let (processed, result) = wit_future::new(|| Ok(()));
    drop(processed);
    Request::consume_body(request, result)
}

/// The trailer is announced, because HTTP/1.1 servers send none that is not.
pub fn echo(request: Request) -> Answer {
    let (response, body, _) = start(&[("trailer", "x-sum")])?;
    let upload = consume(request);
    spawn_local(async move { drop(copy(upload, body).await) });
    Ok(response)
}

async fn copy((mut contents, trailers): Upload, mut body: Body) -> Result<(), Gone> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let (result, read) = contents.read(chunk).await;
        body.write(read).await?;
        if matches!(result, StreamResult::Dropped) {
            break;
        }
        chunk = Vec::with_capacity(CHUNK);
    }
    body.finish(trailers.await.map_err(|_| Gone)?).await
}

/// The response body is the request body: the host may pass it on without the guest.
pub fn relay(request: Request) -> Answer {
    let (contents, trailers) = consume(request);
    let headers = fields(&[("content-type", "application/octet-stream"), ("trailer", "x-sum")])?;
    Ok(Response::new(headers, Some(contents), trailers).0)
}

pub async fn read(request: Request) -> Answer {
    let (mut contents, _) = consume(request);
    let mut bytes = 0;
    loop {
        let (result, chunk) = contents.read(Vec::with_capacity(CHUNK)).await;
        bytes += chunk.len();
        if matches!(result, StreamResult::Dropped) {
            return answer(200, format!("read {bytes} bytes\n"));
        }
    }
}

pub fn big(mib: u64) -> Answer {
    stream(async move |mut body| {
        for _ in 0..mib.saturating_mul(CHUNKS_PER_MIB) {
            body.write(vec![b'.'; CHUNK]).await?;
        }
        body.finish(None).await
    })
}

pub fn slow(chunks: u64, pause: u64) -> Answer {
    stream(async move |mut body| {
        for chunk in 1..=chunks {
            wait(pause).await;
            body.write(format!("chunk {chunk} of {chunks}\n").into_bytes()).await?;
        }
        body.finish(None).await
    })
}

pub fn trailers() -> Answer {
    let (response, mut body, _) = start(&[("trailer", "x-checksum")])?;
    let trailers = fields(&[("x-checksum", "42")])?;
    spawn_local(async move {
        if body.write(b"see the trailers\n".into()).await.is_ok() {
            body.finish(Some(trailers)).await.ok();
        }
    });
    Ok(response)
}

/// Says on stdout how the host took the response, once it has all of it.
pub fn delivered() -> Answer {
    let (response, mut body, delivery) = start(&[("content-type", "text/plain")])?;
    spawn_local(async move {
        if body.write(b"answered\n".into()).await.is_ok() {
            body.finish(None).await.ok();
        }
        println!("delivered: {:?}", delivery.await.is_ok());
    });
    Ok(response)
}
