//! An HTTP/1.1 service outside of watershed, as people have them: it answers with its name, can be told to fail, and can
//! be stopped and started again on its port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A service on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Backend {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    /// Of answers to requests for `/healthz`.
    health: AtomicU16,
    requests: AtomicUsize,
    checks: AtomicUsize,
    stops: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// The heads of the requests, without those of checks.
    heads: Mutex<Vec<String>>,
}

impl Backend {
    /// Starts a service that answers `Hello from NAME!`.
    pub fn start(name: &str) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            health: AtomicU16::new(200),
            requests: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            stops: AtomicBool::new(false),
            connections: Mutex::default(),
            heads: Mutex::default(),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut backend = Self { shared: Arc::new(shared), address, acceptor: None };
        backend.start_again();
        backend
    }

    /// Listens again on the port that it had.
    pub fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        self.shared.stops.store(false, Ordering::SeqCst);
        let shared = self.shared.clone();
        self.acceptor = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Closes the port and every connection.
    pub fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stops.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        TcpStream::connect(self.address).ok();
        acceptor.join().unwrap();
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `[[versions]]` entry of a version that it serves alone.
    pub fn version(&self, name: &str) -> String {
        format!("[[versions]]\nname = \"{name}\"\nupstream = [\"{}\"]\n", self.address)
    }

    /// What it answers to checks from now on.
    pub fn answer_checks(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// Requests that it got, without checks.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub fn checks(&self) -> usize {
        self.shared.checks.load(Ordering::SeqCst)
    }

    /// The head of the last request.
    pub fn last_head(&self) -> String {
        self.shared.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stops.load(Ordering::SeqCst) {
            return;
        }
        let connection = connection.unwrap();
        shared.connections.lock().unwrap().push(connection.try_clone().unwrap());
        let shared = shared.clone();
        // A client that goes away ends its thread.
        thread::spawn(move || serve(connection, &shared));
    }
}

/// Answers one request after the other.
fn serve(mut connection: TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let head = head(&mut reader)?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        std::io::copy(&mut (&mut reader).take(length.unwrap_or(0)), &mut std::io::sink()).ok()?;
        let is_check = head.split(' ').nth(1) == Some("/healthz");
        let status = match is_check {
            true => {
                shared.checks.fetch_add(1, Ordering::SeqCst);
                shared.health.load(Ordering::SeqCst)
            }
            false => {
                shared.requests.fetch_add(1, Ordering::SeqCst);
                shared.heads.lock().unwrap().push(head);
                200
            }
        };
        let body = format!("Hello from {}!\n", shared.name);
        let answer = format!(
            "HTTP/1.1 {status} Whatever\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(answer.as_bytes()).ok()?;
    }
}

fn head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    Some(head)
}
