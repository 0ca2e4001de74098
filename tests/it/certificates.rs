//! Certificates in files: followed in every way in which people and programs change them, while clients connect; and what
//! is told of those that end, or cannot be used.

mod client;
mod places;
mod restarts;

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::support::{Site, StopOnDrop, Watershed, eventually, one_version};
use client::ask;

const HOST: &str = "greeter.localhost";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate and its key, as they are written into files.
struct Made {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

fn made(name: &str, days: i32) -> Made {
    made_for(&[name], days)
}

/// One with so many days and a half left.
fn made_for(names: &[&str], days: i32) -> Made {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let begins = SystemTime::now() - 60 * DAY;
    params.not_before = begins.into();
    let days = u32::try_from(60 + days).unwrap();
    params.not_after = (begins + days * DAY + DAY / 2).into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = certificate.der().clone();
    Made { certificate: certificate.pem(), key: key.serialize_pem(), der }
}

/// The table of HTTPS with these pairs, each by the two ends of its path.
fn https(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(certificate, key)| {
        format!("[[server.tls.certificates]]\ncertificate = {certificate:?}\nkey = {key:?}\n")
    });
    format!("[server.tls]\nlisten = [\"127.0.0.1:0\"]\n{}", pairs.collect::<String>())
}

const PAIR: (&str, &str) = ("certs/a.pem", "certs/a.key");

fn site(watch: &str, pairs: &[(&str, &str)]) -> Site {
    let site = Site::new().server(&format!("watch = {watch:?}")).tables(&https(pairs));
    site.service("greeter", &one_version("v1"))
}

fn put(site: &Site, (certificate, key): (&str, &str), made: &Made) {
    site.write(certificate, &made.certificate);
    site.write(key, &made.key);
}

fn https_address(watershed: &Watershed) -> SocketAddr {
    let stdout = watershed.stdout();
    let address = stdout.lines().find_map(|line| line.strip_prefix("listening on https://"));
    address.unwrap_or_else(|| panic!("no HTTPS: {stdout}")).parse().unwrap()
}

fn shows(watershed: &Watershed, made: &Made) -> bool {
    ask(https_address(watershed), HOST) == made.der
}

fn await_certificate(watershed: &Watershed, made: &Made) {
    eventually("the new certificate", || shows(watershed, made));
}

/// The certificates of the status.
fn certificates(watershed: &Watershed) -> Vec<Value> {
    let status: Value = watershed.admin("/api/v1/status").json();
    status["certificates"].as_array().cloned().unwrap_or_default()
}

/// The exit code of a command, and what it says, as if no line were too long for a terminal.
fn asks(watershed: &Watershed, command: &str) -> (Option<i32>, String) {
    let admin = format!("http://{}", watershed.admin_address());
    let done = watershed.site.command(&[command, "--admin", &admin]).output().unwrap();
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn has_problem(watershed: &Watershed) -> bool {
    certificates(watershed).iter().any(|it| it["problem"].is_object())
}

/// Turns each function into two tests: one for each way of noticing changes.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod events {
            $(#[test] fn $name() { super::$name("events"); })*
        }
        mod poll {
            $(#[test] fn $name() { super::$name("poll:200ms"); })*
        }
    };
}

both_ways! {
    a_pair_that_changes_one_file_after_the_other_is_followed,
    a_pair_that_is_renamed_over_another_is_followed,
    a_kubernetes_secret_is_followed,
    links_of_certbot_are_followed,
    files_that_are_gone_take_nothing_away,
    a_certificate_that_is_added_is_served,
}

/// kubernetes/kubernetes#127538.
fn a_pair_that_changes_one_file_after_the_other_is_followed(watch: &str) {
    let (old, new) = (made(HOST, 90), made(HOST, 90));
    let site = site(watch, &[PAIR]);
    put(&site, PAIR, &old);
    let watershed = site.start();
    assert!(shows(&watershed, &old));
    watershed.site.write(PAIR.0, &new.certificate);
    eventually("the problem", || has_problem(&watershed));
    assert!(shows(&watershed, &old));
    watershed.log_line(&["a.key does not belong to", "a.pem", "certificate from before"]);
    let (_, shown) = asks(&watershed, "status");
    assert!(shown.contains("does not belong to"), "{shown}");
    watershed.site.write(PAIR.1, &new.key);
    await_certificate(&watershed, &new);
    eventually("no problem", || !has_problem(&watershed));
    watershed.log_line(&["can be used again"]);
    watershed.log_line(&["a.pem is served from now on", HOST, "90 days left"]);
}

fn a_pair_that_is_renamed_over_another_is_followed(watch: &str) {
    let site = site(watch, &[PAIR]);
    put(&site, PAIR, &made(HOST, 90));
    let watershed = site.start();
    for days in [10, 20, 30] {
        let new = made(HOST, days);
        watershed.site.replace(PAIR.0, &new.certificate);
        watershed.site.replace(PAIR.1, &new.key);
        await_certificate(&watershed, &new);
    }
}

fn a_kubernetes_secret_is_followed(watch: &str) {
    let pair = ("secret/tls.crt", "secret/tls.key");
    let site = site(watch, &[pair]);
    let write = |site: &Site, version: &str, made: &Made| {
        site.write(&format!("secret/{version}/tls.crt"), &made.certificate);
        site.write(&format!("secret/{version}/tls.key"), &made.key);
    };
    write(&site, "..1", &made(HOST, 90));
    site.link("secret/..data", "..1");
    site.link("secret/tls.crt", "..data/tls.crt");
    site.link("secret/tls.key", "..data/tls.key");
    let watershed = site.start();
    for version in ["..2", "..3", "..4"] {
        let new = made(HOST, 90);
        write(&watershed.site, version, &new);
        watershed.site.link("secret/..data", version);
        await_certificate(&watershed, &new);
    }
    assert!(!watershed.stderr().contains("ERROR"), "{}", watershed.stderr());
}

/// erebe/wstunnel#495: certbot removes each link and makes it anew, first that of the certificate.
fn links_of_certbot_are_followed(watch: &str) {
    let pair = ("live/shop/fullchain.pem", "live/shop/privkey.pem");
    let site = site(watch, &[pair]);
    let write = |site: &Site, number: u32, made: &Made| {
        site.write(&format!("archive/shop/fullchain{number}.pem"), &made.certificate);
        site.write(&format!("archive/shop/privkey{number}.pem"), &made.key);
        for (name, link) in [("fullchain", pair.0), ("privkey", pair.1)] {
            let link = site.path(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::remove_file(&link).ok();
            symlink(format!("../../archive/shop/{name}{number}.pem"), link).unwrap();
        }
    };
    write(&site, 1, &made(HOST, 90));
    let watershed = site.start();
    for number in 2..5 {
        let new = made(HOST, 90);
        write(&watershed.site, number, &new);
        await_certificate(&watershed, &new);
    }
}

fn files_that_are_gone_take_nothing_away(watch: &str) {
    let (old, new) = (made(HOST, 90), made(HOST, 90));
    let site = site(watch, &[PAIR]);
    put(&site, PAIR, &old);
    let watershed = site.start();
    fs::rename(watershed.site.path("certs"), watershed.site.path("elsewhere")).unwrap();
    eventually("the problem", || has_problem(&watershed));
    assert!(shows(&watershed, &old));
    put(&watershed.site, PAIR, &new);
    await_certificate(&watershed, &new);
    eventually("no problem", || !has_problem(&watershed));
}

fn a_certificate_that_is_added_is_served(watch: &str) {
    let (first, other) = (made("first.example", 90), made(HOST, 90));
    let site = site(watch, &[PAIR]);
    put(&site, PAIR, &first);
    let watershed = site.start();
    assert!(shows(&watershed, &first), "the first is for everybody");
    // The edit names it before it is there.
    let added = ("certs/b.pem", "certs/b.key");
    let main = watershed.site.read("watershed.toml");
    let text = format!(
        "{main}\n[[server.tls.certificates]]\ncertificate = {:?}\nkey = {:?}\n",
        added.0, added.1
    );
    watershed.site.replace("watershed.toml", text);
    eventually("the problem", || has_problem(&watershed));
    assert!(shows(&watershed, &first));
    put(&watershed.site, added, &other);
    await_certificate(&watershed, &other);
    assert_eq!(ask(https_address(&watershed), "unknown.example"), first.der);
}

/// kubernetes/kubernetes#127538 once more: what is reloaded disturbs nobody who connects meanwhile.
#[test]
fn no_handshake_fails_while_files_change() {
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &made(HOST, 90));
    let watershed = site.start();
    let (address, running) = (https_address(&watershed), AtomicBool::new(true));
    let connect = || {
        let mut count = 0;
        while running.load(Ordering::Relaxed) {
            ask(address, HOST);
            count += 1;
        }
        count
    };
    let asked: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(connect)).collect();
        let stop = StopOnDrop(&running);
        for _ in 0..10 {
            let new = made(HOST, 90);
            watershed.site.write(PAIR.0, &new.certificate[..100]);
            watershed.site.write(PAIR.0, &new.certificate);
            watershed.site.replace(PAIR.1, &new.key);
            await_certificate(&watershed, &new);
        }
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(asked > 20, "{asked}");
}

#[test]
fn a_start_without_any_certificate_is_refused() {
    let site = site("events", &[PAIR]);
    site.write(PAIR.0, made(HOST, 90).certificate);
    for command in [["run"], ["check"]] {
        let finished = site.command(&command).output().unwrap();
        let (said, told) = (finished.stdout, finished.stderr);
        let said = String::from_utf8([said, told].concat()).unwrap();
        assert_eq!(finished.status.code(), Some(1), "{said}");
        for words in ["certs/a.key is not there", "key = \"certs/a.key\"", "create the file"] {
            assert!(said.contains(words), "{said}");
        }
    }
}

/// apache/trafficcontrol#2478: a start with one bad pair serves all others.
#[test]
fn a_start_with_one_bad_pair_serves_the_others() {
    let (bad, good) = (("certs/bad.pem", "certs/bad.key"), made(HOST, 90));
    let site = site("events", &[bad, PAIR]);
    put(&site, PAIR, &good);
    site.write(bad.0, &good.certificate);
    site.write(bad.1, made(HOST, 90).key);
    let check = site.command(&["check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let watershed = site.start();
    watershed.log_line(&["bad.key does not belong to", "clients get none of it"]);
    assert!(shows(&watershed, &good));
    let shown = certificates(&watershed);
    assert_eq!((shown.len(), shown[1]["default"].as_bool()), (2, Some(true)), "{shown:?}");
    assert_eq!((&shown[0]["names"], &shown[0]["days_left"]), (&Value::Array(vec![]), &Value::Null));
}

#[test]
fn a_new_certificate_without_a_name_of_the_one_before_is_told_of() {
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &made_for(&[HOST, "shop.example", "a.shop.example"], 90));
    let watershed = site.start();
    let new = made_for(&[HOST, "*.shop.example"], 90);
    put(&watershed.site, PAIR, &new);
    await_certificate(&watershed, &new);
    watershed.log_line(&["WARN", "a.pem is no more for shop.example, as the one before was"]);
}

#[test]
fn a_certificate_that_ends_is_told_of_everywhere() {
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &made(HOST, 9));
    let check = site.command(&["check"]).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    let ends = format!("the certificate of {HOST} expires in 9 days");
    assert!(check.status.success() && said.contains(&ends), "{said}");
    let watershed = site.start();
    watershed.log_line(&["WARN", &ends]);
    let shown = &certificates(&watershed)[0];
    assert_eq!((&shown["days_left"], &shown["issuer"]), (&9.into(), &"itself".into()));
    assert!(shown["warnings"][0]["message"].as_str().unwrap().contains("9 days"), "{shown}");
    let (_, status) = asks(&watershed, "status");
    let line = format!("https {HOST}, signed by itself, 9 days left");
    assert!(status.contains(&line) && status.contains("expires in 9 days"), "{status}");
}

/// traefik/traefik#8606, redpanda-data/redpanda#16840: what was renewed has no series of before.
#[test]
fn the_metric_is_of_the_certificate_that_is_served() {
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &made(HOST, 9));
    let watershed = site.start();
    let ends = || {
        let text = watershed.admin("/metrics").text();
        let ends = text.lines().filter(|line| line.starts_with("watershed_certificate_expiry"));
        let ends: Vec<_> = ends.map(str::to_owned).collect();
        assert_eq!(ends.len(), 1, "{text}");
        let (labels, value) = ends[0].rsplit_once(' ').unwrap();
        assert!(labels.contains(&format!("name=\"{HOST}\"")), "{labels}");
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(value.parse().unwrap());
        since.duration_since(SystemTime::now()).unwrap().as_secs() / DAY.as_secs()
    };
    assert_eq!(ends(), 9);
    let new = made(HOST, 80);
    put(&watershed.site, PAIR, &new);
    await_certificate(&watershed, &new);
    eventually("the new end", || ends() == 80);
}

#[test]
fn ticket_keys_are_followed_and_bad_ones_replace_nothing() {
    let site = site("events", &[PAIR]);
    put(&site, PAIR, &made(HOST, 90));
    let tables = https(&[PAIR]).replacen("]\n", "]\nticket-keys = \"tickets.key\"\n", 1);
    let site = site.tables(&tables);
    site.write("tickets.key", "short");
    let check = site.command(&["check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let watershed = site.start();
    watershed.log_line(&["tickets.key", "cannot be used", "openssl rand"]);
    let troubles = || {
        let status: Value = watershed.admin("/api/v1/status").json();
        status["troubles"].to_string()
    };
    assert!(troubles().contains("tickets.key"), "{}", troubles());
    watershed.site.write("tickets.key", [7; 32]);
    eventually("no trouble", || !troubles().contains("tickets.key"));
    fs::remove_file(watershed.site.path("tickets.key")).unwrap();
    eventually("the trouble", || troubles().contains("openssl rand"));
}
