//! Where components are compiled: on threads that leave the cores to the requests, and that are
//! gone when nothing compiles, with the memory that the compiler took.

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The nice value of the threads.
const LOWEST_PRIORITY: i32 = 19;

/// Compiles a component. The caller waits.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    // One core is left to the requests, where there are two.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ThreadPoolBuilder::new()
        .num_threads(cores.saturating_sub(1).max(1))
        .thread_name(|number| format!("compiler {number}"))
        .build_scoped(run, |threads| threads.install(|| Component::from_binary(engine, bytes)))?
}

fn run(thread: ThreadBuilder) {
    // Without a pid it is this thread's, on Linux. If it fails, compiling takes its turn like the
    // rest.
    rustix::process::setpriority_process(None, LOWEST_PRIORITY).ok();
    thread.run();
}

/// Gives free memory back to the system. The allocator keeps what a compilation took until it is
/// busy again, which may be never: tens of MiB, and more with every component.
#[expect(unsafe_code, reason = "the allocator has no safe interface")]
pub(super) fn give_memory_back() {
    // SAFETY: it may be called by any thread at any time, and touches nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
