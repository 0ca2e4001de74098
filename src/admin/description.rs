//! `GET /api/v1/config`: the description of what this process serves, and of the settings that it
//! was started with. `watershed plan` compares files with it.

use std::path::Path;
use std::sync::Arc;

use crate::api::{Description, ServiceDescription, VersionDescription};
use crate::config::Config;
use crate::plan::{applied, started_with};
use crate::versions::{ServiceEntry, Snapshot, Status, VersionView};

/// The description of a snapshot, in a process that was started with a configuration in `root`.
pub fn description(snapshot: &Snapshot, root: &Path, started: &Config) -> Description {
    described(snapshot, &snapshot.services.iter().collect::<Vec<_>>(), root, started)
}

/// The same with these services alone.
pub fn described(
    snapshot: &Snapshot,
    services: &[&Arc<ServiceEntry>],
    root: &Path,
    started: &Config,
) -> Description {
    let generation = Some(snapshot.generation);
    let applied = applied(root, &snapshot.server);
    let mut description = Description::new(root, applied, started_with(root, started), generation);
    for entry in services {
        description.push(entry.key.environment.as_str(), service(entry, root));
    }
    description
}

fn service(entry: &ServiceEntry, root: &Path) -> ServiceDescription {
    let versions = entry.versions.iter().filter_map(|view| version(entry, view, root));
    let rescuer = entry.decider.stand_in().map(|version| version.spec.name.to_string());
    let held = entry.held.clone();
    let described = ServiceDescription::of(root, &entry.declared, held, versions.collect());
    ServiceDescription { rescuer, ..described }
}

/// A version as it is declared, or as it is served if it is no longer declared.
fn version(entry: &ServiceEntry, view: &VersionView, root: &Path) -> Option<VersionDescription> {
    let declared = entry.declared.versions.iter().find(|spec| spec.name == view.name);
    let served = match &view.status {
        Status::Normal(version) => Some(&version.spec),
        Status::Creating | Status::Error(_) => None,
    };
    let spec = declared.or(served)?;
    Some(VersionDescription::of(root, spec, view.share, view.status.standing()))
}
