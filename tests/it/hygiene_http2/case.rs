//! The cases of `http2.toml`.

use std::fmt;

use serde::Deserialize;

use crate::support::raw2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// A case. The file says what its keys mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub group: String,
    pub about: String,
    pub rule: String,
    pub sent: Vec<String>,
    pub answer: String,
    code: Option<String>,
    #[serde(default)]
    pub seen: Vec<String>,
    #[serde(default)]
    pub bare: bool,
    #[serde(default)]
    pub whole: bool,
    #[serde(default)]
    pub drip: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.group, self.about)
    }
}

impl Case {
    pub fn all() -> Vec<Self> {
        let cases: Cases = toml::from_str(include_str!("../hygiene/http2.toml")).unwrap();
        cases.case
    }

    /// The outcome by which it is counted.
    pub fn code(&self) -> &str {
        let code = match self.answer.as_str() {
            "200" | "HTTP/1.1 200" => "2xx",
            _ => "bad-request",
        };
        self.code.as_deref().unwrap_or(code)
    }

    /// Whether the connection is served afterwards.
    pub fn goes_on(&self) -> bool {
        !self.answer.starts_with("GOAWAY") && !self.whole
    }

    /// Every byte behind the preface.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        self.sent
            .iter()
            .flat_map(|line| written(&repeated(line).replace("HOST", host), host))
            .collect()
    }
}

/// The frame of a line.
fn written(line: &str, host: &str) -> Vec<u8> {
    if let Some(raw) = line.strip_prefix("RAW ") {
        return unescaped(raw);
    }
    let (what, rest) = line.split_once(' ').unwrap();
    let (stream, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (name, mut marks) = what.split_at(what.find(['+', '-']).unwrap_or(what.len()));
    let kind = match name {
        "DATA" => DATA,
        "HEADERS" => HEADERS,
        "PRIORITY" => 2,
        "SETTINGS" => 4,
        "PING" => 6,
        "GOAWAY" => 7,
        "CONTINUATION" => CONTINUATION,
        other => u8::from_str_radix(other.strip_prefix("FRAME").unwrap(), 16).unwrap(),
    };
    let is_block = matches!(kind, HEADERS | CONTINUATION);
    let mut flags = if is_block { END_HEADERS } else { 0 };
    while let Some(mark) = marks.get(1..) {
        let (mark, more) = mark.split_at(mark.find(['+', '-']).unwrap_or(mark.len()));
        match mark {
            "ES" => flags |= END_STREAM,
            "EH" => flags &= !END_HEADERS,
            other => flags |= u8::from_str_radix(other, 16).unwrap(),
        }
        marks = more;
    }
    let payload = if is_block { fields(rest, host) } else { payload(rest) };
    frame(kind, flags, stream.parse().unwrap(), payload)
}

fn fields(text: &str, host: &str) -> Vec<u8> {
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    let mut written = Vec::new();
    while let Some(word) = words.next() {
        if let "GET" | "POST" = word {
            let path = words.next_if(|word| word.starts_with('/'));
            let path = path.unwrap_or(if word == "GET" { "/headers" } else { "/read" });
            let pseudo = crate::support::raw2::pseudo(word, host, path);
            written.extend(block(&pseudo));
        } else if word.starts_with('#') {
            written.extend(payload(word));
        } else {
            let split = 1 + word.get(1..).and_then(|rest| rest.find('=')).unwrap_or(0);
            let (name, value) = match word.starts_with('=') {
                true => ("", &word[1..]),
                false => (&word[..split], &word[split + 1..]),
            };
            written.extend(literal(&unescaped(name), &unescaped(value)));
        }
    }
    written
}

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut block = vec![0];
    crate::support::raw2::string(&mut block, name);
    crate::support::raw2::string(&mut block, value);
    block
}

/// Text, or bytes in hex.
fn payload(text: &str) -> Vec<u8> {
    let Some(hex) = text.strip_prefix('#') else { return unescaped(text) };
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Writes `{x*9}` out.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (part, after) = rest.split_once('}').unwrap();
    let (part, times) = part.rsplit_once('*').unwrap();
    format!("{before}{}{}", part.repeat(times.parse().unwrap()), repeated(after))
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, others @ ..] = rest {
        let (byte, length) = match (first, others) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap();
                (u8::try_from(digit(high) * 16 + digit(low)).unwrap(), 4)
            }
            (b'\\', _) => panic!("no such escape: {text}"),
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

/// The name of an error's code (RFC 9113, section 7).
pub fn name(code: u32) -> String {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
    ];
    names.get(code as usize).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// The status of the first response of a connection, whose block begins with it (RFC 7541, appendices A and B).
pub fn status(block: &[u8]) -> String {
    let known = ["200", "204", "206", "304", "400", "404", "500"];
    match block {
        [index @ 0x88..=0x8e, ..] => known[usize::from(index - 0x88)].to_owned(),
        // The name is the eighth, the value is compressed.
        [0x08 | 0x48, length @ 0x80..=0xff, rest @ ..] => {
            digits(&rest[..usize::from(length & 0x7f)])
        }
        [0x08 | 0x48, length, rest @ ..] => {
            String::from_utf8_lossy(&rest[..usize::from(*length)]).into_owned()
        }
        other => format!("{other:02x?}"),
    }
}

/// Digits: 0 to 2 are five bits, the others are six.
fn digits(compressed: &[u8]) -> String {
    let bits: String = compressed.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut text, mut rest) = (String::new(), bits.as_str());
    for _ in 0..3 {
        let (value, length) = match u32::from_str_radix(&rest[..5], 2).unwrap() {
            short @ 0..=2 => (short, 5),
            _ => (u32::from_str_radix(&rest[..6], 2).unwrap() - 0b011_001 + 3, 6),
        };
        text.push_str(&value.to_string());
        rest = &rest[length..];
    }
    text
}
