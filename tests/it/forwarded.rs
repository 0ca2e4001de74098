//! Who the client is behind proxies: `x-forwarded-…` of trusted ones, and of nobody else, in everything that asks for the
//! client's address or the scheme.

use std::net::SocketAddr;

use crate::support::{
    GREETER, LAB, Response, Site, UP, Watershed, eventually, greeter, lab, request, split, upstream,
};
use ::misbehaving::{Script, Upstream};

/// Tests are clients from here.
const TRUSTED: &str = "trusted-proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"::1\"]";

fn lab_behind(server: &str) -> Watershed {
    Site::new().server(server).service("lab", &lab("v1")).start()
}

fn seen(watershed: &Watershed, headers: &[&str]) -> Response {
    let response = watershed.http1().ask("GET", LAB, "/headers", headers, b"");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

fn forwarded(response: &Response) -> [Option<String>; 4] {
    ["for", "proto", "host", "port"].map(|name| response.reported(&format!("x-forwarded-{name}")))
}

const SAID: [&str; 6] = [
    "x-forwarded-for: 198.51.100.7, 10.1.1.1",
    "x-forwarded-proto: https",
    "x-forwarded-host: shop.example:8443",
    "x-forwarded-port: 8443",
    "forwarded: for=198.51.100.7",
    "x-real-ip: 198.51.100.7",
];

#[test]
fn a_trusted_proxy_is_believed_and_passed_on() {
    let watershed = lab_behind(TRUSTED);
    let some = |text: &str| Some(text.to_owned());
    let told = seen(&watershed, &SAID);
    let expected = [
        some("198.51.100.7, 10.1.1.1, 127.0.0.1"),
        some("https"),
        some("shop.example:8443"),
        some("8443"),
    ];
    assert_eq!(forwarded(&told), expected);
    assert_eq!(told.reported("scheme").as_deref(), Some("https"));
    assert_eq!(told.reported("forwarded").as_deref(), Some("for=198.51.100.7"));
    // The host decides the service, and not what the proxy was asked for.
    assert_eq!(told.reported("authority").as_deref(), Some(LAB));
    // What the proxy does not say, is what we see.
    let untold = [some("127.0.0.1"), some("http"), some(LAB), None];
    assert_eq!(forwarded(&seen(&watershed, &[])), untold);
}

#[test]
fn nobody_else_is_believed_over_either_protocol() {
    for server in ["", "trusted-proxies = [\"10.0.0.0/8\"]"] {
        let watershed = lab_behind(server);
        let mut two = request("GET", LAB, "/headers");
        *two.uri_mut() = format!("https://{LAB}/headers").parse().unwrap();
        for line in SAID {
            let (name, value) = line.split_once(": ").unwrap();
            two.headers_mut().append(name, value.parse().unwrap());
        }
        let client = watershed.http2();
        let two = client.response(client.open(two, false).response).unwrap();
        for told in [seen(&watershed, &SAID), two] {
            let expected =
                [Some("127.0.0.1".to_owned()), Some("http".to_owned()), Some(LAB.to_owned()), None];
            assert_eq!(forwarded(&told), expected, "{}", told.text());
            assert_eq!(told.reported("scheme").as_deref(), Some("http"), "{}", told.text());
            assert_eq!(told.reported("forwarded"), None, "{}", told.text());
            assert_eq!(told.reported("x-real-ip"), None, "{}", told.text());
        }
    }
}

/// Over HTTP/2, a proxy is believed for its field, and nobody for `:scheme`.
#[test]
fn the_scheme_over_http2_is_that_of_the_connection_or_of_a_trusted_proxy() {
    let watershed = lab_behind(TRUSTED);
    let client = watershed.http2();
    for (proto, scheme) in [(None, "http"), (Some("https"), "https"), (Some("gopher"), "http")] {
        let mut request = request("GET", LAB, "/headers");
        *request.uri_mut() = format!("https://{LAB}/headers").parse().unwrap();
        if let Some(proto) = proto {
            request.headers_mut().insert("x-forwarded-proto", proto.parse().unwrap());
        }
        let told = client.response(client.open(request, false).response).unwrap();
        assert_eq!(told.reported("scheme").as_deref(), Some(scheme), "{proto:?}");
        assert_eq!(told.reported("x-forwarded-proto").as_deref(), Some(scheme), "{proto:?}");
    }
}

/// A target sees the same, and nothing that a server in between would take for it.
#[test]
fn an_upstream_is_told_the_same() {
    let target = Upstream::http1(Script::text("here"));
    let serve = |server: &str| {
        Site::new().server(server).service("up", &upstream("v1", &[target.address()], "")).start()
    };
    let ask = |watershed: &Watershed| {
        let sent = [SAID.as_slice(), &["x_forwarded_for: 1.2.3.4", "x_real_ip: 1.2.3.4"]].concat();
        assert_eq!(watershed.http1().ask("GET", UP, "/", &sent, b"").text(), "here");
        let arrived = target.arrived().all().pop().unwrap();
        let field = |name: &str| arrived.field(name).map(str::to_owned);
        ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x_forwarded_for", "x_real_ip"]
            .map(field)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(ask(&serve("")), [some("127.0.0.1"), some("http"), None, None, None]);
    let hops = some("198.51.100.7, 10.1.1.1, 127.0.0.1");
    assert_eq!(ask(&serve(TRUSTED)), [hops, some("https"), some("198.51.100.7"), None, None]);
}

fn of_clients() -> String {
    let rule = "\n[[traffic.rules]]\nname = \"office\"\nmatch = { client = \"198.51.100.0/24\" }\nversion = \"v2\"\n";
    let shares = split("v1 = 50, v2 = 50");
    greeter("v1")
        + &greeter("v2")
        + &shares
        + rule
        + "\n[traffic.sticky]\nkey = \"client-address\"\n"
}

fn decided(watershed: &Watershed, hops: &str) -> (String, String) {
    let line = format!("x-forwarded-for: {hops}");
    let response = watershed.http1().ask("GET", GREETER, "/", &[&line], b"");
    let header = |name| response.header(name).unwrap_or_default().to_owned();
    (header("watershed-version"), header("watershed-decision"))
}

#[test]
fn rules_and_stickiness_are_by_the_client_and_not_by_the_proxy() {
    let server = format!("expose = \"decision\"\n{TRUSTED}");
    let watershed = Site::new().server(&server).service("greeter", &of_clients()).start();
    let office = ("v2".to_owned(), "rule:office".to_owned());
    assert_eq!(decided(&watershed, "198.51.100.7"), office);
    assert_eq!(decided(&watershed, "1.2.3.4, [::ffff:198.51.100.7]:4711, 10.0.0.9"), office);
    // Whoever stands left of the client has been made up by the client.
    assert_ne!(decided(&watershed, "198.51.100.7, 203.0.113.9").1, "rule:office");
    assert_ne!(decided(&watershed, "198.51.100.7, unknown").1, "rule:office");
    let versions: Vec<_> =
        (1..=60).map(|host| decided(&watershed, &format!("203.0.113.{host}")).0).collect();
    assert!(
        ["v1", "v2"].iter().all(|version| versions.iter().any(|it| it == version)),
        "{versions:?}"
    );
    for (host, version) in (1..=60).zip(&versions) {
        // Stays with the version, whatever it says of hops before it.
        assert_eq!(
            decided(&watershed, &format!("198.51.100.7, 203.0.113.{host}")).0,
            *version,
            "{host}"
        );
    }
}

/// A list that is edited counts for the next request of a connection that is open already.
#[test]
fn trust_follows_the_file() {
    let watershed = Site::new()
        .server(&format!("expose = \"decision\"\n{TRUSTED}"))
        .service("greeter", &of_clients())
        .start();
    let mut client = watershed.http1();
    let mut decision = || {
        let response = client.ask("GET", GREETER, "/", &["x-forwarded-for: 198.51.100.7"], b"");
        response.header("watershed-decision").unwrap_or_default().to_owned()
    };
    assert_eq!(decision(), "rule:office");
    let text = watershed.site.read("watershed.toml");
    watershed.site.replace("watershed.toml", text.replace("127.0.0.0/8", "127.9.9.9"));
    eventually("that nobody is believed", || decision() == "sticky");
}

#[test]
fn thousands_of_hops_are_a_request_like_others() {
    let watershed = lab_behind(TRUSTED);
    let many = "x-forwarded-for: ".to_owned() + &"10.0.0.9, ".repeat(4_000) + "10.0.0.8";
    let lines = vec!["x-forwarded-for: 10.0.0.9"; 100];
    assert!(
        forwarded(&seen(&watershed, &[&many]))[0]
            .as_ref()
            .unwrap()
            .ends_with("10.0.0.8, 127.0.0.1")
    );
    let joined = forwarded(&seen(&watershed, &lines))[0].clone().unwrap();
    assert_eq!(joined, "10.0.0.9, ".repeat(100) + "127.0.0.1");
}

/// Clients of IPv4 that come to a socket of IPv6 are those of IPv4, in every list.
#[test]
fn a_client_of_ipv4_at_a_socket_of_ipv6_is_one_of_ipv4() {
    let server = "listen = [\"[::]:0\"]\ntrusted-proxies = [\"::ffff:127.0.0.0/104\"]";
    let watershed = lab_behind(server);
    let port = watershed.address().port();
    let mut client = crate::support::Http1::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    let told = client.ask("GET", LAB, "/headers", &["x-forwarded-for: 198.51.100.7"], b"");
    assert_eq!(forwarded(&told)[0].as_deref(), Some("198.51.100.7, 127.0.0.1"));
}

/// `explain` finds the client as a request's is found, by the process and by the files.
#[test]
fn explain_believes_whom_requests_believe() {
    let site = || {
        let server = format!("expose = \"decision\"\n{TRUSTED}");
        Site::new().server(&server).service("greeter", &of_clients())
    };
    let ask = ["explain", "greeter", "--header", "x-forwarded-for:198.51.100.7", "--client"];
    let watershed = site().start();
    for (client, decision) in [("10.0.0.1", "rule:office"), ("11.0.0.1", "sticky")] {
        let arguments = [ask.as_slice(), &[client]].concat();
        for said in [watershed.site.run(&arguments).stdout, site().run(&arguments).stdout] {
            assert!(said.contains(&format!("({decision})")), "{client}: {said}");
            let named = said.contains("client: 198.51.100.7, whom a trusted proxy names");
            assert_eq!(named, client == "10.0.0.1", "{said}");
        }
    }
}

/// Of two targets, each client has one: the client whom the proxy names, whoever it says came before.
#[test]
fn a_hash_balance_is_by_the_client_and_not_by_the_proxy() {
    let targets = ["a", "b"].map(|name| Upstream::http1(Script::text(name)));
    let addresses = targets.each_ref().map(Upstream::address);
    let version = upstream("v1", &addresses, "balance = \"hash\"");
    let target = |watershed: &Watershed, hops: &str| {
        let line = format!("x-forwarded-for: {hops}");
        watershed.http1().ask("GET", UP, "/", &[&line], b"").text()
    };
    let watershed = Site::new().server(TRUSTED).service("up", &version).start();
    let of = |host: u8| target(&watershed, &format!("203.0.113.{host}"));
    let chosen: Vec<_> = (1..=20).map(of).collect();
    assert!(["a", "b"].iter().all(|it| chosen.iter().any(|chosen| chosen == it)), "{chosen:?}");
    for (host, chosen) in (1..=20).zip(&chosen) {
        let hops = format!("198.51.100.{host}, 203.0.113.{host}, 10.0.0.9");
        assert_eq!(target(&watershed, &hops), *chosen, "{hops}");
    }
    let nobody = Site::new().service("up", &version).start();
    let same = target(&nobody, "203.0.113.1");
    assert!((2..=20).all(|host| target(&nobody, &format!("203.0.113.{host}")) == same));
}
