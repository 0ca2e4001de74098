//! Handshakes over real sockets with a server that is made for each test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::IdentitySpec;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    CertificateParams::new(names).unwrap()
}

fn signed(params: &CertificateParams, issuer: &Issuer) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn server(identity: &(String, String), alpn: &[&[u8]], clients: Option<&Issuer>) -> ServerConfig {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(ring.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(issuer) => {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(identity.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.1.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    config
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn tls(&self, ca: &Issuer, identity: Option<&(String, String)>) -> Tls {
        let identity = identity.map(|(certificate, key)| IdentitySpec {
            certificate: self.write("client.pem", certificate),
            key: self.write("client.key", key),
        });
        let ca = Some(self.write("ca.pem", ca.pem()));
        let spec = TlsSpec { server_name: None, ca, identity };
        Tls::prepare(&spec, &Roots::default()).await.unwrap()
    }
}

#[derive(Debug)]
struct Seen {
    name: Option<String>,
    kind: HandshakeKind,
}

struct Shaken {
    client: Result<TlsStream<TcpStream>, Failure>,
    server: Option<Seen>,
}

/// A handshake with a target that is declared as `target`, wherever its server is. The server sends one byte.
async fn shake(tls: &Tls, config: &Arc<ServerConfig>, target: &str, offer: Offer) -> Shaken {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = match target.parse() {
        Ok(ip) => TargetAddress::Address(std::net::SocketAddr::new(ip, address.port())),
        Err(_) => TargetAddress::Name(target.to_owned(), address.port()),
    };
    let acceptor = TlsAcceptor::from(config.clone());
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(socket).await.ok()?;
        stream.write_all(b"!").await.ok()?;
        stream.flush().await.ok()?;
        let connection = stream.get_ref().1;
        let name = connection.server_name().map(ToOwned::to_owned);
        let kind = connection.handshake_kind()?;
        stream.read_u8().await.ok();
        Some(Seen { name, kind })
    });
    let socket = TcpStream::connect(address).await.unwrap();
    let mut client = tls.connect(socket, &target, offer).await;
    if let Ok(stream) = &mut client {
        stream.read_u8().await.ok();
        stream.write_all(b"!").await.ok();
        stream.flush().await.ok();
    }
    Shaken { client, server: serving.await.unwrap() }
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_says_what_to_correct() {
    let (files, ca, other) = (Files::new(), issuer("ours"), issuer("other"));
    let tls = files.tls(&ca, None).await;
    let good = params(&["a.example"]);
    let mut expired = params(&["a.example"]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut early = params(&["a.example"]);
    early.not_before = date_time_ymd(2200, 1, 1);
    early.not_after = date_time_ymd(2201, 1, 1);
    let mut for_clients = params(&["a.example"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let cases = [
        (
            &params(&["b.example", "*.c.example"]),
            &ca,
            "is for b.example, *.c.example, and not for a.example: see `server-name`",
        ),
        (&expired, &ca, "its certificate expired "),
        (&early, &ca, "its certificate is not valid yet, but in "),
        (&good, &other, "is signed by nobody that we trust: name its issuer's certificate as `ca`"),
        (&for_clients, &ca, "its certificate is not for servers"),
    ];
    for (params, issuer, expected) in cases {
        let config = Arc::new(server(&signed(params, issuer), &[], None));
        let shaken = shake(&tls, &config, "a.example", Offer::Both).await;
        let failure = shaken.client.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tls);
        assert_eq!(failure.sent, crate::upstream::Sent::Nothing);
        assert!(failure.detail.starts_with("TLS failed: its certificate "), "{failure}");
        assert!(failure.detail.contains(expected), "{failure}");
    }
    let config = Arc::new(server(&signed(&good, &ca), &[], None));
    shake(&tls, &config, "a.example", Offer::Both).await.client.unwrap();
}

#[tokio::test]
async fn the_target_chooses_the_protocol() {
    let (files, ca) = (Files::new(), issuer("ours"));
    let tls = files.tls(&ca, None).await;
    let identity = signed(&params(&["a.example"]), &ca);
    type Case<'a> = (&'a [&'a [u8]], Offer, Option<bool>);
    let cases: [Case<'_>; 5] = [
        (&[b"h2", b"http/1.1"], Offer::Both, Some(true)),
        (&[b"http/1.1", b"h2"], Offer::Both, Some(false)),
        (&[], Offer::Both, Some(false)),
        (&[b"h2", b"http/1.1"], Offer::Http1, Some(false)),
        (&[b"spdy/3"], Offer::Both, None),
    ];
    for (alpn, offer, expected) in cases {
        let config = Arc::new(server(&identity, alpn, None));
        let shaken = shake(&tls, &config, "a.example", offer).await;
        match (shaken.client, expected) {
            (Ok(stream), Some(expected)) => assert_eq!(is_http2(&stream), expected, "{alpn:?}"),
            (Err(failure), None) => {
                assert!(
                    failure.detail.ends_with("it speaks neither HTTP/2 nor HTTP/1.1"),
                    "{failure}"
                );
            }
            (other, _) => panic!("{alpn:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn names_are_sent_and_addresses_are_only_compared() {
    let (files, ca) = (Files::new(), issuer("ours"));
    let tls = files.tls(&ca, None).await;
    let identity = signed(&params(&["a.example", "127.0.0.1", "::1"]), &ca);
    let config = Arc::new(server(&identity, &[], None));
    let cases = [("a.example", Some("a.example")), ("127.0.0.1", None), ("::1", None)];
    for (target, expected) in cases {
        let shaken = shake(&tls, &config, target, Offer::Both).await;
        shaken.client.unwrap();
        assert_eq!(shaken.server.unwrap().name.as_deref(), expected, "{target}");
    }
    let failure = shake(&tls, &config, "127.0.0.2", Offer::Both).await.client.unwrap_err();
    assert!(failure.detail.contains("and not for 127.0.0.2"), "{failure}");

    let ca = Some(files.path("ca.pem"));
    let spec = TlsSpec { server_name: Some("a.example".to_owned()), ca, identity: None };
    let tls = Tls::prepare(&spec, &Roots::default()).await.unwrap();
    let shaken = shake(&tls, &config, "127.0.0.2", Offer::Both).await;
    assert_eq!(shaken.server.unwrap().name.as_deref(), Some("a.example"));
    shaken.client.unwrap();
}

#[tokio::test]
async fn a_target_that_wants_a_certificate_gets_ours() {
    let (files, ca, clients) = (Files::new(), issuer("ours"), issuer("clients"));
    let identity = signed(&params(&["a.example"]), &ca);
    let config = Arc::new(server(&identity, &[], Some(&clients)));
    let ours = signed(&params(&["watershed"]), &clients);
    let tls = files.tls(&ca, Some(&ours)).await;
    let shaken = shake(&tls, &config, "a.example", Offer::Both).await;
    assert!(shaken.client.is_ok() && shaken.server.is_some());

    // With TLS 1.3, our side of the handshake is over before the target looks at our certificate.
    let others = signed(&params(&["watershed"]), &ca);
    let cases =
        [(None, "it wants a certificate of ours"), (Some(&others), "it refuses our certificate")];
    for (identity, expected) in cases {
        let tls = files.tls(&ca, identity).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(config.clone());
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            acceptor.accept(socket).await.err()
        });
        let target = TargetAddress::Name("a.example".to_owned(), address.port());
        let socket = TcpStream::connect(address).await.unwrap();
        let mut stream = tls.connect(socket, &target, Offer::Both).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        let why = tell(&error).unwrap();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[tokio::test]
async fn a_second_handshake_resumes_the_first() {
    let (files, ca) = (Files::new(), issuer("ours"));
    let tls = files.tls(&ca, None).await;
    let config = Arc::new(server(&signed(&params(&["a.example"]), &ca), &[], None));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let shaken = shake(&tls, &config, "a.example", Offer::Both).await;
        kinds.push(shaken.server.unwrap().kind);
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_apart() {
    let (files, ca) = (Files::new(), issuer("ours"));
    let tls = files.tls(&ca, None).await;
    let cases: [(&[u8], &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there does not speak TLS"),
        (b"", "the target closed the connection"),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut hello = [0; 1024];
            assert_ne!(socket.read(&mut hello).await.unwrap(), 0);
            socket.write_all(answer).await.unwrap();
        });
        let socket = TcpStream::connect(address).await.unwrap();
        let target = TargetAddress::Address(address);
        let failure = tls.connect(socket, &target, Offer::Both).await.unwrap_err();
        assert!(failure.detail.ends_with(expected), "{failure}");
    }
}

async fn refusal(spec: &TlsSpec) -> PrepareError {
    Tls::prepare(spec, &Roots::default()).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let (files, ca) = (Files::new(), issuer("ours"));
    let (certificate, key) = signed(&params(&["watershed"]), &ca);
    let other = KeyPair::generate().unwrap().serialize_pem();
    let ca = files.write("ca.pem", ca.pem());
    let good = files.write("good.pem", &certificate);
    let good_key = files.write("good.key", &key);
    fs::create_dir(files.path("directory")).unwrap();
    symlink(files.path("gone"), files.path("dangling")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    files.write("empty", "\n");
    files.write("garbage", "ceci n'est pas un certificat");
    files.write("cut", &certificate[..certificate.len() / 2]);
    files.write("der", [0x30, 0x82, 1, 0]);
    files.write("other.key", other);
    files.write(
        "encrypted",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    files.write("long", vec![b'a'; (4 << 20) + 1]);
    files.write("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    files.write("nonsense.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");

    for (name, expected) in [
        ("directory", "is a directory"),
        ("dangling", "is not there"),
        ("pipe", "is a pipe, a socket or a device"),
        ("empty", "is empty"),
        ("garbage", "has no PEM certificate"),
        ("cut", "ends in the middle of PEM"),
        ("der", "is DER, and PEM is needed"),
        ("good.key", "is a key, and no certificate"),
        ("long", "is longer than 4 MiB"),
        ("nonsense", "has no certificate that can be used"),
    ] {
        let spec = TlsSpec { ca: Some(files.path(name)), ..TlsSpec::default() };
        let PrepareError::BadCertificate(detail) = refusal(&spec).await else { panic!("{name}") };
        let expected = format!("{} {expected}", files.path(name).display());
        assert!(detail.starts_with(&expected), "{detail}");
    }
    let identity = |certificate: &PathBuf, key: &PathBuf| {
        let identity = IdentitySpec { certificate: certificate.clone(), key: key.clone() };
        TlsSpec { ca: Some(ca.clone()), identity: Some(identity), ..TlsSpec::default() }
    };
    let nonsense = refusal(&identity(&files.path("nonsense"), &good_key)).await;
    assert!(matches!(nonsense, PrepareError::BadCertificate(_)), "{nonsense}");
    for (name, expected) in [
        ("directory", "is a directory"),
        ("dangling", "is not there"),
        ("pipe", "is a pipe, a socket or a device"),
        ("empty", "is empty"),
        ("garbage", "has no PEM key"),
        ("good.pem", "is a certificate, and no key"),
        ("encrypted", "is encrypted"),
        ("nonsense.key", "has a kind, size or curve"),
        ("other.key", "does not belong to "),
    ] {
        let error = refusal(&identity(&good, &files.path(name))).await;
        let PrepareError::BadKey(detail) = error else { panic!("{name}: {error}") };
        let expected = format!("{} {expected}", files.path(name).display());
        assert!(detail.starts_with(&expected), "{detail}");
    }
    let good = identity(&good, &good_key);
    let before = Tls::prepare(&good, &Roots::default()).await.unwrap();
    assert_eq!(Tls::prepare(&good, &Roots::default()).await.unwrap(), before);
    let renewed = format!("{key}\n");
    files.write("good.key", renewed);
    assert_ne!(Tls::prepare(&good, &Roots::default()).await.unwrap(), before);
}

#[tokio::test]
async fn keys_come_in_all_their_forms() {
    let keys = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/upstream/tls/keys"));
    for name in ["sec1", "pkcs1"] {
        let identity = IdentitySpec {
            certificate: keys.join(format!("{name}.pem")),
            key: keys.join(format!("{name}.key")),
        };
        let ca = Some(keys.join("sec1.pem"));
        let spec = TlsSpec { server_name: None, ca, identity: Some(identity) };
        Tls::prepare(&spec, &Roots::default()).await.unwrap();
    }
}

#[test]
fn our_own_certificate_is_looked_at() {
    let ca = issuer("ours");
    let flaw = |params: &CertificateParams| {
        let (certificate, _) = signed(params, &ca);
        own_flaw(&[CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()])
    };
    assert_eq!(flaw(&params(&["watershed"])), None);
    let mut expired = params(&["watershed"]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let told = flaw(&expired).unwrap();
    assert!(told.starts_with("the certificate expired ") && told.ends_with(" days ago"), "{told}");
    let mut for_servers = params(&["watershed"]);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(flaw(&for_servers).as_deref(), Some("the certificate is not for clients"));
    assert_eq!(own_flaw(&[]), None);
}
