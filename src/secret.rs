//! Secrets that are compared with what strangers send: kept as digests, and compared here only.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a secret. Comparing takes the same time wherever two secrets differ, and however
/// long they are but for the digest of what was sent.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Of a secret's text.
    pub fn of(secret: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether somebody has sent the secret.
    pub fn is(&self, sent: impl AsRef<[u8]>) -> bool {
        *self == Self::of(sent)
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretDigest {}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_and_nothing_else() {
        let secret = SecretDigest::of("open sesame");
        assert!(secret.is("open sesame") && secret == secret.clone());
        for other in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert!(!secret.is(other) && secret != SecretDigest::of(other), "{other:?}");
        }
        assert_eq!(format!("{secret:?}"), "SecretDigest(…)");
    }
}
