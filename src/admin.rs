//! The admin listener: health, metrics, status and history, for probes, Prometheus and people.
//!
//! Files alone say what is served: what changes a service (`write`) edits its file, as the commands do. `guard`
//! decides which requests are answered. Where a token file is configured, every path except the health of the process
//! needs the token. `routes` has all paths, and `error` every answer that is not a success.

mod access;
mod body;
mod check;
mod console;
mod description;
mod error;
mod events;
mod explain;
mod find;
mod guard;
mod history;
mod listen;
mod login;
mod metrics;
mod openapi;
mod probes;
mod reload;
mod restart;
mod routes;
mod series;
mod services;
mod session;
mod status;
mod token;
mod write;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

pub use description::description;
pub use events::Events;
pub use history::keep_declared;
use session::attempts::Attempts;
pub use status::service_document;
pub use token::{TokenError, TokenFile, client_token};
pub use write::Writes;

use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::reload::ReloadHandle;
use crate::restart::Restarts;
use crate::telemetry::Telemetry;
use crate::transport::{Drain, Urls};
use crate::versions::Live;

/// How often the token file is read.
const LOOK: Duration = Duration::from_secs(1);

/// How often uploads are looked through.
const TIDY: Duration = Duration::from_secs(60);

/// How often open descriptors are counted. Counting takes older kernels a while.
const COUNT: Duration = Duration::from_secs(5);

/// What the admin listener shows.
#[derive(Clone, Debug)]
pub struct Admin {
    pub live: Arc<Live>,
    pub reloads: Arc<ReloadHandle>,
    pub telemetry: Telemetry,
    pub token: Option<TokenFile>,
    /// Logins with wrong tokens.
    pub attempts: Attempts,
    pub descriptors: Descriptors,
    pub drain: Drain,
    pub restarts: Restarts,
    pub events: Events,
    /// How clients name the listeners, for the URLs of services.
    pub urls: Urls,
    /// The main file, absolute.
    pub config: PathBuf,
    /// The directory of the main file, absolute.
    pub root: PathBuf,
    pub started_with: Arc<Config>,
    /// Changes that are asked for here.
    pub writes: Writes,
}

/// Serves [`Admin`] on a bound socket.
pub struct AdminListener {
    admin: Admin,
    sockets: Vec<std::net::TcpListener>,
}

impl AdminListener {
    /// Serves `admin` on these sockets.
    pub fn new(admin: Admin, sockets: Vec<std::net::TcpListener>) -> Self {
        Self { admin, sockets }
    }

    /// Serves until dropped. The socket stays open: clients that connect meanwhile wait for the next call.
    ///
    /// # Errors
    ///
    /// Where the process has no descriptor for the socket.
    pub async fn serve(&self) -> io::Result<()> {
        let sockets: Vec<_> =
            self.sockets.iter().map(std::net::TcpListener::try_clone).collect::<io::Result<_>>()?;
        tokio::select! {
            served = listen::serve(sockets, routes::routes(self.admin.clone()), &self.admin.drain) => served,
            () = self.admin.look_around() => Ok(()),
            () = self.admin.events.watch(&self.admin.live) => Ok(()),
        }
    }
}

impl Admin {
    /// Follows what changes outside this process: the token file, also on SIGHUP, and the number of open descriptors.
    async fn look_around(&self) {
        let [mut looks, mut counts, mut tidies] = [LOOK, COUNT, TIDY].map(interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tidies.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut was_near = false;
        loop {
            tokio::select! {
                _ = looks.tick() => self.look_at_token().await,
                () = hangup(&mut hangups) => self.look_at_token().await,
                _ = tidies.tick() => self.tidy(),
                _ = counts.tick() => was_near = self.look_at_descriptors(was_near),
            }
        }
    }

    /// Removes what was uploaded and not deployed. Nobody waits for the disk.
    fn tidy(&self) {
        let writes = self.writes.clone();
        tokio::task::spawn_blocking(move || writes.tidy());
    }

    async fn look_at_token(&self) {
        if let Some(token) = &self.token {
            token.look().await;
        }
    }

    /// Whether the process is close to its limit of descriptors. The log says so once.
    fn look_at_descriptors(&self, was_near: bool) -> bool {
        let seen = self.descriptors.look();
        if seen.is_near() && !was_near {
            tracing::warn!("{seen}");
        }
        seen.is_near()
    }
}

/// Waits for SIGHUP; forever where the process cannot receive it.
async fn hangup(hangups: &mut Option<Signal>) {
    let told = match hangups {
        Some(hangups) => hangups.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}
