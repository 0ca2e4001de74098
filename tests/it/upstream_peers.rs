//! Software that others wrote, before and behind the real program: nginx, Node and Python as upstreams, grpcio and
//! WebSocket libraries as clients and upstreams. `tests/peers/install.sh` installs what can be installed. A test whose
//! peer is not there says so, and passes.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::peer::{Peer, nginx_at, nginx_http, or_pass, program, python, scripts};
use crate::support::{Finished, Http1, Site, UP, Watershed, limits, request, upstream};

/// Serves an upstream with these lines of its own.
fn serve(target: SocketAddr, lines: &str) -> Watershed {
    let patience = "wall-time = \"5s\"\nidle-time = \"10s\"\nrequest-body = \"64MiB\"";
    let version = upstream("v1", &[target], lines) + &limits(patience);
    Site::new().service("up", &version).start()
}

/// Runs a client of `tests/peers` against the gateway.
#[track_caller]
fn run(watershed: &Watershed, mut python: Command, script: &str) {
    python.arg(scripts().join(script)).arg(watershed.address().to_string()).arg(UP);
    let finished = Finished::of(python);
    assert_eq!(finished.stdout, "ok\n", "{finished:?}");
}

#[test]
fn grpc_passes_unary_and_streaming_with_its_errors_and_deadlines() {
    let (client, server) = (or_pass!(python("grpc"), "grpcio"), python("grpc").unwrap());
    let server = Peer::script(server, "grpc_server.py");
    let watershed = serve(server.address, "protocol = \"h2c\"");
    run(&watershed, client, "grpc_client.py");
}

#[test]
fn websockets_pass_over_http1() {
    let (client, server) =
        (or_pass!(python("websockets"), "websockets"), python("websockets").unwrap());
    let server = Peer::script(server, "websocket_server.py");
    run(&serve(server.address, ""), client, "websocket_client.py");
}

/// RFC 8441: a client over HTTP/2, and an upstream that only knows HTTP/1.1.
#[test]
fn websockets_pass_from_http2_to_http1() {
    let client = or_pass!(python("websockets, h2, wsproto"), "h2");
    let server = Peer::script(python("websockets").unwrap(), "websocket_server.py");
    run(&serve(server.address, ""), client, "websocket2_client.py");
}

#[test]
fn node_is_an_upstream() {
    let node = Command::new(or_pass!(program("node"), "node"));
    let node = Peer::script(node, "http_server.js");
    let watershed = serve(node.address, "");
    let mut client = watershed.http1();
    for _ in 0..30 {
        let response = client.get(UP, "/");
        assert_eq!((response.status, response.header("x-method")), (200, Some("GET")));
        // Node closes the connection at about this time.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(client.ask("POST", UP, "/", &[], b"hello").text(), "hello");
    assert_eq!(watershed.get(UP, "/trailers").trailers, [("x-sum".to_owned(), "5".to_owned())]);
    let http2 = watershed.http2();
    let response = http2.get(UP, "/trailers");
    assert_eq!((response.text().as_str(), response.trailers.len()), ("hello", 1), "{response:?}");
    let mut client = watershed.http1();
    client.send(format!("GET /hints HTTP/1.1\r\nhost: {UP}\r\n\r\n"));
    let hints = client.head();
    assert_eq!((hints.status, hints.header("link").is_some()), (103, true), "{hints:?}");
    assert_eq!(client.response("GET").status, 200);
    let early = client.ask("POST", UP, "/early", &[], &vec![b'x'; 4 << 20]);
    assert_eq!((early.status, early.text().as_str()), (413, "too large"));
}

/// Not only WebSockets upgrade. What comes right behind the request, or the 101, is not lost (Go #80875).
#[test]
fn node_speaks_a_protocol_of_its_own_after_an_upgrade() {
    let node = Command::new(or_pass!(program("node"), "node"));
    let node = Peer::script(node, "http_server.js");
    let watershed = serve(node.address, "");
    let mut client = watershed.http1();
    client.send(format!(
        "GET /chat HTTP/1.1\r\nhost: {UP}\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\n"
    ));
    let head = client.head();
    assert_eq!((head.status, head.header("upgrade")), (101, Some("shout")), "{head:?}");
    client.send("hello");
    let mut said = Vec::new();
    client.read_up_to(5, &mut said);
    client.send("bye");
    client.end_writing();
    client.read_up_to(3, &mut said);
    assert_eq!(said, b"HELLOBYE");
    client.assert_closed();
}

#[test]
fn python_is_an_upstream() {
    let python = Command::new(or_pass!(program("python3"), "python3"));
    let python = Peer::script(python, "http_server.py");
    let watershed = serve(python.address, "");
    let mut client = watershed.http1();
    for number in 0..20 {
        let response = client.get(UP, &format!("/{number}"));
        assert_eq!(response.text(), format!("python got /{number}"));
        assert_eq!(response.header("x-host"), Some(UP));
    }
    let body = vec![b'x'; 1 << 20];
    assert_eq!(client.ask("POST", UP, "/", &[], &body).body, body);
    let response = client.ask("HEAD", UP, "/", &[], b"");
    assert_eq!(response.status, 501, "it does not know HEAD: {response:?}");
}

/// nginx, with connections that it closes after five requests each.
#[test]
fn nginx_is_an_upstream() {
    let nginx = or_pass!(program("nginx"), "nginx");
    let home = tempfile::tempdir().unwrap();
    let body = vec![b'x'; 3 << 20];
    std::fs::create_dir(home.path().join("www")).unwrap();
    std::fs::write(home.path().join("www/large"), &body).unwrap();
    let (nginx, _) = Peer::listening(1, |addresses| {
        let server = format!(
            "keepalive_requests 5; client_max_body_size 1k;
            server {{
                listen {};
                location / {{ return 200 \"$request_method $host $http_x_forwarded_for\"; }}
                location /large {{ root www; }}
                location /upload {{ root www; }}
            }}",
            addresses[0]
        );
        nginx_at(home.path(), &nginx, &nginx_http(&server))
    });
    let watershed = serve(nginx.address, "");
    let mut client: Http1 = watershed.http1();
    for _ in 0..40 {
        assert_eq!(client.get(UP, "/").text(), format!("GET {UP} 127.0.0.1"));
    }
    assert!(client.get(UP, "/large").body == body);
    let head = client.ask("HEAD", UP, "/large", &[], b"");
    assert_eq!(head.header("content-length"), Some("3145728"));
    let part = client.ask("GET", UP, "/large", &["range: bytes=10-19"], b"");
    assert_eq!((part.status, part.body.len()), (206, 10));
    let tag = head.header("etag").unwrap();
    let same = client.ask("GET", UP, "/large", &[&format!("if-none-match: {tag}")], b"");
    assert_eq!(same.status, 304);
    assert!(watershed.http2().get(UP, "/large").body == body);
    // It answers before it has read the body, and closes the connection.
    let refused = watershed.http1().ask("POST", UP, "/upload", &[], &vec![b'x'; 2 << 20]);
    assert_eq!(refused.status, 413, "{refused:?}");
    let http2 = watershed.http2();
    let mut upload = request("POST", UP, "/upload");
    upload.headers_mut().insert("content-length", 2_000_000.into());
    let mut exchange = http2.open(upload, true);
    exchange.upload.send_data(vec![b'x'; 60_000].into(), false).unwrap();
    assert_eq!(http2.response(exchange.response).unwrap().status, 413);
}
