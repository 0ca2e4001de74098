//! Declared and observed shares in `/metrics`. They are written anew for each scrape from the list of versions, so that
//! no scrape sees half of another one's shares, nor a version that is gone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::chance::Comparison;
use super::tally::Windows;
use super::{PREFIX, VersionLabels};

/// A version of a split: its share, and how often it was drawn.
#[derive(Clone, Debug)]
pub struct VersionShares {
    pub environment: Arc<str>,
    pub service: Arc<str>,
    pub version: Arc<str>,
    /// From 0 to 1.
    pub declared: f64,
    pub observed: Windows<Comparison>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WindowLabels {
    #[prometheus(flatten)]
    version: VersionLabels,
    window: &'static str,
}

#[derive(Default)]
struct Gauges {
    declared: Family<VersionLabels, Gauge<f64, AtomicU64>>,
    observed: Family<WindowLabels, Gauge<f64, AtomicU64>>,
    beyond_chance: Family<WindowLabels, Gauge>,
}

/// Writes the metrics of these versions, without the mark that ends a scrape.
pub fn write(text: &mut String, versions: &[VersionShares]) -> Result<(), fmt::Error> {
    let gauges = Gauges::default();
    versions.iter().for_each(|version| gauges.set(version));
    encode_registry(text, &gauges.registry())
}

impl Gauges {
    fn set(&self, shares: &VersionShares) {
        let VersionShares { environment, service, version, declared, observed } = shares;
        let labels = VersionLabels {
            environment: environment.clone().into(),
            service: service.clone().into(),
            version: version.clone().into(),
        };
        let Windows { minute, hour, since_publish } = observed;
        for (window, compared) in [("minute", minute), ("hour", hour), ("publish", since_publish)] {
            self.set_window(WindowLabels { version: labels.clone(), window }, compared);
        }
        self.declared.get_or_create_owned(&labels).set(*declared);
    }

    fn set_window(&self, labels: WindowLabels, compared: &Comparison) {
        if let Some(share) = compared.share() {
            self.observed.get_or_create_owned(&labels).set(share);
        }
        let beyond = i64::from(compared.is_beyond_chance());
        self.beyond_chance.get_or_create_owned(&labels).set(beyond);
    }

    fn registry(self) -> Registry {
        let Self { declared, observed, beyond_chance } = self;
        let mut registry = Registry::with_prefix(PREFIX);
        let ratio = || Unit::Other("ratio".to_owned());
        registry.register_with_unit(
            "declared_share",
            "Share of a service's random decisions that a version is to have, 0 to 1",
            ratio(),
            declared,
        );
        registry.register_with_unit(
            "observed_share",
            "Share of a service's random decisions that a version had in a window, 0 to 1",
            ratio(),
            observed,
        );
        registry.register(
            "share_beyond_chance",
            "Whether chance does not explain the difference of the two (exact binomial test)",
            beyond_chance,
        );
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = r#"# HELP watershed_declared_share_ratio Share of a service's random decisions that a version is to have, 0 to 1.
# TYPE watershed_declared_share_ratio gauge
# UNIT watershed_declared_share_ratio ratio
watershed_declared_share_ratio{environment="default",service="greeter",version="v2"} 0.1
"#;

    fn written(minute: Comparison) -> String {
        let rest = Comparison::new(534, 4_310, 0.1);
        let shares = VersionShares {
            environment: "default".into(),
            service: "greeter".into(),
            version: "v2".into(),
            declared: 0.1,
            observed: Windows { minute, hour: rest, since_publish: rest },
        };
        let mut text = String::new();
        write(&mut text, &[shares]).unwrap();
        text
    }

    #[test]
    fn a_version_has_a_line_for_each_window() {
        let text = written(Comparison::new(25, 100, 0.25));
        assert!(text.starts_with(EXPECTED), "{text}");
        let labels = r#"environment="default",service="greeter",version="v2""#;
        for line in [
            format!("watershed_observed_share_ratio{{{labels},window=\"minute\"}} 0.25\n"),
            format!("watershed_share_beyond_chance{{{labels},window=\"minute\"}} 0\n"),
            format!("watershed_share_beyond_chance{{{labels},window=\"hour\"}} 1\n"),
            format!("watershed_share_beyond_chance{{{labels},window=\"publish\"}} 1\n"),
        ] {
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn without_draws_there_is_no_observed_share() {
        let text = written(Comparison::new(0, 0, 0.1));
        let minute = text.lines().filter(|line| line.contains("window=\"minute\""));
        let shown: Vec<_> = minute.filter(|line| line.starts_with("watershed_observed")).collect();
        assert_eq!(shown, Vec::<&str>::new());
        assert_eq!(text.matches("\nwatershed_observed_share_ratio{").count(), 2, "{text}");
        assert_eq!(text.matches("\nwatershed_share_beyond_chance{").count(), 3, "{text}");
    }
}
