//! Which route a request finds.

use super::super::request::tests::parts;
use super::*;

fn find(routes: &RouteTable<u8>, host: &str) -> Option<u8> {
    find_at(routes, host, "/").map(|(target, _)| target)
}

fn find_at(routes: &RouteTable<u8>, host: &str, path: &str) -> Option<(u8, Option<String>)> {
    let parts = parts(path, &[("host", host)]);
    let found = routes.find(&parts)?;
    Some((*found.target, found.preview.map(str::to_owned)))
}

fn routes() -> RouteTable<u8> {
    let mut routes = RouteTableBuilder::default();
    routes.exact("a.example.org", Part::WHOLE, 1).wildcard("example.org", Part::WHOLE, 2).exact(
        "[::1]",
        Part::WHOLE,
        3,
    );
    routes.build()
}

#[test]
fn an_exact_name_goes_before_a_wildcard() {
    assert_eq!(find(&routes(), "a.example.org"), Some(1));
    assert_eq!(find(&routes(), "b.example.org"), Some(2));
}

#[test]
fn a_wildcard_matches_one_label_only() {
    assert_eq!(find(&routes(), "a.b.example.org"), None);
    assert_eq!(find(&routes(), "example.org"), None);
    assert_eq!(find(&routes(), ".example.org"), None);
}

#[test]
fn port_case_and_trailing_dot_do_not_matter() {
    for host in ["A.Example.ORG", "a.example.org:8080", "a.example.org.", "A.example.org.:1"] {
        assert_eq!(find(&routes(), host), Some(1), "{host}");
    }
    assert_eq!(find(&routes(), "[::1]:80"), Some(3));
    assert_eq!(find(&routes(), "[::1]"), Some(3));
    for host in ["[0:0:0:0:0:0:0:1]", "[0::0001]:80", "[::0:1]"] {
        assert_eq!(find(&routes(), host), Some(3), "{host}");
    }
    for host in ["[::2]", "[::1", "::1", "[::1%25lo]", "[127.0.0.1]", "[]"] {
        assert_eq!(find(&routes(), host), None, "{host}");
    }
}

#[test]
fn the_last_resort_has_every_other_host_and_path() {
    let part = |path| Part { path, ..Part::WHOLE };
    let mut routes = RouteTableBuilder::default();
    routes
        .exact("a.test", part("/api"), 1)
        .wildcard("test", part("/api"), 2)
        .any(Part { has_previews: true, ..Part::WHOLE }, 3)
        .any(part("/deep"), 4);
    let mut routes = routes.build();
    let at = |routes: &RouteTable<u8>, host: &str, path: &str| find_at(routes, host, path);
    assert_eq!(at(&routes, "a.test", "/api"), Some((1, None)));
    assert_eq!(at(&routes, "b.test", "/api"), Some((2, None)));
    for host in ["a.test", "b.test", "example.org", "v2--x.example", "[::1%25lo]", "127.0.0.1"] {
        assert_eq!(at(&routes, host, "/"), Some((3, None)), "{host}");
    }
    let long = "a".repeat(400);
    assert_eq!(at(&routes, &long, "/deep/1"), Some((4, None)));
    assert_eq!(at(&routes, &long.to_uppercase(), "/deep/1"), Some((4, None)));
    for nobody in [parts("/", &[]), parts("/", &[("host", "")])] {
        assert_eq!(routes.find(&nobody), None);
    }
    assert_eq!(routes.named(&parts("/", &[("host", "example.org")])), None);
    routes.remove(HostPattern::Any, "/", |target| *target == 3);
    assert_eq!(at(&routes, "example.org", "/"), None);
    routes.add(HostPattern::Any, Part::WHOLE, 5);
    assert_eq!(at(&routes, "example.org", "/"), Some((5, None)));
}

#[test]
fn an_overlong_host_matches_nothing() {
    assert_eq!(find(&routes(), &"A".repeat(400)), None);
}

#[test]
fn the_authority_goes_before_the_host_header() {
    let parts = parts("http://a.example.org/", &[("host", "b.example.org")]);
    assert_eq!(routes().find(&parts).map(|found| *found.target), Some(1));
}

#[test]
fn the_longest_path_wins_and_ends_at_a_segment() {
    let part = |path| Part { path, ..Part::WHOLE };
    let mut routes = RouteTableBuilder::default();
    routes
        .exact("a.test", part("/api"), 1)
        .exact("a.test", part("/api/v2"), 2)
        .exact("a.test", part("/api"), 9)
        .wildcard("test", part("/"), 3);
    let routes = routes.build();
    let at = |path| find_at(&routes, "a.test", path).map(|(target, _)| target);
    assert_eq!([at("/api"), at("/api/"), at("/api/v1"), at("/api?x=/v2")], [Some(1); 4]);
    assert_eq!([at("/api/v2"), at("/api/v2/x"), at("/%61pi/v2")], [Some(2); 3]);
    // What no path of the host has is for the wildcard.
    assert_eq!([at("/"), at("/apis"), at("/api%2Fv2")], [Some(3); 3]);
}

#[test]
fn a_route_goes_without_the_others_of_its_host() {
    let part = |path| Part { path, ..Part::WHOLE };
    let mut builder = RouteTableBuilder::default();
    builder.exact("a.test", part("/api"), 1).exact("a.test", part("/"), 2);
    let before = builder.build();
    let mut after = before.clone();
    after.remove(HostPattern::Exact("A.test"), "/api/", |target| *target == 9);
    after.remove(HostPattern::Exact("A.test"), "/", |target| *target == 2);
    after.add(HostPattern::Wildcard("test"), Part::WHOLE, 3);
    fn at(routes: &RouteTable<u8>, path: &str) -> Option<u8> {
        find_at(routes, "a.test", path).map(|(target, _)| target)
    }
    assert_eq!((at(&before, "/api"), at(&before, "/")), (Some(1), Some(2)));
    assert_eq!((at(&after, "/api"), at(&after, "/")), (Some(1), Some(3)));
    after.remove(HostPattern::Exact("a.test"), "/api", |target| *target == 1);
    assert_eq!(at(&after, "/api"), Some(3));
}

#[test]
fn previews_are_for_those_who_want_them() {
    let preview = Part { has_previews: true, ..Part::WHOLE };
    let mut routes = RouteTableBuilder::default();
    routes
        .exact("shop.test", preview, 1)
        .exact("v3--shop.test", Part::WHOLE, 2)
        .exact("other.test", Part::WHOLE, 3)
        .wildcard("test", Part::WHOLE, 4)
        .wildcard("example.org", preview, 5);
    let routes = routes.build();
    let at = |host| find_at(&routes, host, "/");
    assert_eq!(at("v2--shop.test"), Some((1, Some("v2".to_owned()))));
    assert_eq!(at("V2--Shop.test:80"), Some((1, Some("V2".to_owned()))));
    assert_eq!(at("v3--shop.test"), Some((2, None)), "a name of its own");
    assert_eq!(at("v2--other.test"), Some((4, None)), "no previews: a label like others");
    assert_eq!(at("v2--a.example.org"), Some((5, Some("v2".to_owned()))));
    assert_eq!(at("v2--a--b.example.org"), Some((5, Some("v2".to_owned()))));
    assert_eq!(at("--shop.test"), Some((1, Some(String::new()))));
}

#[test]
fn a_port_is_what_follows_the_host() {
    for (host, expected) in [
        ("a.test", None),
        ("a.test:", None),
        ("a.test:80", Some(80)),
        ("a.test:00080", Some(80)),
        ("a.test:65536", None),
        ("[::1]", None),
        ("[::1]:8080", Some(8080)),
        ("[2001:db8::80]", None),
    ] {
        assert_eq!(port(&parts("/", &[("host", host)])), expected, "{host}");
    }
    assert_eq!(port(&parts("/", &[])), None);
}
