//! Versions that are upstreams, and the host under which a test asks for them.

use std::net::SocketAddr;

/// The host of the service `up`.
pub const UP: &str = "up.localhost";

/// Neither retries nor ejections: each request is one attempt.
pub const ONCE: &str = "eject = false\nretry = { attempts = 0 }";

/// A version that is reached at these addresses. `lines` are those of `[versions.upstream]`.
pub fn upstream(name: &str, targets: &[SocketAddr], lines: &str) -> String {
    let targets: Vec<_> = targets.iter().map(|it| format!("\"{it}\"")).collect();
    let targets = targets.join(", ");
    format!(
        "\n[[versions]]\nname = \"{name}\"\n[versions.upstream]\ntargets = [{targets}]\n{lines}\n"
    )
}
