//! What is wrong with a file that was to have a certificate or a key, and what to do about it.

use std::path::{Path, PathBuf};

use rustls::{CertificateError, Error, InconsistentKeys};

/// What a file is to contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Certificates of issuers that are trusted.
    Ca,
    /// A certificate, then those of its issuers.
    Certificate,
    Key,
}

/// A file that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {flaw}", file.display())]
pub struct BadFile {
    /// As the configuration names it, absolute.
    pub file: PathBuf,
    pub kind: Kind,
    pub flaw: Flaw,
}

/// Why a file cannot be used: what follows its name in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("is not there")]
    Missing,
    #[error("may not be read")]
    Denied,
    #[error("is a directory")]
    Directory,
    #[error("is a pipe, a socket or a device, and not a file")]
    NotRegular,
    #[error("is longer than {} MiB", most >> 20)]
    TooLong { most: u64 },
    #[error("cannot be read: {why}")]
    Unreadable { why: String },
    /// Says nothing of the file, and passes by itself.
    #[error("cannot be read for now: {why}")]
    Passing { why: String, advice: &'static str },
    #[error("is empty")]
    Empty,
    #[error("is DER, and PEM is needed")]
    Der,
    #[error("is encrypted")]
    Encrypted,
    #[error("ends in the middle of PEM")]
    CutOff,
    #[error("is not valid PEM: {why}")]
    BadPem { why: String },
    #[error("has no PEM certificate")]
    NoCertificate,
    #[error("has no PEM key (PKCS#8, PKCS#1 or SEC1)")]
    NoKey,
    #[error("is a key, and no certificate")]
    KeyInstead,
    #[error("is a certificate, and no key")]
    CertificateInstead,
    /// The certificate.
    #[error("{why}")]
    Unusable { why: String },
    /// The key.
    #[error("cannot be used: {why}")]
    UnusableKey { why: String },
    /// The key, where nothing more is known.
    #[error("has a kind, size or curve that is not taken, or is damaged")]
    UnknownKey,
    #[error("does not belong to {}", certificate.display())]
    Mismatch { certificate: PathBuf },
    #[error("has the certificate of the key as number {place}, and it is to be the first")]
    Order { place: usize },
}

impl BadFile {
    pub(super) fn new(file: &Path, kind: Kind, flaw: Flaw) -> Self {
        Self { file: file.to_owned(), kind, flaw }
    }

    /// Whether it says nothing of the file, and passes by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.flaw, Flaw::Passing { .. })
    }

    /// Whether somebody who is in the middle of replacing files leaves them like this for a moment.
    pub fn may_be_half_written(&self) -> bool {
        matches!(
            self.flaw,
            Flaw::Passing { .. }
                | Flaw::Missing
                | Flaw::Empty
                | Flaw::CutOff
                | Flaw::BadPem { .. }
                | Flaw::NoCertificate
                | Flaw::NoKey
                | Flaw::Mismatch { .. }
        )
    }

    /// What to do.
    pub fn help(&self) -> &'static str {
        match (&self.flaw, self.kind) {
            (Flaw::Passing { advice, .. }, _) => advice,
            (Flaw::Missing, _) => "create the file, or correct the path",
            (Flaw::Denied, _) => {
                "let the user that runs watershed read it, and every directory on the way to it"
            }
            (Flaw::Directory | Flaw::NotRegular | Flaw::TooLong { .. }, _) => {
                "give the path of the PEM file that you mean"
            }
            (Flaw::Unreadable { .. }, _) => "make it readable and try again",
            (Flaw::Empty | Flaw::CutOff, _) => "wait until it is written, or write it again",
            (Flaw::Der, Kind::Key) => "convert it with `openssl pkey -inform der -in FILE`",
            (Flaw::Der, _) => "convert it with `openssl x509 -inform der -in FILE`",
            (Flaw::Encrypted, _) => {
                "store it without a passphrase (`openssl pkey -in FILE`), readable for nobody else"
            }
            (Flaw::BadPem { .. }, _) => "write it again: a line of it is damaged",
            (Flaw::Mismatch { .. } | Flaw::UnusableKey { .. }, _) => {
                "put the key there that the certificate was made for: RSA with 2048 to 4096 bits, \
                 ECDSA P-256 or P-384, or Ed25519"
            }
            (Flaw::UnknownKey, _) => {
                "make a key of RSA with 2048 to 4096 bits, ECDSA P-256 or P-384, or Ed25519, and a \
                 certificate for it"
            }
            (Flaw::Order { .. }, _) => {
                "put the server's own certificate first, then those of its issuers"
            }
            (Flaw::NoKey | Flaw::CertificateInstead | Flaw::KeyInstead, Kind::Key) => {
                "give the path of the private key"
            }
            (Flaw::Unusable { .. } | Flaw::NoCertificate, _)
            | (Flaw::KeyInstead | Flaw::CertificateInstead | Flaw::NoKey, _) => {
                "give the path of the server's certificate, followed by those of its issuers"
            }
        }
    }

    /// Why rustls does not take a certificate with its key.
    pub fn unfit(error: &Error, certificate: &Path, key: &Path) -> Self {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let certificate = certificate.to_owned();
                Self::new(key, Kind::Key, Flaw::Mismatch { certificate })
            }
            Error::InvalidCertificate(why) => {
                Self::new(certificate, Kind::Certificate, Flaw::Unusable { why: told(why) })
            }
            Error::General(_) => Self::new(key, Kind::Key, Flaw::UnknownKey),
            other => Self::new(key, Kind::Key, Flaw::UnusableKey { why: other.to_string() }),
        }
    }
}

/// What is wrong with a certificate that nothing can be done with, as what follows its name.
pub fn told(error: &CertificateError) -> String {
    match error {
        // `openssl x509 -req` makes such certificates, and webpki names the reason in `Debug` only.
        CertificateError::Other(_) if format!("{error:?}").contains("UnsupportedCertVersion") => {
            "is not of version 3 of X.509: sign it with `-extfile`, where openssl does".to_owned()
        }
        CertificateError::BadEncoding => "cannot be read".to_owned(),
        other => format!("is not to be trusted: {other}"),
    }
}
