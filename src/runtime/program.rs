//! Turns the bytes of a component into a program: checks its world, compiles and links it.

use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

use super::artifact::io_error;
use super::cache::CompileCache;
use super::engine::{Engine, Host};
use super::sandbox::Sandbox;
use super::world::{World, exports, is_draft, is_handler, is_of_wasi_1};
use crate::transient::{advice, is_transient};

/// The first bytes of a binary: the magic number, then the version and layer.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE_MAGIC: &[u8] = b"\0asm\x01\0\0\0";

/// Why a component cannot become a program. Each message is shown to the operator as a detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    #[error("{0}")]
    NotAComponent(&'static str),
    #[error("it is a core module for WASI 0.1, not a component: it imports wasi_snapshot_preview1")]
    Wasi1,
    #[error(
        "it exports {exports}, and neither wasi:http/incoming-handler@0.2 nor wasi:http/handler@0.3"
    )]
    UnsupportedWorld { exports: String },
    #[error("it is built for a release candidate of WASI: it {how}")]
    ReleaseCandidate { how: String },
    #[error("it imports {imports}, which the host does not offer")]
    ImportDenied { imports: String },
    /// It passes requests on to another component, which must be composed with it.
    #[error(
        "it imports a handler, {handler}: it must be composed first with a component that exports one"
    )]
    ImportsHandler { handler: String },
    /// The host has an interface that it imports, in another form.
    #[error("its imports do not match what the host offers: {0}")]
    NotLinked(String),
    #[error("{0}")]
    CompileFailed(String),
    /// The error says nothing about the component, which may compile the next time.
    #[error("the compiler {0}")]
    CompilerStopped(String),
    /// A transient error of the compiler, with advice.
    #[error("the compiler {how}")]
    CompilerHeldUp { how: String, advice: &'static str },
    #[error("it needs more than {memory} bytes of memory to start")]
    MemoryTooSmall { memory: usize },
    #[error("it does not start: {0}")]
    StartFailed(String),
}

impl ProgramError {
    /// The error of a compiler that failed because of an error of the operating system.
    pub(super) fn of_compiler(how: &str, error: &io::Error) -> Self {
        let how = format!("{how}: {error}");
        match is_transient(error) {
            true => Self::CompilerHeldUp { how, advice: advice(error) },
            false => Self::CompilerStopped(how),
        }
    }
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
    /// Compiles and links a component, or takes it from the cache. Takes milliseconds to seconds of
    /// CPU time, so call it on a blocking thread. `digest` must be [`digest_of`] `bytes`.
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
        let pre = link(host, world, &component)
            .map_err(|error| why_not_linked(host, world, &component, &error))?;
        Ok(Self { engine: engine.clone(), world, pre, digest })
    }

    /// Takes a component from the cache alone, by its digest: its bytes are not needed. `None` where the
    /// cache does not have it for this engine, or it does not link any more. Reads a file of some MiB, so
    /// call it on a blocking thread.
    pub fn cached(engine: &Engine, cache: &CompileCache, digest: [u8; 32]) -> Option<Self> {
        [World::P2, World::P3].into_iter().find_map(|world| {
            let host = engine.host(world);
            let component = cache.load(&host.wasm, &digest)?;
            let ty = component.component_type();
            let exports: Vec<_> = ty.exports(&host.wasm).map(|(name, _)| name).collect();
            World::of(&exports).filter(|made_for| *made_for == world)?;
            let pre = link(host, world, &component).ok()?;
            Some(Self { engine: engine.clone(), world, pre, digest })
        })
    }

    /// The engine that makes its sandboxes.
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
    let artifact = engine.compiler().compile(engine, world, bytes)?;
    let component = artifact.load(wasm).map_err(|error| match io_error(&error) {
        Some(error) => ProgramError::of_compiler("made what cannot be loaded", error),
        None => ProgramError::CompilerStopped(format!("made what cannot be loaded: {error:#}")),
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
        Err(match is_of_wasi_1(bytes) {
            true => ProgramError::Wasi1,
            false => ProgramError::NotAComponent("it is a core module, not a component"),
        })
    } else if bytes.is_empty() {
        Err(ProgramError::NotAComponent("the file is empty"))
    } else if bytes.trim_ascii_start().starts_with(b"(") {
        let why = "it is WebAssembly as text, of which `wasm-tools parse` makes a binary";
        Err(ProgramError::NotAComponent(why))
    } else {
        Err(ProgramError::NotAComponent("it is not a WebAssembly binary"))
    }
}

/// The world of a component, by its exports. Damaged bytes count as `P3`: that engine knows more
/// features, so its error is more exact.
fn world_of(bytes: &[u8]) -> Result<World, ProgramError> {
    let Some(exports) = exports(bytes) else { return Ok(World::P3) };
    World::of(&exports).ok_or_else(|| {
        let draft = exports.iter().find(|name| is_handler(name) && is_draft(name));
        match draft {
            Some(draft) => ProgramError::ReleaseCandidate { how: format!("exports {draft}") },
            None if exports.is_empty() => unsupported("nothing".to_owned()),
            None => unsupported(exports.join(", ")),
        }
    })
}

fn unsupported(exports: String) -> ProgramError {
    ProgramError::UnsupportedWorld { exports }
}

/// The error of a component that does not link: the imports that the host does not offer or, if
/// there are none, wasmtime's message.
fn why_not_linked(
    host: &Host,
    world: World,
    component: &Component,
    error: &wasmtime::Error,
) -> ProgramError {
    let ty = component.component_type();
    let names = ty.imports(&host.wasm).map(|(name, _)| name);
    let denied: Vec<_> = names.filter(|name| !world.offers(name)).collect();
    if let Some(draft) = denied.iter().find(|name| is_draft(name)) {
        ProgramError::ReleaseCandidate { how: format!("imports {draft}") }
    } else if let Some(handler) = denied.iter().find(|name| is_handler(name)) {
        ProgramError::ImportsHandler { handler: (*handler).to_owned() }
    } else if denied.is_empty() {
        ProgramError::NotLinked(format!("{error:#}"))
    } else {
        ProgramError::ImportDenied { imports: denied.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::PoolSize;

    /// A component that imports an instance with one function, and exports an empty one.
    fn component(import: &str, export: &str) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let name = |name: &str| [&[0, length(name.as_bytes())], name.as_bytes()].concat();
        let section = |id: u8, body: Vec<u8>| [vec![id, length(&body)], body].concat();
        // An instance type of two declarations: a type, of functions without parameters and
        // results, and an export of that type.
        let function = [0x01, 0x40, 0x00, 0x01, 0x00];
        let types = [&[1, 0x42, 2][..], &function, &[0x04], &name("handle"), &[0x01, 0]].concat();
        let imports = [&[1][..], &name(import), &[0x05, 0]].concat();
        let instances = vec![1, 0x01, 0];
        let exports = [&[1][..], &name(export), &[0x05, 1, 0]].concat();
        let imported = [section(7, types), section(10, imports)].concat();
        let exported = [section(5, instances), section(11, exports)].concat();
        [COMPONENT_MAGIC.to_vec(), imported, exported].concat()
    }

    fn compile(import: &str, export: &str) -> ProgramError {
        let engine = Engine::new(PoolSize { sandboxes: 1, concurrency: 1, memory: 0 }).unwrap();
        let bytes = component(import, export);
        Program::compile(&engine, None, digest_of(&bytes), bytes).unwrap_err()
    }

    #[test]
    fn a_component_that_passes_requests_on_is_to_be_composed() {
        for handler in ["wasi:http/incoming-handler@0.2.6", "wasi:http/handler@0.3.0"] {
            let error = compile(handler, handler);
            assert_eq!(error, ProgramError::ImportsHandler { handler: handler.to_owned() });
        }
    }

    #[test]
    fn a_release_candidate_is_told_by_what_it_exports_or_imports() {
        let draft = "wasi:http/handler@0.3.0-rc-2026-03-15";
        for (import, export, how) in [
            ("wasi:cli/run@0.2.0", draft, format!("exports {draft}")),
            (draft, "wasi:http/handler@0.3.0", format!("imports {draft}")),
        ] {
            assert_eq!(compile(import, export), ProgramError::ReleaseCandidate { how });
        }
    }

    #[test]
    fn what_nobody_offers_is_named_and_what_does_not_fit_is_explained() {
        let handler = "wasi:http/incoming-handler@0.2.0";
        let imports = "acme:shop/cart@1.0.0".to_owned();
        assert_eq!(compile(&imports, handler), ProgramError::ImportDenied { imports });
        let error = compile("wasi:http/types@0.2.0", handler);
        assert!(matches!(error, ProgramError::NotLinked(_)), "{error:?}");
    }
}
