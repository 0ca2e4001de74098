//! How often requests of a service may come: exactly so many, whoever asks and however many ask at once.

use std::thread;

use crate::support::{
    GREETER, Http1, Response, Site, Watershed, assert_problem, eventually, greeter, one_version,
    request, split, tell,
};

fn limited(limit: &str) -> String {
    format!("{}\n[traffic.rate-limit]\n{limit}\n", one_version("v1"))
}

fn serve(limit: &str) -> Watershed {
    Site::new().service("greeter", &limited(limit)).start()
}

/// How many of so many requests are answered. The others are over the limit.
fn answered(responses: &[Response]) -> usize {
    let others = responses.iter().filter(|response| response.status != 200);
    others.clone().for_each(|response| assert_problem(response, 429, "rate-limit"));
    responses.len() - others.count()
}

fn ask(client: &mut Http1, headers: &[&str]) -> Response {
    client.ask("GET", GREETER, "/", headers, b"")
}

/// How many of ten requests with these headers are answered, over one connection.
fn of_ten(watershed: &Watershed, headers: &[&str]) -> usize {
    let mut client = watershed.http1();
    answered(&(0..10).map(|_| ask(&mut client, headers)).collect::<Vec<_>>())
}

/// Two protocols, ten connections, four hundred requests at once, and not one more or less than the burst.
#[test]
fn a_burst_is_exact_however_many_ask_at_once() {
    let watershed = serve("key = \"client-address\"\nrate = \"1/h\"\nburst = 150");
    let one = |_| {
        let mut client = watershed.http1();
        (0..40).map(|_| ask(&mut client, &[])).collect::<Vec<_>>()
    };
    let two = |_| {
        let client = watershed.http2();
        let streams = (0..40).map(|_| client.open(request("GET", GREETER, "/"), false).response);
        client.responses(streams.collect::<Vec<_>>().into_iter())
    };
    let passed: usize = thread::scope(|scope| {
        let first = (0..5).map(|index| scope.spawn(move || answered(&one(index))));
        let second = (0..5).map(|index| scope.spawn(move || answered(&two(index))));
        let all: Vec<_> = first.chain(second).collect();
        all.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(passed, 150);
    let refused = |wanted: u64| {
        let limit = watershed.service("greeter")["rate_limit"].clone();
        limit["refused"] == wanted && limit["refused_last_minute"] == wanted
    };
    assert!(refused(250), "{}", watershed.service("greeter"));
    let labels = [("service", "greeter"), ("version", ""), ("outcome", "rate-limit")];
    watershed.await_metric("watershed_requests_total", &labels, 250.0);
    let page = tell(&watershed, &["status", "greeter"]).stdout;
    let line =
        "limit 1/h by client-address, burst 150; refused: 250 in the last minute, 250 in all";
    let words: Vec<_> = page.split_whitespace().collect();
    assert!(words.join(" ").contains(line), "{page}");
    let version = watershed.version("greeter", "v1");
    assert_eq!(version["error_ratio"], 0.0, "no version has failed: {version}");
    assert_eq!(version["observed"]["since_publish"]["requests"], 150, "{version}");
}

/// The rate goes on while somebody asks all the time: at most `rate × time + burst`, and about as many.
#[test]
fn a_rate_lets_as_many_pass_as_it_says() {
    let watershed = serve("key = \"service\"\nrate = \"100/s\"\nburst = 10");
    let started = std::time::Instant::now();
    let mut client = watershed.http1();
    let mut passed = 0;
    let mut pauses = std::time::Duration::ZERO;
    while passed < 150 {
        let asked = started.elapsed();
        passed += usize::from(ask(&mut client, &[]).status == 200);
        let most = 10.0 + 100.0 * started.elapsed().as_secs_f64();
        assert!(passed as f64 <= most, "{passed} of {most}");
        // Nothing is saved up beyond the burst while this test itself does not get to ask.
        let pause = started.elapsed() - asked;
        pauses += pause.saturating_sub(std::time::Duration::from_millis(50));
    }
    let least = 100.0 * (started.elapsed() - pauses).as_secs_f64() * 0.9;
    assert!(passed as f64 >= least - 10.0, "{passed} of {least}");
}

#[test]
fn a_client_is_told_what_is_left_and_when_to_come_back() {
    let watershed = serve("key = \"client-address\"\nrate = \"2/m\"");
    let mut client = watershed.http1();
    let first = ask(&mut client, &[]);
    assert_eq!(first.header("ratelimit-policy"), Some("\"watershed\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"watershed\";r=1;t=60"));
    assert_eq!(ask(&mut client, &[]).header("ratelimit"), Some("\"watershed\";r=0;t=30"));
    let refused = ask(&mut client, &["x-request-id: id-7"]);
    assert_problem(&refused, 429, "rate-limit");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("ratelimit"), Some("\"watershed\";r=0;t=30"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"watershed\";q=2;w=60"));
    assert_eq!(refused.header("connection"), Some("keep-alive"), "it may ask again: {refused:?}");
    let explained = tell(&watershed, &["explain", "greeter", "--client", "127.0.0.1"]).stdout;
    let told = "rate limit 2/m, burst 2, by client-address: nothing is left now, so it gets 429 `rate-limit`";
    assert!(explained.contains(told), "{explained}");
    let other = tell(&watershed, &["explain", "greeter", "--client", "10.0.0.1"]).stdout;
    assert!(other.contains("by client-address: 2 left"), "{other}");
}

/// What is left for all says what the others do, so only who is refused is told.
#[test]
fn what_is_left_for_all_is_no_clients_business() {
    let watershed = serve("key = \"service\"\nrate = \"1/h\"");
    let mut client = watershed.http1();
    let first = ask(&mut client, &[]);
    assert_eq!((first.status, first.header("ratelimit")), (200, None));
    let refused = ask(&mut client, &[]);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"watershed\";q=1;w=3600"));
}

#[test]
fn requests_count_by_their_key_or_else_by_their_client() {
    for (key, ann, bob) in [
        ("header:x-user", "x-user: ann", "X-User: bob"),
        ("cookie:user", "cookie: a=b; user=ann", "cookie: user=bob"),
    ] {
        let watershed = serve(&format!("key = \"{key}\"\nrate = \"3/h\""));
        assert_eq!(of_ten(&watershed, &[ann]), 3, "{key}");
        assert_eq!(of_ten(&watershed, &[bob]), 3, "{key}");
        assert_eq!(of_ten(&watershed, &[]), 3, "{key}: by the address");
        assert_eq!(
            of_ten(&watershed, &["x-forwarded-for: 10.9.8.7"]),
            0,
            "{key}: nobody believes it"
        );
    }
    let watershed = serve("key = \"query:user\"\nrate = \"1/h\"");
    let status = |path: &str| watershed.get(GREETER, path).status;
    assert_eq!(["/?user=ann", "/?user=%61nn", "/?user=bob"].map(status), [200, 429, 200]);
}

/// Behind a trusted proxy, clients are told apart; the /64 of a client is one.
#[test]
fn clients_behind_a_trusted_proxy_count_each_by_itself() {
    let text = limited("key = \"client-address\"\nrate = \"3/h\"");
    let site = Site::new().server("trusted-proxies = [\"127.0.0.1\"]").service("greeter", &text);
    let watershed = site.start();
    for (client, passed) in
        [("198.51.100.7", 3), ("198.51.100.8", 3), ("2001:db8::1", 3), ("2001:db8::2", 0)]
    {
        let header = format!("x-forwarded-for: {client}");
        assert_eq!(of_ten(&watershed, &[&header]), passed, "{client}");
    }
    assert_eq!(of_ten(&watershed, &[]), 3, "the proxy itself");
}

/// A request is refused before its body is read, before it is asked for one, and whatever it asks for.
#[test]
fn nothing_is_done_for_what_is_over_the_limit() {
    let text =
        limited("key = \"client-address\"\nrate = \"1/h\"") + "[traffic.override]\nheader = true\n";
    let watershed = Site::new().service("greeter", &text).start();
    assert_eq!(watershed.get(GREETER, "/").status, 200);
    let head = format!("POST / HTTP/1.1\r\nhost: {GREETER}\r\ncontent-length: 1000000\r\n");
    let mut client = watershed.http1();
    client.send(format!("{head}expect: 100-continue\r\n\r\n"));
    assert_problem(&client.response("POST"), 429, "rate-limit");
    let mut client = watershed.http1();
    client.send(format!("{head}\r\n"));
    assert_problem(&client.response("POST"), 429, "rate-limit");
    let wanted = ask(&mut watershed.http1(), &["watershed-version: v1"]);
    assert_problem(&wanted, 429, "rate-limit");
    let head = watershed.http1().ask("HEAD", GREETER, "/", &[], b"");
    assert_eq!((head.status, head.body.len()), (429, 0));
    // Over HTTP/2 the other streams go on.
    let client = watershed.http2();
    let post = client.open(request("POST", GREETER, "/"), true);
    assert_problem(&client.response(post.response).unwrap(), 429, "rate-limit");
    assert_problem(&client.get("nobody.localhost", "/"), 404, "no-service");
}

/// traefik#13706: each router had buckets of its own, so a service with several got several times the rate.
#[test]
fn a_service_has_one_limit_whatever_its_domains() {
    let text = format!(
        "domains = [\"shop.example.com\"]\n[[routes]]\ndomain = \"all.example.com\"\npath = \"/g\"\n{}",
        limited("key = \"client-address\"\nrate = \"3/h\"")
    );
    let watershed =
        Site::new().service("greeter", &text).service("other", &one_version("o1")).start();
    let ask = |host: &str, path: &str| watershed.get(host, path).status;
    assert_eq!(ask(GREETER, "/"), 200);
    assert_eq!(ask("shop.example.com", "/"), 200);
    assert_eq!(ask("all.example.com", "/g"), 200);
    assert_eq!([GREETER, "shop.example.com"].map(|host| ask(host, "/")), [429, 429]);
    let other = watershed.get("other.localhost", "/");
    assert_eq!((other.status, other.header("ratelimit-policy")), (200, None), "it has no limit");
}

/// hookaido#239: every reload filled all buckets again.
#[test]
fn an_edit_gives_nothing_back_and_a_new_limit_holds_at_once() {
    let watershed = serve("key = \"client-address\"\nrate = \"5/h\"");
    assert_eq!(of_ten(&watershed, &[]), 5);
    let edit = |text: &str| {
        let generation = watershed.generation();
        watershed.site.replace("services/greeter.toml", text);
        eventually("it is served", || watershed.generation() > generation);
    };
    let limit = "\n[traffic.rate-limit]\nkey = \"client-address\"\nrate = \"5/h\"\n";
    let two = greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50");
    edit(&format!("{two}{limit}"));
    assert_eq!(of_ten(&watershed, &[]), 0, "other versions, the same limit");
    edit(&(two.clone() + limit).replace("5/h", "7/h"));
    assert_eq!(of_ten(&watershed, &[]), 0, "another limit takes no debts back");
    edit(&two);
    assert_eq!(of_ten(&watershed, &[]), 10, "no limit");
    // A version that cannot be made holds the split, and no limit.
    let missing = "[[versions]]\nname = \"v3\"\ncomponent = \"gone.wasm\"\n";
    let held = greeter("v1") + &greeter("v2") + missing + &split("v1 = 50, v2 = 25, v3 = 25");
    edit(&format!("{held}\n[traffic.rate-limit]\nkey = \"service\"\nrate = \"2/h\"\n"));
    assert!(watershed.service("greeter")["held"].is_string());
    assert_eq!(of_ten(&watershed, &[]), 2);
    let explained = tell(&watershed, &["explain", "greeter"]).stdout;
    assert!(
        explained.contains("rate limit 2/h, burst 2, by service: nothing is left"),
        "{explained}"
    );
}

#[test]
fn files_say_how_often_requests_may_come() {
    let site = Site::new()
        .service("greeter", &limited("key = \"header:x-key\"\nrate = \"100/s\"\nburst = 200"));
    let explained = site.run(&["explain", "greeter"]).stdout;
    let told =
        "rate limit 100/s, burst 200, by header:x-key, without which the client's address counts\n";
    assert!(explained.contains(told), "{explained}");
}
