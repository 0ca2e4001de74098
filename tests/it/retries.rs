//! Requests that a target failed, and that are sent again: what may be done twice, and never anything else.

use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream, refusing};

use crate::support::{Response, Site, Watershed, limits, split, upstream};

const HOST: &str = "api.localhost";
/// No target is passed over, and retries are as many as requests may be; three a second are always within the budget.
const FREELY: &str = "eject = false\nretry = { budget = \"100%\" }";

/// A service whose only version has these targets.
fn serve(targets: &[std::net::SocketAddr], lines: &str, bounds: &str) -> Watershed {
    let text = upstream("v1", targets, lines) + &limits(bounds) + &split("v1 = 100");
    Site::new().service("api", &text).start()
}

fn ask(watershed: &Watershed, method: &str, body: &[u8]) -> Response {
    watershed.http1().ask(method, HOST, "/", &[], body)
}

fn resets() -> Upstream {
    Upstream::http1(Script::new().read_head().read_body().reset())
}

#[test]
fn a_target_that_cannot_be_connected_to_is_no_failure() {
    let ((dead, _held), live) = (refusing(), Upstream::http1(Script::echo()));
    let watershed = serve(&[dead, live.address()], FREELY, "");
    for method in ["GET", "POST", "PATCH"] {
        let response = ask(&watershed, method, b"once");
        assert_eq!((response.status, response.text().as_str()), (200, "once"), "{method}");
    }
    assert_eq!(live.arrived().requests(), 3);
    watershed.await_outcomes("2xx", 3);
    let named = "environment=default service=";
    watershed.log_line(&["code=\"connect\"", &dead.to_string(), "asked again", named]);
}

#[test]
fn a_reset_is_retried_only_where_twice_is_harmless() {
    let (bad, good) = (resets(), Upstream::http1(Script::echo()));
    let watershed = serve(&[bad.address(), good.address()], FREELY, "");
    for method in ["GET", "PUT", "DELETE"] {
        for _ in 0..4 {
            let response = ask(&watershed, method, b"twice");
            assert_eq!((response.status, response.text().as_str()), (200, "twice"), "{method}");
        }
    }
    let before = (bad.arrived().requests(), good.arrived().requests());
    let statuses: Vec<_> = (0..6).map(|_| ask(&watershed, "POST", b"once").status).collect();
    let failed = statuses.iter().filter(|status| **status == 502).count();
    let served = statuses.iter().filter(|status| **status == 200).count();
    let after = (bad.arrived().requests(), good.arrived().requests());
    assert_eq!((after.0 - before.0, after.1 - before.1), (failed, served));
    assert!(failed > 0 && failed + served == 6, "{statuses:?}");
    watershed.await_outcomes("upstream-reset", u32::try_from(failed).unwrap());
}

#[test]
fn what_is_not_listed_is_not_retried() {
    let (bad, good) = (resets(), Upstream::http1(Script::echo()));
    let lines = "eject = false\nretry = { on = [\"connect\"] }";
    let watershed = serve(&[bad.address(), good.address()], lines, "");
    let statuses: Vec<_> = (0..6).map(|_| ask(&watershed, "GET", b"").status).collect();
    assert!(statuses.contains(&502), "{statuses:?}");
    assert_eq!(bad.arrived().requests() + good.arrived().requests(), 6);
}

/// The first request makes a connection, which the target closes once the response is out.
#[test]
fn a_kept_connection_that_was_closed_is_not_the_clients_problem() {
    let target = Upstream::scripted(|visit| match visit.request {
        0 => Script::echo(),
        _ => Script::new().read_head().close(),
    });
    let lines = "retry = { attempts = 0 }";
    let watershed = serve(&[target.address()], lines, "");
    let mut client = watershed.http1();
    for _ in 0..10 {
        assert_eq!(client.ask("PUT", HOST, "/", &[], b"again").text(), "again");
    }
    assert!(target.arrived().connections() >= 10);
    watershed.await_outcomes("2xx", 10);
}

#[test]
fn statuses_are_retried_for_idempotent_methods_only() {
    let (bad, good) =
        (Upstream::http1(Script::status(503, "busy")), Upstream::http1(Script::echo()));
    let lines = "eject = false\nretry = { on = [\"503\"], budget = \"100%\" }";
    let watershed = serve(&[bad.address(), good.address()], lines, "");
    for _ in 0..6 {
        assert_eq!(ask(&watershed, "PUT", b"x").status, 200);
    }
    let statuses: Vec<_> = (0..6).map(|_| ask(&watershed, "POST", b"x").status).collect();
    assert!(statuses.contains(&503) && statuses.contains(&200), "{statuses:?}");
    assert!(bad.arrived().requests() <= 9, "no POST was sent twice");
}

/// The last attempt's own response is what the client gets.
#[test]
fn a_status_that_stays_reaches_the_client() {
    let bad = Upstream::http1(Script::status(503, "busy"));
    let watershed = serve(&[bad.address()], "retry = { on = [\"503\"] }", "");
    let response = ask(&watershed, "GET", b"");
    assert_eq!((response.status, response.text().as_str()), (503, "busy"));
    assert_eq!(response.header("watershed-error"), None);
    watershed.await_outcomes("5xx", 1);
}

#[test]
fn a_body_beyond_the_buffer_is_sent_once() {
    let (bad, good) = (resets(), Upstream::http1(Script::echo()));
    let watershed = serve(&[bad.address(), good.address()], FREELY, "");
    let (small, large) = (vec![b'x'; 64 << 10], vec![b'x'; (64 << 10) + 1]);
    for _ in 0..3 {
        assert_eq!(ask(&watershed, "PUT", &small).body, small);
    }
    let statuses: Vec<_> = (0..4).map(|_| ask(&watershed, "PUT", &large).status).collect();
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
}

/// Nothing was read of it before a target was there.
#[test]
fn a_large_body_survives_a_target_that_cannot_be_connected_to() {
    let ((dead, _held), live) = (refusing(), Upstream::http1(Script::echo()));
    let watershed = serve(&[dead, live.address()], FREELY, "");
    let large = vec![b'x'; 1 << 20];
    for _ in 0..3 {
        assert_eq!(ask(&watershed, "POST", &large).body, large);
    }
}

/// The time until the head is that of the request, however many targets are asked.
#[test]
fn all_attempts_share_the_wall_time() {
    let slow = || {
        let pause = Duration::from_millis(600);
        Upstream::http1(Script::new().read_head().pause(pause).reset())
    };
    let targets = [slow(), slow(), slow()];
    let addresses = targets.each_ref().map(Upstream::address);
    let lines = "eject = false\nretry = { budget = \"100%\" }";
    let watershed = serve(&addresses, lines, "wall-time = \"1s\"");
    let started = Instant::now();
    let response = ask(&watershed, "GET", b"");
    assert_eq!((response.status, response.header("watershed-error")), (504, Some("wall-time")));
    assert!(started.elapsed() < Duration::from_millis(1_700), "{:?}", started.elapsed());
}

/// Whether a 408 on a kept connection is about its idleness or about the request, nobody can tell: what must not be sent
/// twice gets it.
#[test]
fn a_408_of_a_kept_connection_is_the_answer_to_what_is_not_idempotent() {
    let timed_out =
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 4\r\n\r\nslow";
    for (method, status, text) in [("POST", 408, "slow"), ("GET", 200, "ok")] {
        let target = Upstream::scripted(move |visit| match (visit.connection, visit.request) {
            (0, 1) => Script::answer(timed_out).close(),
            _ => Script::text("ok"),
        });
        let watershed = serve(&[target.address()], "", "");
        let mut client = watershed.http1();
        assert_eq!(client.get(HOST, "/").text(), "ok");
        let response = client.ask(method, HOST, "/", &[], b"");
        assert_eq!((response.status, response.text().as_str()), (status, text), "{method}");
    }
}

/// A trailer and a body in chunks are sent again as they were.
#[test]
fn a_chunked_body_is_sent_again_with_its_trailers() {
    let target = Upstream::scripted(|visit| match visit.connection {
        0 => Script::new().read_head().read_body().reset(),
        _ => Script::echo(),
    });
    let watershed = serve(&[target.address()], FREELY, "");
    let mut client = watershed.http1();
    client.send(format!("PUT / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n"));
    client.send("3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n");
    let response = client.response("PUT");
    assert_eq!((response.status, response.text().as_str()), (200, "abcde"));
    assert_eq!(response.trailers, [("x-sum".to_owned(), "5".to_owned())]);
}

/// All targets fail under load: the budget bounds what that adds.
#[test]
fn a_storm_is_bounded_by_the_budget() {
    let targets = [resets(), resets()];
    let addresses = targets.each_ref().map(Upstream::address);
    let watershed = serve(&addresses, "eject = false", "");
    let requests = 300;
    let mut client = watershed.http1();
    for _ in 0..requests {
        assert_eq!(client.get(HOST, "/").status, 502);
    }
    let arrived: usize = targets.iter().map(|target| target.arrived().requests()).sum();
    // At least three retries a second are allowed beside 20 %.
    assert!(arrived < requests * 13 / 10 + 30, "{arrived} attempts for {requests} requests");
}
