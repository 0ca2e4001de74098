//! From bytes to something that can serve: recognised, compiled, linked, tried out.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

use super::cache::CompileCache;
use super::engine::{Engine, Host};
use super::sandbox::Sandbox;
use super::world::{World, exports};

/// The first bytes of a binary: the magic number, then the version and layer.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE_MAGIC: &[u8] = b"\0asm\x01\0\0\0";
/// Why bytes cannot become a program. Each message is a detail to show to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    #[error("{0}")]
    NotAComponent(&'static str),
    #[error(
        "it exports {exports}, and neither wasi:http/incoming-handler@0.2 nor wasi:http/handler@0.3"
    )]
    UnsupportedWorld { exports: String },
    #[error("it imports {imports}, which nothing here offers")]
    ImportDenied { imports: String },
    #[error("{0}")]
    CompileFailed(String),
    /// Nothing is said of the component: it may compile the next time.
    #[error("the compiler {0}")]
    CompilerStopped(String),
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
    pub(super) pre: Arc<ProxyPre<Sandbox>>,
    world: World,
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
    /// Where the bytes are not a component, export no handler of `wasi:http`, import what the host
    /// does not offer, or do not compile.
    pub fn compile(
        engine: &Engine,
        cache: Option<&CompileCache>,
        digest: [u8; 32],
        bytes: Vec<u8>,
    ) -> Result<Self, ProgramError> {
        recognise(&bytes)?;
        let world = world_of(&bytes)?;
        let host = engine.host(world);
        let component = match cache.and_then(|cache| cache.load(&host.wasm, &digest)) {
            Some(component) => component,
            None => compile_and_keep(engine, world, cache, &digest, bytes)?,
        };
        let pre = link(host, world, &component).map_err(|error| ProgramError::ImportDenied {
            imports: denied_imports(host, world, &component)
                .unwrap_or_else(|| format!("{error:#}")),
        })?;
        Ok(Self { engine: engine.clone(), world, pre, digest })
    }

    /// What its sandboxes are made by.
    pub(super) fn host(&self) -> &Host {
        self.engine.host(self.world)
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

fn compile_and_keep(
    engine: &Engine,
    world: World,
    cache: Option<&CompileCache>,
    digest: &[u8; 32],
    bytes: Vec<u8>,
) -> Result<Component, ProgramError> {
    let wasm = &engine.host(world).wasm;
    let artifact = engine.compiler().compile(wasm, world, bytes)?;
    let component = artifact.load(wasm).map_err(|error| {
        ProgramError::CompilerStopped(format!("made what cannot be loaded: {error:#}"))
    })?;
    if let Some(cache) = cache {
        cache.store(wasm, digest, &artifact);
    }
    Ok(component)
}

fn link(
    host: &Host,
    world: World,
    component: &Component,
) -> wasmtime::Result<Arc<ProxyPre<Sandbox>>> {
    let pre = host.linker.instantiate_pre(component)?;
    Ok(Arc::new(match world {
        World::P2 => ProxyPre::P2(p2::bindings::ProxyPre::new(pre)?),
        World::P3 => ProxyPre::P3(p3::bindings::ServicePre::new(pre)?),
    }))
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

/// Bytes that are damaged have no world; what knows more features says better what is wrong.
fn world_of(bytes: &[u8]) -> Result<World, ProgramError> {
    let Some(exports) = exports(bytes) else { return Ok(World::P3) };
    World::of(&exports).ok_or_else(|| ProgramError::UnsupportedWorld {
        exports: if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") },
    })
}

/// The imports outside of what the host offers, if that is why linking failed.
fn denied_imports(host: &Host, world: World, component: &Component) -> Option<String> {
    let ty = component.component_type();
    let names = ty.imports(&host.wasm).map(|(name, _)| name);
    let denied: Vec<_> = names.filter(|name| !world.offers(name)).collect();
    (!denied.is_empty()).then(|| denied.join(", "))
}
