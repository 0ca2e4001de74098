//! What the two processes say to each other. They may be of different releases: members and messages
//! that one does not know are ignored.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// Requests in cleartext.
    Proxy,
    /// Requests over TLS.
    Tls,
    /// The admin listener.
    Admin,
    /// One that this release does not have, or that nobody named.
    #[serde(other)]
    Unknown,
}

/// What is said of a socket that passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketLabel {
    pub door: Door,
    /// The address in the file that it was bound for; `None` if whoever started the process gave it.
    pub written: Option<SocketAddr>,
}

/// A socket that passes over.
#[derive(Debug)]
pub struct Given {
    pub label: SocketLabel,
    pub socket: TcpListener,
}

/// What a predecessor says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum ToSuccessor {
    /// Listening sockets, which come beside the message in this order.
    Sockets {
        sockets: Vec<SocketLabel>,
        /// Whether another such message follows.
        more: bool,
    },
    /// The successor's turn: nothing is published any more.
    TakeOver {
        /// The last generation that was served.
        generation: u64,
        /// Whether there was a history, which is closed now.
        has_history: bool,
        /// The format of what the process remembers, which is in the file that comes beside the message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<u32>,
        /// Whether the predecessor says once it has [stopped](Self::Stopped).
        #[serde(default)]
        says_stopped: bool,
    },
    /// The predecessor accepts no more connections where the successor listens.
    Stopped,
    /// Somebody has told the predecessor of an edit, which the successor serves.
    Edit {
        /// Who has edited what, as whoever reads the files knows it.
        by: serde_json::Value,
    },
    #[serde(other)]
    Unknown,
}

/// What a successor says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum ToPredecessor {
    /// It makes its versions ready: so many of so many are.
    Preparing { done: usize, all: usize },
    /// It waits for its turn.
    Ready(Readiness),
    /// It serves: the predecessor should accept no more connections, but at these addresses, which
    /// the successor does not listen on.
    Serving {
        left: Vec<SocketAddr>,
        /// What it serves; 0 where it does not say.
        #[serde(default)]
        generation: u64,
    },
    /// It cannot take over, and ends.
    Failed { why: String },
    /// It ends on purpose, or has a successor itself: whatever comes, nobody should step in for it.
    Parting,
    #[serde(other)]
    Unknown,
}

/// What a successor would serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Services that have no normal version for traffic that they should have, as
    /// `ENVIRONMENT/SERVICE`, each with a reason.
    pub unready: Vec<(String, String)>,
    /// Files that are wrong, and so not served.
    pub rejected: Vec<PathBuf>,
    /// Where its admin listener is.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
}
