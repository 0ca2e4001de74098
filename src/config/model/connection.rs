//! What a client may use of the listener before its request is served.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ByteSize, hours};

/// What one connection of a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The largest head of a request: request line and header fields.
    pub head: ByteSize,
    /// Header fields of a request.
    pub headers: NonZeroU32,
    /// Time from the first byte of a head to its last.
    pub head_time: Duration,
    /// How long a connection is kept without a request.
    pub idle_time: Duration,
    /// Connections that may be open. There may be room for fewer descriptors.
    pub connections: NonZeroU32,
    /// Bytes a second: the slowest rate at which a client may send a body or take one, over [`Self::RATE_TIME`]. 0 means any.
    pub client_rate: ByteSize,
    /// Requests in flight of one HTTP/2 connection.
    pub streams: NonZeroU32,
    /// Requests that an HTTP/2 client may take back within [`Self::RESETS_TIME`].
    pub resets: NonZeroU32,
}

impl ConnectionLimits {
    /// Pingora reads no larger head of an HTTP/1.1 request.
    pub const HEAD: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(1);
    /// Pingora's parser has no room for more fields.
    pub const HEADERS: RangeInclusive<i64> = 1..=256;
    pub const HEAD_TIME: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(300);
    pub const IDLE_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(1);
    pub const CONNECTIONS: RangeInclusive<i64> = 1..=1_000_000;
    pub const CLIENT_RATE: RangeInclusive<ByteSize> = ByteSize::new(1)..=ByteSize::mib(1);
    pub const STREAMS: RangeInclusive<i64> = 1..=10_000;
    pub const RESETS: RangeInclusive<i64> = 1..=100_000;
    /// Over which time a client's rate is measured.
    pub const RATE_TIME: Duration = Duration::from_secs(30);
    /// Over which time resets are counted.
    pub const RESETS_TIME: Duration = Duration::from_secs(10);
    /// What is written for any rate.
    pub const ANY_RATE: &str = "none";

    /// `client-rate` as it is written in the file.
    pub fn client_rate_written(&self) -> String {
        match self.client_rate.bytes() {
            0 => Self::ANY_RATE.to_owned(),
            _ => format!("{}/s", self.client_rate),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head: ByteSize::kib(64),
            headers: NonZeroU32::MIN.saturating_add(127),
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
            connections: NonZeroU32::MIN.saturating_add(19_999),
            client_rate: ByteSize::kib(1),
            streams: NonZeroU32::MIN.saturating_add(127),
            resets: NonZeroU32::MIN.saturating_add(199),
        }
    }
}
