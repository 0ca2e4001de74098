//! How often requests of a service may come.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// The table `[traffic.rate-limit]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub key: RateKey,
    pub rate: Rate,
    /// How many requests of a key may come at once.
    pub burst: NonZeroU32,
}

impl RateLimit {
    pub const BURST: RangeInclusive<i64> = 1..=1_000_000;
}

/// What requests have in common that count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// The address of the client; of IPv6, its /64.
    ClientAddress,
    /// A header's value; its name in lower case.
    Header(String),
    Cookie(String),
    Query(String),
    /// All requests of the service.
    Service,
}

impl RateKey {
    pub const HEADER: &str = "header:";
    pub const COOKIE: &str = "cookie:";
    pub const QUERY: &str = "query:";
    pub const CLIENT_ADDRESS: &str = "client-address";
    pub const SERVICE: &str = "service";
}

impl fmt::Display for RateKey {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientAddress => f.write_str(Self::CLIENT_ADDRESS),
            Self::Header(name) => write!(f, "{}{name}", Self::HEADER),
            Self::Cookie(name) => write!(f, "{}{name}", Self::COOKIE),
            Self::Query(name) => write!(f, "{}{name}", Self::QUERY),
            Self::Service => f.write_str(Self::SERVICE),
        }
    }
}

/// So many requests in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At most [`Rate::MOST`].
    pub requests: NonZeroU32,
    /// A second, a minute or an hour.
    pub per: Duration,
}

/// The periods, as they are written.
const PERIODS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3_600)];

impl Rate {
    pub const MOST: u32 = 1_000_000;
}

/// Why a text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    #[error("it has no period")]
    NoPeriod,
    #[error("its period is not s, m or h")]
    Period,
    #[error("it does not start with a whole number")]
    Number,
    #[error("it is 0, which would let nothing pass")]
    Zero,
    #[error("it is more than a million")]
    TooLarge,
}

impl FromStr for Rate {
    type Err = RateError;

    /// Reads `100/s`, `600/m` or `5/h`.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, period) = text.split_once('/').ok_or(RateError::NoPeriod)?;
        let period = PERIODS.iter().find(|(name, _)| *name == period).ok_or(RateError::Period)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateError::Number);
        }
        let number: u32 = number.parse().map_err(|_| RateError::TooLarge)?;
        let requests = NonZeroU32::new(number).ok_or(RateError::Zero)?;
        match requests.get() <= Self::MOST {
            true => Ok(Self { requests, per: Duration::from_secs(period.1) }),
            false => Err(RateError::TooLarge),
        }
    }
}

impl fmt::Display for Rate {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, per } = self;
        let period = PERIODS.iter().find(|(_, seconds)| *seconds == per.as_secs());
        write!(f, "{requests}/{}", period.map_or("s", |(name, _)| *name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_one_reading() {
        for text in ["1/s", "600/m", "1000000/h"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), text);
        }
        let wrong = [
            ("", RateError::NoPeriod),
            ("100", RateError::NoPeriod),
            ("100/d", RateError::Period),
            ("100 /s", RateError::Number),
            ("+1/s", RateError::Number),
            ("1.5/s", RateError::Number),
            ("/s", RateError::Number),
            ("0/s", RateError::Zero),
            ("1000001/s", RateError::TooLarge),
            ("99999999999/s", RateError::TooLarge),
        ];
        for (text, error) in wrong {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
    }
}
