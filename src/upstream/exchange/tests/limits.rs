//! Targets that are not there, do not answer, or stop.

use socket2::{Domain, Socket, Type};

use super::*;

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = upstream(address, |_, _| {}).await;
    let mut exchange = upstream.start(request("GET", &[]), None, &Attempt::default()).unwrap();
    let answer = whole(&mut exchange).await;
    let detail = &answer.failure.as_ref().unwrap().detail;
    assert!(detail.starts_with(&address.to_string()), "{detail}");
    assert_eq!(failure(answer), (FailureKind::Connect, Sent::Nothing, false));
    assert_eq!(exchange.into_request().uri, "/path?query");
}

#[tokio::test]
async fn nobody_accepts_in_time() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The backlog is full.
    let _waiting = TcpStream::connect(address).await.unwrap();
    let time = Duration::from_millis(100);
    let upstream = upstream(address, |spec, _| spec.connect_timeout = time).await;
    let mut exchange = upstream.start(request("GET", &[]), None, &Attempt::default()).unwrap();
    let answer = whole(&mut exchange).await;
    assert_eq!(failure(answer), (FailureKind::Connect, Sent::Nothing, false));
}

#[tokio::test]
async fn a_head_must_come_within_the_wall_time() {
    let peer = Peer::with(|_, limits| limits.wall_time = Duration::from_millis(60)).await;
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let mut exchange = peer.get();
        let mut line = meanwhile(&mut exchange, peer.accept()).await;
        line.send(part).await;
        let answer = whole(&mut exchange).await;
        assert_eq!(failure(answer), (FailureKind::WallTime, Sent::Maybe, false), "{part:?}");
        assert_eq!(peer.connections(), (0, 0));
    }
}

#[tokio::test]
async fn a_body_may_pause_for_the_idle_time() {
    let idle = crate::config::IdleTime::After(Duration::from_millis(60));
    let peer = Peer::with(|_, limits| limits.idle_time = idle).await;
    let mut exchange = peer.get();
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    line.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").await;
    let answer = whole(&mut exchange).await;
    assert_eq!(answer.body, b"he");
    assert_eq!(failure(answer), (FailureKind::IdleTime, Sent::Maybe, false));
}

#[tokio::test]
async fn a_stream_of_events_may_pause_for_ever() {
    let peer = Peer::with(|_, limits| {
        limits.idle_time = crate::config::IdleTime::Never;
        limits.wall_time = Duration::from_millis(60);
    })
    .await;
    let mut exchange = peer.get();
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    line.send("HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(matches!(within(exchange.next()).await, Event::Head(_)));
    meanwhile(&mut exchange, tokio::time::sleep(Duration::from_millis(200))).await;
    line.send("data: 1\n\n").await;
    assert!(matches!(within(exchange.next()).await, Event::Data(_)));
}

#[tokio::test]
async fn time_that_the_client_takes_is_not_charged() {
    let wall_time = Duration::from_millis(300);
    let peer = Peer::with(|_, limits| limits.wall_time = wall_time).await;
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[]), Some(fed));
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    let start = Instant::now();
    while start.elapsed() < wall_time * 2 {
        meanwhile(&mut exchange, tokio::time::sleep(wall_time / 10)).await;
        feed(&body, b"x").await;
        exchange.reset_patience();
    }
    drop(body);
    line.send(OK).await;
    assert_eq!(whole(&mut exchange).await.status, 200);
}

/// Also where all that is left of the body waits in kernels.
#[tokio::test]
async fn a_target_that_takes_a_body_slowly_is_not_late() {
    const PARTS: usize = 48;
    let part = "x".repeat(256 << 10);
    let wall_time = Duration::from_millis(400);
    let peer = Peer::with(|_, limits| limits.wall_time = wall_time).await;
    // What waits in the target's kernel looks taken, and must not be more than it reads within the time.
    let listener = socket2::SockRef::from(&peer.listener);
    listener.set_recv_buffer_size(64 << 10).unwrap();
    let length = (PARTS * part.len()).to_string();
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[("content-length", &length)]), Some(fed));
    let mut line = meanwhile(&mut exchange, peer.accept()).await;
    let sending = async move {
        for _ in 0..PARTS {
            feed(&body, part.as_bytes()).await;
        }
    };
    let start = Instant::now();
    let reading = async {
        line.head().await;
        for _ in 0..PARTS {
            tokio::time::sleep(wall_time / 10).await;
            line.read(256 << 10).await;
        }
        line.send(OK).await;
    };
    let (answer, (), ()) = tokio::join!(whole(&mut exchange), sending, reading);
    assert_eq!((answer.status, answer.failure), (200, None));
    assert!(start.elapsed() > wall_time * 4);
    // The time that was renewed ends all the same.
    let (body, fed) = Feed::new();
    let mut exchange = peer.start(request("POST", &[("content-length", "1")]), Some(fed));
    feed(&body, b"x").await;
    assert_eq!(failure(whole(&mut exchange).await).0, FailureKind::WallTime);
}
