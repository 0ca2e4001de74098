//! Why handshakes fail, in the words of whoever has to do something about it.

use rustls::{AlertDescription, Error, PeerIncompatible};

/// What the log says.
pub fn tell(error: &Error) -> String {
    use AlertDescription as A;
    use PeerIncompatible as P;
    match error {
        Error::PeerIncompatible(
            P::Tls12NotOffered
            | P::Tls12NotOfferedOrEnabled
            | P::ServerTlsVersionIsDisabledByOurConfig
            | P::SupportedVersionsExtensionRequired,
        ) => "the client offers no version of TLS that is allowed".to_owned(),
        Error::PeerIncompatible(P::NoCipherSuitesInCommon | P::NoSignatureSchemesInCommon) => {
            "the client offers no cipher suite that is safe and fits our certificate".to_owned()
        }
        Error::PeerIncompatible(P::NoKxGroupsInCommon | P::NamedGroupsExtensionRequired) => {
            "the client offers no key exchange that is safe".to_owned()
        }
        Error::NoApplicationProtocol => "the client speaks neither HTTP/2 nor HTTP/1.1".to_owned(),
        Error::InvalidMessage(_) => "the client does not speak TLS".to_owned(),
        Error::AlertReceived(
            alert @ (A::UnknownCA
            | A::BadCertificate
            | A::CertificateUnknown
            | A::CertificateExpired
            | A::CertificateRevoked
            | A::UnsupportedCertificate),
        ) => format!("the client does not trust our certificate ({alert:?})"),
        Error::AlertReceived(alert) => format!("the client gave up ({alert:?})"),
        other => other.to_string(),
    }
}
