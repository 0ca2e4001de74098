//! What is asked for by those paths of the admin API that change a service.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
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
        shares: Option<ByName<f64>>,
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

    /// A new version, from a `component`, an `upload` or an `upstream`.
    DeployRequest {
        name: String,
        /// The path of a component on the machine of the process, relative to the directory of the main file.
        #[serde(default)]
        component: Option<String>,
        /// The digest of a component that was uploaded.
        #[serde(default)]
        upload: Option<String>,
        /// The targets of an HTTP service: addresses and ports, or names and ports.
        #[serde(default)]
        upstream: Option<Vec<String>>,
        /// The variables that the guest sees.
        #[serde(default)]
        env: ByName<String>,
        /// The version's own limits, as in a service's file.
        #[serde(default)]
        limits: ByName<Limit>,
        /// `keep` (nothing, as long as others have traffic), `all`, or a percentage, once it is normal.
        #[serde(default)]
        traffic: Wanted,
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

/// A limit: a text such as `64MiB`, or a number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a whole number")]
pub enum Limit {
    Number(i64),
    Text(String),
}

/// What a new version is to get.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `keep`, `all` or a percentage")]
pub enum Wanted {
    Percent(f64),
    Word(WantedWord),
}

/// What a new version is to get, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WantedWord {
    /// The traffic stays as it is.
    #[default]
    Keep,
    All,
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Word(WantedWord::Keep)
    }
}

/// Values by names, in the order in which they are written, and as often: a name that comes twice is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ByName<T>(pub Vec<(String, T)>);

impl<T> ByName<T> {
    /// The first name that comes more than once.
    pub fn twice(&self) -> Option<&str> {
        let Self(entries) = self;
        let later = |index: usize| entries.iter().skip(index + 1);
        let mut twice = entries.iter().enumerate();
        let found = twice.find(|(index, (name, _))| later(*index).any(|(other, _)| other == name));
        found.map(|(_, (name, _))| name.as_str())
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = ByName<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(ByName(entries))
            }
        }
        from.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for ByName<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ByNameOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<T>(),
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
        assert_eq!(request.shares, Some(ByName(shares)));
        for wrong in
            [r#"{"shares": {"v1": "100"}}"#, r#"{"shares": [100]}"#, r#"{"shares": {"v1": null}}"#]
        {
            assert!(serde_json::from_str::<TrafficRequest>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_new_version_gets_a_word_or_a_percentage() {
        let wanted = |text: &str| {
            let text = format!(r#"{{"name": "v2", "traffic": {text}}}"#);
            serde_json::from_str::<DeployRequest>(&text).map(|it| it.traffic)
        };
        assert_eq!(wanted(r#""keep""#).unwrap(), Wanted::default());
        assert_eq!(wanted(r#""all""#).unwrap(), Wanted::Word(WantedWord::All));
        assert_eq!(wanted("12.5").unwrap(), Wanted::Percent(12.5));
        for wrong in [r#""some""#, r#""10""#, "null", "[10]", "true"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
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
