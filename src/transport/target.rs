//! Targets in absolute form, as clients send them to proxies. The authority of such a target takes precedence over
//! `host` ([RFC 9112, section 3.2.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2)).

use super::head::{Malformed, request_line, value_of};

/// Turns a head with a target in absolute form into one with a target in origin form, and with the authority as its
/// only `host`. `None` where the target is in origin form already, or the method is CONNECT.
///
/// # Errors
///
/// Where the target is in no known form, names a user, or `host` contradicts it.
pub fn origin_form(head: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    // Almost all targets begin with their path, and need no closer look.
    let target = memchr::memchr(b' ', head).and_then(|end| head.get(end + 1));
    if target == Some(&b'/') {
        return Ok(None);
    }
    let mut lines = lines(head).skip_while(|line| line.is_empty());
    let line = lines.next().unwrap_or_default();
    let (method, target, version) = request_line(line).ok_or(Malformed::Syntax)?;
    match target {
        [b'/', ..] => return Ok(None),
        b"*" if method == b"OPTIONS" => return Ok(None),
        _ if method == b"CONNECT" => return Ok(None),
        _ => {}
    }
    let (scheme, authority, path) = absolute(target).ok_or(Malformed::Syntax)?;
    let fields: Vec<&[u8]> = lines.take_while(|line| !line.is_empty()).collect();
    for host in fields.iter().filter_map(|field| value_of(field, b"host")) {
        if !is_same(host, authority, scheme) {
            return Err(Malformed::Syntax);
        }
    }
    let others = fields.into_iter().filter(|field| value_of(field, b"host").is_none());
    let path = match (path, method) {
        (b"", b"OPTIONS") => b"*".as_slice(),
        (b"", _) => b"/",
        (path, _) => path,
    };
    // A query may follow the authority directly.
    let slash: &[u8] = if path.starts_with(b"?") { b"/" } else { b"" };
    let mut rewritten =
        [method, b" ", slash, path, b" ", version, b"\r\nHost: ", authority].concat();
    for field in others {
        rewritten.extend_from_slice(b"\r\n");
        rewritten.extend_from_slice(field);
    }
    rewritten.extend_from_slice(b"\r\n\r\n");
    Ok(Some(rewritten))
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The default port, the authority, and the rest from the path on.
fn absolute(target: &[u8]) -> Option<(&'static [u8], &[u8], &[u8])> {
    let schemes: [(&[u8], &[u8]); 2] = [(b"http://", b":80"), (b"https://", b":443")];
    let (port, rest) = schemes.iter().find_map(|(scheme, port)| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some((*port, rest))
    })?;
    let end = rest.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let is_path = !path.contains(&b'#') && !path.starts_with(b"\\");
    let is_plain = !authority.is_empty() && !authority.contains(&b'@');
    (is_path && is_plain).then_some((port, authority, path))
}

/// Whether two authorities are the same: in any case, with or without the scheme's default port.
fn is_same(one: &[u8], other: &[u8], default_port: &[u8]) -> bool {
    let bare = |authority: &[u8]| {
        authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase()
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(head: &str) -> Result<Option<String>, Malformed> {
        let rewritten = origin_form(head.as_bytes())?;
        Ok(rewritten.map(|head| String::from_utf8(head).unwrap()))
    }

    #[test]
    fn the_authority_of_the_target_becomes_the_host() {
        for (target, host, path) in [
            ("http://A.example/x?y", "host: a.example\r\n", "/x?y"),
            ("http://A.example:80/", "Host: a.example\r\n", "/"),
            ("HTTP://A.example", "", "/"),
            ("http://A.example?q", "HOST:A.EXAMPLE:80\r\n", "/?q"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nx-a: 1\r\n{host}x-b: 2\r\n\r\n");
            let written = rewritten(&head).unwrap().unwrap();
            let authority = target.split("//").nth(1).unwrap();
            let authority = authority.split(['/', '?']).next().unwrap();
            let expected =
                format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nx-a: 1\r\nx-b: 2\r\n\r\n");
            assert_eq!(written, expected);
        }
        let star = rewritten("OPTIONS http://a HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(star.as_deref(), Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
    }

    #[test]
    fn other_forms_are_left_alone() {
        for line in ["GET / HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1"] {
            assert_eq!(rewritten(&format!("\r\n{line}\r\nhost: a\r\n\r\n")), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_names_nobody_or_two_is_refused() {
        for (target, host) in [
            ("http://a.example/", "b.example"),
            ("http://a.example:80/", "a.example:81"),
            ("http://a.example/", "a.example, b.example"),
            ("http://user@a.example/", "a.example"),
            ("http:///x", "a.example"),
            ("http://a.example\\@b.example/", "a.example"),
            ("http://a.example/#x", "a.example"),
            ("ftp://a.example/", "a.example"),
            ("a.example", "a.example"),
            ("*", "a.example"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
            assert_eq!(rewritten(&head), Err(Malformed::Syntax), "{head:?}");
        }
    }
}
