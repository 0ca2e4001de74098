//! The cases of `http1.toml`.

use std::fmt;

use regex::bytes::Regex;
use serde::Deserialize;

/// What follows a case on its connection.
const NEXT: &str = r"GET /count HTTP/1.1\r\nhost: HOST\r\n\r\n";

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
    #[serde(default, rename = "as")]
    kind: Kind,
    pub sent: String,
    #[serde(default)]
    pub body: String,
    #[serde(default = "answered")]
    pub status: Vec<u16>,
    /// What a component answers, where it is not what an upstream does.
    pub guest: Option<Vec<u16>>,
    code: Option<String>,
    #[serde(default)]
    pub seen: Vec<String>,
    #[serde(default)]
    closes: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Fields,
    Line,
    Body,
    Whole,
}

fn answered() -> Vec<u16> {
    vec![200, 200]
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.group, self.about, self.sent)
    }
}

impl Case {
    pub fn all() -> Vec<Self> {
        let cases: Cases = toml::from_str(include_str!("http1.toml")).unwrap();
        cases.case
    }

    /// Every byte that is sent.
    pub fn sent(&self, host: &str) -> Vec<u8> {
        let Self { sent, body, .. } = self;
        let whole = match self.kind {
            Kind::Whole => sent.clone(),
            Kind::Line => format!(r"{sent}\r\nhost: HOST\r\nx-a: 1\r\n\r\n{NEXT}"),
            Kind::Fields => {
                format!(r"POST /read HTTP/1.1\r\nhost: HOST\r\n{sent}\r\n\r\n{body}{NEXT}")
            }
            Kind::Body => format!(
                r"POST /read HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n{sent}{NEXT}"
            ),
        };
        bytes(&whole, host)
    }

    /// The code of the failure that is answered last.
    pub fn code(&self) -> &str {
        let code = match self.status.last() {
            Some(400) => "bad-request",
            Some(405) => "method-not-allowed",
            Some(414) => "request-target",
            Some(431) => "request-head",
            Some(501) => "transfer-coding",
            _ => "2xx",
        };
        self.code.as_deref().unwrap_or(code)
    }

    /// Whether the last answer is a refusal by the listener.
    pub fn is_refused(&self) -> bool {
        self.status.last().is_some_and(|status| *status >= 400 && *status != 404)
    }

    /// Whether the connection closes behind the last answer.
    pub fn closes(&self) -> bool {
        self.closes || self.is_refused() || self.status.is_empty()
    }
}

/// What a text of the file stands for.
pub fn bytes(text: &str, host: &str) -> Vec<u8> {
    unescaped(&repeated(text).replace("HOST", host))
}

/// Writes `{x*9}` out.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (part, after) = rest.split_once('}').unwrap();
    let (part, times) = part.rsplit_once('*').unwrap();
    let part = part.repeat(times.parse().unwrap());
    format!("{before}{part}{}", repeated(after))
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, others @ ..] = rest {
        let (byte, length) = match (first, others) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
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

/// Bytes as the file has them.
pub fn shown(bytes: &[u8], host: &str) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\r' => text.push_str(r"\r"),
            b'\n' => text.push_str(r"\n"),
            b'\t' => text.push_str(r"\t"),
            b'\\' => text.push_str(r"\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!(r"\x{byte:02x}")),
        }
    }
    text.replace(host, "HOST")
}

/// A request without the fields that every upstream gets, each of which must be there once.
pub fn without_ours(request: &[u8], host: &str) -> Vec<u8> {
    let mut request = request.to_vec();
    for field in [
        "x-forwarded-for: 127\\.0\\.0\\.1\r\n",
        "x-forwarded-proto: http\r\n",
        &format!("x-forwarded-host: {host}\r\n"),
        "x-request-id: [0-9a-f]{32}\r\n",
    ] {
        let field = Regex::new(&format!("(?-u){field}")).unwrap();
        request = field.replace(&request, &b""[..]).into_owned();
    }
    request
}
