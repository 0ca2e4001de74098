//! Compiled components on disk, so that a restart compiles nothing anew.
//!
//! An artifact is native code: whoever can write one runs code as us. So the directory must be ours
//! alone, and an artifact is used only if its own digest is right, which also finds torn writes.
//! Whatever is wrong with one, it is removed and the component compiled again.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::component::Component;

use super::program::digest_of;

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
        let artifact = fs::read(&path).ok()?;
        let component = checked(&artifact).and_then(|code| deserialize(engine, code));
        match component {
            Some(component) => {
                // So that it counts as used; if that fails, it goes a little early.
                File::open(&path).and_then(|file| file.set_modified(SystemTime::now())).ok();
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
    pub(super) fn store(&self, engine: &wasmtime::Engine, digest: &[u8; 32], compiled: &Component) {
        let path = self.path(engine, digest);
        let stored = compiled
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&path, &code))
            .and_then(|()| self.trim());
        if let Err(error) = stored {
            tracing::warn!("cannot keep {}: {error}", path.display());
        }
    }

    /// Writes beside the name and renames, so that nobody reads half an artifact.
    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let mut file = File::create(&partial)?;
        file.write_all(&digest_of(code))?;
        file.write_all(code)?;
        fs::rename(&partial, path)
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

/// The code of an artifact whose digest is right.
fn checked(artifact: &[u8]) -> Option<&[u8]> {
    let (digest, code) = artifact.split_at_checked(DIGEST)?;
    (digest == digest_of(code)).then_some(code)
}

#[expect(unsafe_code, reason = "the only way to load what was compiled before")]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: these bytes are the output of `Component::serialize`. They come from a file in a
    // directory that only this user can write to, and match the digest written with them; wasmtime
    // itself refuses those of another version, configuration or processor.
    unsafe { Component::deserialize(engine, code) }.ok()
}
