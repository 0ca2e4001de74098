//! The process under test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::http1::Http1;
use super::http2::Http2;
use super::response::Response;
use super::site::Site;
use super::{GREETER, eventually, within};

/// How long a start may take: the components are compiled.
const START: Duration = Duration::from_secs(15);

/// A running process. It is killed when dropped; a failing test first shows what it printed.
#[derive(Debug)]
pub struct Watershed {
    pub site: Site,
    child: Child,
    stdout: Output,
    stderr: Output,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Watershed {
    /// Serves a site, and waits until the process prints its addresses.
    pub fn start(site: Site) -> Self {
        let command = site.command(&["run"]);
        Self::spawn(site, command)
    }

    /// The same by a command of the test's own.
    pub fn spawn(site: Site, command: Command) -> Self {
        Self::spawn_logging_to(site, command, Stdio::piped())
    }

    /// The same with a log of the test's own, which this harness then does not see.
    pub fn spawn_logging_to(site: Site, mut command: Command, log: impl Into<Stdio>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        // The log's other end must see when the child has closed it.
        drop(command);
        let stdout = Output::gather(child.stdout.take().unwrap());
        let stderr = child.stderr.take().map(Output::gather).unwrap_or_default();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut watershed = Self { site, child, stdout, stderr, address: nowhere, admin: nowhere };
        let services = watershed.site.services();
        watershed.wait_for("its addresses and services on stdout", |stdout| {
            let is_file = |line: &&str| line.starts_with("http") || line.starts_with("rejected");
            let told = stdout.lines().filter(is_file).count();
            stdout.contains("admin on http://") && told >= services
        });
        let stdout = watershed.stdout();
        watershed.address = address_after(&stdout, "listening on http://");
        watershed.admin = address_after(&stdout, "admin on http://");
        watershed
    }

    /// Kills the process with SIGKILL, whatever it is doing.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills the process, and serves its site again.
    pub fn restart(mut self) -> Self {
        self.kill();
        let site = std::mem::replace(&mut self.site, Site::new());
        Self::start(site)
    }

    fn wait_for(&mut self, what: &str, mut enough: impl FnMut(&str) -> bool) {
        within(START, what, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}");
            enough(&self.stdout.text())
        });
    }

    /// The address for requests.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// A new HTTP/1.1 connection.
    pub fn http1(&self) -> Http1 {
        Http1::connect(self.address)
    }

    /// A new HTTP/2 connection.
    pub fn http2(&self) -> Http2 {
        Http2::connect(self.address)
    }

    /// One request over a connection of its own.
    pub fn get(&self, host: &str, path: &str) -> Response {
        self.http1().get(host, path)
    }

    /// Asserts that a service answers as if nothing had happened, over a new connection.
    #[track_caller]
    pub fn assert_serves(&self, host: &str, path: &str) {
        let response = self.get(host, path);
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// Waits until the service `greeter` gives this answer.
    #[track_caller]
    pub fn await_greeting(&self, greeting: &str) {
        eventually(greeting, || self.get(GREETER, "/").text() == greeting);
    }

    /// Waits for a line of the log with all of these parts, and returns it.
    #[track_caller]
    pub fn log_line(&self, parts: &[&str]) -> String {
        let found = |log: &str| {
            let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
            log.lines().find(has_all).map(str::to_owned)
        };
        eventually(&format!("a line with {parts:?} on stderr"), || found(&self.stderr()).is_some());
        found(&self.stderr()).unwrap()
    }

    /// The peak of the process's resident memory.
    pub fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib << 10
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        within(limit, "the end of the process", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Watershed {
    fn drop(&mut self) {
        // The process may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("command: {} run --config", env!("CARGO_BIN_EXE_watershed"));
            eprintln!("{}", self.site.dump());
            eprintln!("--- stdout\n{}\n--- stderr\n{}", self.stdout(), self.stderr());
        }
    }
}

#[track_caller]
fn address_after(text: &str, prefix: &str) -> SocketAddr {
    let line = text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap();
    line.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// What a stream has printed so far.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn gather(stream: impl Read + Send + 'static) -> Self {
        Self::follow(stream).0
    }

    fn follow(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let output = Self::default();
        let gathered = output.clone();
        let reading = std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                gathered.0.lock().unwrap().append(&mut line);
            }
        });
        (output, reading)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// A command that has ended by itself.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Everything that the command printed.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Runs a command to its end, which must come soon.
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, reading_stdout) = Output::follow(child.stdout.take().unwrap());
        let (stderr, reading_stderr) = Output::follow(child.stderr.take().unwrap());
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > START {
                child.kill().ok();
                panic!("{command:?} does not end:\n{}\n{}", stdout.text(), stderr.text());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        reading_stdout.join().unwrap();
        reading_stderr.join().unwrap();
        Self { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }
}
