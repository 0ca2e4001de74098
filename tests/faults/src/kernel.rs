//! The kernel's side: a process puts itself under the filter and sends the listener away; the listener hears of calls
//! and answers them. See `seccomp_unotify(2)`.

#![expect(unsafe_code, reason = "no library that we have makes these calls")]

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::ptr;

use libc::{c_int, c_long, c_void, sock_filter, sock_fprog};

use crate::Call;

/// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`: type `!`, numbers 0 and 1, in both directions.
const RECEIVE: u64 = ioctl(0, mem::size_of::<libc::seccomp_notif>());
const SEND: u64 = ioctl(1, mem::size_of::<libc::seccomp_notif_resp>());

const fn ioctl(number: u64, size: usize) -> u64 {
    (3 << 30) | ((size as u64) << 16) | (0x21 << 8) | number
}

/// Where calls are heard of.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Debug)]
pub struct Request(libc::seccomp_notif);

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    CarryOut,
    Fail(i32),
}

/// Puts this process, and those that it starts, under the filter, and sends the listener through the socket.
///
/// # Errors
///
/// Where the kernel has no such filters, or does not allow them.
pub fn filter_self(filter: &[sock_filter], to: &UnixDatagram) -> io::Result<()> {
    let program = sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: plain system calls; the program outlives the call that reads it.
    let listener = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    let listener = RawFd::try_from(listener).ok().filter(|it| *it >= 0);
    let listener = listener.ok_or_else(io::Error::last_os_error)?;
    send(to.as_raw_fd(), listener)?;
    // SAFETY: nothing else owns the descriptor.
    unsafe { libc::close(listener) };
    Ok(())
}

/// Room for one descriptor in a control message.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// A message of one byte with room for one descriptor.
fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all fields of the structure may be zero.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    message
}

fn send(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    let (mut byte, mut control) = ([1_u8], Control([0; 24]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast::<c_void>(), iov_len: 1 };
    let message = message(&mut part, &mut control);
    // SAFETY: the control buffer has room for a header and one descriptor.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<c_int>() as u32) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<c_int>(), descriptor);
        if libc::sendmsg(socket, &raw const message, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Receives the listener of a process that puts itself under the filter.
///
/// # Errors
///
/// Where the process ended before.
pub fn receive(from: &UnixDatagram) -> io::Result<Listener> {
    let (mut byte, mut control) = ([0_u8], Control([0; 24]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast::<c_void>(), iov_len: 1 };
    let mut message = message(&mut part, &mut control);
    // SAFETY: as in `send`; the kernel has checked what it wrote.
    unsafe {
        if libc::recvmsg(from.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let descriptor = ptr::read_unaligned(libc::CMSG_DATA(header).cast::<c_int>());
        Ok(Listener(OwnedFd::from_raw_fd(descriptor)))
    }
}

impl Listener {
    /// The next call; `None` once all processes with the filter have ended.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn next(&self) -> io::Result<Option<Request>> {
        loop {
            let mut wait =
                libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one structure, which is ours.
            unsafe { libc::poll(&raw mut wait, 1, -1) };
            if wait.revents & libc::POLLIN == 0 && wait.revents & libc::POLLHUP != 0 {
                return Ok(None);
            }
            // SAFETY: the kernel wants the structure to be zero.
            let mut request: libc::seccomp_notif = unsafe { mem::zeroed() };
            // SAFETY: the structure is as large as the number of the call says.
            let received =
                unsafe { libc::ioctl(self.0.as_raw_fd(), RECEIVE as _, &raw mut request) };
            match received {
                0 => return Ok(Some(Request(request))),
                _ => match io::Error::last_os_error().raw_os_error() {
                    // The process was interrupted, or ended, while it waited.
                    Some(libc::ENOENT | libc::EINTR) => {}
                    error => return Err(io::Error::from_raw_os_error(error.unwrap_or(0))),
                },
            }
        }
    }

    /// Answers for a call. Nothing happens where its process has ended.
    pub fn answer(&self, request: &Request, answer: Answer) {
        let (error, flags) = match answer {
            Answer::CarryOut => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
            Answer::Fail(error) => (-error, 0),
        };
        let flags = u32::try_from(flags).unwrap_or(0);
        let mut response = libc::seccomp_notif_resp { id: request.0.id, val: 0, error, flags };
        // SAFETY: the structure is as large as the number of the call says.
        unsafe { libc::ioctl(self.0.as_raw_fd(), SEND as _, &raw mut response) };
    }
}

/// Kills a process.
pub fn kill(process: u32) {
    // SAFETY: a plain system call.
    unsafe { libc::kill(process as libc::pid_t, libc::SIGKILL) };
}

impl Request {
    pub fn number(&self) -> c_long {
        c_long::from(self.0.data.nr)
    }

    /// The file that a call is about. It is read from the process, which waits.
    pub fn path(&self, call: Call) -> Option<PathBuf> {
        let [first, second, _, fourth, ..] = self.0.data.args;
        match call {
            Call::Write | Call::Sync => self.open_file(first),
            Call::Open => self.named(first, second),
            Call::Rename => self.named(first, second).or_else(|| self.named(first, fourth)),
            Call::Accept | Call::Socket | Call::Connect | Call::Clone => None,
        }
    }

    /// The process that makes the call.
    pub fn process_id(&self) -> Option<u32> {
        let status = fs::read_to_string(self.process().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.0.pid.to_string())
    }

    fn open_file(&self, descriptor: u64) -> Option<PathBuf> {
        // A descriptor is a number of 32 bits.
        let descriptor = descriptor as u32 as i32;
        fs::read_link(self.process().join("fd").join(descriptor.to_string())).ok()
    }

    /// A path relative to an open directory, or to that of the process.
    fn named(&self, directory: u64, at: u64) -> Option<PathBuf> {
        let name = self.text(at)?;
        let base = match directory as u32 as i32 {
            libc::AT_FDCWD => fs::read_link(self.process().join("cwd")).ok()?,
            _ => self.open_file(directory).unwrap_or_default(),
        };
        Some(base.join(name))
    }

    /// A text of the process that ends with a zero.
    fn text(&self, at: u64) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        use std::os::unix::fs::FileExt;
        let memory = fs::File::open(self.process().join("mem")).ok()?;
        let mut text = vec![0; 4096];
        let read = memory.read_at(&mut text, at).ok()?;
        text.truncate(read);
        let end = text.iter().position(|byte| *byte == 0)?;
        text.truncate(end);
        Some(PathBuf::from(std::ffi::OsString::from_vec(text)))
    }
}
