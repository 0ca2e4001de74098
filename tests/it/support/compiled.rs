//! The shipped components, compiled once for all tests. A server gives its compiler only spare CPU time, which may be
//! next to nothing beside other tests; `check` compiles at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::site::{Site, plugin};

/// The components that many tests serve.
pub const SHIPPED: [&str; 3] = ["greeter", "lab", "lab-p3"];

/// What is compiled by now, by the names of components.
static COMPILED: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

/// Puts what the services of a site are made of into its cache, unless it has one.
pub fn seed(site: &Site) {
    let cache = site.path("state/compiled");
    let files = fs::read_dir(site.path("services")).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<_> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let is_named = |name: &&str| {
        let path = format!("{:?}", plugin(name).display().to_string());
        texts.iter().any(|text| text.contains(&path))
    };
    if !cache.exists() && fs::create_dir_all(&cache).is_ok() {
        SHIPPED.into_iter().filter(is_named).for_each(|name| put(name, &cache));
    }
}

/// Puts a compiled component into a cache.
pub fn put(name: &'static str, cache: &Path) {
    let artifact = {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.entry(name).or_insert_with(|| compile(name)).clone()
    };
    fs::create_dir_all(cache).unwrap();
    fs::copy(&artifact, cache.join(artifact.file_name().unwrap())).unwrap();
}

/// Compiles a component, or finds what an earlier run has compiled. Runs at the same time share a directory.
fn compile(name: &str) -> PathBuf {
    let site = Site::new().service(
        "shipped",
        &format!(
            "[[versions]]\nname = \"v1\"\ncomponent = {:?}\n",
            plugin(name).display().to_string()
        ),
    );
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled").join(name);
    fs::create_dir_all(&state).unwrap();
    site.write(
        "watershed.toml",
        format!("[state]\ndirectory = {:?}\n", state.display().to_string()),
    );
    let mut check = Command::new(env!("CARGO_BIN_EXE_watershed"));
    let checked = check.arg("check").arg("--config").arg(site.main_file()).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // Others are of earlier builds: whoever uses an artifact marks it with the time.
    let artifacts = fs::read_dir(state.join("compiled")).unwrap().map(|it| it.unwrap());
    let artifacts = artifacts.filter(|it| it.path().extension().is_some_and(|it| it == "cwasm"));
    artifacts.max_by_key(|it| it.metadata().unwrap().modified().unwrap()).unwrap().path()
}
