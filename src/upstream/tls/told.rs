//! Errors of TLS in the words of whoever has to correct them.

use std::io;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::certificates;

/// Why TLS failed, if it was TLS that did.
pub fn tell(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    let error = inner.downcast_ref::<Error>().or_else(|| inner.source()?.downcast_ref())?;
    Some(match error {
        Error::InvalidCertificate(why) => format!("its certificate {}", certificate(why)),
        Error::AlertReceived(alert) => alert_received(*alert),
        Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | Error::InvalidMessage(InvalidMessage::MessageTooLarge)
        | Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
            "what answers there does not speak TLS".to_owned()
        }
        Error::NoApplicationProtocol => "it speaks neither HTTP/2 nor HTTP/1.1".to_owned(),
        other => other.to_string(),
    })
}

/// What is wrong with a certificate by itself, whoever signed it.
pub fn flaw(error: &CertificateError) -> Option<String> {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            Some(format!("the certificate {}", certificate(error)))
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            Some("the certificate is not for clients".to_owned())
        }
        _ => None,
    }
}

pub fn certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::Expired => "has expired".to_owned(),
        E::ExpiredContext { time, not_after } => {
            format!("expired {} ago", between(*not_after, *time))
        }
        E::NotValidYet => "is not valid yet".to_owned(),
        E::NotValidYetContext { time, not_before } => {
            format!("is not valid yet, but in {}: is the clock right?", between(*time, *not_before))
        }
        E::UnknownIssuer => {
            "is signed by nobody that we trust: name its issuer's certificate as `ca`".to_owned()
        }
        E::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            format!("is for {names}, and not for {}: see `server-name`", expected.to_str())
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "is not for servers".to_owned(),
        other => certificates::told(other),
    }
}

fn alert_received(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => {
            "it wants a certificate of ours: see `certificate` and `key`".to_owned()
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => format!("it refuses our certificate ({alert:?})"),
        A::UnrecognisedName => {
            "it does not know the name that it is asked by: see `server-name`".to_owned()
        }
        A::NoApplicationProtocol => "it speaks neither HTTP/2 nor HTTP/1.1".to_owned(),
        other => format!("it gave up ({other:?})"),
    }
}

/// A name without the kind that webpki puts around it, as in `DnsName("a.example")`.
fn bare(name: &str) -> &str {
    match name.split_once('(') {
        Some((_, inner)) => inner.trim_end_matches(')').trim_matches('"'),
        None => name,
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    let count = |unit: u64, name: &str| {
        let count = seconds / unit;
        format!("{count} {name}{}", if count == 1 { "" } else { "s" })
    };
    match Duration::from_secs(seconds).as_secs() {
        0..60 => count(1, "second"),
        60..3_600 => count(60, "minute"),
        3_600..86_400 => count(3_600, "hour"),
        _ => count(86_400, "day"),
    }
}
