//! Which target a key belongs to: the same in every replica and after every restart.
//!
//! Weighted rendezvous: each target has a random number for each key, an exponential variable with its weight as the
//! rate, and the least wins. Shares are as exact as the hash is even. A target that goes moves only its own keys, to the
//! others in proportion; one that comes, or gains weight, only takes. It takes a few nanoseconds a target and request
//! and no memory, where a ring of points takes memory for each unit of weight and is off by a tenth.

use std::net::SocketAddr;

use xxhash_rust::xxh3::xxh3_64;

use super::Member;

/// What a target is to a key.
pub(super) fn seed(address: SocketAddr) -> u64 {
    xxh3_64(address.to_string().as_bytes())
}

/// The target of a key.
pub(super) fn owner<'a>(
    members: impl Iterator<Item = &'a Member>,
    hash: u64,
) -> Option<&'a Member> {
    let mut members = members.peekable();
    let first = members.next()?;
    if members.peek().is_none() {
        return Some(first);
    }
    let with_wait = |member: &'a Member| (wait(member, hash), member);
    let all = std::iter::once(first).chain(members).map(with_wait);
    all.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, member)| member)
}

/// By a library's logarithm, which is the same on every machine.
fn wait(member: &Member, hash: u64) -> f64 {
    -libm::log(part(hash ^ member.seed)) / f64::from(member.weight)
}

/// A number between 0 and 1, neither included, that a hash stands for.
pub(super) fn part(hash: u64) -> f64 {
    ((mixed(hash) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// Spreads a change of any bit over all of them: the last steps of splitmix64 (G. Steele and others, "Fast Splittable
/// Pseudorandom Number Generators", 2014).
fn mixed(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
