//! Requests that a version fails before its head, and that another version answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ::misbehaving::{Script, Upstream, refusing};

use crate::support::{
    Response, Site, Watershed, greeter, lab, limits, one_version, tell, upstream,
};

const HOST: &str = "api.localhost";

/// A service that gives everything to `v2`, with `v1` to the rescue. `traffic` are more lines of its table.
fn serve(v1: &str, v2: &str, traffic: &str) -> Watershed {
    let text = format!(
        "{v1}{v2}\n[traffic]\nsplit = {{ v1 = 0, v2 = 100 }}\nrescue = \"v1\"\n{traffic}\n"
    );
    Site::new().server("expose = \"decision\"").service("api", &text).start()
}

fn ask(watershed: &Watershed, method: &str, path: &str, body: &[u8]) -> Response {
    watershed.http1().ask(method, HOST, path, &[], body)
}

#[track_caller]
fn assert_rescued(response: &Response, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (200, text), "{response:?}");
    assert_eq!(response.header("watershed-version"), Some("v1"));
    assert_eq!(response.header("watershed-decision"), Some("rescue"));
}

#[test]
fn a_component_rescues_a_component() {
    let tight = "wall-time = \"500ms\"\ncpu-time = \"100ms\"\nmemory = \"8MiB\"";
    let watershed = serve(&greeter("v1"), &(lab("v2") + &limits(tight)), "");
    let failures = [("/trap", "trap"), ("/hang", "wall-time"), ("/loop", "cpu-time")];
    for (path, code) in failures {
        let response = ask(&watershed, "GET", path, b"");
        assert_rescued(&response, "Hello from v1!\n");
        let failed = [("version", "v2"), ("outcome", code)];
        watershed.await_metric("watershed_rescued_requests_total", &failed, 1.0);
    }
    let rescued = [("version", "v1"), ("decision", "rescue"), ("outcome", "2xx")];
    watershed.await_metric("watershed_requests_total", &rescued, 3.0);
    watershed.await_metric("watershed_requests_total", &[("version", "v2")], 0.0);
    watershed.await_metric("watershed_in_flight", &[], 0.0);
    watershed.log_line(&["code=\"trap\"", "version=v2", "v1 answers instead"]);
    // What it can answer, it answers itself.
    let own = ask(&watershed, "GET", "/count", b"");
    assert_eq!(own.header("watershed-version"), Some("v2"));
}

#[test]
fn a_version_that_was_never_ready_is_rescued() {
    let missing = "[[versions]]\nname = \"v2\"\ncomponent = \"gone.wasm\"\n";
    let watershed = serve(&greeter("v1"), missing, "[traffic.override]\nheader = true");
    assert_rescued(&ask(&watershed, "GET", "/", b""), "Hello from v1!\n");
    let counted = "Hello from v1! You sent 1 words in 3 bytes.\n";
    assert_rescued(&ask(&watershed, "POST", "/", b"one"), counted);
    // Who asks for a version by its name is not told that another one is it.
    let asked = watershed.http1().ask("GET", HOST, "/", &["watershed-version: v2"], b"");
    assert_eq!((asked.status, asked.header("watershed-decision")), (503, Some("override-unknown")));
    assert_eq!(watershed.admin("/readyz").status, 200);
    let service = watershed.service("api");
    assert_eq!((&service["serving"], &service["rescuer"]), (&"rescue".into(), &"v1".into()));
    let told = "no version has a share, and the rescue version v1 answers requests: ";
    watershed.log_line(&[told, "v2"]);
    let says = |arguments: &[&str], text: &str| {
        let said = tell(&watershed, arguments);
        let words: Vec<_> = said.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(text), "{arguments:?}: {said:?}");
    };
    says(&["status"], "rescue: the rescue version v1 answers requests");
    says(&["status", "api"], told);
    says(&["explain", "api"], "v1 (rescue)");
    says(&["explain", "api", "--header", "watershed-version: v2"], "no version, no-version");
}

/// The same without a process: what a start would do.
#[test]
fn a_rescue_of_all_is_foretold() {
    let text = format!(
        "{}[[versions]]\nname = \"v2\"\ncomponent = \"gone.wasm\"\n[traffic]\nsplit = {{ v1 = 0, v2 = 100 }}\n\
         rescue = \"v1\"\n[[traffic.rules]]\nname = \"strict\"\nmatch = {{ path = \"/strict\" }}\nversion = \"v2\"\n\
         otherwise = \"fail\"\n",
        greeter("v1")
    );
    let site = Site::new().service("api", &text);
    let says = |arguments: &[&str], text: &str| {
        let said = site.run(arguments);
        let words: Vec<_> = said.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(text), "{arguments:?}: {said:?}");
    };
    says(&["explain", "api"], "v1 (rescue)");
    // A rule that says so fails.
    says(&["explain", "api", "--path", "/strict"], "no version, no-version (rule:strict)");
    says(
        &["check"],
        "a start gives no version of api a share, and the rescue version v1 answers requests",
    );
    let before = Site::new().service("other", &one_version("v1"));
    let before = before.path("watershed.toml").display().to_string();
    says(&["plan", "--from", &before], "the rescue version v1 answers requests");
}

#[test]
fn an_upstream_rescues_a_component_and_gets_the_body() {
    let v1 = Upstream::http1(Script::echo());
    let watershed = serve(&upstream("v1", &[v1.address()], ""), &lab("v2"), "");
    for body in [vec![b'x'; 5], vec![b'x'; 64 << 10]] {
        let response = ask(&watershed, "PUT", "/trap", &body);
        assert_rescued(&response, &String::from_utf8_lossy(&body));
    }
    assert_eq!(v1.arrived().last().unwrap().target, "/trap");
}

#[test]
fn a_component_rescues_an_upstream() {
    for (bad, code) in [
        (Upstream::http1(Script::new().read_head().reset()), "upstream-reset"),
        (Upstream::http1(Script::answer("nonsense\r\n\r\n")), "upstream-protocol"),
        (Upstream::http1(Script::new().read_head().hang()), "wall-time"),
    ] {
        let v2 = upstream("v2", &[bad.address()], "") + &limits("wall-time = \"500ms\"");
        let watershed = serve(&greeter("v1"), &v2, "");
        assert_rescued(&ask(&watershed, "GET", "/", b""), "Hello from v1!\n");
        let failed = [("version", "v2"), ("outcome", code)];
        watershed.await_metric("watershed_rescued_requests_total", &failed, 1.0);
    }
    let (dead, _held) = refusing();
    let watershed = serve(&greeter("v1"), &upstream("v2", &[dead], ""), "");
    // Nothing was sent, so any method may be done.
    let response = ask(&watershed, "POST", "/", b"x");
    assert_rescued(&response, "Hello from v1! You sent 1 words in 1 bytes.\n");
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    let v1 = Upstream::http1(Script::echo());
    let v1_spec = upstream("v1", &[v1.address()], "");
    let watershed = serve(&v1_spec, &lab("v2"), "");
    let response = ask(&watershed, "POST", "/trap", b"x");
    assert_eq!((response.status, response.header("watershed-error")), (500, Some("trap")));
    assert_eq!(response.header("watershed-decision"), Some("random"));
    assert_eq!(v1.arrived().requests(), 0);
    watershed.await_outcomes("trap", 1);

    let watershed = serve(&v1_spec, &lab("v2"), "rescue-methods = [\"POST\"]");
    assert_rescued(&ask(&watershed, "POST", "/trap", b"x"), "x");
}

#[test]
fn a_body_beyond_the_buffer_is_not_rescued() {
    let v1 = Upstream::http1(Script::echo());
    let bad = Upstream::http1(Script::new().read_head().read_body().reset());
    let v2 = upstream("v2", &[bad.address()], "");
    let watershed = serve(&upstream("v1", &[v1.address()], ""), &v2, "rescue-buffer = \"10B\"");
    assert_rescued(&ask(&watershed, "PUT", "/", b"0123456789"), "0123456789");
    assert_eq!(ask(&watershed, "PUT", "/", b"0123456789x").status, 502);
}

#[test]
fn chosen_statuses_are_failures() {
    let bad = Upstream::http1(Script::status(503, "busy"));
    let v2 = upstream("v2", &[bad.address()], "");
    let watershed = serve(&greeter("v1"), &v2, "rescue-statuses = [\"503\"]");
    assert_rescued(&ask(&watershed, "GET", "/", b""), "Hello from v1!\n");
    let response = ask(&watershed, "POST", "/", b"");
    assert_eq!((response.status, response.text().as_str()), (503, "busy"));
}

/// The rescuer's own failure is what the client gets, and nobody rescues the rescuer.
#[test]
fn a_request_is_rescued_once() {
    let v1 = Upstream::http1(Script::new().read_head().reset());
    let watershed =
        serve(&upstream("v1", &[v1.address()], "retry = { attempts = 0 }"), &lab("v2"), "");
    let response = ask(&watershed, "GET", "/trap", b"");
    assert_eq!(
        (response.status, response.header("watershed-error")),
        (502, Some("upstream-reset"))
    );
    assert_eq!(response.header("watershed-decision"), Some("rescue"));
    assert_eq!(v1.arrived().requests(), 1);
}

/// A rescuer that is full leaves the failure as it was.
#[test]
fn a_rescuer_without_room_changes_nothing() {
    let v1 = Upstream::http1(Script::new().read_head().hang());
    let full = "concurrency = 1\nqueue-time = \"0s\"";
    let watershed = serve(&(upstream("v1", &[v1.address()], "") + &limits(full)), &lab("v2"), "");
    thread::scope(|scope| {
        let mut first = watershed.http1();
        first.send(format!("GET /trap HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
        crate::support::eventually("the first request", || v1.arrived().requests() == 1);
        let response = scope.spawn(|| ask(&watershed, "GET", "/trap", b"")).join().unwrap();
        assert_eq!((response.status, response.header("watershed-error")), (500, Some("trap")));
        first.close();
    });
}

/// Under load with a canary that always traps, nobody sees a failure.
#[test]
fn a_canary_that_always_traps_fails_nobody() {
    let (dead, _held) = refusing();
    let text = format!(
        "{}{}\n[traffic]\nsplit = {{ v1 = 50, v2 = 50 }}\nrescue = \"v1\"\n",
        lab("v1"),
        upstream("v2", &[dead], "eject = false"),
    );
    let watershed = Site::new().server("expose = \"decision\"").service("api", &text).start();
    let rescued = AtomicUsize::new(0);
    let each = 300;
    thread::scope(|scope| {
        for client in 0..4 {
            let (watershed, rescued) = (&watershed, &rescued);
            scope.spawn(move || {
                let mut http1 = watershed.http1();
                for number in 0..each {
                    let response = match (client + number) % 2 {
                        0 => http1.get(HOST, "/count"),
                        _ => http1.ask("POST", HOST, "/echo", &[], b"body"),
                    };
                    assert!(response.status == 200 && response.complete, "{response:?}");
                    assert_eq!(response.header("watershed-version"), Some("v1"));
                    if response.header("watershed-decision") == Some("rescue") {
                        rescued.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let rescued = rescued.into_inner();
    // A fair coin gives less than 480 or more than 720 heads of 1,200 once in 10^11 runs.
    assert!((480..=720).contains(&rescued), "{rescued}");
    watershed.await_outcomes("2xx", 4 * each);
    let count = f64::from(u32::try_from(rescued).unwrap());
    watershed.await_metric("watershed_rescued_requests_total", &[("version", "v2")], count);
    watershed.await_metric("watershed_in_flight", &[], 0.0);
}

/// A user whose version failed stays with that version.
#[test]
fn the_cookie_is_that_of_the_decision() {
    let text = format!(
        "{}{}\n[traffic]\nsplit = {{ v1 = 0, v2 = 100 }}\nrescue = \"v1\"\n[traffic.sticky]\nkey = \"generated\"\n",
        greeter("v1"),
        lab("v2"),
    );
    let watershed = Site::new().server("expose = \"decision\"").service("api", &text).start();
    let response = ask(&watershed, "GET", "/trap", b"");
    assert_rescued(&response, "Hello from v1!\n");
    let cookie = response.header("set-cookie").unwrap();
    let cookie = format!("cookie: {}", cookie.split(';').next().unwrap());
    let again = watershed.http1().ask("GET", HOST, "/count", &[&cookie], b"");
    assert_eq!(again.header("watershed-version"), Some("v2"));
}
