//! Which certificate a client gets, whatever it says of the host in its handshake; and tickets, while their keys are
//! rotated by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ::misbehaving::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::HandshakeKind;

use crate::support::https::{FIRST, SECOND, secure};
use crate::support::{Site, StopOnDrop, Watershed, eventually, lab};

/// `bücher.test`, as certificates and handshakes have it.
const BOOKS: &str = "xn--bcher-kva.test";

fn serve(site: Site) -> Watershed {
    let domains = [FIRST, SECOND, "*.w.test", BOOKS, "shop.test"].map(|it| format!("\"{it}\""));
    let domains = format!("domains = [{}]\n", domains.join(", "));
    site.service("lab", &(domains + &lab("v1"))).start()
}

/// tailscale#10233, ferron#146: some clients send the dot of an absolute name. Some send an address as a name, or none at
/// all.
#[test]
fn whatever_a_client_calls_the_host_it_gets_a_certificate() {
    let site = secure("");
    let authority = Authority::new();
    let more = authority.issue(&[BOOKS, "shop.test", "www.shop.test", "192.0.2.7"]);
    site.write("more-ca.pem", authority.pem());
    site.write("more.pem", more.certificate);
    site.write("more.key", more.key);
    let pair = "[[server.tls.certificates]]\ncertificate = \"more.pem\"\nkey = \"more.key\"\n";
    site.write("watershed.toml", site.read("watershed.toml") + pair);
    let watershed = serve(site);
    let shows = |asked: &[&str], name: &str| {
        let ca = watershed.site.path("more-ca.pem").display().to_string();
        let verify = ["-verify_return_error", "-verify_hostname", name, "-CAfile"];
        let known = [watershed.site.path("ca.pem").display().to_string(), ca];
        known.iter().any(|ca| {
            let (_, said) = watershed.s_client(&[asked, &verify, &[ca.as_str()]].concat(), "");
            said.contains("Verify return code: 0 (ok)")
        })
    };
    let upper = FIRST.to_uppercase();
    for (asked, name) in [
        (&["-servername", &upper][..], FIRST),
        (&["-servername", &format!("{SECOND}.")], SECOND),
        (&["-servername", "X.W.TEST."], "x.w.test"),
        (&["-servername", BOOKS], BOOKS),
        (&["-servername", "XN--BCHER-KVA.test"], BOOKS),
        (&["-servername", "shop.test"], "www.shop.test"),
        (&["-servername", "a.b.w.test"], FIRST),
        (&["-servername", "my_service.w.test"], "x.w.test"),
        (&["-servername", "127.0.0.1"], FIRST),
        (&["-servername", "192.0.2.7"], FIRST),
        (&["-noservername"], FIRST),
    ] {
        assert!(shows(asked, name), "{asked:?} gets no certificate for {name}");
    }
}

/// curl and browsers verify by the name in the URL, which may end with a dot.
#[test]
fn an_absolute_name_is_served_over_each_version_of_http() {
    let watershed = serve(secure(""));
    for http in ["--http1.1", "--http2"] {
        let format = ["--output", "/dev/null", "--write-out", "%{http_code}", "--insecure", http];
        assert_eq!(watershed.curl(&format, &format!("https://{SECOND}./count")), "200", "{http}");
    }
}

/// A client of many connections, each of which resumes the session before it if it may.
struct Resuming {
    config: Arc<rustls::ClientConfig>,
    watershed: std::net::SocketAddr,
}

impl Resuming {
    fn new(watershed: &Watershed) -> Self {
        let config = watershed.tls_config(&["http/1.1"]);
        Self { config: Arc::new(config), watershed: watershed.https_address() }
    }

    /// Whether one more connection resumes. Its request is served in any case.
    fn resumes(&self) -> bool {
        let name = FIRST.try_into().unwrap();
        let mut tls = rustls::ClientConnection::new(self.config.clone(), name).unwrap();
        let mut socket = TcpStream::connect(self.watershed).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        write!(stream, "GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut read = String::new();
        stream.read_to_string(&mut read).unwrap();
        assert!(read.starts_with("HTTP/1.1 200 "), "{read}");
        tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// As `docs/tls.md` has it: last line, first line, and away, while clients come.
#[test]
fn the_keys_of_tickets_are_rotated_by_hand_while_clients_come() {
    let site = secure("ticket-keys = \"tickets.key\"");
    let key = |byte: u8| STANDARD.encode([byte; 32]) + "\n";
    site.write("tickets.key", key(1));
    let watershed = serve(site);
    let (client, running) = (Resuming::new(&watershed), AtomicBool::new(true));
    assert!(!client.resumes() && client.resumes());
    let old = Resuming::new(&watershed);
    old.resumes();
    // Whether the process has the file: a wrong one beside it is told of, and then told of no more.
    let put = |text: String| {
        watershed.site.replace("tickets.key", text);
        assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
    };
    let (asked, resumed) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut asked, mut resumed) = (0, 0);
            while running.load(Ordering::Relaxed) || asked < 6 {
                resumed += usize::from(client.resumes());
                asked += 1;
            }
            (asked, resumed)
        });
        let stop = StopOnDrop(&running);
        for text in [key(1) + &key(2), key(2) + &key(1), key(2), key(2) + &key(3), key(3) + &key(2)]
        {
            put(text);
            // A client that comes all the time has a ticket of the newest key before the old one is gone.
            let fresh = Resuming::new(&watershed);
            assert!(!fresh.resumes() && fresh.resumes());
            for _ in 0..3 {
                fresh.resumes();
            }
        }
        drop(stop);
        asking.join().unwrap()
    });
    assert!(asked > 5 && resumed > asked / 2, "{resumed} of {asked}");
    assert!(!old.resumes(), "its key is gone");
    assert!(old.resumes(), "it has got a new ticket");
    // Too short, too long, nothing: the keys from before stay.
    for wrong in ["short".to_owned(), STANDARD.encode([7; 33]), String::new(), key(4).repeat(17)] {
        watershed.site.replace("tickets.key", &wrong);
        assert_eq!(watershed.admin_post("/api/v1/reload").status, 422, "{wrong:?}");
        assert!(old.resumes(), "{wrong:?}");
    }
    put(key(3));
    eventually("no trouble", || {
        !watershed.status()["troubles"].to_string().contains("tickets.key")
    });
}
