//! Compiled programs by the digests of their components: each is read and compiled once, however many
//! versions name it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::super::status::{StatusCode, StatusError};
use super::component::{check_digest, read};
use super::substitute::{Substitute, is_about_file};
use super::turns::Turns;
use crate::config::{Digest, GuestSpec, ServiceName};
use crate::runtime::{CompileCache, Engine, Program};
use crate::source::{ComponentStore, Fingerprint};

/// The program of a digest, or why there is none. Both are kept while a version names the digest; an
/// error that may pass is given to the versions that waited for it, and then forgotten.
type Compiled = Arc<OnceCell<Result<Program, StatusError>>>;

/// A file that was read, and its fingerprint before that.
type Read = (PathBuf, Fingerprint);

/// How many components are in memory at once, so that a thousand versions do not take a thousand.
const READ_AT_ONCE: usize = 8;

/// Compiles programs, and keeps them. Cheap to clone: clones share the programs.
#[derive(Clone, Debug)]
pub struct ProgramCache {
    engine: Engine,
    cache: Option<CompileCache>,
    store: Option<ComponentStore>,
    known: Arc<Mutex<HashMap<[u8; 32], Compiled>>>,
    /// The digests of files that have not changed since they were read.
    digests: Arc<Mutex<HashMap<Read, [u8; 32]>>>,
    reading: Arc<Semaphore>,
    compiling: Turns,
}

impl ProgramCache {
    /// Nothing is compiled yet.
    pub fn new(engine: Engine, cache: Option<CompileCache>) -> Self {
        let (known, digests) = Default::default();
        let reading = Arc::new(Semaphore::new(READ_AT_ONCE));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let compiling = Turns::new(cores.min(READ_AT_ONCE));
        Self { engine, cache, store: None, known, digests, reading, compiling }
    }

    /// The same, which finds components in a store too.
    pub fn with_store(self, store: ComponentStore) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The program of a guest's component: a known one, or else the component is read and compiled. Where
    /// the file does not have the declared component, it is taken from where it still is.
    ///
    /// # Errors
    ///
    /// Why there is no program for the component as its file is now.
    pub async fn get(
        &self,
        service: &ServiceName,
        guest: &GuestSpec,
    ) -> Result<(Program, Option<Substitute>), StatusError> {
        // A known program does not wait for those that are compiled now.
        if let Some(Ok(known)) = self.read_before(guest) {
            return Ok((known?, None));
        }
        let _turn = self.reading.acquire().await;
        // Another version may have named the same file meanwhile.
        let fault = match self.read_before(guest) {
            Some(Ok(known)) => return Ok((known?, None)),
            Some(Err(fault)) => fault,
            None => {
                let file = settled(guest);
                match self.read(guest).await {
                    Ok((digest, bytes)) => {
                        lock(&self.digests).extend(file.map(|file| (file, digest)));
                        return Ok((self.made(digest, bytes).await?, None));
                    }
                    Err(fault) => fault,
                }
            }
        };
        match guest.digest.filter(|_| is_about_file(&fault)) {
            Some(declared) => self.instead(service, *declared.as_bytes(), fault).await,
            None => Err(fault),
        }
    }

    /// The component in the declared file, if it is the declared one.
    async fn read(&self, guest: &GuestSpec) -> Result<([u8; 32], Vec<u8>), StatusError> {
        let bytes = read(&guest.component).await?;
        let digest = Digest::of(&bytes);
        check_digest(guest, digest)?;
        Ok((*digest.as_bytes(), bytes))
    }

    /// The program of a digest whose file is gone or changed: from the store, from the compile cache, or
    /// from a version that runs it.
    async fn instead(
        &self,
        service: &ServiceName,
        digest: [u8; 32],
        fault: StatusError,
    ) -> Result<(Program, Option<Substitute>), StatusError> {
        let (store, cache, service) = (self.store.clone(), self.cache.clone(), service.clone());
        let find = move || {
            let found = store.and_then(|store| store.find(&service, &Digest::from_bytes(digest)));
            (found, cache.map(|cache| cache.places(&digest)).unwrap_or_default())
        };
        let (found, cached) = tokio::task::spawn_blocking(find).await.unwrap_or_default();
        if let Some((path, bytes)) = found {
            let program = self.made(digest, bytes).await?;
            return Ok((program, Some(Substitute { fault, copy: Some(path), cached })));
        }
        let kept = lock(&self.known).get(&digest).and_then(|known| known.get().cloned());
        let kept = kept.and_then(Result::ok);
        let (engine, cache, is_kept) = (self.engine.clone(), self.cache.clone(), kept.is_some());
        let load = move || match is_kept {
            true => None,
            false => Program::cached(&engine, cache.as_ref()?, digest),
        };
        let loaded = tokio::task::spawn_blocking(load).await.ok().flatten();
        let program = match (kept, loaded) {
            (Some(program), _) => program,
            (None, Some(program)) => self.keep(digest, program),
            (None, None) => return Err(fault),
        };
        Ok((program, Some(Substitute { fault, copy: None, cached })))
    }

    /// Keeps a program, unless another is known by now.
    fn keep(&self, digest: [u8; 32], program: Program) -> Program {
        let known = lock(&self.known).entry(digest).or_default().clone();
        // It is set already where another version came first.
        known.set(Ok(program.clone())).ok();
        match known.get() {
            Some(Ok(known)) => known.clone(),
            _ => program,
        }
    }

    /// The program of a component with this digest.
    async fn made(&self, digest: [u8; 32], bytes: Vec<u8>) -> Result<Program, StatusError> {
        let compiled = lock(&self.known).entry(digest).or_default().clone();
        let program = compiled.get_or_init(|| self.compile(digest, bytes)).await.clone();
        if program.as_ref().is_err_and(StatusError::may_pass) {
            self.forget(&digest, &compiled);
        }
        program
    }

    /// Forgets every program but those of these digests, and but those that are being compiled.
    pub fn keep_only(&self, digests: &HashSet<[u8; 32]>) {
        lock(&self.known)
            .retain(|digest, compiled| digests.contains(digest) || !compiled.initialized());
        lock(&self.digests).retain(|_, digest| digests.contains(digest));
    }

    /// Forgets every program that did not compile, so that the next version which needs one tries
    /// again.
    pub fn forget_failed(&self) {
        let mut known = lock(&self.known);
        known.retain(|_, compiled| compiled.get().is_none_or(Result::is_ok));
        lock(&self.digests).retain(|_, digest| known.contains_key(digest));
    }

    /// Forgets a program that did not compile, unless another try has replaced it already.
    fn forget(&self, digest: &[u8; 32], failed: &Compiled) {
        let mut known = lock(&self.known);
        if known.get(digest).is_some_and(|current| Arc::ptr_eq(current, failed)) {
            known.remove(digest);
        }
    }

    /// The program of a component whose file has not changed since it was read, if that was compiled
    /// by now.
    ///
    /// # Errors
    ///
    /// Where the file has another component than the declared one.
    fn read_before(
        &self,
        guest: &GuestSpec,
    ) -> Option<Result<Result<Program, StatusError>, StatusError>> {
        let digest = *lock(&self.digests).get(&settled(guest)?)?;
        let program = lock(&self.known).get(&digest)?.get()?.clone();
        Some(check_digest(guest, Digest::from_bytes(digest)).map(|()| program))
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

/// The component's file with its fingerprint, if the next change of the file will change that.
fn settled(guest: &GuestSpec) -> Option<Read> {
    let fingerprint = Fingerprint::of(&guest.component).filter(Fingerprint::is_settled)?;
    Some((guest.component.clone(), fingerprint))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
