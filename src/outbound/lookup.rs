//! The addresses of names. What is known of a name is used for a while, and then looked up again, so that an address that
//! has moved is found. The resolver is the system's, which blocks a thread: so few names are looked up at once, and
//! nobody waits for one for long.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long what is known of a name is used.
const FRESH: Duration = Duration::from_secs(10);
/// How long somebody waits for a name.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lookups at once, of all versions. A thread that waits for a resolver cannot be stopped.
const LOOKUPS: usize = 32;
/// Names that are known at once; a wildcard stands for any number.
const NAMES: usize = 1024;

/// Looks names up.
#[derive(Debug)]
pub struct Lookup {
    known: Mutex<HashMap<String, Known>>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

impl Default for Lookup {
    fn default() -> Self {
        Self { known: Mutex::default(), room: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Lookup {
    /// The addresses of a name, in the order of the resolver; at least one.
    ///
    /// # Errors
    ///
    /// Why none is known, in words for the log.
    pub async fn addresses(&self, name: &str) -> Result<Arc<[IpAddr]>, String> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let found = tokio::time::timeout(PATIENCE, self.look_up(name)).await;
        let addresses = found.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))?;
        let addresses: Arc<[IpAddr]> = addresses.into();
        self.keep(name, &addresses);
        Ok(addresses)
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let room = self.room.clone().acquire_owned().await.map_err(|error| error.to_string())?;
        // As in any other program here: the resolver may try the domains of this machine with it.
        let host = (name.to_owned(), 0);
        // Whoever gives up leaves the thread at work, and so its place stays taken.
        let task = tokio::spawn(async move {
            let found = tokio::net::lookup_host(host).await;
            drop(room);
            found.map(Iterator::collect::<Vec<SocketAddr>>)
        });
        let found = task.await.map_err(|error| error.to_string())?;
        let found = found.map_err(|error| error.to_string())?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.into_iter().map(|it| it.ip().to_canonical()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
    }

    fn known(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let known = self.lock();
        let known = known.get(name).filter(|known| known.until > Instant::now())?;
        Some(known.addresses.clone())
    }

    fn keep(&self, name: &str, addresses: &Arc<[IpAddr]>) {
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= NAMES {
            known.retain(|_, known| known.until > now);
        }
        if known.len() < NAMES {
            let fresh = Known { addresses: addresses.clone(), until: now + FRESH };
            known.insert(name.to_owned(), fresh);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_a_name_and_nonsense_has_no_address() {
        let lookup = Lookup::default();
        let addresses = lookup.addresses("localhost").await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
        assert!(lookup.addresses("nonsense.invalid").await.is_err());
        assert_eq!(lookup.lock().len(), 1, "failures are not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_used_for_a_while() {
        let lookup = Lookup::default();
        let addresses: Arc<[IpAddr]> = vec![IpAddr::from([192, 0, 2, 1])].into();
        lookup.keep("a.invalid", &addresses);
        assert_eq!(lookup.addresses("a.invalid").await.unwrap(), addresses);
        tokio::time::advance(FRESH).await;
        assert!(lookup.known("a.invalid").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn names_take_bounded_memory() {
        let lookup = Lookup::default();
        let addresses: Arc<[IpAddr]> = vec![IpAddr::from([192, 0, 2, 1])].into();
        for number in 0..2 * NAMES {
            lookup.keep(&format!("{number}.invalid"), &addresses);
        }
        assert_eq!(lookup.lock().len(), NAMES);
        tokio::time::advance(FRESH).await;
        lookup.keep("new.invalid", &addresses);
        assert_eq!(lookup.lock().len(), 1);
    }
}
