//! Targets that fail requests.

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{EjectSpec, TargetSpec};

/// A server that answers each connection's first request with this text, and closes it.
async fn serve(answer: &'static str) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 2048];
                drop(stream.read(&mut head).await);
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    address
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const BAD: &str = "HTTP/1.1 500 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

async fn upstream(addresses: &[SocketAddr], targets: &Targets) -> Arc<Upstream> {
    let target = |address: &SocketAddr| TargetSpec::new(TargetAddress::Address(*address));
    let spec = UpstreamSpec::new(addresses.iter().map(target).collect());
    Upstream::prepare(&spec, &Limits::default(), targets).await.unwrap()
}

/// Makes a request, and reads its response to the end.
async fn ask(upstream: &Arc<Upstream>) {
    let request = Request::get("http://service.test/").body(()).unwrap();
    let mut exchange = upstream.start(request, None, &Attempt::default()).unwrap();
    while !matches!(exchange.next().await, Event::End | Event::Failed(_)) {}
}

fn healths(upstream: &Upstream) -> Vec<&'static str> {
    upstream.states().iter().map(|state| state.health.as_str()).collect()
}

#[tokio::test]
async fn a_target_that_fails_five_requests_in_a_row_is_ejected_for_everybody() {
    let targets = Targets::default();
    let addresses = [serve(GOOD).await, serve(BAD).await];
    let first = upstream(&addresses, &targets).await;
    let other = upstream(&addresses, &targets).await;
    for _ in 0..10 {
        ask(&first).await;
    }
    assert_eq!(healths(&first), ["healthy", "ejected"]);
    assert_eq!(healths(&other), ["healthy", "ejected"]);
    for _ in 0..10 {
        ask(&other).await;
    }
    let [good, bad] = first.states().try_into().unwrap();
    assert_eq!((good.requests, good.errors, good.in_flight), (15, 0, 0));
    assert_eq!((bad.requests, bad.errors, bad.in_flight), (5, 5, 0));
    assert_eq!((bad.ejections, bad.why.as_deref()), (1, Some("status 500")));
    assert!(good.latency.is_some());
    assert!(first.is_healthy());
}

#[tokio::test]
async fn what_refuses_connections_or_resets_them_is_ejected_but_never_the_last() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = socket.local_addr().unwrap();
    drop(socket);
    for failing in [closed, serve("").await, serve("SSH-2.0-x\r\n\r\n").await] {
        let one = upstream(&[failing, serve(GOOD).await], &Targets::default()).await;
        for _ in 0..10 {
            ask(&one).await;
        }
        assert_eq!(healths(&one), ["ejected", "healthy"]);
        let alone = upstream(&[failing], &Targets::default()).await;
        for _ in 0..10 {
            ask(&alone).await;
        }
        assert_eq!(healths(&alone), ["healthy"]);
        assert_eq!(alone.states()[0].errors, 10);
    }
}

/// A client that goes away says nothing about the target.
#[tokio::test]
async fn clients_that_leave_are_not_the_targets_fault() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [silent.local_addr().unwrap(), serve(GOOD).await];
    let upstream = upstream(&addresses, &Targets::default()).await;
    for _ in 0..20 {
        let request = Request::get("http://service.test/").body(()).unwrap();
        let mut exchange = upstream.start(request, None, &Attempt::default()).unwrap();
        tokio::select! {
            _ = exchange.next() => {}
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }
    assert_eq!(healths(&upstream), ["healthy", "healthy"]);
    let [left, _] = upstream.states().try_into().unwrap();
    assert_eq!((left.requests, left.errors, left.in_flight), (10, 0, 0));
}

#[tokio::test]
async fn a_target_that_nobody_names_is_gone() {
    let targets = Targets::default();
    let addresses = [serve(GOOD).await, serve(GOOD).await];
    let both = upstream(&addresses, &targets).await;
    let second = upstream(&addresses[1..], &targets).await;
    assert_eq!(targets.count(), 2);
    assert!(Arc::ptr_eq(&both.set().members()[1].target, &second.set().members()[0].target));
    drop(both);
    assert_eq!(targets.count(), 1);
    second.renew(&[vec![addresses[0], addresses[1], addresses[0]]]);
    let known: Vec<_> = second.states().into_iter().map(|state| state.address).collect();
    assert_eq!(known, addresses, "an address that a resolver says twice is one target");
    drop(second);
    assert_eq!(targets.count(), 0);
}

#[tokio::test]
async fn without_ejection_every_target_is_asked() {
    let spec = UpstreamSpec {
        eject: None,
        ..UpstreamSpec::new(vec![
            TargetSpec::new(TargetAddress::Address(serve(GOOD).await)),
            TargetSpec::new(TargetAddress::Address(serve(BAD).await)),
        ])
    };
    let prepared = Upstream::prepare(&spec, &Limits::default(), &Targets::default()).await;
    let upstream = prepared.unwrap();
    for _ in 0..40 {
        ask(&upstream).await;
    }
    let requests: Vec<_> = upstream.states().iter().map(|state| state.requests).collect();
    assert_eq!(requests, [20, 20]);
    assert_eq!(EjectSpec::default().failures.get(), 5, "as the other tests have it");
}
