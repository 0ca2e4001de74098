//! The plainest HTTP client: one `GET` over one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A response, up to the end of its connection.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Header lines, as they were sent.
    pub head: String,
    pub body: String,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Asks for a path of a host.
pub fn get(address: SocketAddr, host: &str, path: &str) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no response")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok(Response { status, head: head.to_owned(), body: body.to_owned() })
}

/// An error unless the host greets: every server says the same.
pub fn expect_greeting(address: SocketAddr, host: &str) -> Result<()> {
    match get(address, host, "/")? {
        Response { status: 200, body, .. } if body.contains(" from v") => Ok(()),
        Response { status, body, .. } => Err(format!("{host} answers {status}: {body}").into()),
    }
}
