//! The secret that opens the admin listener, and the file that holds it.

use std::io::{self, ErrorKind::InvalidData};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::secret::SecretDigest;
use crate::source::{ReadError, read_file};

/// Bytes of the largest token file.
const LARGEST: u64 = 64 << 10;

/// How long a request waits for the file to be read. A file system that does not answer must not keep the listener from
/// answering.
const PATIENCE: Duration = Duration::from_secs(1);

/// A token, kept as its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(SecretDigest);

/// The token file does not hold a token.
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
    #[error(
        "`token-file` {path} does not hold one token: write one line into it, of visible ASCII without spaces, for example with `openssl rand -hex 32`"
    )]
    Unsendable { path: String },
}

impl Token {
    /// The token in a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds nothing.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Ok(Self(SecretDigest::of(Self::text(path)?)))
    }

    /// What a client sends to present the token in a file: its text, without the white space around it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds nothing.
    pub fn text(path: &Path) -> Result<String, TokenError> {
        let shown = || path.display().to_string();
        let unreadable = |reason| TokenError::Unreadable { path: shown(), reason };
        let bytes = read_file(path, LARGEST).map_err(|error| match error {
            ReadError::Directory | ReadError::NotRegular => TokenError::NotAFile { path: shown() },
            ReadError::TooLarge { .. } => TokenError::TooLarge { path: shown() },
            ReadError::Io(error) => unreadable(error),
        })?;
        let not_utf8 = |_| unreadable(io::Error::new(InvalidData, "it is not UTF-8"));
        let text = String::from_utf8(bytes).map_err(not_utf8)?;
        match text.trim() {
            "" => Err(TokenError::Empty { path: shown() }),
            token if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(TokenError::Unsendable { path: shown() })
            }
            token => Ok(token.to_owned()),
        }
    }

    /// Whether `sent` is the token.
    pub fn is(&self, sent: &str) -> bool {
        self.0.is(sent.trim())
    }
}

/// The token as its file has it now. A file that is gone, empty or unreadable changes nothing: the last good token
/// stays in force, and the log says so.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: Arc<Path>,
    known: Arc<Mutex<Known>>,
    /// Held while the file is read, so that there is at most one reader.
    reading: Arc<tokio::sync::Mutex<()>>,
}

/// What is known about the file.
#[derive(Debug)]
struct Known {
    token: Token,
    /// Why the file does not give a token.
    fault: Option<String>,
}

impl TokenFile {
    /// Reads the token, which must be there when the process starts.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds nothing.
    pub fn open(path: PathBuf) -> Result<Self, TokenError> {
        let known = Known { token: Token::read(&path)?, fault: None };
        let (path, known) = (path.into(), Arc::new(Mutex::new(known)));
        Ok(Self { path, known, reading: Arc::default() })
    }

    /// Whether `sent` opens the listener. A wrong token may be the next right one, so the file is read again before the
    /// answer.
    pub async fn admits(&self, sent: &str) -> bool {
        if self.known().token.is(sent) {
            return true;
        }
        self.look().await;
        self.known().token.is(sent)
    }

    /// Why the last good token is in force although the file does not have it; `None` if the file has it.
    pub fn fault(&self) -> Option<String> {
        self.known().fault.clone()
    }

    /// Reads the file again.
    pub async fn look(&self) {
        let this = self.clone();
        let read = async move {
            let one_reader = this.reading.clone().lock_owned().await;
            let look = move || {
                this.note(Token::read(&this.path));
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

    fn note(&self, read: Result<Token, TokenError>) {
        match read {
            Ok(token) => {
                let mut known = self.known();
                if known.token != token || known.fault.is_some() {
                    tracing::info!("the token of the admin listener is what its file says now");
                }
                *known = Known { token, fault: None };
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn fail(&self, fault: String) {
        let mut known = self.known();
        if known.fault.as_ref() != Some(&fault) {
            tracing::error!("the admin listener keeps its last token: {fault}");
        }
        known.fault = Some(fault);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn the_token_is_what_the_file_says_now() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "first\n").unwrap();
        let file = TokenFile::open(path.clone()).unwrap();
        assert!(file.admits("first").await && !file.admits("second").await);
        fs::write(&path, "second").unwrap();
        // A client with the new token need not wait.
        assert!(file.admits("second").await && !file.admits("first").await);
        assert_eq!(file.fault(), None);
    }

    #[tokio::test]
    async fn nothing_opens_the_listener_while_the_file_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "first").unwrap();
        let file = TokenFile::open(path.clone()).unwrap();
        type Break = fn(&Path);
        let breaks: [(&str, Break); 7] = [
            ("is empty", |path| fs::write(path, " \n").unwrap()),
            ("one token", |path| fs::write(path, "first\nsecond\n").unwrap()),
            ("one token", |path| fs::write(path, "caf\u{e9}").unwrap()),
            ("larger than 64 KiB", |path| fs::write(path, "x".repeat(70_000)).unwrap()),
            ("UTF-8", |path| fs::write(path, [0xff, 0xfe]).unwrap()),
            ("cannot read", |path| fs::remove_file(path).unwrap()),
            ("not a regular file", |path| fs::create_dir(path).unwrap()),
        ];
        for (fault, destroy) in breaks {
            destroy(&path);
            file.look().await;
            assert!(file.fault().is_some_and(|told| told.contains(fault)), "{:?}", file.fault());
            assert!(!file.admits("").await && !file.admits("other").await, "{fault}");
            assert!(file.admits("first").await, "{fault}");
        }
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "third").unwrap();
        assert!(file.admits("third").await && !file.admits("first").await);
        assert_eq!(file.fault(), None);
    }
}
