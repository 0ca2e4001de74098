//! Restarts while the files of certificates are not what clients get.

use std::fs;

use nix::sys::signal::Signal::SIGUSR2;

use super::{HOST, PAIR, asks, has_problem, https, made, made_for, put, shows, site};
use crate::support::{Chain, done, eventually, tell};

/// What the process serves is in its memory alone while the files are bad: a new process would not have it.
#[test]
fn a_restart_is_refused_while_a_pair_cannot_be_used() {
    let (old, other) = (made(HOST, 90), made("other.example", 90));
    let more = ("certs/b.pem", "certs/b.key");
    let site = site("events", &[PAIR, more]);
    put(&site, PAIR, &old);
    put(&site, more, &other);
    let watershed = site.start();
    watershed.site.write(PAIR.1, &other.key);
    eventually("the problem", || has_problem(&watershed));
    let (code, told) = asks(&watershed, "restart");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not belong to"), "{told}");
    assert!(shows(&watershed, &old));
}

#[test]
fn a_restart_does_not_replace_a_valid_certificate_by_one_that_has_expired() {
    let (old, expired) = (made(HOST, 90), made_for(&[HOST], -3));
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &old);
    let watershed = site.start();
    put(&watershed.site, PAIR, &expired);
    let (code, told) = asks(&watershed, "restart");
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("watershed.toml:")
            && told.contains("the certificate of")
            && told.contains("expired"),
        "{told}"
    );
    assert!(shows(&watershed, &old));
    watershed.log_line(&["WARN", "a.pem expired 2 days ago, so it is not served"]);
    let reloaded = watershed.admin_post("/api/v1/reload").json();
    let told = reloaded["warnings"][0]["message"].as_str().unwrap_or_default();
    assert!(told.contains("so the valid one before is served"), "{reloaded}");
    let text = watershed.admin("/metrics").text();
    assert!(text.contains("watershed_certificate_unusable{"), "{text}");
}

/// A pair that nobody gets is lost by nobody; one that the files give up is not missed.
#[test]
fn a_restart_goes_on_where_what_is_served_is_in_the_files() {
    let (old, other) = (made(HOST, 90), made("other.example", 90));
    let (none, more) = (("certs/none.pem", "certs/none.key"), ("certs/b.pem", "certs/b.key"));
    let site = site("poll:1h", &[PAIR, none]);
    put(&site, PAIR, &old);
    put(&site, more, &other);
    let chain = Chain::of(site);
    chain.signal(SIGUSR2);
    chain.follow();
    assert!(shows(&chain.watershed, &old));
    let site = &chain.watershed.site;
    let main = site.read("watershed.toml").replace("certs/a.", "certs/b.");
    let gone =
        "[[server.tls.certificates]]\ncertificate = \"certs/none.pem\"\nkey = \"certs/none.key\"\n";
    assert!(main.contains(gone), "{main}");
    site.replace("watershed.toml", main.replace(gone, ""));
    fs::remove_file(site.path(PAIR.0)).unwrap();
    chain.signal(SIGUSR2);
    chain.follow();
    assert!(shows(&chain.watershed, &other));
}

/// What the main file says no more can be no obstacle. That HTTPS goes with it is asked about all the same.
#[test]
fn a_pair_that_is_named_no_more_is_no_obstacle() {
    let site = site("events", &[PAIR]);
    let old = made(HOST, 90);
    put(&site, PAIR, &old);
    let watershed = site.start();
    fs::remove_file(watershed.site.path(PAIR.1)).unwrap();
    eventually("the problem", || has_problem(&watershed));
    let main = watershed.site.read("watershed.toml");
    let tables = https(&[PAIR]);
    assert!(main.contains(&tables), "{main}");
    watershed.site.replace("watershed.toml", main.replace(&tables, ""));
    let told = || watershed.status()["last_reload"].to_string();
    eventually("the tables are gone", || told().contains("server.tls.listen"));
    assert!(!told().contains("a.key"), "{}", told());
    let status = done(&watershed, &["status"]);
    assert!(!status.contains("a.key") && !status.contains("is refused"), "{status}");
    assert!(shows(&watershed, &old), "until a restart");
    let dry = tell(&watershed, &["restart", "--dry-run"]);
    assert_eq!(dry.code, Some(2), "{dry:?}");
    let asked = tell(&watershed, &["restart", "--json"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    let why = "although nobody would listen at 127.0.0.1:";
    assert!(asked.stdout.contains("nobody-to-ask") && asked.stdout.contains(why), "{asked:?}");
    assert!(shows(&watershed, &old));
}
