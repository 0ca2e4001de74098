//! What guests may reach, and their way there. An [`Egress`] is what the calls of one version's guests go through: its
//! [`AllowList`] decides by the URL, and again by the address that is connected to; then the call goes to a service of
//! this process without a socket, or over the version's own connections. [`Network`] is what all versions share.
//!
//! `versions` makes an `Egress` for each version that may reach something; `runtime` calls it by its trait `Outbound`.

mod allow_list;
mod body;
mod call;
mod connections;
mod egress;
mod lookup;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use http::HeaderName;

use crate::config::{EnvironmentName, ServiceName};
use crate::runtime::{Answer, Call, CallError};
use crate::upstream::{self, FailureKind, Targets};

pub use allow_list::{AllowList, Destination, Grade, UrlError};
pub use egress::Egress;

/// What the calls of all versions share: what is known of names, and the way to services of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    carried: Carried,
    /// What is known of names.
    lookup: Arc<lookup::Lookup>,
    /// Whose roots and lookups the targets of all versions share.
    targets: Targets,
    services: OnceLock<Services>,
}

/// The fields of a guest's request that its calls carry on.
#[derive(Debug)]
pub struct Carried {
    /// On every call.
    pub everywhere: Vec<HeaderName>,
    /// On calls to services of this process, and to addresses that are not public: what a client asks of our services is
    /// nobody else's business.
    pub within: Vec<HeaderName>,
}

/// Serves a call by a service of this process, if its host is one's, or gives it back.
type Serve = dyn Fn(Call, &Allowed<'_>) -> Served + Send + Sync;
/// Whether a version may call this service.
pub type Allowed<'a> = dyn Fn(&EnvironmentName, &ServiceName) -> bool + 'a;

/// What became of a call that may be for a service of this process.
pub enum Served {
    /// The service is serving it.
    Here(Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send>>),
    /// Its host is that of a service that the version may not call.
    NotListed(Call, EnvironmentName, ServiceName),
    /// No service has its host.
    Elsewhere(Call),
}

struct Services(Box<Serve>);

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

impl Network {
    /// A network in which calls carry these fields on.
    pub fn new(carried: Carried) -> Self {
        let (lookup, targets, services) = Default::default();
        Self(Arc::new(Shared { carried, lookup, targets, services }))
    }

    fn carried(&self) -> &Carried {
        &self.0.carried
    }

    /// Has calls for services of this process served by `serve`, from now on and once for all. Without it, nobody
    /// calls services by their names.
    pub fn serve_with(&self, serve: impl Fn(Call, &Allowed<'_>) -> Served + Send + Sync + 'static) {
        // The first one stays: a process has one gateway.
        self.0.services.set(Services(Box::new(serve))).ok();
    }

    fn serve(&self, call: Call, allowed: &Allowed<'_>) -> Served {
        match self.0.services.get() {
            Some(Services(serve)) => serve(call, allowed),
            None => Served::Elsewhere(call),
        }
    }

    fn targets(&self) -> &Targets {
        &self.0.targets
    }

    fn lookups(&self) -> lookup::Lookups {
        lookup::Lookups::new(self.0.lookup.clone())
    }
}

/// The error of a call whose exchange failed.
fn failed(failure: upstream::Failure) -> CallError {
    let upstream::Failure { kind, detail, .. } = failure;
    match kind {
        FailureKind::Connect | FailureKind::Unhealthy => CallError::Connect(detail),
        FailureKind::Tls => CallError::Tls(detail),
        FailureKind::Reset => CallError::Reset(detail),
        FailureKind::Protocol => CallError::Protocol(detail),
        FailureKind::WallTime | FailureKind::IdleTime => CallError::Timeout(detail),
    }
}
