//! `watershed plan` says what a reload would do, without doing it.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;

use crate::support::{
    Finished, Http1, Site, Watershed, eventually, greeter, lab, limits, plugin, split,
};

fn two(shares: &str) -> String {
    greeter("v1") + &greeter("v2") + &split(shares)
}

/// The URL of a process's admin listener.
fn admin(watershed: &Watershed) -> String {
    format!("http://{}", watershed.admin_address())
}

/// Plans the files of a site against a process.
fn plan(site: &Site, watershed: &Watershed, more: &[&str]) -> Finished {
    let admin = admin(watershed);
    site.run(&[&["plan", "--admin", &admin], more].concat())
}

/// The plan as JSON; the command must exit with this code.
#[track_caller]
fn plan_json(site: &Site, watershed: &Watershed, code: i32) -> Value {
    let finished = plan(site, watershed, &["--json"]);
    assert_eq!(finished.code, Some(code), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

#[test]
fn the_files_that_are_served_are_nothing_to_do() {
    let watershed = Site::new().service("greeter", &two("v1 = 90, v2 = 10")).start();
    let finished = plan(&watershed.site, &watershed, &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let url = admin(&watershed);
    assert!(finished.stdout.starts_with(&format!("before  {url}, generation ")), "{finished:?}");
    assert!(finished.stdout.ends_with("\n\nnothing to do\n"), "{finished:?}");
    let document = plan_json(&watershed.site, &watershed, 0);
    assert_eq!((&document["ok"], &document["changes"]), (&true.into(), &false.into()));
    let url = url.trim_start_matches("http://");
    assert_eq!(watershed.site.run(&["plan", "--admin", url]).code, Some(0), "without its scheme");
}

/// A version whose component is in the site's own `bin/`.
fn own(name: &str, component: &str, more: &str) -> String {
    format!("[[versions]]\nname = {name:?}\ncomponent = \"../bin/{component}.wasm\"\n{more}\n")
}

fn own_site() -> Site {
    let site = Site::new();
    site.write("bin/greeter.wasm", fs::read(plugin("greeter")).unwrap());
    site
}

/// Everything that can change, in one plan.
#[test]
fn a_plan_for_people() {
    let shop = own("v1", "greeter", "env = { GREETING = \"5ecret-a\", OLD = \"5ecret-b\" }")
        + &own("v2", "greeter", "env = { TOKEN = { file = \"../token\" } }\nremark = \"first\"")
        + &own("v3", "greeter", "")
        + "[traffic]\nsplit = { v1 = 60, v2 = 30, v3 = 10 }";
    let before = own_site()
        .service("shop", &shop)
        .service("gone", &own("v1", "greeter", ""))
        .service("same", &own("v1", "greeter", ""));
    before.write("token", "5ecret-c");
    let watershed = before.start();

    let shop = "domains = [\"shop.example.com\"]\n".to_owned()
        + &own("v1", "greeter", "env = { GREETING = \"5ecret-d\", NEW = \"5ecret-e\" }")
        + &own("v2", "greeter", "env = { TOKEN = { from-env = \"APP\" } }\nremark = \"second\"")
        + &limits("memory = \"64MiB\"")
        + &own("v4", "lab", "")
        + "[traffic]\nsplit = { v1 = 20, v2 = 70, v4 = 10 }";
    let after = own_site()
        .server("threads = 3\nexpose = \"none\"")
        .service("new", &(own("v1", "lab", "") + &own("v2", "greeter", "")))
        .service("same", &own("v1", "greeter", ""))
        .service("shop", &shop);
    after.write("bin/lab.wasm", fs::read(plugin("lab")).unwrap());

    let finished = plan(&after, &watershed, &[]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let generation = watershed.generation();
    let document = plan_json(&after, &watershed, 2);
    let digest = document["compile"][0]["digest"].as_str().unwrap()[..19].to_owned();
    let expected = EXPECTED
        .replace("URL", &admin(&watershed))
        .replace("GENERATION", &generation.to_string())
        .replace("FILE", &after.main_file().display().to_string())
        .replace("BEFORE", &watershed.site.path("token").display().to_string())
        .replace("DIGEST", &digest);
    assert_eq!(finished.stdout, expected, "{}", finished.stdout);
    assert_eq!(watershed.generation(), generation, "nothing was done");

    let services = document["services"].as_array().unwrap();
    let named: Vec<_> = services.iter().map(|it| (&it["service"], &it["change"])).collect();
    let named = serde_json::to_value(named).unwrap();
    let expected = serde_json::json!([["new", "added"], ["shop", "changed"], ["gone", "removed"]]);
    assert_eq!(named, expected);
    assert_eq!(services[1]["moves"], 50.0);
    assert_eq!(services[1]["unreachable"], serde_json::json!(["v3"]));
    let share = serde_json::json!({ "version": "v1", "before": 60.0, "after": 20.0 });
    assert_eq!(services[1]["shares"][0], share);
    assert_eq!(document["restart"][0]["key"], "server.threads");
    assert_eq!(document["settings"][0]["after"], "none");
    assert_eq!(document["compile"][0]["versions"].as_array().map(Vec::len), Some(2));

    let from = watershed.site.path("");
    let by_files = after.run(&["plan", "--json", "--from", &from.display().to_string()]);
    assert_eq!(by_files.code, Some(2), "{by_files:?}");
    let by_files: Value = serde_json::from_str(&by_files.stdout).unwrap();
    for key in ["services", "settings", "restart", "compile", "errors", "in_error"] {
        assert_eq!(by_files[key], document[key], "files say what is served: {key}");
    }
    let served = watershed.admin("/api/v1/config").text();
    let said = served + &finished.said() + &document.to_string() + &watershed.stderr();
    assert!(said.contains("from-env:APP") && !said.contains("5ecret"), "{said}");
}

const EXPECTED: &str = "\
before  URL, generation GENERATION
after   FILE

+ service default/new
    domains      + new.localhost
  + version v1   bin/lab.wasm
  + version v2   bin/greeter.wasm
    split        v2 100 %

~ service default/shop
    domains      + shop.example.com
  ~ version v1   env.GREETING (another value)
                 + env.NEW
                 - env.OLD
  ~ version v2   env.TOKEN file:BEFORE → from-env:APP
                 limits.memory 128MiB → 64MiB
                 remark first → second
  + version v4   bin/lab.wasm
  - version v3
    split        v1 60 % → 20 %
                 v2 30 % → 70 %
                 v4 0 % → 10 %
                 v3 10 % → 0 %
    moves        50 %
    unreachable  v3

- service default/gone
    domains      - gone.localhost
  - version v1
    split        v1 100 % → 0 %
    moves        100 %
    unreachable  v1

to compile
  DIGEST  bin/lab.wasm, for default/new v1, default/shop v4

settings
  server.expose  version → none

after a restart
  server.threads  0 → 3

3 services change; 1 setting changes; 1 component to compile; restart to apply server.threads
";

#[test]
fn an_edit_is_planned_before_it_is_served() {
    let watershed = Site::new().service("greeter", &two("v1 = 90, v2 = 10")).start();
    let edited = Site::new().service("greeter", &two("v1 = 50, v2 = 50"));
    let document = plan_json(&edited, &watershed, 2);
    assert_eq!(document["services"][0]["moves"], 40.0, "{document:#}");
    assert_eq!(document["compile"], serde_json::json!([]));
    watershed.site.write("services/greeter.toml", two("v1 = 50, v2 = 50"));
    eventually("the edit", || plan(&edited, &watershed, &[]).code == Some(0));
}

#[test]
fn a_component_rebuilt_in_place_is_to_be_compiled() {
    let file = own("v1", "greeter", "");
    let watershed = own_site().service("greeter", &file).start();
    let rebuilt = own_site().service("greeter", &file);
    assert_eq!(plan(&rebuilt, &watershed, &[]).code, Some(0), "a copy is the same");
    rebuilt.replace("bin/greeter.wasm", fs::read(plugin("lab")).unwrap());
    let document = plan_json(&rebuilt, &watershed, 2);
    let [compilation] = &document["compile"].as_array().unwrap()[..] else { panic!() };
    assert_eq!(compilation["versions"][0]["service"], "greeter");
    let path = rebuilt.path("bin/greeter.wasm");
    assert_eq!(compilation["component"], path.display().to_string());
    assert_eq!(document["services"][0]["versions"][0]["keys"][0]["key"], "component");
    assert_eq!(document["services"][0]["moves"], 0.0);
}

/// The plan compares with what is served, not with the edit that could not be served: a reload would go on serving
/// that.
#[test]
fn a_version_that_is_kept_is_what_a_plan_begins_with() {
    let watershed = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100"))).start();
    let missing = "[[versions]]\nname = \"v2\"\ncomponent = \"missing.wasm\"\n";
    watershed.site.write("services/greeter.toml", missing.to_owned() + &split("v2 = 100"));
    eventually("the error", || watershed.service("greeter")["held"].is_string());
    let document = plan_json(&watershed.site, &watershed, 1);
    assert_eq!(document["services"], serde_json::json!([]), "v1 goes on: {document:#}");
    let error = &document["errors"][0];
    assert_eq!((&error["version"], &error["code"]), (&"v2".into(), &"not-found".into()));
    let told = plan(&watershed.site, &watershed, &[]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let missing = watershed.site.path("services/missing.wasm").display().to_string();
    for part in ["error[not-found]: version v2 of service greeter", &missing, "help: "] {
        assert!(told.stdout.contains(part), "{part}\n{}", told.stdout);
    }
    let v1 = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100")));
    let document = plan_json(&v1, &watershed, 2);
    assert_eq!(document["services"][0]["shares"], serde_json::json!([]), "v1 is served still");
    let held = document["services"][0]["held"].as_str().unwrap();
    assert!(held.contains("v2 cannot become normal"), "{document:#}");
}

#[test]
fn wrong_files_are_reported_as_check_does() {
    let watershed = Site::new().service("greeter", &two("v1 = 90, v2 = 10")).start();
    let wrong = Site::new().service("greeter", &two("v1 = 90, v2 = 11"));
    let (planned, checked) = (plan(&wrong, &watershed, &[]), wrong.run(&["check", "--no-compile"]));
    assert_eq!(planned.code, Some(1), "{planned:?}");
    assert!(checked.stdout.starts_with(planned.stdout.trim_end()), "{planned:?} {checked:?}");
    let document = plan_json(&wrong, &watershed, 1);
    assert_eq!(document["ok"], false);
    assert!(document["problems"][0]["message"].as_str().unwrap().contains("101"));
    let from = wrong.main_file().display().to_string();
    let planned = watershed.site.run(&["plan", "--from", &from]);
    assert_eq!((planned.code, planned.stdout.as_str()), (Some(1), ""), "{planned:?}");
    assert!(planned.stderr.contains("add up to 101"), "{planned:?}");
}

#[test]
fn without_a_process_the_way_on_is_told() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site =
        Site::new().admin(&format!("listen = \"{gone}\"")).service("greeter", &greeter("v1"));
    let finished = site.run(&["plan"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    let url = format!("http://{gone}");
    for part in ["error: no process answers at", &url, "watershed run", "--admin", "--from"] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
    let site = site.admin("listen = \"127.0.0.1:0\"");
    let finished = site.run(&["plan"]);
    assert!(finished.stderr.contains("port 0"), "{finished:?}");
    let finished = site.run(&["plan", "--admin", "https://127.0.0.1:1"]);
    assert!(finished.stderr.contains("speaks plain HTTP"), "{finished:?}");
    let finished = site.run(&["plan", "--admin", "127.0.0.1:1", "--from", "."]);
    assert_eq!(finished.code, Some(64), "a usage error: {finished:?}");
}

#[test]
fn who_takes_a_connection_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let finished = Site::new().run(&["plan", "--admin", &url]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("timeout"), "{finished:?}");
}

/// The address and the token are where the files say.
#[test]
fn the_process_of_the_files_is_asked_with_its_token() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("listen = \"{free}\"\ntoken-file = \"token\"");
    let site = Site::new().admin(&settings).service("greeter", &greeter("v1"));
    site.write("token", "5ecret\n");
    let watershed = site.start();
    let denied = Http1::connect(free).get("localhost", "/api/v1/config");
    assert_eq!(denied.status, 401);
    let mut command = watershed.site.command(&["plan"]);
    command.env("WATERSHED_LOG", "trace");
    let finished = Finished::of(command);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stderr.contains("TRACE") && !finished.stderr.contains("5ecret"),
        "{finished:?}"
    );

    let stranger = Site::new().service("greeter", &greeter("v1"));
    let finished = plan(&stranger, &watershed, &[]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("wants a token\n  help: give `--token-file FILE`, or set `token-file`"),
        "{finished:?}"
    );
    let stranger = stranger.admin(&settings);
    let finished = stranger.run(&["plan"]);
    assert!(finished.stderr.contains("cannot read `token-file`"), "{finished:?}");
    stranger.write("token", "wrong-5ecret");
    let finished = stranger.run(&["plan"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("does not take the token in"), "{finished:?}");
    assert!(!finished.said().contains("5ecret"), "{finished:?}");
}

#[test]
fn who_is_no_watershed_is_not_believed() {
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let proxy = watershed.address().to_string();
    let finished = watershed.site.run(&["plan", "--admin", &proxy]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("/api/v1/config answers with status 404"), "{finished:?}");
}

/// A restart would do more than a reload that took over parts of the main file.
#[test]
fn a_restart_is_planned_from_what_the_process_was_started_with() {
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main.replace("[server]", "[server]\nthreads = 3"));
    eventually("the reload", || watershed.status()["last_reload"]["outcome"] == "needs-restart");
    let document = plan_json(&watershed.site, &watershed, 2);
    let change = serde_json::json!({ "key": "server.threads", "before": "0", "after": "3" });
    assert_eq!(document["restart"], serde_json::json!([change]));
    assert_eq!(document["services"], serde_json::json!([]));
    let told = plan(&watershed.site, &watershed, &[]).stdout;
    assert!(told.ends_with("restart to apply server.threads\n"), "{told}");
    watershed.site.write("watershed.toml", main);
    assert_eq!(plan(&watershed.site, &watershed, &[]).code, Some(0));
}

#[test]
fn two_configurations_need_no_process() {
    let before = Site::new().service("greeter", &two("v1 = 100, v2 = 0"));
    let after = Site::new().service("greeter", &(greeter("v1") + &greeter("v2")));
    let directory = before.path("").display().to_string();
    let finished = after.run(&["plan", "--from", &directory]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for part in ["v1 100 % → 0 %", "v2 0 % → 100 %", "unreachable", "split → latest", "100 %\n"]
    {
        assert!(finished.stdout.contains(part), "{part}\n{}", finished.stdout);
    }
    assert!(!finished.stdout.contains("to compile"), "{}", finished.stdout);
    let main = after.main_file().display().to_string();
    assert_eq!(after.run(&["plan", "--from", &main]).code, Some(0));
    let nowhere = after.run(&["plan", "--from", "/nowhere"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    assert!(nowhere.stderr.contains("/nowhere"), "{nowhere:?}");
}

#[test]
fn help_has_examples() {
    let help = Site::new().run(&["plan", "--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    for part in ["--admin <URL>", "--from <PATH>", "--json", "Examples:", "Exit codes: 0"] {
        assert!(help.stdout.contains(part), "{part}\n{}", help.stdout);
    }
}
