//! Compilation happens in a child, which has its own memory and dies with the server. If the child dies alone, one
//! version is in error until the next edit.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::heavy_component::heavy;
use crate::support::{GREETER, Site, Watershed, eventually, greeter, plugin, within};

/// Bytes of a component that compiles for seconds.
const LARGE: usize = 3_000_000;
/// How long it may take on a machine that does much else.
pub const COMPILED: Duration = Duration::from_secs(120);
/// The file of the large component, and the service that it is of.
const FILE: &str = "large.wasm";
const SERVICE: &str = "services/large.toml";

/// A running compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compiler(u32);

impl Compiler {
    fn of(watershed: &Watershed) -> Option<Self> {
        Self::all_of(watershed).first().copied()
    }

    fn all_of(watershed: &Watershed) -> Vec<Self> {
        let parent = watershed.pid().to_string();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let running = pids.filter_map(|pid| {
            let compiler = Self(pid);
            (compiler.is_running() && compiler.status("PPid:")? == parent).then_some(compiler)
        });
        running.collect()
    }

    /// Waits for this server's compiler.
    #[track_caller]
    fn await_one(watershed: &Watershed) -> Self {
        eventually("a compiler", || Self::of(watershed).is_some());
        Self::of(watershed).unwrap()
    }

    fn file(self, name: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.0)).ok()
    }

    /// A field of its status.
    fn status(self, field: &str) -> Option<String> {
        let status = self.file("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(value.trim().to_owned())
    }

    /// A compiler that has ended may remain until its new parent reaps it.
    fn is_running(self) -> bool {
        self.status("State:").is_some_and(|state| !state.starts_with(['Z', 'X']))
    }

    /// The peak of its resident memory so far.
    fn peak_memory(self) -> Option<usize> {
        let kib: usize = self.status("VmHWM:")?.trim_end_matches(" kB").parse().unwrap();
        Some(kib << 10)
    }

    fn kill(self) {
        kill(Pid::from_raw(i32::try_from(self.0).unwrap()), Signal::SIGKILL).unwrap();
    }
}

/// The greeter, in a form that compiles for seconds.
pub fn large() -> Vec<u8> {
    heavy(&fs::read(plugin("greeter")).unwrap(), LARGE, 1)
}

/// Serves the greeter, and then declares the large component.
fn start_compiling() -> (Watershed, Compiler) {
    let site = Site::new().service("greeter", &greeter("v1"));
    let mut command = site.command(&["run"]);
    command.env("WATERSHED_SECRET", "do not tell");
    let watershed = Watershed::spawn(site, command);
    declare_large(&watershed.site);
    let compiler = Compiler::await_one(&watershed);
    (watershed, compiler)
}

fn declare_large(site: &Site) {
    site.write(FILE, large());
    let path = site.path(FILE).display().to_string();
    site.write(SERVICE, format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n"));
}

/// The large component's version, once it is in a snapshot.
fn version(watershed: &Watershed) -> Value {
    let status = watershed.status();
    let services = status["environments"][0]["services"].as_array().unwrap();
    let large = services.iter().find(|service| service["name"] == "large");
    large.map_or(Value::Null, |large| large["versions"][0].clone())
}

#[track_caller]
fn await_normal(watershed: &Watershed) {
    within(COMPILED, "normal", || version(watershed)["status"] == "normal");
    watershed.assert_serves("large.localhost", "/");
}

/// Declares large components that all differ, each of a service of its own.
fn declare_several(site: &Site, names: &[&str]) {
    for (seed, name) in (2..).zip(names) {
        let greeter = fs::read(plugin("greeter")).unwrap();
        site.write(
            &format!("{name}.wasm"),
            heavy(&greeter, LARGE / 3, seed + name.len() as u64 * 100),
        );
        let path = site.path(&format!("{name}.wasm")).display().to_string();
        let text = format!("[[versions]]\nname = \"v1\"\ncomponent = {path:?}\n");
        site.write(&format!("services/{name}.toml"), text);
    }
}

/// The most compilers that were seen at once, until all of these versions serve; with the number of looks, because few
/// looks prove nothing.
fn most_at_once(watershed: &Watershed, names: &[&str]) -> usize {
    let mut most = 0;
    within(COMPILED, "all of them normal", || {
        most = most.max(Compiler::all_of(watershed).len());
        let status = watershed.status();
        let services = status["environments"][0]["services"].as_array().unwrap().clone();
        names.iter().all(|name| {
            let service = services.iter().find(|service| service["name"] == *name);
            service.is_some_and(|service| service["versions"][0]["status"] == "normal")
        })
    });
    most
}

#[test]
fn before_the_first_request_all_cores_compile_and_then_one() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let watershed = Watershed::start(site);
    let cores = thread::available_parallelism().unwrap().get();
    let early = ["a", "b", "c"];
    declare_several(&watershed.site, &early);
    let most = most_at_once(&watershed, &early);
    assert!(most <= cores, "{most} compilers on {cores} cores");
    assert!(most > 1 || cores == 1, "one at a time on {cores} cores");
    watershed.assert_serves(GREETER, "/");
    let late = ["dd", "ee", "ff"];
    declare_several(&watershed.site, &late);
    assert_eq!(most_at_once(&watershed, &late), 1);
}

#[test]
fn the_compilers_memory_is_its_own() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let watershed = site.start();
    let before = watershed.peak_memory();
    declare_large(&watershed.site);
    let compiler = Compiler::await_one(&watershed);
    let mut most = 0;
    within(COMPILED, "the end of the compiler", || {
        watershed.assert_serves(GREETER, "/");
        most = most.max(compiler.peak_memory().unwrap_or(0));
        !compiler.is_running()
    });
    await_normal(&watershed);
    let more = watershed.peak_memory() - before;
    assert!(most > 10 * LARGE, "it took {most} bytes");
    assert!(more < most / 4, "the server took {more} bytes more, of the compiler's {most}");
}

#[test]
fn the_compiler_goes_last_and_knows_nothing() {
    let (watershed, compiler) = start_compiling();
    eventually("a low priority", || {
        let stat = compiler.file("stat").unwrap();
        // The second field is a name in parentheses; from there, this is the 17th.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(16).unwrap() == "19"
    });
    assert_eq!(compiler.file("environ").unwrap(), "");
    drop(watershed);
}

#[test]
fn a_compiler_that_is_killed_is_told_and_the_next_edit_tries_again() {
    let (watershed, mut compiler) = start_compiling();
    let edit_another = || watershed.site.write("services/greeter.toml", greeter("v2"));
    let rewrite = || watershed.site.write(FILE, large());
    let edits: [&dyn Fn(); 2] = [&edit_another, &rewrite];
    for edit in edits {
        compiler.kill();
        eventually("its end", || !compiler.is_running());
        eventually("an error", || version(&watershed)["status"] == "error");
        let error = &version(&watershed)["error"];
        assert_eq!(error["code"], "compiler-stopped", "{error:#}");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains("killed by signal 9"), "{detail}");
        watershed.log_line(&["large", "compiler-stopped"]);
        watershed.assert_serves(GREETER, "/");
        assert_eq!(watershed.get("large.localhost", "/").status, 503);
        edit();
        compiler = Compiler::await_one(&watershed);
    }
    await_normal(&watershed);
}

#[test]
fn no_compiler_outlives_its_server() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (mut watershed, compiler) = start_compiling();
        watershed.signal(signal);
        let end = watershed.wait(Duration::from_secs(5));
        assert_eq!(end.success(), signal == Signal::SIGTERM, "{end}");
        eventually("its end", || !compiler.is_running());
    }
}

#[test]
fn what_does_not_compile_is_reported_as_by_check() {
    let mut damaged = fs::read(plugin("greeter")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let site = Site::new();
    site.write("damaged.wasm", damaged);
    let text = "[[versions]]\nname = \"v1\"\ncomponent = \"../damaged.wasm\"\n";
    let site = site.service("damaged", text);
    let checked: Value = serde_json::from_str(&site.run(&["check", "--json"]).stdout).unwrap();
    let watershed = site.start();
    let error = &watershed.version("damaged", "v1")["error"];
    assert_eq!(error["code"], "compile-failed");
    for key in ["code", "detail", "suggestion"] {
        assert_eq!(error[key], checked["versions"][0][key], "{key}");
    }
    assert!(Compiler::of(&watershed).is_none());
}

#[test]
fn a_server_goes_on_with_its_own_program_when_another_has_its_name() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let run = site.command(&["run"]);
    let program = site.path("watershed");
    fs::copy(run.get_program(), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(run.get_args());
    let watershed = Watershed::spawn(site, command);
    fs::remove_file(&program).unwrap();
    fs::copy(Path::new("/bin/false"), &program).unwrap();
    let version = greeter("v1").replace("greeter.wasm", "lab.wasm");
    watershed.site.write("services/other.toml", version);
    eventually("normal", || watershed.get("other.localhost", "/count").status == 200);
    assert!(!watershed.stderr().contains("WARN"), "{}", watershed.stderr());
}
