//! Finding a service and deciding its version: timed in this process, on the values that `src/routing` makes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use http::HeaderName;
use watershed::routing::{
    Affinity, Asked, Base, Destination, KeySource, Matcher, Network, Owner, Part as HostPart,
    Pattern, Policy, RouteTable, RouteTableBuilder, Rule, Splitter, Sticky, Ways,
};

use crate::report::{Quantity, Report, Row, median};
use crate::{Arguments, Part, Result};

const SERVICES: usize = 10_000;
/// Hosts that are asked for in turn, spread over the table.
const HOSTS: usize = 64;
/// Rules of a service that has many.
const RULES: usize = 20;
/// Calls that are timed together, and how often.
const CALLS: u32 = 10_000;
const BATCHES: usize = 200;

/// Times the parts that were asked for.
pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    if !arguments.wants(Part::Routing) {
        return Ok(());
    }
    for versions in [2, 10] {
        let path = format!("decide (split of {versions} versions)");
        report.row(row(path, plain(versions), 40));
    }
    let path = format!("decide ({RULES} rules, then stickiness)");
    report.row(row(path, with_rules(), 300));
    report.row(row("find among 10,000 services".to_owned(), find()?, 150));
    Ok(())
}

fn row(path: String, ours: Quantity, most: u64) -> Row {
    Row::alone(path, ours, Duration::from_nanos(most).into())
}

fn plain(versions: u16) -> Quantity {
    time_decisions(&policy(versions, Ways::default()), "/")
}

/// With rules of every kind that do not match, and then a key that decides.
fn with_rules() -> Quantity {
    let ways = Ways { is_sticky: true, is_smooth: false };
    let source = KeySource::Header(HeaderName::from_static("x-user"));
    let affinity = Affinity::new(source, "default", "greeter", false);
    let policy = Policy {
        rules: (0..RULES).map(rule).collect(),
        sticky: Some(Sticky { affinity, pins: None }),
        ..policy(2, ways)
    };
    time_decisions(&policy, "/shop/cart?item=7&gray=no")
}

fn policy(versions: u16, ways: Ways) -> Policy {
    let names: Vec<_> = (0..versions).map(|number| format!("v{number}")).collect();
    let owner = |(index, name)| Owner { name, share: 10_000 / versions, index };
    let owners: Vec<_> = names.iter().map(String::as_str).enumerate().map(owner).collect();
    Policy::plain(Base::Split(Splitter::new(&owners, ways).into()), Vec::new())
}

fn network(text: &str) -> Option<Network> {
    text.parse::<ipnet::IpNet>().ok().map(Network::from)
}

fn rule(number: usize) -> Rule {
    let glob = |text: &str| Pattern::new(text.bytes().map(|byte| (byte != b'*').then_some(byte)));
    let mut matcher = Matcher::default();
    match number % 5 {
        0 => matcher.path = Some(glob("/app/*")),
        1 => matcher.headers.push((HeaderName::from_static("x-team"), glob("core"))),
        2 => matcher.query.push(("gray".to_owned(), glob("1*"))),
        3 => matcher.cookies.push(("lane".to_owned(), glob("*"))),
        _ => matcher.client = network("10.0.0.0/8"),
    }
    Rule::new(&format!("r{number}"), matcher, Some(Destination::Version(1)), false)
}

fn time_decisions(policy: &Policy, uri: &str) -> Quantity {
    let request = http::Request::get(uri)
        .header("host", "greeter.localhost:8080")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)")
        .header("accept", "text/html,application/xhtml+xml")
        .header("cookie", "session=0123456789abcdef; theme=dark")
        .header("x-user", "ann@example.org");
    let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
    let asked = Asked { parts: &parts, client: Some([192, 0, 2, 7].into()), preview: None };
    let now = Instant::now();
    time(|| {
        black_box(black_box(policy).decide(black_box(asked), now));
    })
}

fn find() -> Result<Quantity> {
    let mut routes = RouteTableBuilder::default();
    for number in 0..SERVICES {
        routes.exact(&format!("service-{number}.localhost"), HostPart::WHOLE, number);
    }
    let routes: RouteTable<usize> = routes.build();
    let request = |host: usize| {
        let host = format!("service-{}.localhost:8080", host * SERVICES / HOSTS);
        Ok(http::Request::get("/").header("host", host).body(())?.into_parts().0)
    };
    let requests = (0..HOSTS).map(request).collect::<Result<Vec<_>>>()?;
    let mut next = requests.iter().cycle();
    Ok(time(|| {
        black_box(next.next().and_then(|request| routes.find(black_box(request))));
    }))
}

/// The median time of one call over all batches.
fn time(mut call: impl FnMut()) -> Quantity {
    let batch = |_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| call());
        started.elapsed()
    };
    let batches: Vec<_> = (0..BATCHES).map(batch).collect();
    let batch = median(&batches, Duration::as_secs_f64).unwrap_or_default();
    // Not `batch / CALLS`: a `Duration` knows whole nanoseconds only.
    Quantity::Time(batch.as_secs_f64() / f64::from(CALLS))
}
