//! The certificates of the listener, by the names that they are for.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates that clients get now. Clones are the same; handshakes that begin after a [`Self::replace`] see the
/// new table.
#[derive(Clone, Debug, Default)]
pub struct Certificates(Arc<ArcSwap<CertificateTable>>);

/// Certificates in the order of the configuration.
#[derive(Debug, Default)]
pub struct CertificateTable {
    all: Vec<Arc<Certificate>>,
    exact: Names,
    /// By what follows `*.`.
    wildcard: Names,
}

/// The certificates for each name, in the order of the configuration: of RSA and of ECDSA, for example.
type Names = HashMap<Box<str>, Vec<Arc<Certificate>>>;

/// One certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    /// In lower case: names, wildcards, and addresses as they are written in URLs without brackets.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Certificates {
    /// The certificates of a table.
    pub fn new(table: CertificateTable) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// Has all handshakes from now on use another table.
    pub fn replace(&self, table: CertificateTable) {
        self.0.store(Arc::new(table));
    }

    /// The present table.
    pub fn table(&self) -> Arc<CertificateTable> {
        self.0.load_full()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let table = self.0.load();
        let fits =
            |certificate: &&Arc<Certificate>| certificate.key.key.choose_scheme(schemes).is_some();
        let mut candidates = table.candidates(hello.server_name()).iter();
        // A client that can verify none of them is told so by rustls.
        let chosen = candidates.clone().find(fits).or_else(|| candidates.next())?;
        Some(chosen.key.clone())
    }
}

impl CertificateTable {
    /// A table of certificates, each with the names that it is for. Where several are for the same name, a client gets the
    /// first one whose signatures it understands. The first of all is for every client that asks for no name, or for one
    /// that no certificate has.
    pub fn new(certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>) -> Self {
        let mut table = Self::default();
        for (mut names, key) in certificates {
            names.iter_mut().for_each(|name| name.make_ascii_lowercase());
            let certificate = Arc::new(Certificate { names, key });
            for name in &certificate.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut table.wildcard, suffix),
                    None => (&mut table.exact, name.as_str()),
                };
                names.entry(name.into()).or_default().push(certificate.clone());
            }
            table.all.push(certificate);
        }
        table
    }

    /// Whether a certificate is for this host name or address: not only because it is the first.
    pub fn covers(&self, host: &str) -> bool {
        self.named(&host.to_ascii_lowercase()).is_some()
    }

    /// The certificate that a client gets that asks for `name`.
    pub fn find(&self, name: Option<&str>) -> Option<&Arc<Certificate>> {
        self.candidates(name).first()
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<Certificate>] {
        // Some clients send the dot of an absolute name, which is not allowed (RFC 6066, section 3), and harmless.
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        let named = name.and_then(|name| self.named(&name.to_ascii_lowercase()));
        named.or_else(|| self.all.get(..1)).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Option<&[Arc<Certificate>]> {
        let found = self.exact.get(name).or_else(|| {
            let (_, suffix) = name.split_once('.')?;
            self.wildcard.get(suffix)
        });
        found.map(Vec::as_slice)
    }
}

impl Certificate {
    /// Whether it is for this host name or address. A wildcard is for names of exactly one label before its suffix ([RFC
    /// 9525, section 6.3](https://www.rfc-editor.org/rfc/rfc9525#section-6.3)).
    pub fn covers(&self, host: &str) -> bool {
        let suffix = host.split_once('.').map(|(_, suffix)| suffix);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(wildcard) => suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(wildcard)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_identity;
    use super::*;

    fn table(names: &[&[&str]]) -> CertificateTable {
        let named = |names: &&[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            (names, test_identity(&["any.example"]))
        };
        CertificateTable::new(names.iter().map(named).collect())
    }

    fn found(table: &CertificateTable, name: Option<&str>) -> usize {
        let found = table.find(name).unwrap();
        table.all.iter().position(|it| Arc::ptr_eq(it, found)).unwrap()
    }

    #[test]
    fn exact_comes_before_wildcard_and_the_first_is_for_everybody_else() {
        let table = table(&[
            &["default.example"],
            &["*.a.example", "a.example"],
            &["X.A.example"],
            &["x.a.example", "192.0.2.1"],
        ]);
        for (name, expected) in [
            (None, 0),
            (Some("default.example"), 0),
            (Some("unknown.example"), 0),
            (Some("localhost"), 0),
            (Some("a.example"), 1),
            (Some("A.example."), 1),
            (Some("."), 0),
            (Some("Y.a.Example"), 1),
            (Some("x.y.a.example"), 0),
            (Some(".a.example"), 1),
            (Some("x.a.example"), 2),
            (Some("192.0.2.1"), 3),
        ] {
            assert_eq!(found(&table, name), expected, "{name:?}");
        }
        for (name, is_covered) in [
            ("default.example", true),
            ("unknown.example", false),
            ("y.A.example", true),
            ("x.y.a.example", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("", false),
        ] {
            assert_eq!(table.covers(name), is_covered, "{name}");
            let one = table.all.iter().any(|certificate| certificate.covers(name));
            assert_eq!(one, is_covered, "{name}");
        }
    }

    #[test]
    fn a_table_without_certificates_has_none_for_anybody() {
        let table = CertificateTable::default();
        assert!(table.find(None).is_none() && table.find(Some("a.example")).is_none());
        assert!(!table.covers("a.example"));
    }
}
