//! Which version a request gets other than by its share, seen from outside: rules, stickiness, overrides, previews and
//! reaches, and edits of them during traffic.

mod held;

use crate::support::{
    GREETER, LAB, Response, Site, Watershed, assert_problem, eventually, greeter, lab, split,
    while_requested,
};

const FILE: &str = "services/greeter.toml";

/// The greeter with two versions, all traffic at v1, and further lines under `[traffic]`.
fn service(more: &str) -> String {
    greeter("v1") + &greeter("v2") + &split("v1 = 100, v2 = 0") + more
}

fn serve(more: &str) -> Watershed {
    serve_text(&service(more))
}

fn serve_text(text: &str) -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", text).start()
}

fn ask(watershed: &Watershed, host: &str, path: &str, headers: &[&str]) -> Response {
    watershed.http1().ask("GET", host, path, headers, b"")
}

/// The version of a response, and the decision.
fn decision(response: &Response) -> (String, String) {
    assert_eq!(response.status, 200, "{response:?}");
    let header = |name| response.header(name).unwrap_or_default().to_owned();
    let version = header("watershed-version");
    assert_eq!(response.text(), format!("Hello from {version}!\n"));
    (version, header("watershed-decision"))
}

#[track_caller]
fn assert_decides(watershed: &Watershed, path: &str, headers: &[&str], version: &str, why: &str) {
    let decided = decision(&ask(watershed, GREETER, path, headers));
    assert_eq!(decided, (version.to_owned(), why.to_owned()), "{path} {headers:?}");
}

/// Rewrites the service and waits until the new text is served.
fn edit(watershed: &Watershed, text: &str) {
    let before = watershed.generation();
    watershed.site.replace(FILE, text);
    eventually("another generation", || watershed.generation() > before);
}

fn version_of(watershed: &Watershed, user: usize) -> String {
    let header = format!("x-user: {user}");
    decision(&ask(watershed, GREETER, "/", &[&header])).0
}

const RULES: &str = r#"
[[traffic.rules]]
name = "beta"
match = { path = "/app/*", method = "GET", query = { gray = "1*" } }
version = "v2"

[[traffic.rules]]
name = "lane"
match = { cookie = { lane = "*" }, header = { x-team = "core" } }
version = "v2"

[[traffic.rules]]
name = "far"
match = { client = "10.0.0.0/8" }
version = "v2"

[[traffic.rules]]
name = "near"
match = { client = "127.0.0.0/8", path = "/near" }
split = { v1 = 0, v2 = 100 }
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    let watershed = serve(RULES);
    assert_decides(&watershed, "/", &[], "v1", "random");
    assert_decides(&watershed, "/app/x?a=b&gray=1%32", &[], "v2", "rule:beta");
    assert_decides(&watershed, "/%61pp/x?gray=1", &[], "v2", "rule:beta");
    assert_decides(&watershed, "/app/x?gray=2", &[], "v1", "random");
    assert_decides(&watershed, "/app?gray=1", &[], "v1", "random");
    let lane = ["cookie: a=b; lane=", "x-team: core"];
    assert_decides(&watershed, "/", &lane, "v2", "rule:lane");
    assert_decides(&watershed, "/", &lane[..1], "v1", "random");
    assert_decides(&watershed, "/near", &[], "v2", "rule:near");
    let labels = [("version", "v2"), ("decision", "rule:beta"), ("outcome", "2xx")];
    watershed.await_metric("watershed_requests_total", &labels, 2.0);
}

#[test]
fn rules_hold_for_http2_too() {
    let watershed = serve(RULES);
    let response = watershed.http2().get(GREETER, "/app/x?gray=1");
    assert_eq!(decision(&response), ("v2".to_owned(), "rule:beta".to_owned()));
}

#[test]
fn a_rule_to_a_version_in_error_is_passed_over_or_fails() {
    let broken = "\n[[versions]]\nname = \"v3\"\ncomponent = \"missing.wasm\"\n";
    let rule = |otherwise: &str| {
        format!(
            "\n[[traffic.rules]]\nname = \"new\"\nmatch = {{ path = \"/new\" }}\nversion = \"v3\"\n\
             otherwise = \"{otherwise}\"\n"
        )
    };
    let text = |otherwise| greeter("v1") + broken + &split("v1 = 100") + &rule(otherwise);
    let watershed = serve_text(&text("next"));
    assert_decides(&watershed, "/new", &[], "v1", "random");
    edit(&watershed, &text("fail"));
    assert_problem(&watershed.get(GREETER, "/new"), 503, "no-version");
    assert_decides(&watershed, "/", &[], "v1", "random");
}

#[test]
fn users_stay_where_their_hash_is_and_only_move_to_the_version_that_grows() {
    let text = |share: u8| {
        greeter("v1")
            + &greeter("v2")
            + &split(&format!("v1 = {}, v2 = {share}", 100 - share))
            + "\n[traffic.sticky]\nkey = \"header:x-user\"\n"
    };
    let watershed = serve_text(&text(20));
    let versions = |watershed: &Watershed| -> Vec<String> {
        (0..200).map(|user| version_of(watershed, user)).collect()
    };
    let before = versions(&watershed);
    assert_eq!(versions(&watershed), before, "every click");
    let on_v2 = before.iter().filter(|version| *version == "v2").count();
    // Binomial with n = 200 and p = 0.2, but always the same users: 39 of them.
    assert_eq!(on_v2, 39);
    edit(&watershed, &text(50));
    let after = versions(&watershed);
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || after == "v2", "{before} {after}");
    }
    assert!(after.iter().filter(|version| *version == "v2").count() > on_v2);
    let watershed = watershed.restart();
    assert_eq!(versions(&watershed), after, "after a restart");
    assert_decides(&watershed, "/", &["x-user: 7"], &after[7], "sticky");
    assert!(["random"].contains(&&*decision(&watershed.get(GREETER, "/")).1));
}

#[test]
fn a_cookie_is_made_for_whoever_has_none() {
    let watershed = serve_text(
        &(greeter("v1")
            + &greeter("v2")
            + &split("v1 = 50, v2 = 50")
            + "[traffic.sticky]\nkey = \"generated\"\n[traffic.sticky.cookie]\nname = \"who\"\n\
               ttl = \"2h\"\nsecure = true\nsame-site = \"strict\"\n"),
    );
    for _ in 0..10 {
        let first = watershed.get(GREETER, "/");
        let (version, why) = decision(&first);
        assert_eq!(why, "sticky");
        let cookie = first.header("set-cookie").unwrap();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Max-Age=7200; Secure; HttpOnly; SameSite=Strict");
        let id = pair.strip_prefix("who=").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let header = format!("cookie: {pair}");
        let again = ask(&watershed, GREETER, "/", &[&header]);
        assert_eq!(decision(&again), (version, "sticky".to_owned()));
        assert_eq!(again.header("set-cookie"), None);
    }
}

#[test]
fn a_pinned_user_stays_until_his_version_is_cut_off_or_gone() {
    let pin = "\n[traffic.sticky]\nkey = \"header:x-user\"\nmode = \"pin\"\nttl = \"1h\"\n";
    let text = |reach: &str, shares: &str| {
        let first = greeter("v1").replace("name =", &format!("reach = \"{reach}\"\nname ="));
        first + &greeter("v2") + &split(shares) + pin
    };
    let watershed = serve_text(&text("live", "v1 = 100, v2 = 0"));
    assert_decides(&watershed, "/", &["x-user: ann"], "v1", "sticky");
    edit(&watershed, &text("live", "v1 = 0, v2 = 100"));
    assert_decides(&watershed, "/", &["x-user: ann"], "v1", "sticky");
    assert_decides(&watershed, "/", &["x-user: bob"], "v2", "sticky");
    edit(&watershed, &text("pinned", "v1 = 0, v2 = 100"));
    assert_decides(&watershed, "/", &["x-user: ann"], "v1", "sticky");
    edit(&watershed, &text("cutoff", "v1 = 0, v2 = 100"));
    assert_decides(&watershed, "/", &["x-user: ann"], "v2", "sticky");
    edit(&watershed, &text("live", "v1 = 100, v2 = 0"));
    assert_decides(&watershed, "/", &["x-user: ann"], "v2", "sticky");
    assert_decides(&watershed, "/", &["x-user: cid"], "v1", "sticky");
    edit(&watershed, &(greeter("v1") + &split("v1 = 100") + pin));
    assert_decides(&watershed, "/", &["x-user: bob"], "v1", "sticky");
}

const OVERRIDE: &str =
    "\n[traffic.override]\nheader = true\nquery = \"v\"\ncookie = \"v\"\npreview-domains = true\n";

#[test]
fn a_request_may_ask_for_a_version_without_traffic() {
    let watershed = serve(OVERRIDE);
    assert_decides(&watershed, "/", &["watershed-version: v2"], "v2", "override");
    assert_decides(&watershed, "/?v=v2", &[], "v2", "override");
    assert_decides(&watershed, "/", &["cookie: v=v2"], "v2", "override");
    assert_decides(&watershed, "/", &["watershed-version: v7"], "v1", "override-unknown");
    for (host, version, why) in [
        ("v2--greeter.localhost", "v2", "override"),
        ("V2--Greeter.LOCALHOST:80", "v2", "override"),
        ("v7--greeter.localhost", "v1", "override-unknown"),
    ] {
        let decided = decision(&ask(&watershed, host, "/", &[]));
        assert_eq!(decided, (version.to_owned(), why.to_owned()), "{host}");
    }
    let http2 = watershed.http2().get("v2--greeter.localhost", "/");
    assert_eq!(decision(&http2), ("v2".to_owned(), "override".to_owned()));
}

#[test]
fn nobody_overrides_unless_that_is_written() {
    let watershed = serve("");
    assert_decides(&watershed, "/?v=v2", &["watershed-version: v2"], "v1", "random");
    assert_problem(&watershed.get("v2--greeter.localhost", "/"), 404, "no-service");
}

#[test]
fn a_version_may_be_kept_from_overrides() {
    let text = |reach: &str| {
        let second = greeter("v2").replace("name =", &format!("reach = \"{reach}\"\nname ="));
        greeter("v1") + &second + &split("v1 = 100") + OVERRIDE
    };
    let watershed = serve_text(&text("override"));
    assert_decides(&watershed, "/?v=v2", &[], "v2", "override");
    edit(&watershed, &text("cutoff"));
    assert_decides(&watershed, "/?v=v2", &[], "v1", "override-denied");
}

#[test]
fn a_secret_keeps_others_from_overriding_and_is_followed() {
    let site = Site::new().server("expose = \"decision\"").service(
        "greeter",
        &service("\n[traffic.override]\nheader = true\nsecret = { file = \"../secrets/key\" }\n"),
    );
    site.write("secrets/key", "first\n");
    let watershed = site.start();
    let wants = "watershed-version: v2";
    assert_decides(&watershed, "/", &[wants], "v1", "override-denied");
    assert_decides(&watershed, "/", &[wants, "watershed-key: second"], "v1", "override-denied");
    assert_decides(&watershed, "/", &[wants, "watershed-key: first"], "v2", "override");
    watershed.site.replace("secrets/key", "second\n");
    eventually("the other secret", || {
        let response = ask(&watershed, GREETER, "/", &[wants, "watershed-key: second"]);
        decision(&response).1 == "override"
    });
    assert_decides(&watershed, "/", &[wants, "watershed-key: first"], "v1", "override-denied");
    std::fs::remove_file(watershed.site.path("secrets/key")).unwrap();
    eventually("no secret", || {
        let response = ask(&watershed, GREETER, "/", &[wants, "watershed-key: second"]);
        decision(&response).1 == "override-denied"
    });
    watershed.log_line(&["every override is denied", "there is no file"]);
    let warnings = watershed.status()["environments"][0]["services"][0]["warning"].to_string();
    assert!(warnings.contains("every override is denied"), "{warnings}");
}

#[test]
fn an_offline_service_answers_only_whoever_asks_for_a_version() {
    let text = greeter("v1")
        + &greeter("v2")
        + &split("v1 = 0, v2 = 0")
        + RULES
        + "\n[traffic.sticky]\nkey = \"header:x-user\"\n"
        + OVERRIDE;
    let watershed = serve_text(&text);
    assert_problem(&ask(&watershed, GREETER, "/near", &["x-user: ann"]), 503, "offline");
    assert_decides(&watershed, "/?v=v2", &[], "v2", "override");
}

#[test]
fn of_a_hundred_requests_one_is_one_percent_when_picked_smoothly() {
    let text = greeter("v1")
        + &greeter("v2")
        + &split("v1 = 99, v2 = 1").replace("split", "pick = \"smooth\"\nsplit");
    let watershed = serve_text(&text);
    let versions: Vec<_> = (0..300)
        // Each request on a new connection, so on any worker.
        .map(|_| decision(&watershed.get(GREETER, "/")))
        .collect();
    assert!(versions.iter().all(|(_, why)| why == "random"));
    for hundred in versions.windows(100) {
        assert_eq!(hundred.iter().filter(|(version, _)| version == "v2").count(), 1);
    }
}

/// What the guest received of a request with these headers.
fn seen(watershed: &Watershed, headers: &[&str]) -> Response {
    let response = watershed.http1().ask("GET", LAB, "/headers", headers, b"");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

#[test]
fn a_guest_is_told_its_lane_only_where_that_is_wanted() {
    let traffic = |propagate: bool| {
        lab("v1")
            + &format!("\n[traffic]\npropagate = {propagate}\nsplit = {{ v1 = 100 }}\n")
            + "[traffic.sticky]\nkey = \"header:x-user\"\n[traffic.override]\nheader = true\n"
    };
    let sent = ["watershed-version: v1", "watershed-key: k", "x-user: ann"];
    let watershed = Site::new().service("lab", &traffic(false)).start();
    let alone = seen(&watershed, &sent);
    for header in ["watershed-version", "watershed-key", "watershed-sticky"] {
        assert_eq!(alone.reported(header), None, "{header}");
    }
    let watershed = Site::new().service("lab", &traffic(true)).start();
    let chosen = seen(&watershed, &sent);
    assert_eq!(chosen.reported("watershed-version").as_deref(), Some("v1"));
    assert_eq!(chosen.reported("watershed-key").as_deref(), Some("k"));
    let sticky = seen(&watershed, &sent[2..]);
    assert_eq!(sticky.reported("watershed-version"), None);
    let hash = sticky.reported("watershed-sticky").unwrap();
    assert_eq!(hash.len(), 16, "{hash}");
    // Whatever receives the lane passes it on as it is.
    let header = format!("watershed-sticky: {hash}");
    assert_eq!(seen(&watershed, &[&header]).reported("watershed-sticky"), Some(hash));
}

/// A ramp, rules that come and go, and no request that fails.
#[test]
fn edits_of_policies_lose_no_request() {
    let watershed = serve("");
    let texts: Vec<String> = (0..10)
        .map(|step| {
            let shares = format!("v1 = {}, v2 = {}", 100 - step * 10, step * 10);
            let more = if step % 2 == 0 { RULES } else { OVERRIDE };
            greeter("v1") + &greeter("v2") + &split(&shares) + more
        })
        .collect();
    while_requested(
        &watershed,
        |response| ["v1", "v2"].contains(&&*decision(response).0),
        || texts.iter().for_each(|text| edit(&watershed, text)),
    );
}

/// A user whose first request fails used to be drawn again, so that nobody stayed in a canary that
/// fails, and it looked better than it was.
#[test]
fn a_user_whose_first_request_fails_stays_where_that_was() {
    let sticky =
        "\n[traffic]\nsplit = { v1 = 50, v2 = 50 }\n[traffic.sticky]\nkey = \"generated\"\n";
    let site = Site::new().service("lab", &(lab("v1") + &lab("v2") + sticky));
    let watershed = site.server("expose = \"decision\"").start();
    for path in ["/trap", "/never", "/count"] {
        let first = watershed.get(LAB, path);
        let cookie = first.header("set-cookie").unwrap_or_else(|| panic!("{path}: {first:?}"));
        let cookie = format!("cookie: {}", cookie.split(';').next().unwrap());
        let versions: Vec<_> = (0..20)
            .map(|_| {
                let again = watershed.http1().ask("GET", LAB, "/count", &[&cookie], b"");
                again.header("watershed-version").unwrap().to_owned()
            })
            .collect();
        assert!(versions.iter().all(|version| *version == versions[0]), "{path}: {versions:?}");
    }
}
