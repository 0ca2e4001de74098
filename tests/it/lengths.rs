//! A body that is longer or shorter than its head says never looks complete, and counts as the guest's failure.

use crate::support::{LAB, Site, in_both_worlds, lab_p3, request, serve_lab};

/// Requests for bodies that are longer or shorter than promised, and how each is counted.
const WRONG: [(&str, &str); 6] = [
    ("/length?is=8&parts=1&size=16", "bad-response"),
    ("/length?is=8&parts=2&size=8", "bad-response"),
    ("/length?is=8&parts=3&size=5&trailers=1", "bad-response"),
    ("/length?is=0&parts=1&size=1", "bad-response"),
    ("/length?is=16&parts=1&size=8", "truncated"),
    ("/length?is=16&parts=3&size=5&ms=5", "truncated"),
];

#[test]
fn a_body_of_another_length_than_promised_never_looks_complete() {
    in_both_worlds("", |watershed| {
        let http2 = watershed.http2();
        for (path, _) in WRONG {
            let mut client = watershed.http1();
            let response = client.get(LAB, path);
            assert!(!(response.status == 200 && response.complete), "{path}: {response:?}");
            if response.status == 200 {
                client.assert_closed();
            }
            let exchange = http2.open(request("GET", LAB, path), false);
            // A stream may be reset before its head has left.
            let looks_complete = http2
                .response(exchange.response)
                .is_ok_and(|response| response.status == 200 && response.complete);
            assert!(!looks_complete, "{path} over HTTP/2");
            watershed.assert_serves(LAB, "/count");
        }
        for code in ["bad-response", "truncated"] {
            let count = WRONG.iter().map(|(_, wrong)| 2 * u32::from(*wrong == code)).sum();
            watershed.await_outcomes(code, count);
        }
        watershed.log_line(&["bad-response", "longer than its content-length, 8"]);
        watershed.log_line(&["truncated", "after 8 of 16 bytes"]);
    });
}

#[test]
fn a_body_as_long_as_promised_is_whole_in_however_many_parts() {
    in_both_worlds("", |watershed| {
        let mut client = watershed.http1();
        for path in [
            "/length?is=8&parts=1&size=8",
            "/length?is=8&parts=8&size=1",
            "/length?is=8&parts=2&size=4&ms=5",
            "/length?is=8&parts=1&size=8&trailers=1",
        ] {
            let response = client.get(LAB, path);
            assert_eq!((response.text().as_str(), response.complete), ("........", true), "{path}");
        }
        let response = client.get(LAB, "/length?is=0&parts=0");
        assert_eq!((response.text().as_str(), response.complete), ("", true));
    });
}

/// The client has received what it was promised.
#[test]
fn a_guest_that_dies_after_its_body_has_answered() {
    let watershed = serve_lab();
    let response = watershed.get(LAB, "/late-exit");
    let text = response.text();
    assert_eq!((text.as_str(), response.complete), ("partial\ncomplete\n", true));
}

/// The length that a guest states for a body that it does not send is no promise.
#[test]
fn a_response_to_head_has_a_length_and_no_body() {
    in_both_worlds("", |watershed| {
        let mut client = watershed.http1();
        let response = client.ask("HEAD", LAB, "/length?is=100&parts=0", &[], b"");
        assert_eq!((response.status, response.header("content-length")), (200, Some("100")));
        assert_eq!(client.get(LAB, "/count").text(), "1\n");
        watershed.await_outcomes("2xx", 2);
    });
}

/// So a wrong or repeated length never gets into a response.
#[test]
fn the_host_refuses_a_length_that_is_none() {
    in_both_worlds("", |watershed| {
        let text = watershed.get(LAB, "/lengths").text();
        let refused = text.lines().filter(|line| line.ends_with(": refused")).count();
        assert_eq!((refused, text.lines().count()), (8, 8), "{text}");
    });
}

/// The request body, handed back to the host, is checked against the length too.
#[test]
fn a_relayed_body_is_as_long_as_promised() {
    let watershed = Site::new().service("lab", &lab_p3("v1")).start();
    let relay = |length| watershed.http1().ask("POST", LAB, length, &[], b"12345678");
    assert_eq!(relay("/relay?is=8").text(), "12345678");
    for length in ["/relay?is=7", "/relay?is=9"] {
        let response = relay(length);
        assert!(!(response.status == 200 && response.complete), "{length}: {response:?}");
    }
    watershed.await_outcomes("bad-response", 1);
    watershed.await_outcomes("truncated", 1);
}
