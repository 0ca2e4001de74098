//! Reads certificates and keys from PEM files, and says what is wrong with those that are none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::told;
use crate::config::{Digest, IdentitySpec};
use crate::transient::{advice, is_transient};
use crate::upstream::PrepareError;

/// The longest file that is read. Bundles of all public roots have 250 KB.
const LONGEST: u64 = 4 << 20;

/// The certificate that we show, and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// Of both files.
    pub digest: Digest,
}

/// What a file is to contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ca,
    Certificate,
    Key,
}

/// Reads our certificate and its key. Whether they fit is for rustls to say.
///
/// # Errors
///
/// Where a file cannot be read, or contains something else.
pub fn identity(files: &IdentitySpec) -> Result<Identity, PrepareError> {
    let (chain, of_chain) = certificates(&files.certificate, Kind::Certificate)?;
    let text = read(&files.key, Kind::Key)?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| Kind::Key.bad(&files.key, what_is(&text, Kind::Key)))?;
    let digest = Digest::of(format!("{of_chain} {}", Digest::of(&text)));
    Ok(Identity { chain, key, digest })
}

/// Reads the certificates of a file, at least one, and the digest of the file.
///
/// # Errors
///
/// Where the file cannot be read, or contains something else.
pub fn certificates(
    file: &Path,
    kind: Kind,
) -> Result<(Vec<CertificateDer<'static>>, Digest), PrepareError> {
    let text = read(file, kind)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok((found, Digest::of(&text))),
        Ok(_) => Err(kind.bad(file, what_is(&text, kind))),
        Err(error) => Err(kind.bad(file, &format!("is not valid PEM: {error}"))),
    }
}

/// Why rustls does not take our certificate with its key.
pub fn unfit(error: &rustls::Error, files: &IdentitySpec) -> PrepareError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let why = format!("does not belong to {}", files.certificate.display());
            Kind::Key.bad(&files.key, &why)
        }
        rustls::Error::InvalidCertificate(why) => {
            Kind::Certificate.bad(&files.certificate, &told::certificate(why))
        }
        _ => Kind::Key.bad(&files.key, &format!("cannot be used: {error}")),
    }
}

fn read(file: &Path, kind: Kind) -> Result<Vec<u8>, PrepareError> {
    let mut text = Vec::new();
    // A pipe that nobody writes to must not hold a thread for ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let read = OpenOptions::new().read(true).custom_flags(flags).open(file).and_then(|opened| {
        is_file(&opened)?;
        opened.take(LONGEST + 1).read_to_end(&mut text)
    });
    match read {
        Ok(_) if text.len() as u64 > LONGEST => Err(kind.bad(file, "is longer than 4 MiB")),
        Ok(_) => Ok(text),
        Err(error) if is_transient(&error) => Err(PrepareError::Passing {
            is_key: kind == Kind::Key,
            detail: format!("{} cannot be read: {error}", file.display()),
            advice: advice(&error),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(kind.bad(file, "is not there"))
        }
        Err(error) => Err(kind.bad(file, &format!("cannot be read: {error}"))),
    }
}

fn is_file(opened: &File) -> io::Result<()> {
    match opened.metadata()?.file_type() {
        it if it.is_file() => Ok(()),
        it if it.is_dir() => Err(io::Error::other("it is a directory")),
        _ => Err(io::Error::other("it is not a file")),
    }
}

/// What a file contains where it is not what it should be.
fn what_is(text: &[u8], kind: Kind) -> &'static str {
    let has = |what: &str| memchr::memmem::find(text, what.as_bytes()).is_some();
    let is_empty = text.iter().all(u8::is_ascii_whitespace);
    match kind {
        _ if is_empty => "is empty",
        _ if text.first() == Some(&0x30) => {
            "is DER, and PEM is needed: convert it with `openssl … -inform der`"
        }
        Kind::Key if has("ENCRYPTED") => {
            "is encrypted: store it without a passphrase, readable for nobody else"
        }
        Kind::Key if has("BEGIN CERTIFICATE") => "is a certificate, and no key",
        Kind::Key => "has no PEM key (PKCS#8, PKCS#1 or SEC1)",
        Kind::Ca | Kind::Certificate if has("PRIVATE KEY") => "is a key, and no certificate",
        Kind::Ca | Kind::Certificate => "has no PEM certificate",
    }
}

impl Kind {
    fn bad(self, file: &Path, why: &str) -> PrepareError {
        let detail = format!("{} {why}", file.display());
        match self {
            Self::Ca | Self::Certificate => PrepareError::BadCertificate(detail),
            Self::Key => PrepareError::BadKey(detail),
        }
    }
}
