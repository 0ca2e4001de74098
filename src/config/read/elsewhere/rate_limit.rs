//! What keys of other programs are called here that stand in `[traffic.rate-limit]`.

/// Words for keys of that table, in lower case and without `-` and `_`.
const CALLED: [(&[&str], &str); 4] = [
    (
        &[
            "average",
            "requests",
            "limit",
            "rps",
            "qps",
            "rpm",
            "requestsperunit",
            "requestspersecond",
            "requestsperminute",
            "events",
            "maxevents",
            "period",
            "interval",
            "window",
            "per",
            "unit",
            "tokensperfill",
            "fillinterval",
        ],
        "how many requests pass in which time is `rate = \"100/s\"`, or `/m`, `/h`",
    ),
    (
        &["maxtokens", "tokens", "bucket", "bucketsize", "capacity", "size", "nodelay", "delay"],
        "how many requests may come at once is `burst`; nobody is delayed",
    ),
    (
        &["by", "source", "sourcecriterion", "ipstrategy", "zone", "descriptors", "keys"],
        "what requests count by is `key = \"client-address\"`, \"header:NAME\", \"cookie:NAME\", \"query:NAME\" or \
         \"service\"",
    ),
    (
        &["status", "statuscode", "limitreqstatus", "code", "message", "body"],
        "what is over the limit gets a 429 `rate-limit`",
    ),
];

/// What such a key is called here; `plain` is in lower case and without `-` and `_`.
pub fn called(allowed: &[&str], plain: &str) -> Option<&'static str> {
    if !allowed.contains(&"burst") {
        return None;
    }
    CALLED.iter().find(|(words, _)| words.contains(&plain)).map(|(_, called)| *called)
}
