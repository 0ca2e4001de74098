//! Compiled native code in sealed memory, on its way from a compiler or the cache into an engine.
//!
//! It is an anonymous file: files pass between processes without a copy, and a mapped file takes
//! memory only where it is used.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// How many bytes are read at a time.
const CHUNK: usize = 64 << 10;

/// The operating system's error that caused an error of wasmtime, if any.
pub(super) fn io_error(error: &wasmtime::Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// A new anonymous file, open for writing.
pub(super) fn memory_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(memfd_create("watershed", flags)?))
}

/// A compiled component, for an engine of the same settings, version and processor.
#[derive(Debug)]
pub(super) struct Artifact(File);

impl Artifact {
    /// Seals a memory file. Its content must come from wasmtime's compiler: in this process, in a
    /// child of it, or in an earlier process.
    pub fn seal(file: File) -> io::Result<Self> {
        fcntl_add_seals(
            &file,
            SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        )?;
        Ok(Self(file))
    }

    /// The SHA-256 digest of its bytes.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut position = 0;
        loop {
            let read = self.0.read_at(&mut chunk, position)?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(hasher.finalize().into());
            };
            hasher.update(bytes);
            position += bytes.len() as u64;
        }
    }

    /// Writes its bytes to a file.
    pub fn copy_to(&self, file: &mut File) -> io::Result<()> {
        let mut bytes = &self.0;
        bytes.rewind()?;
        io::copy(&mut bytes, file)?;
        file.flush()
    }

    /// Maps it. wasmtime refuses what was compiled by another version, with other settings or for
    /// another processor.
    #[expect(unsafe_code, reason = "the only way to load what was compiled before")]
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        // SAFETY: these bytes are what wasmtime has compiled: see `seal`, and its callers, which
        // know where the bytes are from. They do not change while they are mapped, because the file
        // is sealed.
        unsafe { Component::deserialize_file(engine, path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::digest_of;

    #[test]
    fn what_is_sealed_is_whole_and_cannot_be_changed() {
        let bytes = vec![7; 3 * CHUNK + 1];
        let mut file = memory_file().unwrap();
        file.write_all(&bytes).unwrap();
        let mut writer = file.try_clone().unwrap();
        let artifact = Artifact::seal(file).unwrap();
        assert_eq!(artifact.digest().unwrap(), digest_of(&bytes));
        let changed =
            [writer.write_all(b"more"), writer.write_all_at(b"other", 0), writer.set_len(0)];
        assert!(changed.iter().all(Result::is_err), "{changed:?}");
        assert_eq!(artifact.digest().unwrap(), digest_of(&bytes));
    }
}
