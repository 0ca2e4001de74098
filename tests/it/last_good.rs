//! One wrong file leaves its own service as it was, and nothing else.

use serde_json::Value;

use crate::support::{GREETER, Site, Watershed, eventually, greeter, split};

const OTHER: &str = "other.localhost";

fn one(version: &str) -> String {
    greeter(version) + &split(&format!("{version} = 100"))
}

fn serve() -> Watershed {
    Site::new().service("greeter", &one("v1")).service("other", &one("v1")).start()
}

fn greets(watershed: &Watershed, host: &str, version: &str) -> bool {
    watershed.get(host, "/").text() == format!("Hello from {version}!\n")
}

fn rejected(watershed: &Watershed) -> Vec<Value> {
    watershed.status()["rejected"].as_array().cloned().unwrap_or_default()
}

#[test]
fn the_other_services_are_updated() {
    let watershed = serve();
    watershed.site.write("services/greeter.toml", "[traffic\n");
    watershed.site.write("services/other.toml", one("v2"));
    eventually("the other service's edit", || greets(&watershed, OTHER, "v2"));
    assert!(greets(&watershed, GREETER, "v1"), "it goes on as it was");

    let status = watershed.status();
    assert_eq!(status["last_reload"]["outcome"], "published");
    let [rejection] = &rejected(&watershed)[..] else { panic!("{status:#}") };
    assert_eq!(rejection["serves"], "greeter");
    assert_eq!(rejection["problems"][0]["line"], 1);
    let own = watershed.service("greeter");
    assert!(own["rejected"]["report"].as_str().unwrap().contains("greeter.toml:1"), "{own:#}");
    assert!(own["since_generation"].as_u64() < status["generation"].as_u64(), "{own:#}");
    assert!(watershed.service("other")["rejected"].is_null());
    watershed.log_line(&["rejected; default/greeter is served as before"]);
    watershed.await_metric("watershed_config_rejected_files", &[], 1.0);
    assert_eq!(watershed.admin("/readyz").status, 200);

    watershed.site.write("services/greeter.toml", one("v3"));
    eventually("the edit that is right", || greets(&watershed, GREETER, "v3"));
    assert!(rejected(&watershed).is_empty());
    watershed.await_metric("watershed_config_rejected_files", &[], 0.0);
}

#[test]
fn a_service_that_takes_anothers_domain_is_told_where_that_is() {
    let watershed = serve();
    watershed
        .site
        .write("services/greeter.toml", "domains = [\"x.example\"]\n".to_owned() + &one("v1"));
    eventually("the domain", || greets(&watershed, "x.example", "v1"));
    watershed
        .site
        .write("services/another.toml", "domains = [\"x.example\"]\n".to_owned() + &one("v2"));
    eventually("a report", || rejected(&watershed).len() == 1);
    let report = rejected(&watershed)[0]["report"].as_str().unwrap().to_owned();
    for place in ["another.toml:1:12", "greeter.toml on line 1"] {
        assert!(report.contains(place), "{report}");
    }
    assert!(greets(&watershed, "x.example", "v1"));
    assert_eq!(watershed.get("another.localhost", "/").status, 404);
    watershed.site.write("services/greeter.toml", one("v1"));
    eventually("the domain's next owner", || greets(&watershed, "x.example", "v2"));
    assert!(rejected(&watershed).is_empty(), "though its file was not touched");
}

#[test]
fn a_start_serves_every_service_that_is_right() {
    let site = Site::new().service("greeter", &one("v1"));
    site.write("services/broken.toml", "versions = 3\n");
    let watershed = site.start();
    assert!(greets(&watershed, GREETER, "v1"));
    assert_eq!(watershed.get("broken.localhost", "/").status, 404);
    watershed.log_line(&["broken.toml:1:12"]);
    watershed.site.write("services/broken.toml", one("v2"));
    eventually("the mended service", || greets(&watershed, "broken.localhost", "v2"));
}

#[test]
fn a_service_that_is_kept_still_follows_its_component() {
    let site = Site::new();
    let copy = |site: &Site, plugin| {
        site.replace("bin/app.wasm", std::fs::read(crate::support::plugin(plugin)).unwrap());
    };
    site.write("bin/app.wasm", "");
    copy(&site, "lab");
    let text =
        format!("[[versions]]\nname = \"v1\"\ncomponent = {:?}\n", site.path("bin/app.wasm"));
    let watershed = site.service("greeter", &text).start();
    watershed.site.write("services/greeter.toml", "nonsense");
    eventually("a report", || rejected(&watershed).len() == 1);
    assert_eq!(watershed.get(GREETER, "/count").text(), "1\n");
    copy(&watershed.site, "greeter");
    eventually("the new component", || watershed.get(GREETER, "/").text() == "Hello!\n");
}

#[test]
fn a_wrong_main_file_changes_nothing_and_counts_as_wrong() {
    let watershed = serve();
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main.clone() + "[nonsense]\n");
    watershed.await_metric("watershed_config_rejected_files", &[], 1.0);
    watershed.site.write("services/other.toml", one("v2"));
    eventually("another rejection", || {
        watershed.metric("watershed_reloads_total", &[("outcome", "rejected")]) > 1.5
    });
    assert!(greets(&watershed, OTHER, "v1"), "no service is updated by a wrong main file");
    watershed.site.write("watershed.toml", main);
    eventually("the edit that waited", || greets(&watershed, OTHER, "v2"));
    watershed.await_metric("watershed_config_rejected_files", &[], 0.0);
}
