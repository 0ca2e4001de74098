//! Who may ask the admin listener for what: roles, sessions of browsers, and what keeps a session from being used by
//! somebody else's page.

use std::time::Duration;

use nix::sys::signal::SIGTERM;
use serde_json::{Value, json};

use crate::support::{
    Events, Http1, Response, Site, Watershed, assert_admin_problem, eventually, one_version, tell,
};

const SESSION: &str = "/api/v1/session";
const STATUS: &str = "/api/v1/status";
const RELOAD: &str = "/api/v1/reload";

const TOKENS: &str = "# the shop's team\nviewer see Vic\noperator act Ann\nplain\n";

fn site() -> Site {
    let admin = "listen = \"127.0.0.1:0\"\ntoken-file = \"token\"";
    let site = Site::new().admin(admin).service("greeter", &one_version("v1"));
    site.write("token", TOKENS);
    site
}

fn serve() -> Watershed {
    site().start()
}

fn ask(watershed: &Watershed, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let mut client = Http1::connect(watershed.admin_address());
    client.ask(method, "localhost", path, headers, body.as_bytes())
}

fn log_in(watershed: &Watershed, token: &str, headers: &[&str]) -> Response {
    ask(watershed, "POST", SESSION, headers, &json!({ "token": token }).to_string())
}

/// The session of a browser: its cookie, and the token that goes with changes.
struct Browser<'a> {
    watershed: &'a Watershed,
    cookie: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    fn of(watershed: &'a Watershed, token: &str) -> Self {
        let answer = log_in(watershed, token, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Self {
            watershed,
            cookie: format!("cookie: {cookie}"),
            csrf: format!("x-csrf-token: {csrf}"),
        }
    }

    fn get(&self, path: &str) -> Response {
        ask(self.watershed, "GET", path, &[&self.cookie], "")
    }

    fn post(&self, path: &str) -> Response {
        ask(self.watershed, "POST", path, &[&self.cookie, &self.csrf], "")
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[test]
fn a_viewer_looks_and_an_operator_acts() {
    let watershed = serve();
    let (viewer, operator) = (bearer("see"), bearer("act"));
    for path in [STATUS, "/metrics", "/api/v1/config", "/api/v1/history?service=greeter", SESSION] {
        for who in [&viewer, &operator] {
            assert_eq!(ask(&watershed, "GET", path, &[who], "").status, 200, "{path} {who}");
            assert_eq!(ask(&watershed, "HEAD", path, &[who], "").status, 200, "{path} {who}");
        }
    }
    assert_eq!(ask(&watershed, "OPTIONS", RELOAD, &[&viewer], "").status, 204);
    let question = json!({ "file": watershed.site.path("services/greeter.toml"), "is_there": true,
        "text": one_version("v1") });
    let checked = ask(&watershed, "POST", "/api/v1/check", &[&viewer], &question.to_string());
    assert_eq!(checked.status, 200, "{checked:?}");
    for (method, path) in [
        ("POST", RELOAD),
        ("POST", "/api/v1/services/default/greeter/traffic"),
        ("DELETE", STATUS),
        ("PUT", "/nonsense"),
        // What may be secret: viewers get digests.
        ("GET", "/api/v1/history?service=greeter&texts=true"),
        ("GET", "/api/v1/history?service=greeter&file=true"),
    ] {
        let refused = ask(&watershed, method, path, &[&viewer], "");
        assert_admin_problem(&refused, 403, "viewer");
        let allowed = ask(&watershed, method, path, &[&operator], "");
        assert_ne!(allowed.status, 403, "{method} {path}: {allowed:?}");
    }
    assert_eq!(ask(&watershed, "POST", RELOAD, &[&operator], "").status, 200);
    for (token, role, name) in [
        ("see", "viewer", json!("Vic")),
        ("act", "operator", json!("Ann")),
        ("plain", "operator", Value::Null),
    ] {
        let known = ask(&watershed, "GET", SESSION, &[&bearer(token)], "").json();
        assert_eq!((&known["role"], &known["name"]), (&role.into(), &name), "{known}");
        assert_eq!((&known["authentication"], &known["csrf"]), (&"token".into(), &Value::Null));
        assert_eq!(known["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn where_no_token_is_wanted_everybody_is_an_operator() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    let known = watershed.admin(SESSION).json();
    let expected = json!({ "authentication": "none", "role": "operator", "version": env!("CARGO_PKG_VERSION") });
    assert_eq!(known, expected);
    let logged_in = log_in(&watershed, "anything", &[]);
    assert_eq!((logged_in.status, logged_in.json()), (200, expected));
    assert_eq!(logged_in.header("set-cookie"), None);
    assert_eq!(ask(&watershed, "DELETE", SESSION, &[], "").status, 204);
    assert_eq!(watershed.admin_post(RELOAD).status, 200);
}

/// Cookies of Argo's and Grafana's consoles could be read by scripts, or went along with requests of other sites
/// (argoproj/argo-cd#2498, argoproj/argo-workflows#2763).
#[test]
fn a_login_gives_a_cookie_that_only_our_pages_send() {
    let watershed = serve();
    let answer = log_in(&watershed, "act", &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookie = answer.header("set-cookie").unwrap();
    let (secret, flags) = cookie.split_once(';').unwrap();
    assert_eq!(flags, " HttpOnly; SameSite=Strict; Path=/; Max-Age=43200");
    assert_eq!(secret.len(), "watershed-session=".len() + 64, "{secret}");
    let document = answer.json();
    assert_eq!((&document["role"], &document["name"]), (&"operator".into(), &"Ann".into()));
    assert!(!document.to_string().contains(secret.split('=').nth(1).unwrap()), "{document}");
    assert!(!document.to_string().contains("act"), "{document}");
    // Where TLS ends in front of us.
    let secure = log_in(&watershed, "act", &["host: x", "origin: https://localhost"]);
    assert_eq!(secure.status, 400, "{secure:?}");
    let secure = log_in(&watershed, "act", &["origin: https://localhost"]);
    assert!(secure.header("set-cookie").unwrap().ends_with("; Secure"), "{secure:?}");
    assert_ne!(secure.header("set-cookie").unwrap().split(';').next(), Some(secret));
    // The same answer again, for a page that is loaded anew.
    let again = ask(&watershed, "GET", SESSION, &[&format!("cookie: {secret}")], "");
    assert_eq!((again.status, again.json()), (200, document));
    assert_eq!(again.header("cache-control"), Some("no-store"));
}

#[test]
fn a_login_is_a_json_object_with_a_token() {
    let watershed = serve();
    for (body, status, code) in [
        ("", 400, "bad-body"),
        ("[]", 400, "bad-body"),
        ("{}", 400, "bad-body"),
        ("{\"token\": 1}", 400, "bad-body"),
        ("{\"token\": \"act\", \"user\": \"x\"}", 400, "bad-body"),
        ("{\"token\": \"\"}", 401, "token-wrong"),
        ("{\"token\": \"# the shop's team\"}", 401, "token-wrong"),
        ("{\"token\": \"Ann\"}", 401, "token-wrong"),
    ] {
        assert_admin_problem(&ask(&watershed, "POST", SESSION, &[], body), status, code);
    }
    let form = "content-type: application/x-www-form-urlencoded";
    let refused = ask(&watershed, "POST", SESSION, &[form], "token=act");
    assert_admin_problem(&refused, 415, "unsupported-media-type");
    assert_admin_problem(
        &ask(&watershed, "POST", "/api/v1/session?x", &[], "{}"),
        400,
        "unknown-parameter",
    );
    assert_admin_problem(&ask(&watershed, "GET", SESSION, &[], ""), 401, "token-missing");
    assert_admin_problem(&ask(&watershed, "DELETE", SESSION, &[], ""), 401, "token-missing");
    assert!(!watershed.stderr().contains("act\""), "{}", watershed.stderr());
}

/// Argo CD had no such token for years, and SameSite does not keep out pages of the same site
/// (argoproj/argo-cd#2496, CVE-2024-22424).
#[test]
fn a_session_changes_nothing_without_its_csrf_token() {
    let watershed = serve();
    let (browser, other) = (Browser::of(&watershed, "act"), Browser::of(&watershed, "act"));
    assert_eq!(browser.get(STATUS).status, 200);
    assert_eq!(browser.post(RELOAD).status, 200);
    let secret = browser.cookie.replace("cookie: watershed-session=", "x-csrf-token: ");
    for wrong in ["x-csrf-token: ", "x-csrf-token: 0", "x-csrf: 1", &other.csrf, &secret] {
        for path in [RELOAD, "/api/v1/check", "/nonsense"] {
            let refused = ask(&watershed, "POST", path, &[&browser.cookie, wrong], "");
            assert_admin_problem(&refused, 403, "csrf");
        }
        let kept = ask(&watershed, "DELETE", SESSION, &[&browser.cookie, wrong], "");
        assert_admin_problem(&kept, 403, "csrf");
    }
    assert_eq!(browser.post(RELOAD).status, 200);
    // Whoever sends the token itself is no browser that was led here.
    assert_eq!(ask(&watershed, "POST", RELOAD, &[&bearer("act")], "").status, 200);
}

/// A page on another port of this machine is of the same site, so the browser sends the cookie with its requests.
#[test]
fn a_page_of_another_origin_gets_nothing_by_the_cookie() {
    let watershed = serve();
    let browser = Browser::of(&watershed, "act");
    for foreign in [
        "origin: http://localhost:3000",
        "origin: http://evil.example",
        "sec-fetch-site: same-site",
    ] {
        let headers = [browser.cookie.as_str(), &browser.csrf, foreign];
        assert_admin_problem(&ask(&watershed, "POST", RELOAD, &headers, ""), 403, "foreign-origin");
        assert_admin_problem(&ask(&watershed, "GET", STATUS, &headers, ""), 403, "foreign-origin");
        let login = log_in(&watershed, "act", &[foreign]);
        assert_admin_problem(&login, 403, "foreign-origin");
    }
    let ours = format!("origin: http://{}", watershed.admin_address());
    let headers = [browser.cookie.as_str(), &browser.csrf, &ours, "sec-fetch-site: same-origin"];
    let mut client = Http1::connect(watershed.admin_address());
    let host = watershed.admin_address().to_string();
    assert_eq!(client.ask("POST", &host, RELOAD, &headers, b"").status, 200);
    // A name that leads here by DNS rebinding.
    let rebound = client.ask("GET", "evil.example", STATUS, &[&browser.cookie], b"");
    assert_admin_problem(&rebound, 421, "host-unknown");
}

#[test]
fn a_session_of_a_viewer_only_looks() {
    let watershed = serve();
    let browser = Browser::of(&watershed, "see");
    assert_eq!(browser.get(STATUS).status, 200);
    assert_admin_problem(&browser.post(RELOAD), 403, "viewer");
    assert_admin_problem(&browser.get("/api/v1/history?all=true&texts=true"), 403, "viewer");
    let ended = ask(&watershed, "DELETE", SESSION, &[&browser.cookie, &browser.csrf], "");
    assert_eq!(ended.status, 204, "{ended:?}");
}

#[test]
fn a_session_ends_when_it_is_asked_to() {
    let watershed = serve();
    let (browser, other) = (Browser::of(&watershed, "act"), Browser::of(&watershed, "act"));
    let ended = ask(&watershed, "DELETE", SESSION, &[&browser.cookie, &browser.csrf], "");
    assert_eq!((ended.status, ended.body.len()), (204, 0), "{ended:?}");
    let cleared = "watershed-session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0";
    assert_eq!(ended.header("set-cookie"), Some(cleared));
    assert_admin_problem(&browser.get(STATUS), 401, "token-missing");
    assert_eq!(other.get(STATUS).status, 200);
    // A browser that has an old cookie too sends both.
    let both = format!("{}; {}", browser.cookie, other.cookie.trim_start_matches("cookie: "));
    assert_eq!(ask(&watershed, "GET", STATUS, &[&both], "").status, 200);
}

/// Others go on with a session whose password was changed (Datawheel/canon#1272, COMET-WebServices#67).
#[test]
fn a_session_ends_with_its_token_and_follows_its_role() {
    let watershed = serve();
    let (ann, vic) = (Browser::of(&watershed, "act"), Browser::of(&watershed, "see"));
    watershed.site.write("token", "viewer act Ann\nviewer see Vic\n");
    eventually("the session has lost a role", || ann.post(RELOAD).status == 403);
    assert_eq!(ann.get(STATUS).status, 200);
    watershed.site.write("token", "operator see Vic\n");
    eventually("the session has ended", || ann.get(STATUS).status == 401);
    eventually("the other may act", || vic.post(RELOAD).status == 200);
    // A file that is wrong ends nothing.
    watershed.site.write("token", "operator see Vic\nsee again\n");
    let told = watershed.log_line(&["keeps its last tokens", "line 2 begins with no role"]);
    assert!(!told.contains("see"), "{told}");
    assert_eq!(vic.get(STATUS).status, 200);
    let troubles = vic.get(STATUS).json()["troubles"].to_string();
    assert!(troubles.contains("line 2") && !troubles.contains("see"), "{troubles}");
    // Nor does a session begin again when its token comes back.
    watershed.site.write("token", TOKENS);
    eventually("the token is back", || {
        ask(&watershed, "GET", STATUS, &[&bearer("act")], "").status == 200
    });
    assert_eq!(ann.get(STATUS).status, 401);
}

#[test]
fn a_session_does_not_outlive_the_process() {
    let watershed = serve();
    let Browser { cookie, .. } = Browser::of(&watershed, "act");
    let watershed = watershed.restart();
    let answer = ask(&watershed, "GET", STATUS, &[&cookie], "");
    assert_admin_problem(&answer, 401, "token-missing");
}

/// Grafana's login could be guessed at without end (grafana/grafana#7616), and later locked everybody out who had
/// somebody else's name (grafana/grafana#109138).
#[test]
fn whoever_guesses_tokens_has_to_wait() {
    let watershed = serve();
    // Right ones do not count.
    for _ in 0..12 {
        assert_eq!(log_in(&watershed, "see", &[]).status, 200);
    }
    let browser = Browser::of(&watershed, "act");
    for _ in 0..10 {
        assert_admin_problem(&log_in(&watershed, "guess", &[]), 401, "token-wrong");
    }
    let refused = log_in(&watershed, "guess", &[]);
    assert_admin_problem(&refused, 429, "too-many-attempts");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Nobody learns the right token from here, and everybody who has it goes on.
    assert_eq!(log_in(&watershed, "act", &[]).status, 429);
    assert_eq!(browser.get(STATUS).status, 200);
    for _ in 0..20 {
        assert_eq!(ask(&watershed, "GET", STATUS, &[&bearer("guess")], "").status, 401);
    }
    assert_eq!(ask(&watershed, "GET", STATUS, &[&bearer("act")], "").status, 200);
    watershed.log_line(&["login to the console with a wrong token", "127.0.0.1"]);
}

#[test]
fn nobody_logs_in_to_a_process_that_ends() {
    let site = site().server("drain-delay = \"20s\"");
    let watershed = site.start();
    let browser = Browser::of(&watershed, "act");
    watershed.signal(SIGTERM);
    eventually("draining", || watershed.admin("/readyz").status == 503);
    assert_admin_problem(&log_in(&watershed, "act", &[]), 503, "draining");
    assert_admin_problem(&browser.post(RELOAD), 503, "draining");
    assert_eq!(browser.get(STATUS).status, 200);
}

/// A file for several people is the process's, and the commands on its machine use it too.
#[test]
fn commands_take_the_first_operator_of_a_file() {
    let watershed = serve();
    let status = tell(&watershed, &["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    let offline = tell(&watershed, &["traffic", "greeter", "--offline"]);
    assert_eq!(offline.code, Some(0), "{offline:?}");
    let records = ask(&watershed, "GET", "/api/v1/history?service=greeter", &[&bearer("see")], "");
    let author = records.json()["records"][0]["author"].to_string();
    assert!(author.contains("watershed traffic") && !author.contains("Ann"), "{author}");

    watershed.site.write("mine", "viewer see\n");
    let config = watershed.site.path("mine").display().to_string();
    let looked = tell(&watershed, &["status", "--token-file", &config]);
    assert_eq!(looked.code, Some(0), "{looked:?}");
    let acted = tell(&watershed, &["traffic", "greeter", "v1=100", "--token-file", &config]);
    assert_eq!(acted.code, Some(1), "{acted:?}");
    assert!(acted.said().contains("only operators"), "{acted:?}");
    watershed.site.write("mine", "operator act Ann\nact again\n");
    let wrong = tell(&watershed, &["status", "--token-file", &config]);
    assert!(wrong.said().contains("line 2 begins with no role"), "{wrong:?}");
    assert!(!wrong.said().contains("again"), "{wrong:?}");
}

#[test]
fn a_start_names_the_wrong_line_and_not_the_token() {
    let site = site();
    site.write("token", "operator s3cret Ann\nadmin s3cret2 Bob\n");
    let finished = site.run(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("line 2 begins with no role"), "{finished:?}");
    assert!(!finished.said().contains("s3cret"), "{finished:?}");
    let checked = site.run(&["check", "--no-compile"]);
    assert!(checked.said().contains("line 2 begins with no role"), "{checked:?}");
    assert!(!checked.said().contains("s3cret"), "{checked:?}");
}

/// What browsers send to a listener that never answered them before: heads with many cookies.
#[test]
fn many_cookies_cost_little() {
    let watershed = serve();
    let cookie = format!("watershed-session={}; ", "0a".repeat(32)).repeat(600);
    let begun = std::time::Instant::now();
    let answer = ask(&watershed, "GET", STATUS, &[&format!("cookie: {cookie}")], "");
    assert!([401, 431].contains(&answer.status), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A stream is let through once and goes on: who may not look any more must not be told of changes.
#[test]
fn a_stream_ends_with_the_token_or_the_session_that_has_opened_it() {
    let watershed = serve();
    let admin = watershed.admin_address();
    let (viewer, ann) = (Browser::of(&watershed, "see"), Browser::of(&watershed, "act"));
    let who = [bearer("see"), viewer.cookie.clone(), ann.cookie.clone(), bearer("act")];
    let [mut by_token, mut by_cookie, mut by_session, mut stays] =
        who.map(|who| Events::open_as(admin, &who));
    for stream in [&mut by_token, &mut by_cookie, &mut by_session, &mut stays] {
        stream.hello();
    }
    let out = ask(&watershed, "DELETE", SESSION, &[&ann.cookie, &ann.csrf], "");
    assert_eq!(out.status, 204, "{out:?}");
    assert_eq!(by_session.next(), None);
    watershed.site.write("token", TOKENS.replace("viewer see Vic\n", ""));
    assert_eq!((by_token.next(), by_cookie.next()), (None, None));
    watershed.site.write("services/greeter.toml", one_version("v2"));
    stays.change_of(Some("greeter"));
}
