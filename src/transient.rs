//! Errors of a moment, and those that say something of a file. Whoever reads, looks, or starts
//! something asks here which of them an error is: [`is_transient`] is the only list.
//!
//! "Too many open files" is a fact about the process, "stale file handle" one about a server. Neither
//! says that a file is gone, wrong, or another one: what is known of the file stays, and it is tried
//! again.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// Whether an error passes by itself, so that the same thing may be done a moment later.
pub fn is_transient(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(errno) => is_transient_errno(errno),
        // An error that somebody has made, or translated.
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
        // Something is short: descriptors, memory, processes, locks.
        Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::AGAIN
            | Errno::NOLCK
            // Somebody else is at it.
            | Errno::INTR
            | Errno::BUSY
            | Errno::TXTBSY
            // A disk, or the server of a network file system, does not answer as it should.
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

/// What to do about an error of a moment, for a message.
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
            "something else is at it; it is tried again by itself"
        }
        _ => {
            "see whether the disk, or the server that the file is on, is well (`dmesg` tells); it is \
             tried again by itself"
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
