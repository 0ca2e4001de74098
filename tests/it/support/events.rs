//! A stream of events of the admin listener.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::DEADLINE;
use super::http1::Http1;
use super::response::Response;

/// An open stream.
#[derive(Debug)]
pub struct Events {
    client: Http1,
    response: Response,
}

impl Events {
    /// Opens a stream, and reads its head.
    pub fn open(admin: SocketAddr) -> Self {
        Self::open_as(admin, "accept: text/event-stream")
    }

    /// The same, with a header that says who asks.
    pub fn open_as(admin: SocketAddr, header: &str) -> Self {
        let mut client = Http1::connect(admin);
        client.send(format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n"));
        let response = client.head();
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        Self { client, response }
    }

    /// The header of the response.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }

    /// The next event, with its data; `None` where the stream has ended. Comments are skipped.
    pub fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let text = String::from_utf8_lossy(&self.response.body).into_owned();
            if let Some((event, rest)) = text.split_once("\n\n") {
                self.response.body = rest.as_bytes().to_vec();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
                }
                assert!(event.starts_with(':'), "{event}");
                continue;
            }
            if self.response.complete || !self.client.chunk(&mut self.response) {
                return None;
            }
        }
    }

    /// Reads the first event.
    #[track_caller]
    pub fn hello(&mut self) -> Value {
        let (name, data) = self.next().expect("an event");
        assert_eq!(name, "hello");
        data
    }

    /// Reads until a change of this service, or of any. Returns the change and how long that took.
    #[track_caller]
    pub fn change_of(&mut self, service: Option<&str>) -> (Value, Duration) {
        let started = Instant::now();
        loop {
            let (name, data) = self.next().expect("an event");
            assert_eq!(name, "change", "{data}");
            if data["service"].as_str() == service {
                return (data, started.elapsed());
            }
            assert!(started.elapsed() < DEADLINE, "no change of {service:?}, but {data}");
        }
    }

    /// Whether the stream was ended in order.
    pub fn is_complete(&self) -> bool {
        self.response.complete
    }
}
