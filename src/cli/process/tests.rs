//! A process as a command meets it: what it refuses, and what answers in its place.

use super::*;
use crate::cli::CliError;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

#[test]
fn a_url_is_taken_as_people_write_it() {
    for url in ["http://127.0.0.1:9090", "http://127.0.0.1:9090/", "127.0.0.1:9090"] {
        assert_eq!(checked(url).unwrap(), "http://127.0.0.1:9090");
    }
    assert_eq!(checked("[::1]:9090").unwrap(), "http://[::1]:9090");
    for url in ["", "http://", "a b", "localhost:1/api", "u@h:1"] {
        assert!(matches!(checked(url), Err(ProcessError::NotAUrl(_))), "{url}");
    }
    let encrypted = checked("https://127.0.0.1:9090").unwrap_err().to_string();
    assert!(encrypted.contains("speaks plain HTTP"), "{encrypted}");
}

/// Starts a process that gives every client this answer. Returns its address, and the requests that it got.
fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = vec![0; 4096];
        let mut read = 0;
        while !asked[..read].ends_with(b"}") {
            read += client.read(&mut asked[read..]).unwrap();
        }
        client.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked[..read]).into_owned()
    });
    (url, asked)
}

fn post(url: &str) -> Result<(u16, Value), ProcessError> {
    let process = Process::new(Some(url), None, &AdminSettings::default()).unwrap();
    process.post("/api/v1/reload", &serde_json::json!({ "user": "me" }))
}

#[test]
fn what_is_posted_is_json_and_so_is_the_answer() {
    let answer = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 9\r\n\r\n{\"at\": 7}";
    let (url, asked) = answering(answer);
    assert_eq!(post(&url).unwrap(), (422, serde_json::json!({ "at": 7 })));
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /api/v1/reload HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    assert!(asked.ends_with("{\"user\":\"me\"}"), "{asked}");
}

/// Whatever answers there is not trusted with the terminal.
#[test]
fn a_problem_document_is_repeated_with_its_advice() {
    let body = r#"{"status":404,"title":"Not Found","detail":"no","code":"unknown-service","message":"no \u001b[31mshop","help":"try `shop`","more":1}"#;
    let head = "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let (url, _) = answering(answer.leak());
    let error = post(&url).unwrap_err();
    assert_eq!(error.to_string(), format!("no [31mshop ({url}/api/v1/reload, status 404)"));
    assert_eq!(error.help().as_deref(), Some("try `shop`"));
    assert!(error.is_unknown());
}

#[test]
fn a_refusal_in_plain_text_is_repeated() {
    let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
                  content-length: 9\r\n\r\nno user.\n";
    let (url, _) = answering(answer);
    let error = post(&url).unwrap_err();
    let expected = format!("no user. ({url}/api/v1/reload, status 400)");
    assert_eq!(error.to_string(), expected);
    assert!(!error.is_not_running());
    let document = serde_json::to_value(CliError::from(error).document()).unwrap();
    assert_eq!(document["error"]["code"], "process-refused");
}

/// What is no code of ours means nothing to a script, and could be anything.
#[test]
fn a_foreign_code_is_not_repeated() {
    let refused = |code: &str| {
        let error = ErrorDocument { code: code.to_owned(), ..ErrorDocument::default() };
        let url = "http://127.0.0.1:1".to_owned();
        let error = ProcessError::Refused { url, status: 400, error: Box::new(error) };
        serde_json::to_value(CliError::from(error).document()).unwrap()["error"]["code"].clone()
    };
    for foreign in ["", "c]0;pwn", "CODE", "no-such-code"] {
        assert_eq!(refused(foreign), "process-refused", "{foreign}");
    }
    assert_eq!(refused("draining"), "draining");
}

#[test]
fn nothing_that_a_process_says_moves_the_cursor() {
    let url = "http://127.0.0.1:1/".to_owned();
    let answer = "unknown variant `\u{1b}[2J\u{202e}\r`".to_owned();
    let text = CliError::from(ProcessError::Stranger { url, answer }).text();
    assert!(text.contains("`\\u{1b}[2J\\u{202e}\\r`\n  help: "), "{text}");
}

#[test]
fn where_nobody_listens_no_process_runs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = post(&url).unwrap_err();
    assert!(error.is_not_running(), "{error}");
    assert!(error.line().contains("`watershed run`"), "{error}");
}

#[test]
fn a_listener_on_every_address_is_reached_on_loopback() {
    let local = |listen: &str| local(listen.parse().unwrap());
    assert_eq!(local("0.0.0.0:9090").unwrap().to_string(), "127.0.0.1:9090");
    assert_eq!(local("[::]:9090").unwrap().to_string(), "[::1]:9090");
    assert_eq!(local("10.0.0.1:9090").unwrap().to_string(), "10.0.0.1:9090");
    assert!(matches!(local("127.0.0.1:0"), Err(ProcessError::NoPort)));
}

/// Where a process has moved to is asked only where that is surely the same machine.
#[test]
fn a_process_that_moves_is_followed_on_its_machine() {
    let (any, loopback, other) = ("0.0.0.0:9191", "127.0.0.1:9191", "192.0.2.7:9191");
    for (url, address, expected) in [
        ("http://127.0.0.1:9090", loopback, Some("http://127.0.0.1:9191")),
        ("http://localhost:9090", loopback, Some("http://127.0.0.1:9191")),
        ("http://127.0.0.1:9090", any, Some("http://127.0.0.1:9191")),
        ("http://[::1]:9090", "[::]:9191", Some("http://[::1]:9191")),
        ("http://gate.example:9090", any, Some("http://gate.example:9191")),
        ("http://gate.example:9090", other, Some("http://192.0.2.7:9191")),
        ("http://gate.example:9090", loopback, None),
    ] {
        let process = Process::new(Some(url), None, &AdminSettings::default()).unwrap();
        let moved = process.moved(address.parse().unwrap());
        assert_eq!(moved.as_ref().map(Process::url), expected, "{url} {address}");
    }
}
