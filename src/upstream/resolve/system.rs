//! Asks the resolver of the system.

use std::io;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use super::Answer;

/// Who knows names.
#[derive(Debug, Default)]
pub enum Resolver {
    #[default]
    System,
    #[cfg(test)]
    Played(super::tests::Played),
}

impl Resolver {
    /// The addresses of a name. The thread that is asked may hang; the caller decides how long it waits.
    pub async fn find(&self, name: &str) -> Answer {
        match self {
            Self::System => {
                let name = name.to_owned();
                let found = tokio::task::spawn_blocking(move || ask(&name)).await;
                found.unwrap_or_else(|stopped| Err(format!("the lookup was given up: {stopped}")))
            }
            #[cfg(test)]
            Self::Played(played) => played.find(name).await,
        }
    }
}

fn ask(name: &str) -> Answer {
    let found = (name, 0).to_socket_addrs().map_err(|error| reason(&error))?;
    let mut ips: Vec<_> = found.map(|address| address.ip().to_canonical()).collect();
    // Resolvers turn their answers round and round, which is no change.
    ips.sort_unstable();
    ips.dedup();
    let (reachable, others): (Vec<_>, Vec<_>) = ips.into_iter().partition(has_route);
    match (reachable.is_empty(), others.is_empty()) {
        (false, _) => Ok(reachable),
        (true, false) => Ok(others),
        (true, true) => Err("it has no address".to_owned()),
    }
}

/// Whether this machine has a route to an address. Many names have IPv6 addresses, and many machines no IPv6: half of all
/// connections would fail. Nothing is sent.
fn has_route(ip: &IpAddr) -> bool {
    let any: (IpAddr, u16) = match ip {
        IpAddr::V4(_) => ([0, 0, 0, 0].into(), 0),
        IpAddr::V6(_) => ([0_u16; 8].into(), 0),
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect((*ip, 9))).is_ok()
}

/// What the resolver says, without the words of the standard library around it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}
