//! Behaviours that report what the sandbox lets a guest see and reach.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use wasip2::cli::environment::get_environment;
use wasip2::cli::stdout::get_stdout;
use wasip2::filesystem::preopens::get_directories;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingRequest, Scheme};

use crate::call::{Call, Outcome};

pub fn env(call: Call) -> Outcome {
    let mut variables = get_environment();
    variables.sort();
    let lines: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    call.answer(200, &lines)
}

pub fn fs(call: Call) -> Outcome {
    let directories = get_directories().into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    let found = match directories.as_slice() {
        [] => String::from("no file system: no directory is open to this guest"),
        open => format!("a file system: open directories are {}", open.join(", ")),
    };
    let read = match std::fs::read("/etc/passwd") {
        Ok(bytes) => format!("read {} bytes", bytes.len()),
        Err(error) => error.to_string(),
    };
    let written = match std::fs::write("/tmp/lab.txt", "the lab was here\n") {
        Ok(()) => String::from("written"),
        Err(error) => error.to_string(),
    };
    call.answer(200, &format!("{found}\nopen /etc/passwd: {read}\nwrite /tmp/lab.txt: {written}\n"))
}

pub fn net(call: Call) -> Outcome {
    let authority = format!("127.0.0.1:{}", call.number("port"));
    let found = match fetch(&authority) {
        Ok(status) => format!("answered {status}"),
        Err(code) => format!("{code:?}"),
    };
    call.answer(200, &format!("http://{authority}/: {found}\n"))
}

fn fetch(authority: &str) -> Result<u16, ErrorCode> {
    let refused = |()| ErrorCode::HttpRequestUriInvalid;
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some("/")).map_err(refused)?;
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(answer)) => Ok(answer?.status()),
        _ => Err(ErrorCode::InternalError(None)),
    }
}

/// The head as the guest sees it: four lines of the request line, then the headers in the host's order.
pub fn headers(call: Call) -> Outcome {
    let request = &call.request;
    let mut report = format!(
        "method: {}\nscheme: {}\nauthority: {}\npath-with-query: {}\n",
        method(&request.method()),
        scheme(request.scheme().as_ref()),
        request.authority().unwrap_or_default(),
        request.path_with_query().unwrap_or_default(),
    );
    for (name, value) in request.headers().entries() {
        report.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    call.answer(200, &report)
}

fn method(method: &Method) -> String {
    match method {
        Method::Other(name) => name.clone(),
        known => format!("{known:?}").trim_start_matches("Method::").to_uppercase(),
    }
}

fn scheme(scheme: Option<&Scheme>) -> &str {
    match scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
        Some(Scheme::Other(name)) => name,
        None => "",
    }
}

/// A host that does not take the lines must not matter to the answer, so errors are passed over.
pub fn stdout(call: Call) -> Outcome {
    let (lines, len) = (call.number("lines"), call.number("len"));
    let line = "o".repeat(usize::try_from(len).unwrap_or(usize::MAX));
    let mut stdout = std::io::stdout().lock();
    for _ in 0..lines {
        if writeln!(stdout, "{line}").is_err() {
            break;
        }
    }
    drop(writeln!(std::io::stderr(), "the lab wrote {lines} lines to stdout"));
    call.answer(200, &format!("{lines} lines of {len} bytes\n"))
}

/// Asks for standard output anew for each part, as some languages' standard libraries do.
pub fn print(call: Call) -> Outcome {
    for part in 1..=call.number("parts") {
        get_stdout().blocking_write_and_flush(format!("[part {part}]").as_bytes())?;
    }
    if call.number("end") > 0 {
        get_stdout().blocking_write_and_flush(b"\n")?;
    }
    call.answer(200, "printed\n")
}

/// Always 1 in a fresh sandbox.
pub fn count(call: Call) -> Outcome {
    static SERVED: AtomicU64 = AtomicU64::new(0);
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    call.answer(200, &format!("{served}\n"))
}
