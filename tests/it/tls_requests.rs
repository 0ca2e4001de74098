//! Requests over TLS: what passes, how it ends, and what they are told of HTTPS.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use ::misbehaving::{Script, Upstream};

use crate::support::https::{FIRST, SECOND, secure};
use crate::support::{ONCE, Watershed, eventually, limits, request, upstream};

fn serve(target: &Upstream, lines: &str) -> Watershed {
    let domains = format!("domains = [\"{FIRST}\", \"{SECOND}\", \"127.0.0.1\", \"none.test\"]\n");
    let version = upstream("v1", &[target.address()], ONCE) + &limits("request-body = \"2GiB\"");
    secure(lines).service("up", &(domains + &version)).start()
}

#[test]
fn targets_learn_that_the_client_came_over_tls() {
    let target = Upstream::http1(Script::text("hello"));
    let watershed = serve(&target, "");
    for http in ["--http1.1", "--http2"] {
        let forged = ["--header", "x-forwarded-proto: http", http];
        assert_eq!(watershed.curl(&forged, &format!("https://{FIRST}/")), "hello");
        let seen = target.arrived().last().unwrap();
        assert_eq!(seen.field("x-forwarded-proto"), Some("https"), "{http}");
    }
}

/// Whoever opens the URL of a service is not warned of a certificate that is for other hosts.
#[test]
fn services_with_a_certificate_are_shown_with_https() {
    let target = Upstream::http1(Script::text("hello"));
    let version = upstream("v1", &[target.address()], ONCE);
    let watershed = secure("").service("first", &version).service("other", &version).start();
    let (port, cleartext) = (watershed.https_address().port(), watershed.address().port());
    let urls =
        [format!("https://first.localhost:{port}"), format!("http://other.localhost:{cleartext}")];
    let status = watershed.status();
    let listed = watershed.admin("/api/v1/services").json();
    for services in [&status["environments"][0]["services"], &listed["services"]] {
        let shown = [&services[0]["url"], &services[1]["url"]];
        assert_eq!(shown, [&urls[0], &urls[1]], "{services}");
    }
    let line = format!("{}  v1 100 % normal", urls[0]);
    eventually(&line, || watershed.stdout().contains(&line));
    assert_eq!(watershed.curl(&[], &format!("https://{FIRST}/")), "hello");
}

#[test]
fn cleartext_requests_for_a_host_with_a_certificate_are_sent_to_https() {
    let target = Upstream::http1(Script::text("hello"));
    let watershed = serve(&target, "redirect = true\nhsts = \"365d\"");
    let (port, own) = (watershed.https_address().port(), watershed.address().port());
    // Who asks our own port is sent to our other one; who asks port 80, to the one that belongs to it.
    for (method, host, path, expected) in [
        ("GET", format!("{FIRST}:{own}"), "/a/b?c=d&e=%2F", format!("https://{FIRST}:{port}")),
        ("HEAD", format!("{SECOND}.:{own}"), "/?", format!("https://{SECOND}:{port}")),
        ("GET", format!("127.0.0.1:{own}"), "/", format!("https://127.0.0.1:{port}")),
        ("GET", format!("{FIRST}:9"), "/", format!("https://{FIRST}:{port}")),
        ("GET", FIRST.to_owned(), "/", format!("https://{FIRST}")),
        ("POST", "FIRST.localhost:80".to_owned(), "/", "https://FIRST.localhost".to_owned()),
        ("GET", format!("{FIRST}:"), "/", format!("https://{FIRST}")),
        ("GET", "127.0.0.1".to_owned(), "/", "https://127.0.0.1".to_owned()),
    ] {
        let response = watershed.http1().ask(method, &host, path, &[], b"");
        let expected = expected + path;
        assert_eq!(
            (response.status, response.header("location")),
            (308, Some(&*expected)),
            "{host}"
        );
        assert_eq!(response.header("strict-transport-security"), None);
    }
    let mut two = request("GET", FIRST, "/x");
    *two.uri_mut() = format!("http://{FIRST}:{own}/x").parse().unwrap();
    let client = watershed.http2();
    let response = client.response(client.open(two, false).response).unwrap();
    assert_eq!(response.header("location"), Some(&*format!("https://{FIRST}:{port}/x")));
    // The connection can be used again.
    let mut client = watershed.http1();
    assert_eq!([client.get(FIRST, "/").status, client.get(FIRST, "/").status], [308, 308]);
    // A body is not waited for.
    let expecting = ["expect: 100-continue", "content-length: 1000000000"];
    assert_eq!(watershed.http1().ask("POST", FIRST, "/", &expecting, b"").status, 308);
    let plain = watershed.get("none.test", "/");
    assert_eq!((plain.text().as_str(), plain.header("strict-transport-security")), ("hello", None));
    // curl follows to the same body.
    let follow = ["--location", "--data", "x"];
    let url = format!("http://{FIRST}:{own}/");
    let sent_to = format!("{FIRST}:{port}:127.0.0.1:{port}");
    let arguments = [&follow[..], &["--connect-to", &sent_to]].concat();
    assert_eq!(watershed.curl(&arguments, &url), "hello");
    assert_eq!(target.arrived().last().unwrap().method, "POST");
    let text = watershed.site.read("watershed.toml").replace("redirect = true", "");
    watershed.site.write("watershed.toml", text);
    eventually("no redirect any more", || watershed.get(FIRST, "/").status == 200);
}

#[test]
fn browsers_are_told_to_stay_with_https() {
    let target = Upstream::http1(Script::text("hello"));
    let watershed = serve(&target, "hsts = \"365d\"");
    let told = |watershed: &Watershed, url: &str| {
        let head = watershed.curl(&["--include", "--insecure"], url).to_ascii_lowercase();
        let mut lines = head.lines().map(str::to_owned);
        lines.find_map(|line| line.strip_prefix("strict-transport-security: ").map(str::to_owned))
    };
    let year = Some("max-age=31536000".to_owned());
    assert_eq!(told(&watershed, &format!("https://{FIRST}/")), year);
    assert_eq!(told(&watershed, "https://unknown.test/"), year, "also with a problem");
    assert_eq!(told(&watershed, "https://127.0.0.1/"), None, "an address");
    assert_eq!(told(&watershed, &format!("http://{FIRST}/")), None, "cleartext");
    let own =
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nstrict-transport-security: max-age=1\r\n\r\n";
    let target = Upstream::http1(Script::answer(own));
    let watershed = serve(&target, "hsts = \"365d\"");
    let own = told(&watershed, &format!("https://{FIRST}/"));
    assert_eq!(own, Some("max-age=1".to_owned()), "what the version says by itself");
}

/// A browser that trusts us for one host reuses its connection for another of the same address.
#[test]
fn a_request_on_the_connection_of_another_certificate_is_sent_back() {
    let target = Upstream::http1(Script::text("hello"));
    let watershed = serve(&target, "");
    let ask = |http: &str, url: &str, host: &str| {
        let host = format!("host: {host}");
        let format = ["--output", "/dev/null", "--write-out", "%{http_code}", "--header", &host];
        watershed.curl(&[&format[..], &["--insecure", http]].concat(), url)
    };
    let (first, second) = (format!("https://{FIRST}/"), format!("https://{SECOND}/"));
    assert_eq!(ask("--http2", &first, SECOND), "421");
    assert_eq!(ask("--http2", &second, FIRST), "421");
    assert_eq!(ask("--http2", &first, FIRST), "200");
    assert_eq!(ask("--http2", &first, "127.0.0.1"), "200", "of the same certificate");
    assert_eq!(ask("--http2", &first, "none.test"), "200", "of no certificate");
    assert_eq!(ask("--http1.1", &first, SECOND), "200", "no connection is shared there");
    assert_eq!(ask("--http2", "https://127.0.0.1/", SECOND), "200", "no host was asked for");
    watershed.await_outcomes("misdirected", 2);
}

#[test]
fn both_sides_are_bytes_after_an_upgrade() {
    let target = Upstream::http1(Script::upgrade());
    let watershed = serve(&target, "");
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    write!(client, "GET / HTTP/1.1\r\nhost: {FIRST}\r\n{upgrade}").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for length in [1, 100_000] {
        client.write_all(&vec![b'x'; length]).unwrap();
        let mut back = vec![0; length];
        client.read_exact(&mut back).unwrap();
        assert!(back.iter().all(|byte| *byte == b'x'));
    }
    // The client ends its direction, and the target's end comes back in order.
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(client.read_to_end(&mut head).unwrap(), 0);
    eventually("the end of the target's connection", || target.arrived().open() == 0);
}

/// A response that breaks off must not look complete: the end of the connection is its only end.
#[test]
fn what_broke_off_is_told_from_what_ended() {
    let until_close = "HTTP/1.0 200 OK\r\n\r\nhello";
    for (ends, is_whole) in [
        (Script::answer(until_close).close(), true),
        (Script::answer(until_close).pause(Duration::from_millis(200)).reset(), false),
    ] {
        let target = Upstream::http1(ends);
        let watershed = serve(&target, "");
        let mut client = watershed.tls(FIRST, &["http/1.1"]);
        write!(client, "GET / HTTP/1.0\r\nhost: {FIRST}\r\n\r\n").unwrap();
        let mut read = String::new();
        let end = client.read_to_string(&mut read);
        assert_eq!(end.is_ok(), is_whole, "{end:?} {read:?}");
    }
}

/// Half of a request with its connection cut, and a whole one with only the client's direction closed.
#[test]
fn a_client_that_goes_is_told_from_one_that_waits() {
    let target = Upstream::http1(
        Script::new()
            .read_head()
            .read_body()
            .pause(Duration::from_millis(300))
            .send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    );
    let watershed = serve(&target, "");
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    write!(client, "POST / HTTP/1.1\r\nhost: {FIRST}\r\ncontent-length: 5\r\n\r\nhel").unwrap();
    eventually("the request", || target.arrived().last().is_some());
    drop(client);
    watershed.await_outcomes("client-gone", 1);
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    write!(client, "POST / HTTP/1.1\r\nhost: {FIRST}\r\ncontent-length: 5\r\n\r\nhello").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).unwrap();
    assert!(read.ends_with("hello"), "{read}");
}

#[test]
fn a_gibibyte_passes_in_little_memory() {
    let part = vec![b'x'; 1 << 20];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1 << 30);
    let target = Upstream::http1(Script::new().read_head().send(head).flood(part, 1024));
    let watershed = serve(&target, "");
    let before = watershed.peak_memory();
    for http in ["--http1.1", "--http2"] {
        let said = watershed.curl(
            &[http, "--output", "/dev/null", "--write-out", "%{size_download}"],
            &format!("https://{FIRST}/down"),
        );
        assert_eq!(said, (1 << 30).to_string(), "{http}");
    }
    assert!(watershed.peak_memory() - before < BOUND, "{} more", watershed.peak_memory() - before);

    let target = Upstream::http1(Script::new().read_head().read_body().send(DONE));
    let watershed = serve(&target, "");
    let before = watershed.peak_memory();
    let upload =
        "head -c 1073741824 /dev/zero | curl --silent --fail --http1.1 --insecure -T - \"$0\"";
    let url = format!("https://127.0.0.1:{}/up", watershed.https_address().port());
    let mut upload =
        Command::new("sh").args(["-c", upload, &url]).stdin(Stdio::null()).spawn().unwrap();
    assert!(upload.wait().unwrap().success());
    assert_eq!(target.arrived().last().unwrap().length, 1 << 30);
    assert!(watershed.peak_memory() - before < BOUND, "{} more", watershed.peak_memory() - before);
}

/// What the process may grow by.
const BOUND: usize = 32 << 20;
const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
