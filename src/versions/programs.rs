//! From a declared version to one that can serve: read, checked, compiled once a digest, given its
//! environment, tried out.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::secrets;
use super::serving::VersionEntry;
use super::snapshot::ServiceKey;
use super::status::{StatusCode, StatusError};
use super::turns::Turns;
use crate::config::{Digest, VersionSpec};
use crate::runtime::{CompileCache, Engine, Grant, Guest, GuestEnv, Program, digest_of};
use crate::source::{Fingerprint, ReadError, read_file};
use crate::telemetry::Telemetry;

/// A digest's program, or why it has none. Both last as long as some version names the digest, and
/// an error that may pass only for those who have waited for it.
type Compiled = Arc<OnceCell<Result<Program, StatusError>>>;

/// A file that was read, and how it looked then.
type Read = (PathBuf, Fingerprint);

/// Bytes of the largest component that is read.
const LARGEST_COMPONENT: u64 = 256 << 20;

/// How many components are in memory at once, so that a thousand versions do not take a thousand.
const READ_AT_ONCE: usize = 8;

/// Makes versions ready, and keeps what it compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Programs {
    engine: Engine,
    cache: Option<CompileCache>,
    telemetry: Telemetry,
    known: Arc<Mutex<HashMap<[u8; 32], Compiled>>>,
    /// The digests of files that need not be read to know them.
    digests: Arc<Mutex<HashMap<Read, [u8; 32]>>>,
    reading: Arc<Semaphore>,
    compiling: Turns,
}

impl Programs {
    /// Nothing is compiled yet.
    pub fn new(engine: Engine, cache: Option<CompileCache>, telemetry: Telemetry) -> Self {
        let (known, digests) = Default::default();
        let reading = Arc::new(Semaphore::new(READ_AT_ONCE));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let compiling = Turns::new(cores.min(READ_AT_ONCE));
        Self { engine, cache, telemetry, known, digests, reading, compiling }
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
        let program = self.program(spec).await?;
        let secrets::Resolved { env, digests } = secrets::resolve(&spec.env).await?;
        let guest = Guest::new(program, grant(key, spec, env));
        guest.try_out().await?;
        let meter = self.telemetry.version(
            key.environment.as_str(),
            key.service.as_str(),
            spec.name.as_str(),
        );
        Ok(Arc::new(VersionEntry::new(spec.clone(), digests, guest, meter)))
    }

    /// Forgets every program but these.
    pub fn keep_only(&self, digests: &HashSet<[u8; 32]>) {
        lock(&self.known)
            .retain(|digest, compiled| digests.contains(digest) || !compiled.initialized());
        lock(&self.digests).retain(|_, digest| digests.contains(digest));
    }

    /// Has everything that failed tried anew by whoever wants it next.
    pub fn forget_failed(&self) {
        let mut known = lock(&self.known);
        known.retain(|_, compiled| compiled.get().is_none_or(Result::is_ok));
        lock(&self.digests).retain(|_, digest| known.contains_key(digest));
    }

    /// The program of a version: one that is known, or else read and compiled.
    async fn program(&self, spec: &VersionSpec) -> Result<Program, StatusError> {
        // What is known does not wait for what compiles.
        if let Some(known) = self.read_before(spec) {
            return known;
        }
        let _turn = self.reading.acquire().await;
        // Another version may have named the same file meanwhile.
        if let Some(known) = self.read_before(spec) {
            return known;
        }
        let file = settled(spec);
        let bytes = read(&spec.component).await?;
        let digest = digest_of(&bytes);
        check_digest(spec, Digest::from_bytes(digest))?;
        lock(&self.digests).extend(file.map(|file| (file, digest)));
        let compiled = lock(&self.known).entry(digest).or_default().clone();
        let program = compiled.get_or_init(|| self.compile(digest, bytes)).await.clone();
        if program.as_ref().is_err_and(StatusError::may_pass) {
            self.forget(&digest, &compiled);
        }
        program
    }

    /// Lets the next who wants the digest's program try again.
    fn forget(&self, digest: &[u8; 32], failed: &Compiled) {
        let mut known = lock(&self.known);
        if known.get(digest).is_some_and(|current| Arc::ptr_eq(current, failed)) {
            known.remove(digest);
        }
    }

    /// What came of a version's file, if it was read before and has not changed since.
    fn read_before(&self, spec: &VersionSpec) -> Option<Result<Program, StatusError>> {
        let digest = *lock(&self.digests).get(&settled(spec)?)?;
        let program = lock(&self.known).get(&digest)?.get()?.clone();
        Some(check_digest(spec, Digest::from_bytes(digest)).and(program))
    }

    async fn compile(&self, digest: [u8; 32], bytes: Vec<u8>) -> Result<Program, StatusError> {
        let _turn = self.compiling.take(bytes.len(), || self.engine.has_served()).await;
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

/// A version's file, if its next change will show.
fn settled(spec: &VersionSpec) -> Option<Read> {
    let fingerprint = Fingerprint::of(&spec.component).filter(Fingerprint::is_settled)?;
    Some((spec.component.clone(), fingerprint))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The digest of a component as it is now, for whoever does not want to compile it.
///
/// # Errors
///
/// Where there is no such file, or it cannot be read.
pub async fn digest_at(component: &Path) -> Result<Digest, StatusError> {
    Ok(Digest::from_bytes(digest_of(&read(component).await?)))
}

async fn read(component: &Path) -> Result<Vec<u8>, StatusError> {
    let path = component.to_owned();
    let read = tokio::task::spawn_blocking(move || read_file(&path, LARGEST_COMPONENT));
    match read.await {
        Ok(read) => read.map_err(|error| unreadable(component, &error)),
        Err(panicked) => {
            Err(StatusError::new(StatusCode::Internal, format!("reading it: {panicked}")))
        }
    }
}

fn unreadable(component: &Path, error: &ReadError) -> StatusError {
    let path = component.display();
    if let Some(error) = error.transient() {
        let detail = format!("cannot read {path} for now: {error}");
        return StatusError::transient(StatusCode::Unreadable, detail, error);
    }
    match error {
        ReadError::Directory | ReadError::NotRegular => {
            let detail = format!("{path} is not a regular file");
            StatusError::new(StatusCode::NotAComponent, detail)
        }
        ReadError::TooLarge { most } => {
            let detail = format!("{path} is larger than {} MiB", most >> 20);
            StatusError::new(StatusCode::NotAComponent, detail)
        }
        error if error.is_missing() => {
            StatusError::new(StatusCode::NotFound, format!("there is no file {path}"))
        }
        ReadError::Io(error) => {
            StatusError::new(StatusCode::Unreadable, format!("cannot read {path}: {error}"))
        }
    }
}

/// Holds a component's digest against the one that is declared.
///
/// # Errors
///
/// Where they differ.
pub fn check_digest(spec: &VersionSpec, found: Digest) -> Result<(), StatusError> {
    match &spec.digest {
        Some(declared) if *declared != found => Err(StatusError::new(
            StatusCode::DigestMismatch,
            format!("the file's digest is {found}, and {declared} is declared"),
        )),
        _ => Ok(()),
    }
}

fn grant(key: &ServiceKey, spec: &VersionSpec, env: GuestEnv) -> Grant {
    let limits = &spec.limits;
    Grant::new(
        key.service.as_str(),
        spec.name.as_str(),
        usize::try_from(limits.memory.bytes()).unwrap_or(usize::MAX),
        limits.cpu_time,
        limits.wall_time,
    )
    .with_env(env)
    .with_reuse(limits.instance_reuse)
}
