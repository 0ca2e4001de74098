//! The connections of one version's guests: for each origin and address an upstream of one target, so that what is true of
//! upstreams (pools, TLS, HTTP/2) is true here too. No other version uses them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{
    Host, Limits, OriginScheme, Protocol, TargetAddress, TargetSpec, TlsSpec, UpstreamSpec,
};
use crate::upstream::{PrepareError, Targets, Upstream};

/// How long a connection, and what is known of its origin, is kept without a call.
const IDLE: Duration = Duration::from_secs(60);
/// Origins and addresses that are known at once; a wildcard or a network stands for any number.
const MOST: usize = 256;
/// How long a connection may take to be made, where the guest does not say it.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a connection goes, and how it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    scheme: OriginScheme,
    /// Whom the certificate must name. `None` without TLS, where the name makes no difference to a connection.
    server_name: Option<String>,
    address: SocketAddr,
    connect: Duration,
}

/// The upstreams of one version.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    /// Not those of other versions, so that no connection is shared with them.
    targets: Targets,
    known: Mutex<HashMap<Way, Known>>,
}

#[derive(Debug)]
struct Known {
    upstream: Arc<Upstream>,
    used: Instant,
}

impl Way {
    /// The way to an address of a host. `connect` is what the guest allows for a connection.
    pub fn new(
        scheme: OriginScheme,
        host: &Host,
        address: SocketAddr,
        connect: Option<Duration>,
    ) -> Self {
        let server_name = match (scheme, host) {
            (OriginScheme::Http, _) => None,
            (OriginScheme::Https, Host::Name(name)) => Some(name.clone()),
            (OriginScheme::Https, Host::Address(address)) => Some(address.to_string()),
        };
        let bounds = UpstreamSpec::CONNECT_TIMEOUT;
        let connect = connect.unwrap_or(CONNECT).clamp(*bounds.start(), *bounds.end());
        Self { scheme, server_name, address, connect }
    }

    fn spec(&self) -> UpstreamSpec {
        let protocol = match self.scheme {
            OriginScheme::Http => Protocol::Http1,
            OriginScheme::Https => Protocol::Tls(TlsSpec {
                server_name: self.server_name.clone(),
                ..TlsSpec::default()
            }),
        };
        UpstreamSpec {
            protocol,
            connect_timeout: self.connect,
            idle_timeout: IDLE,
            // There is no other target to ask.
            eject: None,
            ..UpstreamSpec::new(vec![TargetSpec::new(TargetAddress::Address(self.address))])
        }
    }
}

impl Connections {
    /// No connection yet. A call takes at most as long as the version's own requests.
    pub fn new(limits: Limits, targets: Targets) -> Self {
        Self { limits, targets, known: Mutex::default() }
    }

    /// The upstream of a way, which is made when it is first needed.
    ///
    /// # Errors
    ///
    /// Where the roots of the system cannot be read.
    pub async fn to(&self, way: Way) -> Result<Arc<Upstream>, PrepareError> {
        if let Some(known) = self.lock().get_mut(&way) {
            known.used = Instant::now();
            return Ok(known.upstream.clone());
        }
        let upstream = Upstream::prepare(&way.spec(), &self.limits, &self.targets).await?;
        let mut all = self.lock();
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, known)| known.used).map(|(way, _)| way.clone());
            // Calls that use it go on.
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let known = all.entry(way).or_insert_with(|| Known { upstream, used: Instant::now() });
        Ok(known.upstream.clone())
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.lock().retain(|_, known| {
            known.upstream.sweep();
            // Somebody may just have taken it.
            Arc::strong_count(&known.upstream) > 1 || now.duration_since(known.used) < IDLE
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Way, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(host: &str, port: u16, scheme: OriginScheme) -> Way {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Way::new(scheme, &Host::parse(host).unwrap(), address, None)
    }

    #[tokio::test]
    async fn one_origin_and_address_have_one_upstream() {
        let connections = Connections::new(Limits::default(), Targets::default());
        let http = OriginScheme::Http;
        let one = connections.to(way("a.example", 1, http)).await.unwrap();
        let same = connections.to(way("a.example", 1, http)).await.unwrap();
        let other = connections.to(way("a.example", 2, http)).await.unwrap();
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        // Over TLS, a connection is only for whom its certificate names.
        assert_ne!(
            way("a.example", 1, OriginScheme::Https),
            way("b.example", 1, OriginScheme::Https)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_goes_and_what_is_used_stays() {
        let connections = Connections::new(Limits::default(), Targets::default());
        let used = connections.to(way("a.example", 1, OriginScheme::Http)).await.unwrap();
        for port in 2..=u16::try_from(MOST).unwrap() + 10 {
            drop(connections.to(way("a.example", port, OriginScheme::Http)).await.unwrap());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(connections.lock().len(), MOST);
        tokio::time::advance(IDLE).await;
        connections.sweep();
        assert_eq!(connections.lock().len(), 0);
        drop(used);
    }
}
