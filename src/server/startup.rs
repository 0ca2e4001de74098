//! The end of a start: accepts clients, and prints what is served.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::printer::Printer;
use super::supervise::Task;
use crate::reload::ReloadHandle;
use crate::restart::Restarts;
use crate::systemd::{self, State};
use crate::transport::Urls;
use crate::versions::{Live, ServiceEntry, Snapshot};

/// How long clients wait for the first versions at most. After that, services without a version
/// answer 503.
const FIRST_VERSIONS: Duration = Duration::from_secs(10);

/// Accepts connections once the first versions are ready, and prints what is served.
pub(super) struct Startup {
    /// Taken when connections are accepted.
    ready: Mutex<Option<oneshot::Sender<()>>>,
    addresses: Vec<String>,
    urls: Urls,
    live: Arc<Live>,
    reloads: Arc<ReloadHandle>,
    restarts: Restarts,
}

impl Startup {
    /// A start that accepts connections through `ready`, and then prints the lines `addresses` and
    /// what is served at `urls`.
    pub fn new(
        ready: oneshot::Sender<()>,
        (addresses, urls): (Vec<String>, Urls),
        live: Arc<Live>,
        reloads: Arc<ReloadHandle>,
        restarts: Restarts,
    ) -> Self {
        Self { ready: Mutex::new(Some(ready)), addresses, urls, live, reloads, restarts }
    }
}

#[async_trait]
impl Task for Startup {
    const NAME: &'static str = "startup";

    async fn run(&self) -> io::Result<()> {
        let printer = Printer::to(io::stdout());
        self.restarts.serving().await;
        let settled = tokio::time::timeout(FIRST_VERSIONS, self.reloads.settled()).await.is_ok();
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ready) = ready {
            // Fails if the process is about to end and accepts no more connections.
            ready.send(()).ok();
            if self.restarts.state().predecessor.is_none() {
                systemd::tell(State::Ready);
            }
        }
        for line in &self.addresses {
            printer.print(line);
        }
        if !settled {
            printer
                .print("some versions are still being made; their services answer 503 until then, or by their rescue version");
            self.reloads.settled().await;
        }
        for line in describe(&self.live.load(), &self.urls) {
            printer.print(&line);
        }
        for rejection in self.reloads.rejected().iter() {
            printer.print(&format!("rejected  {}, see the log", rejection.file.display()));
        }
        for bad in self.reloads.listener().certificates.iter().filter_map(|it| it.bad.as_ref()) {
            printer.print(&format!("unusable  {}, see the log", bad.file.display()));
        }
        Ok(())
    }
}

/// A line for each service: its URL, and each version with its share and status.
fn describe(snapshot: &Snapshot, urls: &Urls) -> Vec<String> {
    let url = |service: &Arc<ServiceEntry>| urls.of(&service.default_domain());
    let width = snapshot.services.iter().map(|service| url(service).len()).max();
    let line = |service: &Arc<ServiceEntry>| {
        let versions: Vec<_> = service
            .versions
            .iter()
            .map(|version| match version.status.error() {
                None => format!("{} {} % {}", version.name, version.share, version.status.word()),
                Some(error) => {
                    format!("{} {} % error {}", version.name, version.share, error.code.as_str())
                }
            })
            .collect();
        let url = url(service);
        format!("{url:width$}  {}", versions.join(", "), width = width.unwrap_or(0))
    };
    snapshot.services.iter().map(line).collect()
}
