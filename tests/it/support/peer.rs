//! Software that others wrote, as tests start it: each a process of its own, on ports of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::DEADLINE;

/// How often other ports are tried where somebody has taken those that were free.
const ATTEMPTS: usize = 5;

/// A process that is killed when the test is over.
pub struct Peer {
    child: Child,
    /// The first of its addresses.
    pub address: SocketAddr,
}

impl Peer {
    /// Starts a script of `tests/peers`, which prints its port.
    pub fn script(mut command: Command, script: &str) -> Self {
        command.arg(scripts().join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().unwrap_or_else(|_| panic!("{script}: {line:?}"));
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Starts a program that is told where to listen, and waits until it listens at all of so many addresses.
    #[track_caller]
    pub fn listening(
        count: usize,
        command: impl Fn(&[SocketAddr]) -> Command,
    ) -> (Self, Vec<SocketAddr>) {
        for _ in 0..ATTEMPTS {
            let free = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
            let free: Vec<_> = free.collect();
            let addresses: Vec<_> = free.iter().map(|it| it.local_addr().unwrap()).collect();
            drop(free);
            let mut command = command(&addresses);
            let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut peer = Self { child, address: addresses[0] };
            if peer.listens(&addresses) {
                return (peer, addresses);
            }
        }
        panic!("it ends by itself: {:?}", command(&[SocketAddr::from(([127, 0, 0, 1], 1)); 8]));
    }

    /// Waits until it listens everywhere. `false` where it has ended.
    fn listens(&mut self, addresses: &[SocketAddr]) -> bool {
        let started = Instant::now();
        while !addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(started.elapsed() < DEADLINE, "it does not listen at {addresses:?}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn scripts() -> PathBuf {
    root().join("tests/peers")
}

/// A program of the machine, if it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    places.find_map(|place| Some(place.join(name)).filter(|program| program.is_file()))
}

/// The Python of the tests, if it has this module.
pub fn python(module: &str) -> Option<Command> {
    let python = root().join("target/peers/venv/bin/python");
    let has = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    has.is_ok_and(|it| it.status.success()).then(|| Command::new(python))
}

/// The part of nginx that speaks TCP, if it is there.
pub fn nginx_stream() -> Option<PathBuf> {
    let name = "ngx_stream_module.so";
    let places = [root().join("target/peers/nginx"), "/usr/lib/nginx/modules".into()];
    places.into_iter().map(|place| place.join(name)).find(|module| module.is_file())
}

/// nginx in a directory, with this configuration behind what every test needs.
pub fn nginx_at(home: &Path, nginx: &Path, config: &str) -> Command {
    let start = "daemon off; master_process off; worker_processes 1; pid nginx.pid; \
                 error_log stderr; events { worker_connections 256; }\n";
    // A module is loaded before anything else.
    let (first, rest) = match config.strip_prefix("load_module ").and_then(|it| it.split_once(';'))
    {
        Some((module, rest)) => (format!("load_module {module};\n"), rest),
        None => (String::new(), config),
    };
    fs::write(home.join("nginx.conf"), format!("{first}{start}{rest}")).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-p").arg(home).args(["-e", "stderr", "-c", "nginx.conf"]);
    command
}

/// Servers of HTTP, whose temporary files are below the directory.
pub fn nginx_http(servers: &str) -> String {
    format!(
        "http {{
            access_log off; default_type text/plain;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
            uwsgi_temp_path u; scgi_temp_path s;
            {servers}
        }}"
    )
}

macro_rules! or_pass {
    ($found:expr, $what:literal) => {
        match $found {
            Some(found) => found,
            None => {
                eprintln!("not tested: {} is not installed (tests/peers/install.sh)", $what);
                return;
            }
        }
    };
}
pub(crate) use or_pass;
