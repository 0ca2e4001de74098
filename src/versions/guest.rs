//! Making a guest ready: the component is read and checked (`component`), compiled once for each
//! digest (`program_cache`, in the `turns` that memory and cores allow), given its environment, and tried
//! out in one sandbox. `substitute` says what takes the place of a file that is gone or changed, and
//! `error` what the operator reads where one of these steps fails.

mod component;
mod error;
mod program_cache;
mod substitute;
mod turns;

pub use crate::runtime::outgoing_import;
pub use component::{check_digest, digest_at, read as read_component};
pub use program_cache::ProgramCache;
pub use substitute::{Substitute, SubstituteSource};

use std::sync::Arc;

use http::HeaderName;

use super::backend::GuestBackend;
use super::secrets::{self, Resolved};
use super::snapshot::ServiceKey;
use super::status::StatusError;
use crate::config::{GuestSpec, VersionSpec};
use crate::outbound::{Carried, Egress, Network};
use crate::routing::{WATERSHED_KEY, WATERSHED_STICKY, WATERSHED_VERSION};
use crate::runtime::{Grant, Guest, GuestEnv, Outbound};
use crate::telemetry::Telemetry;

/// Makes the guest of a version ready. Secrets are read last, so that a wrong component is told
/// first on a machine that has no secrets, and a changed secret needs no compiler.
///
/// # Errors
///
/// Why the guest cannot become ready as its files are now.
pub async fn prepare(
    programs: &ProgramCache,
    (network, telemetry): (&Network, &Telemetry),
    key: &ServiceKey,
    spec: &VersionSpec,
    guest: &GuestSpec,
) -> Result<GuestBackend, StatusError> {
    let (program, substitute) = programs.get(&key.service, guest).await?;
    let Resolved { env, digests } = secrets::resolve(&guest.env).await?;
    let egress = egress(network, telemetry, key, spec, guest);
    let outbound = egress.clone().map(|egress| Arc::new(egress) as Arc<dyn Outbound>);
    let ready = Guest::new(program, grant(key, spec, guest, env).with_outbound(outbound));
    ready.try_out().await?;
    Ok(GuestBackend::new(ready, digests).with_substitute(substitute).with_egress(egress))
}

/// The network of all guests. The key to a lane opens versions to whoever has it, so it stays within.
pub fn network() -> Network {
    Network::new(Carried {
        everywhere: vec![HeaderName::from_static("x-request-id")],
        within: vec![WATERSHED_VERSION, WATERSHED_KEY, WATERSHED_STICKY],
    })
}

/// What the calls of a version's guests go through, if it may reach anything.
fn egress(
    network: &Network,
    telemetry: &Telemetry,
    key: &ServiceKey,
    spec: &VersionSpec,
    guest: &GuestSpec,
) -> Option<Egress> {
    let ServiceKey { environment, service } = key;
    let meter = || telemetry.outbound(environment.as_str(), service.as_str(), spec.name.as_str());
    (!guest.outbound.is_empty()).then(|| {
        Egress::new(
            network.clone(),
            environment.clone(),
            guest.outbound.clone(),
            (&spec.limits, &guest.limits),
            meter(),
        )
    })
}

fn grant(key: &ServiceKey, spec: &VersionSpec, guest: &GuestSpec, env: GuestEnv) -> Grant {
    let limits = &guest.limits;
    Grant::new(
        key.service.as_str(),
        spec.name.as_str(),
        usize::try_from(limits.memory.bytes()).unwrap_or(usize::MAX),
        limits.cpu_time,
        spec.limits.wall_time,
    )
    .with_env(env)
    .with_idle_time(spec.limits.idle_time())
    .with_reuse(limits.instance_reuse)
}
