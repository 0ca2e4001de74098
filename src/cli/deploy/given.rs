//! What the command line names to serve a new version: a component, which is read once, or the targets of an upstream.

use std::path::{Path, PathBuf};

use super::probe::{self, Silent};
use super::{Arguments, CliError};
use crate::config::{self, Digest, TargetAddress, TargetSpec, UpstreamSpec, VersionSpec, absolute};
use crate::delivery::Pending;
use crate::edit::{NewBackend, NewVersion};
use crate::source::ComponentStore;
use crate::versions::{StatusCode, StatusError, outgoing_import, read_component};

/// What is to serve the version.
pub enum Given {
    Component(Component),
    Upstream(Vec<TargetAddress>),
}

/// The bytes that `--component` names. They are read once: the file may change meanwhile.
pub struct Component {
    /// Absolute.
    path: PathBuf,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Given {
    pub fn of(arguments: &Arguments) -> Result<Self, CliError> {
        let Arguments { component, upstream, .. } = arguments;
        match component {
            Some(component) => Ok(Self::Component(Component::read(component)?)),
            None => match twice(upstream) {
                Some(target) => Err(CliError::TargetTwice(target.to_string())),
                None => Ok(Self::Upstream(upstream.clone())),
            },
        }
    }

    /// The targets that no connection can be made to from here.
    ///
    /// # Errors
    ///
    /// Where the system refuses what trying needs.
    pub fn silent(&self) -> std::io::Result<Vec<Silent>> {
        match self {
            Self::Component(_) => Ok(Vec::new()),
            Self::Upstream(targets) => probe::silent(targets),
        }
    }

    /// What to warn of where the component can call others: a new version may reach nothing.
    pub fn mute(&self) -> Option<String> {
        let Self::Component(component) = self else { return None };
        let import = outgoing_import(&component.bytes)?;
        Some(format!(
            "the component imports {import}, and may reach nothing; if it calls others, list them under `outbound` in its \
             `[[versions]]`"
        ))
    }

    /// Whether none of so many silent targets is left that answers.
    pub fn is_dead(&self, silent: &[Silent]) -> bool {
        match self {
            Self::Component(_) => false,
            Self::Upstream(targets) => targets.len() == silent.len(),
        }
    }

    /// The version to declare, and the copy to make for it, unless its component stays where it is. `replaced` is the
    /// version in whose place it goes.
    pub fn version(
        self,
        arguments: &Arguments,
        store: &ComponentStore,
        replaced: Option<&VersionSpec>,
    ) -> (NewVersion, Option<Pending>) {
        let Arguments { version: name, remark, .. } = arguments;
        let (backend, digest, pending) = match self {
            Self::Component(component) => component.backend(arguments, store),
            Self::Upstream(targets) => {
                let digest = declared(&targets, replaced).digest();
                (NewBackend::Upstream(targets), digest, None)
            }
        };
        let (name, remark) = (name.clone(), remark.clone());
        (NewVersion { name, backend, digest, remark }, pending)
    }
}

/// The upstream as its file will declare it. One in the place of another keeps the settings of that.
fn declared(targets: &[TargetAddress], replaced: Option<&VersionSpec>) -> UpstreamSpec {
    let targets: Vec<_> = targets.iter().cloned().map(TargetSpec::new).collect();
    match replaced.and_then(VersionSpec::upstream) {
        Some(replaced) => UpstreamSpec { targets, ..replaced.clone() },
        None => UpstreamSpec::new(targets),
    }
}

/// The first target that is given more than once.
fn twice(targets: &[TargetAddress]) -> Option<&TargetAddress> {
    let mut all = targets.iter().enumerate();
    let is_known = |(index, target): &(usize, &TargetAddress)| {
        targets.iter().take(*index).any(|it| it == *target)
    };
    all.find(is_known).map(|(_, target)| target)
}

impl Component {
    fn read(path: &Path) -> Result<Self, CliError> {
        let given = path.display().to_string();
        let path = absolute(Path::new("/"), &std::path::absolute(path)?);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let bytes = runtime.block_on(read_component(&path));
        let bytes = bytes.map_err(|error| as_given(error, &given))?;
        let digest = Digest::of(&bytes);
        Ok(Self { path, bytes, digest })
    }

    fn backend(
        self,
        arguments: &Arguments,
        store: &ComponentStore,
    ) -> (NewBackend, Digest, Option<Pending>) {
        let Self { path, bytes, digest } = self;
        let place = store.place(&arguments.service, &arguments.version, &digest);
        let stays = arguments.in_place || store.has(&path, &digest);
        let (component, env) = (if stays { path } else { place.clone() }, arguments.env.clone());
        let pending = (!stays).then(|| Pending::new(bytes, place));
        (NewBackend::Component { component, env }, digest, pending)
    }
}

/// An error about a path as it was given on the command line.
fn as_given(error: StatusError, given: &str) -> StatusError {
    match (error.code, config::elsewhere(given)) {
        (StatusCode::NotFound, Some(detail)) => {
            let suggestion = "a component is a file: fetch it (from a registry with `wkg oci pull` or `oras pull`), and \
                              give its path; an HTTP service is given by `--upstream HOST:PORT`";
            StatusError { detail, suggestion, ..error }
        }
        (StatusCode::NotFound, None) => {
            let suggestion =
                "build the component, or correct the path; it is relative to the current directory";
            StatusError { suggestion, ..error }
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_given_twice_is_found() {
        let name = |host: &str, port| TargetAddress::Name(host.to_owned(), port);
        assert_eq!(twice(&[name("a", 1), name("b", 1), name("a", 2)]), None);
        assert_eq!(twice(&[name("a", 1), name("b", 1), name("a", 1)]), Some(&name("a", 1)));
    }
}
