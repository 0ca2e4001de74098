//! What a stranger may do to the listener of HTTPS before a request: nothing of it holds up others, and each end is
//! counted and told in plain words.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::idle::allow_descriptors;
use crate::support::https::{FIRST, SECOND, secure, secure_beside};
use crate::support::{Http1, Site, Watershed, eventually, lab, within};

/// How many handshakes there may be at once.
const AT_ONCE: usize = 1_024;

fn serve(site: Site) -> Watershed {
    let domains = format!("domains = [\"{FIRST}\", \"{SECOND}\"]\n");
    site.variable("WATERSHED_LOG", "watershed=debug")
        .service("lab", &(domains + &lab("v1")))
        .start()
}

/// A request over a new connection.
fn assert_served(watershed: &Watershed) {
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    write!(client, "GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n").unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).unwrap();
    assert!(read.starts_with("HTTP/1.1 200 "), "{read}");
}

/// A client that begins a handshake and says no more.
fn begun(watershed: &Watershed) -> TcpStream {
    let mut client = TcpStream::connect(watershed.https_address()).unwrap();
    client.write_all(&[22, 3, 1]).unwrap();
    client.set_nonblocking(true).unwrap();
    client
}

fn is_open(client: &TcpStream) -> bool {
    matches!(client.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Those who never come to an end must not be all whom there is room for.
#[test]
fn as_many_handshakes_as_there_is_room_for_hold_nobody_up() {
    allow_descriptors(2 * AT_ONCE);
    let watershed = serve(secure_beside("[server.limits]\nhead-time = \"60s\"", ""));
    let mut clients: Vec<_> = (0..AT_ONCE - 24).map(|_| begun(&watershed)).collect();
    // Where there is room, nobody is closed, and others are served beside them.
    for _ in 0..5 {
        assert_served(&watershed);
    }
    assert!(clients.iter().all(is_open));
    watershed.await_outcomes("tls-handshake", 0);
    // Where there is none, those who have had their second make room, no more than are needed for those who wait.
    clients.extend((0..100).map(|_| begun(&watershed)));
    watershed.assert_serves(FIRST, "/count");
    for _ in 0..5 {
        assert_served(&watershed);
    }
    let closed = || clients.iter().filter(|client| !is_open(client)).count();
    assert!(closed() < AT_ONCE / 2, "{} of {} were closed", closed(), clients.len());
    eventually("those who made room are counted", || {
        let labels = [("outcome", "tls-handshake")];
        let counted = watershed.metric("watershed_requests_total", &labels);
        counted > 0.0 && (counted - closed() as f64).abs() < 0.5
    });
    watershed.log_line(&["the client took more than a second, and too many others waited"]);
    // Whoever is left goes, and is nothing to tell of.
    drop(clients);
    within(Duration::from_secs(20), "all places are free", || {
        let began = Instant::now();
        assert_served(&watershed);
        began.elapsed() < Duration::from_secs(1)
    });
}

/// A version of SSL from before TLS, random bytes, a hello of 16 MiB, records without content, a hello that breaks off.
#[test]
fn bytes_that_are_no_hello_are_told_so_and_closed() {
    let watershed = serve(secure(""));
    let record = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 3, 1], &length[..], content].concat()
    };
    let ssl2 = [&[0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16], &[7; 37][..]].concat();
    let huge = record(22, &[&[1, 0xff, 0xff, 0xff], &[0; 10_000][..]].concat());
    let all = [
        (ssl2, "the client does not speak TLS"),
        (b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0".to_vec(), "does not speak TLS"),
        (b"ssh-2.0-something\r\n".to_vec(), "does not speak TLS"),
        (record(23, b"data"), "received unexpected message"),
        (huge, "does not speak TLS"),
        (record(22, &[1, 0, 0, 4, 3, 3, 0, 0]), "does not speak TLS"),
        ([&[22, 3, 1, 0xff, 0xff][..], &[0; 100]].concat(), "does not speak TLS"),
        (record(22, &[]).repeat(200), "does not speak TLS"),
    ];
    for (at, (sent, words)) in all.iter().enumerate() {
        let (mut client, began) = (Http1::connect(watershed.https_address()), Instant::now());
        client.writer().write_all(sent).ok();
        // An alert at most.
        assert!(client.everything().len() <= 7, "{at}");
        assert!(began.elapsed() < Duration::from_secs(8), "{at}: {:?}", began.elapsed());
        watershed.await_outcomes("tls-handshake", u32::try_from(at).unwrap() + 1);
        watershed.log_line(&["the handshake of TLS failed", words]);
    }
    let mut cleartext = Http1::connect(watershed.https_address());
    assert_eq!(cleartext.get(FIRST, "/").status, 400);
    watershed.log_line(&["the client sends HTTP in cleartext where TLS is spoken"]);
    assert_served(&watershed);
}

/// A hello in as many packets as it has bytes is a hello, and so is one in as many records.
#[test]
fn a_hello_may_come_byte_by_byte() {
    let watershed = serve(secure(""));
    for in_records in [false, true] {
        let mut client = watershed.tls(FIRST, &["http/1.1"]);
        client.sock.set_nodelay(true).unwrap();
        let mut hello = Vec::new();
        client.conn.write_tls(&mut hello).unwrap();
        let (head, content) = hello.split_at(5);
        let pieces: Vec<_> = match in_records {
            false => hello.iter().map(|byte| vec![*byte]).collect(),
            true => content.iter().map(|byte| [&head[..3], &[0, 1, *byte]].concat()).collect(),
        };
        for piece in pieces {
            client.sock.write_all(&piece).unwrap();
        }
        write!(client, "GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut read = String::new();
        client.read_to_string(&mut read).unwrap();
        assert!(read.starts_with("HTTP/1.1 200 "), "{read}");
    }
    watershed.await_outcomes("tls-handshake", 0);
}

/// What a client sends before the handshake is over could be sent once more by somebody else.
#[test]
fn early_data_is_not_taken() {
    let watershed = serve(secure(""));
    let ask = format!("GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n");
    watershed.site.write("early", &ask);
    let [file, early] = ["session", "early"].map(|it| watershed.site.path(it));
    let [file, early] = [&file, &early].map(|it| it.to_str().unwrap());
    let name = ["-servername", FIRST, "-ign_eof", "-tls1_3"];
    let (_, said) = watershed.s_client(&[&name[..], &["-sess_out", file]].concat(), &ask);
    assert!(said.contains("Max Early Data: 0"), "{said}");
    let again = [&name[..], &["-sess_in", file, "-early_data", early]].concat();
    let (_, said) = watershed.s_client(&again, &ask);
    assert!(said.contains("Early data was not sent") && said.contains("200 OK"), "{said}");
}
