//! Connections that serve several requests, and those that must not.

use super::*;

/// One more request, which `line` answers, or a new connection if `line` is none.
async fn ask(peer: &Peer, line: &mut Line) -> Answer {
    let mut exchange = peer.get();
    let serve = async {
        line.head().await;
        line.send(OK).await;
    };
    tokio::join!(whole(&mut exchange), serve).0
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let peer = Peer::new().await;
    let mut line = peer.serve_one(OK).await;
    for _ in 0..3 {
        let answer = ask(&peer, &mut line).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"hi".as_slice()));
        assert_eq!(peer.connections(), (1, 1));
    }
}

#[tokio::test]
async fn the_connection_that_was_used_last_is_used_next() {
    let peer = Peer::new().await;
    let (mut one, mut other) = (peer.get(), peer.get());
    let mut first = meanwhile(&mut one, peer.accept()).await;
    let mut second = meanwhile(&mut other, peer.accept()).await;
    for line in [&mut second, &mut first] {
        line.send(OK).await;
    }
    whole(&mut other).await;
    whole(&mut one).await;
    assert_eq!(peer.connections(), (2, 2));
    for line in [&mut first, &mut second] {
        line.head().await;
    }
    ask(&peer, &mut first).await;
    ask(&peer, &mut first).await;
    assert_eq!(peer.connections(), (2, 2));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    for method in ["GET", "POST"] {
        let peer = Peer::new().await;
        drop(peer.serve_one(OK).await);
        let mut exchange = peer.start(request(method, &[]), None);
        let serve = async {
            let mut line = peer.accept().await;
            line.head().await;
            line.send(OK).await;
            line
        };
        // A request that may be repeated may meet the end that the reactor has not told yet.
        if method == "GET" {
            tokio::task::yield_now().await;
        }
        let (answer, _line) = tokio::join!(whole(&mut exchange), serve);
        assert_eq!((answer.status, answer.failure), (200, None), "{method}");
    }
}

#[tokio::test]
async fn an_end_before_the_response_is_stale_only_on_a_kept_connection() {
    let peer = Peer::new().await;
    for (is_reused, part) in [(false, ""), (true, ""), (true, "HTTP/1.1 2")] {
        let mut line = match is_reused {
            true => Some(peer.serve_one(OK).await),
            false => None,
        };
        let mut exchange = peer.get();
        let serve = async {
            if line.is_none() {
                line = Some(peer.accept().await);
            }
            let mut line = line.take().unwrap();
            line.head().await;
            line.send(part).await;
        };
        let (answer, ()) = tokio::join!(whole(&mut exchange), serve);
        let is_stale = is_reused && part.is_empty();
        assert_eq!(failure(answer), (FailureKind::Reset, Sent::Maybe, is_stale));
        assert_eq!(peer.connections(), (0, 0));
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_reset_is_stale() {
    let peer = Peer::new().await;
    let mut line = peer.serve_one(OK).await;
    let mut exchange = peer.get();
    meanwhile(&mut exchange, line.head()).await;
    line.reset();
    let answer = whole(&mut exchange).await;
    assert_eq!(failure(answer), (FailureKind::Reset, Sent::Maybe, true));
}

#[tokio::test]
async fn a_connection_that_says_408_when_it_closes_is_stale() {
    let peer = Peer::new().await;
    let mut line = peer.serve_one(OK).await;
    let timed_out = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n";
    let mut exchange = peer.get();
    meanwhile(&mut exchange, line.head()).await;
    line.send(timed_out).await;
    drop(line);
    assert!(failure(whole(&mut exchange).await).2);
    // On a new connection it is an answer.
    let mut exchange = peer.get();
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    line.send(timed_out).await;
    drop(line);
    assert_eq!(whole(&mut exchange).await.status, 408);
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_are_not_taken_for_an_answer() {
    let peer = Peer::new().await;
    let mut line = peer.serve_one(OK).await;
    line.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await;
    // The kernel has them, whether the reactor has told or not.
    let mut exchange = peer.start(request("POST", &[]), None);
    let mut fresh = meanwhile(&mut exchange, peer.accept()).await;
    fresh.send(OK).await;
    assert_eq!(whole(&mut exchange).await.body, b"hi");
    // Bytes that come with the response before.
    drop(fresh);
    let peer = Peer::new().await;
    peer.serve_one(&format!("{OK}{OK}")).await;
    assert_eq!(peer.connections(), (0, 0));
}

#[tokio::test]
async fn a_connection_is_kept_only_if_both_sides_keep_it() {
    for (answer, is_kept) in [
        (OK, true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nkeep-alive: timeout=0\r\n\r\nhi", false),
    ] {
        let peer = Peer::new().await;
        let _line = peer.serve_one(answer).await;
        let kept = usize::from(is_kept);
        assert_eq!(peer.connections(), (kept, kept), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_old_or_closed_is_swept() {
    let short = Duration::from_millis(30);
    let peer = Peer::with(|spec, _| spec.idle_timeout = short).await;
    let _line = peer.serve_one(OK).await;
    until(|| {
        peer.upstream.sweep();
        peer.connections() == (0, 0)
    })
    .await;
    let peer = Peer::new().await;
    let line = peer.serve_one(OK).await;
    peer.upstream.sweep();
    assert_eq!(peer.connections(), (1, 1));
    drop(line);
    until(|| {
        peer.upstream.sweep();
        peer.connections() == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn an_exchange_that_is_dropped_closes_its_connection() {
    let peer = Peer::new().await;
    let mut exchange = peer.get();
    let (mut line, _) = peer.arrival(&mut exchange).await;
    drop(exchange);
    assert_eq!(line.rest().await, "");
    assert_eq!(peer.connections(), (0, 0));
}

#[tokio::test]
async fn a_fresh_connection_is_made_if_asked_for() {
    let peer = Peer::new().await;
    let _line = peer.serve_one(OK).await;
    let attempt = Attempt { on_new_connection: true, ..Attempt::default() };
    let mut exchange = peer.upstream.start(request("GET", &[]), None, &attempt).unwrap();
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    line.send(OK).await;
    assert_eq!(whole(&mut exchange).await.status, 200);
    assert_eq!(peer.connections(), (2, 2));
}

#[test]
fn connections_are_given_up_before_the_target_does() {
    let seconds = Duration::from_secs;
    for (own, target, kept) in [
        (60, None, seconds(60)),
        (60, Some(5), seconds(4)),
        (60, Some(1), Duration::from_millis(500)),
        (60, Some(0), seconds(0)),
        (3, Some(600), seconds(3)),
    ] {
        assert_eq!(kept_time(seconds(own), target.map(seconds)), kept);
    }
}
