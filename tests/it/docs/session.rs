//! The shell of a reader, in a copy of the project, and the process that serves there.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

use super::repository;
use crate::support::compiled::{self, SHIPPED};
use crate::support::within;

/// How long a command may take: some compile, some send a thousand requests.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the shell prints after each command.
const END: &str = "@@end@@";
/// The port of the reader's own service.
const SERVICE: &str = "9001";
/// The reader's user name.
const HOME: &str = "/home/ana";

/// The reader's programs. `watershed` first gives the configurations beside it the ports of this run, and leaves its
/// process id where the end of the session finds it.
const WATERSHED: &str = r#"#!/bin/bash
for main in watershed.toml */watershed.toml; do
    if [ -f "$main" ] && grep -q ':8080\|:9090\|:8443' "$main"; then
        sed -i "s/:8080/:$PROXY_PORT/; s/:9090/:$ADMIN_PORT/; s/:8443/:$HTTPS_PORT/" "$main"
    fi
done
exec "$WATERSHED_BINARY" "$@"
"#;
const MAKE: &str = "#!/bin/bash\n[ \"$*\" = run ] && exec watershed run\nexit 1\n";

pub struct Session {
    directory: tempfile::TempDir,
    shell: Child,
    input: ChildStdin,
    /// Ports that nobody else gets as long as these sockets are bound, and that can still be listened on: of the proxy, of
    /// the admin listener, of HTTPS, and of a service that the reader has.
    ports: [(Socket, u16); 4],
}

impl Session {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let home = root.join("home");
        copy(&repository("config"), &home.join("config"));
        SHIPPED.into_iter().for_each(|name| compiled::put(name, &home.join("state/compiled")));
        symlink(repository("plugins"), home.join("plugins")).unwrap();
        fs::create_dir(root.join("bin")).unwrap();
        script(&root.join("bin/watershed"), WATERSHED);
        script(&root.join("bin/make"), MAKE);
        // As on a terminal; and `-s` does not keep the reason of a failure from whoever reads that a test failed.
        fs::write(home.join(".curlrc"), "no-progress-meter\nshow-error\n").unwrap();
        let ports = [reserve(), reserve(), reserve(), reserve()];
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc"]).current_dir(&home).process_group(0);
        shell.env("PATH", format!("{}:{path}", root.join("bin").display()));
        shell.env("HOME", &home).env("USER", "ana").env("TERM", "dumb").env_remove("SUDO_USER");
        shell.env("WATERSHED_BINARY", env!("CARGO_BIN_EXE_watershed")).env("LC_ALL", "C.UTF-8");
        shell.env("PROXY_PORT", ports[0].1.to_string()).env("ADMIN_PORT", ports[1].1.to_string());
        shell.env("HTTPS_PORT", ports[2].1.to_string());
        let output = fs::File::create(root.join("output")).unwrap();
        let errors = output.try_clone().unwrap();
        let mut shell = shell.stdin(Stdio::piped()).stdout(output).stderr(errors).spawn().unwrap();
        let input = shell.stdin.take().unwrap();
        Self { directory, shell, input, ports }
    }

    /// Runs a command to its end, and returns the lines that it printed.
    pub fn run(&mut self, command: &str) -> Vec<String> {
        let before = self.read("output").len();
        let command = self.to_run(command);
        // The status is still there for the next command.
        let script = format!("{command}\n__code=$?; echo; echo {END}; (exit $__code)\n");
        self.input.write_all(script.as_bytes()).unwrap();
        let end = format!("\n{END}\n");
        within(PATIENCE, &command, || self.read("output")[before..].ends_with(&end));
        let output = self.read("output");
        let printed = output[before..].strip_suffix(&end).unwrap();
        self.lines(printed)
    }

    /// Runs a command that serves, until it has printed these lines on its standard output.
    pub fn serve(&mut self, command: &str, said: impl Fn(&[String]) -> bool) -> Vec<String> {
        let root = self.directory.path().display();
        let command = format!("{{ {command}; }} >>{root}/said 2>>{root}/log </dev/null &");
        self.run(&command);
        let started = Instant::now();
        loop {
            let lines = self.lines(&self.read("said"));
            if said(&lines) || started.elapsed() > PATIENCE {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the process, if one runs, read the edited files, because the next command comes sooner than a reader could
    /// write it.
    pub fn read_edits(&mut self) {
        self.run("curl -s -o /dev/null -X POST 127.0.0.1:9090/api/v1/reload");
        within(PATIENCE, "versions that are ready, or in error", || {
            let status = self.run("curl -s 127.0.0.1:9090/api/v1/status").join("\n");
            !status.contains(r#""status":"creating""#)
        });
    }

    /// Waits until the reader's own service listens, because the next command comes sooner than a reader could write it.
    pub fn await_service(&self) {
        let [.., (_, service)] = &self.ports;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *service));
        within(PATIENCE, "the reader's own service", || TcpStream::connect(address).is_ok());
    }

    /// The lines of the process's log so far.
    pub fn log(&self) -> Vec<String> {
        self.lines(&self.read("log"))
    }

    /// Writes a reader's file, or adds to it.
    pub fn write(&self, path: &str, text: &str, adds: bool) {
        let path = self.directory.path().join("home").join(path);
        let before = if adds { fs::read_to_string(&path).unwrap() + "\n" } else { String::new() };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.to_run(&(before + text))).unwrap();
    }

    /// Fails unless a reader's file has these lines, in this order; the page may leave out others.
    #[track_caller]
    pub fn assert_in(&self, path: &str, wanted: &[String]) {
        let text = fs::read_to_string(self.directory.path().join("home").join(path)).unwrap();
        let mut lines = text.lines();
        for line in wanted.iter().filter(|line| !line.is_empty()) {
            assert!(
                lines.any(|own| own == line),
                "{line:?} is not in {path}, or not there:\n{text}"
            );
        }
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// With the ports of this run.
    fn to_run(&self, text: &str) -> String {
        let [(_, proxy), (_, admin), (_, https), (_, service)] = &self.ports;
        // The service's port first: a port of this run may have its digits.
        let text = text.replace(SERVICE, &service.to_string());
        let text = text.replace(":8443", &format!(":{https}"));
        text.replace(":8080", &format!(":{proxy}")).replace(":9090", &format!(":{admin}"))
    }

    /// With the ports and the directory of the page.
    fn lines(&self, text: &str) -> Vec<String> {
        let [(_, proxy), (_, admin), (_, https), (_, service)] = &self.ports;
        let home = self.directory.path().join("home").display().to_string();
        let text =
            text.replace(&format!(":{proxy}"), ":8080").replace(&format!(":{admin}"), ":9090");
        let text = text.replace(&format!(":{service}"), &format!(":{SERVICE}"));
        let text = text.replace(&format!(":{https}"), ":8443");
        text.replace(&home, HOME).replace('\r', "").lines().map(str::to_owned).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.shell.id()).unwrap());
        // The process that serves is in the group of the shell.
        killpg(group, Signal::SIGKILL).ok();
        self.shell.wait().ok();
    }
}

/// A port that the kernel gives to nobody else while this socket has it. The socket is bound, and a process that sets
/// `SO_REUSEADDR` may bind the port too and listen.
fn reserve() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
