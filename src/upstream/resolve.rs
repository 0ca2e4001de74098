//! The addresses of names. [`Names`] looks them up; [`follow`] does so again and again for one upstream.
//!
//! The system's resolver is asked (`getaddrinfo`), so that `/etc/hosts` and `nsswitch.conf` count. It blocks, nobody can
//! interrupt it, and it may take half a minute. So a name is never looked up twice at the same time: who wants it while
//! it is being looked up waits for that answer.

mod known;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::PrepareError;
use crate::config::TargetAddress;

pub use known::Names;

/// The addresses of a name, at least one, sorted; or why there are none.
type Answer = Result<Vec<IpAddr>, String>;

/// How long a version waits for its names when it is made ready.
const AT_FIRST: Duration = Duration::from_secs(5);
/// How long a name may take that has addresses already.
const AGAIN: Duration = Duration::from_secs(30);
/// The longest pause before a name is looked up again that could not be.
const SOON: Duration = Duration::from_secs(5);

/// What the declared targets of an upstream stand for, in the order of declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Of each target, its addresses. Empty while none is known.
    pub addresses: Vec<Vec<SocketAddr>>,
    /// Of each target, why its name could not be looked up the last time. Its addresses are then those of before.
    pub troubles: Vec<Option<String>>,
}

impl Found {
    /// Looks up the names of targets for the first time.
    ///
    /// # Errors
    ///
    /// Where no target has an address.
    pub async fn first(names: &Names, targets: &[TargetAddress]) -> Result<Self, PrepareError> {
        let nothing = Self {
            addresses: vec![Vec::new(); targets.len()],
            troubles: vec![None; targets.len()],
        };
        let found = nothing.renewed(names, targets, AT_FIRST).await;
        if found.addresses.iter().any(|addresses| !addresses.is_empty()) {
            return Ok(found);
        }
        let unresolved = targets.iter().zip(found.troubles);
        let mut unresolved = unresolved.filter_map(|(target, why)| Some((target.host(), why?)));
        let (name, reason) = unresolved.next().unwrap_or_default();
        Err(PrepareError::Unresolved { name, reason })
    }

    /// Looks up all names once more. A name that gives no addresses keeps those that it had.
    async fn renewed(&self, names: &Names, targets: &[TargetAddress], patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        // All are under way before the first is waited for.
        let started: Vec<_> = targets.iter().map(|target| Lookup::of(names, target)).collect();
        let mut found = Self::default();
        let before = self.addresses.iter().zip(&self.troubles);
        for ((target, lookup), (last, trouble)) in targets.iter().zip(started).zip(before) {
            let (addresses, why) = match lookup.answer(deadline, patience).await {
                Ok(ips) => (with_port(&ips, target.port()), None),
                Err(why) if last.is_empty() => {
                    (with_port(&names.last(&target.host()), target.port()), Some(why))
                }
                Err(why) => (last.clone(), Some(why)),
            };
            tell(target, &addresses, trouble.as_deref(), why.as_deref());
            found.addresses.push(addresses);
            found.troubles.push(why);
        }
        found
    }
}

/// Looks up the names of an upstream's targets again and again. `take` is given what was found whenever that is new, and
/// says whether the upstream is still there.
pub async fn follow(
    names: Names,
    targets: Vec<TargetAddress>,
    every: Duration,
    mut found: Found,
    mut take: impl FnMut(&Found) -> bool + Send,
) {
    if targets.iter().all(|target| target.ip().is_some()) {
        return;
    }
    loop {
        let pause = match found.troubles.iter().all(Option::is_none) {
            true => every,
            false => every.min(SOON),
        };
        // Many processes that were started at once must not ask all at once.
        sleep(pause.mul_f64(rand::random_range(0.9..1.1))).await;
        let now = found.renewed(&names, &targets, AGAIN).await;
        if now != found && !take(&now) {
            return;
        }
        found = now;
    }
}

/// A task that follows names, until dropped.
#[derive(Debug)]
pub struct Following(AbortHandle);

impl Following {
    pub fn spawn(follow: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(follow).abort_handle())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A lookup under way.
enum Lookup {
    Known(Vec<IpAddr>),
    Asked(watch::Receiver<Option<Answer>>),
}

impl Lookup {
    fn of(names: &Names, target: &TargetAddress) -> Self {
        match target {
            TargetAddress::Address(address) => Self::Known(vec![address.ip()]),
            TargetAddress::Name(name, _) => Self::Asked(names.ask(name)),
        }
    }

    async fn answer(self, deadline: Instant, patience: Duration) -> Answer {
        let mut asked = match self {
            Self::Known(ips) => return Ok(ips),
            Self::Asked(asked) => asked,
        };
        match timeout_at(deadline, asked.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone().unwrap_or_else(|| Err("no answer".to_owned())),
            Ok(Err(_)) => Err("the lookup was given up".to_owned()),
            Err(_) => Err(format!("the resolver did not answer within {}s", patience.as_secs())),
        }
    }
}

fn with_port(ips: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

/// Logs that a name cannot be looked up any more, or can be again. What stays as it was is not told twice.
fn tell(target: &TargetAddress, addresses: &[SocketAddr], before: Option<&str>, now: Option<&str>) {
    match (before, now) {
        (None, Some(why)) => match addresses {
            [] => tracing::warn!(%target, "has no address: {why}; it is looked up again"),
            _ => {
                tracing::warn!(%target, ?addresses, "cannot be looked up: {why}; its last addresses stay");
            }
        },
        (Some(_), None) => tracing::info!(%target, ?addresses, "can be looked up again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

#[cfg(test)]
mod tests;
