//! The two wasmtime engines, one for each world: how guests are compiled, and the pools that their
//! memory comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::compile::Compiler;
use super::p3;
use super::sandbox::{self, Sandbox};
use super::ticker::Ticker;
use super::world::World;

/// A component that tools link from parts has a few core modules, each with an instance and a table.
const CORE_INSTANCES_PER_SLOT: u32 = 8;
const TABLES_PER_SLOT: u32 = 4;
/// A guest of 0.3 that waits for several things at once may hold a stack for each.
const STACKS_PER_P3_SLOT: u32 = 2;
/// The most that one linear memory can be asked to hold; versions set their own, lower limits.
const LARGEST_MEMORY: usize = 4 << 30;
/// The most memory of a returned slot that stays mapped, so that the next guest does not fault it
/// in again. Enough for everything that a small guest touches.
const RESIDENT_MEMORY: usize = 2 << 20;
const RESIDENT_TABLE: usize = 64 << 10;
const RESIDENT_STACK: usize = 64 << 10;

/// Memory mappings that one sandbox takes at most, in the pools of both worlds: they stay when it
/// is gone.
const MAPPINGS_PER_SLOT: u32 = 12;
/// Mappings of the rest of the process: libraries, heaps, thread stacks, compiled code.
const MAPPINGS_OF_THE_REST: u32 = 2_000;
/// Where Linux says how many mappings a process may have.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// The size of the pool, and its expected use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Sandboxes that may exist at once, over all versions.
    pub sandboxes: u32,
    /// How many requests the configuration allows in flight. No more slots than this are kept warm.
    pub concurrency: u32,
    /// The most memory that the configuration allows a sandbox. No more of a slot than this is kept
    /// mapped.
    pub memory: usize,
}

impl PoolSize {
    /// Sandboxes that may wait for their next request, over all versions: the other half of the
    /// pool is always there for requests.
    fn idle(self) -> u32 {
        self.sandboxes / 2
    }
}

/// Why the pool cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "cannot reserve the address space of {sandboxes} sandboxes: {reason}. {}raise the \
         limit on address space (`ulimit -v`)", advice(*.fits)
    )]
    AddressSpace { sandboxes: u32, fits: u32, reason: String },
    #[error(
        "{sandboxes} sandboxes may need {} memory mappings, and this machine allows a process \
         {allowed}. {}raise it (`sysctl -w vm.max_map_count={}`)",
        mappings(*.sandboxes), advice(*.fits), mappings(*.sandboxes)
    )]
    Mappings { sandboxes: u32, fits: u32, allowed: u64 },
    #[error("cannot start the thread that interrupts guests: {0}")]
    Ticker(std::io::Error),
}

/// The first half of the advice: how many sandboxes fit, if any.
fn advice(fits: u32) -> String {
    match fits {
        0 => "There is not room for one: ".to_owned(),
        _ => format!("There is room for {fits}: set `sandboxes = {fits}` under `[server]`, or "),
    }
}

/// Compiles components, links the host's interfaces to them, and holds the pools of their
/// sandboxes. Cheap to clone: clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    p2: Host,
    p3: Host,
    compiler: Compiler,
    pub(super) ticker: Arc<Ticker>,
    slots: Arc<Semaphore>,
    idle: Arc<Semaphore>,
    served: Arc<AtomicBool>,
}

/// The engine of one world, with its linker and pool.
#[derive(Clone)]
pub(super) struct Host {
    pub wasm: wasmtime::Engine,
    pub linker: Arc<Linker<Sandbox>>,
}

/// The right to one sandbox of the pools, given back when dropped.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The right to keep one sandbox without a request, given back when dropped.
#[derive(Debug)]
pub(super) struct IdlePermit(
    #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit,
);

impl Engine {
    /// Reserves the pools and links the host's side of `wasi:http` and `wasi:cli`. It compiles in
    /// this process.
    ///
    /// # Errors
    ///
    /// Where the machine's limits do not allow the pools' address space.
    pub fn new(size: PoolSize) -> Result<Self, EngineError> {
        check_mappings(size)?;
        let [p2, p3] = hosts(size).map_err(|error| EngineError::AddressSpace {
            sandboxes: size.sandboxes,
            fits: largest(size.sandboxes, |sandboxes| {
                hosts(PoolSize { sandboxes, ..size }).is_ok()
            }),
            reason: format!("{error:#}"),
        })?;
        let ticker = Ticker::start(&[&p2.wasm, &p3.wasm]).map_err(EngineError::Ticker)?;
        let slots = Arc::new(Semaphore::new(size.sandboxes as usize));
        let idle = Arc::new(Semaphore::new(size.idle() as usize));
        let (compiler, served) = Default::default();
        Ok(Self { p2, p3, compiler, ticker, slots, idle, served })
    }

    /// The same engine, with its components compiled elsewhere.
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self { compiler, ..self }
    }

    /// Where its components are compiled.
    pub(super) fn compiler(&self) -> Compiler {
        self.compiler
    }

    /// Whether any guest has served a request. Until then, all cores may compile.
    pub fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Notes that a guest gets a request.
    pub(super) fn serves(&self) {
        // Written only when it changes, so that cores can share the cache line.
        if !self.has_served() {
            self.served.store(true, Ordering::Relaxed);
        }
    }

    /// What runs the guests of this world.
    pub(super) fn host(&self, world: World) -> &Host {
        match world {
            World::P2 => &self.p2,
            World::P3 => &self.p3,
        }
    }

    /// Waits for room in the pool. `None` only while the process ends.
    pub async fn slot(&self) -> Option<Slot> {
        self.slots.clone().acquire_owned().await.ok().map(Slot)
    }

    /// A slot in the pool, if one is free now.
    pub fn try_slot(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(Slot)
    }

    /// The right to keep one more idle sandbox, if there is room.
    pub(super) fn try_idle(&self) -> Option<IdlePermit> {
        self.idle.clone().try_acquire_owned().ok().map(IdlePermit)
    }

    /// Whether dropped sandboxes are reset by asking the kernel which pages they wrote
    /// (`PAGEMAP_SCAN`, Linux 6.7), which doubles the rate of fresh sandboxes.
    pub fn resets_by_page_map() -> bool {
        PoolingAllocationConfig::is_pagemap_scan_available()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("free_slots", &self.slots.available_permits()).finish()
    }
}

/// A host for each world.
fn hosts(size: PoolSize) -> wasmtime::Result<[Host; 2]> {
    Ok([Host::new(World::P2, size)?, Host::new(World::P3, size)?])
}

impl Host {
    fn new(world: World, size: PoolSize) -> wasmtime::Result<Self> {
        let mut config = settings(world);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(world, size)));
        let wasm = wasmtime::Engine::new(&config)?;
        let mut linker = Linker::new(&wasm);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        if world == World::P3 {
            p3::link(&mut linker)?;
        }
        sandbox::link_environment(&mut linker, world)?;
        Ok(Self { wasm, linker: Arc::new(linker) })
    }
}

/// The settings that affect compilation for a world. An engine can load what another engine with
/// these settings compiled, whatever its pools.
pub(super) fn settings(world: World) -> Config {
    let mut config = Config::new();
    match world {
        // Guests of this world never need the component model's concurrency, which costs time.
        World::P2 => {
            config.concurrency_support(false);
        }
        World::P3 => p3::enable(&mut config),
    }
    config
        .epoch_interruption(true)
        // The log names the trap, and functions at level debug: source lines would cost memory.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

fn pool(world: World, size: PoolSize) -> PoolingAllocationConfig {
    let PoolSize { sandboxes, concurrency, memory } = size;
    let stacks = match world {
        World::P2 => sandboxes,
        World::P3 => sandboxes * STACKS_PER_P3_SLOT,
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(sandboxes)
        .total_core_instances(sandboxes * CORE_INSTANCES_PER_SLOT)
        .total_memories(sandboxes)
        .total_tables(sandboxes * TABLES_PER_SLOT)
        .total_stacks(stacks)
        .max_unused_warm_slots(sandboxes.min(concurrency))
        .max_memory_size(LARGEST_MEMORY)
        .linear_memory_keep_resident(RESIDENT_MEMORY.min(memory))
        .table_keep_resident(RESIDENT_TABLE)
        .async_stack_keep_resident(RESIDENT_STACK)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Checks that the process may have all the mappings that the pool can need.
fn check_mappings(size: PoolSize) -> Result<(), EngineError> {
    let allowed = std::fs::read_to_string(MAX_MAP_COUNT).ok();
    // If the limit cannot be read, it is taken for none.
    let Some(allowed) = allowed.and_then(|text| text.trim().parse::<u64>().ok()) else {
        return Ok(());
    };
    let fit = |sandboxes| u64::from(mappings(sandboxes)) <= allowed;
    if fit(size.sandboxes) {
        return Ok(());
    }
    let (sandboxes, fits) = (size.sandboxes, largest(size.sandboxes, fit));
    Err(EngineError::Mappings { sandboxes, fits, allowed })
}

fn mappings(sandboxes: u32) -> u32 {
    MAPPINGS_OF_THE_REST + sandboxes * MAPPINGS_PER_SLOT
}

/// The largest number below `too_many` that fits, or 0. Every number below one that fits must fit
/// too.
fn largest(too_many: u32, fits: impl Fn(u32) -> bool) -> u32 {
    let (mut fit, mut unfit) = (0, too_many);
    while unfit - fit > 1 {
        let middle = fit + (unfit - fit) / 2;
        match fits(middle) {
            true => fit = middle,
            false => unfit = middle,
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    const SMALL: PoolSize = PoolSize { sandboxes: 4, concurrency: 4, memory: 1 << 20 };

    #[test]
    fn the_largest_pool_that_fits_is_found() {
        for limit in [0, 1, 2, 14, 999, 1_023] {
            assert_eq!(largest(1_024, |sandboxes| sandboxes <= limit), limit);
        }
    }

    #[test]
    fn an_error_names_the_setting_that_would_do() {
        let error = EngineError::AddressSpace { sandboxes: 9, fits: 3, reason: "no".to_owned() };
        assert!(error.to_string().contains("set `sandboxes = 3` under `[server]`"), "{error}");
        let error = EngineError::Mappings { sandboxes: 9, fits: 0, allowed: 10 };
        assert!(error.to_string().contains("There is not room for one: raise it"), "{error}");
    }

    #[test]
    fn what_is_compiled_without_pools_is_for_the_engine_that_has_them() {
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let engine = Engine::new(SMALL).unwrap();
        let hashes = [World::P2, World::P3].map(|world| {
            let compiler = wasmtime::Engine::new(&settings(world)).unwrap();
            assert_eq!(hash(&compiler), hash(&engine.host(world).wasm), "{world:?}");
            hash(&compiler)
        });
        assert_ne!(hashes[0], hashes[1]);
    }

    #[test]
    fn there_is_a_slot_for_each_sandbox_and_no_more() {
        let engine = Engine::new(SMALL).unwrap();
        let slots: Vec<_> = std::iter::from_fn(|| engine.try_slot()).collect();
        assert_eq!(slots.len(), 4);
        let idle: Vec<_> = std::iter::from_fn(|| engine.try_idle()).collect();
        assert_eq!(idle.len(), 2);
    }
}
