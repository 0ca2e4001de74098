//! From bytes to something that can serve: recognised, compiled, linked, tried out.

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::cache::CompileCache;
use super::engine::Engine;
use super::sandbox::Sandbox;

/// The first bytes of a binary: the magic number, then the version and layer.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE_MAGIC: &[u8] = b"\0asm\x01\0\0\0";
/// What a component must export, in any 0.2 version.
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
/// What the host offers to every guest, in any 0.2 version.
const OFFERED: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why bytes cannot become a program. Each message is a detail to show to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    #[error("{0}")]
    NotAComponent(&'static str),
    #[error("it exports {exports}, and not wasi:http/incoming-handler@0.2")]
    UnsupportedWorld { exports: String },
    #[error("it imports {imports}, which nothing here offers")]
    ImportDenied { imports: String },
    #[error("{0}")]
    CompileFailed(String),
    #[error("it needs more than {memory} bytes of memory to start")]
    MemoryTooSmall { memory: usize },
    #[error("it does not start: {0}")]
    StartFailed(String),
}

/// A compiled and linked component, shared by every version that names the same bytes.
/// Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(super) engine: Engine,
    pub(super) pre: ProxyPre<Sandbox>,
    digest: [u8; 32],
}

/// The SHA-256 digest by which components are known.
pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Program {
    /// Compiles and links a component, or takes it out of the cache. This takes from milliseconds
    /// to seconds of CPU time, so it is for a blocking thread. `digest` is [`digest_of`] `bytes`.
    ///
    /// # Errors
    ///
    /// Where the bytes are not a component, do not export `wasi:http/incoming-handler@0.2`,
    /// import what the host does not offer, or do not compile.
    pub fn compile(
        engine: &Engine,
        cache: Option<&CompileCache>,
        digest: [u8; 32],
        bytes: &[u8],
    ) -> Result<Self, ProgramError> {
        recognise(bytes)?;
        let component = match cache.and_then(|cache| cache.load(&engine.p2.wasm, &digest)) {
            Some(component) => component,
            None => compile(engine, cache, &digest, bytes)?,
        };
        check_exports(engine, &component)?;
        let pre = engine.p2.linker.instantiate_pre(&component).and_then(ProxyPre::new).map_err(
            |error| ProgramError::ImportDenied {
                imports: denied_imports(engine, &component).unwrap_or_else(|| format!("{error:#}")),
            },
        )?;
        Ok(Self { engine: engine.clone(), pre, digest })
    }

    /// The SHA-256 digest of the component's bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

fn compile(
    engine: &Engine,
    cache: Option<&CompileCache>,
    digest: &[u8; 32],
    bytes: &[u8],
) -> Result<Component, ProgramError> {
    let component = engine
        .compile(|| Component::from_binary(&engine.p2.wasm, bytes))
        .map_err(|error| ProgramError::CompileFailed(format!("{error:#}")))?;
    if let Some(cache) = cache {
        cache.store(&engine.p2.wasm, digest, &component);
    }
    Ok(component)
}

fn recognise(bytes: &[u8]) -> Result<(), ProgramError> {
    if bytes.starts_with(COMPONENT_MAGIC) {
        Ok(())
    } else if bytes.starts_with(MODULE_MAGIC) {
        Err(ProgramError::NotAComponent("it is a core module, not a component"))
    } else if bytes.is_empty() {
        Err(ProgramError::NotAComponent("the file is empty"))
    } else {
        Err(ProgramError::NotAComponent("it is not a WebAssembly binary"))
    }
}

fn check_exports(engine: &Engine, component: &Component) -> Result<(), ProgramError> {
    let ty = component.component_type();
    let names: Vec<_> = ty.exports(&engine.p2.wasm).map(|(name, _)| name).collect();
    if names.iter().any(|name| name.starts_with(HANDLER)) {
        return Ok(());
    }
    let exports = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Err(ProgramError::UnsupportedWorld { exports })
}

/// The imports outside of what the host offers, if that is why linking failed.
fn denied_imports(engine: &Engine, component: &Component) -> Option<String> {
    let ty = component.component_type();
    let denied: Vec<_> = ty
        .imports(&engine.p2.wasm)
        .map(|(name, _)| name)
        .filter(|name| !is_offered(name))
        .collect();
    (!denied.is_empty()).then(|| denied.join(", "))
}

fn is_offered(import: &str) -> bool {
    import.contains("@0.2.") && OFFERED.iter().any(|offered| import.starts_with(offered))
}
