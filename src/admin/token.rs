//! The secret that opens the admin listener.

use std::path::Path;

use sha2::{Digest, Sha256};

/// A token, kept as its digest: comparing digests takes the same time whatever was sent.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// The token file does not hold a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read `token-file` {path}: {reason}")]
    Unreadable { path: String, reason: std::io::Error },
    #[error(
        "`token-file` {path} is empty: write a long random text into it, for example with `openssl rand -hex 32`"
    )]
    Empty { path: String },
}

impl Token {
    /// The token in a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds nothing.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Ok(Self(Sha256::digest(Self::text(path)?).into()))
    }

    /// What to send to whoever wants the token in a file: its text, without the white space around
    /// it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or holds nothing.
    pub fn text(path: &Path) -> Result<String, TokenError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|reason| TokenError::Unreadable { path: shown.clone(), reason })?;
        match text.trim() {
            "" => Err(TokenError::Empty { path: shown }),
            token => Ok(token.to_owned()),
        }
    }

    /// Whether `sent` is the token.
    pub fn is(&self, sent: &str) -> bool {
        let sent: [u8; 32] = Sha256::digest(sent.trim()).into();
        sent == self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
