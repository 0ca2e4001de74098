//! The socket between the two processes. It keeps messages apart, carries descriptors beside them, and
//! ends when the other process does: the kernel closes the other end, however the process ended.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Descriptors beside one message. The kernel takes 253 at most.
pub const AT_ONCE: usize = 64;
/// The longest message, in bytes.
const LONGEST: usize = 128 << 10;
/// How long a message may wait for room. There is room for far more than the two ever say.
const SEND_TIME: Duration = Duration::from_secs(5);

/// One end.
#[derive(Clone, Debug)]
pub struct Link(Arc<OwnedFd>);

impl Link {
    /// Both ends: ours, and the one for the other process.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(Arc::new(ours)), other))
    }

    /// The end that this process was given.
    pub fn of(given: OwnedFd) -> Self {
        Self(Arc::new(given))
    }

    /// Sends a message with descriptors beside it, [`AT_ONCE`] at most.
    pub fn send(&self, message: &impl Serialize, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the message is too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !beside.is_empty() && !control.push(SendAncillaryMessage::ScmRights(beside)) {
                return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors"));
            }
            match sendmsg(&self.0, &[IoSlice::new(&text)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, Some(SEND_TIME))?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a message, and takes what came beside it; `None` where the other process has ended.
    pub fn receive<M: DeserializeOwned>(
        &self,
        patience: Option<Duration>,
    ) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        self.wait(PollFlags::IN, patience)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = vec![0; LONGEST];
        let received = retry_on_intr(|| {
            let mut into = [IoSliceMut::new(&mut text)];
            recvmsg(&self.0, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = match received {
            // The other process ended without reading our last message.
            Err(Errno::CONNRESET) => return Ok(None),
            received => received?,
        };
        let mut beside = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                beside.extend(descriptors);
            }
        }
        // What does not fit is lost: so are descriptors where this process may open no more.
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::new(ErrorKind::InvalidData, "a message came in part only"));
        }
        match text.get(..received.bytes) {
            None | Some([]) => Ok(None),
            Some(text) => Ok(Some((serde_json::from_slice(text)?, beside))),
        }
    }

    /// Passes on every message of the other process, with what came beside it, in a thread of its own. The channel ends when
    /// the other process does.
    pub fn follow<M>(&self) -> io::Result<UnboundedReceiver<(M, Vec<OwnedFd>)>>
    where
        M: DeserializeOwned + Send + 'static,
    {
        let (link, (sender, receiver)) = (self.clone(), unbounded_channel());
        let follow = move || {
            loop {
                match link.receive::<M>(None) {
                    Ok(Some(heard)) => match sender.send(heard) {
                        Ok(()) => {}
                        // Nobody listens any more.
                        Err(_) => return,
                    },
                    Ok(None) => return,
                    Err(error) if error.kind() == ErrorKind::InvalidData => {
                        tracing::debug!(
                            "a message of the other process is not understood: {error}"
                        );
                    }
                    Err(error) => {
                        tracing::warn!("the other process cannot be heard any more: {error}");
                        return;
                    }
                }
            }
        };
        thread::Builder::new().name("handover".to_owned()).spawn(follow)?;
        Ok(receiver)
    }

    fn wait(&self, what: PollFlags, patience: Option<Duration>) -> io::Result<()> {
        let patience = patience.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut link = [PollFd::from_borrowed_fd(self.0.as_fd(), what)];
        match retry_on_intr(|| poll(&mut link, patience.as_ref()))? {
            0 => Err(ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::message::{Door, SocketLabel, ToSuccessor};
    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn messages_stay_apart_and_bring_sockets() {
        let (one, other) = Link::pair().unwrap();
        let other = Link::of(other);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let label = SocketLabel { door: Door::Proxy, written: socket.local_addr().ok() };
        let said = ToSuccessor::Sockets { sockets: vec![label; 2], more: false };
        one.send(&said, &[socket.as_fd(), socket.as_fd()]).unwrap();
        let turn = ToSuccessor::TakeOver {
            generation: 7,
            has_history: true,
            memory: None,
            says_stopped: true,
        };
        one.send(&turn, &[]).unwrap();
        let (heard, sockets) = other.receive::<ToSuccessor>(SOON).unwrap().unwrap();
        assert_eq!(heard, said);
        assert_eq!(sockets.len(), 2);
        for given in sockets {
            let flags = rustix::io::fcntl_getfd(&given).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            let given = TcpListener::from(given);
            assert_eq!(given.local_addr().unwrap(), socket.local_addr().unwrap());
        }
        let (heard, _) = other.receive::<ToSuccessor>(SOON).unwrap().unwrap();
        assert_eq!(heard, turn);
        drop(one);
        assert!(other.receive::<ToSuccessor>(SOON).unwrap().is_none());
    }

    #[test]
    fn another_release_may_say_more() {
        let (one, other) = Link::pair().unwrap();
        let later = serde_json::json!({ "say": "take-over", "generation": 1, "has_history": false, "mood": "good" });
        one.send(&later, &[]).unwrap();
        one.send(&serde_json::json!({ "say": "sing", "song": 3 }), &[]).unwrap();
        let label = serde_json::json!({ "door": "back", "written": null });
        one.send(&serde_json::json!({ "say": "sockets", "sockets": [label], "more": false }), &[])
            .unwrap();
        let other = Link::of(other);
        let heard = || other.receive::<ToSuccessor>(SOON).unwrap().unwrap().0;
        assert_eq!(
            heard(),
            ToSuccessor::TakeOver {
                generation: 1,
                has_history: false,
                memory: None,
                says_stopped: false
            }
        );
        assert_eq!(heard(), ToSuccessor::Unknown);
        let back = SocketLabel { door: Door::Unknown, written: None };
        assert_eq!(heard(), ToSuccessor::Sockets { sockets: vec![back], more: false });
    }

    #[test]
    fn a_process_that_says_nothing_is_not_waited_for() {
        let (one, _other) = Link::pair().unwrap();
        let waited = one.receive::<ToSuccessor>(Some(Duration::from_millis(10)));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
