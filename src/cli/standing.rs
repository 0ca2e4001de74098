//! Where declared versions stand as far as their files tell, without compiling anything.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::config::{Config, Digest, VersionSpec};
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

    /// As well as its files let it.
    pub(super) fn standing(&self, spec: &VersionSpec) -> Standing {
        match self.0.get(&spec.component) {
            Some(digest) => standing(spec, digest.clone()),
            None => Standing::Creating,
        }
    }
}

/// Where one version stands by its files.
pub(super) fn of_files(spec: &VersionSpec) -> Standing {
    match read([spec]) {
        Ok(digests) => Digests(digests).standing(spec),
        Err(_) => Standing::Creating,
    }
}

/// The digest of a component.
///
/// # Errors
///
/// Why there is none.
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
            if !digests.contains_key(&spec.component) {
                digests.insert(spec.component.clone(), digest_at(&spec.component).await);
            }
        }
        Ok(digests)
    })
}

fn standing(spec: &VersionSpec, digest: Result<Digest, StatusError>) -> Standing {
    match digest.and_then(|digest| check_digest(spec, digest).map(|()| digest)) {
        Ok(digest) => Standing::Normal { digest },
        Err(error) => Standing::Error((&error).into()),
    }
}
