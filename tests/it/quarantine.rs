//! A quarantined version gets no traffic: a split that gives it some is held, and `latest = true` passes it over.

use serde_json::Value;
use watershed::source::load;

use crate::support::{GREETER, Site, Watershed, assert_problem, eventually, greeter, lab, split};

/// A service whose first version greets, and whose second one is another component.
fn versions() -> String {
    greeter("v1") + &lab("v2")
}

fn digest(watershed: &Watershed, version: &str) -> String {
    let version = watershed.version("greeter", version);
    version["digest"].as_str().unwrap_or_else(|| panic!("no digest: {version:#}")).to_owned()
}

fn entry(digest: &str, more: &str) -> String {
    format!("\n[[quarantine]]\ndigest = \"{digest}\"\nversion = \"v2\"\n{more}\n")
}

fn held(watershed: &Watershed) -> Value {
    watershed.service("greeter")["held"].clone()
}

fn share(watershed: &Watershed, version: &str) -> Value {
    watershed.version("greeter", version)["share"].clone()
}

#[test]
fn a_split_that_gives_it_traffic_is_held() {
    let only_first = versions() + &split("v1 = 100");
    let watershed = Site::new().service("greeter", &only_first).start();
    let bad = entry(&digest(&watershed, "v2"), "remark = \"it forgets carts\"");
    let both = versions() + &split("v1 = 90, v2 = 10");
    watershed.site.write("services/greeter.toml", both.clone() + &bad);
    eventually("the split to be held", || held(&watershed).is_string());
    let why = held(&watershed);
    let expected = "the split gives v2 10 %, and v2 is quarantined: it forgets carts; remove its \
                    `[[quarantine]]` entry, or use `watershed traffic … --force`";
    assert_eq!(why, expected);
    assert_eq!((share(&watershed, "v1"), share(&watershed, "v2")), (100.0.into(), 0.0.into()));
    watershed.await_greeting("Hello from v1!\n");
    watershed.site.write("services/greeter.toml", &both);
    eventually("the released split", || share(&watershed, "v2") == 10.0);
    assert_eq!(held(&watershed), Value::Null);
    // A version that is served already loses its share at once, to the others.
    watershed.site.write("services/greeter.toml", both + &bad);
    eventually("the split to be held again", || held(&watershed).is_string());
    assert_eq!((share(&watershed, "v1"), share(&watershed, "v2")), (100.0.into(), 0.0.into()));
    let why = held(&watershed);
    assert!(why.as_str().unwrap().contains("until then v2 is quarantined"), "{why}");
    watershed.site.write("services/greeter.toml", only_first + &bad);
    eventually("the split that gives it nothing", || held(&watershed).is_null());
    assert_eq!(share(&watershed, "v1"), 100.0);
}

#[test]
fn the_latest_passes_it_over() {
    let watershed = Site::new().service("greeter", &versions()).start();
    assert_eq!(share(&watershed, "v2"), 100.0);
    let bad = entry(&digest(&watershed, "v2"), "");
    watershed.site.write("services/greeter.toml", versions() + &bad);
    eventually("the version before it", || share(&watershed, "v1") == 100.0);
    assert_eq!(held(&watershed), Value::Null);
    watershed.await_greeting("Hello from v1!\n");
    watershed.site.write("services/greeter.toml", lab("v2") + &bad);
    eventually("nobody that may have traffic", || held(&watershed).is_string());
    assert!(
        held(&watershed).as_str().unwrap().contains("v2 is quarantined"),
        "{}",
        held(&watershed)
    );
    watershed.await_greeting("Hello from v1!\n");
}

/// Of two versions with one component, only the one with the environment is meant.
#[test]
fn an_entry_may_hold_for_one_environment_only() {
    let both = greeter("v1") + &greeter("v2");
    let watershed = Site::new().service("greeter", &both).start();
    watershed.await_greeting("Hello from v2!\n");
    let config = load(&watershed.site.main_file()).unwrap();
    let env = config.environments[0].services[0].versions[1].env_digest();
    let bad = entry(&digest(&watershed, "v2"), &format!("env = \"{env}\""));
    watershed.site.write("services/greeter.toml", both.clone() + &bad);
    watershed.await_greeting("Hello from v1!\n");
    let all = entry(&digest(&watershed, "v2"), "");
    watershed.site.write("services/greeter.toml", both + &all);
    eventually("nobody that may have traffic", || held(&watershed).is_string());
    assert_problem(&watershed.get(GREETER, "/"), 503, "no-version");
}

/// A process that starts with the entry gives the version's share to the others, like one that runs.
#[test]
fn it_gets_no_traffic_after_a_restart() {
    let both = versions() + &split("v1 = 90, v2 = 10");
    let site = Site::new().service("greeter", &both).service("other", &greeter("v1"));
    let watershed = site.start();
    let bad = entry(&digest(&watershed, "v2"), "");
    drop(watershed);
    let site = Site::new().service("greeter", &(both + &bad)).service("other", &greeter("v1"));
    let watershed = site.start();
    watershed.assert_serves("other.localhost", "/");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    assert_eq!((share(&watershed, "v1"), share(&watershed, "v2")), (100.0.into(), 0.0.into()));
    assert!(held(&watershed).as_str().unwrap().contains("v2 is quarantined"));
}
