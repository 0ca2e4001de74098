//! Transient errors: errors that pass by themselves and say nothing about a file. Every room that
//! reads files or starts processes asks [`is_transient`], the only list of them.
//!
//! "Too many open files" is about the process, and "stale file handle" about a file server. Neither
//! says that a file is missing, wrong or different. So the last known state of the file is kept,
//! and the file is tried again.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// Whether an error passes by itself, so that a later try may succeed.
pub fn is_transient(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(errno) => is_transient_errno(errno),
        // An error that does not come from the operating system directly.
        None => matches!(
            error.kind(),
            ErrorKind::Interrupted
                | ErrorKind::OutOfMemory
                | ErrorKind::ResourceBusy
                | ErrorKind::StaleNetworkFileHandle
                | ErrorKind::TimedOut
                | ErrorKind::WouldBlock
        ),
    }
}

fn is_transient_errno(errno: Errno) -> bool {
    matches!(
        errno,
        // A resource is short: descriptors, memory, processes, locks.
        Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::AGAIN
            | Errno::NOLCK
            // Another process is using it.
            | Errno::INTR
            | Errno::BUSY
            | Errno::TXTBSY
            // A disk or a network file system does not answer properly.
            | Errno::IO
            | Errno::REMOTEIO
            | Errno::STALE
            | Errno::TIMEDOUT
            | Errno::NOTCONN
            | Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::NETUNREACH
    )
}

/// What to do about a transient error, for a message.
pub fn advice(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => {
            "the process is out of file descriptors: raise `LimitNOFILE` of its unit, or `ulimit -n`; \
             it is tried again by itself"
        }
        Some(Errno::NFILE) => {
            "the machine is out of file descriptors: raise `sysctl fs.file-max`; it is tried again by \
             itself"
        }
        Some(Errno::NOMEM | Errno::NOBUFS) => {
            "memory is short: raise the limit of the process, or free some; it is tried again by itself"
        }
        Some(Errno::AGAIN) => {
            "processes or threads are short: raise `TasksMax` of its unit, or `ulimit -u`; it is tried \
             again by itself"
        }
        Some(Errno::INTR | Errno::BUSY | Errno::TXTBSY) => {
            "another process is using it; it is tried again by itself"
        }
        _ => {
            "check the disk, or the server that the file is on (see `dmesg`); it is tried again by \
             itself"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn what_is_short_or_away_passes_and_what_a_file_is_does_not() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::STALE] {
            assert!(is_transient(&of(errno)), "{errno:?}");
        }
        for errno in [Errno::INTR, Errno::AGAIN, Errno::BUSY, Errno::NOTCONN, Errno::TIMEDOUT] {
            assert!(is_transient(&of(errno)), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOTDIR, Errno::LOOP, Errno::ISDIR] {
            assert!(!is_transient(&of(errno)), "{errno:?}");
        }
        assert!(is_transient(&ErrorKind::TimedOut.into()));
        assert!(!is_transient(&ErrorKind::Unsupported.into()));
    }

    #[test]
    fn the_advice_fits_the_cause() {
        for (errno, word) in [
            (Errno::MFILE, "LimitNOFILE"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::NOMEM, "memory"),
            (Errno::AGAIN, "ulimit -u"),
            (Errno::IO, "dmesg"),
            (Errno::STALE, "server"),
        ] {
            let advice = advice(&of(errno));
            assert!(advice.contains(word) && advice.ends_with("by itself"), "{advice}");
        }
    }
}
