//! A moment as every document writes it: RFC 3339 in UTC, with milliseconds, such as `2026-11-26T04:16:36.123Z`. In the
//! code it is the milliseconds since 1970, and a document that has those is read too.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// What a moment in a query looks like.
pub const EXPECTED: &str = "a time such as 2026-11-26T04:16:36.123Z";

/// A moment in a query, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub u64);

impl FromStr for Stamp {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let at: Timestamp = text.parse().map_err(drop)?;
        u64::try_from(at.as_millisecond()).map(Self).map_err(drop)
    }
}

/// The text of a moment.
pub fn text(milliseconds: u64) -> String {
    format!("{:.3}", timestamp(milliseconds))
}

/// A moment for people, to the second that it is in: `2026-11-26T04:16:36Z`.
pub fn short(milliseconds: u64) -> String {
    format!("{:.0}", timestamp(milliseconds - milliseconds % 1_000))
}

fn timestamp(milliseconds: u64) -> Timestamp {
    let at = i64::try_from(milliseconds).ok();
    at.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub fn serialize<S: Serializer>(milliseconds: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*milliseconds))
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_any(Moment)
}

struct Moment;

impl Visitor<'_> for Moment {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time such as 2026-11-26T04:16:36.123Z, or milliseconds since 1970")
    }

    fn visit_u64<E: Error>(self, milliseconds: u64) -> Result<u64, E> {
        Ok(milliseconds)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let at: Timestamp = text.parse().map_err(E::custom)?;
        u64::try_from(at.as_millisecond()).map_err(|_| E::custom("a time before 1970"))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Stamped(#[serde(with = "super")] u64);

    #[test]
    fn people_are_told_the_second() {
        assert_eq!(super::short(1_795_666_596_999), "2026-11-26T04:16:36Z");
        assert_eq!(super::short(u64::MAX), "1970-01-01T00:00:00Z", "no time at all");
    }

    #[test]
    fn a_moment_has_milliseconds_even_where_they_are_zero() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_666_596_123, "2026-11-26T04:16:36.123Z"),
            (1_795_666_596_000, "2026-11-26T04:16:36.000Z"),
        ] {
            let written = serde_json::to_string(&Stamped(at)).unwrap();
            assert_eq!(written, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Stamped>(&written).unwrap(), Stamped(at));
            assert_eq!(serde_json::from_str::<Stamped>(&at.to_string()).unwrap(), Stamped(at));
        }
        for wrong in ["\"monday\"", "-1", "\"1969-01-01T00:00:00Z\"", "null"] {
            assert!(serde_json::from_str::<Stamped>(wrong).is_err(), "{wrong}");
        }
    }
}
