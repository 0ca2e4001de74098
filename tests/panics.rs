//! Panics are logged and counted, and take nobody along; probes hear of a task that cannot work. In a
//! binary of its own: the hook and the log are the process's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use watershed::admin::{Admin, AdminListener, Events, Writes};
use watershed::descriptors::Descriptors;
use watershed::log::{Log, tell_panics};
use watershed::restart::Restarts;
use watershed::source::{Loader, Reading};
use watershed::telemetry::{Ailment, Format, Scrape, Telemetry};
use watershed::transport::{Drain, Urls};

const DEADLINE: Duration = Duration::from_secs(10);

/// A connection is a task of the runtime that serves: one that panics ends alone.
#[test]
fn a_panic_is_logged_and_counted_and_the_other_tasks_go_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let telemetry = Telemetry::default();
    let log = Log::new(file.reopen().unwrap(), telemetry.clone());
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).init();
    tell_panics(telemetry.clone());

    let serving = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("proxy")
        .enable_all()
        .build()
        .unwrap();
    serving.block_on(async {
        let other = tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            "served"
        });
        let number = 7;
        let panicked = tokio::spawn(async move { panic!("no place {number}") }).await;
        assert!(panicked.is_err_and(|error| error.is_panic()));
        let blocking = tokio::task::spawn_blocking(|| panic!("while it waits")).await;
        assert!(blocking.is_err_and(|error| error.is_panic()));
        assert_eq!(other.await.unwrap(), "served");
    });
    let unnamed = std::thread::spawn(|| std::panic::panic_any(7));
    unnamed.join().unwrap_err();

    assert!(log.flush(DEADLINE));
    let text = fs::read_to_string(file.path()).unwrap();
    let has_line =
        |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has_line(&["ERROR", "proxy", "tests/panics.rs", "no place 7"]), "{text}");
    assert!(has_line(&["ERROR", "proxy", "while it waits"]), "{text}");
    assert!(has_line(&["ERROR", "unnamed", "no message"]), "{text}");
    let metrics = telemetry.render(Scrape::default(), Format::Text).unwrap();
    for (task, panics) in [("proxy", 2), ("unnamed", 1)] {
        let sample = format!("watershed_task_panics_total{{task=\"{task}\"}} {panics}");
        assert!(metrics.contains(&sample), "{sample}\n{metrics}");
    }
}

/// What an admin listener without services answers.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn admin(directory: &std::path::Path, telemetry: Telemetry) -> Admin {
    fs::create_dir(directory.join("services")).unwrap();
    let main = directory.join("watershed.toml");
    fs::write(&main, "[server]\nlisten = [\"127.0.0.1:0\"]\n").unwrap();
    let loaded = Loader::new(&main).load(Reading::Everything).map_err(|it| it.report).unwrap();
    Admin {
        live: Arc::default(),
        reloads: Arc::default(),
        telemetry,
        token: None,
        attempts: Default::default(),
        descriptors: Descriptors::of(1_000),
        drain: Drain::new(Descriptors::of(1_000)),
        restarts: Restarts::new(None).0,
        events: Events::default(),
        urls: Urls::new(Some(0), None),
        config: main,
        root: directory.to_owned(),
        started_with: loaded.config,
        writes: Writes::new(directory),
    }
}

/// It is served again after each answer, as after a panic.
#[test]
fn probes_name_a_task_that_cannot_work_and_the_admin_listener_can_be_served_again() {
    let directory = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::default();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = AdminListener::new(admin(directory.path(), telemetry.clone()), vec![socket]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let answer = |path: &'static str| {
        runtime.block_on(async {
            let asking = tokio::task::spawn_blocking(move || ask(address, path));
            tokio::select! {
                ended = listener.serve() => panic!("{ended:?}"),
                answer = asking => answer.unwrap(),
            }
        })
    };
    assert!(answer("/livez").ends_with("ok\n"));
    telemetry.health().ails("reloader", Ailment::Failing);
    assert!(answer("/livez").ends_with("ok\n"));
    telemetry.health().ails("hangup", Ailment::Lost);
    for path in ["/livez", "/readyz"] {
        let answer = answer(path);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("hangup cannot"), "{answer}");
    }
    telemetry.health().recovers("hangup");
    assert!(answer("/livez").ends_with("ok\n"));
}
