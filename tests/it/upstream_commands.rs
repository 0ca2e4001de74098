//! Upstreams from the command line: deployed, given traffic, rolled back, kept from traffic, compared and deleted.

use serde_json::Value;
use watershed::history::Author;

use crate::support::{
    Backend, GREETER, Site, Watershed, done, eventually, greeter, plugin, refused, split, tell,
};

const FILE: &str = "services/greeter.toml";

fn serve(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", text).start()
}

fn share(watershed: &Watershed, version: &str) -> f64 {
    watershed.version("greeter", version)["share"].as_f64().unwrap()
}

/// Deploys an upstream.
fn deploy<'a>(version: &'a str, targets: &'a str) -> Vec<&'a str> {
    vec!["deploy", "greeter", version, "--upstream", targets]
}

fn json(watershed: &Watershed, arguments: &[&str]) -> Value {
    let finished = tell(watershed, &[arguments, &["--json"]].concat());
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// A port of this machine on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// From a legacy service to a component by percentage, and back.
#[test]
fn the_whole_story_of_a_move() {
    let backend = Backend::start("legacy");
    let watershed = Site::new().start();
    let targets = backend.address().to_string();
    let new = ["deploy", "greeter", "legacy", "--upstream", &targets, "--new-service"];
    let said = done(&watershed, &new);
    assert!(said.starts_with("legacy of greeter is normal\n"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
    let component = plugin("greeter").display().to_string();
    let more = ["--env", "VERSION=v1", "--traffic", "10"];
    let deploy = ["deploy", "greeter", "v1", "--component", &component];
    let said = done(&watershed, &[&deploy[..], &more].concat());
    assert!(said.contains("100 % → 90 %") && said.contains("0 % → 10 %"), "{said}");
    done(&watershed, &["promote", "greeter", "v1"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v1!\n");
    done(&watershed, &["rollback", "greeter", "--to", "legacy"]);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
    done(&watershed, &["promote", "greeter", "v1"]);
    done(&watershed, &["delete", "greeter", "legacy"]);
    assert!(!watershed.site.read(FILE).contains("upstream"), "{}", watershed.site.read(FILE));
    // What the history knows of it declares it again.
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(said.starts_with("greeter is back at what generation "), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from legacy!\n");
    assert!(watershed.site.read(FILE).contains(&targets), "{}", watershed.site.read(FILE));
    assert_eq!(watershed.site.run(&["check"]).code, Some(0));
}

#[test]
fn a_deployment_writes_the_short_form_and_keeps_the_file() {
    let (first, second) = (Backend::start("legacy"), Backend::start("legacy"));
    let before =
        format!("# Kept by hand.\n{}# Who gets what.\n{}", greeter("v1"), split("v1 = 100"));
    let watershed = serve(&before);
    let targets = format!("{},{}", first.address(), second.address());
    let arguments =
        [&deploy("v2", &targets)[..], &["--traffic", "10", "--remark", "as it was"]].concat();
    done(&watershed, &arguments);
    let text = watershed.site.read(FILE);
    let expected = format!(
        "[[versions]]\nname = \"v2\"\nupstream = [\"{}\", \"{}\"]\nremark = \"as it was\"\n",
        first.address(),
        second.address()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.starts_with("# Kept by hand.\n") && text.contains("# Who gets what.\n"), "{text}");
    assert!((share(&watershed, "v2") - 10.0).abs() < 0.01);
    let record = watershed.history("greeter").remove(0);
    let Author::Command { command, .. } = record.author else { panic!("{record:?}") };
    assert_eq!(command, "watershed deploy greeter v2 --traffic 10");
}

/// No target answers: nothing waits, and no traffic goes there unless somebody insists. `kubectl rollout status` waits for
/// what will not come, or tells of success (kubernetes#31319).
#[test]
fn a_dead_upstream_gets_no_traffic_silently() {
    let watershed = serve(&(greeter("v1") + &split("v1 = 100")));
    let dead = nobody();
    for traffic in ["10", "all"] {
        let arguments = [&deploy("v2", &dead)[..], &["--traffic", traffic]].concat();
        let told = ["no target of v2 answers", "--force", "does not answer from here"];
        refused(&watershed, &arguments, &told);
    }
    let finished = tell(&watershed, &deploy("v2", &dead));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("v2 of greeter is normal\n"), "{finished:?}");
    assert!(finished.stderr.contains(&format!("warning: {dead} does not answer")), "{finished:?}");
    assert_eq!(share(&watershed, "v1"), 100.0);
    // A target that answers is enough, and a script is told of the other.
    let backend = Backend::start("legacy");
    let targets = format!("{dead},{}", backend.address());
    let arguments = [&deploy("v3", &targets)[..], &["--traffic", "10"]].concat();
    let document = json(&watershed, &arguments);
    assert_eq!((&document["ok"], &document["outcome"]), (&true.into(), &"normal".into()));
    assert_eq!(document["warnings"].as_array().unwrap().len(), 1, "{document:#}");
    let document = json(&watershed, &[&deploy("v4", &dead)[..], &["--traffic", "10"]].concat());
    assert_eq!(document["error"]["code"], "version-unhealthy", "{document:#}");
    done(&watershed, &[&deploy("v4", &dead)[..], &["--traffic", "1", "--force"]].concat());
    assert!((share(&watershed, "v4") - 1.0).abs() < 0.01);
}

/// The stable version being down keeps nobody from the new one, as it does in argo-rollouts#1377 and #1774.
#[test]
fn a_dead_version_does_not_hold_the_next_one_up() {
    let dead = format!("[[versions]]\nname = \"v1\"\nupstream = [\"{}\"]\n", nobody());
    let watershed = serve(&(dead + &split("v1 = 100")));
    assert_eq!(watershed.get(GREETER, "/").status, 502);
    let component = plugin("greeter").display().to_string();
    let deploy = ["deploy", "greeter", "v2", "--component", &component, "--env", "VERSION=v2"];
    done(&watershed, &[&deploy[..], &["--traffic", "all"]].concat());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
}

#[test]
fn a_name_that_nobody_knows_is_an_error_of_the_version() {
    let watershed = serve(&(greeter("v1") + &split("v1 = 100")));
    let finished = tell(
        &watershed,
        &[&deploy("v2", "no-such-host.invalid:80")[..], &["--force", "--traffic", "10"]].concat(),
    );
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("is in error (unresolved)"), "{finished:?}");
    assert_eq!(share(&watershed, "v1"), 100.0);
    assert_eq!(watershed.version("greeter", "v2")["error"]["code"], "unresolved");
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let watershed = serve(&greeter("v1"));
    let component = plugin("greeter").display().to_string();
    for (more, told) in [
        (&["--upstream", "127.0.0.1:80", "--component", &component][..], "cannot be used with"),
        (&["--upstream", "127.0.0.1:80", "--env", "A=b"], "cannot be used with"),
        (&["--upstream", "127.0.0.1:80", "--in-place"], "cannot be used with"),
        (&["--upstream", "127.0.0.1"], "it has no port"),
        (&["--upstream", "http://127.0.0.1:80"], "it has a scheme"),
        (&["--upstream", ""], "it is empty"),
        (&["--upstream", "a:80,a:80"], "`--upstream a:80` is given twice"),
        (&[], "--component <FILE>"),
    ] {
        let finished = tell(&watershed, &[&["deploy", "greeter", "v2"], more].concat());
        assert_eq!(finished.code, Some(64), "{more:?}: {finished:?}");
        assert!(finished.stderr.contains(told), "{told:?}: {finished:?}");
    }
    assert_eq!(watershed.site.read(FILE), greeter("v1"));
}

/// An upstream keeps what is said of it beside its targets; a component leaves nothing of itself behind.
#[test]
fn a_replaced_version_keeps_what_makes_sense() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    let text = greeter("v1")
        + "[versions.limits]\nmemory = \"64MiB\"\nwall-time = \"5s\"\n"
        + &format!(
            "[[versions]]\nname = \"v2\"\n[versions.upstream]\n# in the cellar\ntargets = [\"{}\"]\nbalance = \"random\"\n",
            first.address()
        )
        + &split("v1 = 50, v2 = 50");
    let watershed = serve(&text);
    let other = second.address().to_string();
    done(&watershed, &[&deploy("v2", &other)[..], &["--replace"]].concat());
    let text = watershed.site.read(FILE);
    let kept = format!("# in the cellar\ntargets = [\"{other}\"]\nbalance = \"random\"\n");
    assert!(text.contains(&kept), "{text}");
    done(&watershed, &[&deploy("v1", &other)[..], &["--replace"]].concat());
    let text = watershed.site.read(FILE);
    let head = text.split("[[versions]]").nth(1).unwrap();
    for gone in ["component", "env", "memory", "digest"] {
        assert!(!head.contains(gone), "{gone}: {text}");
    }
    assert!(head.contains("wall-time = \"5s\""), "{text}");
    watershed.await_greeting("Hello from second!\n");
    let component = plugin("greeter").display().to_string();
    let back =
        ["deploy", "greeter", "v2", "--component", &component, "--env", "VERSION=v2", "--replace"];
    done(&watershed, &back);
    let text = watershed.site.read(FILE);
    assert!(!text.split("[[versions]]").nth(2).unwrap().contains("upstream"), "{text}");
}

/// A quarantine means the declaration, under whatever name it comes back.
#[test]
fn a_declaration_that_was_bad_stays_out() {
    let (good, bad) = (Backend::start("good"), Backend::start("bad"));
    let watershed = serve(&(good.version("v1") + &split("v1 = 100")));
    let targets = bad.address().to_string();
    done(&watershed, &[&deploy("v2", &targets)[..], &["--traffic", "all"]].concat());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from bad!\n");
    let digest = watershed.version("greeter", "v2")["digest"].as_str().unwrap().to_owned();
    let said = done(&watershed, &["rollback", "greeter", "--bad"]);
    assert!(said.contains("v2 is quarantined"), "{said}");
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from good!\n");
    assert!(watershed.site.read(FILE).contains(&digest), "{}", watershed.site.read(FILE));
    assert_eq!(watershed.version("greeter", "v2")["quarantined"], true);
    let again = [&deploy("v3", &targets)[..], &["--traffic", "10"]].concat();
    refused(&watershed, &again, &["v3 of greeter is quarantined", "--force"]);
    // Another target is another declaration.
    let other = format!("{targets},{}", good.address());
    done(&watershed, &[&deploy("v4", &other)[..], &["--traffic", "10"]].concat());
    done(&watershed, &[&again[..], &["--force"]].concat());
    assert!((share(&watershed, "v3") - 10.0).abs() < 0.01);
}

/// A changed declaration comes back too, with the shares.
#[test]
fn a_rollback_restores_the_declaration() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    let text = format!(
        "# by hand\n[[versions]]\nname = \"v1\"\n[versions.upstream]\ntargets = [\"{}\"] # the cellar\nbalance = \"random\"\n{}",
        first.address(),
        split("v1 = 100")
    );
    let watershed = serve(&text);
    watershed.await_greeting("Hello from first!\n");
    let changed = text
        .replace(&first.address().to_string(), &second.address().to_string())
        .replace("\"random\"", "\"hash\"");
    watershed.site.replace(FILE, &changed);
    watershed.await_greeting("Hello from second!\n");
    let said = done(&watershed, &["rollback", "greeter"]);
    assert!(said.starts_with("greeter is back at what generation "), "{said}");
    watershed.await_greeting("Hello from first!\n");
    assert_eq!(watershed.site.read(FILE), text);
}

#[test]
fn a_plan_names_the_keys_and_compiles_nothing() {
    let (first, second) = (Backend::start("first"), Backend::start("second"));
    let text = greeter("v1") + &first.version("v2") + &split("v1 = 50, v2 = 50");
    let before = Site::new().service("greeter", &text);
    let changed = text.replace(&first.address().to_string(), &second.address().to_string());
    let after = Site::new().service("greeter", &changed);
    let from = before.path("").display().to_string();
    let finished = after.run(&["plan", "--from", &from, "--json"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["compile"], serde_json::json!([]), "{document:#}");
    let text = after.run(&["plan", "--from", &from]).stdout;
    let targets = [first.address().to_string(), second.address().to_string()];
    assert!(targets.iter().all(|target| text.contains(target)), "{text}");
}

#[test]
fn a_dry_run_declares_nothing() {
    let backend = Backend::start("legacy");
    let watershed = serve(&(greeter("v1") + &split("v1 = 100")));
    let before = watershed.site.read(FILE);
    let targets = backend.address().to_string();
    let arguments = [&deploy("v2", &targets)[..], &["--traffic", "10", "--dry-run"]].concat();
    let admin = format!("http://{}", watershed.admin_address());
    let finished = watershed.site.run(&[&arguments[..], &["--admin", &admin]].concat());
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.contains(&targets), "{finished:?}");
    assert!(!finished.stdout.contains("compile"), "{finished:?}");
    assert_eq!((watershed.site.read(FILE), backend.requests()), (before, 0));
}

/// Without a process, the same as with one.
#[test]
fn the_files_alone_are_enough() {
    let backend = Backend::start("legacy");
    let site = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100")));
    let targets = backend.address().to_string();
    let run = |more: &[&str]| site.run(&[&deploy("v2", &targets)[..], more, &["--yes"]].concat());
    let finished = run(&["--traffic", "10"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("v2 of greeter is declared\n"), "{finished:?}");
    assert_eq!(site.run(&["check"]).code, Some(0));
    let finished =
        site.run(&["deploy", "greeter", "v3", "--upstream", "no-such-host.invalid:80", "--yes"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("unresolved"), "{finished:?}");
    assert!(!site.read(FILE).contains("no-such-host"), "{}", site.read(FILE));
    let explained = site.run(&["explain", "greeter", "--offline"]);
    assert!(explained.stdout.contains(&format!("upstream: v2 is {targets}")), "{explained:?}");
}

/// What the process knows of targets keeps traffic away, too.
#[test]
fn traffic_does_not_go_to_what_the_process_knows_to_be_unhealthy() {
    let backend = Backend::start("legacy");
    backend.answer_checks(500);
    let text = greeter("v1")
        + &format!(
            "[[versions]]\nname = \"v2\"\n[versions.upstream]\ntargets = [\"{}\"]\n",
            backend.address()
        )
        + "[versions.upstream.health]\npath = \"/healthz\"\ninterval = \"100ms\"\nunhealthy = 1\nhealthy = 1\n"
        + &split("v1 = 100, v2 = 0");
    let watershed = serve(&text);
    eventually("an unhealthy version", || watershed.version("greeter", "v2")["unhealthy"] == true);
    refused(&watershed, &["promote", "greeter", "v2"], &["no target of v2 of greeter is healthy"]);
    refused(&watershed, &["traffic", "greeter", "v1=90", "v2=10"], &["--force"]);
    backend.answer_checks(200);
    eventually("a healthy version", || {
        watershed.version("greeter", "v2").get("unhealthy").is_none()
    });
    done(&watershed, &["traffic", "greeter", "v1=90", "v2=10"]);
}

/// It answers the requests that others fail, so the file would name a version that is gone.
#[test]
fn the_version_that_rescues_is_not_deleted() {
    let backend = Backend::start("legacy");
    let text = format!(
        "{}{}[traffic]\nrescue = \"legacy\"\nsplit = {{ legacy = 0, v1 = 100 }}\n",
        backend.version("legacy"),
        greeter("v1")
    );
    let watershed = serve(&text);
    let words = [
        "legacy answers the requests that other versions of greeter fail",
        "name another version in `rescue`",
    ];
    refused(&watershed, &["delete", "greeter", "legacy"], &words);
}

/// Whether targets are healthy is not for the files to say.
#[test]
fn check_asks_no_target_whether_it_is_healthy() {
    let backend = Backend::start("legacy");
    let health = "[versions.upstream]\ntargets = [\"ADDRESS\"]\n[versions.upstream.health]\npath = \"/healthz\"\n";
    let health = health.replace("ADDRESS", &backend.address().to_string());
    let text = format!("[[versions]]\nname = \"legacy\"\n{health}{}", split("legacy = 100"));
    let site = Site::new().service("greeter", &text);
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.stderr.contains("healthy"), "{checked:?}");
    assert_eq!(backend.checks(), 0);
}
