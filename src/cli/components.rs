//! What the files of components tell without compilation: their digests, and where versions made of them stand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::CliError;
use super::trial::Elsewhere;
use crate::config::{Config, Digest, GuestSpec, Problem, ServiceName, VersionSpec};
use crate::policy::Standing;
use crate::versions::{StatusError, check_digest, declared, digest_at};

/// The digest of every component of a configuration, or why it has none.
pub(super) struct Digests {
    files: HashMap<PathBuf, Result<Digest, StatusError>>,
    /// Where components are whose files are gone or changed: `store`, `cache` or `memory`.
    elsewhere: HashMap<Digest, &'static str>,
}

impl Digests {
    /// Reads each component once.
    pub(super) fn of(config: &Config) -> Result<Self, CliError> {
        let specs = || declared(config).map(|(_, service, spec)| (&service.name, spec));
        Self::among(specs, &Elsewhere::of(config))
    }

    fn among<'a, S: Iterator<Item = (&'a ServiceName, &'a VersionSpec)>>(
        specs: impl Fn() -> S,
        elsewhere: &Elsewhere,
    ) -> Result<Self, CliError> {
        let mut digests = Self { files: read(specs())?, elsewhere: HashMap::new() };
        for (service, spec) in specs() {
            let Some(guest) = spec.guest() else { continue };
            let wanted = guest.digest.filter(|_| digests.fault(guest).is_some());
            let Some(wanted) = wanted.filter(|it| !digests.elsewhere.contains_key(it)) else {
                continue;
            };
            if let Some(place) = elsewhere.holds(service, &wanted) {
                digests.elsewhere.insert(wanted, place);
            }
        }
        Ok(digests)
    }

    /// The same for a process that runs: what its versions are made of is in its memory, whatever becomes of the files.
    /// `serves` says whether a version of it is made of a component.
    pub(super) fn beside(mut self, config: &Config, serves: impl Fn(&Digest) -> bool) -> Self {
        let guests = declared(config).filter_map(|(_, _, spec)| spec.guest());
        let lost = guests.filter(|guest| self.fault(guest).is_some());
        let kept: Vec<_> = lost.filter_map(|guest| guest.digest).filter(serves).collect();
        for digest in kept {
            self.elsewhere.entry(digest).or_insert("memory");
        }
        self
    }

    /// Where a version stands, as far as its files tell.
    pub(super) fn standing(&self, spec: &VersionSpec) -> Standing {
        let Some(guest) = spec.guest() else {
            // What an upstream is made of is its declaration; whether it answers is seen where it is served.
            return spec
                .declared_digest()
                .map_or(Standing::Creating, |digest| Standing::Normal { digest });
        };
        let instead = guest.digest.filter(|digest| self.elsewhere.contains_key(digest));
        match (self.files.get(&guest.component), instead) {
            (None, _) => Standing::Creating,
            (Some(Ok(digest)), _) if check_digest(guest, *digest).is_ok() => {
                Standing::Normal { digest: *digest }
            }
            (Some(_), Some(digest)) => Standing::Normal { digest },
            (Some(_), None) => match self.fault(guest) {
                Some(fault) => Standing::Error((&fault).into()),
                None => Standing::Creating,
            },
        }
    }

    /// Warns of versions whose files do not have what is declared, where it is elsewhere.
    pub(super) fn warnings(&self, config: &Config) -> Vec<Problem> {
        let warning = |spec: &VersionSpec, service: &crate::config::Service| {
            let guest = spec.guest()?;
            let place = self.elsewhere.get(&guest.digest?)?;
            let fault = self.fault(guest)?;
            let (version, name) = (&spec.name, &service.name);
            let message = format!(
                "{version} of {name}: {}; {}",
                fault.detail,
                match *place {
                    "store" => "a start serves the declared component from the store",
                    "memory" =>
                        "the process serves the declared component from its memory, and none that starts \
                         can make it",
                    _ =>
                        "a start serves the declared component from the compile cache, until that is \
                         emptied or watershed is upgraded",
                }
            );
            let help = format!(
                "put the declared component back, or deploy the new one under another name: \
                 `watershed deploy {name} …`"
            );
            Some(Problem::of_file(&service.file, message, help))
        };
        let specs = declared(config);
        let mut warnings: Vec<_> =
            specs.filter_map(|(_, service, spec)| warning(spec, service)).collect();
        // Two environments may share a file.
        warnings.dedup();
        warnings
    }

    /// Why the file of a component does not have what is declared.
    fn fault(&self, guest: &GuestSpec) -> Option<StatusError> {
        match self.files.get(&guest.component)? {
            Ok(digest) => check_digest(guest, *digest).err(),
            Err(error) => Some(error.clone()),
        }
    }
}

/// Where each version of a service stands by its files.
pub(super) fn standings(
    service: &ServiceName,
    specs: &[VersionSpec],
    elsewhere: &Elsewhere,
) -> Vec<Standing> {
    let all = || specs.iter().map(|spec| (service, spec));
    let digests = Digests::among(all, elsewhere).ok();
    let standing = |spec| digests.as_ref().map_or(Standing::Creating, |it| it.standing(spec));
    specs.iter().map(standing).collect()
}

/// Where one version of a service stands by its files.
pub(super) fn standing(
    service: &ServiceName,
    spec: &VersionSpec,
    elsewhere: &Elsewhere,
) -> Standing {
    let found = standings(service, std::slice::from_ref(spec), elsewhere).pop();
    found.unwrap_or(Standing::Creating)
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
    specs: impl Iterator<Item = (&'a ServiceName, &'a VersionSpec)>,
) -> Result<HashMap<PathBuf, Result<Digest, StatusError>>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut digests = HashMap::new();
        for (_, spec) in specs {
            let Some(GuestSpec { component, .. }) = spec.guest() else { continue };
            if !digests.contains_key(component) {
                digests.insert(component.clone(), digest_at(component).await);
            }
        }
        Ok(digests)
    })
}
