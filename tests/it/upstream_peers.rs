//! Software that others wrote, before and behind the real program: nginx, Node and Python as upstreams, grpcio and
//! WebSocket libraries as clients and upstreams. `tests/peers/install.sh` installs what can be installed. A test whose
//! peer is not there says so, and passes.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Finished, Http1, Site, UP, Watershed, eventually, limits, request, upstream};

/// A process that prints its port, and ends when its stdin does.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    /// Starts a script of `tests/peers`.
    fn start(mut command: Command, script: &str) -> Self {
        command.arg(scripts().join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("{script}: {line:?}"));
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scripts() -> PathBuf {
    root().join("tests/peers")
}

/// A program of the machine, if it is installed.
fn program(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    found.map(Command::new)
}

/// The Python of the tests, if it has this module.
fn python(module: &str) -> Option<Command> {
    let python = root().join("target/peers/venv/bin/python");
    let has = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    has.is_ok_and(|it| it.status.success()).then(|| Command::new(python))
}

macro_rules! or_pass {
    ($found:expr, $what:literal) => {
        match $found {
            Some(found) => found,
            None => {
                eprintln!("not tested: {} is not installed (tests/peers/install.sh)", $what);
                return;
            }
        }
    };
}

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
    let server = Peer::start(server, "grpc_server.py");
    let watershed = serve(server.address, "protocol = \"h2c\"");
    run(&watershed, client, "grpc_client.py");
}

#[test]
fn websockets_pass_over_http1() {
    let (client, server) =
        (or_pass!(python("websockets"), "websockets"), python("websockets").unwrap());
    let server = Peer::start(server, "websocket_server.py");
    run(&serve(server.address, ""), client, "websocket_client.py");
}

/// RFC 8441: a client over HTTP/2, and an upstream that only knows HTTP/1.1.
#[test]
fn websockets_pass_from_http2_to_http1() {
    let client = or_pass!(python("websockets, h2, wsproto"), "h2");
    let server = Peer::start(python("websockets").unwrap(), "websocket_server.py");
    run(&serve(server.address, ""), client, "websocket2_client.py");
}

#[test]
fn node_is_an_upstream() {
    let node = or_pass!(program("node"), "node");
    let node = Peer::start(node, "http_server.js");
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
    let node = or_pass!(program("node"), "node");
    let node = Peer::start(node, "http_server.js");
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
    let python = or_pass!(program("python3"), "python3");
    let python = Peer::start(python, "http_server.py");
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
    let mut nginx = or_pass!(program("nginx"), "nginx");
    let home = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let body = vec![b'x'; 3 << 20];
    std::fs::create_dir(home.path().join("www")).unwrap();
    std::fs::write(home.path().join("www/large"), &body).unwrap();
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr;
        events {{ worker_connections 256; }}
        http {{
            access_log off; keepalive_requests 5; default_type text/plain;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
            uwsgi_temp_path u; scgi_temp_path s; client_max_body_size 1k;
            server {{
                listen {address};
                location / {{ return 200 \"$request_method $host $http_x_forwarded_for\"; }}
                location /large {{ root www; }}
                location /upload {{ root www; }}
            }}
        }}"
    );
    std::fs::write(home.path().join("nginx.conf"), config).unwrap();
    nginx.arg("-p").arg(home.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
    let nginx = Peer { child: nginx.stderr(Stdio::null()).spawn().unwrap(), address };
    eventually("nginx", || TcpStream::connect(address).is_ok());
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
