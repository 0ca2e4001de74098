//! Where clients on this machine reach hosts: over HTTPS where a certificate is for the host, or where there is no other
//! listener.

use super::tls::Certificates;

/// The ports that URLs leave out.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// The listeners, as URLs name them. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    http: Option<u16>,
    https: Option<(u16, Certificates)>,
}

impl Urls {
    /// Those of the port of cleartext, and of the port and the certificates of HTTPS.
    pub fn new(http: Option<u16>, https: Option<(u16, Certificates)>) -> Self {
        Self { http, https }
    }

    /// The URL of a host. It changes with the certificates.
    pub fn of(&self, host: &str) -> String {
        match (&self.https, self.http) {
            (Some((port, certificates)), http)
                if http.is_none() || certificates.table().covers(host) =>
            {
                url("https", HTTPS, host, *port)
            }
            (_, http) => url("http", HTTP, host, http.unwrap_or(HTTP)),
        }
    }
}

fn url(scheme: &str, default: u16, host: &str, port: u16) -> String {
    match port == default {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::{CertificateTable, test_identity};
    use super::*;

    #[test]
    fn a_host_with_a_certificate_is_reached_over_https() {
        let names = vec!["shop.localhost".to_owned(), "*.eu.localhost".to_owned()];
        let table = CertificateTable::new(vec![(names, test_identity(&["shop.localhost"]))]);
        let certificates = Certificates::new(table);
        let both = Urls::new(Some(8080), Some((8443, certificates.clone())));
        let usual = Urls::new(Some(80), Some((443, certificates.clone())));
        for (host, expected) in [
            ("shop.localhost", "https://shop.localhost:8443"),
            ("shop.eu.localhost", "https://shop.eu.localhost:8443"),
            ("*.eu.localhost", "https://*.eu.localhost:8443"),
            ("other.localhost", "http://other.localhost:8080"),
        ] {
            assert_eq!(both.of(host), expected);
        }
        assert_eq!(usual.of("shop.localhost"), "https://shop.localhost");
        assert_eq!(usual.of("other.localhost"), "http://other.localhost");
        let alone = Urls::new(None, Some((8443, certificates)));
        assert_eq!(alone.of("other.localhost"), "https://other.localhost:8443");
        assert_eq!(Urls::new(Some(8080), None).of("a.localhost"), "http://a.localhost:8080");
    }
}
