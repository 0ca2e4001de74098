//! Guests that call out and go, or call round in circles: what they held is free again, and others are served.

use ::misbehaving::{Script, Step, Upstream};

use crate::support::{LAB, LABS, Response, Site, Watershed, eventually, limits};

fn reaching(lab: fn(&str) -> String, entry: &str, lines: &str) -> String {
    format!("{}outbound = [{entry:?}]\n{}", lab("v1"), limits(lines))
}

fn fetch(watershed: &Watershed, url: &str) -> Response {
    watershed.get(LAB, &format!("/fetch?url={url}"))
}

/// The first connection never answers.
fn hanging() -> Upstream {
    Upstream::scripted(|visit| match visit.connection {
        0 => Script::new().read_head().then(Step::Hang),
        _ => Script::text("here"),
    })
}

#[test]
fn a_call_that_hangs_ends_with_its_request() {
    for lab in LABS {
        let upstream = hanging();
        let entry = format!("http://{}", upstream.address());
        let lines = "outbound-concurrency = 1\nwall-time = \"500ms\"";
        let watershed = Site::new().service("lab", &reaching(lab, &entry, lines)).start();
        let response = fetch(&watershed, &entry);
        assert!([502, 504].contains(&response.status), "{}", response.text());
        eventually("a free place", || fetch(&watershed, &entry).text() == "here");
        eventually("the end of the first connection", || upstream.arrived().open() <= 1);
    }
}

#[test]
fn a_call_ends_when_the_client_of_its_request_leaves() {
    for lab in LABS {
        let upstream = hanging();
        let entry = format!("http://{}", upstream.address());
        let lines = "outbound-concurrency = 1";
        let watershed = Site::new().service("lab", &reaching(lab, &entry, lines)).start();
        let mut first = watershed.http1();
        first.send(format!("GET /fetch?url={entry}/ HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        eventually("the call", || upstream.arrived().requests() == 1);
        first.reset();
        eventually("a free place", || fetch(&watershed, &entry).text() == "here");
        eventually("the end of the first connection", || upstream.arrived().open() <= 1);
    }
}

/// The place that the second request waits for is held by the first, which waits for the second.
#[test]
fn a_service_that_calls_itself_from_its_only_place_is_no_deadlock() {
    for lab in LABS {
        let lines = "concurrency = 1";
        let site = Site::new().service("lab", &reaching(lab, "service:lab", lines));
        let watershed = site.start();
        let response = fetch(&watershed, &format!("http://{LAB}/count"));
        assert_eq!(
            (response.status, response.json()["type"].as_str()),
            (503, Some("urn:watershed:error:overload"))
        );
        watershed.assert_serves(LAB, "/count");
    }
}
