//! File descriptors: how many the process may have open, how many are reserved for operators and
//! reloads, and how close to the limit the process is. The composition root raises the limit, the
//! listener asks how many connections it may accept, and the status and `/metrics` report the use.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where the kernel lists the open descriptors.
const OWN: &str = "/proc/self/fd";
/// The smallest reserve: connections of operators, and the files that a reload opens at once.
const RESERVE_MIN: usize = 96;
/// The largest reserve.
const RESERVE_MAX: usize = 1_024;
/// The reserve is the limit divided by this number, within these bounds.
const RESERVE_PART: usize = 20;
/// How many other descriptors are assumed open where the kernel does not tell.
const OTHERS: usize = 96;
/// Connections that are accepted even if descriptors are short.
const CONNECTIONS_MIN: usize = 8;

/// The descriptors of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Descriptors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// Connections of clients.
    clients: AtomicUsize,
    /// Other open descriptors, as of the last look.
    others: AtomicUsize,
    /// The most connections of clients; 0 until it is decided.
    connections_max: AtomicUsize,
}

/// A connection of a client, counted while this exists.
#[derive(Debug)]
pub struct Client(Descriptors);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The present use of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Open now; `None` where the kernel does not tell.
    pub open: Option<usize>,
    /// The most that may be open at once.
    pub limit: usize,
    /// The part of the limit that is reserved for operators and reloads.
    pub reserve: usize,
    /// Connections of clients.
    pub clients: usize,
    /// The most connections of clients.
    pub clients_max: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard limit. If that fails, the soft limit stays, and the log
    /// says so.
    pub fn raise() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        match raised(current, maximum) {
            Ok(limit) => Self::of(limit),
            Err(error) => {
                let (soft, hard) = (shown(current), shown(maximum));
                tracing::warn!(
                    "the limit of open files stays {soft}, and is not raised to {hard}: {error}"
                );
                Self::of(count(current))
            }
        }
    }

    /// For a process that may have `limit` descriptors open.
    pub fn of(limit: usize) -> Self {
        let (clients, connections_max) = (AtomicUsize::default(), AtomicUsize::default());
        let others = AtomicUsize::new(OTHERS);
        Self(Arc::new(Inner { limit, clients, others, connections_max }))
    }

    /// How many may be open at once.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many are reserved for operators and reloads.
    pub fn reserve(&self) -> usize {
        (self.limit() / RESERVE_PART).clamp(RESERVE_MIN, RESERVE_MAX).min(self.limit() / 2)
    }

    /// Fixes the most connections of clients from now on, based on what is open now.
    pub fn decide_connections_max(&self) -> usize {
        self.look();
        let max = self.connections_max();
        self.0.connections_max.store(max, Ordering::Relaxed);
        max
    }

    /// The most connections of clients; until it is fixed, based on the other descriptors open at
    /// the last look. Never 0: if the limit leaves no room for clients, that is reported, and some
    /// are served nevertheless.
    pub fn connections_max(&self) -> usize {
        match self.0.connections_max.load(Ordering::Relaxed) {
            0 => self.room(),
            max => max,
        }
    }

    fn room(&self) -> usize {
        // The process opens more descriptors once it serves.
        let others = self.0.others.load(Ordering::Relaxed).max(OTHERS);
        let left = self.limit().saturating_sub(self.reserve()).saturating_sub(others);
        left.max(CONNECTIONS_MIN)
    }

    /// How many descriptors are open now; `None` where the kernel does not tell. Takes
    /// microseconds; on kernels before 6.2, a millisecond for each ten thousand, and one
    /// descriptor.
    pub fn open_now() -> Option<usize> {
        // Since Linux 6.2, the size of the directory is the number of descriptors.
        let size = fs::metadata(OWN).ok().map(|own| own.size()).filter(|size| *size > 0);
        match size {
            Some(size) => usize::try_from(size).ok(),
            // One of the descriptors reads the directory.
            None => Some(fs::read_dir(Path::new(OWN)).ok()?.count().saturating_sub(1)),
        }
    }

    /// Counts a connection of a client until the returned value is dropped.
    pub fn client(&self) -> Client {
        self.0.clients.fetch_add(1, Ordering::Relaxed);
        Client(self.clone())
    }

    /// Measures the present use, which [`Self::connections_max`] is based on from now on.
    pub fn look(&self) -> Use {
        let (open, clients) = (Self::open_now(), self.0.clients.load(Ordering::Relaxed));
        if let Some(open) = open {
            self.0.others.store(open.saturating_sub(clients), Ordering::Relaxed);
        }
        Use {
            open,
            limit: self.limit(),
            reserve: self.reserve(),
            clients,
            clients_max: self.connections_max(),
        }
    }
}

impl Use {
    /// Whether the limit is close: nine tenths of what is not reserved are open, or clients have
    /// nine tenths of their connections.
    pub fn is_near(&self) -> bool {
        let most_of = |all: usize| all.saturating_sub(all / 10);
        self.open.is_some_and(|open| open >= most_of(self.limit.saturating_sub(self.reserve)))
            || self.clients >= most_of(self.clients_max)
    }
}

impl fmt::Display for Use {
    /// The use, and what to do about it, for an operator close to the limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { open, limit, reserve, clients, clients_max } = self;
        let open = open.map_or_else(|| "unknown".to_owned(), |open| open.to_string());
        write!(
            f,
            "{open} of {limit} descriptors are open, {reserve} are kept for operators and reloads, \
             and {clients} of at most {clients_max} connections are clients': start the process \
             with a higher limit of open files (`ulimit -Hn`, LimitNOFILE)"
        )
    }
}

/// Raises the limit, and returns the limit that holds then.
fn raised(current: Option<u64>, maximum: Option<u64>) -> Result<usize, Errno> {
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(count(maximum))
}

/// No limit counts as a very large one.
fn count(limit: Option<u64>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_reserve_leaves_room_for_clients() {
        for (limit, reserve, connections) in [
            (256, 96, 64),
            (1_024, 96, 832),
            (65_536, 1_024, 64_416),
            // Too few for all of it.
            (128, 64, CONNECTIONS_MIN),
            (usize::MAX, RESERVE_MAX, usize::MAX - RESERVE_MAX - OTHERS),
        ] {
            let descriptors = Descriptors::of(limit);
            assert_eq!(
                (descriptors.reserve(), descriptors.connections_max()),
                (reserve, connections),
                "{limit}"
            );
        }
    }

    #[test]
    fn what_is_open_is_counted() {
        let before = Descriptors::open_now().unwrap();
        let files: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        // Other tests open and close theirs.
        let after = Descriptors::open_now().unwrap();
        assert!(after + 40 >= before + files.len(), "{before} → {after}");
    }

    #[test]
    fn connections_give_way_to_what_else_is_open() {
        let descriptors = Descriptors::of(10_000);
        let seen = descriptors.look();
        let others = seen.open.unwrap().max(OTHERS);
        assert_eq!(seen.clients_max, 10_000 - 500 - others);
    }

    #[test]
    fn near_is_before_the_reserve_is_touched() {
        let is_near = |open, clients| {
            let (limit, reserve, clients_max) = (1_000, 100, 500);
            Use { open, limit, reserve, clients, clients_max }.is_near()
        };
        assert!(!is_near(Some(809), 449) && is_near(Some(810), 0) && is_near(Some(500), 450));
        assert!(!is_near(None, 449) && is_near(None, 450));
    }
}
