//! What systemd is told, and what it gives: played by the test, since it does not run where tests do.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal::{SIGHUP, SIGTERM, SIGUSR2};

use crate::support::{Chain, DEADLINE, GREETER, Http1, Site, Watershed, compiled, one_version};

/// A socket on which systemd would listen.
struct Notify {
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Notify {
    /// The socket, and a site whose processes know of it.
    fn of(site: Site) -> (Self, Site) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE * 3)).unwrap();
        (Self { socket, _directory: directory }, site.variable("NOTIFY_SOCKET", path))
    }

    /// The next message.
    #[track_caller]
    fn heard(&self) -> String {
        let mut text = [0; 4_096];
        let length = self.socket.recv(&mut text).expect("a message to systemd");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[track_caller]
    fn hears(&self, start: &str) {
        let heard = self.heard();
        assert!(heard.starts_with(start), "{heard:?}");
    }
}

fn greeter_site() -> Site {
    Site::new().server("grace-period = \"5s\"").service("greeter", &one_version("v1"))
}

#[test]
fn each_turn_of_the_process_is_told() {
    let (notify, site) = Notify::of(greeter_site());
    let chain = Chain::of(site);
    notify.hears("READY=1\n");
    chain.signal(SIGHUP);
    notify.hears("RELOADING=1\nMONOTONIC_USEC=");
    notify.hears("READY=1\n");
    chain.signal(SIGUSR2);
    notify.hears("RELOADING=1\nMONOTONIC_USEC=");
    let after = chain.follow();
    // By the process that systemd still takes for the main one.
    notify.hears(&format!("MAINPID={after}\nREADY=1\n"));
    chain.signal(SIGTERM);
    notify.hears("STOPPING=1");
    chain.await_end(after);
}

#[test]
fn a_restart_that_fails_is_told_too() {
    let (notify, site) = Notify::of(greeter_site());
    let chain = Chain::of(site);
    notify.hears("READY=1\n");
    chain.watershed.site.replace("watershed.toml", "server = 1");
    chain.signal(SIGUSR2);
    notify.hears("RELOADING=1");
    notify.hears("READY=1\n");
    notify.hears("STATUS=the last restart has failed: ");
    assert!(chain.failure(1).contains("watershed.toml"));
}

/// Starts a site as systemd does: the shell puts the socket where descriptors of systemd begin.
fn activated(site: Site, socket: &TcpListener, name: &str) -> Watershed {
    compiled::seed(&site);
    let script =
        format!("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec \"$@\" 3<&0 </dev/null");
    let own = site.command(&["run"]);
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh").arg(own.get_program()).args(own.get_args());
    command.current_dir(own.get_current_dir().unwrap());
    command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    Watershed::spawn(site, command)
}

#[test]
fn sockets_that_systemd_has_bound_are_used_and_handed_over() {
    for name in ["proxy", "watershed.socket"] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let site = match name {
            // Whatever the file says.
            "proxy" => greeter_site(),
            _ => Site::new()
                .server(&format!("listen = [\"{address}\"]\ngrace-period = \"5s\""))
                .service("greeter", &one_version("v1")),
        };
        let chain = Chain::from(activated(site, &socket, name));
        assert_eq!(chain.watershed.address(), address, "{name}");
        chain.watershed.assert_serves(GREETER, "/");
        for _ in 0..2 {
            chain.signal(SIGUSR2);
            chain.follow();
            assert_eq!(Http1::connect(address).get(GREETER, "/").status, 200);
        }
    }
}

#[test]
fn a_socket_for_nothing_is_told_of() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let watershed = activated(greeter_site(), &socket, "other.socket");
    let address = socket.local_addr().unwrap().to_string();
    watershed.log_line(&["WARN", &address, "no listener", "`FileDescriptorName=proxy`"]);
    watershed.assert_serves(GREETER, "/");
}
