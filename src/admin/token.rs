//! The tokens that open the admin listener, and the file that holds them.

mod line;

use std::io::{self, ErrorKind::InvalidData};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::access::Access;
use super::session::{SessionSecret, Sessions};
use crate::api::Role;
use crate::secret::SecretDigest;
use crate::source::{ReadError, read_file};
use line::{Line, WrongLine};

/// Bytes of the largest token file.
const LARGEST: u64 = 64 << 10;

/// How long a request waits for the file to be read. A file system that does not answer must not keep the listener from
/// answering.
const PATIENCE: Duration = Duration::from_secs(1);

/// The token file does not hold tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read `token-file` {path}: {reason}")]
    Unreadable { path: String, reason: std::io::Error },
    #[error("`token-file` {path} is not a regular file")]
    NotAFile { path: String },
    #[error("`token-file` {path} is larger than {} KiB", LARGEST >> 10)]
    TooLarge { path: String },
    #[error(
        "`token-file` {path} is empty: write a long random text into it, for example with `openssl rand -hex 32`"
    )]
    Empty { path: String },
    #[error("`token-file` {path}: {wrong}")]
    Wrong { path: String, wrong: WrongLine },
}

/// What a client sends to present a token of a file: the first token of an operator, or else the first one.
///
/// # Errors
///
/// Where the file cannot be read or does not hold tokens.
pub fn client_token(path: &Path) -> Result<String, TokenError> {
    let mut lines = read(path)?;
    let operator = lines.iter().position(|line| line.role == Role::Operator);
    Ok(lines.swap_remove(operator.unwrap_or_default()).token)
}

/// The lines of a file. There is at least one.
fn read(path: &Path) -> Result<Vec<Line>, TokenError> {
    let shown = || path.display().to_string();
    let unreadable = |reason| TokenError::Unreadable { path: shown(), reason };
    let bytes = read_file(path, LARGEST).map_err(|error| match error {
        ReadError::Directory | ReadError::NotRegular => TokenError::NotAFile { path: shown() },
        ReadError::TooLarge { .. } => TokenError::TooLarge { path: shown() },
        ReadError::Io(error) => unreadable(error),
    })?;
    let not_utf8 = |_| unreadable(io::Error::new(InvalidData, "it is not UTF-8"));
    let text = String::from_utf8(bytes).map_err(not_utf8)?;
    let lines = line::lines(&text).map_err(|wrong| TokenError::Wrong { path: shown(), wrong })?;
    if lines.is_empty() { Err(TokenError::Empty { path: shown() }) } else { Ok(lines) }
}

/// The tokens of a file, kept as their digests, and what each opens.
#[derive(Debug, PartialEq, Eq)]
struct Tokens(Vec<(SecretDigest, Access)>);

impl Tokens {
    fn read(path: &Path) -> Result<Self, TokenError> {
        let tokens = read(path)?.into_iter().map(|Line { role, token, name }| {
            (SecretDigest::of(token), Access { role, name: name.map(Into::into) })
        });
        Ok(Self(tokens.collect()))
    }

    /// What a token opens. All are compared, so that an answer does not tell by its time which one it was.
    fn access(&self, token: &SecretDigest) -> Option<&Access> {
        self.0.iter().fold(None, |found, (known, access)| match known == token {
            true => Some(access),
            false => found,
        })
    }
}

/// The tokens as their file has them now, and the sessions that they have begun. A file that is gone, empty or wrong
/// changes nothing: the last good tokens stay in force, and the log says so.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: Arc<Path>,
    known: Arc<Mutex<Known>>,
    /// Held while the file is read, so that there is at most one reader.
    reading: Arc<tokio::sync::Mutex<()>>,
    sessions: Sessions,
}

/// What is known about the file.
#[derive(Debug)]
struct Known {
    tokens: Tokens,
    /// Why the file does not give tokens.
    fault: Option<String>,
}

impl TokenFile {
    /// Reads the tokens, which must be there when the process starts.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or does not hold tokens.
    pub fn open(path: PathBuf) -> Result<Self, TokenError> {
        let known = Known { tokens: Tokens::read(&path)?, fault: None };
        let (path, known) = (path.into(), Arc::new(Mutex::new(known)));
        Ok(Self { path, known, reading: Arc::default(), sessions: Sessions::default() })
    }

    /// What `sent` opens, if it is a token. A wrong token may be the next right one, so the file is read again before
    /// the answer.
    pub async fn admits(&self, sent: &str) -> Option<Access> {
        let sent = SecretDigest::of(sent.trim());
        if let Some(access) = self.access(&sent) {
            return Some(access);
        }
        self.look().await;
        self.access(&sent)
    }

    /// Whether `sent` is a token, as far as the file is known.
    pub fn knows(&self, sent: &str) -> bool {
        self.access(&SecretDigest::of(sent.trim())).is_some()
    }

    /// Begins a session of a token.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness.
    pub fn begin_session(&self, token: &str) -> Result<SessionSecret, rand::rngs::SysError> {
        self.sessions.begin(SecretDigest::of(token.trim()), Instant::now())
    }

    /// What a session opens, if there is one: what its token does by now.
    pub fn of_session(&self, secret: &SessionSecret) -> Option<Access> {
        let token = self.sessions.token(secret, Instant::now())?;
        self.access(&token)
    }

    /// Ends a session, if there is one.
    pub fn end_session(&self, secret: &SessionSecret) {
        self.sessions.end(secret);
    }

    /// Why the last good tokens are in force although the file does not have them; `None` if the file has them.
    pub fn fault(&self) -> Option<String> {
        self.known().fault.clone()
    }

    /// Reads the file again.
    pub async fn look(&self) {
        let this = self.clone();
        let read = async move {
            let one_reader = this.reading.clone().lock_owned().await;
            let look = move || {
                this.note(Tokens::read(&this.path));
                drop(one_reader);
            };
            tokio::task::spawn_blocking(look).await
        };
        match timeout(PATIENCE, read).await {
            Ok(Ok(())) => {}
            Ok(Err(panicked)) => self.fail(format!("reading the token file failed: {panicked}")),
            Err(_) => {
                let path = self.path.display();
                self.fail(format!(
                    "`token-file` {path} cannot be read: its file system does not answer"
                ));
            }
        }
    }

    fn note(&self, read: Result<Tokens, TokenError>) {
        match read {
            Ok(tokens) => {
                let mut known = self.known();
                if known.tokens != tokens || known.fault.is_some() {
                    tracing::info!("the tokens of the admin listener are what its file says now");
                }
                self.sessions.keep(|token| tokens.access(token).is_some());
                *known = Known { tokens, fault: None };
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn fail(&self, fault: String) {
        let mut known = self.known();
        if known.fault.as_ref() != Some(&fault) {
            tracing::error!("the admin listener keeps its last tokens: {fault}");
        }
        known.fault = Some(fault);
    }

    fn access(&self, token: &SecretDigest) -> Option<Access> {
        self.known().tokens.access(token).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
