//! Compiles components: for a server in a separate process, for commands in this one.
//!
//! A compiler takes hundreds of MB. While it changes memory mappings, every other thread of the
//! process that does so waits, and every sandbox does. So a server compiles in a child.

use std::error::Error as _;
use std::io::{self, Write};

use super::artifact::{Artifact, memory_file};
use super::child::Compilation;
use super::engine::Engine;
use super::memory::give_back_all;
use super::program::ProgramError;
use super::world::World;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use rustix::io::Errno;

/// The nice value of compilers.
const LOWEST_PRIORITY: i32 = 19;

/// Where an engine's components are compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process.
    #[default]
    Here,
    /// In a child of this process, which must be the program `watershed`.
    Child,
}

impl Compiler {
    /// Compiles a component, and drops its bytes as soon as they are not needed. Blocks until it is
    /// done.
    pub(super) fn compile(
        self,
        engine: &Engine,
        world: World,
        component: Vec<u8>,
    ) -> Result<Artifact, ProgramError> {
        let cores = cores(engine.has_served());
        match self {
            Self::Here => compile_here(&engine.host(world).wasm, cores, component),
            Self::Child => match Compilation::start(world, cores, &component) {
                Ok(compilation) => {
                    drop(component);
                    // Tens of MiB, and more with every component.
                    give_back_all();
                    compilation.finish(|| engine.has_served())
                }
                // Compiling needs a descriptor in this process too.
                Err(reason) if is_out_of_descriptors(&reason) => {
                    Err(ProgramError::of_compiler("cannot be started", &reason))
                }
                Err(reason) => {
                    tracing::warn!("cannot start a compiler, so the server compiles: {reason}");
                    compile_here(&engine.host(world).wasm, cores, component)
                }
            },
        }
    }
}

/// How many cores may compile: all of them, or all but one while requests are served.
fn cores(serving: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(usize::from(serving)).max(1)
}

fn compile_here(
    engine: &wasmtime::Engine,
    cores: usize,
    component: Vec<u8>,
) -> Result<Artifact, ProgramError> {
    let code = native_code(engine, cores, &component)?;
    drop(component);
    let artifact = memory_file().and_then(|mut file| {
        file.write_all(&code)?;
        Artifact::seal(file)
    });
    drop(code);
    // Tens of MiB, and more with every component.
    give_back_all();
    artifact.map_err(|reason| ProgramError::of_compiler("has no memory", &reason))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Compiles a component on this many threads of low priority, which end with the compilation.
pub(super) fn native_code(
    engine: &wasmtime::Engine,
    cores: usize,
    component: &[u8],
) -> Result<Vec<u8>, ProgramError> {
    let compiled = ThreadPoolBuilder::new()
        .num_threads(cores.max(1))
        .thread_name(|number| format!("compiler {number}"))
        .build_scoped(run, |threads| threads.install(|| engine.precompile_component(component)))
        .map_err(|reason| match reason.source().and_then(|it| it.downcast_ref()) {
            Some(error) => ProgramError::of_compiler("has no threads", error),
            None => ProgramError::CompilerStopped(format!("has no threads: {reason}")),
        })?;
    compiled.map_err(|error| ProgramError::CompileFailed(format!("{error:#}")))
}

fn run(thread: ThreadBuilder) {
    lower_priority();
    thread.run();
}

/// Lowers the priority of this thread and of the threads that it starts.
pub(super) fn lower_priority() {
    // On Linux, this sets the priority of the calling thread only. If it fails, compiling has
    // normal priority.
    rustix::process::setpriority_process(None, LOWEST_PRIORITY).ok();
}
