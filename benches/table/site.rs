//! A configuration of ours in a directory of its own, and the server that follows it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::load::Served;
use crate::process::{Cores, Process, command};
use crate::{Arguments, Result, get};

/// The host of the service `greeter`.
pub const HOST: &str = "greeter.localhost";
/// How long a start may take, with a hundred components to compile.
const START: Duration = Duration::from_secs(600);

/// The component that is measured.
pub fn greeter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/dist/greeter.wasm")
}

/// What differs between the configurations.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The port to listen on; 0 is any.
    pub port: u16,
    /// Worker threads; 0 is one a core.
    pub threads: u32,
    /// Requests that one sandbox may serve.
    pub reuse: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { port: 0, threads: 1, reuse: 1 }
    }
}

/// A directory with the configuration, the components made for it and the compile cache.
#[derive(Debug)]
pub struct Site(TempDir);

impl Site {
    /// A configuration without services.
    pub fn new(settings: Settings) -> Result<Self> {
        let site = Self(tempfile::tempdir()?);
        fs::create_dir(site.path("services"))?;
        let Settings { port, threads, reuse } = settings;
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:{port}\"]\nthreads = {threads}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n[state]\ndirectory = \"state\"\n\
             [defaults.limits]\ninstance-reuse = {reuse}\n"
        );
        fs::write(site.path("watershed.toml"), text)?;
        Ok(site)
    }

    /// The greeter as it is shipped: two versions, at 90 and 10 %.
    pub fn greeter(settings: Settings) -> Result<Self> {
        let site = Self::new(settings)?;
        site.declare("greeter", &shipped(), "v1 = 90, v2 = 10")?;
        Ok(site)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Declares or changes a service with these versions and components, in one step, as careful editors do.
    pub fn declare(&self, service: &str, versions: &[(&str, PathBuf)], split: &str) -> Result<()> {
        let mut text = String::new();
        for (version, component) in versions {
            let greeting = if *version == "v2" { "Bonjour" } else { "Hello" };
            write!(
                text,
                "[[versions]]\nname = \"{version}\"\ncomponent = {component:?}\n\
                 env = {{ GREETING = \"{greeting}\", VERSION = \"{version}\" }}\n\n"
            )?;
        }
        self.replace(service, text, split)
    }

    /// Declares a service whose versions are upstreams of one target each.
    pub fn declare_upstreams(
        &self,
        service: &str,
        versions: &[(&str, SocketAddr)],
        split: &str,
    ) -> Result<()> {
        let mut text = String::new();
        for (version, target) in versions {
            write!(text, "[[versions]]\nname = \"{version}\"\nupstream = [\"{target}\"]\n\n")?;
        }
        self.replace(service, text, split)
    }

    /// Declares a service of one component that may call one origin.
    pub fn declare_caller(&self, service: &str, component: &Path, origin: &str) -> Result<()> {
        let version = format!(
            "[[versions]]\nname = \"v1\"\ncomponent = {component:?}\noutbound = [\"{origin}\"]\n\n"
        );
        self.replace(service, version, "v1 = 100")
    }

    fn replace(&self, service: &str, mut text: String, split: &str) -> Result<()> {
        write!(text, "[traffic]\nsplit = {{ {split} }}\n")?;
        let aside = self.path("edited");
        fs::write(&aside, text)?;
        Ok(fs::rename(aside, self.path("services").join(format!("{service}.toml")))?)
    }

    /// Starts the server, without waiting for anything.
    pub fn spawn(&self, arguments: &Arguments, cores: Cores) -> Result<Process> {
        let mut command = command(cores, &arguments.binary);
        command.args(["run", "--config"]).arg(self.path("watershed.toml"));
        Process::spawn(command)
    }

    /// Starts the server, and waits until it prints its addresses.
    pub fn start(&self, arguments: &Arguments, cores: Cores) -> Result<Served> {
        let services = fs::read_dir(self.path("services"))?.count();
        let mut process = self.spawn(arguments, cores)?;
        let address = process.wait_for("services on stdout", START, |process| {
            let said = process.stdout();
            let served = said.lines().filter(|line| line.starts_with("http://")).count();
            (served >= services).then(|| address_after(&said, "listening on http://"))?
        })?;
        Ok(Served { process, address })
    }
}

/// The versions of the greeter as it is shipped.
pub fn shipped() -> [(&'static str, PathBuf); 2] {
    [("v1", greeter()), ("v2", greeter())]
}

fn status(served: &Served) -> Result<Value> {
    let admin = address_after(&served.process.stdout(), "admin on http://").ok_or("no admin")?;
    Ok(serde_json::from_str(&get::get(admin, "localhost", "/api/v1/status")?.body)?)
}

/// The number of the generation that is served.
pub fn generation(served: &Served) -> Result<u64> {
    let status = status(served)?;
    Ok(status.get("generation").and_then(Value::as_u64).ok_or("no generation")?)
}

/// The admin listener's document of the first service's version, if there is one.
pub fn version(served: &Served, name: &str) -> Result<Option<Value>> {
    let status = status(served)?;
    let versions = status.pointer("/environments/0/services/0/versions").and_then(Value::as_array);
    let found = versions.into_iter().flatten().find(|version| version["name"] == name);
    Ok(found.cloned())
}

/// The address behind a label in a process's output.
pub fn address_after(said: &str, label: &str) -> Option<SocketAddr> {
    said.lines().find_map(|line| line.strip_prefix(label))?.parse().ok()
}
