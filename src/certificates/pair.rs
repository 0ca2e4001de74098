//! A certificate, with those of its issuers, and the key that belongs to it.

use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::Facts;
use super::facts::place_of;
use super::flaw::{BadFile, Flaw, Kind};
use super::pem::{private_key, read_certificates};
use crate::config::{CertificateFiles, Digest, Problem};

/// A certificate that a listener can show, since its key is here.
#[derive(Debug)]
pub struct Pair {
    pub certified: Arc<CertifiedKey>,
    pub facts: Facts,
    /// Of both files.
    content: Digest,
}

impl Pair {
    /// Reads both files, and sees whether they belong together. A pair that has expired is a pair: whether clients take it
    /// is for them to say.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, contains something else, or does not fit the other.
    pub fn load(files: &CertificateFiles) -> Result<Self, BadFile> {
        let (certificate, key) = (&files.certificate.path, &files.key.path);
        let (chain, of_chain) = read_certificates(certificate, Kind::Certificate)?;
        let (private, of_key) = private_key(key)?;
        let unfit = |error| BadFile::unfit(&error, certificate, key);
        let unreadable = || unfit(Error::InvalidCertificate(rustls::CertificateError::BadEncoding));
        let facts = Facts::of(&chain).ok_or_else(unreadable)?;
        let certified = CertifiedKey::new(chain, any_supported_type(&private).map_err(unfit)?);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(error) => return Err(misplaced(files, &certified).unwrap_or_else(|| unfit(error))),
        }
        let content = Digest::of(format!("{of_chain} {of_key}"));
        Ok(Self { certified: Arc::new(certified), facts, content })
    }

    /// The digest of both files: pairs with the same one are the same.
    pub fn content(&self) -> Digest {
        self.content
    }
}

/// A file that has the right certificate in the wrong place.
fn misplaced(files: &CertificateFiles, certified: &CertifiedKey) -> Option<BadFile> {
    let place =
        place_of(&certified.key.public_key()?, &certified.cert).filter(|place| *place > 0)?;
    let flaw = Flaw::Order { place: place + 1 };
    Some(BadFile::new(&files.certificate.path, Kind::Certificate, flaw))
}

/// What is wrong with a pair as a problem of the configuration, where it names the bad file.
pub fn problem_of(files: &CertificateFiles, bad: &BadFile) -> Problem {
    let (what, named) = match bad.kind {
        Kind::Ca | Kind::Certificate => ("the certificate", &files.certificate),
        Kind::Key => ("the key", &files.key),
    };
    let problem = named.problem(format!("{what} {bad}"), bad.help());
    Problem { is_transient: bad.is_transient(), ..problem }
}
