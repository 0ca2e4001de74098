//! `watershed status`, and what each version did lately; `watershed env list`.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use serde_json::{Value, json};

use crate::support::{
    Finished, GREETER, Site, Watershed, eventually, greeter, lab, limits, one_version, split,
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

#[track_caller]
fn assert_close(value: &Value, expected: f64) {
    let is_close = value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-6);
    assert!(is_close, "{value}, and not {expected}");
}

#[test]
fn a_version_is_told_with_what_it_did_lately() {
    let watershed = serve();
    for path in ["/count", "/count", "/count", "/trap"].repeat(5) {
        watershed.get("lab.localhost", path);
        watershed.get(GREETER, "/");
    }
    watershed.await_metric("watershed_requests_total", &[("service", "lab")], 20.0);
    watershed.await_metric("watershed_requests_total", &[("service", "greeter")], 20.0);
    let v1 = watershed.version("lab", "v1");
    assert_close(&v1["error_ratio"], 0.25);
    assert_close(&v1["observed"]["since_publish"]["share"], 100.0);
    assert_close(&v1["declared_share"], 100.0);
    assert_eq!(v1["in_flight"], 0, "{v1:#}");
    let (p50, p99) = (v1["p50_ms"].as_f64().unwrap(), v1["p99_ms"].as_f64().unwrap());
    assert!(p50 > 0.0 && p50 <= p99 && p99 < 10_000.0, "{v1:#}");
    let (lab, greeter) = (watershed.service("lab"), watershed.service("greeter"));
    assert_eq!((&lab["latest"], &greeter["latest"]), (&true.into(), &false.into()));

    let [v1, v2] = ["v1", "v2"].map(|name| watershed.version("greeter", name));
    assert_close(&v1["observed"]["minute"]["share"], 100.0);
    assert_close(&v2["observed"]["minute"]["share"], 0.0);
    assert_close(&v1["error_ratio"], 0.0);
    assert_eq!((&v2["p50_ms"], &v2["error_ratio"]), (&Value::Null, &Value::Null));
    assert_eq!(greeter["error_ratio"], 0.0, "{greeter:#}");
    assert_eq!(lab["p99_ms"], watershed.version("lab", "v1")["p99_ms"]);
    let status = watershed.status();
    assert_eq!(status["config"], watershed.site.main_file().display().to_string());
    assert_eq!(status["environments"][0]["domain"], "localhost");
}

#[test]
fn requests_are_in_flight_until_they_have_ended() {
    let watershed = serve();
    let in_flight = |count: u64| {
        let service = watershed.service("lab");
        service["in_flight"] == count && service["versions"][0]["in_flight"] == count
    };
    thread::scope(|scope| {
        scope.spawn(|| watershed.get("lab.localhost", "/slow-body?chunks=10&ms=100"));
        eventually("one in flight", || in_flight(1));
    });
    eventually("none in flight", || in_flight(0));
}

/// How often both versions were drawn in a window, and the number of draws.
#[track_caller]
fn drawn(watershed: &Watershed, window: &str) -> ([u64; 2], u64) {
    let observed = ["v1", "v2"].map(|name| watershed.version("greeter", name)["observed"].clone());
    let count = |version: &Value, field| version[window][field].as_u64().unwrap();
    let [of, same] = observed.each_ref().map(|version| count(version, "drawn_of"));
    assert_eq!(of, same, "{observed:?}");
    (observed.map(|version| count(&version, "drawn")), of)
}

/// A fair split is reported as unfair once in a million runs.
#[test]
fn draws_are_told_beside_their_shares() {
    let watershed = Site::new().service("greeter", &two("v1 = 50, v2 = 50")).start();
    let minute = watershed.version("greeter", "v1")["observed"]["minute"].clone();
    assert_eq!((&minute["share"], &minute["too_early"]), (&Value::Null, &true.into()));
    let mut connection = watershed.http1();
    for _ in 0..200 {
        connection.get(GREETER, "/");
    }
    for window in ["minute", "hour", "since_publish"] {
        let ([v1, v2], of) = drawn(&watershed, window);
        assert_eq!((v1 + v2, of), (200, 200), "{window}");
        let told = watershed.version("greeter", "v1")["observed"][window].clone();
        assert_close(&told["drawn_share"], v1 as f64 / 2.0);
        assert_close(&told["share"], v1 as f64 / 2.0);
        assert_eq!(told["beyond_chance"], false, "{told:#}");
        assert!(told["p_value"].as_f64().is_some_and(|p| p <= 1.0 && p > 1e-6), "{told:#}");
    }
    let labels = |window| [("service", "greeter"), ("version", "v1"), ("window", window)];
    let ([v1, _], _) = drawn(&watershed, "since_publish");
    for window in ["minute", "hour", "publish"] {
        let share = watershed.metric("watershed_observed_share_ratio", &labels(window));
        assert_close(&share.into(), v1 as f64 / 200.0);
        assert_close(
            &watershed.metric("watershed_share_beyond_chance", &labels(window)).into(),
            0.0,
        );
    }
    let declared = watershed.metric("watershed_declared_share_ratio", &[("version", "v1")]);
    assert_close(&declared.into(), 0.5);
    let shown = status(&watershed, &[]);
    assert!(!shown.stdout.contains("beyond chance"), "{shown:?}");
}

/// A new remark or a version that nobody gets changes nothing about the draws, and a new share does.
#[test]
fn draws_are_counted_anew_under_other_shares() {
    let watershed = Site::new().service("greeter", &two("v1 = 50, v2 = 50")).start();
    for _ in 0..20 {
        watershed.get(GREETER, "/");
    }
    let remarked =
        |shares: &str| greeter("v1") + "remark = \"greets\"\n" + &greeter("v2") + &split(shares);
    watershed.site.write("services/greeter.toml", remarked("v1 = 50, v2 = 50"));
    eventually("the remark", || watershed.version("greeter", "v1")["remark"] == "greets");
    assert_eq!(drawn(&watershed, "since_publish").1, 20);
    let since = watershed.service("greeter")["traffic_generation"].clone();
    let more = greeter("v0") + &remarked("v1 = 50, v2 = 50");
    watershed.site.write("services/greeter.toml", more);
    eventually("v0", || watershed.service("greeter")["versions"][0]["status"] == "normal");
    assert_eq!(drawn(&watershed, "since_publish").1, 20);
    assert_eq!(watershed.service("greeter")["traffic_generation"], since);
    watershed.site.write("services/greeter.toml", remarked("v1 = 75, v2 = 25"));
    eventually("the shares", || watershed.version("greeter", "v1")["share"] == 75.0);
    for window in ["minute", "hour", "since_publish"] {
        assert_eq!(drawn(&watershed, window), ([0, 0], 0), "{window}");
    }
    watershed.get(GREETER, "/");
    assert_eq!(drawn(&watershed, "since_publish").1, 1);
}

/// Where the newest version takes all traffic, nothing is drawn.
#[test]
fn only_what_is_drawn_is_tested() {
    let watershed = serve();
    watershed.get("lab.localhost", "/count");
    let minute =
        |service, version| watershed.version(service, version)["observed"]["minute"].clone();
    let lab = minute("lab", "v1");
    assert_eq!((&lab["requests"], &lab["drawn"]), (&1.into(), &Value::Null), "{lab:#}");
    assert_eq!(minute("greeter", "v1")["drawn"], 0);
    assert!(minute("greeter", "v2")["drawn"].is_null(), "it has no share");
    assert!(
        !watershed
            .admin("/metrics")
            .text()
            .contains("_share{environment=\"default\",service=\"lab\"")
    );
}

/// The metrics of the name go on, and the figures of the last minute do not.
#[test]
fn a_version_made_anew_begins_anew() {
    let watershed = serve();
    for _ in 0..3 {
        watershed.get("lab.localhost", "/trap");
    }
    eventually("errors", || watershed.version("lab", "v1")["error_ratio"] == 1.0);
    watershed.site.write("services/lab.toml", lab("v1") + &limits("memory = \"48MiB\""));
    eventually("the edit", || watershed.version("lab", "v1")["p50_ms"].is_null());
    watershed.assert_serves("lab.localhost", "/count");
    let labels = [("service", "lab")];
    watershed.await_metric("watershed_request_duration_seconds_count", &labels, 4.0);
    let v1 = watershed.version("lab", "v1");
    assert_close(&v1["error_ratio"], 0.0);
    assert_eq!(v1["observed"]["since_publish"]["requests"], 1, "{v1:#}");
}

/// Four seconds after a promote, the version before it used to be shown with 92 % of the requests, and a version that
/// was just made with a rate that others were not divided by.
#[test]
fn after_a_promote_requests_count_from_there() {
    let watershed = serve();
    let get = |count: usize| {
        let mut connection = watershed.http1();
        (0..count).for_each(|_| assert_eq!(connection.get(GREETER, "/").status, 200));
    };
    get(300);
    watershed.site.write("services/greeter.toml", two("v1 = 0, v2 = 100"));
    eventually("the promote", || watershed.version("greeter", "v2")["share"] == 100.0);
    get(30);
    let [v1, v2] = ["v1", "v2"].map(|name| watershed.version("greeter", name));
    for window in ["since_publish", "minute"] {
        let told = [&v1, &v2].map(|version| version["observed"][window].clone());
        assert_eq!(told.each_ref().map(|it| &it["requests"]), [0, 30], "{told:?}");
        assert_eq!(told.each_ref().map(|it| &it["share"]), [0.0, 100.0], "{told:?}");
    }
    let seconds = |version: &Value| version["observed"]["minute"]["seconds"].as_f64().unwrap();
    assert!(seconds(&v1) < 60.0, "{v1:#}");
    assert_eq!(v1["p50_ms"], Value::Null, "what ended before the publish does not count: {v1:#}");
    let service = watershed.service("greeter");
    assert_eq!(service["traffic_generation"], service["since_generation"]);
    assert!(service["traffic_since_start"].is_null(), "{service:#}");
    eventually("rates of one denominator", || {
        let service = watershed.service("greeter");
        let v2 = &service["versions"][1];
        let rate = v2["requests_per_second"].as_f64();
        let expected = |rate: f64| (rate - 30.0 / seconds(v2)).abs() < 0.01;
        rate.is_some_and(expected) && service["versions"][0]["requests_per_second"] == 0.0
    });
}

/// A request that an override leads to a version is none of the draws, and counts for what the version had.
#[test]
fn whatever_decides_a_request_it_counts() {
    let service = two("v1 = 100, v2 = 0") + "[traffic.override]\nquery = \"v\"\n";
    let watershed = Site::new().service("greeter", &service).start();
    let mut connection = watershed.http1();
    for number in 0..40 {
        let path = if number % 4 == 0 { "/?v=v2" } else { "/" };
        assert_eq!(connection.get(GREETER, path).status, 200);
    }
    let minute = |name| watershed.version("greeter", name)["observed"]["minute"].clone();
    let (v1, v2) = (minute("v1"), minute("v2"));
    assert_eq!((&v1["requests"], &v2["requests"]), (&30.into(), &10.into()));
    assert_eq!((&v1["share"], &v2["share"]), (&75.0.into(), &25.0.into()));
    assert_eq!(
        (&v1["drawn"], &v1["drawn_of"], &v1["beyond_chance"]),
        (&30.into(), &30.into(), &false.into())
    );
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
    let expected = "\ntraffic   offline: requests get 503 `offline`; since generation ";
    assert!(shown.contains(expected), "{shown}");

    let watershed = watershed.restart();
    assert_eq!(watershed.service("greeter")["traffic_since_start"], true);
    let shown = status(&watershed, &[]).stdout;
    assert!(shown.contains("greeter  since the start of the process or longer, "), "{shown}");
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
