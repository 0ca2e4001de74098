//! haproxy and nginx in front of the real program: with PROXY headers before TLS that they pass through, and with TLS
//! that ends at them. Whatever they do, the client is the one that has come to them, for everything that asks for it; and
//! nothing that the client writes itself is believed. `tests/peers/install.sh` installs them. A test whose peer is not
//! there says so, and passes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ::misbehaving::{Script, Upstream};

use crate::support::https::{FIRST, SECOND, secure};
use crate::support::peer::{Peer, nginx_at, nginx_http, nginx_stream, or_pass, program};
use crate::support::{ONCE, Site, Watershed, greeter, one_version, split, upstream};

/// The proxy, as we see it, and a client of it. All of 127.0.0.0/8 is this machine.
const TRUSTED: &str = "trusted-proxies = [\"127.0.0.1\"]";
const OFFICE: &str = "127.0.7.7";
/// A host of the certificate with a wildcard.
const SPREAD: &str = "spread.w.test";
/// As many others as one version, or one target, hardly gets all of.
const OTHERS: std::ops::Range<u8> = 20..36;

/// The gateway, with what asks for the client: rules and stickiness, a rate limit, a hash balance, and the log.
struct Behind {
    watershed: Watershed,
    targets: [Upstream; 2],
}

impl Behind {
    fn new(server: &str) -> Self {
        let rule =
            format!("name = \"office\"\nmatch = {{ client = \"{OFFICE}\" }}\nversion = \"v2\"");
        let two = greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50");
        let sticky = "[traffic.sticky]\nkey = \"client-address\"\n";
        let decided = format!("{two}\n[[traffic.rules]]\n{rule}\n{sticky}");
        let limit = "\n[traffic.rate-limit]\nkey = \"client-address\"\nrate = \"1/h\"\nburst = 2\n";
        let targets = ["a", "b"].map(|name| Upstream::http1(Script::text(name)));
        let addresses = targets.each_ref().map(Upstream::address);
        let hash = upstream("v1", &addresses, &format!("balance = \"hash\"\n{ONCE}"));
        let of = |host: &str, service: &str| format!("domains = [\"{host}\"]\n{service}");
        let site: Site = secure("")
            .server(&format!("expose = \"decision\"\n{TRUSTED}\n{server}"))
            .service("decided", &of(FIRST, &decided))
            .service("limited", &of(SECOND, &(one_version("v1") + limit)))
            .service("spread", &of(SPREAD, &hash))
            .variable("WATERSHED_LOG", "watershed=debug");
        Self { watershed: site.start(), targets }
    }

    /// Asserts that the client is found behind a front.
    #[track_caller]
    fn assert_clients_are_found(&self, front: Front) {
        self.assert_decided(front);
        self.assert_limited(front);
        self.assert_spread(front);
        self.watershed.log_line(&["request failed", "rate-limit", &format!("client={OFFICE}")]);
        for outcome in ["proxy-header", "untrusted-proxy", "tls-handshake", "request-timeout"] {
            self.watershed.await_outcomes(outcome, 0);
        }
    }

    /// Rules, stickiness, and what `explain` says of both.
    #[track_caller]
    fn assert_decided(&self, front: Front) {
        let forged = [format!("x-forwarded-for: {OFFICE}"), format!("forwarded: for={OFFICE}")];
        let told = self.ask(front, OFFICE, FIRST, &["x-forwarded-for: 198.51.100.7".to_owned()]);
        assert_eq!(told.field("watershed-decision"), Some("rule:office"), "{}", told.text);
        let mut seen = Vec::new();
        for client in OTHERS.map(address) {
            let told = [&[][..], &forged].map(|sent| self.ask(front, &client, FIRST, sent));
            let version = told[0].field("watershed-version").unwrap_or_default().to_owned();
            for told in &told {
                assert_eq!(told.field("watershed-decision"), Some("sticky"), "{}", told.text);
                assert_eq!(told.field("watershed-version"), Some(&*version), "{client}");
            }
            if seen.len() < 3 {
                let said = self.watershed.site.run(&["explain", "decided", "--client", &client]);
                assert!(said.stdout.contains(&format!("{version} (sticky)")), "{said:?}");
            }
            seen.push(version);
        }
        assert!(["v1", "v2"].iter().all(|it| seen.iter().any(|seen| seen == it)), "{seen:?}");
    }

    /// Each client has two requests an hour, whoever it says that it is.
    #[track_caller]
    fn assert_limited(&self, front: Front) {
        let forged = |host: u8| [format!("x-forwarded-for: 198.51.100.{host}")];
        let statuses = (1..4).map(|host| self.ask(front, OFFICE, SECOND, &forged(host)).status);
        assert_eq!(statuses.collect::<Vec<_>>(), [200, 200, 429]);
        assert_eq!(self.ask(front, &address(20), SECOND, &[]).status, 200);
    }

    /// A client's requests go to one target, which is told who the client is and how it has come.
    #[track_caller]
    fn assert_spread(&self, front: Front) {
        let mut seen = Vec::new();
        for client in OTHERS.map(address) {
            let forged = [format!("x-forwarded-for: {OFFICE}"), "x-forwarded-proto: gopher".into()];
            let [one, two] =
                [&[][..], &forged].map(|sent| self.ask(front, &client, SPREAD, sent).body());
            assert_eq!(one, two, "{client}");
            let target = &self.targets[usize::from(one == "b")];
            let arrived = target.arrived().last().unwrap();
            let hops = arrived.field("x-forwarded-for").unwrap_or_default();
            let hops: Vec<_> = hops.split(", ").filter(|it| *it != "127.0.0.1").collect();
            assert_eq!(hops.last(), Some(&&*client), "{hops:?}");
            assert_eq!(arrived.field("x-forwarded-proto"), Some("https"));
            assert_eq!(arrived.field("host"), Some(SPREAD));
            seen.push(one);
        }
        assert!(["a", "b"].iter().all(|it| seen.iter().any(|seen| seen == it)), "{seen:?}");
    }

    /// What a client at an address is told by the front.
    #[track_caller]
    fn ask(&self, front: Front, client: &str, host: &str, sent: &[String]) -> Told {
        let to = format!("::127.0.0.1:{}", front.at.port());
        let mut arguments = vec!["--include", "--interface", client, "--connect-to", &to];
        if !front.has_http2 {
            arguments.push("--http1.1");
        }
        sent.iter().for_each(|field| arguments.extend(["--header", field]));
        let text = self.watershed.curl(&arguments, &format!("https://{host}/"));
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        Told { status: status.unwrap_or_else(|| panic!("{text:?}")), text }
    }

    fn home(&self) -> PathBuf {
        self.watershed.site.path("")
    }
}

/// Where clients connect.
#[derive(Clone, Copy)]
struct Front {
    at: SocketAddr,
    /// Whether clients speak HTTP/2 with it, or with us through it.
    has_http2: bool,
}

struct Told {
    status: u16,
    text: String,
}

impl Told {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn body(&self) -> String {
        self.text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

fn address(host: u8) -> String {
    format!("127.0.7.{host}")
}

/// haproxy with these frontends and backends, each behind the address that it listens at.
fn haproxy(home: &Path, haproxy: &Path, parts: &[String]) -> (Peer, Vec<SocketAddr>) {
    Peer::listening(parts.len(), |addresses| {
        let start = "global\n maxconn 200\ndefaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n";
        let parts = parts.iter().zip(addresses).enumerate();
        let parts = parts.map(|(at, (part, address))| {
            format!("listen part{at}\n bind {address} {}\n", part.replace('|', "\n "))
        });
        fs::write(home.join("haproxy.cfg"), start.to_owned() + &parts.collect::<String>()).unwrap();
        let mut command = Command::new(haproxy);
        command.arg("-db").arg("-f").arg(home.join("haproxy.cfg"));
        command
    })
}

/// The certificates of the site, each in one file with its key, as haproxy wants them.
fn bundles(site: &Site) -> String {
    for name in ["first", "second"] {
        let both = site.read(&format!("{name}.pem")) + &site.read(&format!("{name}.key"));
        site.write(&format!("bundles/{name}.pem"), both);
    }
    site.path("bundles").display().to_string()
}

/// nats-server#7571, Haraka#3105: a server that begins with TLS takes the header for a broken handshake. And the checks of
/// a balancer, which end behind their header, are no failures (bunkerweb#3634).
#[test]
fn haproxy_passes_tls_through_behind_a_proxy_header_of_either_version() {
    let program = or_pass!(program("haproxy"), "haproxy");
    for version in ["send-proxy", "send-proxy-v2"] {
        let behind = Behind::new("proxy-protocol = \"v1-v2\"");
        let server = format!("server us {} {version}", behind.watershed.https_address());
        let parts = [format!("|mode tcp|{server} check inter 200ms")];
        let (_haproxy, addresses) = haproxy(&behind.home(), &program, &parts);
        behind.assert_clients_are_found(Front { at: addresses[0], has_http2: true });
    }
}

/// TLS ends at haproxy, whose header says so, in front of many requests of one client; or whose fields do.
#[test]
fn haproxy_ends_tls_and_says_who_came() {
    let program = or_pass!(program("haproxy"), "haproxy");
    let bind = |behind: &Behind| {
        format!("ssl crt {} alpn h2,http/1.1|mode http", bundles(&behind.watershed.site))
    };
    let behind = Behind::new("proxy-protocol = \"v1-v2\"");
    let server = format!("server us {} send-proxy-v2-ssl", behind.watershed.address());
    let parts = [format!("{}|{server}", bind(&behind))];
    let (_haproxy, addresses) = haproxy(&behind.home(), &program, &parts);
    behind.assert_clients_are_found(Front { at: addresses[0], has_http2: true });

    let behind = Behind::new("");
    let server = format!("server us {}", behind.watershed.address());
    // Connections of one client are used for another.
    let fields =
        "option forwardfor|http-reuse always|http-request set-header x-forwarded-proto https";
    let parts = [format!("{}|{fields}|{server}", bind(&behind))];
    let (_haproxy, addresses) = haproxy(&behind.home(), &program, &parts);
    behind.assert_clients_are_found(Front { at: addresses[0], has_http2: true });
}

/// Apache and a proxy that names no host to it (haproxy#3081, nginx-proxy-manager#4683): 421 for all but one host.
#[test]
fn haproxy_may_speak_http2_over_tls_with_us_and_name_no_host() {
    let program = or_pass!(program("haproxy"), "haproxy");
    let behind = Behind::new("");
    let server = format!("server us {} ssl verify none alpn h2", behind.watershed.https_address());
    let bind = format!("ssl crt {}", bundles(&behind.watershed.site));
    let parts = [format!("{bind}|mode http|option forwardfor|{server}")];
    let (_haproxy, addresses) = haproxy(&behind.home(), &program, &parts);
    behind.assert_clients_are_found(Front { at: addresses[0], has_http2: false });
    behind.watershed.await_outcomes("misdirected", 0);
}

#[test]
fn nginx_ends_tls_and_says_who_came() {
    let program = or_pass!(program("nginx"), "nginx");
    let behind = Behind::new("");
    let (us, home) = (behind.watershed.address(), behind.home());
    let (_nginx, addresses) = Peer::listening(1, |addresses| {
        let server = |host: &str, name: &str| {
            format!(
                "server {{
                    listen {} ssl; server_name {host};
                    ssl_certificate {name}.pem; ssl_certificate_key {name}.key;
                    location / {{
                        proxy_pass http://us; proxy_http_version 1.1;
                        proxy_set_header connection \"\"; proxy_set_header host $host;
                        proxy_set_header x-forwarded-for $proxy_add_x_forwarded_for;
                        proxy_set_header x-forwarded-proto $scheme;
                        proxy_set_header x-forwarded-host $host;
                    }}
                }}",
                addresses[0]
            )
        };
        let servers = server(FIRST, "first") + &server(&format!("{SECOND} *.w.test"), "second");
        let us = format!("upstream us {{ server {us}; keepalive 4; }}");
        nginx_at(&home, &program, &nginx_http(&(us + &servers)))
    });
    behind.assert_clients_are_found(Front { at: addresses[0], has_http2: false });
}

/// nginx sends version 1 only.
#[test]
fn nginx_passes_tls_through_behind_a_proxy_header() {
    let program = or_pass!(program("nginx"), "nginx");
    let module = or_pass!(nginx_stream(), "nginx's stream module");
    let behind = Behind::new("proxy-protocol = \"v1-v2\"");
    let (us, home) = (behind.watershed.https_address(), behind.home());
    let (_nginx, addresses) = Peer::listening(1, |addresses| {
        let server = format!("listen {}; proxy_pass {us}; proxy_protocol on;", addresses[0]);
        let module = module.display();
        nginx_at(
            &home,
            &program,
            &format!("load_module {module}; stream {{ server {{ {server} }} }}"),
        )
    });
    behind.assert_clients_are_found(Front { at: addresses[0], has_http2: true });
}
