//! Compiled components on disk, so that a restart compiles nothing anew.
//!
//! An artifact is native code: whoever can write one runs code as us. So the directory must be ours
//! alone, and an artifact is used only if its own digest is right, which also finds torn writes.
//! Whatever is wrong with one, it is removed and the component compiled again.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::component::Component;

use super::artifact::{Artifact, memory_file};

/// Bytes of all artifacts together; those used longest ago go first.
const CAPACITY: u64 = 1 << 30;
const EXTENSION: &str = "cwasm";
const DIGEST: usize = 32;

/// The compile cache cannot be used; everything works without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("cannot use {path}: {reason}")]
    Unusable { path: PathBuf, reason: io::Error },
    #[error("{path} is open to others: make it ours alone with `chmod 700` and `chown`")]
    Open { path: PathBuf },
}

/// A directory of artifacts.
#[derive(Clone, Debug)]
pub struct CompileCache {
    directory: PathBuf,
}

impl CompileCache {
    /// The cache in `state/compiled`, made if it is missing.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made, or others than this user could write to it.
    pub fn open(state: &Path) -> Result<Self, CacheError> {
        let directory = state.join("compiled");
        let unusable = |reason| CacheError::Unusable { path: directory.clone(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(unusable)?;
        let found = fs::metadata(&directory).map_err(unusable)?;
        if found.mode() & 0o022 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Open { path: directory });
        }
        Ok(Self { directory })
    }

    /// The compiled form of the component with this digest, if it is here and whole.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &[u8; 32]) -> Option<Component> {
        let path = self.path(engine, digest);
        let mut file = File::open(&path).ok()?;
        let component = whole(&mut file).and_then(|artifact| artifact.load(engine).ok());
        match component {
            Some(component) => {
                // So that it counts as used; if that fails, it goes a little early.
                file.set_modified(SystemTime::now()).ok();
                Some(component)
            }
            None => {
                tracing::warn!("{} is damaged: compiling again", path.display());
                fs::remove_file(&path).ok();
                None
            }
        }
    }

    /// Keeps a compiled component. It is only a cache: if that fails, it is told and no more.
    pub(super) fn store(&self, engine: &wasmtime::Engine, digest: &[u8; 32], artifact: &Artifact) {
        let path = self.path(engine, digest);
        if let Err(error) = write(&path, artifact).and_then(|()| self.trim()) {
            tracing::warn!("cannot keep {}: {error}", path.display());
        }
    }

    fn trim(&self) -> io::Result<()> {
        let mut artifacts: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let found = entry.metadata()?;
            artifacts.push((found.modified()?, found.len(), entry.path()));
        }
        artifacts.sort_by(|one, other| other.cmp(one));
        let mut total = 0;
        for (_, length, path) in artifacts {
            total += length;
            if total > CAPACITY {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// An artifact is for one engine, settings and processor: they are part of its name.
    fn path(&self, engine: &wasmtime::Engine, digest: &[u8; 32]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let component: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{component}-{:016x}.{EXTENSION}", hasher.finish()))
    }
}

/// Writes beside the name and renames, so that nobody reads half an artifact.
fn write(path: &Path, artifact: &Artifact) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let mut file = File::create(&partial)?;
    file.write_all(&artifact.digest()?)?;
    artifact.copy_to(&mut file)?;
    fs::rename(&partial, path)
}

/// The artifact in a file of the cache, if its digest is right. That and the directory's mode say
/// that [`write`] has written it.
fn whole(file: &mut File) -> Option<Artifact> {
    let mut digest = [0; DIGEST];
    file.read_exact(&mut digest).ok()?;
    let mut code = memory_file().ok()?;
    io::copy(file, &mut code).ok()?;
    let artifact = Artifact::seal(code).ok()?;
    (artifact.digest().ok()? == digest).then_some(artifact)
}
