//! What keys of other programs are called here: those of proxies (nginx, HAProxy, Caddy, Traefik, Envoy), of Kubernetes
//! and its service meshes, and words that are just as good as ours. `words` asks about keys that do not exist.

/// The tables of the main file.
const MAIN: [&str; 6] = ["server", "admin", "state", "components", "defaults", "environments"];

/// Words that mean one thing, in lower case and without `-` and `_`; and what it is here.
const CALLED: [(&[&str], &str); 24] = [
    (
        &[
            "host",
            "hosts",
            "hostname",
            "hostnames",
            "servername",
            "servernames",
            "serveralias",
            "virtualhost",
            "virtualhosts",
            "vhost",
            "domainname",
            "domainnames",
        ],
        "the hosts of a service are `domains = [\"…\"]` at the top of its file",
    ),
    (
        &["location", "locations", "pathprefix", "prefix", "basepath", "uri", "route"],
        "a part of a domain is `[[routes]]` with `domain` and `path`; requests are told apart by `[[traffic.rules]]`",
    ),
    (
        &[
            "proxypass",
            "fastcgipass",
            "reverseproxy",
            "upstream",
            "upstreams",
            "backend",
            "backends",
            "usebackend",
            "defaultbackend",
            "endpoint",
            "endpoints",
            "cluster",
            "clusters",
            "loadbalancer",
            "servers",
            "url",
            "target",
            "targets",
            "targetport",
            "forwardto",
            "lbpolicy",
            "address",
        ],
        "requests are not passed on to other servers: a WebAssembly component, `component` in `[[versions]]`, answers them",
    ),
    (
        &["service", "services", "app", "apps", "application"],
        "each service has a file of its own, and its `[[versions]]` there",
    ),
    (
        &[
            "image",
            "images",
            "container",
            "containers",
            "module",
            "wasm",
            "binary",
            "artifact",
            "executable",
            "command",
            "entrypoint",
            "source",
            "src",
        ],
        "what runs is `component` in `[[versions]]`: the file of a WebAssembly component",
    ),
    (
        &[
            "weight",
            "weights",
            "percent",
            "percentage",
            "share",
            "shares",
            "canary",
            "canaryweight",
            "splits",
            "weightedclusters",
            "weightedservices",
            "trafficsplit",
            "strategy",
            "rollout",
            "distribution",
        ],
        "percentages are in `[traffic]`: `split = { v1 = 90, v2 = 10 }`",
    ),
    (
        &[
            "replicas",
            "replica",
            "instances",
            "minreplicas",
            "maxreplicas",
            "scale",
            "autoscaling",
            "workers",
            "workerprocesses",
            "processes",
        ],
        "one process serves all versions: `concurrency` in `[versions.limits]` bounds a version's requests, `threads` and `sandboxes` in `[server]` of watershed.toml the process",
    ),
    (
        &[
            "apiversion",
            "kind",
            "metadata",
            "spec",
            "status",
            "selector",
            "template",
            "namespace",
            "annotations",
            "labels",
            "matchlabels",
        ],
        "this is a key of Kubernetes: a service's file has `domains`, `[[versions]]` and `[traffic]`",
    ),
    (
        &[
            "router",
            "routers",
            "http",
            "tcp",
            "routeconfig",
            "rule",
            "if",
            "when",
            "condition",
            "conditions",
            "virtualservice",
            "destinationrule",
        ],
        "kinds of requests are told apart by `[[traffic.rules]]`, parts of domains by `[[routes]]`",
    ),
    (
        &[
            "destination",
            "destinations",
            "subset",
            "subsets",
            "trafficpolicy",
            "to",
            "dest",
            "then",
            "action",
        ],
        "a rule leads to `version = \"…\"` or `split = { … }`",
    ),
    (
        &[
            "entrypoints",
            "listener",
            "listeners",
            "bind",
            "port",
            "ports",
            "listenaddress",
            "listenaddr",
            "listenport",
        ],
        "addresses are `listen = [\"127.0.0.1:8080\"]` in `[server]` of watershed.toml",
    ),
    (
        &[
            "middleware",
            "middlewares",
            "plugin",
            "plugins",
            "filter",
            "filters",
            "httpfilters",
            "filterchains",
            "interceptors",
        ],
        "nothing runs between a request and its version: a component does it, or is composed with one that does",
    ),
    (
        &[
            "tls",
            "ssl",
            "https",
            "sslcertificate",
            "sslcertificatekey",
            "certificate",
            "certificates",
            "cert",
            "certfile",
            "keyfile",
            "acme",
            "letsencrypt",
        ],
        "TLS is not served here: put Watershed behind something that ends it",
    ),
    (
        &[
            "timeout",
            "timeouts",
            "readtimeout",
            "proxyreadtimeout",
            "requesttimeout",
            "responsetimeout",
            "maxduration",
            "deadline",
        ],
        "a request's time is bounded by `wall-time` and `cpu-time` in `[versions.limits]`",
    ),
    (
        &["clientmaxbodysize", "maxbodysize", "bodylimit", "bodysize", "maxrequestbody"],
        "the size of a request is bounded by `request-body` in `[versions.limits]`",
    ),
    (
        &["resources", "resource", "cpu", "cpus", "mem", "memorylimit", "maxmemory", "memorymax"],
        "a version's bounds are `memory`, `cpu-time` and `concurrency` in `[versions.limits]`",
    ),
    (
        &[
            "environmentvariables",
            "envvars",
            "envs",
            "variables",
            "variable",
            "vars",
            "secrets",
            "configmap",
        ],
        "environment variables are `env = { NAME = \"value\" }` in `[[versions]]`",
    ),
    (
        &["description", "comment", "comments", "note", "notes", "reason", "annotation"],
        "a note for people is `remark = \"…\"` in `[[versions]]`",
    ),
    (
        &["sha256", "sha", "checksum", "hash", "integrity"],
        "the digest of a component is `digest = \"sha256:…\"` in `[[versions]]`",
    ),
    (
        &[
            "default",
            "defaultversion",
            "primary",
            "stable",
            "active",
            "current",
            "live",
            "enabled",
            "disabled",
            "enable",
        ],
        "`[traffic]` says which versions get requests, by `split` or `latest = true`; `reach` in `[[versions]]` who may get one at all",
    ),
    (
        &[
            "affinity",
            "sessionaffinity",
            "stickysession",
            "stickysessions",
            "session",
            "persistence",
            "iphash",
        ],
        "users stay with a version by `[traffic.sticky]`",
    ),
    (
        &["include", "includes", "import", "imports", "extends"],
        "files are not included: `services` in `[[environments]]` of watershed.toml finds the services' files",
    ),
    (
        &["log", "logs", "logging", "loglevel", "accesslog", "errorlog"],
        "the environment variable WATERSHED_LOG says what is logged",
    ),
    (
        &["healthcheck", "healthchecks", "livenessprobe", "readinessprobe", "health", "probe"],
        "there is nothing to set: each version is tried out before it gets requests, and the admin listener has /livez and /readyz",
    ),
];

/// What a key of another program is called here; `table` leads to the table that has the key.
pub fn called(table: &[String], allowed: &[&str], key: &str) -> Option<&'static str> {
    let plain: String =
        key.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect();
    let is_main = table.first().is_some_and(|first| MAIN.contains(&first.as_str()))
        || allowed.contains(&"environments");
    match plain.as_str() {
        "env" | "variable" | "fromenvironment" | "environment" if allowed.contains(&"from-env") => {
            Some("a variable of watershed's own environment is `from-env = \"…\"`")
        }
        "value" if allowed.contains(&"from-env") => {
            Some("a value that is no secret is a text in quotation marks, without braces")
        }
        "secret" | "path" if allowed.contains(&"from-env") => {
            Some("a file with the secret is `file = \"…\"`")
        }
        "version" | "id" | "tag" if allowed.contains(&"component") => {
            Some("what a version is called is its `name`")
        }
        "file" | "path" if allowed.contains(&"component") => {
            Some("the file of a WebAssembly component is `component`")
        }
        "environment" if !is_main => {
            Some("environment variables are `env = { NAME = \"value\" }` in `[[versions]]`")
        }
        "path" | "dir" | "folder" | "location" | "root" if allowed == ["directory"] => {
            Some("the path of a directory is `directory = \"…\"`")
        }
        "port" | "bind" | "address" | "addr" if allowed.contains(&"token-file") => {
            Some("the address of the admin listener is `listen = \"127.0.0.1:9090\"`")
        }
        "service" | "services" if allowed.contains(&"environments") => {
            Some("each service has a file of its own, which `services` in `[[environments]]` finds")
        }
        "ip" | "clientip" | "sourceip" | "remoteip" | "remoteaddr" | "source" | "address"
            if allowed.contains(&"method") =>
        {
            Some("the address of a client is `client`, such as `client = \"10.0.0.0/8\"`")
        }
        "useragent" | "referer" | "accept" | "acceptlanguage" | "authorization" | "contenttype"
            if allowed.contains(&"method") =>
        {
            Some(
                "headers are compared under `header`, such as `header = { user-agent = \"*bot*\" }`",
            )
        }
        version if allowed.contains(&"split") && is_version(version) => {
            Some("shares of versions are in `split`: `split = { v1 = 90, v2 = 10 }`")
        }
        "host" | "hosts" | "hostname" if allowed.contains(&"method") => Some(
            "a rule is about requests of its own service, whose hosts are its `domains`; `host` in `header` tells them apart",
        ),
        "prefix" | "pathprefix" | "location" | "uri" | "host" | "hosts" | "if" | "when"
        | "condition" | "conditions" | "matches"
            if allowed.contains(&"otherwise") =>
        {
            Some("what a rule is about is its `match`, such as `match = { path = \"/app/*\" }`")
        }
        "service" | "backend" | "upstream" | "cluster" | "target"
            if allowed.contains(&"otherwise") =>
        {
            Some("a rule leads to `version = \"…\"` or `split = { … }`")
        }
        "host" | "hosts" | "hostname" | "services" | "service" if is_main => None,
        "to" | "then" | "destination" | "action" if !allowed.contains(&"otherwise") => None,
        _ => {
            let found = CALLED.iter().find(|(words, _)| words.contains(&plain.as_str()));
            found.map(|(_, called)| *called)
        }
    }
}

/// Whether a key looks like the name of a version, such as `v1`.
fn is_version(key: &str) -> bool {
    let number = key.strip_prefix('v').unwrap_or(key);
    number.starts_with(|c: char| c.is_ascii_digit()) || ["green", "blue"].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::super::super::schema;
    use super::*;

    #[test]
    fn a_word_is_there_once_and_as_it_is_compared() {
        let mut words: Vec<_> = CALLED.iter().flat_map(|(words, _)| *words).collect();
        assert!(
            words.iter().all(|word| !word.contains(['-', '_']) && word.to_lowercase() == **word)
        );
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    /// An advice that names a key of ours must go when the key goes.
    #[test]
    fn advice_names_keys_that_exist() {
        let files: [_; 2] = schema::schema().into();
        for (_, advice) in CALLED {
            for quoted in advice.split('`').skip(1).step_by(2) {
                let name = quoted.trim_start_matches('[');
                let end = name.find([' ', ']']).unwrap_or(name.len());
                let key = name[..end].rsplit('.').next().unwrap();
                let exists = files.iter().any(|file| !schema::tables_with(file, key).is_empty());
                assert!(exists, "`{key}` in {advice:?}");
            }
        }
    }
}
