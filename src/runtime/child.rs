//! Compiles in a process of its own, so that neither the memory nor a crash of the compiler touches
//! the server. This file has both sides: the parent and the child.
//!
//! The parent starts its own program again as `watershed compile`. Standard input is the component,
//! standard output a file for the native code, and standard error a file for the message on
//! failure. All three are files in memory, so neither side waits for the other to read.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal,
    set_parent_process_death_signal,
};

use super::artifact::{Artifact, memory_file};
use super::compile::{lower_priority, native_code};
use super::engine::settings;
use super::pace::{self, Pace};
use super::program::ProgramError;
use super::world::World;

/// This program, even if the file of that name was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// How long a compilation may take. The largest component takes a minute or two, and several times
/// as long where all cores are busy.
const LIMIT: Duration = Duration::from_mins(30);
/// The exit code for a faulty component. The message has the reason.
const DOES_NOT_COMPILE: i32 = 1;
/// How many bytes of a message are read.
const LONGEST_MESSAGE: usize = 4 << 10;
/// The OOM score of the child: if memory is short, the kernel should end it first.
const FIRST_TO_GO: &str = "1000";

/// A component that a child compiles.
pub(super) struct Compilation {
    child: Running,
    handle: OwnedFd,
    output: File,
    message: File,
}

impl Compilation {
    /// Starts a child with a copy of the component. On an error, nothing is compiled.
    pub fn start(world: World, cores: usize, component: &[u8]) -> io::Result<Self> {
        let mut input = memory_file()?;
        input.write_all(component)?;
        input.rewind()?;
        let (output, message) = (memory_file()?, memory_file()?);
        let mut command = command(world, cores);
        command.stdin(input).stdout(output.try_clone()?).stderr(message.try_clone()?);
        let child = Running(command.spawn()?);
        Ok(Self { handle: child.handle()?, child, output, message })
    }

    /// Waits for the result. Must be called on the thread that started the child, because the child
    /// ends with that thread. The child rests only once requests are served: before that, it would
    /// rest for other compilers.
    pub fn finish(mut self, is_serving: impl Fn() -> bool) -> Result<Artifact, ProgramError> {
        let mut pace = Pace::of(self.child.0.id());
        let end = self.child.end(&self.handle, LIMIT, || is_serving() && pace.is_crowded());
        match end.map_err(|reason| stopped(format!("cannot be waited for: {reason}")))? {
            Some(end) if end.success() => Artifact::seal(self.output)
                .map_err(|reason| stopped(format!("has an output that cannot be read: {reason}"))),
            Some(end) => Err(failure(end, &self.message)),
            None => Err(stopped(format!("took longer than {} minutes", LIMIT.as_secs() / 60))),
        }
    }
}

/// The command line of the child.
fn command(world: World, cores: usize) -> Command {
    let mut command = Command::new(OURSELVES);
    command
        .arg0("watershed")
        .args(["compile", "--world", world.name(), "--parent"])
        .arg(std::process::id().to_string())
        .args(["--cores", &cores.to_string()])
        .env_clear()
        // In a process group of its own, so that Ctrl-C reaches the server only. The child ends
        // with the server.
        .process_group(0);
    command
}

fn failure(end: ExitStatus, message: &File) -> ProgramError {
    let message = text(message);
    match (end.code(), end.signal()) {
        (Some(DOES_NOT_COMPILE), _) => ProgramError::CompileFailed(message),
        (_, Some(signal)) if signal == Signal::KILL.as_raw() => {
            stopped(format!("was killed by signal {signal}; is there enough memory?"))
        }
        (_, Some(signal)) => stopped(format!("was killed by signal {signal}: {message}")),
        _ => stopped(format!("ended with {end}: {message}")),
    }
}

fn stopped(how: String) -> ProgramError {
    ProgramError::CompilerStopped(how.trim_end_matches(": ").to_owned())
}

fn text(message: &File) -> String {
    let mut bytes = vec![0; LONGEST_MESSAGE];
    // A message that cannot be read is left out.
    let read = message.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// A child process, which is killed when this is dropped.
struct Running(Child);

impl Running {
    /// A descriptor that is readable once the child has ended, to wait with a time limit.
    fn handle(&self) -> io::Result<OwnedFd> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        Ok(pidfd_open(pid.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?)
    }

    /// Waits until the child ends; `None` if that takes longer than `limit`. Makes the child rest
    /// while its pace shows that it waits for cores.
    fn end(
        &mut self,
        handle: &OwnedFd,
        limit: Duration,
        mut is_crowded: impl FnMut() -> bool,
    ) -> io::Result<Option<ExitStatus>> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if has_ended(handle, pace::TURN)? {
                return self.0.wait().map(Some);
            }
            if is_crowded() {
                // Fails if the child has ended.
                pidfd_send_signal(handle, Signal::STOP).ok();
                let rested = has_ended(handle, pace::REST);
                pidfd_send_signal(handle, Signal::CONT).ok();
                rested?;
            }
        }
        Ok(None)
    }
}

/// Whether a process ends within a time.
fn has_ended(handle: &OwnedFd, within: Duration) -> io::Result<bool> {
    let within = Timespec::try_from(within).map_err(io::Error::other)?;
    let mut end = [PollFd::new(handle, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut end, Some(&within)))? > 0)
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if the child has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The child's side: compiles the component on standard input for the parent, and writes the native
/// code to standard output. Ends when the parent does.
///
/// # Errors
///
/// Where the component does not compile, or a file cannot be read or written.
pub fn compile_for(parent: u32, world: World, cores: usize) -> Result<(), ProgramError> {
    let broken = |reason: io::Error| stopped(format!("cannot go on: {reason}"));
    end_with(parent).map_err(broken)?;
    lower_priority();
    // Only a name for people to read, so an error does not matter.
    fs::write("/proc/self/comm", "compiler").ok();
    fs::write("/proc/self/oom_score_adj", FIRST_TO_GO).ok();
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component).map_err(broken)?;
    let engine = wasmtime::Engine::new(&settings(world))
        .map_err(|error| stopped(format!("cannot start: {error:#}")))?;
    let code = native_code(&engine, cores, &component)?;
    let mut output = io::stdout().lock();
    output.write_all(&code).and_then(|()| output.flush()).map_err(broken)
}

/// Makes the kernel end this process when the thread that started it ends.
fn end_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before.
    match u32::try_from(Pid::as_raw(getppid())) {
        Ok(found) if found == parent => Ok(()),
        _ => Err(io::Error::other("the parent process has ended")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Running {
        Running(Command::new("sh").args(["-c", script]).spawn().unwrap())
    }

    fn end(child: &mut Running, limit: Duration) -> Option<ExitStatus> {
        let handle = child.handle().unwrap();
        child.end(&handle, limit, || false).unwrap()
    }

    #[test]
    fn a_child_is_waited_for() {
        let end = end(&mut shell("exit 3"), LIMIT).unwrap();
        assert_eq!(end.code(), Some(3));
    }

    #[test]
    fn a_child_that_rests_again_and_again_comes_to_its_end() {
        let mut child = shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3");
        let handle = child.handle().unwrap();
        let mut rests = 0;
        let end = child.end(&handle, LIMIT, || {
            rests += 1;
            true
        });
        assert_eq!(end.unwrap().and_then(|end| end.code()), Some(3));
        assert!(rests > 0);
    }

    #[test]
    fn a_child_that_takes_too_long_is_ended() {
        let started = Instant::now();
        let mut child = shell("exec sleep 60");
        assert_eq!(end(&mut child, Duration::from_millis(20)), None);
        let process = format!("/proc/{}", child.0.id());
        assert!(fs::exists(&process).unwrap());
        drop(child);
        assert!(!fs::exists(&process).unwrap());
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn only_the_exit_code_1_is_the_components_fault() {
        let mut message = memory_file().unwrap();
        message.write_all(b"because\n").unwrap();
        let failure = |script| failure(end(&mut shell(script), LIMIT).unwrap(), &message);
        let stopped = |how: &str| ProgramError::CompilerStopped(how.to_owned());
        assert_eq!(failure("exit 1"), ProgramError::CompileFailed("because".to_owned()));
        assert_eq!(failure("exit 101"), stopped("ended with exit status: 101: because"));
        assert_eq!(failure("kill -SEGV $$"), stopped("was killed by signal 11: because"));
        let killed = "was killed by signal 9; is there enough memory?";
        assert_eq!(failure("kill -KILL $$"), stopped(killed));
    }
}
