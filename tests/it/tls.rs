//! Handshakes of TLS with the clients of the system, and with who does not shake hands.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::https::{FIRST, SECOND, secure, secure_beside};
use crate::support::{Http1, Site, Watershed, assert_problem, eventually, lab};

fn serve(lines: &str) -> Watershed {
    let domains = format!("domains = [\"{FIRST}\", \"{SECOND}\", \"127.0.0.1\"]\n");
    secure(lines).service("lab", &(domains + &lab("v1"))).start()
}

#[test]
fn curl_speaks_each_version_of_http_over_each_of_tls() {
    let watershed = serve("");
    for (tls, name) in [(["--tlsv1.2", "--tls-max", "1.2"], "1.2"), (["--tlsv1.3"; 3], "1.3")] {
        for (http, version) in [("--http1.1", "1.1"), ("--http1.0", "1.1"), ("--http2", "2")] {
            let format = ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"];
            let arguments = [&tls[..], &[http], &format].concat();
            for host in [FIRST, SECOND, "127.0.0.1"] {
                let said = watershed.curl(&arguments, &format!("https://{host}/count"));
                assert_eq!(said, format!("{version} 200"), "{name} {http} {host}");
            }
        }
    }
}

#[test]
fn a_certificate_is_chosen_by_the_name_and_the_first_is_for_everybody_else() {
    let watershed = serve("");
    for (asked, name) in [
        (&["-servername", FIRST][..], FIRST),
        (&["-servername", SECOND], SECOND),
        (&["-servername", "x.w.test"], "x.w.test"),
        (&["-servername", "unknown.test"], FIRST),
        (&["-noservername"], FIRST),
    ] {
        let verify = ["-verify_return_error", "-verify_hostname", name];
        let (is_content, said) = watershed.s_client(&[asked, &verify].concat(), "");
        assert!(is_content && said.contains("Verify return code: 0 (ok)"), "{asked:?}: {said}");
    }
}

/// What testssl.sh looks for: SSLv3 to TLS 1.1, and suites without forward secrecy or authenticated encryption.
#[test]
fn nothing_weak_is_spoken() {
    let watershed = serve("");
    let level = |suites: &str| format!("{suites}:@SECLEVEL=0");
    for old in ["-tls1", "-tls1_1"] {
        let (_, said) = watershed.s_client(&[old, "-cipher", &level("ALL")], "");
        assert!(said.contains("Cipher is (NONE)"), "{old}: {said}");
    }
    for weak in [
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "aNULL",
        "eNULL",
        "PSK",
        "CAMELLIA",
        "ARIA",
        "AESCCM",
    ] {
        let (_, said) = watershed.s_client(&["-tls1_2", "-cipher", &level(weak)], "");
        assert!(said.contains("Cipher is (NONE)"), "{weak}: {said}");
    }
    for suite in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ] {
        let (_, said) = watershed.s_client(&["-tls1_2", "-cipher", suite], "");
        assert!(said.contains(&format!("Cipher is {suite}")), "{said}");
        assert!(
            said.contains("Compression: NONE") && said.contains("Secure Renegotiation IS supp")
        );
    }
    watershed.await_outcomes("tls-handshake", 13);
    assert_eq!(watershed.curl(&["--output", "/dev/null"], &format!("https://{FIRST}/count")), "");
}

#[test]
fn a_client_may_not_renegotiate() {
    let watershed = serve("");
    let (_, said) = watershed.s_client(&["-tls1_2", "-servername", FIRST], "R\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
}

#[test]
fn the_oldest_version_is_changed_while_it_serves() {
    let watershed = serve("minimum = \"1.2\"");
    let is_spoken = |version| {
        let (_, said) = watershed.s_client(&[version], "");
        !said.contains("Cipher is (NONE)")
    };
    assert!(is_spoken("-tls1_2") && is_spoken("-tls1_3"));
    let text = watershed.site.read("watershed.toml").replace("\"1.2\"", "\"1.3\"");
    watershed.site.write("watershed.toml", text);
    eventually("an end of TLS 1.2", || !is_spoken("-tls1_2"));
    assert!(is_spoken("-tls1_3"));
}

#[test]
fn a_session_goes_on_after_a_restart_if_its_keys_do() {
    for (lines, is_kept) in [("ticket-keys = \"tickets.key\"", true), ("", false)] {
        let site =
            secure(lines).service("lab", &(format!("domains = [\"{FIRST}\"]\n") + &lab("v1")));
        site.write("tickets.key", "ERERERERERERERERERERERERERERERERERERERERERE=\n");
        let mut watershed = site.start();
        for version in ["-tls1_2", "-tls1_3"] {
            let ask = format!("GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n");
            let (name, file) = ("-servername", watershed.site.path(version));
            let file = file.to_str().unwrap().to_owned();
            let first = [version, name, FIRST, "-ign_eof", "-sess_out", &file];
            let again = [version, name, FIRST, "-ign_eof", "-sess_in", &file];
            assert!(watershed.s_client(&first, &ask).1.contains("New, TLS"));
            let (_, said) = watershed.s_client(&again, &ask);
            assert!(said.contains("Reused, TLS") && said.contains("200 OK"), "{said}");
            watershed = watershed.restart();
            let (_, said) = watershed.s_client(&again, &ask);
            assert_eq!(said.contains("Reused, TLS"), is_kept, "{version} {lines}: {said}");
            assert!(said.contains("200 OK"), "{said}");
        }
    }
}

/// A balancer or a browser has just connected, and a restart or an end must not cost it its request.
#[test]
fn who_has_just_shaken_hands_is_served_at_the_end() {
    let mut watershed = serve("");
    let mut client = watershed.tls(FIRST, &["http/1.1"]);
    client.conn.complete_io(&mut client.sock).unwrap();
    watershed.signal(Signal::SIGTERM);
    watershed.log_line(&["draining for at most"]);
    write!(client, "GET /count HTTP/1.1\r\nhost: {FIRST}\r\n\r\n").unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).unwrap();
    assert!(read.starts_with("HTTP/1.1 200 "), "{read}");
    assert!(watershed.wait(Duration::from_secs(8)).success());
}

/// However they drip: silent, a part of a record, a whole record of a part of a hello.
#[test]
fn who_is_slow_to_shake_hands_is_closed() {
    let site = secure_beside("[server.limits]\nhead-time = \"1s\"", "");
    let watershed =
        site.service("lab", &(format!("domains = [\"{FIRST}\"]\n") + &lab("v1"))).start();
    let record = |length: u8, rest: &[u8]| [&[22, 3, 1, 0, length], rest].concat();
    for (at, sent) in
        [Vec::new(), record(200, &[]), record(4, &[1, 0, 1, 0])].into_iter().enumerate()
    {
        let (mut client, began) = (Http1::connect(watershed.https_address()), Instant::now());
        client.send(&sent);
        client.assert_closed();
        assert!((1..8).contains(&began.elapsed().as_secs()), "{sent:?}: {:?}", began.elapsed());
        watershed.await_outcomes("tls-handshake", u32::try_from(at).unwrap() + 1);
    }
}

#[test]
fn cleartext_where_tls_is_spoken_is_told_so_and_the_other_way_round() {
    let watershed = serve("");
    let mut client = Http1::connect(watershed.https_address());
    assert_problem(&client.get(FIRST, "/count"), 400, "cleartext");
    client.assert_closed();
    watershed.await_outcomes("cleartext", 1);
    let mut client = Http1::connect(watershed.https_address());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(client.everything().starts_with("HTTP/1.1 400 "));

    // A hello of TLS, which may have no end of a line.
    let (mut client, began) = (watershed.http1(), Instant::now());
    client.send([22, 3, 1, 0, 5, 1, 0, 0, 1, 3]);
    assert!(client.everything().starts_with("HTTP/1.1 400 "));
    assert!(began.elapsed() < Duration::from_secs(5), "it waited for the rest of a head");
    // Who comes and goes, as balancers that look whether a port is open, is nothing to tell of.
    drop(Http1::connect(watershed.https_address()));
    watershed.assert_serves(FIRST, "/count");
    watershed.await_outcomes("tls-handshake", 0);
}

/// Bytes that were agreed to be of one protocol are not taken for the other.
#[test]
fn what_alpn_agreed_on_is_spoken() {
    let watershed = serve("");
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let request = &format!("GET /count HTTP/1.1\r\nhost: {FIRST}\r\nconnection: close\r\n\r\n");
    for (protocols, sent, status) in [
        (&["http/1.1"][..], preface, "400"),
        (&[], preface, "400"),
        (&["h2"], request, "400"),
        (&[], request, "200"),
        (&["spdy/3", "http/1.1"], request, "200"),
    ] {
        let mut client = watershed.tls(FIRST, protocols);
        client.write_all(sent.as_bytes()).unwrap();
        let mut read = String::new();
        client.read_to_string(&mut read).unwrap();
        assert!(read.starts_with(&format!("HTTP/1.1 {status}")), "{protocols:?}: {read}");
    }
    let mut client = watershed.tls(FIRST, &["spdy/3"]);
    let refused = client.write_all(request.as_bytes()).and_then(|()| client.read(&mut [0]));
    assert!(refused.is_err_and(|error| error.kind() != ErrorKind::WouldBlock));
}

#[test]
fn the_start_and_the_check_name_what_is_missing() {
    let site = secure("");
    std::fs::remove_file(site.path("first.key")).unwrap();
    std::fs::remove_file(site.path("second.key")).unwrap();
    let refused = site.run(&["run"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("first.key"), "{refused:?}");
    let taken: Site = secure("");
    let running = taken.start();
    let text = running.site.read("watershed.toml");
    let port = format!("[server.tls]\nlisten = [\"{}\"]", running.https_address());
    let other = secure("");
    let text = text.replace("[server.tls]\nlisten = [\"127.0.0.1:0\"]", &port);
    other.write("watershed.toml", text);
    let refused = other.run(&["run"]);
    assert!(refused.stderr.contains("`server.tls.listen`"), "{refused:?}");
}
