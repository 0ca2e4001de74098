//! Reads each type of `raw` from a value.

use std::ops::Range;

use toml::de::{DeInteger, DeValue};

use super::super::raw::{
    Entries, Located, RawEject, RawEjectTable, RawEnvValue, RawPercent, RawSecret, RawSize,
    RawTarget, RawTargets, RawUpstream, RawUpstreamTable, RawWeightedTarget,
};
use super::misfit::{Kind, Misfits};
use super::{At, FromValue, read_entry, read_item};

impl FromValue for String {
    const KIND: Kind = Kind::Text;

    fn from_value(value: &mut DeValue<'_>, _: At<'_>, _: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(std::mem::take(text).into_owned()),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const KIND: Kind = Kind::Boolean;

    fn from_value(value: &mut DeValue<'_>, _: At<'_>, _: &mut Misfits) -> Option<Self> {
        value.as_bool()
    }
}

impl FromValue for i64 {
    const KIND: Kind = Kind::Whole;

    fn from_value(value: &mut DeValue<'_>, _: At<'_>, _: &mut Misfits) -> Option<Self> {
        value.as_integer().and_then(whole)
    }
}

impl FromValue for RawPercent {
    const KIND: Kind = Kind::Number;

    fn from_value(value: &mut DeValue<'_>, _: At<'_>, _: &mut Misfits) -> Option<Self> {
        match value {
            // A number that this rounds has more than 53 bits, and is refused as a share.
            DeValue::Integer(number) => whole(number).map(|number| Self(number as f64)),
            DeValue::Float(number) => number.as_str().parse().ok().map(Self),
            _ => None,
        }
    }
}

fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

impl FromValue for RawSize {
    const KIND: Kind = Kind::Size;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::Integer(number) => whole(number).map(Self::Bytes),
            value => String::from_value(value, at, misfits).map(Self::Text),
        }
    }
}

impl FromValue for RawEnvValue {
    const KIND: Kind = Kind::TextOrSecret;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::Table(_) => RawSecret::from_value(value, at, misfits).map(Self::Secret),
            value => String::from_value(value, at, misfits).map(Self::Plain),
        }
    }
}

impl FromValue for RawUpstream {
    const KIND: Kind = Kind::Upstream;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::Table(_) => {
                let table = RawUpstreamTable::from_value(value, at, misfits)?;
                Some(Self::Table(Box::new(table)))
            }
            value => RawTargets::from_value(value, at, misfits).map(Self::Targets),
        }
    }
}

impl FromValue for RawTarget {
    const KIND: Kind = Kind::Target;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::Table(_) => {
                RawWeightedTarget::from_value(value, at, misfits).map(Self::Weighted)
            }
            value => String::from_value(value, at, misfits).map(Self::Address),
        }
    }
}

impl FromValue for RawEject {
    const KIND: Kind = Kind::FalseOrTable;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        match value {
            DeValue::Table(_) => RawEjectTable::from_value(value, at, misfits).map(Self::Table),
            value => value.as_bool().map(Self::Flag),
        }
    }
}

impl<T: FromValue> FromValue for Located<T> {
    const KIND: Kind = T::KIND;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        let span = at.span.map_or(0..0, Range::clone);
        T::from_value(value, at, misfits).map(|value| Self::new(span, value))
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    const KIND: Kind = Kind::Array;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        let DeValue::Array(items) = value else {
            return None;
        };
        Some(items.iter_mut().filter_map(|item| read_item(item, at, misfits)).collect())
    }
}

impl<T: FromValue> FromValue for Entries<T> {
    const KIND: Kind = Kind::Table;

    fn from_value(value: &mut DeValue<'_>, at: At<'_>, misfits: &mut Misfits) -> Option<Self> {
        let DeValue::Table(table) = value else {
            return None;
        };
        let mut entries = Vec::with_capacity(table.len());
        for (key, mut value) in std::mem::take(table) {
            let (span, name) = (key.span(), key.into_inner());
            if let Some(value) = read_entry(&name, &mut value, at, misfits) {
                entries.push((Located::new(span, name.into_owned()), value));
            }
        }
        // A build of `toml` may keep the order of the file.
        entries.sort_unstable_by(|(one, _), (other, _)| one.value().cmp(other.value()));
        Some(Self(entries))
    }
}
