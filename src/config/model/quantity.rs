//! Quantities as they are written in a file: sizes with a unit, durations with a unit, and the digest of a content.
//! Each text has only one reading: whole numbers, exact units, and no unit that could mean two things.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::plural::many;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// Largest first, binary before decimal, so that [`ByteSize`] is shown in the first unit that
/// divides it.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Largest first, so that a duration is shown in the first unit that divides it.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    #[error("it has no unit")]
    NoUnit,
    #[error("`{0}` is not one of its units")]
    Unit(String),
    #[error("it does not start with a whole number")]
    Number,
    #[error("it is too large")]
    TooLarge,
}

impl ByteSize {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn kib(count: u32) -> Self {
        Self((count as u64) << 10)
    }

    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    pub const fn gib(count: u32) -> Self {
        Self((count as u64) << 30)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    /// Reads `128MiB`, `16 MB` or a bare number of bytes.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = number_and_unit(text)?;
        let unit = if unit.is_empty() { "B" } else { unit };
        scale(number, unit, &SIZE_UNITS).map(Self)
    }
}

impl fmt::Display for ByteSize {
    /// Exact: the text reads back as the same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_units(self.0, &SIZE_UNITS).unwrap_or_else(|| "0B".into()))
    }
}

/// Reads `250ms`, `10s`, `2m` or `1h`. `0s` is a duration too; the bounds of a key say whether it is allowed.
///
/// # Errors
///
/// When the text is not a whole number with one of these units.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = number_and_unit(text)?;
    if unit.is_empty() {
        return Err(QuantityError::NoUnit);
    }
    scale(number, unit, &DURATION_UNITS).map(Duration::from_millis)
}

/// Shows a duration of whole milliseconds as it would be written in a file.
pub fn show_duration(duration: Duration) -> String {
    u64::try_from(duration.as_millis())
        .ok()
        .and_then(|millis| in_units(millis, &DURATION_UNITS))
        .unwrap_or_else(|| "0s".into())
}

fn number_and_unit(text: &str) -> Result<(u64, &str), QuantityError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || unit.starts_with(['.', ',', '_']) {
        return Err(QuantityError::Number);
    }
    let number = number.parse().map_err(|_| QuantityError::TooLarge)?;
    Ok((number, unit.trim_start()))
}

fn scale(number: u64, unit: &str, units: &[(&str, u64)]) -> Result<u64, QuantityError> {
    let known = units.iter().find(|(name, _)| *name == unit);
    let (_, factor) = known.ok_or_else(|| QuantityError::Unit(unit.to_owned()))?;
    number.checked_mul(*factor).ok_or(QuantityError::TooLarge)
}

fn in_units(value: u64, units: &[(&str, u64)]) -> Option<String> {
    let divides = |factor: u64| value > 0 && value.is_multiple_of(factor);
    let (name, factor) = units.iter().find(|(_, factor)| divides(*factor))?;
    Some(format!("{}{name}", value / factor))
}

/// A SHA-256 of a component, a file or an environment. Written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DigestError {
    #[error("it does not start with `sha256:`")]
    Algorithm,
    #[error("it has {} after `sha256:`, not 64", many(*.0, "character"))]
    Length(usize),
    #[error("{0:?} is not a hexadecimal digit")]
    Digit(char),
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or(DigestError::Algorithm)?;
        let digits = hex.chars().map(hex_digit).collect::<Result<Vec<u8>, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        match (<[u8; 32]>::try_from(bytes), rest) {
            (Ok(bytes), []) => Ok(Self(bytes)),
            _ => Err(DigestError::Length(digits.len())),
        }
    }
}

fn hex_digit(digit: char) -> Result<u8, DigestError> {
    let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(DigestError::Digit(digit))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        let cases = [
            ("128MiB", 128 << 20),
            ("16MB", 16_000_000),
            ("512KiB", 512 << 10),
            ("1GiB", 1 << 30),
            ("1 TiB", 1 << 40),
            ("1024", 1024),
            ("7B", 7),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(ByteSize::new(bytes)), "{text}");
        }
    }

    #[test]
    fn sizes_with_two_readings_are_refused() {
        let parse = |text: &str| text.parse::<ByteSize>().unwrap_err();
        assert_eq!(parse("1.5GiB"), QuantityError::Number);
        assert_eq!(parse("-1"), QuantityError::Number);
        assert_eq!(parse(""), QuantityError::Number);
        assert_eq!(parse("MiB"), QuantityError::Number);
        assert_eq!(parse("1Mb"), QuantityError::Unit("Mb".into()));
        assert_eq!(parse("1M"), QuantityError::Unit("M".into()));
        assert_eq!(parse("99999999TiB"), QuantityError::TooLarge);
        assert_eq!(parse("99999999999999999999"), QuantityError::TooLarge);
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("10"), Err(QuantityError::NoUnit));
        assert_eq!(parse_duration("1.5s"), Err(QuantityError::Number));
        let days = QuantityError::Unit("d".into());
        assert_eq!(parse_duration("1d"), Err(days));
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let text = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        let parse = |text: &str| text.parse::<Digest>().unwrap_err();
        assert_eq!(parse("md5:00"), DigestError::Algorithm);
        assert_eq!(parse("sha256:00"), DigestError::Length(2));
        assert_eq!(parse("sha256:0g"), DigestError::Digit('g'));
        assert_eq!(parse(&format!("sha256:{}", "0".repeat(65))), DigestError::Length(65));
    }

    proptest! {
        #[test]
        fn a_shown_size_is_read_back(bytes: u64) {
            let size = ByteSize::new(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn a_shown_duration_is_read_back(millis in 0..u64::from(u32::MAX)) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_shown_digest_is_read_back(bytes: [u8; 32]) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }
    }
}
