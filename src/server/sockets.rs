//! The sockets that the process listens on: given by the process before or by systemd, or bound.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::config::Config;
use crate::proxy::Https;
use crate::restart::{Door, Given, SocketLabel};
use crate::transport::tls::Certificates;
use crate::transport::{ListenError, adopt, listen};

/// One that is listened on.
#[derive(Debug)]
struct Listening {
    label: SocketLabel,
    socket: TcpListener,
}

/// The listeners, open before anything else so that an address in use is reported at once.
#[derive(Debug)]
pub(super) struct Sockets(Vec<Listening>);

impl Sockets {
    /// Opens what the configuration wants. Sockets that were given for it are taken, others are bound. Beside it: the
    /// addresses of sockets that were given, and are not wanted.
    ///
    /// A socket that nobody has written an address for stands for all addresses of its kind.
    ///
    /// # Errors
    ///
    /// Where an address cannot be bound.
    pub fn open(
        config: &Config,
        mut given: Vec<Given>,
    ) -> Result<(Self, Vec<SocketAddr>), ListenError> {
        let doors = doors(config);
        let all: Vec<_> = doors.iter().flat_map(|(_, _, addresses)| addresses.clone()).collect();
        let mut open = Vec::new();
        for (door, key, addresses) in doors {
            let label = |written| SocketLabel { door, written };
            // A kind that the files do not want has no use for a socket.
            let is_wanted = |it: &mut Given| it.label == label(None) && !addresses.is_empty();
            let passed: Vec<_> = given.extract_if(.., is_wanted).collect();
            if !passed.is_empty() {
                open.extend(passed.into_iter().map(Listening::from));
                continue;
            }
            for address in addresses {
                let label = label(Some(address));
                let socket = match take(&mut given, label, address) {
                    Some(socket) => socket,
                    None => listen(address, key, &all)?,
                };
                open.push(Listening { label, socket });
            }
        }
        for Listening { socket, .. } in &open {
            if let Err(error) = adopt(socket) {
                tracing::warn!("a socket that was given is used as it is: {error}");
            }
        }
        let left = given.iter().filter_map(|given| given.socket.local_addr().ok()).collect();
        Ok((Self(open), left))
    }

    /// Those of a kind, each once more.
    ///
    /// # Errors
    ///
    /// Where the process may open no more descriptors.
    pub fn of(&self, door: Door) -> io::Result<Vec<TcpListener>> {
        self.within(door).map(TcpListener::try_clone).collect()
    }

    fn within(&self, door: Door) -> impl Iterator<Item = &TcpListener> {
        self.0.iter().filter(move |it| it.label.door == door).map(|it| &it.socket)
    }

    fn addresses(&self, door: Door) -> impl Iterator<Item = SocketAddr> {
        self.within(door).filter_map(|socket| socket.local_addr().ok())
    }

    /// The port of cleartext, where it is spoken.
    pub fn port(&self) -> Option<u16> {
        self.addresses(Door::Proxy).next().map(|address| address.port())
    }

    /// The listener of HTTPS, where there is one, with these certificates.
    pub fn https(&self, certificates: Certificates) -> Option<Https> {
        let port = self.addresses(Door::Tls).next()?.port();
        let is_at_80 = self.addresses(Door::Proxy).any(|address| address.port() == 80);
        Some(Https { certificates, port, is_at_80 })
    }

    /// Where the admin listener is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.addresses(Door::Admin).next()
    }

    /// A line for each, for people.
    pub fn lines(&self) -> Vec<String> {
        let line = |before: &'static str| move |address| format!("{before}://{address}");
        let proxy = self.addresses(Door::Proxy).map(line("listening on http"));
        let tls = self.addresses(Door::Tls).map(line("listening on https"));
        let admin = self.addresses(Door::Admin).map(line("admin on http"));
        proxy.chain(tls).chain(admin).collect()
    }

    /// All of them, for the next process.
    pub fn into_handed(self) -> Vec<(SocketLabel, TcpListener)> {
        self.0.into_iter().map(|Listening { label, socket }| (label, socket)).collect()
    }
}

impl From<Given> for Listening {
    fn from(Given { label, socket }: Given) -> Self {
        Self { label, socket }
    }
}

/// What the configuration wants: of each kind, its key and its addresses.
fn doors(config: &Config) -> [(Door, &'static str, Vec<SocketAddr>); 3] {
    let tls = config.server.tls.as_ref().map(|tls| tls.listen.clone());
    [
        (Door::Proxy, "server.listen", config.server.listen.clone()),
        (Door::Tls, "server.tls.listen", tls.unwrap_or_default()),
        (Door::Admin, "admin.listen", vec![config.admin.listen]),
    ]
}

/// Takes the socket that was bound for an address: for the same one of the same kind, or else for the same one that it
/// is now, whatever its kind. Bound a second time, it would be in use.
fn take(given: &mut Vec<Given>, label: SocketLabel, address: SocketAddr) -> Option<TcpListener> {
    let by_label = given.iter().position(|it| it.label == label);
    let is_there = |it: &Given| it.socket.local_addr().is_ok_and(|local| local == address);
    let place = by_label.or_else(|| given.iter().position(is_there))?;
    Some(given.remove(place).socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &[SocketAddr], admin: SocketAddr) -> Config {
        let mut config = crate::config::Config {
            server: Default::default(),
            admin: Default::default(),
            state: crate::config::StateSettings { directory: "/state".into() },
            components: crate::config::ComponentSettings { directory: "/components".into() },
            environments: Vec::new(),
            warnings: Vec::new(),
        };
        config.server.listen = listen.to_vec();
        config.admin.listen = admin;
        config
    }

    fn bound() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn given(door: Door, written: Option<SocketAddr>) -> (Given, SocketAddr) {
        let (socket, address) = bound();
        (Given { label: SocketLabel { door, written }, socket }, address)
    }

    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn what_was_bound_for_the_same_address_is_taken_and_the_rest_bound_or_left() {
        let any: SocketAddr = ANY.parse().unwrap();
        let (proxy, at) = given(Door::Proxy, Some(any));
        let (admin, admin_at) = given(Door::Admin, Some(any));
        let (gone, gone_at) = given(Door::Proxy, Some("127.0.0.2:1".parse().unwrap()));
        let config = config(&[any, any], any);
        let (sockets, left) = Sockets::open(&config, vec![gone, admin, proxy]).unwrap();
        let open: Vec<_> = sockets.addresses(Door::Proxy).collect();
        assert_eq!((open[0], open.len()), (at, 2));
        assert!(![at, admin_at, gone_at].contains(&open[1]), "it is bound anew");
        assert_eq!(sockets.addresses(Door::Admin).collect::<Vec<_>>(), [admin_at]);
        assert_eq!(left, [gone_at]);
    }

    /// A listener may change its kind, and an address that was chosen by the system may be written by now.
    #[test]
    fn an_address_that_somebody_listens_on_is_not_bound_again() {
        let any: SocketAddr = ANY.parse().unwrap();
        let (admin, at) = given(Door::Admin, Some(any));
        let (proxy, proxy_at) = given(Door::Proxy, Some(any));
        let config = config(&[at], proxy_at);
        let (sockets, left) = Sockets::open(&config, vec![admin, proxy]).unwrap();
        assert_eq!(sockets.port(), Some(at.port()));
        assert_eq!(sockets.addresses(Door::Admin).collect::<Vec<_>>(), [proxy_at]);
        assert_eq!(left, []);
    }

    #[test]
    fn a_socket_that_systemd_has_named_stands_for_all_of_its_kind() {
        let any: SocketAddr = ANY.parse().unwrap();
        let ((one, first), (other, second)) = (given(Door::Proxy, None), given(Door::Proxy, None));
        let (unknown, unknown_at) = given(Door::Unknown, None);
        let config = config(&["192.0.2.1:80".parse().unwrap()], any);
        let (sockets, left) = Sockets::open(&config, vec![one, other, unknown]).unwrap();
        assert_eq!(sockets.addresses(Door::Proxy).collect::<Vec<_>>(), [first, second]);
        assert_eq!(left, [unknown_at]);
        let handed = sockets.into_handed();
        assert_eq!(handed[0].0, SocketLabel { door: Door::Proxy, written: None });
        assert_eq!(handed.len(), 3);
    }
}
