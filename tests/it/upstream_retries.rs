//! What is sent again, how often, and what never is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream, Visit, refusing, silent};

use crate::support::{ONCE, Site, UP, Watershed, eventually, limits, upstream, within};

const NO_EJECTION: &str = "eject = false";

fn serve(targets: &[&Upstream], lines: &str) -> Watershed {
    let addresses: Vec<_> = targets.iter().map(|it| it.address()).collect();
    Site::new().service("up", &upstream("v1", &addresses, lines)).start()
}

/// The first request on a connection is answered, and at the second the connection is closed: as by a server whose idle
/// time ends at that moment.
fn stale(visit: Visit) -> Script {
    if visit.request == 0 { Script::text("hello") } else { Script::new().read_head().reset() }
}

/// sozu #1442, caddy #6452, h2o #281, aether #1839: a kept connection that was closed is not the client's problem.
#[test]
fn a_stale_connection_is_not_the_clients_problem() {
    let ways: [fn(Visit) -> Script; 4] = [
        // Closed, and the process may know.
        |visit| if visit.request == 0 { Script::text("hello").close() } else { Script::new() },
        // Reset, with the request unread.
        |visit| match visit.request {
            0 => Script::text("hello").pause(Duration::from_millis(50)).reset(),
            _ => Script::new(),
        },
        stale,
        // Closed in an orderly way, with the request read.
        |visit| match visit.request {
            0 => Script::text("hello"),
            _ => Script::new().read_head().close(),
        },
    ];
    for way in ways {
        let target = Upstream::scripted(way);
        let watershed = serve(&[&target], NO_EJECTION);
        for _ in 0..20 {
            let response = watershed.get(UP, "/");
            assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{response:?}");
        }
    }
}

/// A request that may have been acted on is not sent again.
#[test]
fn a_post_arrives_once() {
    let scripts: [fn(Visit) -> Script; 4] = [
        |_| Script::new().read_head().reset(),
        |_| Script::new().read_head().read_body().close(),
        |_| Script::new().read_head().read_body().send("HTTP/1.1 2").reset(),
        |_| Script::status(503, "no"),
    ];
    for script in scripts {
        let one = Upstream::scripted(script);
        let other = Upstream::scripted(script);
        let lines =
            "eject = false\nretry = { attempts = 3, on = [\"connect\", \"reset\", \"503\"] }";
        let watershed = serve(&[&one, &other], lines);
        for body in [&b""[..], b"hello"] {
            let before = one.arrived().requests() + other.arrived().requests();
            let response = watershed.http1().ask("POST", UP, "/", &[], body);
            assert!(matches!(response.status, 502 | 503), "{response:?}");
            let arrived = one.arrived().requests() + other.arrived().requests() - before;
            assert_eq!(arrived, 1, "{response:?}");
        }
    }
}

/// A POST on a stale connection is a 502, since the upstream may have begun.
#[test]
fn a_post_on_a_stale_connection_arrives_once() {
    let target = Upstream::scripted(stale);
    let watershed = serve(&[&target], NO_EJECTION);
    assert_eq!(watershed.get(UP, "/").status, 200);
    let response = watershed.http1().ask("POST", UP, "/", &[], b"hello");
    assert_eq!(response.header("watershed-error"), Some("upstream-reset"), "{response:?}");
    assert_eq!(target.arrived().requests(), 2);
}

#[test]
fn a_target_that_cannot_be_connected_to_is_not_the_clients_problem() {
    let good = Upstream::http1(Script::text("hello"));
    let (refuses, _kept) = refusing();
    let (says_nothing, _kept) = silent();
    for bad in [refuses, says_nothing] {
        // The default budget covers three retries a second.
        let lines = "eject = false\nconnect-timeout = \"200ms\"\nretry = { budget = \"100%\" }";
        let version = upstream("v1", &[bad, good.address()], lines);
        let watershed = Site::new().service("up", &version).start();
        for _ in 0..4 {
            let response = watershed.http1().ask("POST", UP, "/", &[], b"hello");
            assert_eq!(response.text(), "hello", "{response:?}");
        }
        let alone = Site::new().service("up", &upstream("v1", &[bad], lines)).start();
        let began = Instant::now();
        let response = alone.get(UP, "/");
        assert_eq!(response.header("watershed-error"), Some("connect"), "{response:?}");
        assert_eq!(response.status, 502);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(!response.text().contains(&bad.port().to_string()), "{response:?}");
    }
}

#[test]
fn statuses_are_retried_where_that_is_said() {
    let bad = Upstream::http1(Script::status(503, "no"));
    let good = Upstream::http1(Script::text("hello"));
    let watershed =
        serve(&[&bad, &good], "eject = false\nretry = { on = [\"503\"], budget = \"100%\" }");
    for _ in 0..8 {
        assert_eq!(watershed.get(UP, "/").text(), "hello");
    }
    assert!(bad.arrived().requests() > 0);
    let watershed = serve(&[&bad], NO_EJECTION);
    let response = watershed.get(UP, "/");
    assert_eq!((response.status, response.text().as_str()), (503, "no"));
}

/// Otherwise retries multiply the load at the worst moment.
#[test]
fn the_budget_bounds_a_storm() {
    let target = Upstream::http1(Script::new().read_head().reset());
    let watershed = serve(&[&target], "eject = false\nretry = { attempts = 10 }");
    let requests = AtomicUsize::new(0);
    let until = Instant::now() + Duration::from_secs(4);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = watershed.http1();
                while Instant::now() < until {
                    let response = client.get(UP, "/");
                    assert_eq!(response.status, 502);
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (sent, arrived) = (requests.into_inner(), target.arrived().requests());
    assert!(sent > 200, "{sent} requests");
    // Three retries a second are free.
    let allowed = sent + sent / 5 + 3 * 5 + 10;
    assert!(arrived <= allowed, "{sent} requests became {arrived}");
}

/// A server that closes kept connections all the time, under load.
#[test]
fn under_load_no_get_fails_for_stale_connections() {
    let target = Upstream::scripted(|visit| match visit.request {
        0..3 => Script::text("hello"),
        _ if visit.connection % 2 == 0 => Script::new(),
        _ => Script::new().reset(),
    });
    let watershed = serve(&[&target], NO_EJECTION);
    let until = Instant::now() + Duration::from_secs(3);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = watershed.http1();
                while Instant::now() < until {
                    let response = client.get(UP, "/");
                    assert_eq!(response.text(), "hello", "{response:?}");
                }
            });
        }
    });
    assert!(target.arrived().connections() > 20);
}

/// nginx #929: bytes on an idle connection would be taken for the next answer.
#[test]
fn what_comes_on_an_idle_connection_is_no_answer() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let target = Upstream::scripted(move |visit| match visit.request {
        0 => Script::text("hello").send(evil),
        1 => Script::text("hello").pause(Duration::from_millis(50)).send(evil),
        _ => Script::text("hello"),
    });
    let watershed = serve(&[&target], NO_EJECTION);
    for _ in 0..10 {
        let response = watershed.get(UP, "/");
        assert_eq!((response.status, response.text().as_str()), (200, "hello"));
        thread::sleep(Duration::from_millis(80));
    }
}

/// No request is lost, however often targets go and return.
#[test]
fn targets_may_die_and_return() {
    let text = |_| Script::text("hello");
    let stays = Upstream::scripted(text);
    let goes = Upstream::scripted(text);
    let watershed =
        serve(&[&stays, &goes], "connect-timeout = \"500ms\"\nretry = { budget = \"100%\" }");
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = watershed.http1();
                while running.load(Ordering::Relaxed) {
                    let response = client.get(UP, "/");
                    assert_eq!(response.text(), "hello", "{response:?}");
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let _stop = crate::support::StopOnDrop(&running);
        let mut address = goes.stop();
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(100));
            let back = Upstream::scripted_on(address, text).unwrap();
            thread::sleep(Duration::from_millis(100));
            address = back.stop();
        }
    });
}

/// Descriptors of targets that are no more.
#[test]
fn no_connection_is_kept_to_what_is_gone() {
    let target = Upstream::http1(Script::text("hello"));
    let other = Upstream::http1(Script::text("other"));
    let site = Site::new().service("up", &upstream("v1", &[target.address()], ""));
    let watershed = site.start();
    assert_eq!(watershed.get(UP, "/").text(), "hello");
    assert_eq!(target.arrived().open(), 1, "the connection is kept");
    watershed.site.replace("services/up.toml", upstream("v1", &[other.address()], ""));
    eventually("the other", || watershed.get(UP, "/").text() == "other");
    let limit = Duration::from_secs(20);
    within(limit, "the end of the connection", || target.arrived().open() == 0);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let target = Upstream::http1(Script::text("hello"));
    let lines = "idle-timeout = \"1s\"";
    let version = upstream("v1", &[target.address()], lines) + &limits("wall-time = \"5s\"");
    let watershed = Site::new().service("up", &version).start();
    for _ in 0..3 {
        assert_eq!(watershed.get(UP, "/").text(), "hello");
    }
    // A client may ask again before the connection that its last answer came by is back in the pool.
    assert!(target.arrived().open() >= 1);
    within(Duration::from_secs(10), "the end of the connection", || target.arrived().open() == 0);
    assert_eq!(watershed.get(UP, "/").text(), "hello");
}

/// An answer that contradicts itself says nothing about whether the request was acted on (pingora #979).
#[test]
fn nothing_is_sent_again_after_an_answer_has_begun() {
    let target =
        Upstream::http1(Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel").close());
    let watershed = serve(&[&target], "eject = false\nretry = { attempts = 5 }");
    assert!(!watershed.get(UP, "/").complete);
    assert_eq!(target.arrived().requests(), 1);
    let watershed = serve(&[&target], ONCE);
    assert!(!watershed.get(UP, "/").complete);
    assert_eq!(target.arrived().requests(), 2);
}
