//! Shares, ramps and ways back, on histories as the server writes them.

mod back;
mod deploy;
mod played;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::config::{Percent, SecretSource, Service, VersionName, VersionSpec};
use crate::history::{Author, Parts, Record, RecordOutcome, RecordedVersion, Share};

fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

fn share(hundredths: u16) -> Percent {
    Percent::from_hundredths(hundredths).unwrap()
}

/// Shares in whole percent.
fn shares(text: &str) -> Shares {
    let each = text.split_whitespace().map(|one| {
        let (version, percent) = one.split_once('=').unwrap();
        (name(version), share(percent.parse::<u16>().unwrap() * 100))
    });
    Shares::served(each)
}

#[test]
fn shares_are_all_or_nothing() {
    let new = |pairs: &[(&str, u16)]| {
        Shares::new(pairs.iter().map(|(version, part)| (name(version), share(*part))).collect())
    };
    assert!(new(&[("v1", 9_999), ("v2", 1)]).is_ok());
    assert_eq!(new(&[]), Err(SharesError::Empty));
    assert_eq!(new(&[("v1", 0)]), Err(SharesError::Offline));
    assert_eq!(new(&[("v1", 5_000), ("v1", 5_000)]), Err(SharesError::Twice(name("v1"))));
    let short = new(&[("v1", 9_000), ("v2", 999)]).unwrap_err();
    assert_eq!(short.to_string(), "the shares add up to 99.99, not 100: 0.01 % is missing");
}

#[test]
fn the_others_give_up_a_share_in_proportion() {
    let now = shares("v1=60 v2=30 v3=10");
    let after = now.with(&name("v4"), share(1_000)).unwrap();
    assert!(after.is_same(&shares("v1=54 v2=27 v3=9 v4=10")), "{after}");
    let after = shares("v1=90 v2=10").with(&name("v2"), share(5_000)).unwrap();
    assert!(after.is_same(&shares("v1=50 v2=50")), "{after}");
    let alone = shares("v2=100").with(&name("v2"), share(5_000));
    assert_eq!(alone, Err(SharesError::Alone(name("v2"), share(5_000))));
    let all = Shares::offline().with(&name("v2"), Percent::ALL).unwrap();
    assert!(all.is_same(&shares("v2=100")));
}

proptest! {
    #[test]
    fn a_ramp_always_adds_up(parts in prop::collection::vec(1_u16..2_000, 1..5), to in 0_u16..=10_000) {
        let rest = 10_000 - parts.iter().sum::<u16>();
        let parts = parts.iter().chain([&rest]).enumerate();
        let now = Shares::served(parts.map(|(index, part)| (name(&format!("v{index}")), share(*part))));
        let after = now.with(&name("new"), share(to)).unwrap();
        prop_assert_eq!(after.of(&name("new")), share(to));
        let sum: u32 = after.takers().map(|(_, share)| u32::from(share.hundredths())).sum();
        prop_assert_eq!(sum, 10_000);
        for (version, share) in now.takers() {
            let exact = f64::from(share.hundredths()) * f64::from(10_000 - to) / 10_000.0;
            prop_assert!((f64::from(after.of(version).hundredths()) - exact).abs() < 1.0);
        }
    }
}

/// What is normal, and of which component.
struct Normal(&'static [(&'static str, &'static str)]);

/// Records without parts lead to no question about them.
impl Ground for Normal {
    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String> {
        let found = self.0.iter().find(|(normal, _)| *normal == version.as_str());
        let (_, digest) = found.ok_or("is not declared any more")?;
        match digest_then {
            Some(then) if then != *digest => Err("has another component now".to_owned()),
            _ => Ok(()),
        }
    }

    fn service(&self) -> &Service {
        panic!("nobody asks")
    }

    fn made_of(&self, _: &VersionSpec) -> Option<String> {
        panic!("nobody asks")
    }

    fn digest_at(&self, _: &Path) -> Result<String, String> {
        panic!("nobody asks")
    }

    fn stored(&self, _: &str) -> Option<PathBuf> {
        panic!("nobody asks")
    }

    fn secret(&self, _: &str, _: &str, _: &SecretSource) -> Result<String, String> {
        panic!("nobody asks")
    }
}

/// Decides on records that tell of shares only.
fn decide(
    aim: &Aim,
    now: &str,
    records: &[Record],
    ground: &Normal,
    bad: bool,
) -> Result<Rollback, RollbackError> {
    let now = State { shares: shares(now), contents: None };
    let (service, parts) = ("greeter", &Parts::default());
    let (declared, traffic_only) = (&now.shares, false);
    let question =
        Question { service, aim, now: &now, declared, records, parts, ground, bad, traffic_only };
    rollback(&question)
}

fn record(generation: u64, after: &str, restores: Option<u64>) -> Record {
    let after: Vec<_> = shares(after)
        .takers()
        .map(|(version, share)| Share {
            version: version.to_string(),
            share: f64::from(share.hundredths()) / 100.0,
        })
        .collect();
    let versions = after.iter().map(|share| RecordedVersion {
        name: share.version.clone(),
        status: "normal".to_owned(),
        digest: Some(format!("{}-digest", share.version)),
    });
    Record {
        generation,
        at: 0,
        environment: "default".to_owned(),
        service: "greeter".to_owned(),
        author: Author::FileEdit,
        before: Vec::new(),
        served: None,
        versions: versions.collect(),
        after,
        remark: None,
        outcome: RecordOutcome::Published,
        restores,
        file_digest: None,
    }
}

const BOTH: Normal = Normal(&[("v1", "v1-digest"), ("v2", "v2-digest")]);

/// Newest first, as the history gives them.
fn ramp() -> Vec<Record> {
    vec![
        record(5, "v2=100", None),
        record(4, "v1=50 v2=50", None),
        record(3, "v1=90 v2=10", None),
        // A version was added: no other split.
        record(2, "v1=100", None),
        record(1, "v1=100", None),
    ]
}

fn back(now: &str, records: &[Record], versions: &Normal) -> Result<Rollback, RollbackError> {
    decide(&Aim::Previous, now, records, versions, false)
}

#[test]
fn a_rollback_goes_one_split_back_and_the_next_one_further() {
    let mut records = ramp();
    for (generation, now, expected, from) in [
        (6, "v2=100", "v1=50 v2=50", 4),
        (7, "v1=50 v2=50", "v1=90 v2=10", 3),
        (8, "v1=90 v2=10", "v1=100", 2),
    ] {
        let found = back(now, &records, &BOTH).unwrap();
        assert!(found.to.is_same(&shares(expected)), "{found:?}");
        assert_eq!(found.generation, Some(from));
        records.insert(0, record(generation, expected, found.generation));
    }
    let RollbackError::NothingLeft { passed, .. } = back("v1=100", &records, &BOTH).unwrap_err()
    else {
        panic!("all of it was rolled back from");
    };
    let passed: Vec<_> = passed.iter().map(|it| (it.generation, it.shares.to_string())).collect();
    let left = [(7, "v1 90 %, v2 10 %"), (6, "v1 50 %, v2 50 %"), (5, "v2 100 %")];
    assert_eq!(passed, left.map(|(generation, shares)| (generation, shares.to_owned())));
    // What is published after it begins anew, also by another edit in between.
    records.insert(0, record(9, "v1=100", None));
    records.insert(0, record(10, "v1=80 v2=20", None));
    let found = back("v1=80 v2=20", &records, &BOTH).unwrap();
    assert_eq!(found.generation, Some(9));
}

#[test]
fn what_cannot_serve_any_more_is_passed_over() {
    let records = ramp();
    let mut replaced = records.clone();
    replaced[1].versions[1].digest = Some("v2-before".to_owned());
    let found = back("v2=100", &replaced, &BOTH).unwrap();
    assert_eq!(found.generation, Some(3));
    assert_eq!(found.passed.len(), 1);
    assert_eq!(found.passed[0].why.to_string(), "v2 has another component now");
    let gone = back("v2=100", &records, &Normal(&[("v2", "v2-digest")])).unwrap_err();
    assert!(
        matches!(&gone, RollbackError::NothingLeft { passed, .. } if passed.len() == 3),
        "{gone}"
    );
}

#[test]
fn a_bad_version_loses_everything() {
    let records = ramp();
    let found = decide(&Aim::Previous, "v2=100", &records, &BOTH, true).unwrap();
    assert!(found.to.is_same(&shares("v1=100")), "{found:?}");
    assert_eq!(found.losers(&shares("v2=100")), [name("v2")]);
    let half = Aim::Generation(4);
    let refused = decide(&half, "v2=100", &records, &BOTH, true).unwrap_err();
    assert!(matches!(refused, RollbackError::NoneBad { .. }), "{refused}");
}

/// Nobody loses traffic that nobody has: the history has something to go back to all the same.
#[test]
fn nothing_is_bad_where_nobody_has_traffic() {
    let records = vec![
        record(6, "v1=0 v2=0", None),
        record(5, "v2=100", None),
        record(4, "v1=100", Some(2)),
        record(3, "v1=50 v2=50", None),
        record(2, "v1=100", None),
    ];
    let previous = |bad| decide(&Aim::Previous, "v1=0 v2=0", &records, &BOTH, bad);
    assert_eq!(previous(false).unwrap().generation, Some(5));
    assert!(matches!(previous(true).unwrap_err(), RollbackError::NoneBad { .. }));
}

#[test]
fn a_generation_serves_what_the_last_change_before_it_says() {
    let mut records = ramp();
    records.insert(0, record(9, "v1=100", None));
    let to = |generation| decide(&Aim::Generation(generation), "v1=100", &records, &BOTH, false);
    assert!(to(7).unwrap().to.is_same(&shares("v2=100")));
    assert_eq!(to(1).unwrap_err(), RollbackError::Same(shares("v1=100")));
    let before = RollbackError::NoGeneration { service: "greeter".to_owned(), generation: 0 };
    assert_eq!(to(0).unwrap_err(), before);
    let all = Aim::Version(name("v2"));
    let all = decide(&all, "v1=100", &records, &BOTH, false).unwrap();
    assert!(all.to.is_same(&shares("v2=100")) && all.generation.is_none());
}
