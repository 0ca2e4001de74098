//! Binds the addresses that the process listens on, before it serves anything. The server's start calls it.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

/// How many connections may wait to be accepted.
pub(super) const BACKLOG: u32 = 4_096;

/// A silent peer is probed after a minute, and given up after four more probes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// What was sent to a peer, and is not acknowledged by then, will not be: the connection ends. By itself, the kernel
/// would send it again for a quarter of an hour. It is the time that keep-alive takes.
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}. {}", help(.reason, .key))]
pub struct ListenError {
    address: SocketAddr,
    key: &'static str,
    reason: Error,
}

/// What the user can do about it.
fn help(reason: &Error, key: &str) -> String {
    match reason.kind() {
        ErrorKind::AddrInUse => {
            format!("Choose another address for `{key}`, or end what uses it")
        }
        ErrorKind::AddrNotAvailable => {
            format!("Choose an address of this machine for `{key}`")
        }
        ErrorKind::PermissionDenied => format!(
            "Choose a port from 1024 on for `{key}`, or let the program have CAP_NET_BIND_SERVICE"
        ),
        _ => format!("Choose another address for `{key}`"),
    }
}

/// Binds an address. `key` is the key of the file that has the address, and `all` is every address that the process
/// listens on. From now on clients can connect, and wait to be accepted.
///
/// # Errors
///
/// Where the address is in use, does not belong to this machine, or is not allowed.
pub fn listen(
    address: SocketAddr,
    key: &'static str,
    all: &[SocketAddr],
) -> Result<TcpListener, ListenError> {
    bind(address, all).map_err(|reason| ListenError { address, key, reason })
}

/// Makes a socket that another process has bound like those that [`listen`] binds, as far as that can be done later.
///
/// # Errors
///
/// Where the socket does not take an option.
pub fn adopt(socket: &TcpListener) -> Result<(), Error> {
    set_options(&SockRef::from(socket))
}

fn bind(address: SocketAddr, all: &[SocketAddr]) -> Result<TcpListener, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // If this is not set, a setting of the machine decides.
        socket.set_only_v6(all.iter().any(|other| is_beside(*other, address)))?;
    }
    socket.set_reuse_address(true)?;
    set_options(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.cast_signed())?;
    Ok(socket.into())
}

fn set_options(socket: &Socket) -> Result<(), Error> {
    // Accepted connections inherit these options. Without the first, a small response could wait for the acknowledgement
    // of the one before. By the others, a peer that has vanished is noticed after two minutes, silent or written to.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_nonblocking(true)
}

/// Whether `other` is an IPv4 address with the port of `wildcard`. If so, the wildcard's socket would take its clients
/// too.
fn is_beside(other: SocketAddr, wildcard: SocketAddr) -> bool {
    let has_port = other.port() == wildcard.port() && other.port() != 0;
    has_port && other.ip().to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn at(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), port)
    }

    /// A port that is free for IPv4 and IPv6 now. Another process may take it first.
    fn free_port() -> u16 {
        let socket = listen(at("::", 0), "test", &[]).unwrap();
        socket.local_addr().unwrap().port()
    }

    #[test]
    fn all_addresses_of_both_kinds_go_together_in_any_order() {
        for order in [["0.0.0.0", "::"], ["::", "0.0.0.0"], ["127.0.0.1", "::"]] {
            let port = free_port();
            let all = order.map(|address| at(address, port));
            let sockets = all.map(|address| listen(address, "server.listen", &all).unwrap());
            for client in ["127.0.0.1", "::1"] {
                TcpStream::connect(at(client, port)).unwrap();
            }
            drop(sockets);
        }
    }

    #[test]
    fn every_address_of_ipv6_alone_has_those_of_ipv4_too() {
        let socket = listen(at("::", 0), "server.listen", &[at("::", 0), at("127.0.0.1", 0)]);
        let port = socket.as_ref().unwrap().local_addr().unwrap().port();
        TcpStream::connect(at("127.0.0.1", port)).unwrap();
    }

    #[test]
    fn accepted_connections_notice_that_their_peer_has_vanished() {
        let socket = listen(at("127.0.0.1", 0), "test", &[]).unwrap();
        let _client = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(false).unwrap();
        let (accepted, _) = socket.accept().unwrap();
        let accepted = socket2::SockRef::from(&accepted);
        assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
    }

    #[test]
    fn an_error_says_what_to_do() {
        let taken = listen(at("127.0.0.1", 0), "admin.listen", &[]).unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address, "server.listen", &[]).unwrap_err().to_string();
        assert!(error.contains("`server.listen`, or end what uses it"), "{error}");
        let error = listen(at("192.0.2.1", 0), "server.listen", &[]).unwrap_err().to_string();
        assert!(error.contains("an address of this machine"), "{error}");
    }
}
