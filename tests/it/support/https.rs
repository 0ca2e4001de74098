//! A site that speaks TLS, and clients of the system that ask it: curl and openssl.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ::misbehaving::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{DEADLINE, Site, Watershed};

/// The host of the first certificate, which is also for 127.0.0.1, and that of the second.
pub const FIRST: &str = "first.localhost";
pub const SECOND: &str = "second.localhost";

/// A site with two certificates, and with `lines` in `[server.tls]`.
pub fn secure(lines: &str) -> Site {
    secure_beside("", lines)
}

/// The same with other tables before.
pub fn secure_beside(tables: &str, lines: &str) -> Site {
    let pair = |name: &str| {
        let files = format!("certificate = \"{name}.pem\"\nkey = \"{name}.key\"\n");
        format!("[[server.tls.certificates]]\n{files}")
    };
    let listen = "listen = [\"127.0.0.1:0\"]";
    let (one, two) = (pair("first"), pair("second"));
    let site =
        Site::new().tables(&format!("{tables}\n[server.tls]\n{listen}\n{lines}\n{one}{two}"));
    let authority = Authority::new();
    site.write("ca.pem", authority.pem());
    for (name, hosts) in [("first", &[FIRST, "127.0.0.1"][..]), ("second", &[SECOND, "*.w.test"])] {
        let identity = authority.issue(hosts);
        site.write(&format!("{name}.pem"), identity.certificate);
        site.write(&format!("{name}.key"), identity.key);
    }
    site
}

impl Watershed {
    /// The address for requests over TLS.
    pub fn https_address(&self) -> SocketAddr {
        let stdout = self.stdout();
        let line = stdout.lines().find_map(|line| line.strip_prefix("listening on https://"));
        line.unwrap().parse().unwrap()
    }

    /// What curl says to a URL without a port, for any host.
    #[track_caller]
    pub fn curl(&self, arguments: &[&str], url: &str) -> String {
        let output = self.curl_output(arguments, url);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?} {url}: {output:?}");
        said
    }

    /// The same, also where curl fails.
    pub fn curl_output(&self, arguments: &[&str], url: &str) -> Output {
        let port = if url.starts_with("https") { self.https_address() } else { self.address() };
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", "--cacert"]);
        command.arg(self.site.path("ca.pem"));
        // The first that fits is taken, so those of the test come first.
        command.args(arguments).arg("--connect-to").arg(format!("::127.0.0.1:{}", port.port()));
        command.arg(url).stdin(Stdio::null());
        command.output().expect("curl is installed")
    }

    /// What `openssl s_client` says that is given `input`, and whether it is content.
    pub fn s_client(&self, arguments: &[&str], input: &str) -> (bool, String) {
        self.site.write("input", input);
        let input = File::open(self.site.path("input")).unwrap();
        let mut command = Command::new("timeout");
        command.args(["20", "openssl", "s_client", "-connect"]);
        command.arg(self.https_address().to_string());
        command.arg("-CAfile").arg(self.site.path("ca.pem"));
        let output = command.args(arguments).stdin(input).output().expect("openssl is installed");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A connection to a host over TLS, to write and read by the test.
    pub fn tls(&self, host: &str, protocols: &[&str]) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let client = ClientConnection::new(Arc::new(self.tls_config(protocols)), name).unwrap();
        let socket = TcpStream::connect_timeout(&self.https_address(), DEADLINE).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        StreamOwned::new(client, socket)
    }

    /// What a client trusts and speaks. Its connections resume the sessions of those before.
    pub fn tls_config(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.site.path("ca.pem")).unwrap()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(ring);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        config
    }
}
