//! Panics are logged and counted, and take nobody along. In a binary of its own: the hook and the
//! log are the process's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{Read, pipe};
use std::time::Duration;

use watershed::log::{Log, tell_panics};
use watershed::telemetry::Telemetry;

const DEADLINE: Duration = Duration::from_secs(10);

/// A connection is a task of the runtime that serves: one that panics ends alone.
#[test]
fn a_panic_is_logged_and_counted_and_the_other_tasks_go_on() {
    let (mut reader, writer) = pipe().unwrap();
    let telemetry = Telemetry::default();
    let log = Log::new(writer, telemetry.clone());
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
    let mut bytes = vec![0; 64 << 10];
    let read = reader.read(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap()).into_owned();
    let has_line =
        |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has_line(&["ERROR", "proxy", "tests/panics.rs", "no place 7"]), "{text}");
    assert!(has_line(&["ERROR", "proxy", "while it waits"]), "{text}");
    assert!(has_line(&["ERROR", "unnamed", "no message"]), "{text}");
    let metrics = telemetry.render(1, &[]).unwrap();
    for (task, panics) in [("proxy", 2), ("unnamed", 1)] {
        let sample = format!("watershed_task_panics_total{{task=\"{task}\"}} {panics}");
        assert!(metrics.contains(&sample), "{sample}\n{metrics}");
    }
}
