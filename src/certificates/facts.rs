//! What a certificate says of itself: whose it is, who signed it, and for how long.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::Validity;
use super::x509::Certificate;

/// What the server's own certificate says, and how the others of its file fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The hosts that it is for: names in lower case, `*.` before a name that stands for all names one level below it, and
    /// addresses.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    pub not_before: SystemTime,
    /// From then on clients refuse it.
    pub not_after: SystemTime,
    /// What clients will not like about the file, although it can be served.
    pub doubt: Option<Doubt>,
}

/// What clients will not like about a certificate, whatever the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("names no host (`subjectAltName`), and browsers look at nothing else")]
    NoNames,
    #[error("does not contain the issuer's certificate, which clients need to trust it")]
    NoIssuer,
    #[error("does not have its certificates in the order in which they sign one another")]
    Order,
}

impl Doubt {
    /// What to do.
    pub fn help(self) -> &'static str {
        match self {
            Self::NoNames => "have it made anew with `-addext subjectAltName=DNS:www.example.com`",
            Self::NoIssuer => "name the file with the whole chain: of certbot, `fullchain.pem`",
            Self::Order => {
                "put the server's certificate first, and each issuer after what it signed"
            }
        }
    }
}

impl Facts {
    /// `None` where the first certificate cannot be read.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (own, issuers) = chain.split_first()?;
        let own = Certificate::read(own)?;
        let doubt = match own.names.is_empty() {
            true => Some(Doubt::NoNames),
            false => doubt(&own, issuers),
        };
        let issuer = match own.issuer == own.subject {
            true => "itself".to_owned(),
            false => own.issuer.short(),
        };
        let Certificate { names, not_before, not_after, .. } = own;
        Some(Self { names, issuer, not_before, not_after, doubt })
    }

    /// Which of these names, perhaps of another certificate, it is not for.
    pub(super) fn uncovered(&self, names: &[String]) -> Vec<String> {
        let is_own = |name: &str| self.names.iter().any(|own| own == name);
        let is_covered = |name: &str| {
            let above = name.split_once('.').map(|(_, above)| format!("*.{above}"));
            is_own(name) || above.is_some_and(|above| is_own(&above))
        };
        names.iter().filter(|name| !is_covered(name)).cloned().collect()
    }

    /// How the certificate stands at a moment.
    pub fn validity(&self, now: SystemTime) -> Validity {
        Validity::of(self.not_before, self.not_after, now)
    }
}

/// The place of the certificate whose public key this is, counted from 0.
pub(super) fn place_of(key: &[u8], chain: &[CertificateDer<'_>]) -> Option<usize> {
    chain.iter().position(|it| Certificate::read(it).is_some_and(|it| it.key == key))
}

fn doubt(own: &Certificate, issuers: &[CertificateDer<'_>]) -> Option<Doubt> {
    // Authorities that the public trusts say where their certificate is; one's own, which clients know, do not.
    if issuers.is_empty() && own.names_issuer_file {
        return Some(Doubt::NoIssuer);
    }
    let issuers: Option<Vec<_>> = issuers.iter().map(|it| Certificate::read(it)).collect();
    let issuers = issuers?;
    let signed = std::iter::once(own).chain(&issuers);
    let is_next = |(signed, issuer): (&Certificate, &Certificate)| signed.issuer == issuer.subject;
    (!signed.zip(&issuers).all(is_next)).then_some(Doubt::Order)
}
