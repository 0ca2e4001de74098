//! Keeps compiled components on disk, so that a restart need not compile them again.
//!
//! An artifact is native code: whoever can write one can run code as this user. So nobody else may
//! have access to the directory, and an artifact is used only if its digest is right, which also
//! finds torn writes. A wrong artifact is removed, and its component compiled again.
//!
//! Several processes may use one cache at once: a server, and commands. Each writes to a file name
//! of its own, and renames the complete file.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use wasmtime::component::Component;

use super::artifact::{Artifact, io_error, memory_file};
use super::engine::settings;
use super::world::World;

/// The most bytes of all artifacts together. The least recently used are removed first.
const CAPACITY: u64 = 1 << 30;
const EXTENSION: &str = "cwasm";
const DIGEST: usize = 32;

/// The compile cache cannot be used. Everything works without it, but slower.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("cannot use {path}: {reason}")]
    Unusable { path: PathBuf, reason: io::Error },
    #[error("{path} is open to others: make it private to this user with `chown` and `chmod 700`")]
    Open { path: PathBuf },
    #[error(
        "{path} is not this user's alone; whoever runs the server can fill its cache, \
         for example with `sudo -u USER watershed check`"
    )]
    NotOurs { path: PathBuf },
}

/// A directory of artifacts.
#[derive(Clone, Debug)]
pub struct CompileCache {
    directory: PathBuf,
    /// Whether the last artifact could not be written.
    failing: Arc<AtomicBool>,
}

impl CompileCache {
    /// Where the cache of a state directory is.
    pub fn directory(state: &Path) -> PathBuf {
        state.join("compiled")
    }

    /// The cache in `state/compiled`, made if it is missing.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made, or other users could write to it.
    pub fn open(state: &Path) -> Result<Self, CacheError> {
        let directory = Self::directory(state);
        let unusable = |reason| CacheError::Unusable { path: directory.clone(), reason };
        make(&directory).map_err(unusable)?;
        let found = fs::metadata(&directory).map_err(unusable)?;
        if !is_ours_alone(&found) {
            return Err(CacheError::Open { path: directory });
        }
        Ok(Self { directory, failing: Arc::default() })
    }

    /// As [`open`](Self::open), for a command beside a server that may run as another user. It
    /// makes the directory only where no other user could: root must neither make a directory that
    /// the server's user cannot use, nor run code that this user has written.
    ///
    /// # Errors
    ///
    /// As for [`CompileCache::open`], and where other users have access to the directory or to the
    /// one that it would be made in.
    pub fn open_beside(state: &Path) -> Result<Self, CacheError> {
        let directory = Self::directory(state);
        let found = directory.ancestors().find_map(|path| {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            fs::metadata(path).ok().map(|found| (path, found))
        });
        match found {
            Some((path, found)) if !is_ours_alone(&found) => {
                Err(CacheError::NotOurs { path: path.to_owned() })
            }
            _ => Self::open(state),
        }
    }

    /// The compiled component with this digest, if the cache has it complete.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &[u8; 32]) -> Option<Component> {
        let path = self.path(engine, digest);
        let mut file = File::open(&path).ok()?;
        match kept(&mut file, engine) {
            Ok(Some(component)) => {
                // Marks it as used. If that fails, it may be removed early.
                file.set_modified(SystemTime::now()).ok();
                Some(component)
            }
            Ok(None) => {
                tracing::warn!("{} is damaged: compiling again", path.display());
                fs::remove_file(&path).ok();
                None
            }
            // A lack of descriptors or memory says nothing about the file.
            Err(error) => {
                tracing::warn!("cannot read {}: {error}; compiling again", path.display());
                None
            }
        }
    }

    /// The file of the compiled component with this digest, if the cache has it complete for the engines
    /// of this program. Makes no engine with pools, so it is for commands too.
    pub fn holds(&self, digest: &[u8; 32]) -> Option<PathBuf> {
        self.places(digest).into_iter().find(|path| {
            let file = File::open(path);
            file.is_ok_and(|mut file| whole(&mut file).is_ok_and(|found| found.is_some()))
        })
    }

    /// Where the compiled component with this digest is or would be, for each engine of this program.
    pub fn places(&self, digest: &[u8; 32]) -> Vec<PathBuf> {
        let engines = [World::P2, World::P3].into_iter();
        let engines = engines.filter_map(|world| wasmtime::Engine::new(&settings(world)).ok());
        engines.map(|engine| self.path(&engine, digest)).collect()
    }

    /// Stores a compiled component. A failure is logged as a warning once, until storing succeeds
    /// again.
    pub(super) fn store(&self, engine: &wasmtime::Engine, digest: &[u8; 32], artifact: &Artifact) {
        let path = self.path(engine, digest);
        // The state directory may have been removed while the process runs.
        let made = make(&self.directory).and_then(|()| write(&path, artifact));
        let kept = made.and_then(|()| self.trim());
        let failed_before = self.failing.swap(kept.is_err(), Ordering::Relaxed);
        match kept {
            Err(error) if !failed_before => {
                tracing::warn!("cannot keep {}: {error}; going on without", path.display());
            }
            Err(error) => tracing::debug!("cannot keep {}: {error}", path.display()),
            Ok(()) => {}
        }
    }

    /// Another process may do the same at this moment, so a missing file is no error.
    fn trim(&self) -> io::Result<()> {
        let mut artifacts: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let Some(found) = unless_gone(entry.metadata())? else { continue };
            artifacts.push((found.modified()?, found.len(), entry.path()));
        }
        artifacts.sort_by(|one, other| other.cmp(one));
        let mut total = 0;
        for (_, length, path) in artifacts {
            total += length;
            if total > CAPACITY {
                unless_gone(fs::remove_file(path))?;
            }
        }
        Ok(())
    }

    /// An artifact is valid for one engine with its settings, and one kind of processor. Both are
    /// part of the name.
    fn path(&self, engine: &wasmtime::Engine, digest: &[u8; 32]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let component: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{component}-{:016x}.{EXTENSION}", hasher.finish()))
    }
}

/// Whether no other user can write there.
fn is_ours_alone(found: &fs::Metadata) -> bool {
    found.mode() & 0o022 == 0 && found.uid() == rustix::process::geteuid().as_raw()
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the directory, for this user only, unless it exists.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Writes to another name and renames, so that nobody reads half an artifact.
fn write(path: &Path, artifact: &Artifact) -> io::Result<()> {
    // Two processes in different containers may have the same id.
    let name = format!("{}-{:016x}.partial", std::process::id(), rand::random::<u64>());
    let partial = Partial(path.with_extension(name));
    let mut file = File::create_new(&partial.0)?;
    file.write_all(&artifact.digest()?)?;
    artifact.copy_to(&mut file)?;
    fs::rename(&partial.0, path)
}

/// A file that is being written. It is removed when dropped, unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Fails once the complete file has its final name.
        fs::remove_file(&self.0).ok();
    }
}

/// The component in a file of the cache, if the file is complete. An error of reading says nothing
/// about that.
fn kept(file: &mut File, engine: &wasmtime::Engine) -> io::Result<Option<Component>> {
    let Some(artifact) = whole(file)? else { return Ok(None) };
    match artifact.load(engine) {
        Ok(component) => Ok(Some(component)),
        Err(error) => match io_error(&error) {
            Some(error) => Err(io::Error::from(error.kind())),
            None => Ok(None),
        },
    }
}

/// The artifact in a file of the cache, if its digest is right. The digest and the mode of the
/// directory together show that [`write`] has written it.
fn whole(file: &mut File) -> io::Result<Option<Artifact>> {
    let mut digest = [0; DIGEST];
    match file.read_exact(&mut digest) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut code = memory_file()?;
    io::copy(file, &mut code)?;
    let artifact = Artifact::seal(code)?;
    Ok((artifact.digest()? == digest).then_some(artifact))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use super::*;

    fn artifact(bytes: &[u8]) -> Artifact {
        let mut file = memory_file().unwrap();
        file.write_all(bytes).unwrap();
        Artifact::seal(file).unwrap()
    }

    fn names(directory: &Path) -> Vec<PathBuf> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn whoever_writes_at_once_leaves_one_whole_artifact() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.cwasm");
        let texts: Vec<_> = (0..8_u8).map(|byte| vec![byte; 300_000]).collect();
        thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| {
                    for _ in 0..10 {
                        write(&path, &artifact(text)).unwrap();
                        let found = whole(&mut File::open(&path).unwrap()).unwrap();
                        assert!(found.is_some(), "half an artifact");
                    }
                });
            }
        });
        assert_eq!(names(directory.path()), [path]);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        // A directory of that name cannot be replaced by a file.
        let path = directory.path().join("x.cwasm");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, &artifact(b"code")).is_err());
        assert_eq!(names(directory.path()), [path]);
    }

    #[test]
    fn an_artifact_that_was_changed_is_not_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.cwasm");
        write(&path, &artifact(b"native code")).unwrap();
        let bytes = fs::read(&path).unwrap();
        for changed in [&bytes[..bytes.len() - 1], &bytes[..DIGEST], &bytes[..7], &[]] {
            fs::write(&path, changed).unwrap();
            assert!(whole(&mut File::open(&path).unwrap()).unwrap().is_none());
        }
        fs::write(&path, bytes).unwrap();
        assert!(whole(&mut File::open(&path).unwrap()).unwrap().is_some());
    }

    #[test]
    fn a_command_makes_the_directory_only_where_nobody_else_could() {
        let site = tempfile::tempdir().unwrap();
        let open = |mode, state: &Path| {
            fs::set_permissions(site.path(), fs::Permissions::from_mode(mode)).unwrap();
            CompileCache::open_beside(state)
        };
        let state = site.path().join("a/state");
        let refused = open(0o777, &state);
        assert!(matches!(refused, Err(CacheError::NotOurs { path }) if path == site.path()));
        assert!(names(site.path()).is_empty());
        assert!(open(0o755, &state).is_ok());
        // It is there now, whoever may write above it.
        assert!(open(0o777, &state).is_ok());
        let compiled = state.join("compiled");
        fs::set_permissions(&compiled, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(open(0o755, &state).is_err());
    }
}
