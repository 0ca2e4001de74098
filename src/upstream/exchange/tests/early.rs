//! Responses that come before the request is complete, and bodies that wait to be asked for.

use super::*;

const REFUSED: &str = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";

#[tokio::test]
async fn a_response_ends_the_request_that_it_does_not_wait_for() {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[("content-length", "1000000")]), Some(fed));
    let (mut line, _) = peer.arrival(&mut exchange).await;
    meanwhile(&mut exchange, feed(&body, b"some")).await;
    line.send(REFUSED).await;
    let answer = whole(&mut exchange).await;
    assert_eq!((answer.status, answer.body.as_slice()), (413, b"no".as_slice()));
    assert!(body.ready().await.is_err(), "the body is not wanted any more");
    assert_eq!(peer.connections(), (0, 0));
}

#[tokio::test]
async fn a_response_survives_the_reset_after_it() {
    for length in [Some("1000000"), None] {
        let peer = Peer::new().await;
        let (body, fed) = Feed::new();
        let fields: Vec<_> = length.into_iter().map(|length| ("content-length", length)).collect();
        let mut exchange = peer.start(request("POST", &fields), Some(fed));
        let (mut line, _) = peer.arrival(&mut exchange).await;
        line.send(REFUSED).await;
        line.reset();
        // The write fails, and the response is still there to be read.
        feed(&body, &[b'x'; 100_000]).await;
        let answer = whole(&mut exchange).await;
        assert_eq!(answer.failure, None);
        assert_eq!((answer.status, answer.body.as_slice()), (413, b"no".as_slice()));
    }
}

#[tokio::test]
async fn a_reset_is_no_end_of_a_body_without_a_length() {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[]), Some(fed));
    let (mut line, _) = peer.arrival(&mut exchange).await;
    line.send("HTTP/1.1 200 OK\r\n\r\npart").await;
    line.reset();
    feed(&body, &[b'x'; 100_000]).await;
    let answer = whole(&mut exchange).await;
    assert_eq!(answer.status, 200);
    assert_eq!(failure(answer), (FailureKind::Reset, Sent::Maybe, false));
}

#[tokio::test]
async fn a_reset_without_a_response_is_told() {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[]), Some(fed));
    let (line, _) = peer.arrival(&mut exchange).await;
    line.reset();
    feed(&body, &[b'x'; 100_000]).await;
    let answer = whole(&mut exchange).await;
    assert!(answer.failure.as_ref().unwrap().detail.contains("reset the connection"));
    assert_eq!(failure(answer), (FailureKind::Reset, Sent::Maybe, false));
}

/// Starts an upload that waits for `100 Continue`, and reads its head.
async fn expect(peer: &Peer) -> (Exchange, Feed, Line) {
    let (body, fed) = Feed::new();
    let fields = [("content-length", "4"), ("expect", "100-continue")];
    let mut exchange = peer.start(request("PUT", &fields), Some(fed));
    feed(&body, b"body").await;
    let (line, head) = peer.arrival(&mut exchange).await;
    assert!(head.contains("\r\nexpect: 100-continue\r\n"));
    assert!(is_pending(&mut exchange).await);
    (exchange, body, line)
}

#[tokio::test]
async fn a_body_waits_until_it_is_asked_for() {
    let peer = Peer::new().await;
    let (mut exchange, body, mut line) = expect(&peer).await;
    line.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(matches!(within(exchange.next()).await, Event::Informational(_)));
    assert_eq!(meanwhile(&mut exchange, line.read(4)).await, "body");
    drop(body);
    line.send(OK).await;
    assert_eq!(whole(&mut exchange).await.status, 200);
    assert_eq!(peer.connections(), (1, 1));
}

#[tokio::test]
async fn a_body_that_is_refused_is_not_sent() {
    let peer = Peer::new().await;
    let (mut exchange, body, mut line) = expect(&peer).await;
    line.send("HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno").await;
    let answer = whole(&mut exchange).await;
    assert_eq!((answer.status, answer.failure), (417, None));
    assert_eq!(line.rest().await, "");
    assert_eq!(peer.connections(), (0, 0));
    assert!(body.ready().await.is_err());
}

#[tokio::test]
async fn a_body_waits_a_second_at_most() {
    let peer = Peer::new().await;
    let (mut exchange, body, mut line) = expect(&peer).await;
    assert_eq!(meanwhile(&mut exchange, line.read(4)).await, "body");
    drop(body);
    line.send(OK).await;
    assert_eq!(whole(&mut exchange).await.status, 200);
}
