//! The servers that are compared: where each is found, and how it is started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::load::Served;
use crate::process::{Cores, Process, command};
use crate::site::{Settings, Site};
use crate::{Arguments, Result, get, site};

/// How long a server may take to start; wasmtime compiles the greeter anew each time.
const START: Duration = Duration::from_secs(60);
/// What every peer answers, byte for byte what the greeter says.
const BODY: &str = "Hello from v1!\\n";

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Fresh,
    Reused,
    Wasmtime,
    WasmtimeReused,
    Workerd,
    Pingora,
    Nginx,
    Envoy,
    Haproxy,
}

impl Server {
    /// The server's name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "watershed, fresh",
            Self::Reused => "watershed, `instance-reuse = 1000`",
            Self::Wasmtime => "`wasmtime serve -Scli`",
            Self::WasmtimeReused => "`wasmtime serve -Scli --max-instance-reuse-count 1000000`",
            Self::Workerd => "workerd, JavaScript on a shared isolate",
            Self::Pingora => "a bare Pingora `request_filter`",
            Self::Nginx => "nginx `return 200`",
            Self::Envoy => "envoy `direct_response`",
            Self::Haproxy => "haproxy `return status 200`",
        }
    }

    /// Why the server was not measured.
    pub fn missing(self, arguments: &Arguments) -> String {
        let remedy = match self {
            _ if self.program(arguments).is_some() => return "failed".to_owned(),
            Self::Fresh | Self::Reused | Self::Pingora => "make bench",
            _ => "make bench-peers",
        };
        format!("not found ({remedy})")
    }

    /// The path of the server's program, if it is installed.
    fn program(self, arguments: &Arguments) -> Option<PathBuf> {
        match self {
            Self::Fresh | Self::Reused => Some(arguments.binary.clone()),
            Self::Wasmtime | Self::WasmtimeReused => find("wasmtime"),
            Self::Workerd => find("workerd"),
            Self::Pingora => {
                let beside = arguments.binary.with_file_name("examples/bare_pingora");
                beside.exists().then_some(beside)
            }
            Self::Nginx => find("nginx"),
            Self::Envoy => find("envoy"),
            Self::Haproxy => find("haproxy"),
        }
    }

    /// The server's program, and the version that it prints.
    pub fn version(self, arguments: &Arguments) -> Option<String> {
        let program = self.program(arguments)?;
        let flag = if matches!(self, Self::Nginx | Self::Haproxy) { "-v" } else { "--version" };
        let told = Command::new("timeout").arg("10").arg(&program).arg(flag).output().ok()?;
        let text = [told.stdout, told.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let mut words = text.split(|letter: char| letter.is_whitespace() || letter == '/');
        let is_version =
            |word: &&str| word.starts_with(char::is_numeric) && word.contains(['.', '-']);
        Some(format!("{} {}", program.file_name()?.display(), words.find(is_version)?))
    }

    /// Starts the server on its own core, and waits until it answers. `None` if it is not found. `site` has our
    /// configuration and compile cache.
    pub fn start(self, arguments: &Arguments, site: &Site) -> Result<Option<Served>> {
        let Some(program) = self.program(arguments) else { return Ok(None) };
        let home = tempfile::tempdir()?;
        let command = command(Cores::Server, &program);
        let mut served = match self {
            Self::Fresh | Self::Reused => site.start(arguments, Cores::Server)?,
            Self::Wasmtime => wasmtime(command, &[])?,
            Self::WasmtimeReused => wasmtime(command, &["--max-instance-reuse-count", "1000000"])?,
            Self::Workerd => workerd(command, &home)?,
            Self::Pingora => bare_pingora(command)?,
            Self::Nginx => nginx(command, &home)?,
            Self::Envoy => envoy(command, &home)?,
            Self::Haproxy => haproxy(command, &home)?,
        };
        let address = served.address;
        served
            .process
            .wait_for("response", START, |_| get::expect_greeting(address, site::HOST).ok())?;
        Ok(Some(served))
    }

    /// Our configuration, where this server is ours.
    pub fn settings(self) -> Settings {
        Settings { reuse: if self == Self::Reused { 1000 } else { 1 }, ..Settings::default() }
    }
}

/// A program that `make bench-peers` installed, or that was installed before.
pub fn find(name: &str) -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let cargo = std::env::home_dir().unwrap_or_default().join(".cargo/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    [installed.join("envoy/envoy/_bin"), installed.join("npm/node_modules/.bin")]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain([cargo, "/usr/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// A port that was free just now, for a server that does not print its port.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn wasmtime(mut command: Command, more: &[&str]) -> Result<Served> {
    command.args(["serve", "-Scli", "--addr", "127.0.0.1:0"]).args(more);
    command.args(["--env", "GREETING=Hello", "--env", "VERSION=v1"]).arg(site::greeter());
    let mut process = Process::spawn(command)?;
    let address = process.wait_for("address", START, |process| {
        let said = [process.stdout(), process.stderr()].concat();
        said.split_once("http://")?.1.split('/').next()?.parse().ok()
    })?;
    Ok(Served { process, address })
}

fn workerd(mut command: Command, home: &TempDir) -> Result<Served> {
    let script =
        format!("export default {{ async fetch() {{ return new Response(\"{BODY}\"); }} }};");
    fs::write(home.path().join("hello.js"), script)?;
    let config = home.path().join("config.capnp");
    fs::write(&config, WORKERD)?;
    command.arg("serve").arg(config).args(["--socket-addr", "http=127.0.0.1:0", "--control-fd=1"]);
    let mut process = Process::spawn(command)?;
    let port = process.wait_for("port", START, |process| {
        let said = process.stdout();
        let event: serde_json::Value = serde_json::from_str(said.lines().next()?).ok()?;
        event.get("port")?.as_u64()?.try_into().ok()
    })?;
    Ok(Served { process, address: (Ipv4Addr::LOCALHOST, port).into() })
}

const WORKERD: &str = r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "hello.js", esModule = embed "hello.js")],
    compatibilityDate = "2026-11-01"))],
  sockets = [(name = "http", service = "main")]);
"#;

fn bare_pingora(mut command: Command) -> Result<Served> {
    let address = free_address()?;
    command.arg(address.port().to_string());
    Ok(Served { process: Process::spawn(command)?, address })
}

fn nginx(mut command: Command, home: &TempDir) -> Result<Served> {
    let address = free_address()?;
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_requests 1000000000; default_type text/plain;
            server {{ listen {address}; location / {{ return 200 \"{BODY}\"; }} }}
        }}"
    );
    fs::write(home.path().join("nginx.conf"), config)?;
    command.arg("-p").arg(home.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
    Ok(Served { process: Process::spawn(command)?, address })
}

fn envoy(mut command: Command, home: &TempDir) -> Result<Served> {
    let address = free_address()?;
    let config = ENVOY.replace("PORT", &address.port().to_string()).replace("BODY", BODY);
    let file = home.path().join("envoy.yaml");
    fs::write(&file, config)?;
    command.arg("-c").arg(file).args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
    ]);
    Ok(Served { process: Process::spawn(command)?, address })
}

const ENVOY: &str = r#"static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hello
          route_config:
            virtual_hosts:
            - name: hello
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                direct_response: { status: 200, body: { inline_string: "BODY" } }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;

fn haproxy(mut command: Command, home: &TempDir) -> Result<Served> {
    let address = free_address()?;
    let config = format!(
        "global\n nbthread 1\n
defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 5s\n
frontend hello\n bind {address}\n http-request return status 200 content-type text/plain string \"{BODY}\"\n"
    );
    let file = home.path().join("haproxy.cfg");
    fs::write(&file, config)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(Served { process: Process::spawn(command)?, address })
}
