//! The two wasmtime engines, one a world: how guests are compiled, where their memory comes from,
//! and the clock that interrupts them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::p3;
use super::sandbox::Sandbox;
use super::world::World;

/// How often a guest that computes is looked at, and makes room for other requests on its worker.
const EPOCH_TICK: Duration = Duration::from_millis(2);

/// Sandboxes that may exist at once, over all versions.
const SLOTS: u32 = 1_024;
/// A component that tools link from parts has a few core modules, each with an instance and a table.
const CORE_INSTANCES_PER_SLOT: u32 = 8;
const TABLES_PER_SLOT: u32 = 4;
/// Sandboxes that may wait for their next request, over all versions: the other half of the pool
/// is always there for requests.
const IDLE: usize = 512;
/// The most that one linear memory can be asked to hold; versions set their own, lower limits.
const LARGEST_MEMORY: usize = 4 << 30;
/// What of a returned slot stays mapped, so that the next guest does not fault it in again. It
/// covers all that a small guest touches.
const RESIDENT_MEMORY: usize = 2 << 20;
const RESIDENT_TABLE: usize = 64 << 10;
const RESIDENT_STACK: usize = 64 << 10;

/// Why the engine cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot reserve address space for {SLOTS} sandboxes: {reason}. Raise the limits on address \
     space (`ulimit -v`) and on mappings (`sysctl vm.max_map_count`)"
)]
pub struct EngineError {
    reason: String,
}

/// Compiles components, links what the host offers them, and holds the pools that their sandboxes
/// come from. Cheap to clone: clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    p2: Host,
    p3: Host,
    slots: Arc<Semaphore>,
    idle: Arc<Semaphore>,
}

/// What runs the guests of one world.
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
    /// Reserves the pools and links the host's side of `wasi:http` and `wasi:cli`.
    ///
    /// # Errors
    ///
    /// Where the machine's limits do not allow the pools' address space.
    pub fn new() -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError { reason: format!("{error:#}") };
        let p2 = Host::new(World::P2).map_err(failed)?;
        let p3 = Host::new(World::P3).map_err(failed)?;
        let slots = Arc::new(Semaphore::new(SLOTS as usize));
        let idle = Arc::new(Semaphore::new(IDLE));
        Ok(Self { p2, p3, slots, idle })
    }

    /// What runs the guests of this world.
    pub(super) fn host(&self, world: World) -> &Host {
        match world {
            World::P2 => &self.p2,
            World::P3 => &self.p3,
        }
    }

    /// Moves the epoch on, for ever. Guests that compute are looked at only while this runs.
    pub async fn tick(&self) {
        let mut ticks = tokio::time::interval(EPOCH_TICK);
        loop {
            ticks.tick().await;
            self.p2.wasm.increment_epoch();
            self.p3.wasm.increment_epoch();
        }
    }

    /// Waits for room in the pool. `None` only while the process ends.
    pub async fn slot(&self) -> Option<Slot> {
        self.slots.clone().acquire_owned().await.ok().map(Slot)
    }

    /// Room in the pool, if there is some now.
    pub fn try_slot(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(Slot)
    }

    /// Room for one more idle sandbox, if there is some.
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

impl Host {
    fn new(world: World) -> wasmtime::Result<Self> {
        let wasm = wasmtime::Engine::new(&settings(world))?;
        let mut linker = Linker::new(&wasm);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        if world == World::P3 {
            p3::link(&mut linker)?;
        }
        Ok(Self { wasm, linker: Arc::new(linker) })
    }
}

fn settings(world: World) -> Config {
    let mut config = Config::new();
    let mut pool = pool();
    match world {
        // It never needs the component model's own concurrency, which costs time.
        World::P2 => {
            config.concurrency_support(false);
        }
        World::P3 => p3::enable(&mut config, &mut pool, SLOTS),
    }
    config
        .epoch_interruption(true)
        // The log names the trap, and functions at level debug: source lines would cost memory.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORE_INSTANCES_PER_SLOT)
        .total_memories(SLOTS)
        .total_tables(SLOTS * TABLES_PER_SLOT)
        .total_stacks(SLOTS)
        .max_memory_size(LARGEST_MEMORY)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        .async_stack_keep_resident(RESIDENT_STACK)
        .pagemap_scan(Enabled::Auto);
    pool
}
