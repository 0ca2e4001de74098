//! The fields of a head as a list. A head has few fields, and most are passed on as they came: a list needs no hashes,
//! and what has come over HTTP/1 stays in the memory that it came in.

use bytes::{BufMut, Bytes};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, response};

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    pub method: Method,
    pub uri: Uri,
    pub fields: Fields,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub status: StatusCode,
    pub fields: Fields,
}

/// Fields in the order in which they are sent. Names are compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The head in which fields have come, if they have come in one.
    text: Bytes,
    lines: Vec<Line>,
}

/// A field of a head.
#[derive(Clone, Debug)]
pub enum Line {
    /// It is a part of the head's text, which is valid HTTP.
    Sent(Sent),
    Made(HeaderName, HeaderValue),
}

/// Where a field is in the text of its head.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    name: Place,
    value: Place,
    /// Whether it is written as it would be written here: `name: value`, and the end of the line.
    is_plain: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    end: u32,
}

/// A field as it is read.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    /// The whole line with its end, where it can be passed on as it is.
    pub line: Option<&'a [u8]>,
}

impl Place {
    fn of(text: &[u8], part: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let (start, end) = (u32::try_from(start).ok()?, u32::try_from(start + part.len()).ok()?);
        Some(Self { start, end })
    }

    fn within(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

impl Line {
    /// The field of which name and value are parts of `text`, a head that was found to be valid. `None` where they are
    /// parts of something else.
    pub fn within(text: &[u8], name: &[u8], value: &[u8]) -> Option<Self> {
        let name = Place::of(text, name)?;
        let value = match value {
            [] => Place { start: name.end, end: name.end },
            value => Place::of(text, value)?,
        };
        let between = Place { start: name.end, end: value.start };
        let behind = Place { start: value.end, end: value.end + 2 };
        let is_plain = between.within(text) == b": " && behind.within(text) == b"\r\n";
        Some(Self::Sent(Sent { name, value, is_plain }))
    }

    /// Whether the field has this name, which is in lower case. By the length first: few names have that.
    fn is(&self, text: &[u8], name: &str) -> bool {
        match self {
            Self::Made(own, _) => own.as_str() == name,
            Self::Sent(Sent { name: own, .. }) => {
                own.len() == name.len() && is(own.within(text), name)
            }
        }
    }

    fn name<'a>(&'a self, text: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Made(name, _) => name.as_str().as_bytes(),
            Self::Sent(sent) => sent.name.within(text),
        }
    }

    fn value<'a>(&'a self, text: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Made(_, value) => value.as_bytes(),
            Self::Sent(sent) => sent.value.within(text),
        }
    }

    fn line<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Sent(Sent { name, value, is_plain: true }) => {
                Some(Place { start: name.start, end: value.end + 2 }.within(text))
            }
            Self::Sent(_) | Self::Made(..) => None,
        }
    }
}

impl Fields {
    /// No fields, and room for some.
    pub fn with_room(room: usize) -> Self {
        Self { text: Bytes::new(), lines: Vec::with_capacity(room) }
    }

    /// These fields of a head.
    pub fn of(text: Bytes, lines: Vec<Line>) -> Self {
        Self { text, lines }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many there are, each value counted for itself.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let text = &*self.text;
        self.lines.iter().map(move |line| Field {
            name: line.name(text),
            value: line.value(text),
            line: line.line(text),
        })
    }

    /// The first value of a field.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let (text, name) = (&*self.text, name.as_str());
        self.lines.iter().find(|line| line.is(text, name)).map(|line| line.value(text))
    }

    /// The values of a field.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        let text = &*self.text;
        let lines = self.lines.iter().filter(move |line| line.is(text, name.as_str()));
        lines.map(move |line| line.value(text))
    }

    pub fn contains(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// Keeps the fields whose names are told to be kept.
    pub fn retain(&mut self, keeps: impl Fn(&[u8]) -> bool) {
        let Self { text, lines } = self;
        lines.retain(|line| keeps(line.name(text)));
    }

    pub fn remove(&mut self, name: &HeaderName) {
        if self.contains(name) {
            let (Self { text, lines }, name) = (self, name.as_str());
            lines.retain(|line| !line.is(text, name));
        }
    }

    /// Adds a field, beside others of the same name.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.lines.push(Line::Made(name, value));
    }

    /// Puts a field in the place of the first one of the same name, and removes the others; adds it where there is none.
    /// What is no value of a field only removes them.
    pub fn insert(&mut self, name: HeaderName, value: impl TryInto<HeaderValue>) {
        let (text, own) = (&*self.text, name.as_str());
        let place = self.lines.iter().position(|line| line.is(text, own));
        if place.is_some() {
            self.remove(&name);
        }
        if let Ok(value) = value.try_into() {
            let place = place.unwrap_or(self.lines.len());
            self.lines.insert(place, Line::Made(name, value));
        }
    }

    /// As libraries have them.
    pub fn into_map(self) -> HeaderMap {
        let Self { text, lines } = self;
        let mut map = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let (name, value) = match line {
                Line::Made(name, value) => (Some(name), Some(value)),
                Line::Sent(Sent { name, value, .. }) => {
                    let value = text.slice_ref(value.within(&text));
                    let name = HeaderName::from_bytes(name.within(&text));
                    (name.ok(), HeaderValue::from_maybe_shared(value).ok())
                }
            };
            if let (Some(name), Some(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        let mut fields = Self::with_room(map.len());
        let mut last = None;
        for (name, value) in map {
            // Of several values of a name, the first one alone has it.
            last = name.or(last);
            if let Some(name) = &last {
                fields.append(name.clone(), value);
            }
        }
        fields
    }
}

impl Field<'_> {
    /// Whether it has this name, which is in lower case.
    pub fn is(&self, name: &str) -> bool {
        is(self.name, name)
    }

    /// Writes the line of the field.
    pub fn write(&self, buffer: &mut impl BufMut) {
        match self.line {
            Some(line) => buffer.put_slice(line),
            None => {
                for part in [self.name, b": ", self.value, b"\r\n"] {
                    buffer.put_slice(part);
                }
            }
        }
    }
}

/// Takes away the white space around values, which HTTP/1.1 ignores and peers of HTTP/2 may end their connection for ([RFC
/// 9113, section 8.2.1](https://www.rfc-editor.org/rfc/rfc9113#section-8.2.1)).
pub fn trim(fields: &mut HeaderMap) {
    for value in fields.values_mut() {
        let bare = value.as_bytes().trim_ascii();
        if bare.len() != value.len()
            && let Ok(mut bare) = HeaderValue::from_bytes(bare)
        {
            bare.set_sensitive(value.is_sensitive());
            *value = bare;
        }
    }
}

/// Whether a field's name is this one, which is in lower case.
pub fn is(name: &[u8], other: &str) -> bool {
    name.len() == other.len() && name.eq_ignore_ascii_case(other.as_bytes())
}

impl RequestHead {
    /// As libraries have it.
    pub fn into_request(self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.fields.into_map();
        request
    }
}

impl From<Request<()>> for RequestHead {
    fn from(request: Request<()>) -> Self {
        let (parts, ()) = request.into_parts();
        Self { method: parts.method, uri: parts.uri, fields: parts.headers.into() }
    }
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: StatusCode) -> Self {
        Self { status, fields: Fields::default() }
    }

    /// As libraries have it.
    pub fn into_response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.into_map();
        response
    }
}

impl From<response::Parts> for ResponseHead {
    fn from(parts: response::Parts) -> Self {
        Self { status: parts.status, fields: parts.headers.into() }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LENGTH, SERVER, SET_COOKIE};

    use super::*;

    const TEXT: &str =
        "HTTP/1.1 200 OK\r\nServer: a\r\nSet-Cookie:  b \r\nx-empty:\r\nset-cookie: c\r\n\r\n";

    fn sent() -> Fields {
        let text = Bytes::from_static(TEXT.as_bytes());
        let lines = TEXT.lines().skip(1).filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| (name.as_bytes(), value.trim().as_bytes()));
        let lines = lines.map(|(name, value)| Line::within(&text, name, value).unwrap());
        let lines = lines.collect();
        Fields::of(text, lines)
    }

    fn shown(fields: &Fields) -> String {
        let mut buffer = Vec::new();
        fields.iter().for_each(|field| field.write(&mut buffer));
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn fields_are_passed_on_as_they_came() {
        let fields = sent();
        let expected = "Server: a\r\nSet-Cookie: b\r\nx-empty: \r\nset-cookie: c\r\n";
        assert_eq!(shown(&fields), expected);
        assert_eq!(fields.get(&SERVER), Some(&b"a"[..]));
        assert_eq!(fields.values(SET_COOKIE).collect::<Vec<_>>(), [b"b", b"c"]);
        assert!(!fields.contains(&CONTENT_LENGTH));
        let lines: Vec<_> = fields.iter().map(|field| field.line.is_some()).collect();
        assert_eq!(lines, [true, false, false, true]);
    }

    #[test]
    fn what_is_inserted_replaces_what_came() {
        let mut fields = sent();
        fields.insert(SET_COOKIE, HeaderValue::from_static("d"));
        fields.append(SERVER, HeaderValue::from_static("e"));
        assert_eq!(shown(&fields), "Server: a\r\nset-cookie: d\r\nx-empty: \r\nserver: e\r\n");
        fields.insert(SERVER, "no\nvalue");
        assert_eq!(shown(&fields), "set-cookie: d\r\nx-empty: \r\n");
    }

    #[test]
    fn a_map_has_the_same_fields() {
        let map = sent().into_map();
        let shown_map: Vec<_> =
            map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let fields = [("server", &b"a"[..]), ("set-cookie", b"b"), ("set-cookie", b"c")];
        assert_eq!(shown_map, [&fields[..], &[("x-empty", b"")]].concat());
        let again = Fields::from(map);
        assert_eq!(shown(&again), "server: a\r\nset-cookie: b\r\nset-cookie: c\r\nx-empty: \r\n");
    }

    #[test]
    fn a_field_of_another_text_is_none() {
        let other = String::from(TEXT);
        let text = other.get(20..).unwrap().as_bytes();
        assert!(Line::within(text, other.get(..6).unwrap().as_bytes(), b"").is_none());
    }
}
