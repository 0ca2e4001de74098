//! An upstream that keeps every byte that it gets. It finds the ends of requests as RFC 9112 has them, and by nothing
//! else, so a proxy that sends other ends gets its requests split in two, or stuck.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";

/// The server. Its threads end with its connections.
pub struct Recorder {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Whole requests, in the order of their ends.
    whole: Vec<Vec<u8>>,
    /// What came of requests that broke off.
    rest: Vec<Vec<u8>>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Mutex<Kept>>::default();
        let recorder = Self { address, kept: kept.clone() };
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let kept = kept.clone();
                thread::spawn(move || serve(connection, &kept));
            }
        });
        recorder
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The whole requests that came since the last call, without `GET /count`, and what came of others.
    pub fn take(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let Kept { mut whole, rest } = std::mem::take(&mut *self.kept.lock().unwrap());
        whole.retain(|request| !request.starts_with(b"GET /count "));
        (whole, rest)
    }
}

fn serve(mut connection: TcpStream, kept: &Mutex<Kept>) {
    let (mut bytes, mut part) = (Vec::new(), [0; 64 << 10]);
    loop {
        while let Some(length) = whole(&bytes) {
            let rest = bytes.split_off(length);
            kept.lock().unwrap().whole.push(std::mem::replace(&mut bytes, rest));
            if connection.write_all(ANSWER).is_err() {
                return;
            }
        }
        match connection.read(&mut part) {
            Ok(length @ 1..) => bytes.extend_from_slice(&part[..length]),
            Ok(0) | Err(_) => break,
        }
    }
    if !bytes.is_empty() {
        kept.lock().unwrap().rest.push(bytes);
    }
}

/// The length of the first request, once it is complete.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = end(bytes, b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(it, _)| *it == name).map(|(_, value)| value.trim());
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice: {text}");
        value.map(str::to_owned)
    };
    let (length, coding) = (field("content-length"), field("transfer-encoding"));
    assert!(length.is_none() || coding.is_none(), "framed twice: {text}");
    if let Some(coding) = coding {
        assert_eq!(coding, "chunked");
        return chunks(bytes, head);
    }
    let whole = head + length.map_or(0, |length| length.parse().unwrap());
    (bytes.len() >= whole).then_some(whole)
}

/// Where a chunked body ends that begins at `at`.
fn chunks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = at + end(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..line - 2]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            // Trailers up to an empty line.
            return Some(line - 2 + end(&bytes[line - 2..], b"\r\n\r\n")?);
        }
        at = line + size + 2;
        (bytes.len() >= at).then_some(())?;
    }
}

fn end(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|part| part == mark).map(|start| start + mark.len())
}
