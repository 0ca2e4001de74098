//! How the process was started, so that it can be started anew: by the path that was given, and not by
//! the file that runs, which a package manager may have replaced meanwhile.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::predecessor::PREDECESSOR;

/// What systemd says to the process that it starts, and to no other.
const OF_ACTIVATION: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"];
/// The file that runs.
const RUNNING: &str = "/proc/self/exe";
/// What the kernel adds to the name of a file that is gone.
const GONE: &[u8] = b" (deleted)";

/// The program, as it was started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// That of this process. Must be called at its start, before anybody replaces the file.
    ///
    /// # Errors
    ///
    /// Where neither the command line nor the kernel says which file runs.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let path = match started(Path::new(&name)) {
            Some(path) => path,
            None => without_mark(env::current_exe()?),
        };
        Ok(Self { path, arguments: arguments.collect() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it anew, with the arguments, variables, directory and outputs of this process. `link`
    /// becomes its standard input. No other descriptor passes to it: all are closed by its start. It has a process group of
    /// its own, whose number is its process ID.
    ///
    /// # Errors
    ///
    /// Where there is no such program, or it is none.
    pub(super) fn start(&self, link: OwnedFd) -> io::Result<Child> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdin(link).env(PREDECESSOR, std::process::id().to_string());
        command.process_group(0);
        for name in OF_ACTIVATION {
            command.env_remove(name);
        }
        command.spawn()
    }
}

/// The absolute path by which the program was started, as far as its name says. Links on the way stay:
/// they may lead elsewhere by the next start.
fn started(name: &Path) -> Option<PathBuf> {
    let absolute = match name.as_os_str().as_bytes() {
        [] => return None,
        bytes if bytes.contains(&b'/') => env::current_dir().ok()?.join(name),
        // Whoever starts a program by its name alone looks for it there.
        _ => {
            let path = env::var_os("PATH")?;
            let mut places = env::split_paths(&path).map(|directory| directory.join(name));
            env::current_dir().ok()?.join(places.find(|place| is_running(place))?)
        }
    };
    // The name may say anything.
    is_running(&absolute).then_some(absolute)
}

fn is_running(path: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    file(path).is_some_and(|found| file(Path::new(RUNNING)) == Some(found))
}

/// A path as it was before the file was replaced.
fn without_mark(path: PathBuf) -> PathBuf {
    let bytes = path.into_os_string().into_vec();
    let kept = bytes.strip_suffix(GONE).unwrap_or(&bytes).to_vec();
    PathBuf::from(OsString::from_vec(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_that_was_replaced_is_that_of_the_next() {
        let gone = PathBuf::from("/usr/bin/watershed (deleted)");
        assert_eq!(without_mark(gone), Path::new("/usr/bin/watershed"));
        assert_eq!(without_mark("/opt/a b".into()), Path::new("/opt/a b"));
    }

    #[test]
    fn a_name_counts_where_it_names_what_runs() {
        let own = env::current_exe().unwrap();
        assert_eq!(started(&own), Some(own));
        for other in ["/bin/sh", "/nowhere/at/all", "sh", "no-such-program", ""] {
            assert_eq!(started(Path::new(other)), None, "{other}");
        }
    }
}
