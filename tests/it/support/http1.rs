//! A raw HTTP/1.1 client: the test decides every byte that it sends, and sees how responses are framed.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;
use super::response::Response;

/// One connection.
#[derive(Debug)]
pub struct Http1 {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Http1 {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Another handle of the same connection, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// `GET`, and the response to it. The connection can be used again.
    pub fn get(&mut self, host: &str, path: &str) -> Response {
        self.ask("GET", host, path, &[], b"")
    }

    /// One request with a body of known length, if any, and its response.
    pub fn ask(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat());
        self.response(method)
    }

    /// Reads a response to a request with this method, however its body is framed.
    pub fn response(&mut self, method: &str) -> Response {
        let response = self.head();
        self.body(method, response)
    }

    /// Reads the body behind a head.
    pub fn body(&mut self, method: &str, mut response: Response) -> Response {
        if method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304) {
            response.complete = true;
        } else if response.header("transfer-encoding") == Some("chunked") {
            while !response.complete && self.chunk(&mut response) {}
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().unwrap();
            let read = self.read_up_to(length, &mut response.body);
            response.complete = read == length;
        } else {
            response.complete = self.read_to_close(&mut response.body);
        }
        response
    }

    /// Reads the head of a response.
    pub fn head(&mut self) -> Response {
        let line = self.line().expect("a status line");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {line:?}"));
        assert!(line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 "), "{line:?}");
        Response { status, headers: self.fields(), ..Response::default() }
    }

    /// Reads one chunk of a chunked body; false if the connection ended instead.
    pub fn chunk(&mut self, response: &mut Response) -> bool {
        let Some(size) = self.line() else { return false };
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("size {size:?}"));
        if size == 0 {
            response.trailers = self.fields();
            response.complete = true;
            return true;
        }
        let whole = self.read_up_to(size, &mut response.body) == size;
        whole && self.line().as_deref() == Some("")
    }

    /// Lines up to the empty one.
    pub fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().expect("an empty line after the fields");
            if line.is_empty() {
                return fields;
            }
            let (name, value) = line.split_once(':').expect("a field");
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// A line without its end; `None` if the connection ended.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(_) => {}
            Err(error) => assert_gone(&error),
        }
        let line = line.strip_suffix(b"\r\n")?;
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// Reads up to this many bytes. Returns how many came.
    pub fn read_up_to(&mut self, length: usize, into: &mut Vec<u8>) -> usize {
        let before = into.len();
        let mut part = self.reader.by_ref().take(length as u64);
        if let Err(error) = part.read_to_end(into) {
            assert_gone(&error);
        }
        into.len() - before
    }

    /// Reads up to this many bytes and forgets them. Returns how many came.
    pub fn skip(&mut self, length: usize) -> usize {
        let mut part = self.reader.by_ref().take(length as u64);
        let skipped = io::copy(&mut part, &mut io::sink()).unwrap();
        usize::try_from(skipped).unwrap()
    }

    /// Reads to the end of the connection. Returns whether that end was orderly.
    fn read_to_close(&mut self, into: &mut Vec<u8>) -> bool {
        match self.reader.read_to_end(into) {
            Ok(_) => true,
            Err(error) => {
                assert_gone(&error);
                false
            }
        }
    }

    /// Everything up to the end of the connection, as it is on the wire.
    pub fn everything(&mut self) -> String {
        let mut bytes = Vec::new();
        self.read_to_close(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for more, for as long as `limit`. Returns whether more has come, and not the end of the connection.
    #[track_caller]
    pub fn has_more(&mut self, limit: Duration) -> bool {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let has_more = match self.reader.fill_buf() {
            Ok(bytes) => !bytes.is_empty(),
            Err(error) => {
                assert_gone(&error);
                false
            }
        };
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        has_more
    }

    /// Asserts that the other side has closed the connection.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        self.read_to_close(&mut rest);
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    /// Tells the other side that nothing more will be sent.
    pub fn end_writing(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The port of this end.
    pub fn local_port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// Resets the connection, as when the client's process is killed while it reads.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Tells the other side that nothing more will be sent, and nothing more be read.
    pub fn close(self) {
        // The other side may have closed first.
        self.stream.shutdown(Shutdown::Both).ok();
    }
}

/// A connection may end by a reset; a silent connection is a failure.
#[track_caller]
fn assert_gone(error: &io::Error) {
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    assert!(gone.contains(&error.kind()), "while reading: {error}");
}
