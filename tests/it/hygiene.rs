//! Odd and hostile requests, sent to the real binary byte for byte, once in front of an upstream and once in front of a
//! component. `hygiene/http1.toml` has the cases, and `docs/hygiene.md` tells of them.
//!
//! Each case asserts the status of each answer, the problem document of a refusal, whether the connection closes, what
//! is counted, and every byte that an upstream gets.

mod case;
mod recorder;
mod table;

use std::path::PathBuf;

use crate::support::{
    DEADLINE, LAB, ONCE, Response, Site, UP, Watershed, eventually, lab, upstream,
};
use case::Case;
use recorder::Recorder;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What one case led to.
struct Outcome {
    answers: Vec<Response>,
    /// Whether the connection was closed behind them.
    is_closed: bool,
    /// Requests that were counted.
    counted: f64,
    /// Requests that were counted with the code of the last answer.
    refused: f64,
}

#[test]
fn an_upstream_gets_whole_requests_and_nothing_else() {
    let recorder = Recorder::start();
    let service = upstream("v1", &[recorder.address()], ONCE);
    let watershed = Site::new().service("up", &service).start();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let outcome = run(&watershed, &case, UP);
        compare(&case, &case.status, &outcome, &mut wrong);
        let (whole, rest) = recorder.take();
        let seen: Vec<_> = whole.iter().map(|it| case::without_ours(it, UP)).collect();
        let expected: Vec<_> = case.seen.iter().map(|it| case::bytes(it, UP)).collect();
        if seen != expected {
            let seen: Vec<_> = seen.iter().map(|it| case::shown(it, UP)).collect();
            wrong.push(format!("{case}: an upstream got {seen:?}"));
        }
        // What breaks off is closed, so its rest cannot be a part of another request.
        if rest.iter().any(|it| it.windows(8).any(|part| part == b"SMUGGLED")) {
            wrong.push(format!(
                "{case}: an upstream got a part: {}",
                case::shown(&rest.concat(), UP)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_component_gets_whole_requests_and_nothing_else() {
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let outcome = run(&watershed, &case, LAB);
        compare(&case, case.guest.as_ref().unwrap_or(&case.status), &outcome, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sends a case, and reads all answers to it.
fn run(watershed: &Watershed, case: &Case, host: &str) -> Outcome {
    let all = || watershed.metric("watershed_requests_total", &[]);
    let coded = || watershed.metric("watershed_requests_total", &[("outcome", case.code())]);
    let before = (all(), coded());
    let mut client = watershed.http1();
    // A case that waits for ever must say which one it is.
    println!("{case}");
    client.send(case.sent(host));
    if case.status.is_empty() {
        client.end_writing();
    }
    let mut answers = Vec::new();
    while answers.len() < case.status.len() && client.has_more(DEADLINE) {
        let answer = client.response("POST");
        let refused = answer.status >= 400 && answer.status != 404;
        answers.push(answer);
        if refused {
            break;
        }
    }
    let is_closed = case.closes() && !client.has_more(DEADLINE);
    let ended = answers.iter().filter(|answer| answer.status != 100).count();
    if case.status.is_empty() {
        return Outcome { answers, is_closed, counted: 0.0, refused: 0.0 };
    }
    // A request is counted after its answer.
    eventually(&format!("{case}: as many requests as answers"), || {
        all() - before.0 >= ended as f64
    });
    Outcome { answers, is_closed, counted: all() - before.0, refused: coded() - before.1 }
}

fn compare(case: &Case, status: &[u16], outcome: &Outcome, wrong: &mut Vec<String>) {
    let statuses: Vec<_> = outcome.answers.iter().map(|answer| answer.status).collect();
    if statuses != status {
        wrong.push(format!("{case}: answered {statuses:?}, and not {status:?}"));
    }
    if case.closes() != outcome.is_closed {
        wrong.push(format!("{case}: the connection was not closed"));
    }
    let ended = statuses.iter().filter(|status| **status != 100).count();
    if !status.is_empty() && outcome.counted != ended as f64 {
        wrong.push(format!("{case}: {} requests were counted", outcome.counted));
    }
    let Some(last) = outcome.answers.last().filter(|_| case.is_refused()) else { return };
    if outcome.refused != 1.0 {
        wrong.push(format!("{case}: {} were counted as {}", outcome.refused, case.code()));
    }
    let found = ["watershed-error", "content-type", "connection"].map(|it| last.header(it));
    let problem = [Some(case.code()), Some("application/problem+json"), Some("close")];
    if found != problem || last.header("date").is_none() || last.header("x-request-id").is_none() {
        wrong.push(format!("{case}: no problem document: {:?}", last.headers));
    }
    // RFC 9110, section 15.5.6.
    if (last.status == 405) != last.header("allow").is_some() {
        wrong.push(format!("{case}: allow: {:?}", last.headers));
    }
}
