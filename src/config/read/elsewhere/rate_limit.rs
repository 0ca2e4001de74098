//! What keys of other programs are called here that stand in `[traffic.rate-limit]`.

use super::{Words, find};

const CALLED: &[Words] = &[
    (
        "average requests limit rps qps rpm requestsperunit requestspersecond requestsperminute \
          events maxevents period interval window per unit tokensperfill fillinterval",
        "how many requests pass in which time is `rate = \"100/s\"`, or `/m`, `/h`",
    ),
    (
        "maxtokens tokens bucket bucketsize capacity size nodelay delay",
        "how many requests may come at once is `burst`; nobody is delayed",
    ),
    (
        "by source sourcecriterion ipstrategy zone descriptors keys",
        "what requests count by is `key = \"client-address\"`, \"header:NAME\", \"cookie:NAME\", \"query:NAME\" or \
         \"service\"",
    ),
    (
        "status statuscode limitreqstatus code message body",
        "what is over the limit gets a 429 `rate-limit`",
    ),
    (
        "allowlist bypass domain domains except exempt match method methods path paths routes rules \
          skip whitelist",
        "the limit is one for all requests of the service",
    ),
    ("header headers", "answers say what is left, in the header `ratelimit`"),
    (
        "distributed redis shared storage store",
        "what is owed is kept in the process, and replicas do not share it",
    ),
    (
        "enabled enable disabled mode type",
        "requests are limited where this table is: remove the table for no limit",
    ),
];

/// What such a key is called here; `plain` is in lower case and without `-` and `_`.
pub fn called(allowed: &[&str], plain: &str) -> Option<&'static str> {
    allowed.contains(&"burst").then(|| find(CALLED, plain)).flatten()
}

#[cfg(test)]
pub const ALL: [&[Words]; 1] = [CALLED];
