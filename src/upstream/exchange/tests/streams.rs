//! Bodies in both directions: framed, at once, and no faster than they are taken.

use super::*;

/// Sends a request with a body of these parts, and returns what the target read of it behind the head.
async fn sent(fields: &[(&str, &str)], parts: &[&str], trailers: &[(&str, &str)]) -> String {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", fields), Some(fed));
    let (mut line, head) = peer.arrival(&mut exchange).await;
    let end = async {
        for part in parts {
            feed(&body, part.as_bytes()).await;
        }
        if trailers.is_empty() {
            return drop(body);
        }
        let mut fields = http::HeaderMap::new();
        for (name, value) in trailers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, value.parse().unwrap());
        }
        body.ready().await.unwrap();
        body.finish(fields).unwrap();
    };
    meanwhile(&mut exchange, end).await;
    let read = async {
        let mut read = String::new();
        let is_chunked = head.contains("\r\ntransfer-encoding: chunked\r\n");
        let length: usize = parts.iter().map(|part| part.len()).sum();
        while !(is_chunked && read.ends_with("\r\n\r\n") || !is_chunked && read.len() == length) {
            read += &line.read(1).await;
        }
        read
    };
    let read = meanwhile(&mut exchange, read).await;
    line.send(OK).await;
    assert_eq!(whole(&mut exchange).await.failure, None);
    assert_eq!(peer.connections(), (1, 1));
    read
}

#[tokio::test]
async fn a_request_body_is_framed_as_its_head_says() {
    let length = [("content-length", "5")];
    assert_eq!(sent(&length, &["he", "llo"], &[]).await, "hello");
    assert_eq!(sent(&[], &["he", "llo"], &[]).await, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    assert_eq!(sent(&[], &[], &[]).await, "0\r\n\r\n");
    assert_eq!(sent(&[], &["", "x", ""], &[]).await, "1\r\nx\r\n0\r\n\r\n");
    let trailers = [("x-a", "1"), ("content-length", "7"), ("grpc-status", "0")];
    let read = sent(&[("trailer", "x-a")], &["hello"], &trailers).await;
    assert_eq!(read, "5\r\nhello\r\n0\r\nx-a: 1\r\ngrpc-status: 0\r\n\r\n");
    let large = "x".repeat(100_000);
    let read = sent(&[], &[&large, "y"], &[]).await;
    assert_eq!(read, format!("186a0\r\n{large}\r\n1\r\ny\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_request_body_of_another_length_is_never_complete() {
    for (parts, is_too_long) in [(vec!["he"], false), (vec!["hello", "x"], true)] {
        let peer = Peer::new().await;
        let (body, fed) = Feed::new();
        let mut exchange = peer.start(request("POST", &[("content-length", "5")]), Some(fed));
        let (mut line, _) = peer.arrival(&mut exchange).await;
        for part in parts {
            if within(body.ready()).await.is_ok() {
                body.send(part.as_bytes().to_vec().into()).ok();
                is_pending(&mut exchange).await;
            }
        }
        drop(body);
        if is_too_long {
            // The target has its request, and nothing of what is too much.
            assert_eq!(line.read(5).await, "hello");
            line.send(OK).await;
            assert_eq!(whole(&mut exchange).await.status, 200);
            continue;
        }
        let answer = whole(&mut exchange).await;
        assert_eq!(failure(answer), (FailureKind::Reset, Sent::Maybe, false));
        drop(exchange);
        assert_eq!(line.rest().await, "he");
    }
}

#[tokio::test]
async fn both_directions_run_at_once() {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[]), Some(fed));
    let (mut line, _) = peer.arrival(&mut exchange).await;
    line.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert!(matches!(within(exchange.next()).await, Event::Head(_)));
    for _ in 0..3 {
        meanwhile(&mut exchange, feed(&body, b"ping")).await;
        assert_eq!(meanwhile(&mut exchange, line.read(9)).await, "4\r\nping\r\n");
        line.send("4\r\npong\r\n").await;
        let Event::Data(data) = within(exchange.next()).await else { panic!("no data") };
        assert_eq!(data, "pong");
    }
    drop(body);
    assert_eq!(meanwhile(&mut exchange, line.read(5)).await, "0\r\n\r\n");
    line.send("0\r\ngrpc-status: 0\r\n\r\n").await;
    let answer = whole(&mut exchange).await;
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    assert_eq!(peer.connections(), (1, 1));
}

#[tokio::test]
async fn a_response_is_read_no_faster_than_it_is_asked_for() {
    const LENGTH: usize = 64 << 20;
    let peer = Peer::new().await;
    let mut exchange = peer.get();
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    line.send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
    assert!(matches!(within(exchange.next()).await, Event::Head(_)));
    let data = vec![b'x'; LENGTH];
    let mut write = Box::pin(line.0.write_all(&data));
    let pause = Duration::from_millis(200);
    assert!(tokio::time::timeout(pause, write.as_mut()).await.is_err(), "it is all taken");
    let (answer, written) = tokio::join!(whole(&mut exchange), write);
    written.unwrap();
    assert_eq!((answer.body.len(), answer.failure), (LENGTH, None));
}

#[tokio::test]
async fn a_request_is_taken_no_faster_than_its_target_reads() {
    const PART: usize = 64 << 10;
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[]), Some(fed));
    let (mut line, _) = peer.arrival(&mut exchange).await;
    let mut parts = 0;
    let fill = async {
        loop {
            feed(&body, &[b'x'; PART]).await;
            parts += 1;
        }
    };
    let fill = tokio::time::timeout(Duration::from_millis(200), fill);
    assert!(meanwhile(&mut exchange, fill).await.is_err());
    assert!(parts < (64 << 20) / PART, "{parts} parts are taken");
    drop(body);
    let drain = async {
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        while read < parts * PART {
            read += within(line.0.read(&mut buffer)).await.unwrap();
        }
        line.send(OK).await;
    };
    let (answer, ()) = tokio::join!(whole(&mut exchange), drain);
    assert_eq!((answer.status, answer.failure), (200, None));
}
