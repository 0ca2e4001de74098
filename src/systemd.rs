//! Speaks to systemd, where it started the process: tells how the process stands ([sd_notify(3)]),
//! and takes the sockets that a socket unit has bound ([sd_listen_fds(3)]). Everywhere else, nothing is
//! said and nothing taken.
//!
//! [sd_notify(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
//! [sd_listen_fds(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

use rustix::io::FdFlags;
use rustix::time::{ClockId, clock_gettime};
use socket2::SockRef;

/// Where to tell it.
const SOCKET: &str = "NOTIFY_SOCKET";
/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// Descriptors that one process is passed at most: as many as it may listen on by far.
const MOST: usize = 1_024;

/// How the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// It serves, or serves as before.
    Ready,
    /// It reads its files, or is replaced; [`State::Ready`] follows.
    Reloading,
    /// It serves no more, or not for long.
    Stopping,
    /// Another process is the main one from now on, and serves.
    Successor { pid: u32 },
    /// What a person should know.
    Status(&'a str),
}

/// Tells systemd. Returns at once: what cannot be told is logged.
pub fn tell(state: State<'_>) {
    let Some(socket) = env::var_os(SOCKET) else { return };
    if let Err(error) = send(&socket, &text(state)) {
        tracing::warn!("systemd does not learn that the process is {state:?}: {error}");
    }
}

fn text(state: State<'_>) -> String {
    match state {
        State::Ready => "READY=1\nSTATUS=".to_owned(),
        State::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let mut text = "RELOADING=1\n".to_owned();
            // Writing to a text does not fail.
            write!(text, "MONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1_000).ok();
            text
        }
        State::Stopping => "STOPPING=1".to_owned(),
        // In one message: from the next one on, this process is not the main one any more.
        State::Successor { pid } => format!("MAINPID={pid}\nREADY=1\nSTATUS="),
        State::Status(status) => format!("STATUS={}", status.replace('\n', "; ")),
    }
}

fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => UnixAddr::from_abstract_name(name)?,
        _ => UnixAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A systemd that does not read must not hold this process up.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// A socket that systemd has bound.
#[derive(Debug)]
pub struct Passed {
    /// `FileDescriptorName` of its unit; the name of the unit where that says none.
    pub name: String,
    pub address: SocketAddr,
    pub socket: TcpListener,
}

/// The sockets that systemd has passed to this process, in its order. Must be called at most once, at the
/// start of the process.
///
/// # Errors
///
/// Where one is not a TCP socket that listens.
pub fn passed() -> io::Result<Vec<Passed>> {
    let number =
        |name: &str| env::var(name).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let own = usize::try_from(std::process::id()).ok();
    // The variables pass on to whatever this process starts, and are meant for this one alone.
    if number("LISTEN_PID").is_none_or(|pid| Some(pid) != own) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(MOST);
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
    (FIRST..).zip(names).take(count).map(|(descriptor, name)| take(descriptor, name)).collect()
}

fn take(descriptor: RawFd, name: String) -> io::Result<Passed> {
    let wrong = |what: &str| {
        let text = format!("descriptor {descriptor} ({name}), which systemd passes, {what}");
        io::Error::new(ErrorKind::InvalidInput, text)
    };
    let given = owned(descriptor);
    let is_listener = SockRef::from(&given).is_listener();
    if !matches!(is_listener, Ok(true)) {
        // It may be somebody else's.
        std::mem::forget(given);
        return Err(wrong("does not listen: `Accept=no` is needed"));
    }
    rustix::io::fcntl_setfd(&given, FdFlags::CLOEXEC)?;
    let socket = TcpListener::from(given);
    let address = socket.local_addr().map_err(|_| wrong("is no TCP socket"))?;
    Ok(Passed { name, address, socket })
}

#[expect(unsafe_code, reason = "the protocol passes numbers, and the standard library takes none")]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: systemd opened the descriptor for this process, and says so by its process ID. Nobody
    // else here knows of it, and it is taken once. If that is a lie, the caller finds out before it
    // closes anything.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 1_000];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[test]
    fn each_state_is_one_message() {
        assert_eq!(text(State::Ready), "READY=1\nSTATUS=");
        assert_eq!(text(State::Successor { pid: 7 }), "MAINPID=7\nREADY=1\nSTATUS=");
        assert_eq!(text(State::Status("a\nb")), "STATUS=a; b");
        let reloading = text(State::Reloading);
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(at.parse::<u64>().unwrap() > 0, "{at}");
    }

    #[test]
    fn a_socket_is_a_path_or_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        assert_eq!(heard(&by_path), "READY=1");
        let name = format!("watershed-test-{}", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
        assert_eq!(heard(&by_name), "STOPPING=1");
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _unread = UnixDatagram::bind(&path).unwrap();
        let full = (0..100_000).find_map(|_| send(path.as_os_str(), "READY=1").err());
        assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);
        assert!(send(OsStr::new("/nowhere/at/all"), "READY=1").is_err());
    }
}
