//! `watershed restart` says what it would change, and asks before it takes traffic away.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::support::{
    AtTerminal, Chain, Finished, GREETER, Site, Streams, Watershed, done, eventually, greeter,
    one_version, plugin, split, tell,
};

fn two(shares: &str) -> String {
    greeter("v1") + &greeter("v2") + &split(shares)
}

fn serve() -> Watershed {
    let site = Site::new().server("grace-period = \"5s\"").service("greeter", &one_version("v1"));
    site.start()
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Has the files say where clients connect, and waits until the process has read it.
fn listen(watershed: &Watershed, addresses: &[SocketAddr]) {
    let addresses: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let main = watershed.site.read("watershed.toml");
    let lines = main.lines().map(|line| match line.starts_with("listen = [") {
        true => format!("listen = [{}]", addresses.join(", ")),
        false => line.to_owned(),
    });
    let main = lines.collect::<Vec<_>>().join("\n");
    watershed.site.replace("watershed.toml", &main);
    let told = || watershed.status()["last_reload"]["restart_changes"][0]["after"].clone();
    eventually("the process has read it", || {
        told().as_str().is_some_and(|told| told.split(", ").count() == addresses.len())
    });
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"))
}

#[test]
fn a_dry_run_restarts_nothing() {
    let watershed = serve();
    let pid = watershed.admin("/api/v1/restart").json()["pid"].clone();
    for more in [&["--dry-run"][..], &["--dry-run", "--yes"]] {
        let finished = tell(&watershed, &[&["restart"], more].concat());
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let expected = format!("process {pid} would be replaced by its program, started anew\n");
        assert!(finished.stdout.ends_with(&expected), "{finished:?}");
    }
    assert_eq!(watershed.admin("/api/v1/restart").json()["pid"], pid);
}

/// An address that goes takes its clients along; one that comes does not.
#[test]
fn an_address_that_goes_is_asked_about() {
    let watershed = serve();
    let (own, other) = (watershed.address(), free());
    // What another reload says does not make that forgotten.
    listen(&watershed, &[own, other]);
    watershed.site.write("services/greeter.toml", "[[broken");
    eventually("rejected", || watershed.service("greeter").get("rejected").is_some());
    watershed.site.write("services/greeter.toml", one_version("v1"));
    eventually("right again", || watershed.service("greeter").get("rejected").is_none());
    let status = done(&watershed, &["status"]);
    assert!(status.contains("`watershed restart` applies server.listen"), "{status}");
    let finished = tell(&watershed, &["restart", "--dry-run", "--json"]);
    let setting = &json(&finished)["settings"][0];
    assert_eq!(setting["key"], "server.listen", "{finished:?}");
    // Where the files say port 0, the process listens at another one than they say.
    let chain = Chain::from(watershed);
    let watershed = &chain.watershed;
    listen(watershed, &[other]);
    let finished = tell(watershed, &["restart"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let question = "`Restart process ";
    assert!(
        finished.stderr.contains(question) && finished.stderr.contains("--yes"),
        "{finished:?}"
    );
    let admin = format!("http://{}", watershed.admin_address());
    let restart = || watershed.site.command(&["restart", "--admin", &admin]);
    let mut terminal = AtTerminal::start(restart(), Streams::ALL);
    eventually("it asks", || terminal.shown().contains("[y/N]"));
    assert!(terminal.shown().contains("server.listen"), "{}", terminal.shown());
    terminal.answer("n\n");
    let (finished, shown) = terminal.end();
    assert_eq!(finished.code, Some(1), "{shown}");
    let finished = tell(watershed, &["restart", "--yes"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    chain.follow();
}

/// Whoever may edit files and not change services changes nothing by a command: not even the file, which would be served.
#[test]
fn what_a_viewer_is_refused_is_not_done() {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"tokens\"";
    let site = Site::new().admin(admin).service("greeter", &two("v1 = 100, v2 = 0"));
    site.write("tokens", "viewer see\noperator act\n");
    site.write("viewer", "see");
    site.write("operator", "act");
    let watershed = site.start();
    let before = watershed.site.read("services/greeter.toml");
    let component = plugin("greeter").display().to_string();
    for arguments in [
        &["traffic", "greeter", "v1=50", "v2=50"][..],
        &["promote", "greeter", "v2"],
        &["delete", "greeter", "v2"],
        &["deploy", "greeter", "v3", "--component", &component],
        &["deploy", "shop", "v1", "--component", &component, "--new-service"],
        &["restart"],
    ] {
        let arguments = [arguments, &["--token-file", "viewer"]].concat();
        let finished = tell(&watershed, &arguments);
        assert_eq!(finished.code, Some(1), "{arguments:?}: {finished:?}");
        assert!(finished.stderr.contains("viewer's"), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.contains("edited already"), "{arguments:?}: {finished:?}");
        assert_eq!(watershed.site.read("services/greeter.toml"), before, "{arguments:?}");
    }
    assert!(!watershed.site.path("services/shop.toml").exists());
    assert!(!watershed.site.path("components").exists(), "no copy is left");
    let promote = ["promote", "greeter", "v2", "--token-file", "operator"];
    assert_eq!(tell(&watershed, &promote).code, Some(0));
}

/// What the process knows already, a dry run tells.
#[test]
fn a_restart_that_cannot_succeed_is_told_before() {
    let watershed = serve();
    watershed.site.write("services/greeter.toml", "[[broken");
    eventually("rejected", || watershed.service("greeter").get("rejected").is_some());
    let finished = tell(&watershed, &["restart", "--dry-run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("would not serve default/greeter"), "{finished:?}");
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main.replace("[state]", "[stat]"));
    eventually("rejected", || {
        let report = watershed.status()["last_reload"].to_string();
        report.contains("watershed.toml")
    });
    let finished = tell(&watershed, &["restart", "--dry-run", "--json"]);
    assert_eq!(json(&finished)["error"]["code"], "restart-failed", "{finished:?}");
    let status = done(&watershed, &["status"]);
    assert!(status.replace("\n    ", " ").contains("no process can start with it"), "{status}");
}

/// After a restart, the history says since when the traffic is as it is; the counters begin anew.
#[test]
fn the_status_tells_the_publish_before_the_restart() {
    let text = two("v1 = 100, v2 = 0");
    let site = Site::new().server("grace-period = \"5s\"").service("greeter", &text);
    let chain = Chain::of(site);
    let watershed = &chain.watershed;
    done(watershed, &["traffic", "greeter", "v1=50", "v2=50"]);
    let generation = watershed.service("greeter")["traffic_generation"].clone();
    watershed.get(GREETER, "/");
    let finished = tell(watershed, &["restart"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    chain.follow();
    let service = watershed.service("greeter");
    assert_eq!(service["traffic_began"]["generation"], generation, "{service:#}");
    let status = done(watershed, &["status", "greeter"]);
    let told = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&format!("since generation {generation}, ")), "{status}");
    assert!(told.contains("counted since the start of the process"), "{status}");
    assert!(told.contains("SINCE START"), "{status}");
}
