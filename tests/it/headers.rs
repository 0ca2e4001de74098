//! What crosses the proxy unchanged, what stays behind, and what is added.

use crate::support::{
    LAB, Response, Site, Watershed, greeter, in_both_worlds, request, serve_lab, split,
};

/// What the guest received of a request with these headers.
fn seen(watershed: &Watershed, headers: &[&str]) -> Response {
    let response = watershed.http1().ask("GET", LAB, "/headers", headers, b"");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

#[test]
fn headers_of_the_connection_stay_behind() {
    let sent = [
        "connection: keep-alive, X-Secret",
        "connection: x-second",
        "x-secret: 1",
        "x-second: 2",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "te: trailers",
        "upgrade: websocket",
        "x-kept: yes",
        "x-kept: again",
    ];
    let stay =
        ["connection", "x-secret", "x-second", "keep-alive", "proxy-connection", "te", "upgrade"];
    in_both_worlds("", |watershed| {
        let seen = seen(watershed, &sent);
        for dropped in stay {
            assert_eq!(seen.reported(dropped), None, "{dropped}: {}", seen.text());
        }
        let text = seen.text();
        let kept: Vec<_> = text.lines().filter(|line| line.starts_with("x-kept")).collect();
        assert_eq!(kept, ["x-kept: yes", "x-kept: again"]);
    });
}

#[test]
fn headers_of_the_guests_connection_stay_behind() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    let response = client.get(LAB, "/hop");
    assert_eq!(response.header("x-kept"), Some("1"));
    assert_ne!(response.header("connection"), Some("x-secret"), "{response:?}");
    assert_ne!(response.header("keep-alive"), Some("5"), "{response:?}");
    assert_eq!(client.get(LAB, "/count").text(), "1\n");
}

#[test]
fn the_guest_is_told_who_asked_and_how() {
    let watershed = serve_lab();
    let plain = seen(&watershed, &[]);
    assert_eq!(plain.reported("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(plain.reported("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(plain.reported("x-forwarded-host").as_deref(), Some(LAB));
    let through = ["x-forwarded-for: 192.0.2.1, 192.0.2.2", "x-forwarded-host: evil.example"];
    let seen = seen(&watershed, &through);
    // Whoever asks is no trusted proxy, so what is said of others is not passed on.
    assert_eq!(seen.reported("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.reported("x-forwarded-host").as_deref(), Some(LAB));
}

#[test]
fn the_guest_is_told_the_same_over_http2_and_in_both_worlds() {
    in_both_worlds("", |watershed| {
        let path = "/headers?a=b%2Fc";
        for response in [watershed.get(LAB, path), watershed.http2().get(LAB, path)] {
            for (name, value) in [
                ("scheme", "http"),
                ("authority", LAB),
                ("path-with-query", path),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", LAB),
            ] {
                assert_eq!(response.reported(name).as_deref(), Some(value), "{}", response.text());
            }
            assert_eq!(response.reported("host"), None, "{}", response.text());
            assert_eq!(response.reported("x-request-id").map(|id| id.len()), Some(32));
        }
    });
    let response = serve_lab().http2().get(LAB, "/headers/a%2Fb");
    assert_eq!(response.reported("method").as_deref(), Some("GET"));
    assert_eq!(response.reported("path-with-query").as_deref(), Some("/headers/a%2Fb"));
}

#[test]
fn a_sane_request_id_is_kept_and_others_are_made() {
    let watershed = serve_lab();
    let id = |sent: &[&str]| seen(&watershed, sent).reported("x-request-id").unwrap();
    assert_eq!(id(&["x-request-id: abc-1.2_3"]), "abc-1.2_3");
    let made = id(&[]);
    assert_eq!(made.len(), 32, "{made}");
    assert_ne!(made, id(&[]));
    let long = format!("x-request-id: {}", "x".repeat(129));
    for insane in ["x-request-id: a b", "x-request-id: a\"b", "x-request-id: ", &long] {
        assert_eq!(id(&[insane]).len(), 32, "{insane}");
    }
}

#[test]
fn the_method_and_the_target_are_unchanged() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for path in [
        "/headers",
        "/headers/",
        "/headers?",
        "/headers?&&",
        "/headers//double/../dots/.",
        "/headers/%41%2f%2F%zz%20",
        "/headers/;p=1,2/:@!$'()*+~",
        "/headers/a|b\"c{d}",
        "/headers?%C3%A9+%20&a|b&a/b?c&{x:1}[]&a:b@c;d,e",
    ] {
        let response = client.get(LAB, path);
        assert_eq!(response.reported("path-with-query").as_deref(), Some(path), "{response:?}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let response = client.ask(method, LAB, "/headers", &[], b"");
        assert_eq!(response.reported("method").as_deref(), Some(method), "{response:?}");
    }
}

#[test]
fn the_authority_is_unchanged() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    for host in ["lab.localhost", "lab.localhost:8080", "LAB.localhost"] {
        let response = client.get(host, "/headers");
        assert_eq!(response.reported("authority").as_deref(), Some(host));
        assert_eq!(response.reported("scheme").as_deref(), Some("http"));
    }
}

#[test]
fn a_target_may_name_its_authority() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("GET http://{LAB}/headers/x HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    let response = client.response("GET");
    assert_eq!(response.reported("authority").as_deref(), Some(LAB), "{response:?}");
    assert_eq!(response.reported("path-with-query").as_deref(), Some("/headers/x"));
}

#[test]
fn headers_keep_bytes_that_are_not_ascii() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("GET /headers HTTP/1.1\r\nhost: {LAB}\r\nx-name: größer\r\n\r\n"));
    assert_eq!(client.response("GET").reported("x-name").as_deref(), Some("größer"));
}

#[test]
fn expose_decides_what_a_client_is_told() {
    for (expose, version, decision) in [
        ("none", None, None),
        ("version", Some("v1"), None),
        ("decision", Some("v1"), Some("random")),
    ] {
        let watershed = Site::new()
            .server(&format!("expose = \"{expose}\""))
            .service("greeter", &(greeter("v1") + &split("v1 = 100")))
            .start();
        let response = watershed.get("greeter.localhost", "/");
        assert_eq!(response.header("watershed-version"), version, "{expose}");
        assert_eq!(response.header("watershed-decision"), decision, "{expose}");
    }
}

/// Over HTTP/2, the cookies of one request may come in pieces (RFC 9113, section 8.2.3).
#[test]
fn cookies_pass_over_http2() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut request = request("GET", LAB, "/headers");
    request.headers_mut().append("cookie", "a=1".parse().unwrap());
    request.headers_mut().append("cookie", "b=2".parse().unwrap());
    let exchange = client.open(request, false);
    let text = client.response(exchange.response).unwrap().text();
    assert!(text.contains("a=1") && text.contains("b=2"), "{text}");
}
