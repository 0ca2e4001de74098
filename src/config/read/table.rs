//! The keys of each table. A test compares them with the JSON Schema.

use toml::de::DeValue;

use super::super::raw::{
    RawAdmin, RawCertificate, RawComponents, RawConnectionLimits, RawCookie, RawDefaults,
    RawEjectTable, RawEnvironment, RawHealth, RawLimits, RawMatch, RawOverrides, RawQuarantined,
    RawRateLimit, RawRetry, RawRoute, RawRule, RawSecret, RawServer, RawServerTls, RawService,
    RawState, RawSticky, RawTls, RawTraffic, RawUpstreamTable, RawVersion, RawWatershed,
    RawWeightedTarget,
};
use super::misfit::{Kind, Misfits};
use super::{At, FromValue, Table};

/// Has the structs of tables take each field by the key beside it.
macro_rules! tables {
    ($($raw:ident { $($field:ident: $key:literal),* })*) => {$(
        impl FromValue for $raw {
            const KIND: Kind = Kind::Table;

            fn from_value(
                value: &mut DeValue<'_>,
                at: At<'_>,
                misfits: &mut Misfits,
            ) -> Option<Self> {
                let mut table = Table::of(value, at, misfits)?;
                let raw = Self { $($field: table.take($key)),* };
                table.finish(&[$($key),*]);
                Some(raw)
            }
        }
    )*};
}

tables! {
    RawWatershed {
        server: "server",
        admin: "admin",
        state: "state",
        components: "components",
        defaults: "defaults",
        environments: "environments"
    }
    RawServer {
        listen: "listen",
        threads: "threads",
        sandboxes: "sandboxes",
        grace_period: "grace-period",
        drain_delay: "drain-delay",
        expose: "expose",
        watch: "watch",
        health_path: "health-path",
        proxy_protocol: "proxy-protocol",
        trusted_proxies: "trusted-proxies",
        tls: "tls",
        limits: "limits"
    }
    RawServerTls {
        listen: "listen",
        minimum: "minimum",
        redirect: "redirect",
        hsts: "hsts",
        ticket_keys: "ticket-keys",
        certificates: "certificates"
    }
    RawCertificate { certificate: "certificate", key: "key" }
    RawConnectionLimits {
        head: "head",
        headers: "headers",
        head_time: "head-time",
        idle_time: "idle-time",
        connections: "connections",
        client_rate: "client-rate",
        streams: "streams",
        resets: "resets"
    }
    RawAdmin { listen: "listen", token_file: "token-file", hosts: "hosts" }
    RawState { directory: "directory" }
    RawComponents { directory: "directory" }
    RawDefaults { limits: "limits" }
    RawEnvironment { name: "name", domain: "domain", services: "services" }

    RawService {
        name: "name",
        domains: "domains",
        routes: "routes",
        versions: "versions",
        traffic: "traffic",
        quarantine: "quarantine"
    }
    RawRoute { domain: "domain", path: "path" }
    RawVersion {
        name: "name",
        component: "component",
        upstream: "upstream",
        digest: "digest",
        env: "env",
        outbound: "outbound",
        remark: "remark",
        reach: "reach",
        limits: "limits"
    }
    RawUpstreamTable {
        targets: "targets",
        protocol: "protocol",
        balance: "balance",
        host: "host",
        resolve: "resolve",
        connect_timeout: "connect-timeout",
        idle_timeout: "idle-timeout",
        tls: "tls",
        health: "health",
        eject: "eject",
        retry: "retry"
    }
    RawWeightedTarget { address: "address", weight: "weight" }
    RawTls { server_name: "server-name", ca: "ca", certificate: "certificate", key: "key" }
    RawHealth {
        path: "path",
        status: "status",
        interval: "interval",
        timeout: "timeout",
        healthy: "healthy",
        unhealthy: "unhealthy"
    }
    RawEjectTable { failures: "failures", duration: "for", at_most: "at-most" }
    RawRetry { attempts: "attempts", on: "on", budget: "budget" }
    RawSecret { file: "file", from_env: "from-env" }
    RawLimits {
        memory: "memory",
        cpu_time: "cpu-time",
        wall_time: "wall-time",
        idle_time: "idle-time",
        request_body: "request-body",
        concurrency: "concurrency",
        queue_time: "queue-time",
        instance_reuse: "instance-reuse",
        outbound_requests: "outbound-requests",
        outbound_concurrency: "outbound-concurrency"
    }
    RawQuarantined { digest: "digest", env: "env", version: "version", remark: "remark" }
    RawTraffic {
        split: "split",
        latest: "latest",
        pick: "pick",
        propagate: "propagate",
        rules: "rules",
        sticky: "sticky",
        overrides: "override",
        rescue: "rescue",
        rescue_buffer: "rescue-buffer",
        rescue_methods: "rescue-methods",
        rescue_statuses: "rescue-statuses",
        when_unhealthy: "when-unhealthy",
        rate_limit: "rate-limit"
    }
    RawRateLimit { key: "key", rate: "rate", burst: "burst" }
    RawRule {
        name: "name",
        matches: "match",
        version: "version",
        split: "split",
        otherwise: "otherwise"
    }
    RawMatch {
        path: "path",
        method: "method",
        query: "query",
        header: "header",
        cookie: "cookie",
        client: "client"
    }
    RawSticky { key: "key", mode: "mode", ttl: "ttl", cookie: "cookie" }
    RawCookie {
        name: "name",
        ttl: "ttl",
        secure: "secure",
        http_only: "http-only",
        same_site: "same-site"
    }
    RawOverrides {
        header: "header",
        query: "query",
        cookie: "cookie",
        preview_domains: "preview-domains",
        secret: "secret"
    }
}
