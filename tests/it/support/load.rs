//! Requests that run while a test changes something about what serves them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{GREETER, Response, Watershed};

/// How long a client waits between two requests: it observes, and need not load.
const PAUSE: Duration = Duration::from_millis(2);

/// Does something while a client keeps asking the service `greeter`. Every response must be complete, successful, and
/// `right`.
pub fn while_requested(
    watershed: &Watershed,
    right: impl Fn(&Response) -> bool + Sync,
    act: impl FnOnce(),
) {
    let running = AtomicBool::new(true);
    let ask = || {
        let mut client = watershed.http1();
        while running.load(Ordering::Relaxed) {
            let response = client.get(GREETER, "/");
            assert!(response.status == 200 && response.complete, "{response:?}");
            assert!(right(&response), "{response:?}");
            thread::sleep(PAUSE);
        }
    };
    thread::scope(|scope| {
        scope.spawn(ask);
        let _stop = StopOnDrop(&running);
        act();
    });
}

/// Lets clients end even if the test fails.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
