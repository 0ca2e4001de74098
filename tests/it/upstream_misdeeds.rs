//! Each way in which an upstream misbehaves over HTTP/1.1, and what its client sees: a failure with its code, or a
//! connection that breaks, and never a clean end of what is not whole. Each case has a service of its own in one
//! process, which goes on serving.

use std::time::Duration;

use ::misbehaving::{Script, Step, Upstream};

use crate::support::{Http1, Http2, ONCE, Response, Site, Watershed, limits, request, upstream};

/// What a client may see. Where RFC 9112 leaves a choice, a case names several.
#[derive(Clone, Copy, Debug)]
enum Sees {
    /// A whole response with this status and body.
    Whole(u16, &'static str),
    /// A failure of the gateway: a status and its code.
    Code(u16, &'static str),
    /// A response that does not end as it should.
    Broken,
}

use Sees::{Broken, Code, Whole};

const HELLO: Sees = Whole(200, "hello");
const RESET: Sees = Code(502, "upstream-reset");
const CONNECT: Sees = Code(502, "connect");
const PROTOCOL: Sees = Code(502, "upstream-protocol");
/// While nothing of a response has reached the client, a failure can still be told.
const CUT: &[Sees] = &[Broken, RESET, PROTOCOL];
const WALL: Sees = Code(504, "wall-time");

/// The patience with upstreams here, and a pause that is longer than any of it.
const PATIENCE: &str = "wall-time = \"1s\"\nidle-time = \"1s\"";
const TOO_LONG: Duration = Duration::from_secs(4);

/// A name, what the upstream does, what the client may see, and how many requests arrive.
type Case = (&'static str, Script, &'static [Sees], usize);

fn read() -> Script {
    Script::new().read_head().read_body()
}

fn ok(rest: &str) -> Script {
    Script::answer(format!("HTTP/1.1 200 OK\r\n{rest}"))
}

/// The connection ends where it should not.
fn ends() -> Vec<Case> {
    vec![
        ("reset at once", Script::new().reset(), &[RESET, CONNECT], 0),
        ("closed at once", Script::new().close(), &[RESET], 0),
        ("reset after the head", Script::new().read_head().reset(), &[RESET], 1),
        ("closed after the head", read().close(), &[RESET], 1),
        ("half a status line, reset", read().send("HTTP/1.").reset(), &[RESET], 1),
        ("half a status line, closed", read().send("HTTP/1.").close(), &[RESET, PROTOCOL], 1),
        ("half a head", read().send("HTTP/1.1 200 OK\r\ncont").close(), &[RESET, PROTOCOL], 1),
        ("a head without its end", read().send("HTTP/1.1 200 OK\r\nx: y\r\n").reset(), &[RESET], 1),
        ("half a body, closed", ok("content-length: 10\r\n\r\nhello").close(), &[Broken, RESET], 1),
        ("half a body, reset", ok("content-length: 10\r\n\r\nhello").reset(), &[Broken, RESET], 1),
        ("no body at all", ok("content-length: 10\r\n\r\n").close(), &[Broken, RESET], 1),
        ("no last chunk", chunked("5\r\nhello\r\n").close(), &[Broken, RESET], 1),
        ("no chunk at all", chunked("").close(), &[Broken, RESET], 1),
        ("half a chunk", chunked("5\r\nhel").close(), &[Broken, RESET], 1),
        ("half a size of a chunk", chunked("5\r\nhello\r\n3").close(), &[Broken, RESET], 1),
        ("no end of the last chunk", chunked("5\r\nhello\r\n0\r\n").close(), &[Broken, RESET], 1),
        ("half a trailer", chunked("5\r\nhello\r\n0\r\nx-a: b").close(), &[Broken, RESET], 1),
        ("up to the close, reset", ok("\r\nhello").pause(SHORT).reset(), &[Broken, RESET], 1),
    ]
}

/// Lets what was sent arrive before a reset takes it away.
const SHORT: Duration = Duration::from_millis(100);

fn chunked(body: &str) -> Script {
    ok(&format!("transfer-encoding: chunked\r\n\r\n{body}"))
}

/// What is sent is not what it says.
fn lies() -> Vec<Case> {
    let refused: &[Sees] = &[PROTOCOL];
    let cut = CUT;
    vec![
        ("garbage", read().send("\0\x01\x02\x03\r\n\r\n").close(), refused, 1),
        ("a page without a head", read().send("<html>hello</html>\r\n\r\n").close(), refused, 1),
        ("another version", read().send("HTTP/2.0 200 OK\r\n\r\n").close(), refused, 1),
        ("a status of two digits", read().send("HTTP/1.1 99 OK\r\n\r\n").close(), refused, 1),
        ("a status of letters", read().send("HTTP/1.1 abc OK\r\n\r\n").close(), refused, 1),
        ("a space in a name", ok("x a: b\r\ncontent-length: 5\r\n\r\nhello"), refused, 1),
        ("a NUL in a value", ok("x: \0\r\ncontent-length: 5\r\n\r\nhello"), refused, 1),
        ("a field without a colon", ok("nonsense\r\ncontent-length: 5\r\n\r\nhello"), refused, 1),
        ("a negative length", ok("content-length: -5\r\n\r\nhello"), refused, 1),
        ("a length with a sign", ok("content-length: +5\r\n\r\nhello"), refused, 1),
        ("a length with a unit", ok("content-length: 5b\r\n\r\nhello"), refused, 1),
        ("an empty length", ok("content-length:\r\n\r\nhello"), refused, 1),
        ("a huge length", ok("content-length: 99999999999999999999\r\n\r\nhello"), refused, 1),
        ("two lengths", ok("content-length: 5\r\ncontent-length: 6\r\n\r\nhello"), refused, 1),
        ("two lengths in one", ok("content-length: 5, 6\r\n\r\nhello"), refused, 1),
        ("an unknown coding", ok("transfer-encoding: rot13\r\n\r\nhello").close(), refused, 1),
        ("chunked twice", ok("transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), refused, 1),
        ("an upgrade unasked", read().send("HTTP/1.1 101 Sure\r\n\r\n").hang(), refused, 1),
        ("an overflowing chunk", chunked("fffffffffffffffff\r\nhello"), cut, 1),
        ("a chunk of 2^64 - 1", chunked("ffffffffffffffff\r\nhello").close(), cut, 1),
        ("a negative chunk", chunked("-5\r\nhello\r\n0\r\n\r\n"), cut, 1),
        ("a chunk in 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), cut, 1),
        ("a chunk without a size", chunked("\r\nhello\r\n0\r\n\r\n"), cut, 1),
        ("a chunk that is too long", chunked("5\r\nhello world\r\n0\r\n\r\n"), cut, 1),
        ("lines that end too early", chunked("5\nhello\n0\n\n"), cut, 1),
        ("a trailer without a colon", chunked("5\r\nhello\r\n0\r\nnonsense\r\n\r\n"), cut, 1),
    ]
}

/// What never ends, or takes too long.
fn delays() -> Vec<Case> {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let given_up: &[Sees] = &[PROTOCOL, WALL];
    vec![
        ("no answer", read().hang(), &[WALL], 1),
        ("an answer too late", read().pause(TOO_LONG).send(hello()), &[WALL], 1),
        ("half a head, and silence", read().send("HTTP/1.1 200").hang(), &[WALL], 1),
        ("hints, and silence", read().send(hints).hang(), &[WALL], 1),
        ("endless fields", read().send("HTTP/1.1 200 OK\r\n").flood(field(), 1 << 16), given_up, 1),
        (
            "an endless field",
            read().send("HTTP/1.1 200 OK\r\nx: ").flood("y", 1 << 24),
            given_up,
            1,
        ),
        ("an endless reason", read().send("HTTP/1.1 200 ").flood("y", 1 << 24), given_up, 1),
        ("endless hints", read().flood(hints, 1 << 20), given_up, 1),
        ("an endless size", chunked("").flood("0", 1 << 24), CUT, 1),
        ("an endless extension", chunked("5;").flood("x", 1 << 24), CUT, 1),
        ("endless trailers", chunked("0\r\n").flood(field(), 1 << 16), CUT, 1),
        ("a body that stops", ok("content-length: 10\r\n\r\nhello").hang(), &[Broken], 1),
        ("a chunk that stops", chunked("a\r\nhello").hang(), &[Broken, RESET], 1),
    ]
}

fn field() -> String {
    format!("x-a: {}\r\n", "y".repeat(1000))
}

fn hello() -> &'static str {
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
}

/// What is unusual, and right, or may be taken for right.
fn oddities() -> Vec<Case> {
    let pause = Duration::from_millis(2);
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let either: &[Sees] = &[HELLO, PROTOCOL];
    vec![
        ("plain", Script::text("hello"), &[HELLO], 1),
        ("dripping", read().drip(hello(), pause), &[HELLO], 1),
        ("up to the close", ok("\r\nhello").close(), &[HELLO], 1),
        ("HTTP/1.0", read().send("HTTP/1.0 200 OK\r\n\r\nhello").close(), &[HELLO], 1),
        ("no reason", read().send("HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello"), &[HELLO], 1),
        ("no space", read().send("HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello"), either, 1),
        (
            "connection: close",
            ok("connection: close\r\ncontent-length: 5\r\n\r\nhello"),
            &[HELLO],
            1,
        ),
        ("a chunk a byte", chunked("1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n"), &[HELLO], 1),
        ("capitals", ok("Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), &[HELLO], 1),
        ("an extension", chunked("5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n"), &[HELLO], 1),
        ("zeros", chunked("0005\r\nhello\r\n000\r\n\r\n"), &[HELLO], 1),
        ("one hint", read().send(hints).send(hello()), &[HELLO], 1),
        ("two hints at once", read().send(hints.repeat(2) + hello()), &[HELLO], 1),
        ("100 unasked", read().send("HTTP/1.1 100 Continue\r\n\r\n").send(hello()), &[HELLO], 1),
        ("nothing to say", read().send("HTTP/1.1 204 Nothing\r\n\r\n"), &[Whole(204, "")], 1),
        (
            "204, and bytes",
            read().send("HTTP/1.1 204 No\r\n\r\nhello"),
            &[Whole(204, ""), PROTOCOL],
            1,
        ),
        (
            "more than said",
            ok("content-length: 5\r\n\r\nhello world"),
            &[HELLO, Broken, RESET, PROTOCOL],
            1,
        ),
        ("a length twice", ok("content-length: 5\r\ncontent-length: 5\r\n\r\nhello"), either, 1),
        ("bare line feeds", read().send("HTTP/1.1 200 OK\ncontent-length: 5\n\nhello"), either, 1),
        ("a folded field", ok("x: a\r\n b\r\ncontent-length: 5\r\n\r\nhello"), either, 1),
        (
            "a length and chunks",
            ok("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            either,
            1,
        ),
        (
            "its own words for failures",
            Script::status(500, "hello").then(Step::Close),
            &[Whole(500, "hello")],
            1,
        ),
    ]
}

/// A service for each case, and one that serves.
fn serve(cases: &[Case]) -> (Watershed, Vec<Upstream>) {
    let mut site = Site::new();
    let mut upstreams = Vec::new();
    for (number, (_, script, _, _)) in cases.iter().enumerate() {
        let target = Upstream::http1(script.clone());
        let version = upstream("v1", &[target.address()], ONCE) + &limits(PATIENCE);
        site = site.service(&format!("case-{number}"), &version);
        upstreams.push(target);
    }
    let good = Upstream::http1(Script::text("good"));
    let site = site.service("good", &upstream("v1", &[good.address()], ""));
    upstreams.push(good);
    (site.start(), upstreams)
}

/// Asks for every case over HTTP/1.1 and HTTP/2, side by side.
fn check(cases: &[Case]) {
    let (watershed, upstreams) = serve(cases);
    std::thread::scope(|scope| {
        let asked: Vec<_> = cases
            .iter()
            .enumerate()
            .map(|(number, case)| {
                let (watershed, upstream) = (&watershed, &upstreams[number]);
                (case.0, scope.spawn(move || ask(watershed, number, case, upstream)))
            })
            .collect();
        let wrong: Vec<_> = asked
            .into_iter()
            .filter_map(|(name, asked)| match asked.join() {
                Ok(found) => found,
                Err(_) => Some(format!("{name}: panicked")),
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
    for _ in 0..3 {
        assert_eq!(watershed.get("good.localhost", "/").text(), "good");
    }
    assert!(watershed.peak_memory() < 300 << 20, "{}", watershed.peak_memory());
}

/// What is wrong with a case, over either protocol.
fn ask(watershed: &Watershed, number: usize, case: &Case, upstream: &Upstream) -> Option<String> {
    let (name, _, sees, arrives) = case;
    let host = format!("case-{number}.localhost");
    let over_1 = over_http1(watershed, &host);
    let arrived = upstream.arrived().requests();
    let over_2 = over_http2(watershed, &host);
    let broken = upstream.arrived().broken();
    let is_right = |seen: &Seen| sees.iter().any(|it| seen.is(*it));
    if is_right(&over_1) && is_right(&over_2) && arrived == *arrives && broken.is_empty() {
        return None;
    }
    Some(format!(
        "{name}: {sees:?}, {arrives} times\n  HTTP/1.1 {over_1:?}, {arrived} times\n  HTTP/2 {over_2:?}\n  {broken:?}"
    ))
}

/// What a client got.
#[derive(Debug)]
enum Seen {
    Response(Response),
    /// Not even a head.
    Nothing,
}

impl Seen {
    fn is(&self, sees: Sees) -> bool {
        let Self::Response(response) = self else { return matches!(sees, Broken) };
        let code = response.header("watershed-error");
        match sees {
            Whole(status, text) => {
                code.is_none()
                    && (response.status, response.text().as_str()) == (status, text)
                    && response.complete
            }
            Code(status, wanted) => {
                response.status == status && code == Some(wanted) && response.complete
            }
            Broken => code.is_none() && !response.complete,
        }
    }
}

fn over_http1(watershed: &Watershed, host: &str) -> Seen {
    let mut client: Http1 = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    loop {
        let Some(line) = client.line() else { return Seen::Nothing };
        let status: u16 = line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        let response = Response { status, headers: client.fields(), ..Response::default() };
        if !matches!(status, 100..=199) {
            return Seen::Response(client.body("GET", response));
        }
    }
}

fn over_http2(watershed: &Watershed, host: &str) -> Seen {
    let client: Http2 = watershed.http2();
    let exchange = client.open(request("GET", host, "/"), false);
    match client.wait(crate::support::read(exchange.response)) {
        Ok((response, _)) => Seen::Response(response),
        Err(_) => Seen::Nothing,
    }
}

#[test]
fn a_connection_that_ends_too_early_is_no_clean_end() {
    check(&ends());
}

#[test]
fn a_response_that_contradicts_itself_is_refused() {
    check(&lies());
}

#[test]
fn a_response_that_takes_too_long_is_given_up() {
    check(&delays());
}

#[test]
fn an_unusual_response_passes() {
    check(&oddities());
}
