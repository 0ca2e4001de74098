//! Requests that are passed on to a backend: CPU time a request first, then rates, added latency and large responses.
//! Proxy and backend have one worker each. The proxy has the first core; backend and wrk share the second.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::load::{Load, Plan, Served};
use crate::peers::{find, free_address};
use crate::process::{Cores, Process, command};
use crate::report::{Goal, Quantity, Report, Row, median};
use crate::site::{HOST, Settings, Site};
use crate::{Arguments, Part, Result, get};

const START: Duration = Duration::from_secs(20);
const BODY: &str = "Hello from v1!\\n";
/// The size of a large response.
const LARGE: usize = 1 << 20;

/// What stands in front of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Watershed,
    Nginx,
    Haproxy,
    Pingora,
    Envoy,
    Caddy,
    Nothing,
}

const PROXIES: [Proxy; 7] = [
    Proxy::Watershed,
    Proxy::Nginx,
    Proxy::Haproxy,
    Proxy::Pingora,
    Proxy::Envoy,
    Proxy::Caddy,
    Proxy::Nothing,
];

/// How many times a peer's rate ours is to be; there is none for Caddy.
const GOALS: [(Proxy, Option<f64>); 5] = [
    (Proxy::Nginx, Some(1.1)),
    (Proxy::Haproxy, Some(1.0)),
    (Proxy::Pingora, Some(1.4)),
    (Proxy::Envoy, Some(2.4)),
    (Proxy::Caddy, None),
];

impl Proxy {
    fn name(self) -> &'static str {
        match self {
            Self::Watershed => "watershed, two upstreams at 90 and 10 %",
            Self::Nginx => "nginx `proxy_pass` with keep-alive",
            Self::Haproxy => "haproxy",
            Self::Pingora => "a bare Pingora `HttpProxy`",
            Self::Envoy => "envoy weighted clusters",
            Self::Caddy => "caddy `reverse_proxy`",
            Self::Nothing => "the backend itself",
        }
    }

    fn missing(self, arguments: &Arguments) -> String {
        match self.program(arguments) {
            Some(_) => "failed".to_owned(),
            None if self == Self::Pingora => "not found (make bench)".to_owned(),
            None => "not found (make bench-peers)".to_owned(),
        }
    }

    fn program(self, arguments: &Arguments) -> Option<std::path::PathBuf> {
        match self {
            Self::Watershed | Self::Nothing => Some(arguments.binary.clone()),
            Self::Nginx => find("nginx"),
            Self::Haproxy => find("haproxy"),
            Self::Envoy => find("envoy"),
            Self::Caddy => find("caddy"),
            Self::Pingora => {
                let beside = arguments.binary.with_file_name("examples/bare_pingora");
                beside.exists().then_some(beside)
            }
        }
    }

    /// Starts the proxy, and waits until it passes a request on. `None` if it is not installed.
    fn start(self, arguments: &Arguments, backend: SocketAddr) -> Result<Option<Front>> {
        let Some(program) = self.program(arguments) else { return Ok(None) };
        let home = tempfile::tempdir()?;
        if self == Self::Watershed {
            let site = Site::new(Settings::default())?;
            site.declare_upstreams(
                "greeter",
                &[("v1", backend), ("v2", backend)],
                "v1 = 90, v2 = 10",
            )?;
            let served = site.start(arguments, Cores::Server)?;
            return Ok(Some(Front { served, _home: home, _site: Some(site) }));
        }
        let address = free_address()?;
        let mut command = command(Cores::Server, &program);
        match self {
            Self::Nginx => nginx(&mut command, &home, &nginx_front(address, backend))?,
            Self::Haproxy => haproxy(&mut command, &home, address, backend)?,
            Self::Envoy => envoy(&mut command, &home, address, backend)?,
            Self::Caddy => caddy(&mut command, &home, address, backend)?,
            _ => drop(command.arg(address.port().to_string()).arg(backend.to_string())),
        }
        let mut process = Process::spawn(command)?;
        process.wait_for("response", START, |_| {
            get::get(address, HOST, "/").ok().filter(|response| response.status == 200)
        })?;
        Ok(Some(Front { served: Served { process, address }, _home: home, _site: None }))
    }
}

/// A proxy and the files that it follows.
struct Front {
    served: Served,
    _home: TempDir,
    _site: Option<Site>,
}

/// The loads of one proxy, one a round.
#[derive(Default)]
struct Measured {
    small: Vec<Load>,
    alone: Vec<Load>,
    large: Vec<Load>,
}

/// Measures every proxy in turn, round by round.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Proxy) {
        return Ok(());
    }
    let mut measured: Vec<_> = PROXIES.iter().map(|proxy| (*proxy, Measured::default())).collect();
    let mut failures = Vec::new();
    for (size, backend) in
        [(BODY.len(), Backend::start(None)?), (LARGE, Backend::start(Some(LARGE))?)]
    {
        for round in 1..=arguments.rounds {
            for (proxy, measured) in &mut measured {
                report.await_quiet()?;
                eprint!("round {round}: {}, {size} bytes: ", proxy.name());
                if let Err(error) = measured.add(*proxy, arguments, &backend, size == LARGE) {
                    eprintln!("{error}");
                    failures.push(format!("{}: {error}", proxy.name()));
                }
            }
        }
    }
    tell(arguments, &measured, report);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

impl Measured {
    fn add(
        &mut self,
        proxy: Proxy,
        arguments: &Arguments,
        backend: &Backend,
        is_large: bool,
    ) -> Result<()> {
        let front = match proxy {
            Proxy::Nothing => None,
            _ => match proxy.start(arguments, backend.served.address)? {
                Some(front) => Some(front),
                None => {
                    eprintln!("{}", proxy.missing(arguments));
                    return Ok(());
                }
            },
        };
        let served = front.as_ref().map_or(&backend.served, |front| &front.served);
        let seconds = arguments.seconds;
        let plan = |connections, seconds| Plan {
            host: HOST,
            path: "/",
            connections,
            seconds,
            cores: Cores::Client,
        };
        plan(32, 1).run(served)?;
        let load = plan(32, seconds).run(served)?;
        eprintln!("{}, {} of CPU", Quantity::Rate(load.rate), Quantity::from(load.cpu));
        if is_large {
            self.large.push(load);
        } else {
            self.small.push(load);
            self.alone.push(plan(1, seconds).run(served)?);
        }
        Ok(())
    }
}

/// The rows: CPU time and rate against each peer, then latency and large responses against nginx.
fn tell(arguments: &Arguments, measured: &[(Proxy, Measured)], report: &mut Report) {
    let of = |proxy: Proxy| measured.iter().find(|it| it.0 == proxy).map(|it| &it.1);
    let cpu = |proxy| middle(&of(proxy)?.small, |load| load.cpu.as_secs_f64()).map(Quantity::Time);
    let rate = |proxy| middle(&of(proxy)?.small, |load| load.rate).map(Quantity::Rate);
    let large = |proxy| middle(&of(proxy)?.large, |load| load.rate).map(Quantity::Rate);
    let p50 = |proxy| middle(&of(proxy)?.alone, |load| load.p50.as_secs_f64());
    let added = |proxy| Some(Quantity::Time(p50(proxy)? - p50(Proxy::Nothing)?));
    let row = |path: &str, ours, proxy: Proxy, theirs: Option<Quantity>, goal| Row {
        path: path.to_owned(),
        ours,
        against: proxy.name().to_owned(),
        theirs: theirs.ok_or_else(|| proxy.missing(arguments)),
        goal,
    };
    for (proxy, times) in GOALS {
        let most = times.map_or(Goal::None, |times| Goal::AtMost(1.0 / times));
        report.row(row(
            "proxy a small response, CPU time",
            cpu(Proxy::Watershed),
            proxy,
            cpu(proxy),
            most,
        ));
        let least = times.map_or(Goal::None, Goal::AtLeast);
        report.row(row(
            "proxy a small response",
            rate(Proxy::Watershed),
            proxy,
            rate(proxy),
            least,
        ));
    }
    let (path, goal) = ("p50 that one connection adds to the backend's", Goal::AtMost(1.0));
    report.row(row(path, added(Proxy::Watershed), Proxy::Nginx, added(Proxy::Nginx), goal));
    let (path, goal) = ("responses of 1 MiB", Goal::AtLeast(0.9));
    report.row(row(path, large(Proxy::Watershed), Proxy::Nginx, large(Proxy::Nginx), goal));
}

fn middle(loads: &[Load], number: impl Fn(&Load) -> f64 + Copy) -> Option<f64> {
    median(loads, number).as_ref().map(number)
}

/// An nginx that answers itself.
pub struct Backend {
    pub served: Served,
    _home: TempDir,
}

impl Backend {
    /// Answers with the greeting, or with a file of this size.
    pub fn start(size: Option<usize>) -> Result<Self> {
        let program = find("nginx").ok_or("no nginx to be the backend: run `make bench-peers`")?;
        let (home, address) = (tempfile::tempdir()?, free_address()?);
        fs::create_dir(home.path().join("www"))?;
        fs::write(home.path().join("www/index.html"), vec![b'x'; size.unwrap_or(0)])?;
        let answer = match size {
            Some(_) => "root www; sendfile on; open_file_cache max=10;".to_owned(),
            None => format!("return 200 \"{BODY}\";"),
        };
        let mut command = command(Cores::Client, &program);
        nginx(
            &mut command,
            &home,
            &format!("server {{ listen {address}; location / {{ {answer} }} }}"),
        )?;
        let mut process = Process::spawn(command)?;
        process.wait_for("response", START, |_| get::get(address, HOST, "/").ok())?;
        Ok(Self { served: Served { process, address }, _home: home })
    }
}

fn nginx(command: &mut Command, home: &TempDir, servers: &str) -> Result<()> {
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr; user root;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
            default_type text/plain;
            {servers}
        }}"
    );
    fs::write(home.path().join("nginx.conf"), config)?;
    command.arg("-p").arg(home.path()).args(["-e", "stderr", "-c", "nginx.conf"]);
    Ok(())
}

fn nginx_front(address: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "upstream backend {{ server {backend}; keepalive 64; keepalive_requests 1000000000; }}
        server {{
            listen {address};
            location / {{
                proxy_pass http://backend; proxy_http_version 1.1;
                proxy_set_header Connection \"\"; proxy_set_header Host $host;
            }}
        }}"
    )
}

fn haproxy(
    command: &mut Command,
    home: &TempDir,
    address: SocketAddr,
    backend: SocketAddr,
) -> Result<()> {
    let config = format!(
        "global\n nbthread 1\n
defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 5s\n http-reuse safe\n
frontend front\n bind {address}\n default_backend back\n
backend back\n server one {backend}\n"
    );
    command.arg("-db").arg("-f").arg(written(home, "haproxy.cfg", &config)?);
    Ok(())
}

fn caddy(
    command: &mut Command,
    home: &TempDir,
    address: SocketAddr,
    backend: SocketAddr,
) -> Result<()> {
    let config = format!(
        "{{\n admin off\n auto_https off\n}}\nhttp://:{} {{\n reverse_proxy {backend}\n}}\n",
        address.port()
    );
    command.env("GOMAXPROCS", "1").env("HOME", home.path());
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(written(
        home,
        "Caddyfile",
        &config,
    )?);
    Ok(())
}

fn envoy(
    command: &mut Command,
    home: &TempDir,
    address: SocketAddr,
    backend: SocketAddr,
) -> Result<()> {
    let clusters = ["a", "b"]
        .map(|name| CLUSTER.replace("NAME", name).replace("BACKEND", &backend.port().to_string()));
    let config = ENVOY.replace("PORT", &address.port().to_string()) + &clusters.concat();
    command.arg("-c").arg(written(home, "envoy.yaml", &config)?);
    command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "error"]);
    Ok(())
}

fn written(home: &TempDir, name: &str, text: &str) -> Result<std::path::PathBuf> {
    let file = Path::join(home.path(), name);
    fs::write(&file, text)?;
    Ok(file)
}

const ENVOY: &str = r#"static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: proxy
          route_config:
            virtual_hosts:
            - name: proxy
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { weighted_clusters: { clusters: [{ name: a, weight: 90 }, { name: b, weight: 10 }] } }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
"#;

const CLUSTER: &str = r"  - name: NAME
    type: STATIC
    load_assignment:
      cluster_name: NAME
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: BACKEND } } }
";
