//! Who gets which version, in any way in which that can be said.

use super::*;

/// What is said of who gets what.
#[derive(Clone, Debug)]
pub struct Said {
    pub traffic: Traffic,
    pub policy: PolicySpec,
}

/// Of a service with so many versions.
pub fn said(versions: usize) -> BoxedStrategy<Said> {
    let beside = (select(&Pick::ALL), any::<bool>(), option::of(overrides()), option::of(sticky()));
    let reach = vec(select(&Reach::ALL), versions);
    let failing = (rescue(versions), select(&WhenUnhealthy::ALL), option::of(rate_limit()));
    (traffic(versions), beside, rules(versions), reach, failing)
        .prop_map(|(traffic, (pick, propagate, overrides, sticky), rules, mut reach, failing)| {
            let (rescue, when_unhealthy, rate_limit) = failing;
            if let Traffic::Split(split) = &traffic {
                let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
                some.for_each(|(version, _)| reach[*version] = Reach::Live);
            }
            let policy = PolicySpec {
                pick,
                propagate,
                overrides,
                rules,
                sticky,
                reach,
                rescue,
                when_unhealthy,
                rate_limit,
            };
            Said { traffic, policy }
        })
        .boxed()
}

fn rescue(versions: usize) -> BoxedStrategy<Option<Rescue>> {
    if versions == 0 {
        return Just(None).boxed();
    }
    let methods = btree_set("[A-Z!#$%&'*+.^_`|~0-9-]{1,5}", 0..3);
    let buffer = Rescue::BUFFER;
    let buffer = buffer.start().bytes()..=buffer.end().bytes();
    let rescue = (0..versions, buffer, methods, btree_set(500..=599_u16, 0..3));
    let rescue = rescue.prop_map(|(version, buffer, methods, statuses)| Rescue {
        version,
        buffer: ByteSize::new(buffer),
        methods: methods.into_iter().collect(),
        statuses: statuses.into_iter().collect(),
    });
    option::of(rescue).boxed()
}

/// The latest, all off, or a cut of everything between some of the versions.
fn traffic(versions: usize) -> BoxedStrategy<Traffic> {
    if versions == 0 {
        return Just(Traffic::Latest).boxed();
    }
    let cut = cut(versions).prop_map(Traffic::Split);
    let off = (0..versions).map(|index| (index, Percent::ZERO)).collect();
    let off = Traffic::Split(Split::new(off).unwrap());
    prop_oneof![Just(Traffic::Latest), Just(off), cut].boxed()
}

/// Everything, cut into parts for some of the versions.
fn cut(versions: usize) -> impl Strategy<Value = Split> {
    (vec(0..=10_000_u16, versions - 1), any::<bool>()).prop_map(|(mut cuts, has_zeros)| {
        cuts.extend([0, 10_000]);
        cuts.sort_unstable();
        let parts =
            cuts.windows(2).map(|pair| Percent::from_hundredths(pair[1] - pair[0]).unwrap());
        let shares = parts.enumerate().filter(|(_, share)| has_zeros || *share != Percent::ZERO);
        Split::new(shares.collect()).unwrap()
    })
}

fn rules(versions: usize) -> BoxedStrategy<Vec<Rule>> {
    if versions == 0 {
        return Just(Vec::new()).boxed();
    }
    let to = prop_oneof![
        (0..versions).prop_map(Destination::Version),
        cut(versions).prop_map(Destination::Split)
    ];
    let rule = (matches(), to, select(&Otherwise::ALL));
    let named = |(name, (matches, to, otherwise)): (String, (Match, Destination, Otherwise))| {
        Rule { name: RuleName::new(&name).unwrap(), matches, to, otherwise }
    };
    let rules = btree_map(label(), rule, 0..4);
    rules.prop_map(move |rules| rules.into_iter().map(named).collect()).prop_shuffle().boxed()
}

fn matches() -> impl Strategy<Value = Match> {
    let path = option::of("[/*][^\\\\]{0,6}".prop_map(|text| Glob::new(&text).unwrap()));
    let method = option::of(select(vec!["GET", "POST", "PROPFIND", "x~y"]).prop_map(str::to_owned));
    let query = conditions("(?s).{1,6}");
    let (header, cookie) = (conditions("[a-z0-9!~-]{1,6}"), conditions(TOKEN));
    (path, method, header, query, cookie, option::of(network())).prop_map(
        |(path, method, header, query, cookie, client)| Match {
            path,
            method,
            header,
            query,
            cookie,
            client,
        },
    )
}

/// What names of cookies are made of.
const TOKEN: &str = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,6}";

fn conditions(name: &'static str) -> impl Strategy<Value = Vec<(String, Glob)>> {
    let glob = "([^\\\\]|\\\\.){0,6}".prop_map(|text| Glob::new(&text).unwrap());
    btree_map(name, glob, 0..3).prop_map(|conditions| conditions.into_iter().collect())
}

fn network() -> impl Strategy<Value = ipnet::IpNet> {
    (any::<IpAddr>(), 0..=128_u8).prop_map(|(ip, bits)| network_of(ip, bits))
}

/// Addresses of IPv4 that are written as IPv6 are those of IPv4.
pub fn network_of(ip: IpAddr, bits: u8) -> ipnet::IpNet {
    let ip = ip.to_canonical();
    let most = if ip.is_ipv4() { 32 } else { 128 };
    ipnet::IpNet::new(ip, bits.min(most)).unwrap().trunc()
}

fn sticky() -> impl Strategy<Value = Sticky> {
    let key = prop_oneof![
        "[a-z0-9!~-]{1,6}".prop_map(StickyKey::Header),
        TOKEN.prop_map(StickyKey::Cookie),
        "(?s).{1,6}".prop_map(StickyKey::Query),
        Just(StickyKey::ClientAddress),
        cookie().prop_map(StickyKey::Generated),
    ];
    let pin = ttl().prop_map(|ttl| StickyMode::Pin { ttl });
    let mode = prop_oneof![Just(StickyMode::Hash), pin];
    (key, mode).prop_map(|(key, mode)| Sticky { key, mode })
}

fn rate_limit() -> impl Strategy<Value = RateLimit> {
    let key = prop_oneof![
        "[a-z0-9!~-]{1,6}".prop_map(RateKey::Header),
        TOKEN.prop_map(RateKey::Cookie),
        "(?s).{1,6}".prop_map(RateKey::Query),
        Just(RateKey::ClientAddress),
        Just(RateKey::Service),
    ];
    let rate = (1..=Rate::MOST, select(vec!["s", "m", "h"]));
    let rate = rate.prop_map(|(requests, per)| format!("{requests}/{per}").parse().unwrap());
    (key, rate, option::of(1..=1_000_000_u32)).prop_map(|(key, rate, burst): (_, Rate, _)| {
        let burst = burst.and_then(NonZeroU32::new).unwrap_or(rate.requests);
        RateLimit { key, rate, burst }
    })
}

fn ttl() -> impl Strategy<Value = Duration> {
    millis(1_000, 9_600 * 3_600_000)
}

fn cookie() -> impl Strategy<Value = CookieSettings> {
    let flags = (any::<bool>(), any::<bool>(), select(&SameSite::ALL));
    (TOKEN, ttl(), flags).prop_map(|(name, ttl, (secure, http_only, same_site))| {
        let secure = secure || same_site == SameSite::None;
        CookieSettings { name, ttl, secure, http_only, same_site }
    })
}

fn overrides() -> impl Strategy<Value = Overrides> {
    let ways = (any::<bool>(), option::of("(?s).{1,6}"), option::of(TOKEN), any::<bool>());
    (ways, option::of(secret_source())).prop_map(
        |((header, query, cookie, preview_domains), secret)| {
            let is_open = header || query.is_some() || cookie.is_some();
            let preview_domains = preview_domains || !is_open;
            Overrides { header, query, cookie, preview_domains, secret }
        },
    )
}
