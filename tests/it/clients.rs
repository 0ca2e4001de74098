//! Clients that send little, send it slowly, or leave: what they cost, what they are told, and that other clients do
//! not notice.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    GREETER, LAB, Site, Watershed, assert_problem, eventually, greeter, lab, limits, request,
    serve_lab, within,
};

/// A lab whose listener has these limits.
fn lab_with(limits: &str) -> Watershed {
    let server = format!("[server.limits]\n{limits}");
    Site::new().server(&server).service("lab", &lab("v1")).start()
}

fn descriptors(watershed: &Watershed) -> usize {
    fs::read_dir(format!("/proc/{}/fd", watershed.pid())).unwrap().count()
}

/// CPU time of the process so far, in ticks of a hundredth of a second.
fn cpu_ticks(watershed: &Watershed) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", watershed.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_head_that_is_too_large_is_told_so_and_counted() {
    let watershed = lab_with("head = \"4KiB\"\nheaders = 10");
    let long = format!("x-long: {}\r\n", "x".repeat(5000));
    let many: String = (0..10).map(|number| format!("x-{number}: 1\r\n")).collect();
    for fields in [long, many] {
        let mut client = watershed.http1();
        client.send(format!("GET /count HTTP/1.1\r\nhost: {LAB}\r\n{fields}\r\n"));
        let response = client.response("GET");
        assert_problem(&response, 431, "request-head");
        assert_eq!(response.header("connection"), Some("close"));
        client.assert_closed();
    }
    watershed.await_outcomes("request-head", 2);
    let mut fits = request("GET", LAB, "/count");
    for number in 0..10 {
        fits.headers_mut().append("x-a", number.into());
    }
    let http2 = watershed.http2();
    let response = http2.response(http2.open(fits.clone(), false).response).unwrap();
    assert_eq!(response.status, 200);
    fits.headers_mut().append("x-a", 11.into());
    let response = http2.response(http2.open(fits, false).response).unwrap();
    assert_problem(&response, 431, "request-head");
    assert_eq!(http2.get(LAB, "/count").status, 200, "the connection goes on");
    watershed.await_outcomes("request-head", 3);
}

#[test]
fn limits_of_heads_are_reloaded() {
    let watershed = lab_with("headers = 1");
    assert_eq!(watershed.get(LAB, "/count").status, 200);
    let ask = || watershed.http1().ask("GET", LAB, "/count", &["x-a: 1"], b"").status;
    assert_eq!(ask(), 431);
    let main = watershed.site.read("watershed.toml").replace("headers = 1", "headers = 2");
    watershed.site.replace("watershed.toml", main);
    eventually("the new limit", || ask() == 200);
}

/// However slowly the head drips, and also on a kept connection.
#[test]
fn a_head_has_its_time_as_a_whole() {
    let watershed = lab_with("head-time = \"1s\"");
    for kept in [false, true] {
        let mut client = watershed.http1();
        if kept {
            assert_eq!(client.get(LAB, "/count").status, 200);
        }
        let mut writer = client.writer();
        let began = Instant::now();
        let drip = thread::spawn(move || {
            // A byte is never more than a fifth of a second away.
            for byte in
                format!("GET /count HTTP/1.1\r\nhost: {LAB}\r\nx: {}", "x".repeat(99)).bytes()
            {
                thread::sleep(Duration::from_millis(50));
                if writer.write_all(&[byte]).is_err() {
                    return;
                }
            }
        });
        assert_problem(&client.response("GET"), 408, "request-timeout");
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        drip.join().unwrap();
    }
    watershed.await_outcomes("request-timeout", 2);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let watershed = lab_with("idle-time = \"1s\"");
    let mut silent = watershed.http1();
    let mut kept = watershed.http1();
    assert_eq!(kept.get(LAB, "/count").status, 200);
    silent.assert_closed();
    kept.assert_closed();
    watershed.await_outcomes("request-timeout", 0);
}

/// RFC 9113, section 6.8: after a GOAWAY, a client knows that its next request is not lost.
#[test]
fn an_idle_http2_connection_is_closed_by_goaway() {
    let watershed = lab_with("idle-time = \"1s\"");
    let client = watershed.http2();
    assert_eq!(client.get(LAB, "/count").status, 200);
    // A stream that is open is not idle.
    assert_eq!(client.get(LAB, "/sleep?ms=1500").status, 200);
    client.await_end();
}

/// Each stream used to be looked at 500 times a second, for a minute.
#[test]
fn clients_that_have_left_are_gone_and_cost_nothing() {
    let watershed = serve_lab();
    watershed.assert_serves(LAB, "/count");
    let before = descriptors(&watershed);
    for _ in 0..300 {
        let mut client = watershed.http1();
        client.send("P");
        client.close();
    }
    eventually("their descriptors", || descriptors(&watershed) <= before + 2);
    let silent: Vec<_> = (0..300)
        .map(|_| {
            let mut client = watershed.http1();
            client.send("PRI");
            client
        })
        .collect();
    eventually("all of them", || descriptors(&watershed) + 5 >= before + silent.len());
    let ticks = cpu_ticks(&watershed);
    thread::sleep(Duration::from_secs(1));
    let spent = cpu_ticks(&watershed) - ticks;
    assert!(spent < 30, "{spent} hundredths of a second for clients that say nothing");
}

/// At 200 descriptors, 300 clients that keep their connections used to lock everybody out.
#[test]
fn idle_connections_make_room_for_others_and_for_operators() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let mut command = site.command(&["run"]);
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = std::process::Command::new("sh");
    command.arg("-c").arg("ulimit -n 200 && exec \"$0\" \"$@\"").arg(program).args(arguments);
    command.arg0("sh");
    let watershed = Watershed::spawn(site, command);
    let mut kept: Vec<_> = (0..300)
        .map(|_| {
            let mut client = watershed.http1();
            client.send(format!("GET / HTTP/1.1\r\nhost: {GREETER}\r\n\r\n"));
            client
        })
        .collect();
    for client in &mut kept {
        assert_eq!(client.response("GET").status, 200);
    }
    assert_eq!(watershed.admin("/readyz").status, 200);
    watershed.site.replace("services/greeter.toml", greeter("v2"));
    watershed.await_greeting("Hello from v2!\n");
}

#[test]
fn a_client_that_only_ends_its_own_side_is_answered() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client.send(format!("GET /sleep?ms=300 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    client.end_writing();
    assert_eq!(client.response("GET").text(), "slept 300 ms\n");
    client.assert_closed();
    let mut client = watershed.http1();
    client.send(format!("POST /echo HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 5\r\n\r\nhello"));
    client.end_writing();
    assert_eq!(client.response("POST").text(), "hello");
    watershed.await_outcomes("2xx", 2);
}

#[test]
fn a_slow_upload_does_not_use_up_the_time_of_the_version() {
    let site = Site::new().service("lab", &(lab("v1") + &limits("wall-time = \"1500ms\"")));
    let watershed = site.start();
    let mut client = watershed.http1();
    client.send(format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 20\r\n\r\n"));
    for _ in 0..20 {
        client.send("x");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.response("POST").text(), "read 20 bytes\n");
    let http2 = watershed.http2();
    let mut exchange = http2.open(request("POST", LAB, "/read"), true);
    for part in 0..20 {
        exchange.upload.send_data("x".into(), part == 19).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(http2.response(exchange.response).unwrap().text(), "read 20 bytes\n");
    watershed.await_outcomes("2xx", 2);
}

/// This is no failure of the version.
#[test]
fn a_client_that_does_not_send_its_body_is_told_so() {
    let site = Site::new().service("lab", &(lab("v1") + &limits("wall-time = \"300ms\"")));
    let watershed = site.start();
    let mut client = watershed.http1();
    client.send(format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\ncontent-length: 5\r\n\r\nhe"));
    let response = client.response("POST");
    assert_problem(&response, 408, "request-timeout");
    assert_eq!(response.header("connection"), Some("close"));
    let http2 = watershed.http2();
    let exchange = http2.open(request("POST", LAB, "/read"), true);
    assert_problem(&http2.response(exchange.response).unwrap(), 408, "request-timeout");
    watershed.await_outcomes("request-timeout", 2);
    let status = watershed.admin("/api/v1/status").text();
    assert!(status.contains("\"error_ratio\":0"), "{status}");
    // A slow guest is the version's failure.
    assert_problem(&watershed.get(LAB, "/hang"), 504, "wall-time");
}

/// The kernel has taken at least 4 MiB that the client has yet to read.
#[test]
fn a_slow_reader_that_reads_is_not_cut_off() {
    let lines = "wall-time = \"2s\"\ncpu-time = \"10s\"";
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(lines))).start();
    let mut client = watershed.http1();
    client.send(format!("GET /big?mib=24 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    let mut response = client.head();
    let mut read = 0;
    while !response.complete {
        response.body.clear();
        assert!(client.chunk(&mut response), "cut off after {read} bytes");
        read += response.body.len();
        // 4 MiB a second or so.
        thread::sleep(Duration::from_millis(15));
    }
    assert_eq!(read, 24 << 20);
}

#[test]
fn a_reader_that_reads_nothing_is_cut_off() {
    let lines = "wall-time = \"300ms\"\ncpu-time = \"10s\"";
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(lines))).start();
    let mut client = watershed.http1();
    client.send(format!("GET /big?mib=100000 HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    client.head();
    watershed.await_outcomes("client-slow", 1);
    let http2 = watershed.http2();
    let exchange = http2.open(request("GET", LAB, "/big?mib=100000"), false);
    let response = http2.wait(exchange.response).unwrap();
    // The last bytes may leave once the wait has begun; the wait then lasts another 5 s.
    within(Duration::from_secs(15), "the end of it", || {
        watershed.metric("watershed_requests_total", &[("outcome", "client-slow")]) > 1.5
    });
    drop(response);
    assert_eq!(http2.get(LAB, "/count").status, 200);
}

/// A browser reads the responses in the order in which it needs them.
#[test]
fn a_client_that_reads_one_response_after_another_is_not_cut_off() {
    let lines = "wall-time = \"300ms\"\ncpu-time = \"10s\"";
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(lines))).start();
    let http2 = watershed.http2();
    let first = http2.open(request("GET", LAB, "/big?mib=100000"), false);
    let second = http2.open(request("GET", LAB, "/big?mib=2"), false);
    let mut body = http2.wait(first.response).unwrap().into_body();
    // This is longer than the patience for a client that reads nothing.
    let until = Instant::now() + Duration::from_secs(7);
    while Instant::now() < until {
        let data = http2.wait(body.data()).unwrap().unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    drop(body);
    let second = http2.response(second.response).unwrap();
    assert_eq!((second.complete, second.body.len()), (true, 2 << 20));
}

/// nginx and HAProxy had connections that outlived their peers for days.
#[test]
fn a_peer_that_has_vanished_is_looked_for() {
    let watershed = serve_lab();
    let client = watershed.http1();
    let ends = [watershed.address().port(), client.local_port()].map(|port| format!(":{port:04X}"));
    let timers = || {
        let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", watershed.pid())).unwrap();
        // All sockets of the machine. Connections of other tests may have the client's port too, so both ends and
        // the state (1: established) have to be right. Nothing was sent, so no other timer hides keep-alive's (2).
        sockets.lines().any(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, local, remote, "01", _, timer, ..] => {
                local.ends_with(&ends[0]) && remote.ends_with(&ends[1]) && timer.starts_with("02:")
            }
            _ => false,
        })
    };
    within(Duration::from_secs(10), "a keep-alive timer", timers);
}

/// On a pooled connection, an answer to this could be taken for the answer to the next request.
#[test]
fn an_empty_line_is_no_request() {
    let watershed = lab_with("head-time = \"1s\"\nidle-time = \"2s\"");
    let mut client = watershed.http1();
    assert_eq!(client.ask("POST", LAB, "/read", &[], b"hello").status, 200);
    client.send("\r\n");
    client.assert_closed();
    let mut client = watershed.http1();
    client.send(format!("\r\n\r\nGET /count HTTP/1.1\r\nhost: {LAB}\r\n\r\n"));
    assert_eq!(client.response("GET").text(), "1\n");
    watershed.await_outcomes("request-timeout", 0);
}

/// A part of a chunk's head, or an empty frame, used to make a waiting guest trap, and the guest was blamed.
#[test]
fn empty_parts_of_a_body_reach_no_guest() {
    let watershed = serve_lab();
    let mut client = watershed.http1();
    client
        .send(format!("POST /read HTTP/1.1\r\nhost: {LAB}\r\ntransfer-encoding: chunked\r\n\r\n"));
    for byte in "5;aaaaaaaaaaaaaaaaaaaa\r\n".bytes() {
        client.send([byte]);
        thread::sleep(Duration::from_millis(5));
    }
    client.send("hello\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").text(), "read 5 bytes\n");
    let http2 = watershed.http2();
    let mut exchange = http2.open(request("POST", LAB, "/read"), true);
    for _ in 0..30 {
        exchange.upload.send_data("".into(), false).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    exchange.upload.send_data("hello".into(), true).unwrap();
    assert_eq!(http2.response(exchange.response).unwrap().text(), "read 5 bytes\n");
    watershed.await_outcomes("2xx", 2);
}

/// A guest that answers before it reads does not need the request's body.
#[test]
fn no_100_comes_after_the_response_has_begun() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut expecting = request("POST", LAB, "/early");
    expecting.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let mut exchange = client.open(expecting, true);
    exchange.upload.send_data("0123456789".into(), true).unwrap();
    let response = client.response(exchange.response).unwrap();
    assert_eq!((response.status, response.complete), (200, true), "{response:?}");
}

/// Otherwise its client has no room left on the connection.
#[test]
fn an_upload_that_nobody_reads_does_not_stop_the_others() {
    let watershed = serve_lab();
    let client = watershed.http2();
    let mut unread = client.open(request("POST", LAB, "/sleep?ms=3000"), true);
    unread.upload.send_data(vec![b'x'; 65_535].into(), false).unwrap();
    let mut other = client.open(request("POST", LAB, "/read"), true);
    other.upload.send_data(vec![b'x'; 30_000].into(), true).unwrap();
    assert_eq!(client.response(other.response).unwrap().text(), "read 30000 bytes\n");
}
