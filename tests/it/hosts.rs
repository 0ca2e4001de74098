//! Which hosts lead to a service beside plain names: addresses, names with underscores, and every host that no other
//! service has.

use crate::support::{LAB, Site, Watershed, assert_problem, eventually, greeter, lab, split};

fn service(version: &str, domains: &str) -> String {
    format!("domains = [{domains}]\n") + &greeter(version) + &split(&format!("{version} = 100"))
}

#[track_caller]
fn assert_serves(watershed: &Watershed, host: &str, version: &str) {
    let expected = format!("Hello from {version}!\n");
    assert_eq!(watershed.get(host, "/").text(), expected, "{host}");
    // An authority of HTTP/2 cannot be every text that `host` can.
    if !host.contains('%') {
        assert_eq!(watershed.http2().get(host, "/").text(), expected, "{host} over HTTP/2");
    }
}

#[test]
fn addresses_and_names_with_underscores_are_domains() {
    let domains = r#""127.0.0.1", "[2001:DB8::0:1]", "my_app.example.org", "*._tcp.example.org""#;
    let watershed = Site::new().service("shop", &service("shop", domains)).start();
    for host in [
        "127.0.0.1",
        "127.0.0.1:8080",
        "[2001:db8::1]",
        "[2001:DB8:0:0::1]:8080",
        "My_App.example.org",
        "a_b._tcp.example.org",
    ] {
        assert_serves(&watershed, host, "shop");
    }
    for host in ["127.0.0.2", "[2001:db8::2]", "my-app.example.org", "[::ffff:127.0.0.1]"] {
        assert_problem(&watershed.get(host, "/"), 404, "no-service");
    }
}

#[test]
fn the_last_resort_gets_what_nobody_else_has() {
    let watershed = Site::new()
        .service("shop", &service("shop", r#""shop.example", "*.shop.example""#))
        .service("rest", &service("rest", r#""*""#))
        .start();
    assert_serves(&watershed, "shop.example", "shop");
    assert_serves(&watershed, "a.shop.example", "shop");
    assert_serves(&watershed, "rest.localhost", "rest");
    for host in ["a.b.shop.example", "example", "10.1.2.3", "[::1]:80", "v2--a.b", "no%20host"] {
        assert_serves(&watershed, host, "rest");
    }
    // Without a host, there is nothing that a guest could be told.
    for (head, status, code) in [
        ("GET / HTTP/1.0\r\n\r\n", 404, "no-service"),
        ("GET / HTTP/1.0\r\nhost:\r\n\r\n", 400, "bad-request"),
    ] {
        let mut client = watershed.http1();
        client.send(head);
        assert_problem(&client.response("GET"), status, code);
    }
}

/// Whatever a client takes for a host, it cannot make a version fail.
#[test]
fn a_strange_host_is_no_failure_of_the_last_resort() {
    let watershed = Site::new().service("rest", &service("rest", r#""*""#)).start();
    let strange = [
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a\"b",
        "a^b",
        "a|b",
        "<a>",
        "a:b",
        "a:80:80",
        "a:99999",
        ":80",
        "[::1",
        "[::1%25lo]",
        "::1",
        "[]",
        "%",
        "%zz",
        "a%00b",
        "ä",
        "a,b",
        "a;b",
        "-",
        ".",
        "..",
        "*",
        "{a}",
        "`a`",
        "a'b",
    ];
    for host in strange {
        let response = watershed.get(host, "/");
        assert!([200, 400, 404].contains(&response.status), "{host}: {response:?}");
    }
    assert_eq!(watershed.metric("watershed_requests_total", &[("outcome", "trap")]), 0.0);
}

#[test]
fn one_service_is_the_last_resort() {
    let watershed = Site::new().service("b", &service("b", r#""*""#)).start();
    assert_serves(&watershed, "example", "b");
    watershed.site.write("services/a.toml", service("a", r#""*""#));
    eventually("the rejection", || watershed.status()["rejected"].is_array());
    assert_serves(&watershed, "example", "b");
    assert!(watershed.stderr().contains("`*` is already a domain"), "{}", watershed.stderr());
    std::fs::remove_file(watershed.site.path("services/b.toml")).unwrap();
    eventually("the other one", || watershed.get("example", "/").text() == "Hello from a!\n");
}

/// What a guest asks for over the network is not for the service that has all other hosts.
#[test]
fn a_call_to_a_stranger_is_no_call_to_the_last_resort() {
    let caller = lab("v1") + "outbound = [\"service:rest\"]\n";
    let watershed =
        Site::new().service("lab", &caller).service("rest", &service("rest", r#""*""#)).start();
    let call = |host: &str| watershed.get(LAB, &format!("/fetch?url=http://{host}/"));
    assert!(
        call("rest.localhost").text().contains("Hello from rest!"),
        "{:?}",
        call("rest.localhost")
    );
    let stranger = call("stranger.example");
    assert!(!stranger.text().contains("Hello from rest!"), "{stranger:?}");
}
