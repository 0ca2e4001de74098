//! What keys of other programs are called here that stand in a table of an upstream.

use super::{Words, find};

const VERIFIED: &str = "certificates are always verified: `ca` in `[versions.upstream.tls]` names the authorities that \
                        may have signed them";
const HEALTH_TABLE: &str = "targets are checked as `[versions.upstream.health]` says";
const EJECT_TABLE: &str =
    "targets that fail get no requests for a while as `[versions.upstream.eject]` says";
const RETRY_TABLE: &str = "requests are sent again as `[versions.upstream.retry]` says";

/// Words of `[versions.upstream]`.
const UPSTREAM: &[Words] = &[
    (
        "server servers backend backends address addresses endpoint endpoints url urls hosts nodes \
          members target upstreams",
        "the addresses are `targets = [\"127.0.0.1:9001\"]`",
    ),
    ("port ports", "a port is a part of each address: `targets = [\"127.0.0.1:9001\"]`"),
    (
        "weight weights",
        "a weight stands with its address: `targets = [{ address = \"127.0.0.1:9001\", weight = 3 }]`",
    ),
    (
        "ca cacert cafile certificate cert clientcert key keyfile sni servername transportsocket \
          serverstransport",
        "`server-name`, `ca`, `certificate` and `key` are in `[versions.upstream.tls]`",
    ),
    (
        "insecure insecureskipverify skipverify sslverify tlsverify verify rejectunauthorized",
        VERIFIED,
    ),
    (
        "ssl https secure scheme http2 h2 h2c grpc alpn httpversion",
        "what targets speak is `protocol`: \"http1\", \"h2c\" or \"tls\"",
    ),
    (
        "lbpolicy lb loadbalancer loadbalancing policy algorithm strategy roundrobin leastconn \
          leastrequest leastrequests random iphash hash",
        "how the target of a request is chosen is `balance`",
    ),
    (
        "sticky stickiness cookie",
        "`balance = \"hash\"` keeps a user with one target; users stay with a version by `[traffic.sticky]`",
    ),
    (
        "hostheader passhostheader preservehost authority hostname hostrewrite",
        "the host that targets are asked for is `host`: \"keep\", \"target\" or a name",
    ),
    (
        "headerup headerdown headers setheaders addheaders requestheaders proxysetheader",
        "headers pass as they are; the host that targets are asked for is `host`: \"keep\", \"target\" or a name",
    ),
    (
        "timeout readtimeout responsetimeout requesttimeout proxyreadtimeout",
        "responses have the time of `wall-time` and `idle-time` in `[versions.limits]`; `connect-timeout` is the time to \
         connect",
    ),
    (
        "keepalive keepalivetimeout keepaliveconns keepaliverequests idle pool poolsize",
        "kept connections are closed after `idle-timeout`",
    ),
    (
        "maxconn maxconns maxconnections maxconnsperhost maxrequests maxpendingrequests",
        "a version's requests in flight are bounded by `concurrency` in `[versions.limits]`",
    ),
    (
        "resolver resolvers dns dnsrefresh dnsrefreshrate dnslookupfamily ttl",
        "how often names are looked up again is `resolve`",
    ),
    (
        "check checks active activehealthcheck healthcheck healthchecks healthuri healthpath \
          healthport healthinterval healthtimeout healthstatus healthbody healthheaders optionhttpchk \
          livenessprobe readinessprobe probe",
        HEALTH_TABLE,
    ),
    (
        "failduration failtimeout maxfails outlierdetection circuitbreaker circuitbreakers \
          passivehealthcheck consecutive5xx unhealthystatus unhealthylatency unhealthyrequestcount",
        EJECT_TABLE,
    ),
    (
        "retries retryon retrypolicy numretries tries lbretries lbtryduration lbtryinterval \
          proxynextupstream proxynextupstreamtries",
        RETRY_TABLE,
    ),
    (
        "backup failover",
        "what answers where all targets fail is another version: `rescue` in `[traffic]`",
    ),
    ("down disabled drain maintenance", "a target that is to get nothing is left out of `targets`"),
    ("slowstart", "a target that comes back begins with a tenth of its share, by itself"),
    (
        "buffering proxybuffering requestbuffering flush flushinterval responseforwarding",
        "nothing is buffered: each part of a body passes as it comes",
    ),
    (
        "upgrade websocket websockets",
        "WebSockets pass by themselves; `idle-time` in `[versions.limits]` ends those that are silent",
    ),
    (
        "path pathrewrite prefixrewrite replacepath rewrite stripprefix uri",
        "targets see the whole path: none is rewritten",
    ),
    (
        "loadassignment lbendpoints type clusterdiscoverytype",
        "this is a key of Envoy: the addresses are `targets`, and `protocol` is what they speak",
    ),
];

/// Words of `[versions.upstream.health]`.
const HEALTH: &[Words] = &[
    ("uri url endpoint httpget target", "what is asked for is `path`"),
    (
        "port ports host hosts hostname address scheme tls https protocol",
        "each target is checked at its own address, in the `protocol` of `[versions.upstream]`",
    ),
    (
        "method header headers httpheaders body expectbody send receive type grpc",
        "a check is a GET of `path`, and its `status` alone counts",
    ),
    (
        "inter period periodseconds healthinterval checkinterval every frequency",
        "the time from one check to the next is `interval`",
    ),
    ("timeoutseconds healthtimeout checktimeout", "how long a check may take is `timeout`"),
    (
        "rise passes healthythreshold successes successthreshold",
        "the successes until a target is healthy are `healthy`",
    ),
    (
        "fall fails failures unhealthythreshold failurethreshold retries maxfails",
        "the failures until a target is unhealthy are `unhealthy`",
    ),
    (
        "expect match expectstatus expectedstatuses statuses statuscode codes",
        "the statuses of a healthy target are `status`, such as `status = \"200-399\"`",
    ),
    (
        "initialdelay initialdelayseconds startperiod",
        "the first check begins at once, and a target is `unchecked` until it ends",
    ),
    (
        "enabled enable active disabled",
        "targets are checked where this table is: remove the table for no checks",
    ),
];

/// Words of `[versions.upstream.eject]`.
const EJECT: &[Words] = &[
    (
        "maxfails maxfailures errors threshold consecutive5xx consecutiveerrors consecutive5xxerrors \
          consecutivegatewayerrors consecutivegatewayfailure unhealthy",
        "the failures in a row are `failures`",
    ),
    (
        "duration failtimeout failduration baseejectiontime time timeout",
        "how long a target gets no request is `for`",
    ),
    (
        "maxejectionpercent maxejection max percent",
        "how many of the targets get no request at once is `at-most`",
    ),
    ("interval window", "failures are counted in a row, and not in a time"),
    (
        "enabled enable disabled",
        "no target is ever left out with `eject = false` instead of this table",
    ),
];

/// Words of `[versions.upstream.retry]`.
const RETRY: &[Words] = &[
    (
        "tries count max maxretries numretries retries",
        "how often a request is sent again is `attempts`",
    ),
    (
        "statuses statuscodes codes conditions retryon",
        "what a request is sent again after is `on`, such as `on = [\"connect\", \"503\"]`",
    ),
    (
        "pertrytimeout timeout trytimeout tryduration",
        "how long a target may take is `wall-time` in `[versions.limits]`, and `connect-timeout` in \
         `[versions.upstream]` to connect",
    ),
    (
        "backoff delay initialinterval interval maxinterval retrybackoff tryinterval",
        "another target is asked at once, without a pause",
    ),
    (
        "methods nonidempotent idempotent",
        "`reset` and statuses are for idempotent methods only, and `connect` for all",
    ),
];

/// Words of `[versions.upstream.tls]`.
const TLS: &[Words] = &[
    (
        "sni host hostname name domain proxysslname tlsservername",
        "whom the certificate must name is `server-name`",
    ),
    (
        "cert certfile clientcert crt",
        "the file with the certificate that targets are shown is `certificate`",
    ),
    (
        "cacert cafile cabundle cas casecret rootca rootcas trustpool truststore tlstrustpool \
          trustedca proxyssltrustedcertificate",
        "the file with the authorities is `ca`",
    ),
    (
        "insecure insecureskipverify skipverify sslverify tlsverify verify rejectunauthorized",
        VERIFIED,
    ),
    (
        "minimum minversion maxversion ciphers ciphersuites curves alpn protocols",
        "versions, ciphers and ALPN of TLS to targets are not chosen here",
    ),
    (
        "enabled enable disabled",
        "targets speak TLS where this table is: remove the table, or write `protocol`",
    ),
];

/// What a key is called here, if one of the upstream's tables has it; `allowed` are the keys of that table.
pub fn called(allowed: &[&str], plain: &str) -> Option<&'static str> {
    let has = |key| allowed.contains(&key);
    match plain {
        plain if has("targets") => find(UPSTREAM, plain),
        plain if has("unhealthy") => find(HEALTH, plain),
        plain if has("at-most") => find(EJECT, plain),
        plain if has("budget") => find(RETRY, plain),
        plain if has("server-name") => find(TLS, plain),
        "targets" if allowed == ["address", "weight"] => {
            Some("a table with `targets` is `[versions.upstream]`, in one pair of brackets")
        }
        "host" | "url" | "server" | "ip" | "port" | "target"
            if allowed == ["address", "weight"] =>
        {
            Some("a target is an `address`, such as `address = \"127.0.0.1:9001\"`")
        }
        "backup" | "down" | "drain" | "disabled" | "maxconns" | "maxfails" | "failtimeout"
            if allowed == ["address", "weight"] =>
        {
            Some("all targets of a version have the same settings, in `[versions.upstream]`")
        }
        _ => None,
    }
}

#[cfg(test)]
pub const ALL: [&[Words]; 5] = [UPSTREAM, HEALTH, EJECT, RETRY, TLS];
