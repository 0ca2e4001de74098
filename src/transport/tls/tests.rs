//! Sessions with a client of another kind, over sockets: what is agreed on, what passes, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::handshake::{HandshakeError, shake};
use super::told::tell;
use super::*;
use crate::transport::stream::{Reader, Stream};

const SOON: Duration = Duration::from_secs(10);

/// A certificate that signs itself.
pub(super) fn identity(
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
) -> Arc<CertifiedKey> {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
}

fn terms(names: &[&str]) -> (TlsTerms, CertificateDer<'static>) {
    let identity = test_identity(names);
    let root = identity.cert[0].clone();
    let names = names.iter().map(ToString::to_string).collect();
    let table = CertificateTable::new(vec![(names, identity)]);
    (TlsTerms::new(Certificates::new(table)).unwrap(), root)
}

fn client(root: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (ours.unwrap().0, theirs.unwrap())
}

type Client = tokio_rustls::client::TlsStream<TcpStream>;

async fn shaken(terms: &TlsTerms, config: ClientConfig) -> (TlsStream, Client) {
    let (ours, theirs) = pair().await;
    let name = ServerName::try_from("a.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (ours, theirs) = tokio::join!(
        timeout(SOON, shake(ours, terms.config(true), terms.certificates())),
        timeout(SOON, connector.connect(name, theirs)),
    );
    (ours.unwrap().unwrap(), theirs.unwrap().unwrap())
}

async fn write(stream: &TlsStream, mut data: &[u8]) {
    while !data.is_empty() {
        let written = std::future::poll_fn(|context| stream.poll_write(context, data));
        let written = timeout(SOON, written).await.unwrap().unwrap();
        data = &data[written..];
    }
    timeout(SOON, std::future::poll_fn(|context| stream.poll_flush(context)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn bytes_pass_in_both_directions_however_many() {
    let (terms, root) = terms(&["a.example"]);
    let (ours, mut theirs) = shaken(&terms, client(&root)).await;
    assert_eq!(ours.scheme(), http::uri::Scheme::HTTPS);
    assert!(!ours.tls().unwrap().is_http2);
    assert!(ours.tls().unwrap().certificate.as_ref().unwrap().covers("a.example"));
    for length in [1, 100, 16_384, 16_385, 3_000_000] {
        let data: Vec<u8> = (0..=250_u8).cycle().take(length).collect();
        let sent = data.clone();
        let client = tokio::spawn(async move {
            theirs.write_all(&sent).await.unwrap();
            theirs.flush().await.unwrap();
            let mut back = vec![0; sent.len()];
            theirs.read_exact(&mut back).await.unwrap();
            (theirs, back)
        });
        let mut read = vec![0; length];
        timeout(SOON, Reader(&ours).read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(read, data);
        write(&ours, &read).await;
        let (stream, back) = timeout(SOON, client).await.unwrap().unwrap();
        theirs = stream;
        assert_eq!(back, data);
    }
}

#[tokio::test]
async fn an_end_is_told_from_being_cut_off() {
    let (terms, root) = terms(&["a.example"]);
    // The client ends its direction, and still reads.
    let (ours, mut theirs) = shaken(&terms, client(&root)).await;
    theirs.shutdown().await.unwrap();
    let mut read = Vec::new();
    timeout(SOON, Reader(&ours).read_to_end(&mut read)).await.unwrap().unwrap();
    write(&ours, b"after").await;
    timeout(SOON, std::future::poll_fn(|it| ours.poll_shutdown(it))).await.unwrap().unwrap();
    timeout(SOON, theirs.read_to_end(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, b"after");

    // The client's connection ends without a word.
    let (ours, theirs) = shaken(&terms, client(&root)).await;
    drop(theirs.into_inner().0);
    let cut = timeout(SOON, Reader(&ours).read_to_end(&mut read)).await.unwrap().unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);

    // Ours ends with a word, unless it is to look broken.
    for is_abandoned in [false, true] {
        let (ours, mut theirs) = shaken(&terms, client(&root)).await;
        if is_abandoned {
            ours.reset_on_close();
        }
        drop(ours);
        let end = timeout(SOON, theirs.read_to_end(&mut read)).await.unwrap();
        assert_eq!(end.is_err(), is_abandoned, "{end:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_silent_takes_no_buffers() {
    let (terms, root) = terms(&["a.example"]);
    let (ours, mut theirs) = shaken(&terms, client(&root)).await;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(ours.poll_readable(&mut context).is_pending());
    theirs.write_all(&[b'x'; 100_000]).await.unwrap();
    let mut read = vec![0; 100_000];
    timeout(SOON, Reader(&ours).read_exact(&mut read)).await.unwrap().unwrap();
    assert!(ours.poll_readable(&mut context).is_pending());
    assert_eq!(ours.buffered(), 0);
}

fn told(error: &HandshakeError) -> String {
    match error {
        HandshakeError::Gone => "gone".to_owned(),
        HandshakeError::Cleartext(_) => "cleartext".to_owned(),
        HandshakeError::Tls(error) => tell(error),
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_told_apart() {
    let (terms, _) = terms(&["a.example"]);
    let cases: [(&[u8], &str); 4] = [
        (b"GET / HTTP/1.1\r\n\r\n", "cleartext"),
        (b"", "gone"),
        (b"\x16\x03\x01", "gone"),
        (b"\x00\x01\x02\x03\x04\x05", "the client does not speak TLS"),
    ];
    for (sent, expected) in cases {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(sent).await.unwrap();
        theirs.shutdown().await.unwrap();
        let shaken = shake(ours, terms.config(true), terms.certificates());
        let error = timeout(SOON, shaken).await.unwrap().unwrap_err();
        assert_eq!(told(&error), expected);
    }
    // TLS 1.2, where it is not allowed; and a client that does not trust us.
    let old = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let new = client(&rsa().cert[0]);
    for (config, expected) in [
        (old, "the client offers no version of TLS that is allowed"),
        (new, "the client does not trust our certificate (UnknownCA)"),
    ] {
        let (ours, theirs) = pair().await;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("a.example").unwrap();
        let (ours, theirs) = tokio::join!(
            timeout(SOON, shake(ours, terms.config(false), terms.certificates())),
            timeout(SOON, connector.connect(name, theirs)),
        );
        assert_eq!(told(&ours.unwrap().unwrap_err()), expected);
        theirs.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_ticket_resumes_the_session_also_with_another_process() {
    let (terms, root) = terms(&["a.example"]);
    let other = TlsTerms::new(terms.certificates().clone()).unwrap();
    let keys = |byte| Some(TicketKeys::parse(&[byte; TICKET_KEY]).unwrap());
    for (old, new, expected) in [
        (keys(1), keys(1), HandshakeKind::Resumed),
        (keys(1), keys(2), HandshakeKind::Full),
        (None, None, HandshakeKind::Full),
    ] {
        terms.tickets().replace(old);
        other.tickets().replace(new);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let mut kinds = Vec::new();
            for terms in [&terms, &terms, &other] {
                let (ours, mut theirs) = shaken(terms, config.clone()).await;
                write(&ours, b"x").await;
                // The tickets come before it.
                assert_eq!(timeout(SOON, theirs.read_u8()).await.unwrap().unwrap(), b'x');
                kinds.push(theirs.get_ref().1.handshake_kind().unwrap());
            }
            let resumed = [HandshakeKind::Full, HandshakeKind::Resumed, expected];
            assert_eq!(kinds, resumed, "{version:?}");
        }
    }
}

/// rcgen cannot make keys of RSA with ring.
fn rsa() -> Arc<CertifiedKey> {
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tls/keys");
    let certificate = CertificateDer::from_pem_file(files.join("pkcs1.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(files.join("pkcs1.key")).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate], ring::sign::any_supported_type(&key).unwrap()))
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Clients of TLS 1.2 that know RSA only are still around.
#[tokio::test]
async fn a_client_gets_a_certificate_that_it_can_verify() {
    let rsa = rsa();
    let names = vec!["a.example".to_owned()];
    let ecdsa = test_identity(&["a.example"]);
    let table = CertificateTable::new(vec![(names.clone(), ecdsa.clone()), (names, rsa.clone())]);
    let terms = TlsTerms::new(Certificates::new(table)).unwrap();
    for (suites, expected) in [
        (ring::DEFAULT_CIPHER_SUITES.to_vec(), &ecdsa),
        (vec![ring::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], &rsa),
    ] {
        let provider =
            rustls::crypto::CryptoProvider { cipher_suites: suites, ..ring::default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible))
            .with_no_client_auth();
        let (_ours, theirs) = shaken(&terms, config).await;
        let got = theirs.get_ref().1.peer_certificates().unwrap();
        assert_eq!(got, expected.cert);
    }
}
