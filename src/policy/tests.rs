//! Eligibility and verdicts: each way in which what is served can differ from what is declared.

use proptest::prelude::*;

use super::*;
use crate::config::{
    Digest, EnvValue, GuestSpec, Percent, PolicySpec, Quarantined, Reach, Rescue, Service,
    ServiceName, Split, Traffic, VersionName, VersionSpec,
};

fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn spec(text: &str) -> VersionSpec {
    let env = vec![("NAME".to_owned(), EnvValue::Plain(text.to_owned()))];
    VersionSpec::new(name(text), GuestSpec { env, ..GuestSpec::new("/app.wasm") })
}

fn percent(share: u16) -> Percent {
    Percent::from_hundredths(share * 100).unwrap()
}

fn split(shares: &[u16]) -> Split {
    Split::new(shares.iter().map(|share| percent(*share)).enumerate().collect()).unwrap()
}

/// A service of `v1`, `v2` and so on; no shares mean `latest = true`.
fn service(versions: usize, shares: &[u16]) -> Service {
    Service {
        name: ServiceName::new("shop").unwrap(),
        domains: Vec::new(),
        routes: Vec::new(),
        versions: (1..=versions).map(|number| spec(&format!("v{number}"))).collect(),
        traffic: if shares.is_empty() { Traffic::Latest } else { Traffic::Split(split(shares)) },
        policy: PolicySpec { reach: vec![Reach::Live; versions], ..PolicySpec::default() },
        quarantine: Vec::new(),
        file: "/shop.toml".into(),
    }
}

/// `n` for normal, `c` for creating, `e` for in error: a letter for each version.
fn standings(letters: &str) -> Vec<Standing> {
    let standing = |(index, letter): (usize, char)| match letter {
        'n' => Standing::Normal { digest: digest(u8::try_from(index).unwrap() + 1) },
        'c' => Standing::Creating,
        _ => Standing::Error(Fault {
            code: "not-found".to_owned(),
            detail: "there is no file".to_owned(),
            suggestion: "build it".to_owned(),
            may_pass: false,
        }),
    };
    letters.chars().enumerate().map(standing).collect()
}

/// `v1` to the rescue.
fn rescue() -> Rescue {
    let (methods, statuses) = (Vec::new(), Vec::new());
    Rescue { version: 0, buffer: Rescue::BUFFER_DEFAULT, methods, statuses }
}

fn quarantine(service: &mut Service, version: u8) {
    service.quarantine.push(Quarantined {
        digest: digest(version),
        env: None,
        version: name(&format!("v{version}")),
        remark: None,
    });
}

/// Served before: the versions of a service, made as `standings` has it.
fn before<'a>(service: &'a Service, base: Base) -> Before<'a> {
    let incumbents = (1..).zip(&service.versions).map(|(number, spec)| {
        Some(Incumbent { name: &spec.name, digest: Some(digest(number)), env: Some(spec.env()) })
    });
    Before { base, incumbents: incumbents.collect() }
}

/// `v1=90 v2=10`, or the same with why it is held.
fn told(verdict: &Verdict) -> String {
    let shares = verdict.shares.iter().map(|(name, share)| format!("{name}={share}"));
    shares.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn at_start(service: &Service, letters: &str, expected: &str, held: &str) {
    asserted(service, letters, None, expected, held);
}

#[track_caller]
fn asserted(
    service: &Service,
    letters: &str,
    before: Option<&Before<'_>>,
    expected: &str,
    held: &str,
) {
    let standings = standings(letters);
    let verdict = Case { service, standings: &standings, before }.verdict();
    assert_eq!(told(&verdict), expected, "{verdict:?}");
    let why = verdict.held.as_deref().unwrap_or_default();
    assert_eq!(why.is_empty(), held.is_empty(), "{why:?}");
    assert!(why.contains(held), "{held:?} is not in {why:?}");
}

#[test]
fn the_latest_passes_over_what_may_not_serve() {
    let mut shop = service(3, &[]);
    at_start(&shop, "nnn", "v3=100", "");
    at_start(&shop, "nne", "v2=100", "");
    at_start(&shop, "ncc", "v1=100", "");
    at_start(&shop, "eee", "", "no declared version is normal");
    shop.policy.reach[2] = Reach::Override;
    at_start(&shop, "nnn", "v2=100", "");
    quarantine(&mut shop, 2);
    at_start(&shop, "nnn", "v1=100", "");
    at_start(&shop, "enn", "", "v2 is quarantined");
    shop.quarantine.clear();
    at_start(&shop, "een", "", "has the reach `live`");
}

#[test]
fn a_split_is_served_whole_or_not() {
    let mut shop = service(2, &[90, 10]);
    at_start(&shop, "nn", "v1=90 v2=10", "");
    at_start(&shop, "nc", "", "v2 gets 10 % once it is normal");
    at_start(&shop, "ne", "", "v2 cannot become normal (not-found");
    at_start(&service(2, &[0, 0]), "ee", "", "");
    // A closed version is not waited for.
    quarantine(&mut shop, 2);
    at_start(&shop, "nn", "v1=100", "v2 is quarantined");
    at_start(&shop, "cn", "", "v1 gets 90 %");
}

/// Before: 50, 30 and 20 of `v1` to `v3`; declared: all to `v4`, which is in error.
#[test]
fn what_goes_on_goes_on_without_what_is_closed() {
    let old = service(3, &[50, 30, 20]);
    let served = before(&old, Base::Split(split(&[50, 30, 20])));
    let mut shop = service(4, &[0, 0, 0, 100]);
    let serve = |shop: &Service, expected: &str, held: &str| {
        asserted(shop, "nnne", Some(&served), expected, held);
    };
    serve(&shop, "v1=50 v2=30 v3=20", "v4 cannot become normal");
    for reach in [Reach::Pinned, Reach::Override, Reach::Cutoff] {
        shop.policy.reach[2] = reach;
        serve(&shop, "v1=62.5 v2=37.5", "until then v3");
    }
    quarantine(&mut shop, 2);
    serve(&shop, "v1=100", "v2 is quarantined and v3 is cut off");
    shop.policy.reach[0] = Reach::Cutoff;
    serve(&shop, "", "requests get 503 `no-version`");
    // A version that is no longer declared is known by what it is made of.
    let mut shop = service(1, &[100]);
    asserted(&shop, "e", Some(&served), "v1=50 v2=30 v3=20", "v1 cannot become normal");
    quarantine(&mut shop, 3);
    asserted(&shop, "e", Some(&served), "v1=62.5 v2=37.5", "v3 is quarantined");
}

/// The latest version waits for one that is being made only while something is served.
#[test]
fn the_latest_does_not_wait_where_nothing_is_left() {
    let old = service(2, &[]);
    let served = before(&old, Base::Latest(1));
    let mut shop = service(3, &[]);
    asserted(&shop, "nnc", Some(&served), "v2=100", "v3 gets everything once it is normal");
    shop.policy.reach[1] = Reach::Cutoff;
    asserted(&shop, "nnc", Some(&served), "v1=100", "");
    asserted(&shop, "enc", Some(&served), "", "so that nothing of what was served before is left");
}

/// The rescue version answers while none has a share, if it can and the file does not close it.
#[test]
fn the_rescue_version_stands_in_for_all() {
    let mut shop = service(2, &[0, 100]);
    shop.policy.rescue = Some(rescue());
    let stand_in = |shop: &Service, letters: &str| {
        let standings = standings(letters);
        let verdict = Case { service: shop, standings: &standings, before: None }.verdict();
        verdict.stand_in.map(|name| name.to_string())
    };
    for (letters, found) in
        [("nn", None), ("ne", Some("v1")), ("nc", Some("v1")), ("ee", None), ("cc", None)]
    {
        assert_eq!(stand_in(&shop, letters).as_deref(), found, "{letters}");
    }
    shop.policy.reach[0] = Reach::Override;
    assert_eq!(stand_in(&shop, "ne"), None);
    assert_eq!(rescue::instead(None), "nothing is served, and requests get 503 `no-version`");
    let rescued = "no version has a share, and the rescue version v1 answers requests";
    assert_eq!(rescue::instead(Some("v1")), rescued);
}

#[test]
fn what_is_left_of_what_was_served_is_told_with_the_rescue() {
    let old = service(3, &[]);
    let before = before(&old, Base::Latest(1));
    let mut shop = service(3, &[0, 0, 100]);
    shop.policy.rescue = Some(rescue());
    shop.policy.reach[1] = Reach::Cutoff;
    asserted(&shop, "nne", Some(&before), "", "left: the rescue version v1 answers requests");
}

#[test]
fn offline_goes_on_and_nothing_does_not() {
    let old = service(1, &[0]);
    let shop = service(1, &[100]);
    asserted(&shop, "e", Some(&before(&old, Base::Offline)), "", "cannot become normal");
    let standings = standings("e");
    let serves = |base| {
        let before = before(&old, base);
        Case { service: &shop, standings: &standings, before: Some(&before) }.verdict().serve
    };
    assert_eq!(serves(Base::Offline), Serve::Before(Base::Offline));
    assert_eq!(serves(Base::Nothing), Serve::Declared(Base::Nothing));
}

/// An entry for one environment, and two versions of one component.
#[test]
fn a_quarantine_may_be_of_one_environment() {
    let mut shop = service(2, &[]);
    let env = Some(shop.versions[1].env_digest());
    shop.quarantine.push(Quarantined { digest: digest(7), env, version: name("v2"), remark: None });
    let standings = vec![Standing::Normal { digest: digest(7) }; 2];
    let verdict = Case { service: &shop, standings: &standings, before: None }.verdict();
    assert_eq!(told(&verdict), "v1=100");
}

#[test]
fn a_footing_says_what_a_version_may_take() {
    let mut shop = service(1, &[]);
    let eligibility = |shop: &Service, letter: &str, before: Option<&Incumbent<'_>>| {
        let eligibility = Eligibility::of(shop, 0, &standings(letter)[0], before);
        let takes = [
            eligibility.obstacle().is_none(),
            eligibility.takes_rules(),
            eligibility.keeps_pins(),
            eligibility.takes_overrides(),
        ];
        takes.map(|takes| if takes { 'x' } else { '-' }).iter().collect::<String>()
    };
    let old = spec("v1");
    let made = Incumbent { name: &old.name, digest: Some(digest(9)), env: Some(old.env()) };
    assert_eq!(eligibility(&shop, "n", None), "xxxx");
    assert_eq!(eligibility(&shop, "e", Some(&made)), "--x-", "its users come back");
    assert_eq!(eligibility(&shop, "c", None), "--x-");
    assert_eq!(eligibility(&shop, "c", Some(&made)), "-xxx", "what it was before stands in");
    for (reach, takes) in
        [(Reach::Pinned, "--xx"), (Reach::Override, "---x"), (Reach::Cutoff, "----")]
    {
        shop.policy.reach[0] = reach;
        assert_eq!(eligibility(&shop, "n", None), takes);
    }
    shop.policy.reach[0] = Reach::Pinned;
    quarantine(&mut shop, 1);
    assert_eq!(eligibility(&shop, "n", None), "----");
    // The former version cannot stand in, and its users come back.
    shop.quarantine[0].digest = digest(9);
    assert_eq!(eligibility(&shop, "c", Some(&made)), "--x-");
}

proptest! {
    /// Whichever versions are closed, the others keep their proportions, and no share is lost.
    #[test]
    fn what_is_left_of_a_split_adds_up(cuts in prop::collection::vec(0..=100_u16, 0..5), closed: u8) {
        let mut ends = cuts;
        ends.extend([0, 100]);
        ends.sort_unstable();
        let shares: Vec<u16> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let is_closed = |index: usize| closed >> index & 1 == 1;
        let left: Vec<_> = shares.iter().enumerate().filter(|(index, share)| {
            !is_closed(*index) && **share > 0
        }).collect();
        let sum: u16 = left.iter().map(|(_, share)| **share).sum();
        match Base::Split(split(&shares)).without(is_closed) {
            Base::Split(rest) => {
                let total: u16 = rest.shares().iter().map(|(_, share)| share.hundredths()).sum();
                prop_assert_eq!(total, 10_000);
                for (index, share) in left {
                    let exact = f64::from(*share) / f64::from(sum) * 10_000.0;
                    let now = f64::from(rest.share_of(index).hundredths());
                    prop_assert!((now - exact).abs() < 1.0);
                }
                for (index, _) in shares.iter().enumerate().filter(|(index, _)| is_closed(*index)) {
                    prop_assert_eq!(rest.share_of(index), Percent::ZERO);
                }
            }
            other => {
                prop_assert_eq!(other, Base::Nothing);
                prop_assert!(left.is_empty());
            }
        }
    }
}
