//! A process that is replaced while it serves: no request is lost, and the history goes on.

use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGTERM, SIGUSR2};

use crate::support::{
    Chain, DEADLINE, GREETER, Http1, LAB, Response, Site, StopOnDrop, Watershed, eventually,
    greeter, lab, one_version, split,
};

fn greeter_site() -> Site {
    let server = "grace-period = \"5s\"\nexpose = \"decision\"";
    Site::new().server(server).service("greeter", &one_version("v1"))
}

/// Asks until told to stop. Nothing is retried: every request must be answered. A connection is made anew where the
/// answer before has closed it.
fn ask_by_http1(watershed: &Watershed, running: &AtomicBool) -> u64 {
    let mut client = watershed.http1();
    ask(running, || {
        let response = client.get(GREETER, "/");
        if response.header("connection") == Some("close") {
            client = watershed.http1();
        }
        response
    })
}

/// The same over HTTP/2: a connection is used until it says that it goes away.
fn ask_by_http2(watershed: &Watershed, running: &AtomicBool) -> u64 {
    let mut client = watershed.http2();
    ask(running, || {
        loop {
            match client.get_unless_gone(GREETER, "/") {
                Some(response) => return response,
                None => client = watershed.http2(),
            }
        }
    })
}

/// A connection for each request.
fn ask_anew(watershed: &Watershed, running: &AtomicBool) -> u64 {
    ask(running, || watershed.get(GREETER, "/"))
}

fn ask(running: &AtomicBool, mut get: impl FnMut() -> Response) -> u64 {
    let mut asked = 0;
    while running.load(Ordering::Relaxed) {
        let response = get();
        assert_eq!((response.status, response.complete), (200, true), "{response:?}");
        assert_eq!(response.text(), "Hello from v1!\n");
        asked += 1;
    }
    asked
}

#[test]
fn ten_restarts_in_a_row_under_load_lose_no_request() {
    let chain = Chain::of(greeter_site());
    let running = AtomicBool::new(true);
    let mut descriptors = Vec::new();
    thread::scope(|scope| {
        let (watershed, running) = (&chain.watershed, &running);
        let clients = [ask_by_http1, ask_by_http1, ask_by_http2, ask_anew];
        let clients = clients.map(|ask| scope.spawn(move || ask(watershed, running)));
        let stop = StopOnDrop(running);
        for _ in 0..10 {
            let (before, generation) = (chain.last(), watershed.generation());
            descriptors.push(fs::read_dir(format!("/proc/{before}/fd")).unwrap().count());
            chain.signal(SIGUSR2);
            chain.follow();
            assert!(watershed.generation() > generation);
            assert!(clients.iter().all(|client| !client.is_finished()), "a request has failed");
        }
        drop(stop);
        for client in clients {
            let asked = client.join().unwrap();
            assert!(asked > 20, "{asked} requests");
        }
    });
    // What one process hands to the next does not add up.
    let (first, last) = (descriptors[0], descriptors[9]);
    assert!(last <= first + 8, "{descriptors:?}");
    let failed = chain.watershed.metric("watershed_requests_total", &[("outcome", "2xx")]);
    assert!(failed > 0.0);
    assert!(!chain.watershed.stderr().contains("ERROR"));
}

#[test]
fn the_command_waits_and_says_which_process_serves() {
    let chain = Chain::of(greeter_site());
    let admin = format!("http://{}", chain.watershed.admin_address());
    let (before, generation) = (chain.last(), chain.watershed.generation());
    let restarted = chain.watershed.site.run(&["restart", "--admin", &admin]);
    assert_eq!(restarted.code, Some(0), "{restarted:?}");
    let after = chain.follow();
    let serves = format!("process {after} serves generation {} at {admin}\n", generation + 1);
    assert!(restarted.stdout.starts_with(&serves), "{restarted:?}");
    chain.await_end(before);
    let restarted = chain.watershed.site.run(&["restart", "--json", "--admin", &admin]);
    let said: serde_json::Value = serde_json::from_str(&restarted.stdout).unwrap();
    assert_eq!((&said["ok"], &said["predecessor"]), (&true.into(), &after.into()), "{said}");
    assert_eq!(said["pid"], chain.follow());
    chain.watershed.assert_serves(GREETER, "/");
}

/// A connection that is closed while its client sends the next request loses it.
#[test]
fn a_kept_connection_gets_one_more_answer_and_a_request_in_flight_its_own() {
    let server = "grace-period = \"60s\"\nexpose = \"decision\"";
    let site = Site::new().server(server).service("lab", &lab("v1"));
    let mut chain = Chain::of(site);
    let mut kept = chain.watershed.http1();
    let generation = kept.get(LAB, "/count").header("watershed-generation").map(str::to_owned);
    let mut busy = chain.watershed.http1();
    busy.send(format!("GET /sleep?ms=3000 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    chain.watershed.await_metric("watershed_in_flight", &[], 1.0);
    chain.signal(SIGUSR2);
    let after = chain.follow();
    assert_eq!(chain.state()["predecessor"], chain.watershed.pid());
    let answers = [kept.get(LAB, "/count"), busy.response("GET")];
    for (client, response) in [kept, busy].iter_mut().zip(answers) {
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert_eq!(response.header("watershed-generation"), generation.as_deref());
        client.assert_closed();
    }
    assert_eq!(chain.watershed.wait(DEADLINE).code(), Some(0));
    eventually("nobody before it", || chain.state().get("predecessor").is_none());
    assert_eq!(chain.serving(), after);
}

#[test]
fn the_history_goes_on_and_has_one_owner() {
    let chain = Chain::of(greeter_site());
    let records = chain.watershed.history("greeter").len();
    chain.signal(SIGUSR2);
    chain.follow();
    let site = &chain.watershed.site;
    site.replace("services/greeter.toml", one_version("v2"));
    chain.watershed.await_greeting("Hello from v2!\n");
    let history = chain.watershed.history("greeter");
    assert_eq!(history.len(), records + 1, "{history:?}");
    assert_eq!(history[0].generation, chain.watershed.generation());
    chain.signal(SIGUSR2);
    chain.follow();
    assert_eq!(chain.watershed.history("greeter").len(), records + 1);
    chain.signal(SIGTERM);
    chain.await_end(chain.last());
}

#[test]
fn addresses_that_changed_are_bound_and_the_others_handed_over() {
    let chain = Chain::of(greeter_site());
    let own = chain.watershed.address();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = chain.watershed.site.read("watershed.toml");
    let listen = |addresses: String| {
        main.replacen("listen = [\"127.0.0.1:0\"]", &format!("listen = [{addresses}]"), 1)
    };
    chain.watershed.site.replace("watershed.toml", listen(format!("\"{own}\", \"{free}\"")));
    chain.signal(SIGUSR2);
    chain.follow();
    for address in [own, free] {
        assert_eq!(Http1::connect(address).get(GREETER, "/").status, 200);
    }
    chain.watershed.site.replace("watershed.toml", listen(format!("\"{free}\"")));
    let before = chain.last();
    chain.signal(SIGUSR2);
    chain.follow();
    assert_eq!(Http1::connect(free).get(GREETER, "/").status, 200);
    chain.await_end(before);
    eventually("refused", || TcpStream::connect(own).is_err());
}

/// Users stay with the version that they were pinned to, although others get another one by now.
#[test]
fn pins_are_remembered_by_the_next_process() {
    let pin = "\n[traffic.sticky]\nkey = \"header:x-user\"\nmode = \"pin\"\nttl = \"1h\"\n";
    let versions =
        |split: &str| greeter("v1") + &greeter("v2") + &crate::support::split(split) + pin;
    let site = Site::new().server("grace-period = \"5s\"");
    let chain = Chain::of(site.service("greeter", &versions("v1 = 100, v2 = 0")));
    let greeted = |user: &str| {
        let user = format!("x-user: {user}");
        chain.watershed.http1().ask("GET", GREETER, "/", &[&user], b"").text()
    };
    assert_eq!(greeted("ann"), "Hello from v1!\n");
    chain.watershed.site.replace("services/greeter.toml", versions("v1 = 0, v2 = 100"));
    chain.watershed.await_greeting("Hello from v2!\n");
    let before = greeted("ann");
    chain.signal(SIGUSR2);
    chain.follow();
    chain.watershed.log_line(&["taken over", "pin"]);
    assert_eq!((greeted("ann"), greeted("bob")), (before, "Hello from v2!\n".to_owned()));
}

/// A new process reads the files, and then makes the versions ready: an edit that comes between is served by the process
/// before.
#[test]
fn an_edit_during_a_restart_is_not_undone() {
    let text = |shares: &str| greeter("v1") + &greeter("v2") + &split(shares);
    let site = Site::new().server("grace-period = \"5s\"");
    let chain = Chain::of(site.service("greeter", &text("v1 = 100, v2 = 0")));
    for turn in 0..3 {
        let (shares, greeting) = match turn % 2 {
            0 => ("v1 = 0, v2 = 100", "Hello from v2!\n"),
            _ => ("v1 = 100, v2 = 0", "Hello from v1!\n"),
        };
        // Compiling takes its time.
        fs::remove_dir_all(chain.watershed.site.path("state/compiled")).ok();
        let before = chain.last();
        chain.signal(SIGUSR2);
        eventually("a successor", || {
            chain.state()["successor"].is_number() || chain.serving() != before
        });
        chain.watershed.site.write("services/greeter.toml", text(shares));
        eventually("the edit", || chain.watershed.get(GREETER, "/").text() == greeting);
        let mut rest = None;
        while rest.is_none_or(|since: Instant| since.elapsed() < Duration::from_secs(1)) {
            assert_eq!(chain.watershed.get(GREETER, "/").text(), greeting, "turn {turn}");
            if rest.is_none() && chain.serving() != before {
                rest = Some(Instant::now());
            }
        }
        chain.follow();
        let undone = chain.watershed.history("greeter").len();
        assert_eq!(undone, 2 + turn, "each edit is in the history once");
    }
}
