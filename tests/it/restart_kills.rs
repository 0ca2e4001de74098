//! Either process is killed, at each step of a handover: what is served is the newest edit, the numbers of generations only
//! grow, and each change is in the history once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::faults::{Call, Faults, Victim};
use nix::sys::signal::Signal::SIGUSR2;
use serde_json::Value;

use crate::support::{
    Chain, DEADLINE, GREETER, Http1, LAB, Site, StopOnDrop, Watershed, compiled, eventually,
    is_running, lab, one_version,
};

/// The steps of one restart, at most: more than there are.
const STEPS: u64 = 60;

/// Two processes, or one, whose calls are disturbed.
struct Stage {
    chain: Chain,
    faults: Faults,
    edits: usize,
}

impl Stage {
    fn new() -> Self {
        let site = Site::new()
            .server("grace-period = \"120s\"\nexpose = \"decision\"")
            .service("greeter", &one_version("v1"))
            .service("lab", &lab("v1"));
        compiled::seed(&site);
        let mut command = site.command(&["run"]);
        let faults = Faults::install(&mut command).unwrap();
        Self { chain: Chain::from(Watershed::spawn(site, command)), faults, edits: 0 }
    }

    /// A request that keeps the process for as long as its connection is open.
    fn busy(&self) -> Http1 {
        let mut busy = self.chain.watershed.http1();
        busy.send(format!("GET /sleep?ms=20000 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
        eventually("a request in flight", || {
            self.chain.watershed.metric("watershed_in_flight", &[]) > 0.5
        });
        busy
    }

    /// Serves another version from now on.
    fn edit(&mut self) -> String {
        self.edits += 1;
        let version = format!("v{}", 1 + self.edits % 2);
        self.chain.watershed.site.replace("services/greeter.toml", one_version(&version));
        format!("Hello from {version}!\n")
    }

    /// How the restart stands, if anybody says so.
    fn state(&self) -> Option<Value> {
        let said = ask(self.chain.watershed.admin_address(), "localhost", "/api/v1/restart")?;
        serde_json::from_str(said.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until the edit is served and recorded, once.
    fn assert_is_well(&self, greeting: &str, step: &str) {
        eventually(step, || {
            let served = ask(self.chain.watershed.address(), GREETER, "/");
            served.is_some_and(|served| served.ends_with(greeting))
        });
        let watershed = &self.chain.watershed;
        // Whoever goes on opens it a moment later.
        let is_open = || watershed.admin("/api/v1/history?service=greeter").status == 200;
        eventually(step, || is_open() && watershed.history("greeter").len() > self.edits);
        let history = watershed.history("greeter");
        assert_eq!(history.len(), 1 + self.edits, "{step}: {history:#?}");
        assert!(history.is_sorted_by(|newer, older| newer.generation > older.generation));
        assert!(history[0].generation <= watershed.generation(), "{step}");
    }
}

/// What a host answers on a connection of its own; `None` where it is not answered.
fn ask(address: SocketAddr, host: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said).filter(|said| said.starts_with("HTTP/1.1 200"))
}

/// Asks again and again; the generation that is served never falls.
fn watch(address: SocketAddr, running: &AtomicBool) {
    let mut last = 0;
    while running.load(Ordering::Relaxed) {
        let Some(said) = ask(address, GREETER, "/") else { continue };
        let line = said.lines().find_map(|line| line.strip_prefix("watershed-generation: "));
        let generation: u64 = line.unwrap().parse().unwrap();
        assert!(generation >= last, "generation {generation} after {last}");
        last = generation;
        thread::sleep(Duration::from_millis(1));
    }
}

/// The new process dies: before it has the history, while it records, after it has published. The old one goes on.
fn kill_the_new_one(call: Call) {
    let mut stage = Stage::new();
    let (running, address) = (AtomicBool::new(true), stage.chain.watershed.address());
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(address, &running));
        let stop = StopOnDrop(&running);
        for nth in 1..STEPS {
            let (old, busy) = (stage.chain.last(), stage.busy());
            let state = stage.chain.watershed.site.path("state");
            stage.faults.kill_below(&state, call, nth, Victim::Other(old));
            stage.chain.signal(SIGUSR2);
            stage.chain.successor();
            // Before the new process has read the files, while it takes over, or later.
            thread::sleep(Duration::from_millis(nth % 5 * 60));
            let greeting = stage.edit();
            let mut is_over = false;
            eventually("the end of a restart", || {
                let Some(now) = stage.state() else { return false };
                is_over = now["pid"] != old;
                is_over || (now["phase"] == "none" && now["failure"].is_object())
            });
            // One that has taken over may be about to die.
            if is_over && stage.faults.disturbed(call) < nth {
                thread::sleep(Duration::from_millis(500));
            }
            stage.faults.heal();
            eventually("somebody who answers", || stage.state().is_some());
            stage.assert_is_well(&greeting, &format!("{call:?} {nth}"));
            drop(busy);
            if stage.state().is_some_and(|now| now["pid"] != old) {
                stage.chain.follow();
                assert!(nth > 2, "nobody was killed");
                break;
            }
            assert!(nth + 1 < STEPS, "there are more steps");
        }
        drop(stop);
        watching.join().unwrap();
    });
}

#[test]
fn the_new_process_dies_at_each_write_to_the_disk() {
    kill_the_new_one(Call::Sync);
}

#[test]
fn the_new_process_dies_at_each_write_to_a_file() {
    kill_the_new_one(Call::Write);
}

/// The old process dies while it gives the history away. The new one takes over.
#[test]
fn the_old_process_dies_at_each_write() {
    let mut stage = Stage::new();
    let (running, address) = (AtomicBool::new(true), stage.chain.watershed.address());
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch(address, &running));
        let stop = StopOnDrop(&running);
        for call in [Call::Sync, Call::Write] {
            for nth in 1..STEPS {
                let old = stage.chain.last();
                stage.chain.signal(SIGUSR2);
                stage.chain.successor();
                let state = stage.chain.watershed.site.path("state");
                stage.faults.kill_below(&state, call, nth, Victim::This(old));
                let greeting = stage.edit();
                eventually("the next process", || {
                    stage.state().is_some_and(|now| now["pid"] != old)
                });
                let was_killed = stage.faults.disturbed(call) > 0 && !is_running(old);
                stage.faults.heal();
                stage.chain.follow();
                stage.assert_is_well(&greeting, &format!("{call:?} {nth}"));
                stage.chain.await_end(old);
                if !was_killed {
                    break;
                }
            }
        }
        drop(stop);
        watching.join().unwrap();
    });
}
