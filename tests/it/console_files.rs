//! The files of the console as a browser gets them: redirects, caching, compression and the policy they come with.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::support::{Http1, Response, Site, Watershed, assert_admin_problem, eventually, greeter};

const FILES: [(&str, &str, &str); 4] = [
    ("/console/", "text/html; charset=utf-8", "index.html"),
    ("/console/console.js", "text/javascript; charset=utf-8", "console.js"),
    ("/console/console.css", "text/css; charset=utf-8", "console.css"),
    ("/console/icon.svg", "image/svg+xml", "icon.svg"),
];

/// The files say nothing of the process, so they need no token.
fn serve() -> Watershed {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    site.write("token", "s3cret\n");
    site.start()
}

fn ask(watershed: &Watershed, method: &str, path: &str, headers: &[&str]) -> Response {
    Http1::connect(watershed.admin_address()).ask(method, "localhost", path, headers, b"")
}

fn built(name: &str) -> Vec<u8> {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("console/dist");
    std::fs::read(dist.join(name)).unwrap()
}

/// Traefik's dashboard was a bare 404 for whoever left out the last slash (traefik/traefik#7282).
#[test]
fn every_way_that_people_type_leads_to_the_console() {
    let watershed = serve();
    let browser = "accept: text/html,application/xhtml+xml,*/*;q=0.8";
    for (path, headers) in [("/", &[browser][..]), ("/console", &[browser]), ("/console", &[])] {
        for method in ["GET", "HEAD"] {
            let answer = ask(&watershed, method, path, headers);
            assert_eq!(answer.status, 303, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("location"), Some("/console/"), "{method} {path}");
        }
    }
    // Whoever is no browser is told which paths there are.
    for headers in [&[][..], &["accept: */*"], &["accept: application/json"]] {
        assert_admin_problem(&ask(&watershed, "GET", "/", headers), 404, "unknown-path");
    }
    assert_admin_problem(&ask(&watershed, "POST", "/", &[browser]), 404, "unknown-path");
}

#[test]
fn the_files_are_those_that_were_built() {
    let watershed = serve();
    for (path, kind, name) in FILES {
        let answer = ask(&watershed, "GET", path, &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.body, built(name), "{path}");
        assert_eq!(answer.header("content-encoding"), None, "{path}");
        let head = ask(&watershed, "HEAD", path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), answer.header("content-length"), "{path}");
        assert_eq!(head.header("etag"), answer.header("etag"), "{path}");
        assert_admin_problem(&ask(&watershed, "POST", path, &[]), 405, "method-not-allowed");
        assert_eq!(ask(&watershed, "OPTIONS", path, &[]).status, 204, "{path}");
    }
    // The pages are behind `#`, so no other path exists. A wrong token is no reason to say which do.
    for path in ["/console/index.html", "/console/x", "/console/../console/", "/console//"] {
        assert_admin_problem(&ask(&watershed, "GET", path, &[]), 401, "token-missing");
        let right = "authorization: Bearer s3cret";
        assert_admin_problem(&ask(&watershed, "GET", path, &[right]), 404, "unknown-path");
    }
}

/// Envoy's admin pages came without any header of security (envoyproxy/envoy#2769).
#[test]
fn a_browser_is_told_what_the_files_may_do() {
    let watershed = serve();
    for (path, ..) in FILES {
        let answer = ask(&watershed, "GET", path, &[]);
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                 connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
    // The host's name counts for files too.
    let mut client = Http1::connect(watershed.admin_address());
    assert_admin_problem(&client.get("evil.example", "/console/"), 421, "host-unknown");
}

#[test]
fn a_file_that_a_browser_has_is_not_sent_again() {
    let watershed = serve();
    for (path, ..) in FILES {
        let first = ask(&watershed, "GET", path, &[]);
        let tag = first.header("etag").unwrap();
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let known = format!("if-none-match: {known}");
            let again = ask(&watershed, "GET", path, &[&known]);
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), Some(tag), "{path}");
            assert_eq!(ask(&watershed, "HEAD", path, &[&known]).status, 304, "{path}");
        }
        // Of another build, and of the same one in another form.
        let compressed = ask(&watershed, "GET", path, &["accept-encoding: gzip"]);
        let other = compressed.header("etag").unwrap();
        assert_ne!(other, tag);
        for unknown in ["\"0123\"", other] {
            let answer = ask(&watershed, "GET", path, &[&format!("if-none-match: {unknown}")]);
            assert_eq!(answer.status, 200, "{path} {unknown}");
        }
    }
}

#[test]
fn files_are_sent_compressed_to_those_who_take_it() {
    let watershed = serve();
    for (path, kind, name) in FILES {
        let answer = ask(&watershed, "GET", path, &["accept-encoding: br, gzip, deflate"]);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(unzipped(&answer.body), built(name), "{path}");
    }
    let refused = ask(&watershed, "GET", "/console/", &["accept-encoding: gzip;q=0"]);
    assert_eq!(refused.header("content-encoding"), None);
}

fn unzipped(content: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    gzip.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut gzip = gzip.spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let mut plain = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(content).unwrap());
        gzip.stdout.take().unwrap().read_to_end(&mut plain).unwrap();
    });
    assert!(gzip.wait().unwrap().success());
    plain
}

/// A console that is open while the process ends gets its files to the last, so that it can say what happens.
#[test]
fn the_files_are_there_while_the_process_drains() {
    let site = Site::new().server("drain-delay = \"20s\"").service("greeter", &greeter("v1"));
    let watershed = site.start();
    watershed.signal(nix::sys::signal::SIGTERM);
    eventually("draining", || watershed.admin("/readyz").status == 503);
    assert_eq!(watershed.admin("/console/").status, 200);
}
