//! How many components are compiled at once. Until the first request comes, all cores compile; from
//! then on one component is compiled at a time, so that the workers keep their cores.
//!
//! A compiler uses 17 to 30 times the memory that its component is long. So the components that are
//! compiled at once have at most [`ROOM`] together, which means 1.1 to 1.9 GiB of compilers, and less
//! on a machine with less memory to spare. A larger component is compiled alone.

use std::fs;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// MiB of components that are compiled at once.
const ROOM: u32 = 64;
/// The most memory that a compiler uses, in sizes of its component.
const COMPILER: u64 = 30;
const MIB: u64 = 1 << 20;

/// Lets components be compiled in turn. Cheap to clone: clones share the turns.
#[derive(Clone, Debug)]
pub struct Turns {
    /// A place for each MiB.
    places: Arc<Semaphore>,
    room: u32,
    /// Components that may be compiled at once, however small.
    most: u32,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "held for its drop")] Option<SemaphorePermit<'a>>);

impl Turns {
    /// Turns for at most this many compilers at once, on this machine as it is now.
    pub fn new(most: usize) -> Self {
        Self::with_room(spare_memory().map_or(ROOM, room_in), most)
    }

    fn with_room(room: u32, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(room as usize));
        Self { places, room, most: u32::try_from(most).unwrap_or(u32::MAX).max(1) }
    }

    /// Waits until a component of this many bytes may be compiled. `is_serving` says whether anybody
    /// is served by now.
    pub async fn take(&self, bytes: usize, is_serving: impl Fn() -> bool) -> Turn<'_> {
        loop {
            let places = self.places_for(bytes, is_serving());
            // It fails only if the places were closed, and they are not.
            let permit = self.places.acquire_many(places).await.ok();
            // The first request may have come in the meantime.
            if self.places_for(bytes, is_serving()) <= places {
                return Turn(permit);
            }
        }
    }

    fn places_for(&self, bytes: usize, is_serving: bool) -> u32 {
        if is_serving {
            return self.room;
        }
        let size = u32::try_from((bytes as u64).div_ceil(MIB)).unwrap_or(u32::MAX);
        size.max(self.room.div_ceil(self.most)).min(self.room)
    }
}

/// The room for components in this much memory, of which compilers get half.
fn room_in(memory: u64) -> u32 {
    let mib = memory / 2 / COMPILER / MIB;
    u32::try_from(mib).unwrap_or(ROOM).clamp(1, ROOM)
}

/// Bytes of memory that this process could take, of the machine and of its control group; `None`
/// where neither says.
fn spare_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(available);
    let group = |name| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let group = group("max").zip(group("current")).map(|(max, used)| max.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

/// What `/proc/meminfo` says, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// The turn, if it is there at once.
    fn now<'a>(turns: &'a Turns, mib: usize, is_serving: bool) -> Option<Turn<'a>> {
        let turn = pin!(turns.take(mib << 20, || is_serving));
        match turn.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn at_once(turns: &Turns, mib: usize, is_serving: bool) -> usize {
        let turns: Vec<_> = std::iter::from_fn(|| now(turns, mib, is_serving)).collect();
        turns.len()
    }

    #[test]
    fn before_the_first_request_all_cores_compile_and_then_one() {
        let turns = Turns::with_room(ROOM, 4);
        assert_eq!(at_once(&turns, 1, false), 4);
        assert_eq!(at_once(&turns, 1, true), 1);
        assert_eq!(at_once(&Turns::with_room(ROOM, 1), 1, false), 1);
        // A turn from before is waited for.
        let before = now(&turns, 1, false);
        assert!(now(&turns, 1, true).is_none());
        drop(before);
        assert!(now(&turns, 1, true).is_some());
    }

    #[test]
    fn large_components_take_turns_by_their_size() {
        let turns = Turns::with_room(ROOM, 8);
        assert_eq!(at_once(&turns, 18, false), 3);
        assert_eq!(at_once(&turns, 256, false), 1);
        assert_eq!(at_once(&Turns::with_room(1, 8), 1, false), 1);
    }

    #[test]
    fn whoever_has_waited_for_long_compiles_as_is_right_by_then() {
        let turns = Turns::with_room(ROOM, 2);
        let held = [now(&turns, 1, false), now(&turns, 1, false)];
        let serving = AtomicBool::new(false);
        let mut waiting = pin!(turns.take(1, || serving.load(Ordering::Relaxed)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        serving.store(true, Ordering::Relaxed);
        let [one, other] = held;
        drop(one);
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(other);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn little_memory_makes_little_room() {
        assert_eq!(room_in(64 << 30), ROOM);
        assert_eq!(room_in(512 << 20), 8);
        assert_eq!(room_in(0), 1);
        let meminfo = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(meminfo), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        assert!(spare_memory().is_some_and(|bytes| bytes > 0));
    }
}
