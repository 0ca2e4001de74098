//! Versions whose targets all fail their checks, and what becomes of their share.

use crate::support::{Backend, Site, Watershed, eventually, tell, upstream};

const HOST: &str = "api.localhost";
const CHECKED: &str = "[versions.upstream.health]\npath = \"/healthz\"\ninterval = \"100ms\"";

fn text(first: &Backend, second: &Backend, traffic: &str) -> String {
    format!(
        "{}{}\n[traffic]\nsplit = {{ v1 = 50, v2 = 50 }}\n{traffic}\n",
        upstream("v1", &[first.address()], CHECKED),
        upstream("v2", &[second.address()], CHECKED),
    )
}

fn serve(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("api", text).start()
}

/// How many of the requests are answered by `v1`, by `v2`, and by neither.
fn answers(watershed: &Watershed, requests: usize) -> [usize; 3] {
    let mut counts = [0; 3];
    for request in 0..requests {
        let response = watershed.get(HOST, &format!("/?user={request}"));
        let index = match (response.status, response.header("watershed-version")) {
            (200, Some("v1")) => 0,
            (200, Some("v2")) => 1,
            _ => 2,
        };
        counts[index] += 1;
    }
    counts
}

#[test]
fn the_others_get_the_share_at_once_and_give_it_back() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    let others = "when-unhealthy = \"others\"\n[traffic.sticky]\nkey = \"query:user\"\n[traffic.override]\nheader = true";
    let watershed = serve(&text(&first, &second, others));
    let generation = watershed.status()["generation"].clone();
    assert!(answers(&watershed, 60)[1] > 0);
    second.answer_checks(500);
    eventually("v2 gives its share away", || answers(&watershed, 60) == [60, 0, 0]);
    let explained = tell(&watershed, &["explain", "api", "--query", "user=1"]).stdout;
    let sticky = tell(&watershed, &["explain", "api"]).stdout;
    let told = "unhealthy: no target of v2 takes requests now, so its 50 % goes to the others (`when-unhealthy`)";
    assert!(sticky.contains(told) && !explained.contains("v2 50 %"), "{sticky}{explained}");
    // Who asks for it gets it. There is nobody to answer.
    let wanted = watershed.http1().ask("GET", HOST, "/", &["watershed-version: v2"], b"");
    assert_eq!((wanted.status, wanted.header("watershed-decision")), (503, Some("override")));
    // Its keys alone have moved.
    second.answer_checks(200);
    eventually("v2 has its share again", || answers(&watershed, 60)[1] > 0);
    assert_eq!(answers(&watershed, 60)[2], 0);
    // Where nobody is healthy, nobody gives anything away.
    first.answer_checks(500);
    second.answer_checks(500);
    eventually("both are unhealthy", || answers(&watershed, 60) == [0, 0, 60]);
    assert_eq!(watershed.status()["generation"], generation, "health is no publish");
}

#[test]
fn by_default_the_share_fails() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    let watershed = serve(&text(&first, &second, "pick = \"smooth\""));
    assert_eq!(answers(&watershed, 20), [10, 10, 0]);
    second.answer_checks(500);
    eventually("v2 fails", || answers(&watershed, 20) == [10, 0, 10]);
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

/// A version is normal whatever its targets are, and an edit of something else keeps what is known of them: no request
/// goes to a target that is down.
#[test]
fn a_target_that_is_down_is_down_over_reloads() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    second.answer_checks(503);
    let both = |lines: &str| {
        let targets = [first.address(), second.address()];
        format!(
            "{}\n[traffic]\nlatest = true\n",
            upstream("v1", &targets, &format!("{lines}\n{CHECKED}"))
        )
    };
    let watershed = serve(&both(""));
    assert_eq!(answers(&watershed, 20), [20, 0, 0]);
    for (generation, balance) in ["random", "hash", "least-requests"].into_iter().enumerate() {
        watershed.site.replace("services/api.toml", both(&format!("balance = \"{balance}\"")));
        let generation = generation as u64 + 2;
        eventually("it is served", || watershed.status()["generation"] == generation);
        assert_eq!(answers(&watershed, 20), [20, 0, 0]);
    }
    assert_eq!(second.requests(), 0, "no request found it");
    assert!(second.checks() > 0);
}
