//! Which requests the admin listener answers, and that no client keeps it from answering.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::Signal::SIGHUP;

use crate::support::{
    DEADLINE, GREETER, Http1, Response, Site, Watershed, eventually, greeter, one_version, within,
};

const PATHS: [&str; 5] = ["/livez", "/readyz", "/metrics", "/api/v1/status", "/nonsense"];

fn ask(watershed: &Watershed, method: &str, host: &str, path: &str, headers: &[&str]) -> Response {
    Http1::connect(watershed.admin_address()).ask(method, host, path, headers, b"")
}

/// The response to a request given in bytes, up to the end of the connection.
fn raw(watershed: &Watershed, request: &str) -> String {
    let mut client = Http1::connect(watershed.admin_address());
    client.send(request);
    client.everything()
}

/// By DNS rebinding, a page's own name resolves to this machine.
#[test]
fn a_foreign_host_is_answered_nothing() {
    let admin = "listen = \"127.0.0.1:0\"\nhosts = [\"ops.example.com\"]";
    let watershed = Site::new().admin(admin).service("greeter", &greeter("v1")).start();
    for path in PATHS {
        let refused = ask(&watershed, "GET", "evil.example", path, &[]);
        assert_eq!(refused.status, 421, "{path}: {refused:?}");
        assert!(refused.text().contains("`hosts` under [admin]"), "{refused:?}");
    }
    assert_eq!(ask(&watershed, "POST", "evil.example", "/api/v1/reload", &[]).status, 421);
    for host in ["localhost", "127.0.0.1", "[::1]:80", "x.localhost", "OPS.example.com:9090"] {
        assert_eq!(ask(&watershed, "GET", host, "/api/v1/status", &[]).status, 200, "{host}");
    }
    let absolute = "http://evil.example/livez";
    assert_eq!(ask(&watershed, "GET", "localhost", absolute, &[]).status, 421);
    assert_eq!(ask(&watershed, "GET", "localhost", "/livez", &["host: evil.example"]).status, 400);
    let nameless = raw(&watershed, "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert!(nameless.starts_with("HTTP/1.1 400"), "{nameless}");
    // Old probes name no host; no browser does that.
    let old = raw(&watershed, "GET /livez HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
}

#[test]
fn a_page_of_another_origin_reloads_nothing() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    let host = watershed.admin_address().to_string();
    let reload = |headers: &[&str]| ask(&watershed, "POST", &host, "/api/v1/reload", headers);
    for foreign in ["origin: http://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
        let refused = reload(&[foreign]);
        assert_eq!(refused.status, 403, "{foreign}: {refused:?}");
    }
    let ours = format!("origin: http://{host}");
    for headers in [&[][..], &[ours.as_str(), "sec-fetch-site: same-origin"]] {
        assert_eq!(reload(headers).status, 200, "{headers:?}");
    }
}

fn with_token() -> Watershed {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    site.write("token", "first\n");
    site.start()
}

fn with(watershed: &Watershed, token: &str) -> Response {
    let token = format!("authorization: Bearer {token}");
    ask(watershed, "GET", "localhost", "/api/v1/status", &[&token])
}

#[test]
fn a_token_that_is_replaced_is_refused_without_a_restart() {
    let watershed = with_token();
    assert_eq!(with(&watershed, "first").status, 200);
    watershed.site.write("token", "second\n");
    // A client with the new token need not wait.
    assert_eq!(with(&watershed, "second").status, 200);
    assert_eq!(with(&watershed, "first").status, 401);
    watershed.site.replace("token", "third\n");
    // No client has used the new token before.
    eventually("the old token is refused", || with(&watershed, "second").status == 401);
    assert_eq!(with(&watershed, "third").status, 200);
    assert_eq!(with(&watershed, "third").json()["restart_needed_for"], serde_json::Value::Null);
}

#[test]
fn a_token_file_that_says_nothing_opens_nothing() {
    let watershed = with_token();
    watershed.site.write("token", "");
    watershed.log_line(&["keeps its last token", "is empty"]);
    let troubles = with(&watershed, "first").json()["troubles"].take();
    assert!(troubles.to_string().contains("is empty"), "{troubles}");
    for nothing in ["", "second"] {
        assert_eq!(with(&watershed, nothing).status, 401);
    }
    assert_eq!(ask(&watershed, "GET", "localhost", "/api/v1/status", &[]).status, 401);
    std::fs::remove_file(watershed.site.path("token")).unwrap();
    watershed.log_line(&["keeps its last token", "cannot read"]);
    assert_eq!(with(&watershed, "first").status, 200);
    watershed.site.write("token", "second");
    watershed.signal(SIGHUP);
    eventually("the old token is refused", || with(&watershed, "first").status == 401);
    assert_eq!(with(&watershed, "second").json()["troubles"], serde_json::Value::Null);
}

/// More clients than there may be at once, which send nothing or send slowly.
#[test]
fn silent_clients_do_not_keep_operators_out() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    let connect = |index: usize| {
        let mut client = TcpStream::connect(watershed.admin_address()).unwrap();
        if index.is_multiple_of(2) {
            client.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
        }
        client
    };
    let mut silent: Vec<_> = (0..80).map(connect).collect();
    within(DEADLINE * 4, "a probe is answered", || {
        let mut probe = TcpStream::connect(watershed.admin_address()).unwrap();
        probe.set_read_timeout(Some(DEADLINE * 3)).unwrap();
        probe.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).is_ok() && answer.ends_with("ok\n")
    });
    let first = silent.first_mut().unwrap();
    first.set_read_timeout(Some(DEADLINE)).unwrap();
    // The connection is closed, whatever the client is sent before.
    first.read_to_end(&mut Vec::new()).unwrap();
}

fn limited(limit: &str) -> Watershed {
    let site = Site::new().service("greeter", &one_version("v1"));
    let program = env!("CARGO_BIN_EXE_watershed");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$0\" run --config \"$1\"")]);
    command.arg(program).arg(site.main_file());
    Watershed::spawn(site, command)
}

/// A kept connection has had a response, and waits for its next request.
fn kept(watershed: &Watershed, count: usize) -> Vec<Http1> {
    let kept = (0..count).map(|_| {
        let mut client = watershed.http1();
        assert_eq!(client.get(GREETER, "/").status, 200);
        client
    });
    kept.collect()
}

#[test]
fn the_soft_limit_of_descriptors_locks_nobody_out() {
    let watershed = limited("-Sn 256");
    let kept = kept(&watershed, 400);
    let descriptors = watershed.status()["descriptors"].take();
    let number = |key: &str| descriptors[key].as_u64().unwrap();
    assert!(number("limit") > 400, "{descriptors}");
    assert!(number("connections") >= 400 && number("open") > 400, "{descriptors}");
    assert!(watershed.metric("process_open_fds", &[]) > 400.0);
    assert!(watershed.metric("process_max_fds", &[]) > 400.0);
    watershed.site.write("services/greeter.toml", one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
    drop(kept);
    watershed.await_metric("watershed_connections", &[], 0.0);
}

#[test]
fn the_status_says_that_the_limit_of_descriptors_is_near() {
    let watershed = limited("-n 256");
    let address = watershed.address();
    assert!(watershed.status().get("troubles").is_none());
    let clients: Vec<_> = (0..140).map(|_| TcpStream::connect(address).unwrap()).collect();
    eventually("a trouble", || {
        watershed.status()["troubles"].to_string().contains("descriptors are open")
    });
    watershed.log_line(&["of 256 descriptors are open"]);
    let admin = format!("http://{}", watershed.admin_address());
    let status = watershed.site.run(&["status", "--admin", &admin]);
    assert!(status.stdout.contains("trouble: "), "{status:?}");
    drop(clients);
    eventually("no trouble", || watershed.status().get("troubles").is_none());
}

/// Every answer has the header, not only refusals.
#[test]
fn a_browser_guesses_no_types() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    for host in ["localhost", "evil.example"] {
        let answer = ask(&watershed, "GET", host, "/api/v1/status", &[]);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

/// Any client that reaches the port could keep probes out.
#[test]
fn clients_that_say_nothing_make_room_at_the_admin_listener() {
    let watershed = Site::new().service("greeter", &greeter("v1")).start();
    let silent: Vec<_> =
        (0..150).map(|_| TcpStream::connect(watershed.admin_address()).unwrap()).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(watershed.admin(path).status, 200, "{path}");
    }
    drop(silent);
}

#[test]
fn check_finds_a_token_that_no_start_could_read() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    let checked = site.run(&["check", "--no-compile"]);
    assert_eq!(checked.code, Some(1));
    let said = checked.said();
    for part in ["cannot read `token-file`", "create the file, or correct the path"] {
        assert!(said.contains(part), "{said}");
    }
    site.write("token", "long-random-text\n");
    assert_eq!(site.run(&["check", "--no-compile"]).code, Some(0));
}
