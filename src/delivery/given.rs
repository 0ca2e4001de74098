//! What is given to serve a new version: a component, which is read once, or the targets of an upstream.

use std::path::PathBuf;

use super::pending::Pending;
use crate::config::{
    Digest, Percent, ServiceName, TargetAddress, TargetSpec, UpstreamSpec, VersionName,
    VersionSpec, suspicion,
};
use crate::edit::{LimitText, NewBackend, NewVersion};
use crate::rollout::{Portion, ServiceView};
use crate::source::ComponentStore;
use crate::upstream::{Silent, silent};
use crate::versions::{StatusError, outgoing_import, read_component};

/// What is to serve the version.
#[derive(Debug)]
pub enum Given {
    Component(Component),
    Upstream(Vec<TargetAddress>),
}

/// The bytes of a component. They are read once: the file may change meanwhile.
#[derive(Debug)]
pub struct Component {
    /// Absolute.
    path: PathBuf,
    bytes: Vec<u8>,
    digest: Digest,
}

/// What is declared of a version beside what serves it.
#[derive(Clone, Debug)]
pub struct Declared {
    pub service: ServiceName,
    pub name: VersionName,
    pub remark: Option<String>,
    pub env: Vec<(String, String)>,
    pub limits: Vec<(String, LimitText)>,
    /// Whether the component stays where it is, instead of being copied into the store.
    pub in_place: bool,
}

impl Component {
    /// Reads the component at an absolute path.
    ///
    /// # Errors
    ///
    /// Where there is none, or the system refuses what reading needs.
    pub fn read(path: PathBuf) -> std::io::Result<Result<Self, StatusError>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(runtime.block_on(read_component(&path)).map(|bytes| {
            let digest = Digest::of(&bytes);
            Self { path, bytes, digest }
        }))
    }

    /// Of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn backend(
        self,
        declared: &Declared,
        store: &ComponentStore,
    ) -> (NewBackend, Digest, Option<Pending>) {
        let Self { path, bytes, digest } = self;
        let place = store.place(&declared.service, &declared.name, &digest);
        let stays = declared.in_place || store.has(&path, &digest);
        let (component, env) = (if stays { path } else { place.clone() }, declared.env.clone());
        let pending = (!stays).then(|| Pending::new(bytes, place));
        (NewBackend::Component { component, env }, digest, pending)
    }
}

impl Given {
    /// The targets that no connection can be made to from here.
    ///
    /// # Errors
    ///
    /// Where the system refuses what trying needs.
    pub fn silent(&self) -> std::io::Result<Vec<Silent>> {
        match self {
            Self::Component(_) => Ok(Vec::new()),
            Self::Upstream(targets) => silent(targets),
        }
    }

    /// What to warn of: targets that do not answer, or to which nothing can connect by their addresses, and a component
    /// that can call others and may not.
    pub fn warnings(&self, silent: &[Silent]) -> Vec<String> {
        let suspects = match self {
            Self::Component(_) => Vec::new(),
            Self::Upstream(targets) => targets.iter().filter_map(suspicion).collect(),
        };
        silent.iter().map(Silent::to_string).chain(suspects).chain(self.mute()).collect()
    }

    /// What to warn of where the component can call others: a new version may reach nothing.
    fn mute(&self) -> Option<String> {
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
        declared: Declared,
        store: &ComponentStore,
        replaced: Option<&VersionSpec>,
    ) -> (NewVersion, Option<Pending>) {
        let (backend, digest, pending) = match self {
            Self::Component(component) => component.backend(&declared, store),
            Self::Upstream(targets) => {
                let digest = as_declared(&targets, replaced).digest();
                (NewBackend::Upstream(targets), digest, None)
            }
        };
        let Declared { name, remark, limits, .. } = declared;
        (NewVersion { name, backend, digest, remark, limits }, pending)
    }
}

/// The upstream as its file will declare it. One in the place of another keeps the settings of that.
fn as_declared(targets: &[TargetAddress], replaced: Option<&VersionSpec>) -> UpstreamSpec {
    let targets: Vec<_> = targets.iter().cloned().map(TargetSpec::new).collect();
    match replaced.and_then(VersionSpec::upstream) {
        Some(replaced) => UpstreamSpec { targets, ..replaced.clone() },
        None => UpstreamSpec::new(targets),
    }
}

/// Whether requests that others answer now, or the version that is replaced, go to a new version.
pub fn takes(view: &ServiceView, portion: Portion, replaces: Option<&VersionName>) -> bool {
    match (replaces, portion) {
        (Some(replaced), _) => view.shares().of(replaced) > Percent::ZERO,
        (None, Portion::Hold) => false,
        (None, Portion::All | Portion::Share(_)) => !view.shares().is_offline(),
    }
}

/// The first target that is given more than once.
pub fn twice(targets: &[TargetAddress]) -> Option<&TargetAddress> {
    let mut all = targets.iter().enumerate();
    let is_known = |(index, target): &(usize, &TargetAddress)| {
        targets.iter().take(*index).any(|it| it == *target)
    };
    all.find(is_known).map(|(_, target)| target)
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
