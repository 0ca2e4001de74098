//! The greeter: the guest of the examples and the benchmarks.
//!
//! `GET` anything is greeted, `POST` has the words of its body counted, and `GET /stream?lines=N` is answered line by
//! line. What it says comes from its environment: `GREETING` (default `Hello`) and `VERSION` (left out if unset).
//!
//! Every host call is paid for on every request, so the plain `GET` makes as few as it can.

mod body;
mod words;

use wasip2::cli::environment::get_environment;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, IncomingRequest, Method, ResponseOutparam};

const DEFAULT_LINES: u32 = 5;
const MAX_LINES: u32 = 1000;

struct Greeter;

wasip2::http::proxy::export!(Greeter);

impl Guest for Greeter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match answer(request) {
            Ok(Answer::Text(status, text)) => body::send_whole(out, status, &text),
            Ok(Answer::Lines(count)) => body::send_lines(out, count),
            Err(code) => ResponseOutparam::set(out, Err(code)),
        }
    }
}

/// The response to a request.
enum Answer {
    Text(u16, String),
    Lines(u32),
}

fn answer(request: IncomingRequest) -> Result<Answer, ErrorCode> {
    if matches!(request.method(), Method::Post) {
        let count = words::count(&request)?;
        let text =
            format!("{} You sent {} words in {} bytes.\n", greeting(), count.words, count.bytes);
        return Ok(Answer::Text(200, text));
    }
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if path == "/stream" {
        return Ok(lines(query));
    }
    let mut text = greeting();
    text.push('\n');
    Ok(Answer::Text(200, text))
}

/// `Hello from v1!`, or `Hello!` where `VERSION` is not set.
fn greeting() -> String {
    let mut greeting = None;
    let mut version = None;
    for (name, value) in get_environment() {
        match name.as_str() {
            "GREETING" => greeting = Some(value),
            "VERSION" => version = Some(value),
            _ => {}
        }
    }
    let mut text = greeting.unwrap_or_else(|| String::from("Hello"));
    if let Some(version) = version {
        text.push_str(" from ");
        text.push_str(&version);
    }
    text.push('!');
    text
}

fn lines(query: &str) -> Answer {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("lines="));
    match asked.map_or(Ok(DEFAULT_LINES), str::parse) {
        Ok(count) if count <= MAX_LINES => Answer::Lines(count),
        _ => Answer::Text(400, format!("lines must be a whole number from 0 to {MAX_LINES}\n")),
    }
}
