//! How often requests with one key may come: so many in a period, and a burst of so many at once.
//!
//! The algorithm is GCRA, a leaky bucket as a meter
//! ([ITU-T I.371](https://www.itu.int/rec/T-REC-I.371), annex A): of each key, only one number is kept, the time at which
//! the key will owe nothing. A request moves it on by the time that one request is worth, and is refused where it would
//! be further away than a burst. So no moment begins a new window, and in any time `t` at most `burst + rate × t` requests
//! of a key pass. [`table`] keeps the numbers.

mod table;

use std::hash::{BuildHasher as _, Hash as _, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::affinity::KeySource;
use super::request::{Asked, Text};
use table::Table;

/// How requests of one service are limited. A clone shares what is known of the keys.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    /// None: all requests of the service count together.
    source: Option<KeySource>,
    pace: Pace,
    /// The value of `ratelimit-policy`.
    policy: HeaderValue,
    table: Arc<Table>,
}

/// A rate and its burst, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// What one request is worth. Rounded up, so that the rate is never exceeded.
    interval: u64,
    /// What a burst is worth: the most that a key may owe.
    depth: u64,
    /// In how many seconds a key that owes a whole burst owes nothing.
    window: u32,
}

/// What a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests that would pass at once.
    pub left: u32,
    /// Seconds for which `left` should last; where nothing is left, until the next request passes. At least 1.
    pub seconds: u32,
}

impl RateLimiter {
    /// Limits requests with one key of `source`; those without a key count by the client's address. Without a source, all
    /// count together.
    pub fn new(
        source: Option<KeySource>,
        requests: NonZeroU32,
        per: Duration,
        burst: NonZeroU32,
    ) -> Self {
        let pace = Pace::new(requests, per, burst);
        // What passes in the window: at least the burst, and at most the rate.
        let quota = u128::from(pace.window) * 1_000_000_000 * u128::from(requests.get())
            / per.as_nanos().max(1);
        let policy = format!("\"{NAME}\";q={quota};w={}", pace.window);
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(""));
        Self { source, pace, policy, table: Arc::new(Table::new(Instant::now())) }
    }

    /// The same limit, with what `last` knows of its keys, if both look for keys in the same place. What a key owes is a
    /// time: it stays the same under another rate, but is never more than the new burst.
    #[must_use]
    pub fn after(self, last: Option<&Self>) -> Self {
        match last.filter(|last| last.source == self.source) {
            Some(last) => {
                let table = last.table.clone();
                if self.pace.depth < last.pace.depth {
                    table.bound(table.moment(Instant::now()), self.pace.depth);
                }
                Self { table, ..self }
            }
            None => self,
        }
    }

    /// Lets a request pass, and says what is left for its key; or refuses it, which costs the key nothing.
    ///
    /// # Errors
    ///
    /// Where the key has used up its burst and its rate.
    pub fn take(&self, asked: Asked<'_>, now: Instant) -> Result<Allowance, Allowance> {
        let pace = self.pace;
        let now = self.table.moment(now);
        let taken = self.table.take(self.hash(asked), now, pace.depth, pace.interval);
        taken.map(|due| pace.allowance(due, now)).map_err(|due| pace.allowance(due, now))
    }

    /// What is left for the key of a request.
    pub fn look(&self, asked: Asked<'_>, now: Instant) -> Allowance {
        let now = self.table.moment(now);
        self.pace.allowance(self.table.due(self.hash(asked), now), now)
    }

    /// Whether a request counts by its own key: not by its client's address because it has no other.
    pub fn has_key(&self, asked: Asked<'_>) -> bool {
        match &self.source {
            None | Some(KeySource::ClientAddress) => true,
            Some(source) => key(source, asked).is_some(),
        }
    }

    /// Whether what is left concerns the client alone.
    pub fn is_of_clients(&self) -> bool {
        self.source.is_some()
    }

    /// The value of `ratelimit-policy`: a quota, and the seconds in which it comes back.
    pub fn policy(&self) -> &HeaderValue {
        &self.policy
    }

    /// Forgets keys that owe nothing, and gives their memory back.
    pub fn sweep(&self, now: Instant) {
        self.table.sweep(self.table.moment(now));
    }

    /// The hash is keyed at random: nobody can choose keys that meet in one place.
    fn hash(&self, asked: Asked<'_>) -> u64 {
        let mut hasher = self.table.hashes().build_hasher();
        let key = self.source.as_ref().and_then(|source| key(source, asked));
        match (key, &self.source) {
            (Some(key), _) => {
                hasher.write_u8(1);
                match key.as_plain() {
                    Some(bytes) => hasher.write(bytes),
                    None => key.for_each(|byte| hasher.write_u8(byte)),
                }
            }
            (None, Some(_)) => {
                hasher.write_u8(2);
                asked.client.map(counted_as).hash(&mut hasher);
            }
            (None, None) => {}
        }
        hasher.finish()
    }
}

/// The name of the policy among those that a response may tell of.
const NAME: &str = "watershed";

impl Allowance {
    /// The value of `ratelimit`
    /// ([draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/)).
    pub fn field(self) -> String {
        let Self { left, seconds } = self;
        format!("\"{NAME}\";r={left};t={seconds}")
    }
}

impl Pace {
    fn new(requests: NonZeroU32, per: Duration, burst: NonZeroU32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let interval = per.div_ceil(u64::from(requests.get())).max(1);
        let depth = interval.saturating_mul(u64::from(burst.get()));
        Self { interval, depth, window: seconds(depth) }
    }

    /// What is left for a key that owes nothing from `due` on.
    fn allowance(self, due: u64, now: u64) -> Allowance {
        let room = self.depth.saturating_sub(due.saturating_sub(now));
        let left = u32::try_from(room / self.interval).unwrap_or(u32::MAX);
        let seconds = match left {
            0 => seconds(self.interval.saturating_sub(room)),
            _ => self.window,
        };
        Allowance { left, seconds }
    }
}

/// Whole seconds, rounded up: who waits for so long is not too early.
fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1)
}

/// The key of a request; an empty one is none.
fn key<'a>(source: &'a KeySource, asked: Asked<'a>) -> Option<Text<'a>> {
    let some = |text: &Text<'_>| !text.is_empty();
    match source {
        KeySource::Header(name) => asked.header(name).find(some),
        KeySource::Cookie(name) | KeySource::Generated(name) => asked.cookie(name).find(some),
        KeySource::Query(name) => asked.query(name).find(some),
        KeySource::ClientAddress => None,
    }
}

/// The network that counts as one client: of IPv6 a /64, the least that a customer gets. What is an address of IPv4 in
/// that of IPv6 counts as the former, also behind NAT64 ([RFC 6052](https://www.rfc-editor.org/rfc/rfc6052)).
fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => match address.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
                IpAddr::from([a, b, c, d])
            }
            [a, b, c, d, ..] => IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
        },
    }
}

#[cfg(test)]
mod tests;
