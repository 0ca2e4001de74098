//! What the files of components tell without compilation: their digests, and where versions made of them stand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::config::{BackendSpec, Config, Digest, GuestSpec, VersionSpec};
use crate::policy::Standing;
use crate::versions::{StatusError, check_digest, declared, digest_at};

/// The digest of every component of a configuration, or why it has none.
pub(super) struct Digests(HashMap<PathBuf, Result<Digest, StatusError>>);

impl Digests {
    /// Reads each component once.
    pub(super) fn of(config: &Config) -> Result<Self, CliError> {
        let specs = declared(config).map(|(_, _, spec)| spec);
        Ok(Self(read(specs)?))
    }

    /// Where a version stands, as far as its files tell.
    pub(super) fn standing(&self, spec: &VersionSpec) -> Standing {
        match &spec.backend {
            BackendSpec::Guest(guest) => match self.0.get(&guest.component) {
                Some(digest) => by_digest(guest, digest.clone()),
                None => Standing::Creating,
            },
        }
    }
}

/// Where each version stands by its files.
pub(super) fn standings(specs: &[VersionSpec]) -> Vec<Standing> {
    let digests = read(specs).map(Digests).ok();
    let standing = |spec| digests.as_ref().map_or(Standing::Creating, |it| it.standing(spec));
    specs.iter().map(standing).collect()
}

/// Where one version stands by its files.
pub(super) fn standing(spec: &VersionSpec) -> Standing {
    standings(std::slice::from_ref(spec)).pop().unwrap_or(Standing::Creating)
}

/// The digest of a component.
///
/// # Errors
///
/// Why the component has no digest.
pub(super) fn digest(component: &Path) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let digest = runtime.block_on(digest_at(component));
    digest.map(|digest| digest.to_string()).map_err(|error| error.detail)
}

fn read<'a>(
    specs: impl IntoIterator<Item = &'a VersionSpec>,
) -> Result<HashMap<PathBuf, Result<Digest, StatusError>>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut digests = HashMap::new();
        for spec in specs {
            match &spec.backend {
                BackendSpec::Guest(GuestSpec { component, .. }) => {
                    if !digests.contains_key(component) {
                        digests.insert(component.clone(), digest_at(component).await);
                    }
                }
            }
        }
        Ok(digests)
    })
}

fn by_digest(guest: &GuestSpec, digest: Result<Digest, StatusError>) -> Standing {
    match digest.and_then(|digest| check_digest(guest, digest).map(|()| digest)) {
        Ok(digest) => Standing::Normal { digest },
        Err(error) => Standing::Error((&error).into()),
    }
}
