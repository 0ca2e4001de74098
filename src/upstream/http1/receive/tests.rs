//! Responses as they are read: the same wherever they are cut, and refused where their framing is in doubt.

use proptest::prelude::*;

use super::*;
use crate::upstream::http1::request::Framing as Sending;

const GET: Asked = Asked {
    is_head: false,
    is_connect: false,
    is_upgrade: false,
    is_idempotent: true,
    has_body: false,
    is_reused: false,
};

/// What a response comes to, with the data of its body in one piece.
#[derive(Debug, Default, PartialEq, Eq)]
struct Whole {
    informational: Vec<u16>,
    status: u16,
    body: Vec<u8>,
    trailers: Vec<String>,
    end: End,
    is_kept: bool,
    rest: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Clean,
    Wrong(&'static str),
    Truncated,
}

/// Receives parts one by one, and then the end of the stream if the response is still open.
fn receive(asked: Asked, parts: &[&[u8]], is_closed: bool) -> Whole {
    let mut send = Send::new(Vec::new(), Sending::None, &http::Request::new(()).into(), None);
    let mut receive = Receive::new(asked);
    let mut input = BytesMut::new();
    let mut whole = Whole::default();
    for part in parts {
        input.extend_from_slice(part);
        take_all(&mut receive, &mut input, &mut send, &mut whole);
    }
    if is_closed && whole.end == End::Open {
        whole.end = match receive.close(&send) {
            Ok(_) => End::Clean,
            Err(_) => End::Truncated,
        };
    }
    whole.is_kept = receive.is_kept();
    whole.rest = input.len();
    whole
}

fn take_all(receive: &mut Receive, input: &mut BytesMut, send: &mut Send, whole: &mut Whole) {
    while whole.end == End::Open {
        match receive.take(input, send) {
            Ok(None) => return,
            Ok(Some(Received::End)) => whole.end = End::Clean,
            Ok(Some(Received::Event(event))) => match event {
                AnyEvent::Informational(head) => whole.informational.push(head.status.as_u16()),
                AnyEvent::Head(head) => whole.status = head.status.as_u16(),
                AnyEvent::Data(data) => {
                    assert!(!data.is_empty(), "an empty part would end a chunked body");
                    whole.body.extend_from_slice(&data);
                }
                AnyEvent::Trailers(trailers) => {
                    let fields = trailers.iter().map(|(name, value)| format!("{name}={value:?}"));
                    whole.trailers = fields.collect();
                }
                AnyEvent::End | AnyEvent::Failed(_) => panic!("{event:?}"),
            },
            Err(Broken::Protocol(wrong)) => whole.end = End::Wrong(wrong),
            Err(broken) => panic!("{broken:?}"),
        }
    }
}

fn whole(asked: Asked, response: &str) -> Whole {
    receive(asked, &[response.as_bytes()], true)
}

/// Responses that are complete, and what they come to.
fn complete() -> Vec<(Asked, &'static str, Whole)> {
    let kept = || Whole { status: 200, end: End::Clean, is_kept: true, ..Whole::default() };
    let body = |body: &str| Whole { body: body.into(), ..kept() };
    let head = Asked { is_head: true, ..GET };
    vec![
        (GET, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", body("hello")),
        (GET, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", kept()),
        (GET, "HTTP/1.1 200 \r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", kept()),
        (
            GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA \r\n0123456789\r\n0\r\nx-a: 1\r\n\r\n",
            Whole { trailers: vec!["x-a=\"1\"".to_owned()], ..body("hello0123456789") },
        ),
        (
            GET,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            Whole { informational: vec![100, 103], ..body("hi") },
        ),
        (
            GET,
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            Whole { informational: vec![103, 103], status: 204, ..kept() },
        ),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n", Whole { status: 204, ..kept() }),
        (GET, "HTTP/1.1 304 Same\r\ncontent-length: 5\r\n\r\n", Whole { status: 304, ..kept() }),
        (head, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", kept()),
        (head, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", kept()),
        (
            GET,
            "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nhi",
            Whole { is_kept: false, ..body("hi") },
        ),
        (
            GET,
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            Whole { is_kept: false, ..body("hi") },
        ),
        (
            GET,
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nConnection: Keep-Alive\r\n\r\nhi",
            body("hi"),
        ),
        (
            Asked { is_connect: true, ..GET },
            "HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno",
            Whole { status: 403, ..body("no") },
        ),
    ]
}

#[test]
fn a_response_comes_to_the_same_wherever_it_is_cut() {
    for (asked, response, expected) in complete() {
        assert_eq!(whole(asked, response), expected, "{response:?}");
        let bytes = response.as_bytes();
        for cut in 1..bytes.len() {
            let (start, rest) = bytes.split_at(cut);
            assert_eq!(receive(asked, &[start, rest], true), expected, "{response:?} at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(receive(asked, &single, true), expected, "{response:?} byte by byte");
    }
}

#[test]
fn a_response_that_ends_early_is_never_complete() {
    for (asked, response, _) in complete() {
        let bytes = response.as_bytes();
        for cut in 0..bytes.len() {
            let end = receive(asked, &[&bytes[..cut]], true).end;
            assert_eq!(end, End::Truncated, "{response:?} cut at {cut}");
        }
    }
}

#[test]
fn bytes_after_a_response_are_no_part_of_it() {
    for (asked, response, expected) in complete() {
        let more = format!("{response}HTTP/1.1 200 OK\r\n\r\n");
        let seen = whole(asked, &more);
        assert_eq!((seen.rest, &seen.body), (19, &expected.body), "{response:?}");
        assert_eq!(seen.end, End::Clean);
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    for version in ["1.0", "1.1"] {
        let seen = whole(GET, &format!("HTTP/{version} 200 OK\r\n\r\nhello"));
        assert_eq!((seen.body, seen.end, seen.is_kept), (b"hello".to_vec(), End::Clean, false));
    }
}

#[test]
fn what_is_no_response_is_refused() {
    for response in [
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nx: 1\n\r\n",
        "HTTP/1.1 200 OK\r\nx: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx\u{e9}: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    ] {
        let end = whole(GET, response).end;
        assert!(matches!(end, End::Wrong(_)), "{response:?}: {end:?}");
    }
}

#[test]
fn what_leaves_the_end_of_a_body_open_is_refused() {
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 5 5\r\n",
        "content-length: 0x5\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \u{b}chunked\r\n",
    ] {
        for asked in [GET, Asked { is_head: true, ..GET }] {
            let end = whole(asked, &format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello")).end;
            assert!(matches!(end, End::Wrong(_)), "{fields:?}: {end:?}");
        }
    }
    let old = whole(GET, "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(matches!(old.end, End::Wrong(_)));
}

#[test]
fn chunks_are_taken_exactly() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in [
        "5\nhello",
        "zz\r\n",
        "-1\r\n",
        "11111111111111111\r\n",
        "5\r\nhelloX",
        "\r\n",
        "0\r\nx\r\n\r\n",
    ] {
        let end = whole(GET, &format!("{head}{body}")).end;
        assert!(matches!(end, End::Wrong(_)), "{body:?}: {end:?}");
    }
    // The size is as large as one may be, and the rest never comes.
    assert_eq!(whole(GET, &format!("{head}7fffffffffffffff\r\nhello")).end, End::Truncated);
    let end = whole(GET, &format!("{head}8000000000000000\r\nhello")).end;
    assert!(matches!(end, End::Wrong(_)), "{end:?}");
}

#[test]
fn heads_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(64 << 10));
    assert!(matches!(whole(GET, &long).end, End::Wrong(wrong) if wrong.contains("64 KiB")));
    let complete = format!("{long}\r\n\r\n");
    assert!(matches!(whole(GET, &complete).end, End::Wrong(wrong) if wrong.contains("64 KiB")));
    let fields =
        |count| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: 1\r\n".repeat(count));
    assert_eq!(whole(GET, &fields(255)).end, End::Clean);
    assert!(matches!(whole(GET, &fields(256)).end, End::Wrong(wrong) if wrong.contains("256")));
    let informational = "HTTP/1.1 102 Processing\r\n\r\n";
    assert_eq!(whole(GET, &informational.repeat(100)).end, End::Truncated);
    assert!(matches!(whole(GET, &informational.repeat(101)).end, End::Wrong(_)));
}

#[test]
fn bytes_of_another_protocol_follow_an_upgrade() {
    let asked = Asked { is_upgrade: true, ..GET };
    let seen = whole(
        asked,
        "HTTP/1.1 101 Switching Protocols\r\ncontent-length: 1\r\nupgrade: x\r\n\r\nhello",
    );
    assert_eq!((seen.status, seen.body, seen.end), (101, b"hello".to_vec(), End::Clean));
    assert!(!seen.is_kept);
    let asked = Asked { is_connect: true, ..GET };
    let seen = whole(asked, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhello");
    assert_eq!((seen.body, seen.end, seen.is_kept), (b"hello".to_vec(), End::Clean, false));
}

proptest! {
    /// Whatever comes, in whatever parts: no panic, and the same result.
    #[test]
    fn parts_do_not_matter(
        response in prop_oneof![
            prop::sample::select(complete().into_iter().map(|it| it.1.as_bytes().to_vec()).collect::<Vec<_>>()),
            "HTTP/1\\.[01] [12][0-9]{2}\r\n(content-length: [0-9]{1,2}\r\n|transfer-encoding: chunked\r\n|x: y\r\n){0,2}\r\n([0-9a-f]{1,2}\r\n[a-z]{0,9}\r\n){0,3}(0\r\n\r\n)?"
                .prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut response = response;
        if let Some((at, byte)) = flip {
            let at = at.index(response.len());
            response[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(response.len())).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut start = 0;
        for cut in cuts {
            parts.push(&response[start..cut]);
            start = cut;
        }
        parts.push(&response[start..]);
        let at_once = receive(GET, &[&response], true);
        let in_parts = receive(GET, &parts, true);
        prop_assert_eq!((in_parts.status, &in_parts.body, &in_parts.end), (at_once.status, &at_once.body, &at_once.end));
    }
}
