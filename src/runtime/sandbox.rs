//! The contents of one sandbox: the guest's memory limit and its grant, and nothing of the host.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{ResourceLimiter, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::guest_env::GuestEnv;
use super::guest_log::{GuestLog, LogBudget, Stream};
use super::outbound::{Hooks, Outbound};
use super::usage::Usage;
use super::world::World;

/// The interfaces as `wasmtime_wasi` names them. Components find them under any 0.2 or 0.3 version.
const ENVIRONMENT_P2: &str = "wasi:cli/environment@0.2.12";
const ENVIRONMENT_P3: &str = "wasi:cli/environment@0.3.0";
/// The memory of one table element on the host, in bytes.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// Everything that a guest of one version may see and use. It has no file system and no sockets; its
/// calls over HTTP go through `outbound`. Its standard output becomes log lines.
#[derive(Debug)]
pub struct Grant {
    /// The service and version of the guest, for its log lines.
    pub service: Arc<str>,
    pub version: Arc<str>,
    /// All environment variables of the guest.
    pub env: GuestEnv,
    /// The most bytes of all linear memories and tables of an instance together.
    pub memory: usize,
    /// The most CPU time of guest code for one request.
    pub cpu_time: Duration,
    /// The most time until the response head.
    pub wall_time: Duration,
    /// The most time between two parts of the response body; `None`: for ever.
    pub idle_time: Option<Duration>,
    /// How many requests a sandbox may serve in succession. 1 means a fresh sandbox for each
    /// request.
    pub reuse: NonZeroU32,
    /// What its calls go through; `None`: it may make none.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// Where its guests count what they use.
    pub usage: Usage,
    pub(super) log: Arc<LogBudget>,
}

impl Grant {
    /// A grant with these limits and no environment.
    pub fn new(
        service: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        memory: usize,
        cpu_time: Duration,
        wall_time: Duration,
    ) -> Self {
        Self {
            service: service.into(),
            version: version.into(),
            env: GuestEnv::default(),
            memory,
            cpu_time,
            wall_time,
            idle_time: Some(wall_time),
            reuse: NonZeroU32::MIN,
            outbound: None,
            usage: Usage::default(),
            log: Arc::default(),
        }
    }

    /// This grant with an environment.
    #[must_use]
    pub fn with_env(mut self, env: impl Into<GuestEnv>) -> Self {
        self.env = env.into();
        self
    }

    /// This grant with calls that go through `outbound`.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Option<Arc<dyn Outbound>>) -> Self {
        self.outbound = outbound;
        self
    }

    /// This grant with another time between two parts of a response body than `wall_time`.
    #[must_use]
    pub fn with_idle_time(mut self, idle_time: Option<Duration>) -> Self {
        self.idle_time = idle_time;
        self
    }

    /// This grant with sandboxes that serve this many requests.
    #[must_use]
    pub fn with_reuse(mut self, reuse: NonZeroU32) -> Self {
        self.reuse = reuse;
        self
    }
}

/// The data of a guest's store.
pub(super) struct Sandbox {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub hooks: Hooks,
    env: GuestEnv,
    pub memory: MemoryBudget,
}

impl Sandbox {
    pub fn new(grant: &Grant, log: &GuestLog) -> Self {
        let wasi = WasiCtxBuilder::new()
            .stdout(log.stream(Stream::Stdout))
            .stderr(log.stream(Stream::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self {
            table: ResourceTable::new(),
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks::new(grant.outbound.clone()),
            env: grant.env.clone(),
            memory: MemoryBudget::new(grant.memory, grant.usage.memory.clone()),
        }
    }
}

/// Gives guests the environment of their version, without a copy in every sandbox.
pub(super) fn link_environment(linker: &mut Linker<Sandbox>, world: World) -> wasmtime::Result<()> {
    let interfaces: &[&str] = match world {
        World::P2 => &[ENVIRONMENT_P2],
        World::P3 => &[ENVIRONMENT_P2, ENVIRONMENT_P3],
    };
    linker.allow_shadowing(true);
    for interface in interfaces {
        linker
            .instance(interface)?
            .func_wrap("get-environment", |store: StoreContextMut<'_, Sandbox>, (): ()| {
                Ok((store.data().env.reveal(),))
            })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Limits all memories and tables of an instance together.
///
/// Growth past the limit is refused without a trap, so a guest that checks the result can go on.
pub(super) struct MemoryBudget {
    limit: usize,
    used: usize,
    /// What all sandboxes of the version use.
    total: Arc<AtomicU64>,
    /// Whether growth was ever refused. Then a trap is reported as a lack of memory.
    pub denied: bool,
}

impl MemoryBudget {
    fn new(limit: usize, total: Arc<AtomicU64>) -> Self {
        Self { limit, used: 0, total, denied: false }
    }

    fn grow(&mut self, by: usize) -> bool {
        match self.used.checked_add(by).filter(|used| *used <= self.limit) {
            Some(used) => {
                self.used = used;
                self.total.fetch_add(bytes(by), Ordering::Relaxed);
                true
            }
            None => {
                self.denied = true;
                false
            }
        }
    }
}

impl Drop for MemoryBudget {
    fn drop(&mut self) {
        self.total.fetch_sub(bytes(self.used), Ordering::Relaxed);
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_budget() {
        let total = Arc::<AtomicU64>::default();
        let mut budget = MemoryBudget::new(200, total.clone());
        assert!(budget.memory_growing(0, 100, None).unwrap());
        assert!(budget.memory_growing(0, 60, None).unwrap());
        assert!(budget.table_growing(0, 5, None).unwrap());
        assert!(!budget.denied);
        assert!(!budget.memory_growing(60, 61, None).unwrap());
        assert!(budget.denied);
        assert_eq!(total.load(Ordering::Relaxed), 200);
        drop(budget);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn growth_past_a_memorys_own_maximum_is_not_the_budgets_fault() {
        let total = Arc::<AtomicU64>::default();
        let mut budget = MemoryBudget::new(200, total.clone());
        assert!(!budget.memory_growing(0, 100, Some(50)).unwrap());
        assert!(!budget.denied);
    }
}
