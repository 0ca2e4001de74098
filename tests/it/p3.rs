//! Guests that export `wasi:http/handler@0.3`: what only they can do, and guests of both releases in one process. Tests
//! of what holds for both releases are beside the others, and run with each lab.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use crate::bodies::{ROOMY, assert_echoed, assert_streams, noise, post};
use crate::support::{GREETER, LAB, Site, Watershed, greeter, lab_p3, limits, split};

const MIB: usize = 1 << 20;

fn serve(lines: &str) -> Watershed {
    Site::new().service("lab", &(lab_p3("v1") + &limits(lines))).start()
}

#[test]
fn both_worlds_share_the_traffic_of_a_service() {
    let versions = greeter("v1") + &lab_p3("v2") + &split("v1 = 50, v2 = 50");
    let watershed = Site::new().service("greeter", &versions).start();
    let mut client = watershed.http1();
    let mut greeted = [0, 0];
    // One of them is never drawn with a probability of 1 in 2^255.
    for _ in 0..256 {
        let response = client.get(GREETER, "/");
        let version = usize::from(response.header("watershed-version") == Some("v2"));
        assert_eq!(response.text(), format!("Hello from v{}!\n", version + 1));
        assert_eq!(response.header("content-length"), Some("15"));
        greeted[version] += 1;
    }
    assert!(greeted.iter().all(|count| *count > 0), "{greeted:?}");
}

/// `/relay` hands its request body back as it is, so that the host need not ask the guest.
#[test]
fn a_body_that_a_guest_relays_comes_back_as_it_was() {
    let watershed = serve(ROOMY);
    let sent = noise(20 * MIB + 7);
    let mut client = watershed.http1();
    let length = format!("content-length: {}", sent.len());
    let write = |stream: &mut TcpStream| stream.write_all(&sent).unwrap();
    let response = post(&mut client, ("/relay", &length), write, |client| client.response("POST"));
    assert_echoed(&response, &sent);
    assert_streams(&watershed, "/relay");
    watershed.await_outcomes("2xx", 3);
}

#[test]
fn a_guest_learns_that_its_response_was_taken() {
    let watershed = serve("");
    assert_eq!(watershed.get(LAB, "/delivered").text(), "answered\n");
    watershed.log_line(&["delivered: true"]);
}

/// Through 0.3, and through the standard library's 0.2.
#[test]
fn a_guest_sees_one_environment_through_both_releases() {
    let watershed = serve("");
    assert_eq!(watershed.get(LAB, "/env").text(), "VERSION=v1\n");
    assert_eq!(watershed.get(LAB, "/").text(), "Hello from v1!\n");
}

#[test]
fn what_a_guest_prints_is_logged_under_its_name() {
    let watershed = serve("");
    let id = ["x-request-id: talk-1"];
    let response = watershed.http1().ask("GET", LAB, "/stdout", &id, b"");
    assert_eq!(response.text(), "said twice\n");
    watershed.log_line(&["lab", "v1", "talk-1", "stdout", "by 0.2"]);
    watershed.log_line(&["lab", "v1", "talk-1", "stdout", "by 0.3"]);
}

#[test]
fn a_sandbox_serves_as_many_requests_as_it_may() {
    let watershed = serve("instance-reuse = 3");
    let mut client = watershed.http1();
    let mut counts = Vec::new();
    for _ in 0..12 {
        let count = client.get(LAB, "/count").text();
        counts.push(count.trim().parse::<u32>().unwrap());
        // A streamed body and trailers leave the sandbox as fit as a text does.
        assert_eq!(client.get(LAB, "/trailers").trailers.len(), 1);
    }
    // Every third request begins a sandbox, and every second counts; a sandbox that is back late loses its turn.
    assert!(
        counts.contains(&2) && counts.iter().all(|count| (1..=2).contains(count)),
        "{counts:?}"
    );
    assert_eq!(client.get(LAB, "/trap").status, 500);
    watershed.assert_serves(LAB, "/count");
}

#[test]
fn each_world_has_its_own_compiled_components() {
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab_p3("v1"));
    let compiled = |site: &Site| fs::read_dir(site.path("state/compiled")).unwrap().count();
    let watershed = site.start();
    assert_eq!(compiled(&watershed.site), 2);
    watershed.assert_serves(GREETER, "/");
    // A restart with the same state directory takes both from the cache, and compiles neither.
    let again = watershed.site.run(&["check"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let command = watershed.site.command(&["run"]);
    let site = Site::new().service("greeter", &greeter("v1")).service("lab", &lab_p3("v1"));
    let restarted = Watershed::spawn(site, command);
    restarted.assert_serves(LAB, "/");
    assert_eq!(compiled(&watershed.site), 2);
    assert!(!restarted.stderr().contains("damaged"), "{}", restarted.stderr());
}
