//! What targets speak, and how TLS to them begins.

use std::ops::Range;

use super::super::super::model::{IdentitySpec, Protocol, TlsSpec};
use super::super::super::raw::{Field, Located, RawTls};
use super::super::super::source::{Complaint, Findings};
use super::super::super::suggest;
use super::address;

const LIST: &str = "write `http1`, `h2c` for HTTP/2 without TLS, or `tls`, with which targets choose HTTP/2 or HTTP/1.1";

/// The protocol. A table `tls` says it without words.
pub fn protocol(
    file: &mut Findings<'_>,
    raw: Field<String>,
    tls: Field<RawTls>,
) -> Option<Protocol> {
    let settings = tls.map(|tls| self::tls(file, tls));
    let Some((span, text)) = raw.map(Located::into_parts) else {
        return settings.map(Protocol::Tls);
    };
    let word = file.check(span.clone(), word(&text))?;
    match (word, settings) {
        (Protocol::Tls(_), settings) => Some(Protocol::Tls(settings.unwrap_or_default())),
        (word, None) => Some(word),
        (_, Some(_)) => {
            let message = format!(
                "`protocol = {text:?}` and `[versions.upstream.tls]` contradict each other"
            );
            let help = "write `protocol = \"tls\"`, or remove the table `tls`";
            file.add(span, Complaint::new(message, help));
            None
        }
    }
}

fn word(text: &str) -> Result<Protocol, Complaint> {
    let [http1, h2c, tls] = Protocol::ALL;
    match text {
        _ if text == http1 => return Ok(Protocol::Http1),
        _ if text == h2c => return Ok(Protocol::H2c),
        _ if text == tls => return Ok(Protocol::Tls(TlsSpec::default())),
        _ => {}
    }
    let plain = text.to_ascii_lowercase().replace(['/', '.', '-', '_'], "");
    if ["http3", "h3", "quic", "tcp", "udp", "fastcgi", "fcgi", "ajp", "uwsgi"]
        .contains(&plain.as_str())
    {
        let message = format!("`protocol` cannot be {text:?}, which targets are not asked in");
        return Err(Complaint::new(message, LIST));
    }
    let meant = match plain.as_str() {
        "http" | "http1" | "http10" | "http11" | "h1" => Some(http1),
        "h2c" | "grpc" | "http2c" => Some(h2c),
        "https" | "ssl" | "h2" | "http2" | "grpcs" | "tls" => Some(tls),
        _ => suggest::closest(text, &Protocol::ALL),
    };
    Err(Complaint::new(format!("`protocol` cannot be {text:?}"), suggest::help(meant, LIST)))
}

fn tls(file: &mut Findings<'_>, raw: Located<RawTls>) -> TlsSpec {
    let (table, raw) = raw.into_parts();
    let RawTls { server_name, ca, certificate, key } = raw;
    TlsSpec {
        server_name: file.text(server_name, address::server_name),
        ca: file.path("ca", ca),
        identity: identity(file, &table, certificate, key),
    }
}

/// A certificate is of no use without its key.
fn identity(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    certificate: Field<String>,
    key: Field<String>,
) -> Option<IdentitySpec> {
    let alone = match (&certificate, &key) {
        (Some(one), None) => Some((one.span(), "certificate", "key")),
        (None, Some(one)) => Some((one.span(), "key", "certificate")),
        _ => None,
    };
    if let Some((span, one, other)) = alone.filter(|(.., other)| !file.has_lost(Some(table), other))
    {
        let message = format!("`{one}` is of no use without `{other}`");
        let help = format!("add `{other} = \"…\"`, or remove `{one}`");
        file.add(span, Complaint::new(message, help));
    }
    let (certificate, key) = (file.path("certificate", certificate), file.path("key", key));
    Some(IdentitySpec { certificate: certificate?, key: key? })
}
