//! The certificates of HTTPS in `/metrics`: when each ends, and which files cannot be used. Made for each scrape, so that
//! a certificate that was renewed has no series of before.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::PREFIX;
use super::label::Label;

/// A certificate of the listener.
#[derive(Clone, Debug)]
pub struct CertificateSample {
    /// The file.
    pub certificate: String,
    /// The first host that it is for.
    pub name: String,
    /// Its end; `None` where clients do not get it.
    pub not_after: Option<SystemTime>,
    /// Whether its files cannot be used as they are, or are not taken because what they hold is not valid now.
    pub is_bad: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExpiryLabels {
    certificate: Label,
    name: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    certificate: Label,
}

/// Writes the metrics of these certificates, without the mark that ends a scrape.
pub fn write(text: &mut String, certificates: &[CertificateSample]) -> fmt::Result {
    let (expiry, bad) =
        (Family::<ExpiryLabels, Gauge>::default(), Family::<FileLabels, Gauge>::default());
    for CertificateSample { certificate, name, not_after, is_bad } in certificates {
        if let Some(not_after) = not_after {
            let labels = ExpiryLabels {
                certificate: certificate.as_str().into(),
                name: name.as_str().into(),
            };
            let since = not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            expiry.get_or_create_owned(&labels).set(i64::try_from(since).unwrap_or(i64::MAX));
        }
        if *is_bad {
            bad.get_or_create_owned(&FileLabels { certificate: certificate.as_str().into() })
                .set(1);
        }
    }
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_with_unit(
        "certificate_expiry_timestamp",
        "When the certificate that clients get ends, in seconds since 1970",
        Unit::Seconds,
        expiry,
    );
    registry.register(
        "certificate_unusable",
        "1 for a certificate whose files cannot be used, or are not taken because it is not valid \
         now; what they held before stays in use",
        bad,
    );
    encode_registry(text, &registry)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_has_its_end_and_a_mark_where_its_files_are_bad() {
        let good = CertificateSample {
            certificate: "/etc/a.pem".to_owned(),
            name: "a.example".to_owned(),
            not_after: Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            is_bad: false,
        };
        let bad = CertificateSample {
            certificate: "/etc/b.pem".to_owned(),
            name: String::new(),
            not_after: None,
            is_bad: true,
        };
        let mut text = String::new();
        write(&mut text, &[good, bad]).unwrap();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"watershed_certificate_expiry_timestamp_seconds{certificate="/etc/a.pem",name="a.example"} 1800000000"#,
                r#"watershed_certificate_unusable{certificate="/etc/b.pem"} 1"#,
            ]
        );
    }
}
