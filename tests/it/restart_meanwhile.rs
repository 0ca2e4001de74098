//! What else happens around a restart: commands edit files, the admin listener moves, the state directory goes.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use ::faults::{Call, Faults};
use nix::sys::signal::Signal::{SIGTERM, SIGUSR2};
use nix::unistd::{Pid, getpgid};

use crate::support::{
    Chain, GREETER, Http1, Site, Watershed, assert_admin_problem, compiled, eventually, greeter,
    one_version, send, split,
};

fn group(pid: u32) -> Pid {
    getpgid(Some(Pid::from_raw(i32::try_from(pid).unwrap()))).unwrap()
}

/// Whoever ends the process by its group ends the next one too.
#[test]
fn the_next_process_is_in_the_group_of_the_one_before() {
    let site = Site::new().server("grace-period = \"5s\"").service("greeter", &one_version("v1"));
    let chain = Chain::of(site);
    let before = group(chain.last());
    for _ in 0..2 {
        let old = chain.last();
        chain.signal(SIGUSR2);
        let new = chain.follow();
        eventually("the group", || group(new) == before);
        chain.await_end(old);
    }
}

#[test]
fn the_command_follows_the_admin_listener_to_its_new_address() {
    let site = Site::new().server("grace-period = \"5s\"").service("greeter", &one_version("v1"));
    let chain = Chain::of(site);
    let (watershed, old) = (&chain.watershed, chain.watershed.admin_address());
    let new = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = watershed.site.read("watershed.toml");
    let listen = |address: &str| format!("[admin]\nlisten = \"{address}\"");
    let moved = main.replacen(&listen("127.0.0.1:0"), &listen(&new.to_string()), 1);
    assert_ne!(moved, main);
    watershed.site.replace("watershed.toml", &moved);
    let restarted = watershed.site.run(&["restart", "--json", "--admin", &format!("http://{old}")]);
    assert_eq!(restarted.code, Some(0), "{restarted:?}");
    let said: serde_json::Value = serde_json::from_str(&restarted.stdout).unwrap();
    let pid = u32::try_from(said["pid"].as_u64().unwrap()).unwrap();
    assert_eq!(said["admin"], format!("http://{new}"), "{said}");
    assert!(said["generation"].is_number(), "{said}");
    let answer = Http1::connect(new).get("localhost", "/api/v1/restart").json();
    assert_eq!(answer["pid"], pid);
    // From elsewhere, an address of that machine alone cannot be asked: what is known is said.
    watershed.site.replace("watershed.toml", &main);
    let back = watershed.site.run(&["restart", "--admin", &format!("http://{new}")]);
    assert_eq!(back.code, Some(0), "{back:?}");
    assert!(back.stdout.contains(" serves generation "), "{back:?}");
    let pid = back.stdout.split(' ').nth(1).unwrap().parse().unwrap();
    chain.await_end(chain.last());
    send(pid, SIGTERM);
    chain.await_end(pid);
}

/// The history is away for a moment, and longer where its disk is slow. Whoever edits meanwhile is named, and told that
/// the edit is served.
#[test]
fn who_edits_during_a_handover_is_named() {
    let versions = |shares: &str| greeter("v1") + &greeter("v2") + &split(shares);
    let site = Site::new()
        .server("grace-period = \"5s\"")
        .service("greeter", &versions("v1 = 100, v2 = 0"));
    compiled::seed(&site);
    let mut command = site.command(&["run"]);
    let faults = Faults::install(&mut command).unwrap();
    let chain = Chain::from(Watershed::spawn(site, command));
    let watershed = &chain.watershed;
    let admin = format!("http://{}", watershed.admin_address());
    let state = watershed.site.path("state");
    let mut edits = 1;
    for turn in 0..4_u64 {
        faults.slow_below(&state, Call::Sync, Duration::from_millis(100));
        chain.signal(SIGUSR2);
        let before = chain.last();
        eventually("a handover", || {
            chain.state()["phase"] == "taking-over" || chain.serving() != before
        });
        thread::sleep(Duration::from_millis(60 * turn));
        let shares = if turn % 2 == 0 { "v2=100" } else { "v1=100" };
        let arguments = ["traffic", "greeter", shares, "--yes", "--admin", &admin];
        let edited = watershed.site.run(&arguments);
        assert_eq!(edited.code, Some(0), "{edited:?}");
        faults.heal();
        chain.follow();
        edits += 1;
        eventually("the author", || {
            let newest = watershed.history("greeter").remove(0);
            let author = serde_json::to_value(&newest.author).unwrap();
            author.to_string().contains("watershed traffic")
        });
        assert_eq!(watershed.history("greeter").len(), edits);
    }
}

/// A process that ends begins no restart, and says so.
#[test]
fn a_process_that_drains_begins_no_restart() {
    let site = Site::new()
        .server("drain-delay = \"5s\"\ngrace-period = \"5s\"")
        .service("greeter", &one_version("v1"));
    let chain = Chain::of(site);
    chain.signal(SIGTERM);
    eventually("the drain", || chain.watershed.admin("/readyz").status == 503);
    let refused = chain.watershed.admin_post("/api/v1/restart");
    assert_admin_problem(&refused, 503, "draining");
    chain.signal(SIGUSR2);
    chain.watershed.log_line(&["SIGUSR2: no restart: the process ends"]);
    chain.watershed.assert_serves(GREETER, "/");
}

/// Somebody removes the state directory while a process is replaced: the history is made anew, and numbers go on.
#[test]
fn a_state_directory_that_is_removed_meanwhile_is_made_anew() {
    let site = Site::new().server("grace-period = \"5s\"").service("greeter", &one_version("v1"));
    let chain = Chain::of(site);
    for _ in 0..2 {
        let generation = chain.watershed.generation();
        let before = chain.last();
        chain.signal(SIGUSR2);
        eventually("a successor", || {
            chain.state()["successor"].is_number() || chain.serving() != before
        });
        fs::remove_dir_all(chain.watershed.site.path("state")).unwrap();
        chain.follow();
        chain.watershed.assert_serves(GREETER, "/");
        assert!(chain.watershed.generation() > generation);
        eventually("a history", || !chain.watershed.history("greeter").is_empty());
    }
}
