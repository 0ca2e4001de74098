//! What an error of h2 means for one request.

use h2::{Error, Reason};

use super::Place;
use crate::upstream::failure::{Failure, FailureKind, Sent};

/// A request that failed after it was sent. `has_head`: the head of its response had come.
pub fn failed(error: &Error, place: &Place, has_head: bool) -> Failure {
    let (kind, what, sent) = meaning(error, place);
    // What had begun to answer did something with the request, whatever it says afterwards.
    let sent = if has_head { Sent::Maybe } else { sent };
    let is_broken = kind == FailureKind::Reset && !error.is_reset();
    // A GOAWAY leaves out many requests at once, and they are nobody's failures: they must not use up the retries.
    let is_left_out = sent == Sent::Refused && error.is_go_away();
    let is_stale = (is_broken && place.is_used && !has_head) || is_left_out;
    Failure { kind, sent, is_stale, detail: what }
}

fn meaning(error: &Error, place: &Place) -> (FailureKind, String, Sent) {
    let reason = error.reason();
    if error.is_go_away() && error.is_remote() {
        // Only streams beyond the last one that the target looked at get this error.
        let what = format!("it closes the connection, and did not look at the request ({error})");
        return (FailureKind::Reset, what, Sent::Refused);
    }
    if error.is_reset() && error.is_remote() {
        return match reason {
            Some(Reason::REFUSED_STREAM) => {
                (FailureKind::Reset, "it refused the stream".to_owned(), Sent::Refused)
            }
            Some(Reason::HTTP_1_1_REQUIRED) => {
                let what = "it wants HTTP/1.1 for this request: see `protocol`".to_owned();
                (FailureKind::Protocol, what, Sent::Refused)
            }
            Some(reason) => {
                (FailureKind::Reset, format!("it reset the stream ({reason})"), Sent::Maybe)
            }
            None => (FailureKind::Reset, "it reset the stream".to_owned(), Sent::Maybe),
        };
    }
    if error.is_library() {
        let what = format!("it broke HTTP/2 ({})", reason.unwrap_or(Reason::PROTOCOL_ERROR));
        return (FailureKind::Protocol, what, Sent::Maybe);
    }
    match place.connection().heard().broken() {
        Some(broken) if broken.is_refused => {
            (FailureKind::Tls, format!("TLS failed: {}", broken.detail), Sent::Nothing)
        }
        Some(broken) => (FailureKind::Reset, broken.detail.clone(), Sent::Maybe),
        None => (FailureKind::Reset, "it closed the connection".to_owned(), Sent::Maybe),
    }
}
