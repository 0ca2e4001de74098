//! `watershed explain` and `GET /api/v1/explain`: what they say is what happens.

use serde_json::Value;

use crate::support::{GREETER, Site, Watershed, greeter, split};

fn service() -> String {
    greeter("v1")
        + &greeter("v2")
        + &split("v1 = 70, v2 = 30")
        + r#"
[[traffic.rules]]
name = "beta"
match = { path = "/app/*", query = { gray = "1*" } }
version = "v2"

[traffic.sticky]
key = "header:x-user"

[traffic.override]
header = true
"#
}

fn site() -> Site {
    Site::new().server("expose = \"decision\"").service("greeter", &service())
}

fn explained(watershed: &Watershed, query: &str) -> Value {
    let answer = watershed.admin(&format!("/api/v1/explain?service=greeter&{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn what_is_explained_is_what_happens() {
    let watershed = site().start();
    for user in 0..50 {
        let told = explained(&watershed, &format!("header=x-user:{user}"));
        let header = format!("x-user: {user}");
        let response = watershed.http1().ask("GET", GREETER, "/", &[&header], b"");
        assert_eq!(told["version"], *response.header("watershed-version").unwrap());
        assert_eq!(told["decision"], *response.header("watershed-decision").unwrap());
        assert_eq!(told["sticky"]["hash"].as_str().unwrap().len(), 16);
    }
    let told = explained(&watershed, "path=/app/x?gray%3D12");
    assert_eq!((&told["decision"], &told["version"]), (&"rule:beta".into(), &"v2".into()));
    let told = explained(&watershed, "path=/app/x&query=gray%3D2");
    assert_eq!(told["rules"][0]["why"], "parameter gray is `2`, not like `1*`");
    assert_eq!(told["decision"], "random");
    let shares = serde_json::json!([
        { "version": "v1", "share": 70.0 },
        { "version": "v2", "share": 30.0 },
    ]);
    assert_eq!(told["distribution"], shares);
    let told = explained(&watershed, "header=watershed-version:v9");
    assert_eq!(told["override"]["result"], "unknown");
    assert_eq!(told["decision"], "override-unknown");
}

#[test]
fn what_is_no_question_is_refused() {
    let watershed = site().start();
    for (query, status, says) in [
        ("", 400, "the parameter `service` is missing"),
        ("service=nobody", 404, "there is no service `nobody`"),
        ("service=greeter&header=x-user", 400, "is not a header"),
        ("service=greeter&path=app", 400, "is not a path"),
        ("service=greeter&client=here", 400, "is not the address of a client"),
        ("service=greeter&colour=red", 400, "there is no parameter `colour`"),
    ] {
        let answer = watershed.admin(&format!("/api/v1/explain?{query}"));
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.text().contains(says), "{query}: {}", answer.text());
    }
}

#[test]
fn the_command_asks_the_process_or_reads_the_files() {
    let site = site();
    let offline = site.run(&["explain", "greeter", "--path", "/app/x?gray=1"]);
    assert_eq!(offline.code, Some(0), "{}", offline.said());
    assert!(
        offline.stdout.starts_with("greeter, by the files: v2 (rule:beta)\n"),
        "{}",
        offline.said()
    );
    let watershed = site.start();
    let admin = format!("http://{}", watershed.admin_address());
    let explain = |arguments: &[&str]| {
        let ask = ["explain", "greeter", "--admin", &admin];
        watershed.site.run(&[&ask, arguments].concat())
    };
    let asked = explain(&["--header", "x-user: ann"]);
    assert!(asked.stdout.contains(", by generation "), "{}", asked.said());
    assert!(asked.stdout.contains("sticky header:x-user (hash): bucket "), "{}", asked.said());
    let json: Value = serde_json::from_str(&explain(&["--json"]).stdout).unwrap();
    assert_eq!(json["decision"], "random");
    let wrong = explain(&["--method", "G T"]);
    assert_eq!(wrong.code, Some(64), "{}", wrong.said());
    let unknown = watershed.site.run(&["explain", "gretter", "--admin", &admin]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.said().contains("greeter"), "{}", unknown.said());
}

/// The percentage that is told is where the version changes.
#[test]
fn a_ramp_tells_where_a_user_moves() {
    let site = site();
    let ramp = site.run(&["explain", "greeter", "--key", "ann", "--ramp", "v2=0..100", "--json"]);
    assert_eq!(ramp.code, Some(0), "{}", ramp.said());
    let told: Value = serde_json::from_str(&ramp.stdout).unwrap();
    let at = told["at"].as_f64().unwrap();
    assert_eq!(told["before"], "v1");
    let version_at = |share: f64| {
        let shares = format!("v1 = {:.2}, v2 = {share:.2}", 100.0 - share);
        site.write("services/greeter.toml", service().replace("v1 = 70, v2 = 30", &shares));
        let explained = site.run(&["explain", "greeter", "--header", "x-user:ann", "--json"]);
        let told: Value = serde_json::from_str(&explained.stdout).unwrap();
        told["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(version_at(at), "v2");
    assert_eq!(version_at(at - 0.01), "v1");
    let wrong = site.run(&["explain", "greeter", "--key", "ann", "--ramp", "v2"]);
    assert_eq!(wrong.code, Some(64));
    assert!(wrong.said().contains("it looks like v2=0..100"), "{}", wrong.said());
    let unknown = site.run(&["explain", "greeter", "--key", "ann", "--ramp", "v7=0..100"]);
    assert_eq!(unknown.code, Some(1));
}

/// A user who is known by an address is in one bucket, whichever process is asked.
#[test]
fn an_address_is_the_same_user_for_a_ramp() {
    let text = service().replace("header:x-user", "client-address");
    let site = Site::new().service("greeter", &text);
    let json = |arguments: &[&str]| {
        let told = site.run(&[&["explain", "greeter", "--json"], arguments].concat());
        serde_json::from_str::<Value>(&told.stdout).unwrap_or_else(|_| panic!("{}", told.said()))
    };
    let asked = json(&["--client", "10.1.2.3"]);
    let ramp = json(&["--key", "10.1.2.3", "--ramp", "v2=0..100"]);
    assert_eq!(asked["sticky"]["hash"], ramp["hash"]);
    assert_eq!(asked["sticky"]["bucket"], ramp["bucket"]);
    let wrong = site.run(&["explain", "greeter", "--key", "ann", "--ramp", "v2=0..100"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.said().contains("give `--key` an address"), "{}", wrong.said());
}
