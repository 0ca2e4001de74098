//! What a request says of who sends it.

use axum::body::Body;

use super::*;

fn credentials(method: &str, headers: &[(&str, &str)]) -> Result<Credentials, AdminError> {
    let names = Names(Arc::new([]));
    let guard =
        Guard { names, token: None, draining: Arc::default(), restarts: Restarts::new(None).0 };
    let mut request = Request::builder().method(method).uri("/api/v1/status");
    for (name, value) in [&[("host", "localhost:9090")], headers].concat() {
        request = request.header(name, value);
    }
    guard.credentials(&request.body(Body::empty()).unwrap())
}

#[test]
fn a_token_in_a_header_goes_before_a_session() {
    let secret = "0a".repeat(32);
    let cookie = format!("a=b; watershed-session={secret}; c");
    let session = SessionSecret::of_cookie(&secret).unwrap();
    for (headers, expected) in [
        (&[][..], Credentials::default()),
        (&[("cookie", "watershed-session=x; watershed-sessions=y")], Credentials::default()),
        (
            &[("cookie", &cookie), ("authorization", "bEARER s3cret")],
            Credentials { bearer: Some("s3cret".to_owned()), ..Credentials::default() },
        ),
        (
            // A proxy that asks for a password sends it on.
            &[("cookie", &cookie), ("authorization", "Basic czpz"), ("x-csrf-token", "t")],
            Credentials {
                sessions: vec![session.clone()],
                csrf: Some("t".to_owned()),
                ..Credentials::default()
            },
        ),
        (
            &[("cookie", &cookie), ("authorization", "Bearer ")],
            Credentials { sessions: vec![session], ..Credentials::default() },
        ),
    ] {
        assert_eq!(credentials("GET", headers).unwrap(), expected, "{headers:?}");
    }
    let many = format!("watershed-session={secret};").repeat(1_000);
    assert_eq!(credentials("GET", &[("cookie", &many)]).unwrap().sessions.len(), LOOKED_UP);
}

/// Argo CD took the cookie of whoever looked at a page of another application of the same site (CVE-2024-22424).
#[test]
fn a_session_is_for_pages_of_this_listener() {
    let cookie = format!("watershed-session={}", "0a".repeat(32));
    for foreign in [("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")] {
        for headers in [&[("cookie", cookie.as_str()), foreign][..], &[foreign]] {
            let refused = credentials("POST", headers);
            assert!(matches!(refused, Err(AdminError::ForeignOrigin)), "{refused:?}");
        }
        let read = credentials("GET", &[("cookie", &cookie), foreign]);
        assert!(matches!(read, Err(AdminError::ForeignOrigin)), "{read:?}");
        assert!(credentials("GET", &[foreign]).is_ok(), "who has no cookie needs a token anyway");
    }
    let ours = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(credentials("POST", &ours).unwrap().sessions.len(), 1);
}
