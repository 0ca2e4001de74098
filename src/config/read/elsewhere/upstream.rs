//! What keys of other programs are called here that stand in a table of an upstream.

const TARGETS: &str = "the addresses are `targets = [\"127.0.0.1:9001\"]`";
const TLS: &str = "`server-name`, `ca`, `certificate` and `key` are in `[versions.upstream.tls]`";
const VERIFIED: &str = "certificates are always verified: `ca` in `[versions.upstream.tls]` names the authorities that \
                        may have signed them";

/// Words for keys of `[versions.upstream]`, in lower case and without `-` and `_`.
const CALLED: [(&[&str], &str); 12] = [
    (
        &[
            "server",
            "servers",
            "backend",
            "backends",
            "address",
            "addresses",
            "endpoint",
            "endpoints",
            "url",
            "urls",
            "hosts",
            "nodes",
            "members",
            "target",
            "upstreams",
        ],
        TARGETS,
    ),
    (&["port", "ports"], "a port is a part of each address: `targets = [\"127.0.0.1:9001\"]`"),
    (
        &["weight", "weights"],
        "a weight stands with its address: `targets = [{ address = \"127.0.0.1:9001\", weight = 3 }]`",
    ),
    (
        &[
            "ca",
            "cacert",
            "cafile",
            "certificate",
            "cert",
            "clientcert",
            "key",
            "keyfile",
            "sni",
            "servername",
        ],
        TLS,
    ),
    (
        &["ssl", "https", "secure", "scheme", "http2", "h2", "h2c", "grpc", "alpn", "httpversion"],
        "what targets speak is `protocol`: \"http1\", \"h2c\" or \"tls\"",
    ),
    (
        &[
            "lbpolicy",
            "lb",
            "loadbalancer",
            "loadbalancing",
            "policy",
            "algorithm",
            "strategy",
            "roundrobin",
            "leastconn",
            "leastrequest",
            "leastrequests",
            "random",
            "iphash",
            "hash",
        ],
        "how the target of a request is chosen is `balance`",
    ),
    (
        &["hostheader", "passhostheader", "preservehost", "authority", "hostname", "hostrewrite"],
        "the host that targets are asked for is `host`: \"keep\", \"target\" or a name",
    ),
    (
        &["timeout", "readtimeout", "responsetimeout", "requesttimeout", "proxyreadtimeout"],
        "responses have the time of `wall-time` and `idle-time` in `[versions.limits]`; `connect-timeout` is the time to \
         connect",
    ),
    (
        &["keepalive", "keepalivetimeout", "keepaliveconns", "idle", "pool", "poolsize"],
        "kept connections are closed after `idle-timeout`",
    ),
    (
        &["resolver", "resolvers", "dns", "dnsrefresh", "dnsrefreshrate", "ttl"],
        "how often names are looked up again is `resolve`",
    ),
    (&["check", "checks", "active"], "targets are checked as `[versions.upstream.health]` says"),
    (
        &["backup", "failover"],
        "what answers where all targets fail is another version: `rescue` in `[traffic]`",
    ),
];

/// What a key is called here, if one of the upstream's tables has it; `allowed` are the keys of that table.
pub fn called(allowed: &[&str], plain: &str) -> Option<&'static str> {
    let has = |key| allowed.contains(&key);
    let is_verified = [
        "verify",
        "insecure",
        "insecureskipverify",
        "skipverify",
        "sslverify",
        "tlsverify",
        "rejectunauthorized",
    ];
    match plain {
        plain if (has("targets") || has("server-name")) && is_verified.contains(&plain) => {
            Some(VERIFIED)
        }
        plain if has("targets") => {
            CALLED.iter().find(|(words, _)| words.contains(&plain)).map(|(_, called)| *called)
        }
        "sni" | "host" | "hostname" | "name" | "domain" if has("server-name") => {
            Some("whom the certificate must name is `server-name`")
        }
        "cert" | "certfile" | "clientcert" | "crt" if has("server-name") => {
            Some("the file with the certificate that targets are shown is `certificate`")
        }
        "cacert" | "cafile" | "cabundle" | "rootca" | "truststore" if has("server-name") => {
            Some("the file with the authorities is `ca`")
        }
        "uri" | "url" | "endpoint" if has("unhealthy") => Some("what is asked for is `path`"),
        "rise" | "passes" | "healthythreshold" | "successes" if has("unhealthy") => {
            Some("the successes until a target is healthy are `healthy`")
        }
        "fall" | "fails" | "failures" | "unhealthythreshold" | "retries" if has("unhealthy") => {
            Some("the failures until a target is unhealthy are `unhealthy`")
        }
        "expect" | "match" | "expectstatus" | "statuses" | "codes" if has("unhealthy") => {
            Some("the statuses of a healthy target are `status`, such as `status = \"200-399\"`")
        }
        "maxfails" | "consecutive5xx" | "consecutiveerrors" | "unhealthy" if has("at-most") => {
            Some("the failures in a row are `failures`")
        }
        "duration" | "failtimeout" | "failduration" | "baseejectiontime" | "time"
            if has("at-most") =>
        {
            Some("how long a target gets no request is `for`")
        }
        "maxejectionpercent" | "max" | "percent" if has("at-most") => {
            Some("how many of the targets get no request at once is `at-most`")
        }
        "tries" | "count" | "max" | "numretries" | "retries" if has("budget") => {
            Some("how often a request is sent again is `attempts`")
        }
        "statuses" | "statuscodes" | "codes" | "conditions" | "retryon" if has("budget") => Some(
            "what a request is sent again after is `on`, such as `on = [\"connect\", \"503\"]`",
        ),
        "targets" if allowed == ["address", "weight"] => {
            Some("a table with `targets` is `[versions.upstream]`, in one pair of brackets")
        }
        "host" | "url" | "server" | "ip" | "port" | "target"
            if allowed == ["address", "weight"] =>
        {
            Some("a target is an `address`, such as `address = \"127.0.0.1:9001\"`")
        }
        _ => None,
    }
}
