//! `watershed status` and its documents; `watershed env list`. `observed` has what versions did lately.

mod observed;

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{
    Finished, GREETER, Site, Watershed, eventually, greeter, lab, one_version, split,
};

const MISSING: &str = "\n[[versions]]\nname = \"broken\"\ncomponent = \"missing.wasm\"\n";

fn two(shares: &str) -> String {
    greeter("v1") + &greeter("v2") + &split(shares)
}

fn serve() -> Watershed {
    Site::new().service("greeter", &two("v1 = 100, v2 = 0")).service("lab", &lab("v1")).start()
}

/// Shows a process's status by the command.
fn status(watershed: &Watershed, more: &[&str]) -> Finished {
    let admin = format!("http://{}", watershed.admin_address());
    watershed.site.run(&[&["status", "--admin", &admin], more].concat())
}

#[track_caller]
fn status_json(watershed: &Watershed, more: &[&str]) -> Value {
    let finished = status(watershed, &[&["--json"], more].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

/// A service that goes on as it was is shown as it is, beside the declaration.
#[test]
fn what_is_held_has_two_shares() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    let wanted = greeter("v1") + MISSING + &split("v1 = 25, broken = 75");
    watershed.site.write("services/greeter.toml", wanted);
    eventually("held", || watershed.service("greeter")["held"].is_string());
    let [v1, broken] = ["v1", "broken"].map(|name| watershed.version("greeter", name));
    assert_eq!((&v1["share"], &v1["declared_share"]), (&100.0.into(), &25.0.into()));
    assert_eq!((&broken["share"], &broken["declared_share"]), (&0.0.into(), &75.0.into()));
    assert_eq!(watershed.service("greeter")["serving"], "held");

    let shown = status(&watershed, &[]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    let file = watershed.site.path("services/greeter.toml").display().to_string();
    for part in ["100 → 25 %", "0 → 75 %", "error[not-found]: version broken: ", &file] {
        assert!(shown.stdout.contains(part), "{part}\n{}", shown.stdout);
    }
    for part in ["  help: build the component", "held: goes on as it was: the split gives"] {
        assert!(shown.stdout.contains(part), "{part}\n{}", shown.stdout);
    }

    watershed.site.write("services/greeter.toml", greeter("v1") + MISSING);
    eventually("latest", || watershed.service("greeter")["latest"] == true);
    let [v1, broken] = ["v1", "broken"].map(|name| watershed.version("greeter", name));
    let shares = (&v1["declared_share"], &broken["declared_share"]);
    assert_eq!(shares, (&100.0.into(), &0.0.into()), "the newest normal one");
}

#[test]
fn a_service_reads_as_a_row_for_each_version() {
    let watershed = serve();
    for _ in 0..5 {
        watershed.get(GREETER, "/");
    }
    watershed.await_metric("watershed_requests_total", &[("service", "greeter")], 5.0);
    let shown = status(&watershed, &[]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    let text = &shown.stdout;
    let admin = format!("process   http://{}, generation ", watershed.admin_address());
    assert!(text.starts_with(&admin), "{text}");
    let main = watershed.site.main_file().display().to_string();
    assert!(text.contains(&format!("files     {main}\nservices  2: 2 fine\n")), "{text}");
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    assert!(
        rows(text).iter().any(|row| row.starts_with(&[
            "greeter".into(),
            "v1".into(),
            "100".into()
        ])),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "colours where nobody sees them: {text:?}");

    let shown = status(&watershed, &["greeter"]);
    let text = &shown.stdout;
    let url = format!("\ngreeter   http://greeter.localhost:{}\n", watershed.address().port());
    assert!(text.contains(&url), "{text}");
    let digest = watershed.version("greeter", "v1")["digest"].as_str().unwrap()[7..19].to_owned();
    let row = format!("v1 normal 100 % too early too early {digest}");
    assert!(rows(text).iter().any(|it| it.join(" ") == row), "{text}");
    let row = format!("v2 normal 0 % too early too early {digest}");
    assert!(rows(text).iter().any(|it| it.join(" ") == row), "{text}");
}

#[test]
fn one_service_may_be_asked_for() {
    let watershed = serve();
    let shown = status(&watershed, &["lab"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("\nlab       http://"), "{shown:?}");
    assert!(!shown.stdout.contains("greeter"), "{shown:?}");
    let document = status_json(&watershed, &["lab"]);
    let services = document["environments"][0]["services"].as_array().unwrap();
    assert_eq!((services.len(), &services[0]["name"]), (1, &"lab".into()));
    assert_eq!(document["generation"], watershed.generation());
    let unknown = status(&watershed, &["greter"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""), "{unknown:?}");
    let expected = "error: there is no service `greter`\n  help: did you mean `greeter`? There are \
                    `greeter` and `lab`\n";
    assert_eq!(unknown.stderr, expected);
}

#[test]
fn a_service_of_several_environments_needs_its_environment() {
    let environments = "[[environments]]\nname = \"test\"\ndomain = \"test.example.com\"\n\
                        [[environments]]\nname = \"prod\"\ndomain = \"example.com\"\n\
                        [[environments]]\nname = \"empty\"\ndomain = \"empty.test\"\n\
                        services = \"services/none-*.toml\"\n";
    let watershed = Site::new().service("greeter", &greeter("v1")).tables(environments).start();
    let document = status_json(&watershed, &[]);
    let named: Vec<_> = document["environments"].as_array().unwrap().iter().collect();
    let named: Vec<_> = named.iter().map(|it| (&it["name"], &it["domain"])).collect();
    let expected =
        json!([["test", "test.example.com"], ["prod", "example.com"], ["empty", "empty.test"]]);
    assert_eq!(serde_json::to_value(named).unwrap(), expected);
    let ambiguous = status(&watershed, &["greeter"]);
    assert_eq!(ambiguous.code, Some(1), "{ambiguous:?}");
    let expected =
        "`test` and `prod` each have a service `greeter`\n  help: say which by `--environment";
    assert!(ambiguous.stderr.contains(expected), "{ambiguous:?}");
    for more in [&["greeter", "--environment", "prod"][..], &["--environment", "prod"]] {
        let document = status_json(&watershed, more);
        assert_eq!(document["environments"].as_array().map(Vec::len), Some(1), "{document:#}");
        assert_eq!(document["environments"][0]["services"][0]["domains"][0], "greeter.example.com");
    }
    let unknown = status(&watershed, &["--environment", "prd"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean `prod`?"), "{unknown:?}");
}

#[test]
fn files_that_are_wrong_are_told() {
    let watershed = serve();
    watershed.site.write("services/greeter.toml", two("v1 = 100, v2 = 1"));
    watershed.site.write("services/new.toml", "nonsense");
    eventually("both", || watershed.status()["rejected"].as_array().map(Vec::len) == Some(2));
    let shown = status(&watershed, &[]);
    let (greeter, new) = (
        watershed.site.path("services/greeter.toml").display().to_string(),
        watershed.site.path("services/new.toml").display().to_string(),
    );
    for part in [
        &format!("rejected: {greeter}, and it goes on as it was"),
        "    error: the shares add up",
        &format!(
            "rejected: {new}, and nothing is served from it: its domains get 404 `no-service`"
        ),
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&shown.stdout).contains(&words(part)), "{part}\n{}", shown.stdout);
    }
    let shown = status(&watershed, &["lab"]);
    assert!(!shown.stdout.contains("rejected"), "that is not about the lab: {shown:?}");

    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main + "\n[serve]\n");
    let main = watershed.site.main_file().display().to_string();
    let expected = format!("rejected: {main}, and what is served has not changed since");
    eventually("the reload", || {
        let shown = status(&watershed, &["lab"]).stdout;
        shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(&expected)
    });
}

#[test]
fn without_a_process_that_is_said() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site =
        Site::new().admin(&format!("listen = \"{gone}\"")).service("greeter", &greeter("v1"));
    let finished = site.run(&["status"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:?}");
    let expected = format!(
        "error: no process answers at http://{gone}\n  help: start it with `watershed run`, or give \
         `--admin URL` if it listens elsewhere\n"
    );
    assert_eq!(finished.stderr, expected);
    fs::remove_file(site.main_file()).unwrap();
    let finished = site.run(&["status"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("watershed.toml"), "{finished:?}");
}

/// `--admin` gives the address, so the files do not matter.
#[test]
fn a_process_elsewhere_needs_no_files() {
    let watershed = serve();
    let site = Site::new();
    fs::remove_file(site.main_file()).unwrap();
    let admin = format!("http://{}", watershed.admin_address());
    let shown = site.run(&["status", "--admin", &admin]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("greeter"), "{shown:?}");
}

#[test]
fn watching_shows_it_again_until_it_is_ended() {
    let watershed = serve();
    let admin = format!("http://{}", watershed.admin_address());
    let path = watershed.site.path("shown.txt");
    let mut command = watershed.site.command(&["status", "lab", "--watch", "--admin", &admin]);
    command.stdin(Stdio::null()).stdout(File::create(&path).unwrap());
    let mut child = command.spawn().unwrap();
    let shown = || fs::read_to_string(&path).unwrap();
    eventually("shown twice", || shown().matches("process   http://").count() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let shown = shown();
    assert_eq!(shown.matches("\n---\n\nprocess   http://").count(), 1, "{shown}");
    assert!(!shown.contains('\x1b'), "no terminal, no cursor: {shown:?}");
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let watershed = serve();
    let admin = format!("http://{}", watershed.admin_address());
    for (no_color, colours) in [("", true), ("1", false)] {
        let mut command = watershed.site.command(&["status", "--admin", &admin]);
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        command.env("WATERSHED_LOG", "trace");
        let shown = Finished::of(command);
        assert_eq!(shown.stdout.contains('\x1b'), colours, "{shown:?}");
        assert!(shown.stderr.contains("TRACE"), "{shown:?}");
        assert_eq!(shown.stderr.contains('\x1b'), colours, "{shown:?}");
    }
}

#[test]
fn environments_are_listed_from_the_files() {
    let environments = "[[environments]]\nname = \"test\"\ndomain = \"test.example.com\"\n\
                        [[environments]]\nname = \"prod\"\ndomain = \"example.com\"\n\
                        services = \"prod/*.toml\"\n";
    let site = Site::new()
        .service("greeter", &greeter("v1"))
        .service("lab", "nonsense")
        .tables(environments);
    site.write("prod/greeter.toml", greeter("v1"));
    let listed = site.run(&["env", "list"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""), "{listed:?}");
    let expected = "\
ENVIRONMENT  DOMAIN            SERVICES  FILES            WRONG
test         test.example.com         1  services/*.toml      1
prod         example.com              1  prod/*.toml          0

some files are wrong: `watershed check` says why
";
    assert_eq!(listed.stdout, expected, "{}", listed.stdout);
    let listed = site.run(&["env", "list", "--json"]);
    let document: Value = serde_json::from_str(&listed.stdout).unwrap();
    let test = json!({ "name": "test", "domain": "test.example.com", "files": "services/*.toml",
                       "services": 1, "wrong_files": 1 });
    assert_eq!(document["environments"][0], test);
    assert_eq!(document["config"], site.main_file().display().to_string());
    site.write("watershed.toml", "nonsense");
    let wrong = site.run(&["env", "list"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""), "{wrong:?}");
    assert!(wrong.stderr.contains("watershed.toml"), "{wrong:?}");
}

#[test]
fn help_has_examples() {
    let help = Site::new().run(&["status", "--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    for part in [
        "[SERVICE]",
        "--environment <NAME>",
        "--admin <URL>",
        "--watch",
        "--json",
        "SINCE PUBLISH is",
    ] {
        assert!(help.stdout.contains(part), "{part}\n{}", help.stdout);
    }
    for help in [help, Site::new().run(&["env", "list", "--help"])] {
        for part in ["Examples:", "Exit codes: 0"] {
            assert!(help.stdout.contains(part), "{part}\n{}", help.stdout);
        }
    }
}

/// A row of zeros does not say that requests get no answer.
#[test]
fn a_service_that_is_offline_says_so() {
    let watershed = serve();
    watershed.site.write("services/greeter.toml", two("v1 = 0, v2 = 0"));
    eventually("offline", || watershed.service("greeter")["serving"] == "offline");
    assert_eq!(watershed.get(GREETER, "/").status, 503);
    let generation = watershed.generation();
    let shown = status(&watershed, &[]).stdout;
    assert!(shown.contains("services  2: 1 fine, 1 offline\n"), "{shown}");
    let expected =
        format!("\noffline  requests get 503 `offline`\ngreeter  since generation {generation}, ");
    assert!(shown.contains(&expected), "{shown}");
    let shown = status(&watershed, &["greeter"]).stdout;
    let offline = "\ntraffic   offline: requests get 503 `offline`; since generation ";
    assert!(shown.contains(offline), "{shown}");

    let watershed = watershed.restart();
    assert_eq!(watershed.service("greeter")["traffic_since_start"], true);
    let shown = status(&watershed, &[]).stdout;
    assert!(shown.contains(&expected), "the history knows: {shown}");
}

/// Two kinds of a version in error: one that nobody serves, and one whose predecessor goes on.
#[test]
fn what_serves_is_told_beside_an_error() {
    let site = Site::new().service("greeter", &one_version("v1")).service("shop", MISSING);
    let watershed = site.start();
    let missing = one_version("v1").replace("greeter.wasm", "gone.wasm");
    watershed.site.write("services/greeter.toml", missing);
    eventually("the error", || watershed.version("greeter", "v1")["status"] == "error");
    let v1 = watershed.version("greeter", "v1");
    assert_eq!((&v1["predecessor_serves"], &v1["share"]), (&true.into(), &100.0.into()), "{v1:#}");
    watershed.assert_serves(GREETER, "/");
    let (greeter, shop) = (watershed.service("greeter"), watershed.service("shop"));
    assert_eq!((&greeter["serving"], &shop["serving"]), (&"held".into(), &"nothing".into()));
    let shown = status(&watershed, &[]).stdout;
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "services 2: 1 serves nothing, 1 needs a look",
        "shop serves nothing down: nothing is served, and requests get 503 `no-version`: no declared \
         version is normal error[not-found]: version broken:",
        "missing.wasm; it gets no requests help: build the component",
        "held: goes on as it was: the split gives v1 100 %, and v1 cannot become normal error",
        "100 % of the requests still go to v1 as it was before",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

/// Somebody looks at the status because the main file is broken.
#[test]
fn a_broken_main_file_does_not_hide_its_process() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::new().admin(&format!("listen = \"{port}\"")).service("lab", &lab("v1"));
    let mut watershed = site.start();
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", format!("{main}\n[[environments]\n"));
    let shown = watershed.site.run(&["status"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    assert!(shown.stdout.contains("\nlab       http://"), "{shown:?}");
    // A process of other files is not meant.
    let other = Site::new().admin(&format!("listen = \"{port}\""));
    other.write("watershed.toml", format!("{}\n[[environments]\n", other.read("watershed.toml")));
    let shown = other.run(&["status"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(1), ""), "{shown:?}");
    assert!(shown.stderr.contains("[[environments]"), "{shown:?}");
    let help = "by `watershed status --admin http://127.0.0.1:9090`\n";
    assert!(shown.stderr.contains(help), "{shown:?}");
    watershed.kill();
    let shown = watershed.site.run(&["status"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(1), ""), "{shown:?}");
}
