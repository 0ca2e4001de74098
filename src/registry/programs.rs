//! From a declared version to one that can serve: read, checked, compiled once a digest, tried out.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::lifecycle::{StatusCode, StatusError};
use super::serving::VersionEntry;
use super::snapshot::ServiceKey;
use crate::config::{Digest, VersionSpec};
use crate::runtime::{CompileCache, Engine, Grant, Guest, Program, digest_of};
use crate::telemetry::Telemetry;

/// A digest's program, or why it has none. Both last as long as some version names the digest, and
/// an error that may pass only for those who have waited for it.
type Compiled = Arc<OnceCell<Result<Program, StatusError>>>;

/// Bytes of the largest component that is read.
const LARGEST_COMPONENT: u64 = 256 << 20;

/// What tells whether a file may have changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The fingerprint of a file, following links; `None` where there is no such file.
    pub fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Makes versions ready, and keeps what it compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Programs {
    engine: Engine,
    cache: Option<CompileCache>,
    telemetry: Telemetry,
    known: Arc<Mutex<HashMap<[u8; 32], Compiled>>>,
    /// One component is compiled at a time, so that the workers that serve keep their cores.
    compiling: Arc<Semaphore>,
}

impl Programs {
    /// Nothing is compiled yet.
    pub fn new(engine: Engine, cache: Option<CompileCache>, telemetry: Telemetry) -> Self {
        let compiling = Arc::new(Semaphore::new(1));
        Self { engine, cache, telemetry, known: Arc::default(), compiling }
    }

    /// Takes a version from declared to normal.
    ///
    /// # Errors
    ///
    /// The status error of a version that cannot become normal as its files are now.
    pub async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<VersionEntry>, StatusError> {
        let bytes = read(spec).await?;
        let digest = digest_of(&bytes);
        check_digest(spec, digest)?;
        let program = self.program(digest, bytes).await?;
        let guest = Guest::new(program, grant(key, spec));
        guest.try_out().await?;
        let meter = self.telemetry.version(
            key.environment.as_str(),
            key.service.as_str(),
            spec.name.as_str(),
        );
        Ok(Arc::new(VersionEntry::new(spec.clone(), guest, meter)))
    }

    /// Forgets every program but these.
    pub fn keep_only(&self, digests: &HashSet<[u8; 32]>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|digest, compiled| digests.contains(digest) || !compiled.initialized());
    }

    async fn program(&self, digest: [u8; 32], bytes: Vec<u8>) -> Result<Program, StatusError> {
        let compiled = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(digest).or_default().clone()
        };
        let program = compiled.get_or_init(|| self.compile(digest, bytes)).await.clone();
        if program.as_ref().is_err_and(|error| error.code.may_pass()) {
            self.forget(&digest, &compiled);
        }
        program
    }

    /// Lets the next who wants the digest's program try again.
    fn forget(&self, digest: &[u8; 32], failed: &Compiled) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(digest).is_some_and(|current| Arc::ptr_eq(current, failed)) {
            known.remove(digest);
        }
    }

    async fn compile(&self, digest: [u8; 32], bytes: Vec<u8>) -> Result<Program, StatusError> {
        let _permit = self.compiling.acquire().await;
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let compile = move || Program::compile(&engine, cache.as_ref(), digest, bytes);
        match tokio::task::spawn_blocking(compile).await {
            Ok(compiled) => compiled.map_err(StatusError::from),
            Err(panicked) => {
                Err(StatusError::new(StatusCode::Internal, format!("the compiler: {panicked}")))
            }
        }
    }
}

async fn read(spec: &VersionSpec) -> Result<Vec<u8>, StatusError> {
    let path = spec.component.display();
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            StatusError::new(StatusCode::NotFound, format!("there is no file {path}"))
        }
        _ => StatusError::new(StatusCode::Unreadable, format!("cannot read {path}: {error}")),
    };
    // A device or a pipe could be read for ever.
    let found = tokio::fs::metadata(&spec.component).await.map_err(unreadable)?;
    if !found.is_file() {
        let detail = format!("{path} is not a regular file");
        return Err(StatusError::new(StatusCode::NotAComponent, detail));
    }
    if found.len() > LARGEST_COMPONENT {
        let detail = format!("{path} is larger than {} MiB", LARGEST_COMPONENT >> 20);
        return Err(StatusError::new(StatusCode::NotAComponent, detail));
    }
    tokio::fs::read(&spec.component).await.map_err(unreadable)
}

fn check_digest(spec: &VersionSpec, found: [u8; 32]) -> Result<(), StatusError> {
    let found = Digest::from_bytes(found);
    match &spec.digest {
        Some(declared) if *declared != found => Err(StatusError::new(
            StatusCode::DigestMismatch,
            format!("the file's digest is {found}, and {declared} is declared"),
        )),
        _ => Ok(()),
    }
}

fn grant(key: &ServiceKey, spec: &VersionSpec) -> Grant {
    let limits = &spec.limits;
    Grant::new(
        key.service.as_str(),
        spec.name.as_str(),
        usize::try_from(limits.memory.bytes()).unwrap_or(usize::MAX),
        limits.cpu_time,
        limits.wall_time,
    )
    .with_env(spec.env.clone())
    .with_reuse(limits.instance_reuse)
}
