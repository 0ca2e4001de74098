//! TLS in front of an upstream, with certificates that are made on the spot.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::http1::Wire;

/// Issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// PEM, with the authority's own behind it.
    pub certificate: String,
    /// PEM.
    pub key: String,
    chain: Vec<CertificateDer<'static>>,
    der: Vec<u8>,
}

/// What a TLS upstream presents and demands. It may change while the upstream serves.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Mutex<Arc<ServerConfig>>>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate"))
    }

    /// What to trust, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_until(names, 2100)
    }

    /// A certificate that was good until 2001.
    pub fn issue_expired(&self, names: &[&str]) -> Identity {
        self.issue_until(names, 2001)
    }

    fn issue_until(&self, names: &[&str], year: i32) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names for a certificate");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem() + &self.pem(),
            key: key.serialize_pem(),
            chain: vec![certificate.der().clone(), self.0.der().clone()],
            der: key.serialize_der(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Tls {
    /// Presents a certificate, and chooses by ALPN among these protocols, the first of them first.
    pub fn new(identity: &Identity, protocols: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(config(identity, protocols, None))))
    }

    /// The same, and demands a certificate of this authority.
    pub fn demanding(identity: &Identity, protocols: &[&str], of: &Authority) -> Self {
        Self(Arc::new(Mutex::new(config(identity, protocols, Some(of)))))
    }

    /// Presents another certificate from now on.
    pub fn present(&self, identity: &Identity, protocols: &[&str]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config(identity, protocols, None);
    }

    /// Begins TLS on a connection. Returns whether HTTP/2 was agreed on.
    pub(crate) fn accept(&self, stream: TcpStream) -> Option<(Box<dyn Wire>, bool)> {
        let config = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                // The alert that says why.
                stream.conn.write_tls(&mut stream.sock).ok();
                return None;
            }
        }
        let is_http2 = stream.conn.alpn_protocol() == Some(b"h2");
        Some((Box::new(stream), is_http2))
    }
}

fn config(
    identity: &Identity,
    protocols: &[&str],
    demanded: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions of TLS");
    let builder = match demanded {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.der.clone()));
    let mut config =
        builder.with_single_cert(identity.chain.clone(), key).expect("a certificate with its key");
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    Arc::new(config)
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn say_end(&mut self) {
        self.conn.send_close_notify();
        self.flush().ok();
    }
}
