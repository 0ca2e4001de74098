//! Odd and hostile frames, sent to the real binary byte for byte: `hygiene/http2.toml` has the cases, and
//! `docs/hygiene-http2.md` tells of them. Each asserts what is answered, whether the connection goes on, and what is counted.

mod case;
mod table;

use std::time::Duration;

use crate::support::raw2::{
    DATA, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, Raw2, SETTINGS, frame, settings,
};
use crate::support::{DEADLINE, LAB, Site, Watershed, eventually, lab};
use case::Case;

/// What one case led to.
#[derive(Debug, Default)]
struct Outcome {
    /// In the words of the file.
    answer: String,
    body: String,
    goes_on: bool,
}

#[test]
fn each_case_is_answered_and_counted_as_the_table_says() {
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let count = || watershed.metric("watershed_requests_total", &[("outcome", case.code())]);
        let before = count();
        let outcome = run(&watershed, &case);
        if outcome.answer != case.answer {
            wrong.push(format!("{case}: {}, and not {}", outcome.answer, case.answer));
            continue;
        }
        for seen in case.seen.iter().filter(|seen| !outcome.body.contains(*seen)) {
            wrong.push(format!("{case}: no {seen:?} in {:?}", outcome.body));
        }
        // h2's own answer has no body.
        if case.answer.starts_with('4') && case.answer != "404" && !outcome.body.is_empty() {
            let code = format!("urn:watershed:error:{}", case.code());
            if !outcome.body.contains(&code) {
                wrong.push(format!("{case}: no {code} in {:?}", outcome.body));
            }
        }
        if outcome.goes_on != case.goes_on() {
            wrong.push(format!("{case}: the connection went on: {}", outcome.goes_on));
        }
        if !case.code().is_empty() {
            eventually(&format!("{case}: one more {}", case.code()), || count() > before);
            if count() != before + 1.0 {
                wrong.push(format!("{case}: {} were counted as {}", count() - before, case.code()));
            }
        }
    }
    watershed.assert_serves(LAB, "/count");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn run(watershed: &Watershed, case: &Case) -> Outcome {
    let mut client = Raw2::silent(watershed.address());
    if case.whole {
        client.send(case.bytes(LAB));
        let answer = String::from_utf8(client.rest(b"HTTP/1.1 000".len())).unwrap();
        return Outcome { answer, ..Outcome::default() };
    }
    let settings = if case.bare { Vec::new() } else { settings(&[]) };
    let all = [PREFACE.to_vec(), settings, case.bytes(LAB)].concat();
    for part in all.chunks(if case.drip { 1 } else { all.len() }) {
        client.send(part);
        if case.drip {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let mut outcome = answer(&mut client);
    outcome.goes_on = !outcome.answer.starts_with("GOAWAY") && {
        client.send(frame(PING, 0, 0, b"still on"));
        std::iter::from_fn(|| client.read().ok()).any(|it| it.payload == b"still on")
    };
    outcome
}

/// Reads up to the answer to the only request, or to the refusal.
fn answer(client: &mut Raw2) -> Outcome {
    let mut outcome = Outcome::default();
    // What was written is acknowledged before it is refused.
    client.offer(frame(SETTINGS, 1, 0, b""));
    client.set_read_timeout(Duration::from_secs(5));
    loop {
        let frame = match client.read() {
            Ok(frame) => frame,
            Err(error) => {
                outcome.answer = format!("{:?} behind {:?}", error.kind(), outcome.answer);
                return outcome;
            }
        };
        match frame.kind {
            RST_STREAM if outcome.answer.is_empty() => {
                outcome.answer = format!("RST_STREAM {}", case::name(frame.code().unwrap()));
                return outcome;
            }
            GOAWAY => {
                outcome.answer = format!("GOAWAY {}", case::name(frame.code().unwrap()));
                return outcome;
            }
            HEADERS if outcome.answer.is_empty() => outcome.answer = case::status(&frame.payload),
            DATA => outcome.body.push_str(&String::from_utf8_lossy(&frame.payload)),
            _ => {}
        }
        if frame.ends_stream() {
            return outcome;
        }
    }
}

impl Raw2 {
    /// The next bytes, as far as they come.
    fn rest(&mut self, length: usize) -> Vec<u8> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let stream = self.writer();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.take(length as u64).read_to_end(&mut bytes).unwrap();
        bytes
    }
}
