//! Restarts under load over TLS: no handshake and no request fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal::SIGUSR2;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Chain, DEADLINE, GREETER, Site, StopOnDrop, one_version};

/// A connection over TLS, as HTTP/1.1.
struct Https(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Https {
    fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let name = ServerName::try_from(GREETER).unwrap();
        let client = ClientConnection::new(config.clone(), name).unwrap();
        Self(BufReader::new(StreamOwned::new(client, stream)))
    }

    /// The body of a response, and whether the connection ends with it.
    fn get(&mut self) -> (String, bool) {
        let request = format!("GET / HTTP/1.1\r\nhost: {GREETER}\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut length, mut ends) = (None, false);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the connection has ended without an answer");
            let line = line.to_ascii_lowercase();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = Some(value.parse().unwrap()),
                Some(("connection", value)) => ends = value == "close",
                Some(_) => {}
                None if line == "\r\n" => break,
                None => assert!(line.starts_with("http/1.1 200"), "{line}"),
            }
        }
        let body = match length {
            Some(length) => self.bytes(length),
            None => self.chunks(),
        };
        (String::from_utf8(body).unwrap(), ends)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// A chunked body without trailers.
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.0.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            body.extend(self.bytes(size));
            assert_eq!(self.bytes(2), b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }
}

fn ask(address: SocketAddr, config: &Arc<ClientConfig>, running: &AtomicBool) -> u32 {
    let (mut client, mut asked) = (Https::connect(address, config), 0);
    while running.load(Ordering::Relaxed) {
        let (body, ends) = client.get();
        assert_eq!(body, "Hello from v1!\n");
        asked += 1;
        // Every second client shakes hands each time.
        if ends || asked % 2 == 0 {
            client = Https::connect(address, config);
        }
    }
    asked
}

fn secured() -> (Site, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed([GREETER.to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    let tables = "[server.tls]\nlisten = [\"127.0.0.1:0\"]\n[[server.tls.certificates]]\n\
                  certificate = \"own.pem\"\nkey = \"own.key\"";
    let site = Site::new()
        .server("grace-period = \"5s\"")
        .tables(tables)
        .service("greeter", &one_version("v1"));
    site.write("own.pem", made.cert.pem());
    site.write("own.key", made.signing_key.serialize_pem());
    (site, Arc::new(config))
}

#[test]
fn restarts_under_load_over_tls_lose_no_request() {
    let (site, config) = secured();
    let chain = Chain::of(site);
    let stdout = chain.watershed.stdout();
    let address = stdout.lines().find_map(|line| line.strip_prefix("listening on https://"));
    let address: SocketAddr = address.unwrap().parse().unwrap();
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| ask(address, &config, &running))).collect();
        let stop = StopOnDrop(&running);
        for _ in 0..5 {
            chain.signal(SIGUSR2);
            chain.follow();
            assert!(clients.iter().all(|client| !client.is_finished()), "a request has failed");
        }
        drop(stop);
        for client in clients {
            let asked = client.join().unwrap();
            assert!(asked > 10, "{asked} requests");
        }
    });
}
