//! Child processes: each on its own core, with its output in files, and ended when dropped.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::Result;

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);
const POLL: Duration = Duration::from_millis(5);

/// Where a process may run.
#[derive(Clone, Copy, Debug)]
pub enum Cores {
    /// The core of servers,
    Server,
    /// and the core of load generators.
    Client,
    /// Any core.
    All,
}

/// A command on these cores. The child also ends if this process dies.
pub fn command(cores: Cores, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    let several = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    match cores {
        Cores::Server if several => command.args(["taskset", "-c", "0"]),
        Cores::Client if several => command.args(["taskset", "-c", "1"]),
        _ => &mut command,
    };
    command.arg(program);
    command
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: TempDir,
}

impl Process {
    /// Starts a command.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let output = tempfile::tempdir()?;
        command
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout"))?)
            .stderr(File::create(output.path().join("stderr"))?);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child, output })
    }

    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.output.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `look` finds something. Fails if the process ends first, or takes too long.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait()?;
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if ended.is_some() || Instant::now() > deadline {
                let (stdout, stderr) = (self.stdout(), self.stderr());
                let end = ended.map_or("too late".to_owned(), |status| status.to_string());
                return Err(format!("no {what}: {end}\n{stdout}{stderr}").into());
            }
            std::thread::sleep(POLL);
        }
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks the process to end, as Ctrl-C does.
    pub fn interrupt(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGINT)?)
    }

    /// User and system time so far.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is a name in parentheses; from there, these are the 12th and the 13th.
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat")?;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = times.map(str::parse::<u32>).sum::<Result<_, _>>()?;
        Ok(TICK * ticks)
    }

    /// Bytes of resident memory now.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("no VmRSS")?;
        Ok(kib.trim().parse::<u64>()? << 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
