//! Faults of the operating system, injected into a process while it runs: full disks, disks that fail or are slow,
//! descriptors and threads that run out.
//!
//! The kernel has a filter of system calls for it (seccomp). The calls that a test may disturb wait until the test has
//! said what becomes of them: the kernel carries a call out, or it fails with an error. So it does not matter how the
//! process makes the call, with or without a C library. All other calls cost what they cost before.
//!
//! ```no_run
//! use faults::{Call, Faults};
//!
//! let mut command = std::process::Command::new("watershed");
//! let faults = Faults::install(&mut command).unwrap();
//! let child = command.spawn().unwrap();
//! faults.fail(Call::Sync, libc::ENOSPC);
//! // …
//! faults.heal();
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that cannot go on has failed, and the kernel's numbers are of the size that they are"
)]

mod filter;
mod kernel;

use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use kernel::{Answer, Listener, Request};

/// A kind of system call that can be disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A connection is accepted.
    Accept,
    /// A file or directory is opened.
    Open,
    /// Bytes are written to a file at an offset, or its length is set.
    Write,
    /// A file is written to its disk.
    Sync,
    /// A file is given another name.
    Rename,
    /// A socket is made.
    Socket,
    /// A socket is connected.
    Connect,
    /// A thread or a process is made.
    Clone,
}

/// Which of several processes is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    This(u32),
    /// Any but this one.
    Other(u32),
}

/// What becomes of the calls of one kind.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// Only calls that concern files below this directory.
    below: Option<PathBuf>,
    /// They fail with this error, or are carried out.
    error: Option<i32>,
    /// After this time.
    delay: Duration,
    /// The process is killed instead, at so many calls from now.
    kill: Option<(Victim, u64)>,
}

#[derive(Debug, Default)]
struct Plans {
    plans: HashMap<Call, Plan>,
    disturbed: HashMap<Call, u64>,
}

/// The faults of one process and of those that it starts. Clones are the same faults.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plans>>);

impl Faults {
    /// Prepares a command: calls of the process that it starts can be disturbed. It is to be spawned once.
    ///
    /// # Errors
    ///
    /// Where no pair of sockets can be made. A kernel without such filters fails the spawn.
    pub fn install(command: &mut Command) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair()?;
        let filter = filter::program();
        #[expect(unsafe_code, reason = "the filter is put on between fork and exec")]
        // SAFETY: between fork and exec, the closure makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(move || kernel::filter_self(&filter, &theirs))
        };
        let faults = Self::default();
        let plans = faults.clone();
        thread::spawn(move || {
            if let Ok(listener) = kernel::receive(&ours) {
                plans.serve(&Arc::new(listener));
            }
        });
        Ok(faults)
    }

    /// Has all calls of a kind fail with an error of `errno.h`.
    pub fn fail(&self, call: Call, error: i32) {
        self.plan(call, Plan { error: Some(error), ..Plan::default() });
    }

    /// The same for files below a directory.
    pub fn fail_below(&self, directory: &Path, call: Call, error: i32) {
        let below = Some(directory.to_owned());
        self.plan(call, Plan { below, error: Some(error), ..Plan::default() });
    }

    /// Has calls of a kind that concern files below a directory take so much longer.
    pub fn slow_below(&self, directory: &Path, call: Call, delay: Duration) {
        self.plan(call, Plan { below: Some(directory.to_owned()), delay, ..Plan::default() });
    }

    /// Has a process killed in place of its `nth` call of a kind, from 1, that concerns files below a directory.
    pub fn kill_below(&self, directory: &Path, call: Call, nth: u64, victim: Victim) {
        let below = Some(directory.to_owned());
        self.plan(call, Plan { below, kill: Some((victim, nth)), ..Plan::default() });
    }

    /// Ends all faults. Calls that are being delayed still are.
    pub fn heal(&self) {
        self.plans().plans.clear();
    }

    /// How many calls of a kind were disturbed so far.
    pub fn disturbed(&self, call: Call) -> u64 {
        self.plans().disturbed.get(&call).copied().unwrap_or_default()
    }

    fn plan(&self, call: Call, plan: Plan) {
        self.plans().plans.insert(call, plan);
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        self.0.lock().unwrap()
    }

    /// Answers for each call, until all processes with the filter have ended.
    fn serve(&self, listener: &Arc<Listener>) {
        while let Ok(Some(request)) = listener.next() {
            let Some(plan) = self.plan_for(&request) else {
                listener.answer(&request, Answer::CarryOut);
                continue;
            };
            if plan.kill.is_some() {
                // The call is never answered, and never made.
                request.process_id().into_iter().for_each(kernel::kill);
                continue;
            }
            let answer = plan.error.map_or(Answer::CarryOut, Answer::Fail);
            if plan.delay.is_zero() {
                listener.answer(&request, answer);
                continue;
            }
            let listener = listener.clone();
            thread::spawn(move || {
                thread::sleep(plan.delay);
                listener.answer(&request, answer);
            });
        }
    }

    /// Counts a call of a process that is to be killed. Whether this is the one.
    fn is_due(&self, call: Call, victim: Victim, process: u32) -> bool {
        let is_victim = match victim {
            Victim::This(this) => process == this,
            Victim::Other(other) => process != other,
        };
        let mut plans = self.plans();
        let left = plans.plans.get_mut(&call).and_then(|plan| plan.kill.as_mut());
        let Some((_, left)) = left.filter(|_| is_victim) else { return false };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// What is planned for a call, if it is to be disturbed.
    fn plan_for(&self, request: &Request) -> Option<Plan> {
        let call = filter::call(request.number())?;
        let plan = self.plans().plans.get(&call).cloned()?;
        if let Some(directory) = &plan.below {
            let path = request.path(call)?;
            path.starts_with(directory).then_some(())?;
        }
        if let Some((victim, _)) = plan.kill {
            self.is_due(call, victim, request.process_id()?).then_some(())?;
        }
        *self.plans().disturbed.entry(call).or_default() += 1;
        Some(plan)
    }
}
