//! Bytes of clients. Wherever they are cut, a head and a chunked body end at the same place, and the parsers behind find
//! the same end: two readers that differ are two requests.
#![no_main]

use httparse::Status;
use libfuzzer_sys::fuzz_target;
use watershed_fuzz::chunked::{Chunks, NotChunked, Piece};
use watershed_fuzz::transport::head::{Framing, HeadLimits, Scan, Seen};
use watershed_fuzz::transport::target::origin_form;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 64 };

// The first byte says how long the parts are.
fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else { return };
    let step = usize::from(*step).max(1);
    head(bytes, step);
    body(bytes, step);
});

fn head(bytes: &[u8], step: usize) {
    let whole = Scan::default().look(bytes, LIMITS);
    let mut scan = Scan::default();
    let mut parts = Ok(Seen::Part);
    let mut end = 0;
    while parts == Ok(Seen::Part) && end < bytes.len() {
        end = (end + step).min(bytes.len());
        parts = scan.look(&bytes[..end], LIMITS);
    }
    // Which of two faults comes first depends on the parts.
    assert!(whole == parts || (whole.is_err() && parts.is_err()), "{whole:?} {parts:?}");
    let Ok(Seen::Head(length, framing)) = whole else { return };
    let head = &bytes[..length];
    is_as_parsed(head, framing);
    if let Ok(Some(rewritten)) = origin_form(head) {
        let seen = Scan::default().look(&rewritten, HeadLimits { bytes: 8192, fields: 65 });
        assert_eq!(seen, Ok(Seen::Head(rewritten.len(), framing)));
        is_as_parsed(&rewritten, framing);
    }
}

/// What pingora's parser accepts, it must read in the same way.
fn is_as_parsed(head: &[u8], framing: Framing) {
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(Status::Complete(length)) = request.parse(head) else { return };
    assert_eq!(length, head.len());
    let values = |name: &str| {
        let fields = request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name));
        fields.map(|it| it.value.trim_ascii().to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let declared: Vec<u64> =
        lengths.iter().map(|it| String::from_utf8_lossy(it).parse().expect("a number")).collect();
    match framing {
        Framing::None => assert!(codings.is_empty() && declared.iter().all(|it| *it == 0)),
        Framing::Length(length) => assert!(codings.is_empty() && declared == [length]),
        Framing::Chunked => assert!(codings == [b"chunked"] && declared.is_empty()),
    }
}

fn body(bytes: &[u8], step: usize) {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, step));
    if let Ok((data, _, true)) = whole {
        assert_eq!(decoded(bytes), data);
    }
}

/// The data of a chunked body that comes in parts, how many bytes of it were read, and whether it is complete.
fn read(bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), NotChunked> {
    let mut chunks = Chunks::default();
    let (mut data, mut at) = (Vec::new(), 0);
    for part in bytes.chunks(step) {
        let mut rest = part;
        while !rest.is_empty() && !chunks.is_done() {
            let length = match chunks.piece(rest)? {
                Piece::Framing(length) => length,
                Piece::Data(length) => {
                    data.extend_from_slice(&rest[..length]);
                    length
                }
            };
            at += length;
            rest = &rest[length..];
        }
    }
    Ok((data, at, chunks.is_done()))
}

/// A chunked body that is known to be one, by its lines.
fn decoded(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let line = bytes.windows(2).position(|end| end == b"\r\n").expect("a line");
        let digits = bytes[..line].split(|byte| b"; \t".contains(byte)).next().expect("a size");
        let size = String::from_utf8_lossy(digits);
        let size = usize::from_str_radix(&size, 16).expect("a number");
        if size == 0 {
            return data;
        }
        bytes = &bytes[line + 2..];
        data.extend_from_slice(&bytes[..size]);
        bytes = &bytes[size + 2..];
    }
}
