//! Any bytes as a user's key: wherever the key stands in a request, and however it is encoded there, it has one hash,
//! and so one version.

#![no_main]

use std::fmt::Write;
use std::time::{Duration, Instant};

use http::HeaderName;
use http::header::COOKIE;
use libfuzzer_sys::fuzz_target;
use watershed_fuzz::routing::{
    Affinity, Asked, Base, KeySource, KnownVersion, Owner, Pins, Policy, Splitter, Sticky, Text,
    Ways, bucket,
};

fuzz_target!(|key: &[u8]| {
    let of = |source| Affinity::new(source, "default", "greeter", true);
    let expected = of(KeySource::ClientAddress).hash_of(Text::plain(key));
    assert!(bucket(expected) < 10_000);
    let encoded = key.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").expect("a string can be written to");
        text
    });
    let query = http::Request::get(format!("/?a=b&user={encoded}&c")).body(());
    let (parts, ()) = query.expect("an encoded query is one").into_parts();
    let asked = Asked { parts: &parts, client: None, preview: None };
    let hash = of(KeySource::Query("user".to_owned())).hash(asked);
    assert_eq!(hash, (!key.is_empty()).then_some(expected));
    // Unencoded, in places that allow these bytes.
    let request = http::Request::get("/").header("x-user", key).header(COOKIE, key);
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let asked = Asked { parts: &parts, client: None, preview: None };
    let source = KeySource::Header(HeaderName::from_static("x-user"));
    assert_eq!(of(source.clone()).hash(asked), (!key.is_empty()).then_some(expected));
    for name in ["a", "user", "", "watershed-id"] {
        of(KeySource::Cookie(name.to_owned())).hash(asked);
    }
    stays(asked, of(source));
});

/// A user with a version gets it again, with or without a pin.
fn stays(asked: Asked<'_>, affinity: Affinity) {
    let names = ["v1", "v2"];
    let owner = |(index, name)| Owner { name, share: 5_000, index };
    let owners: Vec<_> = names.into_iter().enumerate().map(owner).collect();
    thread_local! {
        static SHARES: std::cell::OnceCell<std::sync::Arc<Splitter>> = const { std::cell::OnceCell::new() };
    }
    let ways = Ways { is_sticky: true, is_smooth: false };
    let shares = SHARES.with(|it| it.get_or_init(|| Splitter::new(&owners, ways).into()).clone());
    let candidate = |(index, name): (usize, &str)| KnownVersion {
        index,
        name: name.to_owned(),
        hash: index as u64,
        keeps_pins: true,
        may_override: true,
    };
    let versions: Vec<_> = names.into_iter().enumerate().map(candidate).collect();
    let policy = |pins| Policy {
        sticky: Some(Sticky { affinity: affinity.clone(), pins }),
        ..Policy::plain(Base::Split(shares.clone()), versions.clone())
    };
    let now = Instant::now();
    let pinned = policy(Some(Pins::new(Duration::from_secs(60))));
    let first = pinned.decide(asked, now);
    if first.hash.is_some() {
        assert_eq!(first.version, pinned.decide(asked, now).version);
        assert_eq!(first.version, policy(None).decide(asked, now).version);
    }
}
