//! Whether a request that went wrong may be sent once more: to another target of its version, or to another version.
//! Pure: nothing here sends anything.

use http::{Method, StatusCode};

use crate::config::{Rescue, RetrySpec};
use crate::proxy::failure::Failure;
use crate::runtime::GuestFailure;
use crate::upstream::{FailureKind, Sent};

/// What went wrong before any head was sent to the client.
#[derive(Clone, Copy, Debug)]
pub enum Setback<'a> {
    Failed(&'a Failure),
    /// A response came. Its status may be one that counts as a failure.
    Status(StatusCode),
}

/// How a request is sent to its version once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Over a new connection, because a kept one had been closed. That is nobody's failure: it costs no attempt.
    OnNewConnection,
    /// To another target.
    Elsewhere,
}

/// How often a request may be left out by a GOAWAY. Where many wait for one connection, and each connection takes few, the
/// same request may be the last one again and again.
const LEFT_OUT: u32 = 16;

/// Whether, and how, an upstream is asked again. `stale` is how often a connection was found closed before.
///
/// Where a target may have acted on the request, only idempotent methods are sent again ([RFC 9110, section
/// 9.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2)).
pub fn retry(setback: Setback<'_>, method: &Method, spec: &RetrySpec, stale: u32) -> Option<Retry> {
    let failure = match setback {
        Setback::Failed(Failure::Upstream(failure)) => failure,
        Setback::Failed(_) => return None,
        Setback::Status(status) => {
            let is_listed = spec.statuses.binary_search(&status.as_u16()).is_ok();
            return (is_listed && method.is_idempotent()).then_some(Retry::Elsewhere);
        }
    };
    let is_harmless = method.is_idempotent() || failure.sent != Sent::Maybe;
    // What a GOAWAY kept from being sent at all is left out as well.
    let at_most = if failure.sent == Sent::Maybe { 1 } else { LEFT_OUT };
    if failure.is_stale && stale < at_most && is_harmless {
        return Some(Retry::OnNewConnection);
    }
    let is_listed = match failure.kind {
        FailureKind::Connect | FailureKind::Tls => spec.connect,
        // A connection that ends before anything was sent is as good as none.
        FailureKind::Reset => spec.reset || (spec.connect && failure.sent == Sent::Nothing),
        // The time is used up, other targets would answer the same, or there are none.
        FailureKind::Unhealthy
        | FailureKind::Protocol
        | FailureKind::WallTime
        | FailureKind::IdleTime => false,
    };
    (is_listed && is_harmless).then_some(Retry::Elsewhere)
}

/// Whether the rescue version takes the request over.
pub fn rescues(setback: Setback<'_>, method: &Method, rescue: &Rescue) -> bool {
    let is_harmless =
        method.is_idempotent() || rescue.methods.iter().any(|name| name == method.as_str());
    match setback {
        Setback::Status(status) => {
            is_harmless && rescue.statuses.binary_search(&status.as_u16()).is_ok()
        }
        Setback::Failed(failure) => {
            is_of_version(failure) && (is_harmless || is_untouched(failure))
        }
    }
}

/// Whether the version failed, or had no room. What a client does wrong, it does wrong with every version.
fn is_of_version(failure: &Failure) -> bool {
    matches!(failure, Failure::Overload | Failure::Guest(_) | Failure::Upstream(_))
}

/// Whether nobody has seen the request: no guest was started with it, and nothing of it was sent.
fn is_untouched(failure: &Failure) -> bool {
    match failure {
        Failure::Overload | Failure::Guest(GuestFailure::PoolExhausted(_)) => true,
        Failure::Upstream(failure) => failure.sent != Sent::Maybe,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ByteSize;
    use crate::upstream;

    const KINDS: [FailureKind; 7] = [
        FailureKind::Unhealthy,
        FailureKind::Connect,
        FailureKind::Tls,
        FailureKind::Reset,
        FailureKind::Protocol,
        FailureKind::WallTime,
        FailureKind::IdleTime,
    ];
    const SENT: [Sent; 3] = [Sent::Nothing, Sent::Refused, Sent::Maybe];

    fn failed(kind: FailureKind, sent: Sent, is_stale: bool) -> Failure {
        Failure::Upstream(upstream::Failure { kind, sent, is_stale, detail: String::new() })
    }

    fn rescue() -> Rescue {
        Rescue {
            version: 0,
            buffer: ByteSize::kib(64),
            methods: vec!["LINK".to_owned()],
            statuses: vec![502, 503],
        }
    }

    /// Every failure that there is, by every method: whatever may have been acted on is not done twice.
    #[test]
    fn what_is_not_idempotent_is_never_done_twice() {
        let spec = RetrySpec { statuses: vec![502, 503], ..RetrySpec::default() };
        for (kind, sent) in KINDS.into_iter().flat_map(|kind| SENT.map(|sent| (kind, sent))) {
            for is_stale in [false, true] {
                let failure = failed(kind, sent, is_stale);
                let setback = Setback::Failed(&failure);
                for method in [Method::POST, Method::PATCH, Method::from_bytes(b"X").unwrap()] {
                    let again = retry(setback, &method, &spec, 0);
                    assert!(again.is_none() || sent != Sent::Maybe, "{method} {failure:?}");
                    let rescued = rescues(setback, &method, &rescue());
                    assert_eq!(rescued, sent != Sent::Maybe, "{method} {failure:?}");
                }
                assert!(rescues(setback, &Method::GET, &rescue()), "{failure:?}");
                let link = Method::from_bytes(b"LINK").unwrap();
                assert!(rescues(setback, &link, &rescue()), "{failure:?}");
            }
        }
        let status = Setback::Status(StatusCode::BAD_GATEWAY);
        assert_eq!(retry(status, &Method::POST, &spec, 0), None);
        assert!(!rescues(status, &Method::POST, &rescue()));
    }

    #[test]
    fn what_is_retried_is_what_is_listed() {
        let listed = |connect, reset, statuses: &[u16]| RetrySpec {
            connect,
            reset,
            statuses: statuses.to_vec(),
            ..RetrySpec::default()
        };
        let again = |kind, sent, spec: &RetrySpec| {
            retry(Setback::Failed(&failed(kind, sent, false)), &Method::GET, spec, 0).is_some()
        };
        let (connect, reset) = (listed(true, false, &[]), listed(false, true, &[]));
        assert!(again(FailureKind::Connect, Sent::Nothing, &connect));
        assert!(again(FailureKind::Tls, Sent::Nothing, &connect));
        assert!(again(FailureKind::Reset, Sent::Nothing, &connect));
        assert!(!again(FailureKind::Reset, Sent::Maybe, &connect));
        assert!(again(FailureKind::Reset, Sent::Maybe, &reset));
        assert!(!again(FailureKind::Connect, Sent::Nothing, &reset));
        for kind in [FailureKind::Unhealthy, FailureKind::Protocol, FailureKind::WallTime] {
            assert!(!again(kind, Sent::Maybe, &RetrySpec::default()), "{kind:?}");
        }
        let statuses = listed(true, true, &[503]);
        let status = |code| Setback::Status(StatusCode::from_u16(code).unwrap());
        assert_eq!(retry(status(503), &Method::PUT, &statuses, 0), Some(Retry::Elsewhere));
        assert_eq!(retry(status(502), &Method::PUT, &statuses, 0), None);
    }

    /// Even where nothing is retried.
    #[test]
    fn a_kept_connection_that_was_closed_costs_nothing_once() {
        let spec = RetrySpec { attempts: 0, connect: false, reset: false, ..RetrySpec::default() };
        let stale = |sent| failed(FailureKind::Reset, sent, true);
        let again = |sent, method: &Method, before| {
            retry(Setback::Failed(&stale(sent)), method, &spec, before)
        };
        assert_eq!(again(Sent::Maybe, &Method::GET, 0), Some(Retry::OnNewConnection));
        assert_eq!(again(Sent::Maybe, &Method::GET, 1), None);
        // Whoever opens a stream after the GOAWAY has sent nothing.
        for left_out in [Sent::Refused, Sent::Nothing] {
            assert_eq!(again(left_out, &Method::POST, 0), Some(Retry::OnNewConnection));
            assert_eq!(again(left_out, &Method::POST, 15), Some(Retry::OnNewConnection));
            assert_eq!(again(left_out, &Method::POST, 16), None);
        }
        assert_eq!(again(Sent::Maybe, &Method::POST, 0), None);
    }

    #[test]
    fn guests_are_rescued_from_unless_they_may_have_acted() {
        let trap = Failure::Guest(GuestFailure::Trap(String::new()));
        let full = Failure::Guest(GuestFailure::PoolExhausted(String::new()));
        let by = |failure: &Failure, method: &Method| {
            rescues(Setback::Failed(failure), method, &rescue())
        };
        assert!(by(&trap, &Method::GET) && !by(&trap, &Method::POST));
        for untouched in [full, Failure::Overload] {
            assert!(by(&untouched, &Method::GET) && by(&untouched, &Method::POST));
        }
        for own in [Failure::RequestBody, Failure::BadRequest, Failure::RequestTimeout] {
            assert!(!by(&own, &Method::GET), "{own:?}");
        }
        assert!(!by(&Failure::ClientGone, &Method::GET));
    }
}
