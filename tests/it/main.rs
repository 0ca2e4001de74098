//! Integration tests: each starts the real binary on ports of its own, with real files, real
//! sockets and the components of `plugins/dist`, and waits with deadlines, never with sleeps.
//!
//! `WATERSHED_PLUGINS=DIRECTORY` runs them with components built elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod admin;
mod admin_errors;
mod api_deploys;
mod api_writes;
mod bodies;
mod certificates;
mod cli;
mod clients;
mod compile_cache;
mod compiling;
mod completions;
mod consent;
mod console_files;
mod cpu_time;
mod crowded;
mod decide;
mod deploy;
mod docs;
mod events;
mod explain;
mod failures;
mod faults;
mod forwarded;
mod framing;
mod front_peers;
mod h2spec;
mod half_written;
mod headers;
mod health_path;
#[path = "../../benches/table/component.rs"]
#[expect(dead_code, reason = "the benchmarks make more kinds")]
mod heavy_component;
mod history;
mod history_file;
mod hosts;
mod http2;
mod http2_floods;
mod http2_stalls;
mod http2_writes;
mod hygiene;
mod hygiene_http2;
mod idle;
mod incremental;
mod init;
mod json;
mod last_good;
mod late_failures;
mod lengths;
mod log;
mod metrics;
mod misbehaving;
mod openapi;
mod operators;
mod outbound;
mod outbound_guests;
mod outbound_hostile;
mod overview;
mod p3;
mod passes;
mod plan;
mod pool;
mod proxy_protocol;
mod quarantine;
mod rate_limit;
mod refused;
mod reload;
mod reload_files;
mod reload_load;
mod reload_requests;
mod remote;
mod rescue;
mod restart;
mod restart_consent;
mod restart_failures;
mod restart_kills;
mod restart_meanwhile;
mod restart_tls;
mod restore_file;
mod retries;
mod rollback;
mod routes;
mod sandbox;
mod secrets;
mod series;
mod shutdown;
mod simulation;
mod slow;
mod soak;
mod split;
mod status;
mod store;
mod streams;
mod support;
mod switching;
mod systemd;
mod tasks;
mod tls;
mod tls_hostile;
mod tls_names;
mod tls_requests;
mod transient;
mod unhealthy;
mod upgrade;
mod upgrade_files;
mod upstream_commands;
mod upstream_http2;
mod upstream_misdeeds;
mod upstream_names;
mod upstream_peers;
mod upstream_renewal;
mod upstream_retries;
mod upstream_streams;
mod upstreams;
mod versions;
mod watch;
