//! Behaviours that report: what the guest is told, and what it can reach.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use wasip3::cli::environment::get_environment;
use wasip3::cli::stdout::write_via_stream;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Scheme};
use wasip3::{spawn_local, wit_future, wit_stream};

use crate::Answer;
use crate::reply::answer;

/// `Hello from v1!`, or `Hello!` where no version is told.
pub fn greet() -> Answer {
    let mut text = std::env::var("GREETING").unwrap_or_else(|_| String::from("Hello"));
    if let Ok(version) = std::env::var("VERSION") {
        text.push_str(" from ");
        text.push_str(&version);
    }
    text.push_str("!\n");
    answer(200, text)
}

/// Asks 0.3; the standard library, which greets, asks 0.2.
pub fn env() -> Answer {
    let mut variables = get_environment();
    variables.sort();
    let lines = variables.iter().map(|(name, value)| format!("{name}={value}\n"));
    answer(200, lines.collect())
}

pub fn headers(request: &Request) -> Answer {
    let scheme = match request.get_scheme() {
        Some(Scheme::Http) => "http",
        Some(_) => "another",
        None => "none",
    };
    let mut report = format!(
        "scheme: {scheme}\nauthority: {}\npath-with-query: {}\n",
        request.get_authority().unwrap_or_default(),
        request.get_path_with_query().unwrap_or_default(),
    );
    for (name, value) in request.get_headers().copy_all() {
        writeln!(report, "{name}: {}", String::from_utf8_lossy(&value)).ok();
    }
    answer(200, report)
}

/// Tries to reach 127.0.0.1 at this port.
pub async fn net(port: u64) -> Answer {
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end);
    let (request, _) = Request::new(Fields::new(), None, trailers, None);
    request.set_scheme(Some(&Scheme::Http)).ok();
    request.set_authority(Some(&format!("127.0.0.1:{port}"))).ok();
    request.set_path_with_query(Some("/")).ok();
    let outcome = match client::send(request).await {
        Ok(_) => "reached",
        Err(ErrorCode::HttpRequestDenied) => "denied",
        Err(_) => "failed",
    };
    answer(200, format!("{outcome}\n"))
}

/// Says the same through the standard library, which is 0.2, and through 0.3.
pub async fn stdout() -> Answer {
    println!("by 0.2");
    let (mut stream, contents) = wit_stream::new();
    let written = write_via_stream(contents);
    spawn_local(async move {
        stream.write_all(b"by 0.3\n".into()).await;
        drop(stream);
        written.await.ok();
    });
    answer(200, "said twice\n".into())
}

/// Writes a line in parts, each through a stream of its own.
pub async fn print(parts: u64, end: u64) -> Answer {
    for part in 1..=parts {
        print_part(format!("[part {part}]").into_bytes()).await;
    }
    if end > 0 {
        print_part(b"\n".into()).await;
    }
    answer(200, "printed\n".into())
}

async fn print_part(bytes: Vec<u8>) {
    let (mut stream, contents) = wit_stream::new();
    let written = write_via_stream(contents);
    stream.write_all(bytes).await;
    drop(stream);
    written.await.ok();
}

/// Counts the requests that this sandbox has served.
pub fn count() -> Answer {
    static SERVED: AtomicU32 = AtomicU32::new(0);
    answer(200, format!("{}\n", SERVED.fetch_add(1, Ordering::Relaxed) + 1))
}
