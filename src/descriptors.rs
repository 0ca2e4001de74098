//! How many files and sockets the process may have open, how many of them are kept for operators
//! and reloads, and how near the limit it is. The composition root raises the limit; the listener
//! asks how many connections there may be; the status and `/metrics` tell.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where the kernel tells which descriptors are open.
const OWN: &str = "/proc/self/fd";
/// What is kept at least: connections of operators, and what a reload opens at once.
const RESERVE_MIN: usize = 96;
/// What is kept at most.
const RESERVE_MAX: usize = 1_024;
/// The reserve is this part of the limit, within those bounds.
const RESERVE_PART: usize = 20;
/// Assumed of what is neither a connection nor reserved, where the kernel does not tell.
const OTHERS: usize = 96;
/// Connections that there may be however short descriptors are.
const CONNECTIONS_MIN: usize = 8;

/// The descriptors of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Descriptors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// Connections of clients.
    clients: AtomicUsize,
    /// Open ones that are no client's, as of the last look.
    others: AtomicUsize,
    /// Connections of clients that there may be; 0 as long as that is not decided.
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

/// How it stands with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Open now; none where the kernel does not tell.
    pub open: Option<usize>,
    /// That may be open at once.
    pub limit: usize,
    /// Of the limit: kept for operators and reloads.
    pub reserve: usize,
    /// Connections of clients.
    pub clients: usize,
    /// Connections of clients that there may be.
    pub clients_max: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one. Where that fails, the soft one holds, and the log
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

    /// Of a process that may have so many open.
    pub fn of(limit: usize) -> Self {
        let (clients, connections_max) = (AtomicUsize::default(), AtomicUsize::default());
        let others = AtomicUsize::new(OTHERS);
        Self(Arc::new(Inner { limit, clients, others, connections_max }))
    }

    /// How many may be open at once.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many of them are kept for operators and reloads.
    pub fn reserve(&self) -> usize {
        (self.limit() / RESERVE_PART).clamp(RESERVE_MIN, RESERVE_MAX).min(self.limit() / 2)
    }

    /// Decides how many connections of clients there may be from now on, by what is open now.
    pub fn decide_connections_max(&self) -> usize {
        self.look();
        let max = self.connections_max();
        self.0.connections_max.store(max, Ordering::Relaxed);
        max
    }

    /// How many connections of clients there may be. Until that is decided, by what else was open
    /// at the last look. Never none: a limit that leaves no room for clients is told of, and they
    /// are served all the same.
    pub fn connections_max(&self) -> usize {
        match self.0.connections_max.load(Ordering::Relaxed) {
            0 => self.room(),
            max => max,
        }
    }

    fn room(&self) -> usize {
        // The process opens more of its own once it serves.
        let others = self.0.others.load(Ordering::Relaxed).max(OTHERS);
        let left = self.limit().saturating_sub(self.reserve()).saturating_sub(others);
        left.max(CONNECTIONS_MIN)
    }

    /// How many are open now; none where the kernel does not tell. Takes microseconds, or a
    /// millisecond for each ten thousand on kernels before 6.2, and one descriptor there.
    pub fn open_now() -> Option<usize> {
        // Since Linux 6.2, the directory's size is their number.
        let size = fs::metadata(OWN).ok().map(|own| own.size()).filter(|size| *size > 0);
        match size {
            Some(size) => usize::try_from(size).ok(),
            // One of them reads the directory.
            None => Some(fs::read_dir(Path::new(OWN)).ok()?.count().saturating_sub(1)),
        }
    }

    /// Counts a connection of a client until what is returned is dropped.
    pub fn client(&self) -> Client {
        self.0.clients.fetch_add(1, Ordering::Relaxed);
        Client(self.clone())
    }

    /// Looks how it stands; [`Self::connections_max`] goes by it from now on.
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
    /// Whether nothing but the reserve is left, or soon: nine tenths of the rest are open, or of
    /// what clients may have.
    pub fn is_near(&self) -> bool {
        let most_of = |all: usize| all.saturating_sub(all / 10);
        self.open.is_some_and(|open| open >= most_of(self.limit.saturating_sub(self.reserve)))
            || self.clients >= most_of(self.clients_max)
    }
}

impl fmt::Display for Use {
    /// What to do about it, for an operator who is near the limit.
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

/// The limit that holds after it is raised.
fn raised(current: Option<u64>, maximum: Option<u64>) -> Result<usize, Errno> {
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(count(maximum))
}

/// No limit is as good as a very large one.
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
