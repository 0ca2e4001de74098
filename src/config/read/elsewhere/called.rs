//! The dictionary of `elsewhere`, for all tables.

use super::Words;

pub const CALLED: &[Words] = &[
    (
        "host hosts hostname hostnames servername servernames serveralias virtualhost virtualhosts \
          vhost domainname domainnames",
        "the hosts of a service are `domains = [\"…\"]` at the top of its file",
    ),
    (
        "location locations pathprefix prefix basepath uri route",
        "a part of a domain is `[[routes]]` with `domain` and `path`; requests are told apart by `[[traffic.rules]]`",
    ),
    (
        "proxypass fastcgipass reverseproxy upstream upstreams backend backends usebackend \
          defaultbackend endpoint endpoints cluster clusters loadbalancer servers url target targets \
          targetport forwardto address addresses",
        "an HTTP service on the network is a version too: `upstream = [\"127.0.0.1:9001\"]` in `[[versions]]`",
    ),
    (
        "service services app apps application",
        "each service has a file of its own, and its `[[versions]]` there",
    ),
    (
        "image images container containers module wasm binary artifact executable command entrypoint \
          source src",
        "what runs is `component` in `[[versions]]`: the file of a WebAssembly component",
    ),
    (
        "weight weights percent percentage share shares canary canaryweight splits weightedclusters \
          weightedservices trafficsplit strategy rollout distribution",
        "percentages are in `[traffic]`: `split = { v1 = 90, v2 = 10 }`",
    ),
    (
        "replicas replica instances minreplicas maxreplicas scale autoscaling workers workerprocesses \
          processes",
        "one process serves all versions: `concurrency` in `[versions.limits]` bounds a version's requests, `threads` and `sandboxes` in `[server]` of watershed.toml the process",
    ),
    (
        "apiversion kind metadata spec status selector template namespace annotations labels \
          matchlabels",
        "this is a key of Kubernetes: a service's file has `domains`, `[[versions]]` and `[traffic]`",
    ),
    (
        "router routers http tcp routeconfig rule if when condition conditions virtualservice \
          destinationrule",
        "kinds of requests are told apart by `[[traffic.rules]]`, parts of domains by `[[routes]]`",
    ),
    (
        "destination destinations subset subsets trafficpolicy to dest then action",
        "a rule leads to `version = \"…\"` or `split = { … }`",
    ),
    (
        "entrypoints listener listeners bind port ports listenaddress listenaddr listenport",
        "addresses are `listen = [\"127.0.0.1:8080\"]` in `[server]` of watershed.toml",
    ),
    (
        "middleware middlewares plugin plugins filter filters httpfilters filterchains interceptors",
        "nothing runs between a request and its version: a component does it, or is composed with one that does",
    ),
    (
        "tls ssl https sslcertificate sslcertificatekey certificate certificates cert certfile \
          keyfile acme letsencrypt",
        "HTTPS is served by `[server.tls]`, with a `[[server.tls.certificates]]` for each certificate; TLS to targets is `[versions.upstream.tls]`",
    ),
    (
        "timeout timeouts readtimeout proxyreadtimeout requesttimeout responsetimeout maxduration \
          deadline",
        "a request's time is bounded by `wall-time` and `cpu-time` in `[versions.limits]`",
    ),
    (
        "clientmaxbodysize maxbodysize bodylimit bodysize maxrequestbody",
        "the size of a request is bounded by `request-body` in `[versions.limits]`",
    ),
    (
        "resources resource cpu cpus mem memorylimit maxmemory memorymax",
        "a version's bounds are `memory`, `cpu-time` and `concurrency` in `[versions.limits]`",
    ),
    (
        "environmentvariables envvars envs variables variable vars secrets configmap",
        "environment variables are `env = { NAME = \"value\" }` in `[[versions]]`",
    ),
    (
        "description comment comments note notes reason annotation",
        "a note for people is `remark = \"…\"` in `[[versions]]`",
    ),
    (
        "sha256 sha checksum hash integrity",
        "the digest of a component is `digest = \"sha256:…\"` in `[[versions]]`",
    ),
    (
        "default defaultversion primary stable active current live enabled disabled enable",
        "`[traffic]` says which versions get requests, by `split` or `latest = true`; `reach` in `[[versions]]` who may get one at all",
    ),
    (
        "affinity sessionaffinity stickysession stickysessions session persistence iphash",
        "users stay with a version by `[traffic.sticky]`",
    ),
    (
        "include includes import imports extends",
        "files are not included: `services` in `[[environments]]` of watershed.toml finds the services' files",
    ),
    (
        "log logs logging loglevel accesslog errorlog",
        "the environment variable WATERSHED_LOG says what is logged",
    ),
    (
        "healthcheck healthchecks livenessprobe readinessprobe health probe",
        "a component is tried out before it gets requests, targets of an upstream are checked as `[versions.upstream.health]` says, and the admin listener has /livez and /readyz",
    ),
    (
        "lbpolicy loadbalancing leastconn algorithm",
        "how the target of a request is chosen is `balance` in `[versions.upstream]`",
    ),
    (
        "maxfails failtimeout outlierdetection circuitbreaker circuitbreakers passivehealthcheck \
          consecutive5xx",
        "targets that fail get no requests for a while as `[versions.upstream.eject]` says",
    ),
    (
        "retries retryon retrypolicy numretries tries proxynextupstream proxynextupstreamtries",
        "requests are sent again as `[versions.upstream.retry]` says",
    ),
    (
        "proxyconnecttimeout dialtimeout timeoutconnect",
        "the time to connect to a target is `connect-timeout` in `[versions.upstream]`",
    ),
    (
        "keepalive keepalivetimeout timeoutserver proxysendtimeout",
        "kept connections are closed after `idle-timeout` in `[versions.upstream]`, and responses have the time of `wall-time` and `idle-time` in `[versions.limits]`",
    ),
    (
        "maxconn maxconns maxconnections maxrequests maxpendingrequests",
        "a version's requests in flight are bounded by `concurrency` in `[versions.limits]`",
    ),
    (
        "ratelimit ratelimits ratelimiter ratelimiting localratelimit ratelimitpolicy limitreq \
          limitreqzone throttle throttling rps requestspersecond requestsperminute tokenbucket quota",
        "how often requests may come is `[traffic.rate-limit]` of a service's file",
    ),
    (
        "fallback failover backup errorpage proxyintercepterrors rescueversion rescuer",
        "the version that answers where another one fails is `rescue` in `[traffic]`",
    ),
    (
        "hostheader passhostheader preservehost proxysetheader hostrewrite",
        "the host that targets are asked for is `host` in `[versions.upstream]`",
    ),
    (
        "allowedoutboundhosts allowedhttphosts allowedhosts egress outgoing outboundhosts network networks",
        "what a component may reach is `outbound = [\"https://api.example.com\"]` in `[[versions]]`",
    ),
];
