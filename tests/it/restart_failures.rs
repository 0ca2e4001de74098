//! Restarts that fail: nothing changes, whatever is wrong, and whoever ends in between.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM, SIGUSR2};

use crate::support::{
    Chain, DEADLINE, GREETER, LAB, Site, Watershed, assert_admin_problem, compiled, eventually,
    is_running, lab, one_version, send,
};

/// A process whose program is a file of the test's own.
struct Installed {
    chain: Chain,
    program: PathBuf,
}

impl Installed {
    fn new() -> Self {
        let site = Site::new()
            .server("grace-period = \"5s\"")
            .service("greeter", &one_version("v1"))
            .service("lab", &lab("v1"));
        compiled::seed(&site);
        let program = site.path("watershed");
        let of_build = env!("CARGO_BIN_EXE_watershed");
        fs::hard_link(of_build, &program)
            .or_else(|_| fs::copy(of_build, &program).map(drop))
            .unwrap();
        let mut command = Command::new(&program);
        command.arg("run").arg("--config").arg(site.main_file());
        command.current_dir(site.path("")).stdin(Stdio::null());
        let chain = Chain::from(Watershed::spawn(site, command));
        Self { chain, program }
    }

    /// Puts another program in the place of the one that runs.
    fn replace(&self, text: &str) {
        let aside = self.program.with_extension("aside");
        fs::write(&aside, text).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(aside, &self.program).unwrap();
    }

    fn put_back(&self) {
        let aside = self.program.with_extension("aside");
        let of_build = env!("CARGO_BIN_EXE_watershed");
        fs::hard_link(of_build, &aside).or_else(|_| fs::copy(of_build, &aside).map(drop)).unwrap();
        fs::rename(aside, &self.program).unwrap();
    }

    /// Restarts by the command, which must fail. Returns what it said.
    fn fails(&self, timeout: &str) -> String {
        let admin = format!("http://{}", self.chain.watershed.admin_address());
        let arguments = ["restart", "--timeout", timeout, "--admin", &admin];
        let restarted = self.chain.watershed.site.run(&arguments);
        assert_eq!(restarted.code, Some(1), "{restarted:?}");
        assert_eq!(self.chain.serving(), self.chain.last());
        self.chain.watershed.assert_serves(GREETER, "/");
        restarted.stderr
    }
}

#[test]
fn a_program_that_does_not_become_ready_changes_nothing() {
    let installed = Installed::new();
    let chain = &installed.chain;
    let generation = chain.watershed.generation();
    for (text, reason) in [
        ("#!/bin/sh\nexit 3\n", "ended with exit code 3 before it served"),
        ("#!/bin/sh\nkill -9 $$\n", "was ended by signal 9"),
        ("this is no program\n", "cannot be started: Exec format error"),
        ("#!/no/such/interpreter\n", "cannot be started: No such file or directory"),
        ("#!/bin/sh\nexec sleep 1000 <&-\n", "closed the connection between the two"),
        ("#!/bin/sh\nexec sleep 1000\n", "has shown no sign of life for 1s, and is killed"),
    ] {
        installed.replace(text);
        let said = installed.fails("1s");
        assert!(said.contains(reason), "{said}");
        assert!(said.contains("goes on as before"), "{said}");
    }
    fs::remove_file(&installed.program).unwrap();
    assert!(installed.fails("1s").contains("No such file"));
    let children = format!("/proc/{0}/task/{0}/children", chain.last());
    assert_eq!(fs::read_to_string(children).unwrap_or_default(), "", "nobody is left");
    // The history was given away by none of them.
    assert_eq!(chain.watershed.generation(), generation);
    chain.watershed.log_line(&["ERROR", "the restart has failed", "Exec format error"]);
    installed.put_back();
    chain.signal(SIGUSR2);
    chain.follow();
    chain.watershed.assert_serves(GREETER, "/");
}

/// What a program has started, such as compilers, goes with it; and nobody else does.
#[test]
fn the_children_of_a_program_that_fails_end_with_it() {
    let installed = Installed::new();
    let site = &installed.chain.watershed.site;
    let file = site.path("children");
    let started = |end: &str| {
        format!(
            "#!/bin/sh\nfor n in 1 2; do sleep 1000 & echo $! >> {}; done\n{end}\n",
            file.display()
        )
    };
    for end in ["exec sleep 1000", "exit 3", "kill -9 $$", "exec sleep 1000 <&-"] {
        installed.replace(&started(end));
        installed.fails("1s");
        let children = fs::read_to_string(&file).unwrap();
        let pids: Vec<u32> = children.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(pids.len(), 2, "{end}");
        for pid in pids {
            eventually(end, || !is_running(pid));
        }
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn files_that_are_wrong_are_said_and_nothing_changes() {
    let installed = Installed::new();
    let (chain, site) = (&installed.chain, &installed.chain.watershed.site);
    let main = site.read("watershed.toml");
    site.replace("watershed.toml", main.replace("grace-period", "grace-perod"));
    let said = installed.fails("30s");
    assert!(said.contains("watershed.toml:") && said.contains("grace-perod"), "{said}");
    site.replace("watershed.toml", &main);
    let file = site.read("services/greeter.toml");
    site.replace("services/greeter.toml", "name =");
    let said = installed.fails("30s");
    assert!(said.contains("would not serve default/greeter, because"), "{said}");
    site.replace("services/greeter.toml", &file);
    // An address that somebody else has.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("listen = [\"{}\"]", taken.local_addr().unwrap());
    site.replace("watershed.toml", main.replacen("listen = [\"127.0.0.1:0\"]", &other, 1));
    assert!(installed.fails("30s").contains("cannot listen on"));
    site.replace("watershed.toml", &main);
    chain.signal(SIGUSR2);
    chain.follow();
}

#[test]
fn there_is_one_restart_at_a_time_and_the_end_of_the_process_ends_it() {
    let mut installed = Installed::new();
    installed.replace("#!/bin/sh\nexec sleep 1000\n");
    let chain = &installed.chain;
    chain.signal(SIGUSR2);
    let successor = chain.successor();
    chain.signal(SIGUSR2);
    chain.watershed.log_line(&["SIGUSR2: no restart: a restart is under way already"]);
    let refused = chain.watershed.admin_post("/api/v1/restart");
    assert_admin_problem(&refused, 409, "restart-under-way");
    let began = Instant::now();
    chain.signal(SIGTERM);
    assert_eq!(installed.chain.watershed.wait(DEADLINE).code(), Some(0));
    assert!(began.elapsed() < DEADLINE);
    assert!(!is_running(successor));
}

#[test]
fn whoever_was_replaced_goes_on_if_its_successor_dies() {
    let site = Site::new()
        .server("grace-period = \"120s\"")
        .service("greeter", &one_version("v1"))
        .service("lab", &lab("v1"));
    let chain = Chain::of(site);
    let (before, generation) = (chain.last(), chain.watershed.generation());
    // The process stays for as long as this takes.
    let mut busy = chain.watershed.http1();
    busy.send(format!("GET /sleep?ms=20000 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    chain.watershed.await_metric("watershed_in_flight", &[], 1.0);
    chain.signal(SIGUSR2);
    let after = chain.follow();
    send(after, SIGKILL);
    chain.watershed.log_line(&["which had taken over, was ended by signal 9"]);
    eventually("the first one", || chain.serving() == before);
    chain.watershed.assert_serves(GREETER, "/");
    assert_eq!(chain.watershed.admin("/readyz").status, 200);
    // The history is its own again.
    chain.watershed.site.replace("services/greeter.toml", one_version("v2"));
    chain.watershed.await_greeting("Hello from v2!\n");
    eventually("recorded", || chain.watershed.history("greeter")[0].generation > generation);
}

#[test]
fn whoever_is_to_take_over_does_so_if_the_process_before_dies() {
    let chain = Chain::of(Site::new().service("greeter", &one_version("v1")));
    chain.signal(SIGUSR2);
    let successor = chain.successor();
    chain.signal(SIGKILL);
    chain.watershed.log_line(&["has ended: this one takes over"]);
    chain.watershed.assert_serves(GREETER, "/");
    assert_eq!(chain.serving(), successor);
    eventually("recorded", || !chain.watershed.history("greeter").is_empty());
}
