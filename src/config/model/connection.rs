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
}

impl ConnectionLimits {
    /// Pingora reads no larger head of an HTTP/1.1 request.
    pub const HEAD: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(1);
    /// Pingora's parser has no room for more fields.
    pub const HEADERS: RangeInclusive<i64> = 1..=256;
    pub const HEAD_TIME: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(300);
    pub const IDLE_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=hours(1);
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head: ByteSize::kib(64),
            headers: NonZeroU32::MIN.saturating_add(127),
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(75),
        }
    }
}
