//! What the tests share: a site of configuration files, the process that serves it, and clients.

mod admin;
mod backend;
mod chain;
mod commands;
pub mod compiled;
mod events;
mod honest;
mod http1;
mod http2;
pub mod https;
mod load;
pub mod peer;
pub mod raw2;
mod response;
mod site;
mod terminal;
mod upstream;
mod watershed;

use std::time::{Duration, Instant};

pub use backend::Backend;
pub use chain::{Chain, is_running, send};
pub use commands::{agreed, done, refused, tell};
pub use events::Events;
pub use honest::{beside_an_honest_client, beside_an_honest_client_within};
pub use http1::Http1;
pub use http2::{Http2, read, request};
pub use load::{StopOnDrop, while_requested};
pub use response::{Response, assert_admin_problem, assert_problem};
pub use site::{LABS, Site, greeter, lab, lab_p3, limits, one_version, plugin, split};
pub use terminal::{AtTerminal, Streams};
pub use upstream::{ONCE, UP, upstream};
pub use watershed::{Finished, Watershed};

/// The host of the service `greeter`.
pub const GREETER: &str = "greeter.localhost";
/// The host of the service `lab`.
pub const LAB: &str = "lab.localhost";

/// Serves the lab, with the default limits of a version.
pub fn serve_lab() -> Watershed {
    Site::new().service("lab", &lab("v1")).start()
}

/// Runs a test against the lab of each release of WASI, with these limits: what holds for a guest of one holds for a
/// guest of the other. A failed test shows which component it served.
pub fn in_both_worlds(lines: &str, test: impl Fn(&Watershed)) {
    for lab in LABS {
        test(&Site::new().service("lab", &(lab("v1") + &limits(lines))).start());
    }
}

/// How long anything may take that should happen at once, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(DEADLINE, what, condition);
}

/// Waits until `condition` holds, for at most `limit`.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
