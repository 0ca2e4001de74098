//! Waits until the machine does nothing else, because everything here is measured in time.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;

/// The share of all cores' time that other work may use.
const TOLERATED: f64 = 0.1;
/// How long the machine is observed, and how long to wait while it is busy.
const LOOK: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits while other processes, or other machines on the same processor, keep the machine busy. Returns whether they
/// stopped in time.
pub fn wait() -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while busy()? > TOLERATED {
        if Instant::now() > deadline {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The share of time that was not idle during one observation.
fn busy() -> Result<f64> {
    let (all, idle) = times()?;
    std::thread::sleep(LOOK);
    let (later_all, later_idle) = times()?;
    let (all, idle) = (later_all - all, later_idle - idle);
    Ok((all - idle) / all.max(1.0))
}

/// All time so far, and idle time: `man proc_stat`.
fn times() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().ok_or("/proc/stat")?;
    let times = first.split_whitespace().skip(1).map(str::parse);
    // The last two are parts of the first two.
    let times: Vec<f64> = times.take(8).collect::<Result<_, _>>()?;
    Ok((times.iter().sum(), times.iter().skip(3).take(2).sum()))
}
