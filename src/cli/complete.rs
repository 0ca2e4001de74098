//! What a shell offers at the Tab key: the names in the files. A completion has only a moment, and nobody would read an
//! error, so every failure offers nothing.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::DEFAULT_CONFIG;
use crate::config::Config;
use crate::source::{Loader, Reading};

/// The services of all environments.
pub(super) fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let config = config();
        let services = config.iter().flat_map(Config::services);
        offer(current, services.map(|(_, service)| service.name.to_string()))
    })
}

/// The versions of the service that the line names already.
pub(super) fn versions() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offer(current, versions_on_line()))
}

/// The same versions, each with a `=` for its share.
pub(super) fn shares() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let words = words();
        let is_new = |version: &String| !words.iter().any(|word| word.starts_with(version));
        let left = versions_on_line().into_iter().map(|version| format!("{version}="));
        offer(current, left.filter(is_new))
    })
}

/// The environments.
pub(super) fn environments() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let environments = config().map(|config| config.environments).unwrap_or_default();
        offer(current, environments.into_iter().map(|environment| environment.name.to_string()))
    })
}

fn offer(current: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let mut names: Vec<String> =
        names.into_iter().filter(|name| name.starts_with(begun.as_ref())).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn versions_on_line() -> Vec<String> {
    let (config, words) = (config(), words());
    let services = config.iter().flat_map(Config::services).map(|(_, service)| service);
    let named = services.filter(|service| words.iter().any(|word| *word == service.name.as_str()));
    named.flat_map(|service| service.versions.iter().map(|spec| spec.name.to_string())).collect()
}

fn config() -> Option<Config> {
    let mut loader = Loader::new(&path(&words()));
    loader.load(Reading::Everything).ok().map(|it| Arc::unwrap_or_clone(it.config))
}

/// The words on the line: the shell calls `watershed -- watershed traffic gr…`.
fn words() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.skip_while(|word| word != "--").skip(2).collect()
}

/// The main file that the line names.
fn path(words: &[String]) -> PathBuf {
    let mut following = words.iter().skip(1);
    let named = words.iter().find_map(|word| {
        let next = following.next();
        match word.strip_prefix("--config") {
            Some("") => next.cloned(),
            Some(value) => value.strip_prefix('=').map(ToOwned::to_owned),
            None => None,
        }
    });
    named.unwrap_or_else(|| DEFAULT_CONFIG.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_which_configuration_is_meant() {
        let path = |line: &str| {
            path(&line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>()).display().to_string()
        };
        assert_eq!(path("traffic gr"), DEFAULT_CONFIG);
        assert_eq!(path("--config a.toml traffic gr"), "a.toml");
        assert_eq!(path("traffic --config=b.toml gr"), "b.toml");
        assert_eq!(path("traffic --config"), DEFAULT_CONFIG);
    }
}
