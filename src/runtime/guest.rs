//! The guest of a version: its program, its grant, and the instances that wait for their next
//! request. A request reserves an instance or a slot before it starts.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::uri;
use tokio::time::error::Elapsed;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use super::cpu::{CpuClock, CpuTimeUsedUp};
use super::engine::{IdlePermit, Slot};
use super::guest_log::GuestLog;
use super::invoke::{Incoming, Reply};
use super::p3;
use super::program::{Program, ProgramError};
use super::sandbox::{Grant, Sandbox};

/// How long a sandbox waits for its next request before it is given back to the pool.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// How many sandboxes of a version are made before a request needs them.
const SPARES: usize = 8;

/// The guest of a version: shared by all requests of the version, and by no other version.
#[derive(Debug)]
pub struct Guest {
    program: Program,
    grant: Arc<Grant>,
    /// Instances that wait for a request, the most recently used last. Some are new; with reuse,
    /// others are between two requests.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sandbox: Box<Instance>,
    since: Instant,
    #[expect(dead_code, reason = "held for its drop")]
    permit: IdlePermit,
}

/// A program instantiated in a sandbox of its own: able to serve a request.
pub(super) struct Instance {
    store: Store<Sandbox>,
    guest: Proxy,
    pub clock: Arc<CpuClock>,
    log: GuestLog,
    /// How many requests it may still serve, including the current one.
    left: u32,
    #[expect(dead_code, reason = "held for its drop")]
    slot: Slot,
}

/// A new instance, or why there is none and whether memory was denied.
type Instantiated = Result<Box<Instance>, (wasmtime::Error, bool)>;

/// The reservation of one request: an instance that waits, or a slot to make one in. Dropping it
/// returns it to the pool.
#[derive(Debug)]
pub struct Reservation(pub(super) Reserved);

#[derive(Debug)]
pub(super) enum Reserved {
    Instance(Box<Instance>),
    Slot(Slot),
}

impl Guest {
    /// A guest that has no sandbox yet.
    pub fn new(program: Program, grant: Grant) -> Self {
        Self { program, grant: Arc::new(grant), idle: Mutex::default() }
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its grant.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Reserves an instance or a slot for one request, if there is one now.
    pub fn try_reserve(&self) -> Option<Reservation> {
        match self.take_idle() {
            Some(sandbox) => Some(Reservation(Reserved::Instance(sandbox))),
            None => self.program.engine.try_slot().map(|slot| Reservation(Reserved::Slot(slot))),
        }
    }

    /// Waits for an instance or a slot, and reserves it for one request. `None` only while the process
    /// ends.
    pub async fn reserve(&self) -> Option<Reservation> {
        match self.try_reserve() {
            Some(reserved) => Some(reserved),
            None => self.program.engine.slot().await.map(|slot| Reservation(Reserved::Slot(slot))),
        }
    }

    /// Makes one instance and drops it, to learn whether it starts within the limits of the grant.
    ///
    /// # Errors
    ///
    /// Where the memory limit is below what the component declares, or its start code fails.
    pub async fn try_out(&self) -> Result<(), ProgramError> {
        let failed = |reason: &str| Err(ProgramError::StartFailed(reason.to_owned()));
        let Some(slot) = self.program.engine.slot().await else { return failed("no room for it") };
        match self.start(slot).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((_, true))) => Err(ProgramError::MemoryTooSmall { memory: self.grant.memory }),
            Ok(Err((error, false))) => failed(&error.root_cause().to_string()),
            Err(_) => failed("it used up its wall time"),
        }
    }

    /// Makes a spare instance if there are few, so that the next request need not wait for one.
    /// Called after a response, when no client waits. Slow start code continues in a task of its
    /// own.
    pub(super) async fn replenish(self: &Arc<Self>) {
        // With reuse, returned instances are better than new ones, because their state is wanted.
        if self.grant.reuse.get() > 1 || self.lock_idle().len() >= SPARES {
            return;
        }
        let engine = &self.program.engine;
        let Some((slot, permit)) = engine.try_slot().zip(engine.try_idle()) else { return };
        let guest = self.clone();
        let mut making = Box::pin(async move {
            // If it fails, the next request fails with the reason.
            if let Ok(Ok(sandbox)) = guest.start(slot).await {
                guest.keep(sandbox, permit);
            }
        });
        let made = poll_fn(|context| Poll::Ready(making.as_mut().poll(context))).await;
        if made.is_pending() {
            tokio::spawn(making);
        }
    }

    /// Makes a spare instance, within the limits of one request.
    async fn start(&self, slot: Slot) -> Result<Instantiated, Elapsed> {
        let clock = self.clock();
        let mut start = pin!(self.instantiate(slot, clock.clone(), "start".into()));
        let started = poll_fn(|context| match clock.poll(start.as_mut(), context) {
            // The guest used up its time in turns too short for an epoch to end in one.
            Poll::Pending if clock.is_used_up() => Poll::Ready(Err((CpuTimeUsedUp.into(), false))),
            polled => polled,
        });
        tokio::time::timeout(self.grant.wall_time, started).await
    }

    /// Returns instances to the pool that have been idle for too long.
    pub fn sweep(&self) {
        let mut idle = self.lock_idle();
        // The most recently used instance is last, so the old ones are first.
        let old = idle.iter().take_while(|idle| idle.since.elapsed() >= IDLE_TIME).count();
        let old: Vec<_> = idle.drain(..old).collect();
        // Dropping sandboxes takes a while, and requests wait for this lock.
        drop(idle);
        drop(old);
    }

    /// Makes an instance; the error comes with whether memory was denied.
    pub(super) async fn instantiate(
        &self,
        slot: Slot,
        clock: Arc<CpuClock>,
        request_id: Arc<str>,
    ) -> Instantiated {
        let log = GuestLog::new(self.grant.clone(), request_id);
        let sandbox = Sandbox::new(&self.grant, &log);
        let mut store = Store::new(&self.program.host().wasm, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_epoch_deadline(1);
        clock.watch(&mut store);
        match self.program.pre.instantiate_async(&mut store).await {
            Ok(guest) => {
                let left = self.grant.reuse.get();
                Ok(Box::new(Instance { store, guest, clock, log, left, slot }))
            }
            Err(error) => Err((error, store.data().memory.denied)),
        }
    }

    /// Keeps an instance for the next request, if it may serve another one.
    pub(super) fn put_back(&self, mut sandbox: Box<Instance>) {
        sandbox.clock.tell();
        sandbox.left -= 1;
        if sandbox.left == 0 || sandbox.store.data().memory.denied {
            return;
        }
        if let Some(permit) = self.program.engine.try_idle() {
            sandbox.log.end_request();
            self.keep(sandbox, permit);
        }
    }

    /// A clock for one request.
    pub(super) fn clock(&self) -> Arc<CpuClock> {
        let (ticker, used) = (&self.program.engine.ticker, &self.grant.usage.cpu);
        CpuClock::new(self.grant.cpu_time, ticker.clone(), used.clone())
    }

    fn keep(&self, sandbox: Box<Instance>, permit: IdlePermit) {
        self.lock_idle().push(Idle { sandbox, since: Instant::now(), permit });
    }

    fn take_idle(&self) -> Option<Box<Instance>> {
        self.lock_idle().pop().map(|idle| idle.sandbox)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    /// Prepares the instance for its next request.
    pub fn renew(&mut self, request_id: Arc<str>) {
        self.log.begin_request(request_id);
        self.clock.reset();
        self.store.set_epoch_deadline(1);
    }

    /// Hands a request to the guest and waits until it returns; the error comes with whether
    /// memory was denied.
    pub async fn call(
        &mut self,
        request: Incoming,
        reply: Reply,
    ) -> Result<(), (wasmtime::Error, bool)> {
        let called = self.try_call(request, reply).await;
        called.map_err(|error| (error, self.store.data().memory.denied))
    }

    async fn try_call(
        &mut self,
        (scheme, request): Incoming,
        reply: Reply,
    ) -> wasmtime::Result<()> {
        let request = self.store.data_mut().hooks.begin_request(request);
        let guest = match &self.guest {
            Proxy::P2(guest) => guest,
            Proxy::P3(guest) => {
                return p3::call(&mut self.store, guest, (scheme, request), reply).await;
            }
        };
        let scheme = match scheme {
            scheme if scheme == uri::Scheme::HTTPS => Scheme::Https,
            _ => Scheme::Http,
        };
        let request = self.store.data_mut().http().new_incoming_request(scheme, request)?;
        let reply = self.store.data_mut().http().new_response_outparam(reply)?;
        let handler = guest.wasi_http_incoming_handler();
        handler.call_handle(&mut self.store, request, reply).await
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("left", &self.left).finish_non_exhaustive()
    }
}
