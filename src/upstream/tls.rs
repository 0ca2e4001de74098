//! TLS to targets: whom we trust, who we are, and which protocol the target chooses. A version's `Tls` is made once,
//! when the version is made ready; a connection asks it for a handshake.

mod told;

use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Failure, FailureKind, PrepareError};
use crate::certificates::{BadFile, Kind, private_key, read_certificates};
use crate::config::{Digest, TargetAddress, TlsSpec};

pub(super) use told::tell;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// How many targets' sessions are kept for resumption.
const SESSIONS: usize = 256;

/// The roots of the system, read when the first version needs them. Cheap to clone: clones share them.
#[derive(Clone, Debug, Default)]
pub struct Roots(Arc<OnceCell<Arc<RootCertStore>>>);

/// TLS as one version begins it.
#[derive(Debug)]
pub struct Tls {
    server_name: Option<String>,
    /// Offers HTTP/2 and HTTP/1.1.
    both: Arc<ClientConfig>,
    /// Offers HTTP/1.1 only: for upgrades, which few servers take over HTTP/2.
    http1: Arc<ClientConfig>,
    /// Of the files, and of the server's name.
    content: Digest,
}

/// What a handshake offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Both,
    Http1,
}

impl Tls {
    /// Reads the files of the declaration.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, is not what it should be, or the key does not belong to the certificate.
    pub(super) async fn prepare(spec: &TlsSpec, roots: &Roots) -> Result<Self, PrepareError> {
        let system = match spec.ca {
            None => Some(roots.get().await?),
            Some(_) => None,
        };
        let spec = spec.clone();
        // Files may be on a server that does not answer.
        tokio::task::spawn_blocking(move || Self::of(spec, system)).await.unwrap_or_else(
            |stopped| {
                Err(PrepareError::BadCertificate(format!(
                    "the certificates were not read: {stopped}"
                )))
            },
        )
    }

    fn of(spec: TlsSpec, system: Option<Arc<RootCertStore>>) -> Result<Self, PrepareError> {
        let TlsSpec { server_name, ca, identity } = spec;
        if let Some(name) = &server_name {
            name_of(name).map_err(PrepareError::BadCertificate)?;
        }
        let mut content = server_name.clone().unwrap_or_default();
        let roots = match (system, &ca) {
            (Some(system), _) => system,
            (None, ca) => Arc::new(own_roots(ca.as_deref(), &mut content)?),
        };
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .map_err(|error| PrepareError::BadCertificate(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match &identity {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, of_chain) = read_certificates(&files.certificate, Kind::Certificate)?;
                let (key, of_key) = private_key(&files.key)?;
                content = format!("{content} {of_chain} {of_key}");
                if let Some(flaw) = own_flaw(&chain) {
                    let file = files.certificate.display();
                    tracing::warn!("{file}: {flaw}; targets will refuse it");
                }
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| BadFile::unfit(&error, &files.certificate, &files.key))?
            }
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = vec![HTTP1.to_vec()];
        let http1 = Arc::new(config.clone());
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        let both = Arc::new(config);
        Ok(Self { server_name, both, http1, content: Digest::of(content) })
    }

    /// The handshake with a target. It takes as long as the target likes, so the caller bounds it.
    ///
    /// # Errors
    ///
    /// Where the target does not speak TLS, or its certificate is not to be trusted. Nothing of a request was sent.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        target: &TargetAddress,
        offer: Offer,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = match &self.server_name {
            Some(name) => name_of(name),
            // An address is compared with the addresses of the certificate, and no SNI is sent.
            None => match target {
                TargetAddress::Address(address) => Ok(ServerName::from(address.ip())),
                TargetAddress::Name(name, _) => name_of(name),
            },
        };
        let name = name.map_err(|why| Failure::unsent(FailureKind::Tls, why))?;
        let config = match offer {
            Offer::Both => &self.both,
            Offer::Http1 => &self.http1,
        };
        TlsConnector::from(config.clone()).connect(name, stream).await.map_err(|error| {
            let why = tell(&error).unwrap_or_else(|| broken(&error));
            Failure::unsent(FailureKind::Tls, format!("TLS failed: {why}"))
        })
    }
}

/// Whether the target has chosen HTTP/2. A target that chooses nothing speaks HTTP/1.1.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

fn name_of(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("`{name}` cannot be the name of a server in a certificate"))
}

/// Why a handshake ended where TLS itself has nothing to say.
fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the target closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

impl Roots {
    /// # Errors
    ///
    /// Where the system has none. They are looked for again next time.
    async fn get(&self) -> Result<Arc<RootCertStore>, PrepareError> {
        let found = self.0.get_or_try_init(|| async {
            tokio::task::spawn_blocking(system_roots)
                .await
                .map_err(|stopped| format!("the system's roots were not read: {stopped}"))?
        });
        found.await.cloned().map_err(PrepareError::BadCertificate)
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have roots that are of no use; what counts is that there are others.
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    if added == 0 {
        let why = if errors.is_empty() { "it has none".to_owned() } else { errors.join("; ") };
        return Err(format!(
            "the system's roots cannot be used: {why}; install `ca-certificates`, or name a `ca`"
        ));
    }
    if !errors.is_empty() || ignored > 0 {
        tracing::warn!(
            added,
            ignored,
            "some of the system's roots cannot be used: {}",
            errors.join("; ")
        );
    }
    Ok(Arc::new(roots))
}

fn own_roots(ca: Option<&Path>, content: &mut String) -> Result<RootCertStore, PrepareError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else { return Ok(roots) };
    let (certificates, digest) = read_certificates(ca, Kind::Ca)?;
    *content = format!("{content} {digest}");
    let (added, ignored) = roots.add_parsable_certificates(certificates);
    let file = ca.display();
    if added == 0 {
        return Err(PrepareError::BadCertificate(format!(
            "{file} has no certificate that can be used"
        )));
    }
    if ignored > 0 {
        tracing::warn!(added, ignored, "{file}: some of the certificates cannot be used");
    }
    Ok(roots)
}

/// What targets will not like about our own certificate. It may be renewed at any time, so the version is made all the
/// same.
fn own_flaw(chain: &[CertificateDer<'static>]) -> Option<String> {
    let (own, issuers) = chain.split_first()?;
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).ok()?;
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring).build().ok()?;
    match verifier.verify_client_cert(own, issuers, UnixTime::now()) {
        Err(rustls::Error::InvalidCertificate(error)) => told::flaw(&error),
        _ => None,
    }
}

/// Two are the same where they trust the same, and are the same to targets.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.content.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests;
