//! `health-path`: what balancers get that ask at the address of requests.

use nix::sys::signal::Signal;

use crate::support::{Response, Site, Watershed, eventually, lab};

const PATH: &str = "/-/health";

fn serve(more: &str) -> Watershed {
    let server = format!("health-path = \"{PATH}\"\n{more}");
    Site::new().server(&server).service("lab", &lab("v1")).start()
}

#[track_caller]
fn assert_is(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, text), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("watershed-version"), None);
}

#[test]
fn it_answers_for_any_host_and_method_and_over_both_protocols() {
    let watershed = serve("");
    let mut client = watershed.http1();
    for host in ["10.1.2.3:8080", "nobody.example", "lab.localhost", "[::1]"] {
        assert_is(&client.get(host, PATH), 200, "ok\n");
        assert_is(&client.get(host, "/-/health?x=1"), 200, "ok\n");
    }
    assert_is(&watershed.http2().get("nobody.example", PATH), 200, "ok\n");
    assert_is(&client.ask("HEAD", "a", PATH, &[], b""), 200, "");
    // HAProxy's checks begin with OPTIONS.
    assert_is(&client.ask("OPTIONS", "a", PATH, &[], b""), 200, "ok\n");
    assert_is(&client.ask("POST", "a", PATH, &[], b"hello"), 200, "ok\n");
    assert_is(&client.get("a", PATH), 200, "ok\n");
    let mut old = watershed.http1();
    old.send(format!("OPTIONS {PATH} HTTP/1.0\r\n\r\n"));
    assert_is(&old.response("OPTIONS"), 200, "ok\n");
    for path in ["/-/health/", "/-/healthy", "/-/", "/-/%68ealth"] {
        assert_eq!(client.get("nobody.example", path).status, 404, "{path}");
    }
    // None of them is a request of a service, or counted as one without a service, but for those of other paths.
    watershed.await_outcomes("no-service", 4);
    assert_eq!(watershed.metric("watershed_requests_total", &[("outcome", "2xx")]), 0.0);
}

#[test]
fn what_is_no_request_is_none_here_either() {
    let watershed = serve("");
    for (head, status) in [
        (format!("GET {PATH} HTTP/1.1\r\n\r\n"), 400),
        (format!("GET {PATH} HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"), 400),
        (
            format!("GET {PATH} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n"),
            501,
        ),
    ] {
        let mut client = watershed.http1();
        client.send(&head);
        assert_eq!(client.response("GET").status, status, "{head:?}");
    }
}

#[test]
fn it_says_503_while_the_process_drains() {
    let mut watershed = serve("drain-delay = \"2s\"");
    assert_is(&watershed.get("a", PATH), 200, "ok\n");
    watershed.signal(Signal::SIGTERM);
    eventually("503", || watershed.get("a", PATH).status == 503);
    let drained = watershed.get("a", PATH);
    assert_is(&drained, 503, "draining\n");
    assert_eq!(drained.header("connection"), Some("close"));
    watershed.assert_serves("lab.localhost", "/count");
    assert!(watershed.wait(crate::support::DEADLINE).success());
}

#[test]
fn without_the_key_the_path_is_one_like_others() {
    let watershed = crate::support::serve_lab();
    assert_eq!(watershed.get("nobody.example", PATH).status, 404);
}
