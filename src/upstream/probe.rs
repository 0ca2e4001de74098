//! Whether the targets of an upstream answer, before a version with them gets traffic. A connection is all that is tried,
//! from the machine of whoever asks: the process that serves may see another network, so what is found is a warning, and
//! keeps only those from traffic whose every target is silent.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{TargetAddress, show_duration};

/// How long a target may take, its name's look-up included. A resolver that hangs takes no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Targets that are tried at once.
const AT_ONCE: usize = 64;

/// A target to which no connection can be made from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    target: TargetAddress,
    why: String,
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not answer from here: {}", self.target, self.why)
    }
}

/// The targets that do not answer, in the order in which they are given.
///
/// # Errors
///
/// Where the system refuses what trying needs.
pub fn silent(targets: &[TargetAddress]) -> io::Result<Vec<Silent>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let silent = runtime.block_on(async {
        let mut silent = Vec::new();
        for some in targets.chunks(AT_ONCE) {
            silent.extend(try_all(some).await);
        }
        silent
    });
    // A look-up that hangs holds a thread, which nobody waits for.
    runtime.shutdown_background();
    Ok(silent)
}

async fn try_all(targets: &[TargetAddress]) -> Vec<Silent> {
    let mut attempts = JoinSet::new();
    for (index, target) in targets.iter().cloned().enumerate() {
        attempts.spawn(async move { (index, attempt(target).await) });
    }
    let mut found = attempts.join_all().await;
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().filter_map(|(_, silent)| silent).collect()
}

async fn attempt(target: TargetAddress) -> Option<Silent> {
    let connection = TcpStream::connect((target.host(), target.port()));
    let why = match timeout(PATIENCE, connection).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {}", show_duration(PATIENCE)),
    };
    Some(Silent { target, why })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn those_that_take_no_connection_are_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = TargetAddress::Address(listener.local_addr().unwrap());
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            TargetAddress::Address(gone.local_addr().unwrap())
        };
        let unknown = TargetAddress::Name("no-such-host.invalid".to_owned(), 80);
        let silent = silent(&[unknown.clone(), open, closed.clone()]).unwrap();
        let targets: Vec<_> = silent.iter().map(|it| &it.target).collect();
        assert_eq!(targets, [&unknown, &closed]);
        let told = silent[1].to_string();
        assert!(told.starts_with(&format!("{closed} does not answer from here: ")), "{told}");
    }
}
