//! Slows down whoever guesses tokens at the login: ten wrong ones from an address within a minute, and no more for a
//! while.
//!
//! It is counted by address, so that nobody keeps others out: Grafana counted by user once, and whoever knew a name could
//! lock it (grafana/grafana#7616). Tokens in a header are not counted: commands and scrapes go on meanwhile.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that an address may send within [`SPAN`].
const FREE: usize = 10;

/// The same for all addresses together. It bounds what is kept, too.
const FREE_FOR_ALL: usize = 1_000;

const SPAN: Duration = Duration::from_secs(60);

/// The attempts of the last minute that were not right, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<VecDeque<(IpAddr, Instant)>>>);

impl Attempts {
    /// Counts an attempt before its token is looked at, so that many at once are not more than allowed.
    ///
    /// # Errors
    ///
    /// How long to wait, where there were too many.
    pub fn begin(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut attempts = self.all();
        attempts.retain(|(_, at)| now.saturating_duration_since(*at) < SPAN);
        let from = network(from);
        let own: Vec<_> = attempts.iter().filter(|(of, _)| *of == from).collect();
        let blocking = match own.len() {
            FREE.. => own.first().copied(),
            _ if attempts.len() >= FREE_FOR_ALL => attempts.front(),
            _ => None,
        };
        if let Some((_, at)) = blocking {
            return Err(SPAN.saturating_sub(now.saturating_duration_since(*at)));
        }
        attempts.push_back((from, now));
        Ok(())
    }

    /// Takes back an attempt whose token was right.
    pub fn was_right(&self, from: IpAddr) {
        let (mut attempts, from) = (self.all(), network(from));
        let newest = attempts.iter().rposition(|(of, _)| *of == from);
        newest.and_then(|newest| attempts.remove(newest));
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(IpAddr, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one client has: an address, or the 2⁶⁴ addresses of a network of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_ten_wrong_attempts_a_minute() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let (own, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for second in 0..10 {
            attempts.begin(own, now + Duration::from_secs(second)).unwrap();
        }
        let then = now + Duration::from_secs(20);
        assert_eq!(attempts.begin(own, then), Err(Duration::from_secs(40)));
        assert_eq!(
            attempts.begin(own, then),
            Err(Duration::from_secs(40)),
            "waiting costs nothing"
        );
        attempts.begin(other, then).unwrap();
        attempts.begin(own, now + SPAN).unwrap();
        let next = now + SPAN + Duration::from_millis(500);
        assert_eq!(attempts.begin(own, next), Err(Duration::from_millis(500)));
    }

    #[test]
    fn right_attempts_do_not_count() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..100 {
            attempts.begin(address("::1"), now).unwrap();
            attempts.was_right(address("::1"));
        }
        assert!(attempts.all().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..10 {
            attempts.begin(address(&format!("2001:db8::{host}")), now).unwrap();
        }
        assert!(attempts.begin(address("2001:db8::ffff:1"), now).is_err());
        attempts.begin(address("2001:db8:0:1::1"), now).unwrap();
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }

    #[test]
    fn many_addresses_are_bounded_together() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for client in 0..1_000_u32 {
            attempts.begin(IpAddr::V4((0x0a00_0000 + client).into()), now).unwrap();
        }
        assert_eq!(attempts.begin(address("192.0.2.1"), now), Err(SPAN));
        attempts.begin(address("192.0.2.1"), now + SPAN).unwrap();
    }
}
