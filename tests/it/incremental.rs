//! A reload that looks only at changed files misses nothing that matters, and commands ask the process that has read
//! everything.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Site, eventually, greeter, plugin, split};

fn two(first: u8) -> String {
    greeter("v1") + &greeter("v2") + &split(&format!("v1 = {first}, v2 = {}", 100 - first))
}

#[test]
fn a_process_says_what_would_be_wrong_before_it_is_written() {
    let other = format!("domains = [\"x.test\"]\n{}", greeter("v1"));
    let watershed = Site::new().service("a", &two(90)).service("b", &other).start();
    let check = |file: &str, is_there: bool, text: &str| -> (u16, Value) {
        let file = watershed.site.path(file);
        let question = json!({ "file": file, "is_there": is_there, "text": text });
        let answer = watershed.admin_post_json("/api/v1/check", &question);
        (answer.status, answer.json())
    };
    let verdict = |(status, document): (u16, Value)| {
        (status, document["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict(check("services/a.toml", true, &two(50))), (200, "right".into()));
    let (status, document) = check("services/a.toml", true, &two(90).replace("v1 = 90", "v9 = 90"));
    assert_eq!((status, &document["verdict"]), (422, &"wrong".into()), "{document:#}");
    assert!(document["problems"][0]["message"].as_str().unwrap().contains("v9"), "{document:#}");
    let taken = format!("domains = [\"x.test\"]\n{}", two(90));
    let (status, document) = check("services/a.toml", true, &taken);
    assert_eq!((status, &document["verdict"]), (422, &"wrong".into()));
    assert!(document["problems"][0]["message"].as_str().unwrap().contains("x.test"));
    assert_eq!(verdict(check("services/c.toml", false, &two(1))), (200, "right".into()));
    let missed = verdict(check("services/c.txt", false, &two(1)));
    assert_eq!(missed, (422, "not-found".into()));
    assert_eq!(watershed.admin_post_json("/api/v1/check", &json!({})).status, 400);
    let relative = json!({ "file": "services/a.toml", "is_there": true, "text": two(1) });
    let refused = watershed.admin_post_json("/api/v1/check", &relative);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("give an absolute path"), "{}", refused.text());
    // Nothing was kept of the refused edit.
    assert_eq!(watershed.service("a")["versions"][0]["share"], 90.0);
}

/// One directory by two names: the kernel reports changes under one of them.
#[test]
fn a_directory_that_two_environments_reach_by_two_ways_is_followed_for_both() {
    let tables = "[[environments]]\nname = \"one\"\ndomain = \"one.test\"\n\
                  [[environments]]\nname = \"two\"\ndomain = \"two.test\"\n\
                  services = \"link/*.toml\"\n";
    let site = Site::new().tables(tables).service("a", &two(100));
    site.link("link", "services");
    let watershed = site.start();
    for host in ["a.one.test", "a.two.test"] {
        assert_eq!(watershed.get(host, "/").text(), "Hello from v1!\n");
    }
    watershed.site.replace("services/a.toml", two(0));
    for host in ["a.one.test", "a.two.test"] {
        eventually(host, || watershed.get(host, "/").text() == "Hello from v2!\n");
    }
}

/// Files appear and disappear, take each other's names and domains, are wrong and right again.
#[test]
fn what_happens_to_files_is_served_each_time() {
    let watershed = Site::new().service("a", &two(100)).service("b", &two(100)).start();
    let serves = |host: &str, greeting: &str| {
        eventually(&format!("{host}: {greeting}"), || watershed.get(host, "/").text() == greeting);
    };
    let gone = |host: &str| {
        eventually(&format!("{host} is gone"), || watershed.get(host, "/").status == 404);
    };
    let site = &watershed.site;
    site.replace("services/c.toml", format!("domains = [\"x.test\"]\n{}", two(0)));
    serves("c.localhost", "Hello from v2!\n");
    serves("x.test", "Hello from v2!\n");
    site.replace("services/a.toml", format!("domains = [\"x.test\"]\n{}", two(100)));
    eventually("a is refused what c has", || {
        let rejected = &watershed.status()["rejected"];
        rejected[0]["file"].as_str().is_some_and(|file| file.ends_with("services/a.toml"))
    });
    fs::remove_file(site.path("services/c.toml")).unwrap();
    gone("c.localhost");
    serves("x.test", "Hello from v1!\n");
    fs::rename(site.path("services/b.toml"), site.path("services/d.toml")).unwrap();
    gone("b.localhost");
    serves("d.localhost", "Hello from v1!\n");
    site.replace("services/d.toml", "nonsense");
    let wrong = || watershed.status()["rejected"].as_array().map_or(0, Vec::len);
    eventually("d is wrong", || wrong() == 1);
    serves("d.localhost", "Hello from v1!\n");
    site.replace("services/d.toml", two(0));
    serves("d.localhost", "Hello from v2!\n");
    eventually("nothing is wrong", || wrong() == 0);
}

#[test]
fn the_log_says_which_services_a_publish_changes_and_takes_away() {
    let watershed = Site::new().service("a", &two(90)).service("b", &greeter("v1")).start();
    watershed.site.replace("services/a.toml", two(10));
    watershed.log_line(&["published", "services=\"default/a\""]);
    fs::remove_file(watershed.site.path("services/a.toml")).unwrap();
    watershed.log_line(&["WARN", "not declared any more", "services=\"default/a\""]);
    assert_eq!(watershed.get("a.localhost", "/").status, 404);
    assert_eq!(watershed.get("b.localhost", "/").status, 200);
}

/// A write through one name of a component is seen by the service that names it by a link, also where it was no link
/// when the process started.
#[test]
fn a_component_that_becomes_a_link_is_followed_through_it() {
    let site = Site::new();
    for name in ["app.wasm", "app-1.wasm"] {
        site.write(name, fs::read(plugin("greeter")).unwrap());
    }
    let version = |name: &str| {
        let component = site.path(name);
        format!(
            "[[versions]]\nname = \"v1\"\ncomponent = {component:?}\nenv = {{ VERSION = \"v1\" }}\n"
        )
    };
    let (linked, named) = (version("app.wasm"), version("app-1.wasm"));
    let watershed = site.service("a", &linked).service("b", &named).start();
    let digest = |service: &str| watershed.service(service)["versions"][0]["digest"].clone();
    let before = digest("a");
    assert!(before.is_string() && before == digest("b"));
    watershed.site.link("app.wasm", "app-1.wasm");
    // Until the link is known, a change of its target says nothing of it.
    let reloads = || watershed.metric("watershed_reloads_total", &[]);
    let seen = reloads();
    eventually("the link is seen", || reloads() > seen);
    watershed.site.replace("app-1.wasm", fs::read(plugin("lab")).unwrap());
    for service in ["a", "b"] {
        eventually("the new component is served", || {
            let now = digest(service);
            now.is_string() && now != before
        });
    }
}
