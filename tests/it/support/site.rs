//! A directory of configuration files, and the TOML that tests put into it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::compiled;
use super::watershed::{Finished, Watershed};

/// A configuration in a directory of its own, which is removed after the test.
#[derive(Debug)]
pub struct Site {
    directory: tempfile::TempDir,
    server: String,
    admin: String,
    rest: String,
    variables: Vec<(String, OsString)>,
}

impl Site {
    /// A site without services; both listeners take any free port.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("services")).unwrap();
        let site = Self {
            directory,
            server: String::new(),
            admin: "listen = \"127.0.0.1:0\"".to_owned(),
            rest: String::new(),
            variables: Vec::new(),
        };
        site.write_main();
        site
    }

    /// Adds lines to `[server]`.
    pub fn server(mut self, lines: &str) -> Self {
        self.server = lines.to_owned();
        self.write_main();
        self
    }

    /// Sets the lines of `[admin]`.
    pub fn admin(mut self, lines: &str) -> Self {
        self.admin = lines.to_owned();
        self.write_main();
        self
    }

    /// Adds whole tables to the main file.
    pub fn tables(mut self, tables: &str) -> Self {
        self.rest = tables.to_owned();
        self.write_main();
        self
    }

    /// Declares a service, by the text of its file.
    pub fn service(self, name: &str, text: &str) -> Self {
        self.write(&format!("services/{name}.toml"), text);
        self
    }

    /// Sets a variable of the environment in which its commands run.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn write_main(&self) {
        let Self { server, admin, rest, .. } = self;
        let listen = match server.contains("listen =") {
            true => "",
            false => "listen = [\"127.0.0.1:0\"]",
        };
        let state = "[state]\ndirectory = \"state\"";
        let text = format!("[server]\n{listen}\n{server}\n[admin]\n{admin}\n{state}\n{rest}\n");
        self.write("watershed.toml", &text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn main_file(&self) -> PathBuf {
        self.path("watershed.toml")
    }

    /// Writes a file in place.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Writes a new file and renames it over the old one, as careful editors do.
    pub fn replace(&self, name: &str, contents: impl AsRef<[u8]>) {
        let aside = self.path(&format!("{name}.aside"));
        fs::write(&aside, contents).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    /// Points a link at a target, in one step even if the link exists.
    pub fn link(&self, name: &str, target: &str) {
        let aside = self.path(&format!("{name}.aside"));
        symlink(target, &aside).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// How many services there are.
    pub fn services(&self) -> usize {
        let files = fs::read_dir(self.path("services")).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")).count()
    }

    /// The command with `--config` set to this site.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
        command.args(arguments).arg("--config").arg(self.main_file());
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Serves the site. The shipped components are compiled beforehand.
    pub fn start(self) -> Watershed {
        compiled::seed(&self);
        Watershed::start(self)
    }

    /// Serves the site, with a log that is not collected.
    pub fn start_logging_to(self, log: impl Into<Stdio>) -> Watershed {
        let command = self.command(&["run"]);
        Watershed::spawn_logging_to(self, command, log)
    }

    /// Runs a command that ends by itself.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments))
    }

    /// Every file and its text, for the output of a failed test.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        dump(self.directory.path(), &mut text);
        text
    }
}

fn dump(directory: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            dump(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let contents = fs::read_to_string(&path).unwrap_or_default();
            text.push_str(&format!("--- {}\n{contents}\n", path.display()));
        }
    }
}

/// A built component.
pub fn plugin(name: &str) -> PathBuf {
    let directory = match std::env::var_os("WATERSHED_PLUGINS") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/dist"),
    };
    directory.join(name).with_extension("wasm")
}

fn version(name: &str, component: &str, env: &str) -> String {
    let component = plugin(component).display().to_string();
    format!("\n[[versions]]\nname = \"{name}\"\ncomponent = {component:?}\nenv = {{ {env} }}\n")
}

/// A version whose greeting names it: `Hello from NAME!`.
pub fn greeter(name: &str) -> String {
    version(name, "greeter", &format!("VERSION = \"{name}\""))
}

/// A service with one version, whose greeting names it.
pub fn one_version(name: &str) -> String {
    greeter(name) + &split(&format!("{name} = 100"))
}

/// A version that misbehaves as the request's path says.
pub fn lab(name: &str) -> String {
    version(name, "lab", "")
}

/// A version of WASI 0.3 that misbehaves as the request's path says, and greets with its name at `/`.
pub fn lab_p3(name: &str) -> String {
    version(name, "lab-p3", &format!("VERSION = \"{name}\""))
}

/// The lab of WASI 0.2, and that of 0.3.
pub const LABS: [fn(&str) -> String; 2] = [lab, lab_p3];

/// Limits of the preceding version: `limits("memory = \"64MiB\"")`.
pub fn limits(lines: &str) -> String {
    format!("\n[versions.limits]\n{lines}\n")
}

/// A split: `split("v1 = 90, v2 = 10")`.
pub fn split(shares: &str) -> String {
    format!("\n[traffic]\nsplit = {{ {shares} }}\n")
}
