//! Every error of the admin API is a problem document, whatever was asked and however.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    DEADLINE, Http1, Response, Site, Watershed, assert_admin_problem, eventually, greeter,
    one_version, within,
};

const READ: [&str; 7] = [
    "/livez",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/explain",
    "/api/v1/history",
];
const POSTED: [&str; 2] = ["/api/v1/reload", "/api/v1/check"];

const JSON: &str = "content-type: application/json";

fn serve() -> Watershed {
    let environment = |name: &str| {
        format!(
            "[[environments]]\nname = \"{name}\"\ndomain = \"{name}.test\"\n\
             services = \"services/*.toml\"\n"
        )
    };
    let watershed = Site::new()
        .service("greeter", &one_version("v1"))
        .service("broken", "nonsense")
        .tables(&(environment("test") + &environment("prod")))
        .start();
    eventually("ready", || watershed.admin("/readyz").status == 200);
    watershed
}

fn ask(watershed: &Watershed, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
    Http1::connect(watershed.admin_address()).ask(method, "localhost", path, headers, body)
}

fn attribution() -> Value {
    json!({
        "environment": "test",
        "service": "greeter",
        "user": "ada",
        "command": "watershed deploy",
        "file_digest": format!("sha256:{:064}", 0),
    })
}

/// Many APIs answer in HTML or plain text as soon as no handler of theirs is reached
/// (apache/airflow#12325, manyminds/api2go#143).
#[test]
fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let watershed = serve();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"] {
        for path in READ.iter().chain(&POSTED) {
            let is_read = READ.contains(path);
            let is_taken = match method {
                "GET" | "HEAD" => is_read,
                "POST" => !is_read,
                _ => false,
            };
            if is_taken {
                continue;
            }
            let answer = ask(&watershed, method, path, &[], b"");
            if method == "HEAD" {
                assert_eq!((answer.status, answer.body.len()), (405, 0), "{path}: {answer:?}");
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
                continue;
            }
            assert_admin_problem(&answer, 405, "method-not-allowed");
            let expected = if is_read { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" };
            assert_eq!(answer.header("allow"), Some(expected), "{method} {path}");
        }
    }
    for path in READ.iter().chain(&POSTED) {
        let options = ask(&watershed, "OPTIONS", path, &[], b"");
        assert_eq!(options.status, 204, "{path}");
        assert!(options.header("allow").unwrap().contains("OPTIONS"), "{path}");
    }
    for path in ["/", "/api/v1", "/api/v1/status/", "/api/v2/status", "/METRICS", "//livez"] {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            assert_admin_problem(&ask(&watershed, method, path, &[], b""), 404, "unknown-path");
        }
    }
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/status", "/api/v1/config"] {
        let head = ask(&watershed, "HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}: {head:?}");
    }
}

#[test]
fn a_wrong_parameter_is_named_with_what_there_is() {
    let watershed = serve();
    let unknown = "unknown-parameter";
    for (path, status, code, says) in [
        ("/api/v1/status?servce=greeter", 400, unknown, "did you mean `service`?"),
        ("/api/v1/config?services=false", 400, unknown, "`service`"),
        ("/api/v1/config?service=greter", 404, "unknown-service", "did you mean `greeter`?"),
        ("/api/v1/history?service=greeter&generation=1", 400, unknown, "`limit`"),
        ("/api/v1/explain?service=greeter&colour=red", 400, unknown, "`header`"),
        ("/readyz?verbose", 400, unknown, "`generation` is the only one"),
        ("/readyz?generation=x", 400, "bad-parameter", "number of a generation"),
        ("/api/v1/status?service=", 400, "bad-parameter", "a name"),
        ("/api/v1/status?services=0", 400, "bad-parameter", "`true` or `false`"),
        ("/api/v1/status?service=a&service=b", 400, "bad-parameter", "more than once"),
        ("/api/v1/history", 400, "missing-parameter", "add `service=…`"),
        ("/api/v1/history?service=greeter&limit=0", 400, "bad-parameter", "1 and 1000"),
        ("/api/v1/history?service=greeter&texts=1", 400, "bad-parameter", "`true` or `false`"),
        ("/api/v1/explain", 400, "missing-parameter", "add `service=…`"),
        ("/api/v1/explain?service=greeter&path=x", 400, "bad-parameter", "is not a path"),
        ("/api/v1/explain?service=greeter", 400, "ambiguous-service", "`test` and `prod`"),
        ("/api/v1/history?service=greeter", 400, "ambiguous-service", "`prod` and `test`"),
        ("/api/v1/status?service=greter", 404, "unknown-service", "did you mean `greeter`?"),
        ("/api/v1/status?service=%00%ff", 404, "unknown-service", "no service"),
        ("/api/v1/explain?service=greter", 404, "unknown-service", "did you mean `greeter`?"),
        ("/api/v1/history?service=greter", 404, "unknown-service", "no record of it"),
        ("/api/v1/status?service=broken", 404, "unknown-service", "its file is wrong"),
        ("/api/v1/explain?service=broken", 404, "unknown-service", "its file is wrong"),
        ("/api/v1/status?environment=prd", 404, "unknown-environment", "did you mean `prod`?"),
        ("/api/v1/explain?service=greeter&environment=x", 404, "unknown-environment", "`prod`"),
        ("/api/v1/history?service=greeter&environment=x", 404, "unknown-service", "`prod`"),
    ] {
        let answer = watershed.admin(path);
        assert_admin_problem(&answer, status, code);
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let broken = watershed.admin("/api/v1/status?service=broken").json();
    assert_eq!(broken["place"]["line"], 1, "{broken}");
    for path in ["/api/v1/reload?service=greeter", "/api/v1/check?x"] {
        assert_admin_problem(&watershed.admin_post(path), 400, unknown);
    }
    // A probe or a scrape never fails for a parameter that somebody adds.
    for path in ["/livez?verbose", "/metrics?collect[]=x"] {
        assert_eq!(watershed.admin(path).status, 200, "{path}");
    }
    let alone = watershed.admin("/api/v1/status?services=false").json();
    let services = alone["environments"][0]["services"].as_array().map(Vec::len);
    assert_eq!((services, &alone["ready"]), (Some(0), &json!(true)), "{alone}");
    let long = format!("/api/v1/status?service={}", "x".repeat(20_000));
    let answer = watershed.admin(&long);
    assert_admin_problem(&answer, 404, "unknown-service");
    assert!(answer.body.len() < 2_000, "{}", answer.body.len());
}

#[test]
fn a_wrong_body_is_refused_before_anything_is_done() {
    let watershed = serve();
    let reloads = || watershed.metric("watershed_reloads_total", &[]);
    let before = reloads();
    let form = "content-type: application/x-www-form-urlencoded";
    let changed = |key: &str, value: Value| {
        let mut body = attribution();
        body[key] = value;
        body.to_string()
    };
    let too_long = changed("remark", "long ".repeat(20_000).into());
    for (path, kind, body, status, code) in [
        ("/api/v1/reload", JSON, "{".to_owned(), 400, "bad-body"),
        ("/api/v1/reload", JSON, "[1]".to_owned(), 400, "bad-body"),
        ("/api/v1/reload", JSON, "null".to_owned(), 400, "bad-body"),
        ("/api/v1/reload", JSON, "\u{feff}{}".to_owned(), 400, "bad-body"),
        ("/api/v1/reload", JSON, changed("who", "ada".into()), 400, "bad-body"),
        ("/api/v1/reload", JSON, changed("user", " ".into()), 400, "bad-body"),
        ("/api/v1/reload", JSON, changed("service", "no such name".into()), 400, "bad-body"),
        ("/api/v1/reload", JSON, changed("environment", "".into()), 400, "bad-body"),
        ("/api/v1/reload", JSON, changed("file_digest", "abc".into()), 400, "bad-body"),
        ("/api/v1/reload", form, attribution().to_string(), 415, "unsupported-media-type"),
        ("/api/v1/reload", JSON, too_long, 413, "body-too-long"),
        ("/api/v1/check", JSON, "{}".to_owned(), 400, "bad-body"),
        ("/api/v1/check", JSON, String::new(), 400, "bad-body"),
        (
            "/api/v1/check",
            "content-type: text/plain",
            "{}".to_owned(),
            415,
            "unsupported-media-type",
        ),
        (
            "/api/v1/check",
            JSON,
            json!({"file": "a", "is_there": true, "text": ""}).to_string(),
            400,
            "bad-body",
        ),
    ] {
        let answer = ask(&watershed, "POST", path, &[kind], body.as_bytes());
        assert_admin_problem(&answer, status, code);
    }
    let field = changed("who", "ada".into());
    let answer = ask(&watershed, "POST", "/api/v1/reload", &[JSON], field.as_bytes());
    assert!(answer.text().contains("unknown field `who`"), "{}", answer.text());
    let answer = ask(&watershed, "POST", "/api/v1/reload", &[JSON], b"[]");
    assert!(answer.text().contains("it is no JSON object"), "{}", answer.text());
    assert!((reloads() - before).abs() < 0.5, "nothing was reloaded");
    // A client that sends what curl sends by itself, but nothing in it.
    assert_eq!(ask(&watershed, "POST", "/api/v1/reload", &[form], b"").status, 422);
}

/// 422 is an answer with a document, and a problem all the same.
#[test]
fn wrong_files_are_a_problem_with_a_place() {
    let watershed = serve();
    let answer = watershed.admin_post("/api/v1/reload");
    assert_admin_problem(&answer, 422, "invalid-configuration");
    let document = answer.json();
    assert_eq!(document["outcome"], "unchanged", "{document}");
    assert_eq!(document["place"]["line"], document["problems"][0]["line"]);
    assert!(document["place"]["file"].as_str().unwrap().ends_with("services/broken.toml"));
    let file = watershed.site.path("services/greeter.toml");
    let question = json!({ "file": file, "is_there": true, "text": "nonsense" });
    let answer = watershed.admin_post_json("/api/v1/check", &question);
    assert_admin_problem(&answer, 422, "invalid-configuration");
    assert_eq!(answer.json()["verdict"], "wrong");
}

/// An edit that nobody can have made: its service is in no file.
#[test]
fn a_change_of_a_service_that_does_not_exist_is_refused() {
    let watershed = serve();
    for (environment, service, code) in [
        ("test", "nobody", "unknown-service"),
        ("prod", "greter", "unknown-service"),
        ("nowhere", "greeter", "unknown-environment"),
    ] {
        let mut told = attribution();
        (told["environment"], told["service"]) = (environment.into(), service.into());
        let answer = watershed.admin_post_json("/api/v1/reload", &told);
        assert_admin_problem(&answer, 404, code);
    }
    // What a command has just created or removed is no nonsense.
    let mut told = attribution();
    told["service"] = "fresh".into();
    watershed.site.write("services/broken.toml", one_version("v1"));
    watershed.site.write("services/fresh.toml", one_version("v1"));
    assert_eq!(watershed.admin_post_json("/api/v1/reload", &told).status, 200);
    std::fs::remove_file(watershed.site.path("services/fresh.toml")).unwrap();
    assert_eq!(watershed.admin_post_json("/api/v1/reload", &told).status, 200);
}

#[test]
fn what_the_guard_refuses_is_a_problem_too() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &greeter("v1"));
    site.write("token", "s3cret\n");
    let watershed = site.start();
    let right = "authorization: Bearer s3cret";
    let connect = || Http1::connect(watershed.admin_address());
    for path in READ.iter().skip(2).chain(&POSTED).chain(&["/nonsense"]) {
        for method in ["GET", "POST", "OPTIONS"] {
            let missing = ask(&watershed, method, path, &[], b"");
            assert_admin_problem(&missing, 401, "token-missing");
            let wrong = ask(&watershed, method, path, &["authorization: Bearer no"], b"");
            assert_admin_problem(&wrong, 401, "token-wrong");
            assert!(!wrong.text().contains("s3cret"), "{wrong:?}");
        }
        let foreign = connect().ask("GET", "evil.example", path, &[right], b"");
        assert_admin_problem(&foreign, 421, "host-unknown");
        let twice = ask(&watershed, "GET", path, &[right, "host: localhost"], b"");
        assert_admin_problem(&twice, 400, "host-missing");
        let page = ask(&watershed, "POST", path, &[right, "origin: http://evil.example"], b"");
        assert_admin_problem(&page, 403, "foreign-origin");
    }
    assert_eq!(ask(&watershed, "GET", "/api/v1/status", &[right], b"").status, 200);
}

/// hyper answers these by itself, with a bare head, and nobody learns why (hyperium/hyper#3225, ClickHouse#98268).
#[test]
fn what_is_no_request_gets_a_document_too() {
    let watershed = serve();
    let long = "a".repeat(100_000);
    let fields = "x: y\r\n".repeat(300);
    let requests = [
        ("garbage\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("\x16\x03\x01\x02\x01 a client of TLS\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/3.0\r\nhost: a\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nno field\r\n\r\n".to_owned(), 400, "malformed-request"),
        (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414, "head-too-long"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n"), 431, "head-too-long"),
    ];
    for (request, status, code) in requests {
        let mut client = Http1::connect(watershed.admin_address());
        client.send(&request);
        assert_admin_problem(&client.response("GET"), status, code);
    }
    // Behind a request that was answered, on the same connection.
    let mut client = Http1::connect(watershed.admin_address());
    client.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    client.send("garbage\r\n\r\n");
    assert_admin_problem(&client.response("GET"), 400, "malformed-request");
    assert_eq!(watershed.admin("/livez").status, 200);
}

/// Clients that send their bodies slowly are given up, and keep nobody out meanwhile.
#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let watershed = serve();
    let head = format!(
        "POST /api/v1/reload HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ncontent-length: 1000\r\n\r\n{{"
    );
    let begun = Instant::now();
    let mut slow: Vec<_> = (0..40)
        .map(|_| {
            let mut client = Http1::connect(watershed.admin_address());
            client.send(&head);
            client
        })
        .collect();
    assert_eq!(watershed.admin("/livez").status, 200);
    let mut first = slow.remove(0);
    first.writer().set_read_timeout(Some(DEADLINE * 3)).unwrap();
    assert_admin_problem(&first.response("POST"), 408, "body-late");
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    // A body that ends early is given up at once.
    let mut client = Http1::connect(watershed.admin_address());
    client.send(&head);
    client.end_writing();
    let answer = client.everything();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

/// Requests whose head never ends, and clients that are idle, beside clients that ask.
#[test]
fn idle_clients_do_not_pile_up() {
    let watershed = serve();
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(watershed.admin_address()).unwrap();
        // The listener may have closed it already, to make room.
        client.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").ok();
        idle.push(client);
    }
    within(DEADLINE * 2, "an answer beside them", || watershed.admin("/livez").status == 200);
    let open = watershed.status()["descriptors"]["open"].as_u64().unwrap();
    assert!(open < 250, "{open} descriptors are open");
}
