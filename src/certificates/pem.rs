//! Reads a PEM file, and says what it is where it is something else.

use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::flaw::{BadFile, Flaw, Kind};
use crate::config::Digest;
use crate::source::{ReadError, read_file};
use crate::transient::advice;

/// The longest file that is read, in bytes. Bundles of all public roots have 250 KB.
const LONGEST: u64 = 4 << 20;

/// A private key, and the digest of its file.
pub type PrivateKey = (PrivateKeyDer<'static>, Digest);

/// Reads the certificates of a file, at least one, and the digest of the file.
///
/// # Errors
///
/// Where the file cannot be read, or contains something else.
pub fn read_certificates(
    file: &Path,
    kind: Kind,
) -> Result<(Vec<CertificateDer<'static>>, Digest), BadFile> {
    let text = read(file, kind)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok((found, Digest::of(&text))),
        Ok(_) => Err(BadFile::new(file, kind, what_is(&text, kind))),
        Err(error) => Err(BadFile::new(file, kind, broken(error))),
    }
}

/// Reads the first private key of a file.
///
/// # Errors
///
/// Where the file cannot be read, or contains something else.
pub fn private_key(file: &Path) -> Result<PrivateKey, BadFile> {
    let text = read(file, Kind::Key)?;
    let bad = |flaw| BadFile::new(file, Kind::Key, flaw);
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok((key, Digest::of(&text))),
        Err(error) => Err(bad(match (what_is(&text, Kind::Key), error) {
            (Flaw::NoKey, PemError::NoItemsFound) => Flaw::NoKey,
            (Flaw::NoKey, error) => broken(error),
            (flaw, _) => flaw,
        })),
    }
}

fn read(file: &Path, kind: Kind) -> Result<Vec<u8>, BadFile> {
    read_file(file, LONGEST).map_err(|error| BadFile::new(file, kind, unread(&error)))
}

fn unread(error: &ReadError) -> Flaw {
    if let Some(error) = error.transient() {
        return Flaw::Passing { why: error.to_string(), advice: advice(error) };
    }
    match error {
        ReadError::Directory => Flaw::Directory,
        ReadError::NotRegular => Flaw::NotRegular,
        ReadError::TooLarge { most } => Flaw::TooLong { most: *most },
        ReadError::Io(error) => match error.kind() {
            std::io::ErrorKind::NotFound => Flaw::Missing,
            std::io::ErrorKind::PermissionDenied => Flaw::Denied,
            _ => Flaw::Unreadable { why: error.to_string() },
        },
    }
}

/// What is wrong with text that begins as PEM.
fn broken(error: PemError) -> Flaw {
    match error {
        PemError::MissingSectionEnd { .. } => Flaw::CutOff,
        other => Flaw::BadPem { why: other.to_string() },
    }
}

/// What a file contains where it is not what it should be.
fn what_is(text: &[u8], kind: Kind) -> Flaw {
    let has = |what: &str| memchr::memmem::find(text, what.as_bytes()).is_some();
    let is_empty = text.iter().all(u8::is_ascii_whitespace);
    match kind {
        _ if is_empty => Flaw::Empty,
        _ if text.first() == Some(&0x30) => Flaw::Der,
        Kind::Key if has("ENCRYPTED") => Flaw::Encrypted,
        Kind::Key if has("BEGIN CERTIFICATE") && !has("PRIVATE KEY") => Flaw::CertificateInstead,
        Kind::Key => Flaw::NoKey,
        Kind::Ca | Kind::Certificate if has("PRIVATE KEY") => Flaw::KeyInstead,
        Kind::Ca | Kind::Certificate => Flaw::NoCertificate,
    }
}
