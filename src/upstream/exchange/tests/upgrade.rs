//! Connections that switch to another protocol.

use super::*;

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst";

/// An exchange that was upgraded, after the target's first bytes.
async fn upgraded(peer: &Peer) -> (Exchange, Feed, Line) {
    let (body, fed) = Feed::new();
    let fields = [("connection", "keep-alive, upgrade"), ("upgrade", "websocket")];
    let mut exchange = peer.start(request("GET", &fields), Some(fed));
    // Nothing may be sent before the target agrees.
    feed(&body, b"early").await;
    let (mut line, head) = peer.arrival(&mut exchange).await;
    assert!(head.contains("\r\nconnection: upgrade\r\nupgrade: websocket\r\n"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    line.send(SWITCHED).await;
    let Event::Head(head) = within(exchange.next()).await else { panic!("no head") };
    assert_eq!(head.status, 101);
    data(&mut exchange, "first").await;
    assert_eq!(meanwhile(&mut exchange, line.read(5)).await, "early");
    (exchange, body, line)
}

async fn data(exchange: &mut Exchange, expected: &str) {
    let Event::Data(data) = within(exchange.next()).await else { panic!("no data") };
    assert_eq!(data, expected);
}

#[tokio::test]
async fn bytes_pass_in_both_directions_until_the_client_closes() {
    let peer = Peer::new().await;
    let (mut exchange, body, mut line) = upgraded(&peer).await;
    meanwhile(&mut exchange, feed(&body, b"ping")).await;
    assert_eq!(meanwhile(&mut exchange, line.read(4)).await, "ping");
    line.send("pong").await;
    data(&mut exchange, "pong").await;
    // The client closes its direction, and still gets what the target sends.
    drop(body);
    assert_eq!(meanwhile(&mut exchange, line.rest()).await, "");
    line.send("last").await;
    data(&mut exchange, "last").await;
    drop(line);
    assert!(matches!(within(exchange.next()).await, Event::End));
    assert_eq!(peer.connections(), (0, 0));
}

#[tokio::test]
async fn our_direction_goes_on_after_the_target_has_closed_its_own() {
    let peer = Peer::new().await;
    let (mut exchange, body, mut line) = upgraded(&peer).await;
    line.0.shutdown().await.unwrap();
    assert!(matches!(within(exchange.next()).await, Event::End));
    meanwhile(&mut exchange, feed(&body, b"still")).await;
    assert_eq!(meanwhile(&mut exchange, line.read(5)).await, "still");
    drop(body);
    assert!(matches!(within(exchange.next()).await, Event::End));
    assert_eq!(line.rest().await, "");
    assert_eq!(peer.connections(), (0, 0));
}

#[tokio::test]
async fn a_reset_is_told() {
    let peer = Peer::new().await;
    let (mut exchange, _body, line) = upgraded(&peer).await;
    line.reset();
    assert_eq!(failure(whole(&mut exchange).await).0, FailureKind::Reset);
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_a_response_like_others() {
    let peer = Peer::new().await;
    let (body, fed) = Feed::new();
    let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
    let mut exchange = peer.start(request("GET", &fields), Some(fed));
    let (mut line, _) = peer.arrival(&mut exchange).await;
    feed(&body, b"GET /smuggled HTTP/1.1\r\n\r\n").await;
    line.send(OK).await;
    let answer = whole(&mut exchange).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"hi".as_slice()));
    assert!(body.ready().await.is_err());
    // Nothing of the other protocol was sent, so the connection serves the next request.
    assert_eq!(peer.connections(), (1, 1));
    let mut next = peer.get();
    assert!(meanwhile(&mut next, line.head()).await.starts_with("GET /path?query "));
}
