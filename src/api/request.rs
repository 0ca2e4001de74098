//! What is asked for by those paths of the admin API that change a service.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What each of them may say beside what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Whether nothing is to be done but shown.
    pub dry_run: bool,
    /// The digest of the service's file as it was looked at; of another file, nothing is changed.
    pub expect: Option<String>,
    /// A note for people, in the history.
    pub remark: Option<String>,
    /// Whether what is quarantined or unhealthy may get traffic.
    pub force: bool,
}

/// A request to change a service.
pub trait ChangeRequest {
    /// How it is to be done.
    fn how(&self) -> How;
}

/// Requests, each with the members of [`How`] beside its own.
macro_rules! requests {
    ($($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$of])* pub $field: $kind,)*
            /// Whether nothing is to be done but shown.
            #[serde(default)]
            pub dry_run: bool,
            /// The digest of the service's file as it was looked at; of another file, nothing is changed.
            #[serde(default)]
            pub expect: Option<String>,
            /// A note for people, in the history.
            #[serde(default)]
            pub remark: Option<String>,
            /// Whether what is quarantined or unhealthy may get traffic.
            #[serde(default)]
            pub force: bool,
        }

        impl ChangeRequest for $name {
            fn how(&self) -> How {
                let Self { dry_run, expect, remark, force, .. } = self;
                let (expect, remark) = (expect.clone(), remark.clone());
                How { dry_run: *dry_run, expect, remark, force: *force }
            }
        }
    )*};
}

requests! {
    /// Which version gets which share. Either `shares` or `offline`.
    TrafficRequest {
        /// Percentages by version, 100 together. Versions that are not named get nothing.
        #[serde(default)]
        shares: Option<NumbersByName>,
        /// Whether no version gets anything.
        #[serde(default)]
        offline: bool,
    }

    /// Everything for one version.
    PromoteRequest {
        version: String,
    }

    /// Back to what served before.
    RollbackRequest {
        /// A generation, or the name of a version; by default what was served before.
        #[serde(default)]
        to: Option<Aimed>,
        /// Whether what loses all of its traffic is quarantined.
        #[serde(default)]
        bad: bool,
        /// Whether nothing but the shares is taken back.
        #[serde(default)]
        traffic_only: bool,
    }

    /// Versions that are not needed any more.
    DeleteRequest {
        versions: Vec<String>,
    }

    /// A version that is not to be kept from traffic any more.
    ReleaseRequest {
        version: String,
    }
}

/// What a rollback goes back to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a generation or the name of a version")]
pub enum Aimed {
    Generation(u64),
    /// A version, or a generation as a text.
    Name(String),
}

/// Numbers by names, in the order in which they are written, and as often: a name that comes twice is seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumbersByName(pub Vec<(String, f64)>);

impl<'de> Deserialize<'de> for NumbersByName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = NumbersByName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a percentage for each version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(NumbersByName(entries))
            }
        }
        from.deserialize_map(Entries)
    }
}

impl JsonSchema for NumbersByName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NumbersByName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": { "type": "number", "minimum": 0, "maximum": 100 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asked_for_is_named() {
        let error = serde_json::from_str::<PromoteRequest>(r#"{"version": "v2", "forced": true}"#);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("unknown field `forced`"), "{error}");
        let twice = r#"{"version": "v2", "version": "v1"}"#;
        assert!(serde_json::from_str::<PromoteRequest>(twice).is_err());
    }

    #[test]
    fn shares_keep_their_order_and_a_name_that_comes_twice() {
        let text = r#"{"shares": {"v2": 10, "v1": 89.99, "v2": 0.01}}"#;
        let request: TrafficRequest = serde_json::from_str(text).unwrap();
        let shares = [("v2", 10.0), ("v1", 89.99), ("v2", 0.01)];
        let shares = shares.map(|(name, share)| (name.to_owned(), share)).to_vec();
        assert_eq!(request.shares, Some(NumbersByName(shares)));
        for wrong in
            [r#"{"shares": {"v1": "100"}}"#, r#"{"shares": [100]}"#, r#"{"shares": {"v1": null}}"#]
        {
            assert!(serde_json::from_str::<TrafficRequest>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rollback_goes_to_a_number_or_a_name() {
        let aim = |text: &str| serde_json::from_str::<RollbackRequest>(text).map(|it| it.to);
        assert_eq!(aim("{}").unwrap(), None);
        assert_eq!(aim(r#"{"to": 41}"#).unwrap(), Some(Aimed::Generation(41)));
        assert_eq!(aim(r#"{"to": "v1"}"#).unwrap(), Some(Aimed::Name("v1".to_owned())));
        assert!(aim(r#"{"to": -1}"#).is_err() && aim(r#"{"to": 1.5}"#).is_err());
    }
}
