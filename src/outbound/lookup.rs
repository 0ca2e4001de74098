//! The addresses of names. What is known of a name is used for a while, and then looked up again, so that an address that
//! has moved is found. The resolver is the system's, which blocks a thread: so few names are looked up at once, and
//! nobody waits for one for long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How long what is known of a name is used.
const FRESH: Duration = Duration::from_secs(10);
/// How long somebody waits for a name.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lookups at once, of all versions. A thread that waits for a resolver cannot be stopped.
const LOOKUPS: usize = 32;
/// Names that are known at once; a wildcard stands for any number.
const NAMES: usize = 1024;

/// Lookups at once of one version. Whoever controls a name may let its resolver say nothing; other versions go on.
const LOOKUPS_OF_A_VERSION: usize = 8;

/// What is known of names, for all versions.
#[derive(Debug)]
pub struct Lookup {
    known: Mutex<HashMap<String, Known>>,
    room: Semaphore,
}

#[derive(Debug)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

/// The lookups of one version.
#[derive(Clone, Debug)]
pub struct Lookups(Arc<Own>);

#[derive(Debug)]
struct Own {
    all: Arc<Lookup>,
    room: Semaphore,
    /// A name is looked up once at a time, however many calls need it.
    running: Mutex<HashMap<String, watch::Receiver<Option<Answer>>>>,
}

/// The addresses of a name, or why none is known.
type Answer = Result<Arc<[IpAddr]>, String>;

impl Default for Lookup {
    fn default() -> Self {
        Self { known: Mutex::default(), room: Semaphore::new(LOOKUPS) }
    }
}

impl Lookups {
    /// The lookups of one more version.
    pub fn new(all: Arc<Lookup>) -> Self {
        let room = Semaphore::new(LOOKUPS_OF_A_VERSION);
        Self(Arc::new(Own { all, room, running: Mutex::default() }))
    }

    /// The addresses of a name, in the order of the resolver; at least one.
    ///
    /// # Errors
    ///
    /// Why none is known, in words for the log.
    pub async fn addresses(&self, name: &str) -> Answer {
        if let Some(known) = self.0.all.known(name) {
            return Ok(known);
        }
        let mut answer = self.ask(name);
        let answer = tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await;
        match answer {
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
            Ok(Ok(answer)) => answer.clone().unwrap_or_else(|| Err("no answer".to_owned())),
            Ok(Err(_)) => Err("its lookup ended without an answer".to_owned()),
        }
    }

    /// The answer to come. A thread that waits for a resolver cannot be stopped, so its place stays taken if nobody waits
    /// for the answer any more.
    fn ask(&self, name: &str) -> watch::Receiver<Option<Answer>> {
        let mut running = self.0.running();
        if let Some(answer) = running.get(name) {
            return answer.clone();
        }
        let (told, answer) = watch::channel(None);
        running.insert(name.to_owned(), answer.clone());
        let running = Running { of: self.0.clone(), name: name.to_owned() };
        tokio::spawn(async move {
            let found = running.find().await;
            // Whoever asks from now on gets a new lookup.
            drop(running);
            told.send_replace(Some(found));
        });
        answer
    }
}

impl Own {
    fn running(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Answer>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup under way, until dropped.
struct Running {
    of: Arc<Own>,
    name: String,
}

impl Running {
    async fn find(&self) -> Answer {
        let places = async {
            let own = self.of.room.acquire().await.ok()?;
            Some((own, self.of.all.room.acquire().await.ok()?))
        };
        // Whoever waits has given up by then.
        let places = tokio::time::timeout(PATIENCE, places).await;
        let _places = places.ok().flatten().ok_or("too many names are looked up at once")?;
        // As in any other program here: the resolver may try the domains of this machine with it.
        let found = tokio::net::lookup_host((self.name.as_str(), 0)).await;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.map_err(|error| error.to_string())?.map(|it| it.ip().to_canonical()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err("it has no address".to_owned());
        }
        let addresses: Arc<[IpAddr]> = addresses.into();
        self.of.all.keep(&self.name, &addresses);
        Ok(addresses)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.of.running().remove(&self.name);
    }
}

impl Lookup {
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

    fn lookups() -> Lookups {
        Lookups::new(Arc::default())
    }

    #[tokio::test]
    async fn this_machine_has_a_name_and_nonsense_has_no_address() {
        let lookups = lookups();
        let addresses = lookups.addresses("localhost").await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
        assert!(lookups.addresses("nonsense.invalid").await.is_err());
        assert_eq!(lookups.0.all.lock().len(), 1, "failures are not kept");
        assert!(lookups.0.running().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_used_for_a_while() {
        let lookups = lookups();
        let addresses: Arc<[IpAddr]> = vec![IpAddr::from([192, 0, 2, 1])].into();
        lookups.0.all.keep("a.invalid", &addresses);
        assert_eq!(lookups.addresses("a.invalid").await.unwrap(), addresses);
        tokio::time::advance(FRESH).await;
        assert!(lookups.0.all.known("a.invalid").is_none());
    }

    #[tokio::test]
    async fn calls_that_need_one_name_share_its_lookup() {
        let lookups = lookups();
        let _held = lookups.0.room.acquire_many(8).await.unwrap();
        let answers = [lookups.ask("localhost"), lookups.ask("localhost")];
        assert!(answers[0].same_channel(&answers[1]));
        assert_eq!(lookups.0.running().len(), 1);
    }

    #[tokio::test]
    async fn a_version_whose_lookups_hang_holds_no_other_up() {
        let all: Arc<Lookup> = Arc::default();
        let (hanging, other) = (Lookups::new(all.clone()), Lookups::new(all));
        let _held = hanging.0.room.acquire_many(8).await.unwrap();
        assert!(other.addresses("localhost").await.is_ok());
        tokio::time::pause();
        assert!(hanging.addresses("nonsense.invalid").await.is_err());
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
