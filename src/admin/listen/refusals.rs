//! Gives a document to what hyper refuses by itself, before there is a request that could be answered: what is not HTTP,
//! and heads that are too long. hyper writes a bare head then, and nobody is asked about it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::admin::error::AdminError;

/// A connection on which bare refusals are replaced by problem documents.
pub struct Refusals<S> {
    stream: S,
    /// What is written instead of a bare refusal, and how much of it is sent.
    document: Vec<u8>,
    sent: usize,
}

impl<S> Refusals<S> {
    pub fn on(stream: S) -> Self {
        Self { stream, document: Vec::new(), sent: 0 }
    }
}

impl<S: AsyncWrite + Unpin> Refusals<S> {
    /// Sends what is left of a document.
    fn poll_document(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.document.get(self.sent..) {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusals<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

/// Not vectored: a head comes in one piece.
impl<S: AsyncWrite + Unpin> AsyncWrite for Refusals<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_document(context))?;
        let Some(document) = document(bytes) else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        (this.document, this.sent) = (document, 0);
        // What the stream does not take now is sent by the flush that follows.
        match this.poll_document(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_document(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_document(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// The whole answer instead of a bare refusal. What our routes refuse always has a media type.
fn document(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(bytes.strip_prefix(b"HTTP/1.1 4")?).ok()?;
    let head = head.strip_suffix("\r\n\r\n")?;
    let lower = head.to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    let status = format!("4{}", lines.next()?.split(' ').next()?).parse().ok()?;
    let is_bare = lower.contains("\r\ncontent-length: 0") && !lower.contains("\r\ncontent-type:");
    if !is_bare || head.contains("\r\n\r\n") {
        return None;
    }
    let error = match StatusCode::from_u16(status).ok()? {
        StatusCode::BAD_REQUEST => AdminError::Malformed,
        StatusCode::URI_TOO_LONG => AdminError::UriTooLong,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => AdminError::HeadTooLong,
        _ => return None,
    };
    let others = lines.filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let others: String = others.map(|line| format!("{line}\r\n")).collect();
    Some(error.on_the_wire(&others))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const BARE: &str =
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu\r\n\r\n";

    #[test]
    fn only_bare_refusals_get_a_document() {
        let told = String::from_utf8(document(BARE.as_bytes()).unwrap()).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains("connection: close") && head.contains("date: Thu"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&"malformed-request".into(), &400.into()));
        for status in ["414 URI Too Long", "431 Request Header Fields Too Large"] {
            let told = document(BARE.replace("400 Bad Request", status).as_bytes()).unwrap();
            let told = String::from_utf8(told).unwrap();
            assert!(told.contains(r#""code":"head-too-long""#), "{told}");
        }
        let ours = BARE.replace("date: Thu", "content-type: application/problem+json");
        for other in [&ours, &BARE.replace("400", "200"), &format!("{BARE}{{}}"), "", "HTTP/1.1 4"]
        {
            assert_eq!(document(other.as_bytes()), None, "{other}");
        }
    }

    /// A client may take a document byte by byte.
    #[tokio::test]
    async fn a_slow_client_gets_the_whole_document() {
        let (mut client, server) = tokio::io::duplex(1);
        let mut server = Refusals::on(server);
        let written = tokio::spawn(async move {
            server.write_all(BARE.as_bytes()).await.unwrap();
            server.flush().await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut told = String::new();
        client.read_to_string(&mut told).await.unwrap();
        written.await.unwrap();
        assert_eq!(told.as_bytes(), document(BARE.as_bytes()).unwrap());
    }
}
