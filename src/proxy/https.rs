//! What HTTPS means for a request beyond its connection: cleartext requests are sent to HTTPS, browsers are told to stay
//! there, and requests that have come on the connection of another host are sent back.

use std::net::IpAddr;

use http::uri::Scheme;
use http::{HeaderValue, StatusCode, Version, header};

use super::failure::Failure;
use super::session::Session;
use crate::config::TlsSettings;
use crate::exchange::ResponseHead;
use crate::routing;
use crate::transport::tls::Certificates;

/// The ports that URLs leave out.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// The listener of HTTPS, as requests see it.
#[derive(Clone, Debug)]
pub struct Https {
    /// The certificates that clients get.
    pub certificates: Certificates,
    /// Where it listens.
    pub port: u16,
    /// Whether port 80 is one of ours: then whoever asks it has come as we are.
    pub is_at_80: bool,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Way {
    Serve,
    /// Its client is to ask again at this URL.
    Redirect(String),
}

impl Https {
    /// Decides about a request by its connection and its host.
    ///
    /// # Errors
    ///
    /// Where the request is for another connection.
    pub fn look(
        &self,
        session: &mut Session,
        settings: &TlsSettings,
        hsts: Option<&HeaderValue>,
    ) -> Result<Way, Failure> {
        if session.is_local() {
            return Ok(Way::Serve);
        }
        if let Some(hsts) = hsts.filter(|_| is_told_hsts(session)) {
            session.set_hsts(hsts.clone());
        }
        if self.is_misdirected(session) {
            return Err(Failure::Misdirected);
        }
        let location = if settings.redirect { self.redirect(session) } else { None };
        Ok(location.map_or(Way::Serve, Way::Redirect))
    }

    /// Whether a client has used the connection of one host for another one, for which there is another certificate. A
    /// client of HTTP/2 may do so where it trusts us for both, and asks again on another connection
    /// ([RFC 9110, section 15.5.20](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20)). A client that has named no
    /// host in its handshake, as proxies may, has no connection of a host.
    fn is_misdirected(&self, session: &Session) -> bool {
        let Some(tls) = session.tls().filter(|_| session.request().version == Version::HTTP_2)
        else {
            return false;
        };
        let Some(host) = routing::host(session.request()).map(bare) else { return false };
        let is_elsewhere = tls.certificate.as_ref().is_some_and(|it| !it.covers(host));
        is_elsewhere && self.certificates.table().covers(host)
    }

    /// Where a cleartext request should have gone: to the same target over HTTPS, if its host has a certificate.
    fn redirect(&self, session: &Session) -> Option<String> {
        if *session.scheme() != Scheme::HTTP || session.tls().is_some() {
            return None;
        }
        let host = routing::host(session.request())?;
        if !self.certificates.table().covers(bare(host)) {
            return None;
        }
        let target = session.request().uri.path_and_query().map_or("/", |target| target.as_str());
        // `*` is no path, and no host of its own.
        let target = if target.starts_with('/') { target } else { "/" };
        Some(match self.port {
            HTTPS => format!("https://{host}{target}"),
            _ if self.is_mapped(session) => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        })
    }

    /// Whether the client has asked port 80, and we listen at others: what leads from there to us, such as the ports of a
    /// container or a balancer, leads to HTTPS from port 443. A client that asks any other port says so in the host
    /// ([RFC 9110, section 7.2](https://www.rfc-editor.org/rfc/rfc9110#section-7.2)).
    fn is_mapped(&self, session: &Session) -> bool {
        !self.is_at_80 && routing::port(session.request()).unwrap_or(HTTP) == HTTP
    }
}

/// Whether browsers take the field from this response: it goes over TLS, to a host with a name ([RFC 6797, sections 7.2
/// and 8.1.1](https://www.rfc-editor.org/rfc/rfc6797#section-7.2)).
fn is_told_hsts(session: &Session) -> bool {
    session.tls().is_some()
        && routing::host(session.request()).is_some_and(|host| !is_address(host))
}

/// A response that sends a client to HTTPS, with the same method and the same body ([RFC 9110, section
/// 15.4.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9)).
///
/// # Errors
///
/// Where the client is gone.
pub async fn redirect(session: &mut Session, location: &str) -> Result<(), Failure> {
    let location = HeaderValue::from_str(location).map_err(|_| Failure::BadRequest)?;
    let mut head = ResponseHead::new(StatusCode::PERMANENT_REDIRECT);
    head.fields.append(header::LOCATION, location);
    head.fields.append(header::CONTENT_LENGTH, HeaderValue::from(0));
    // The body of the request is not wanted, and may be long.
    if !session.is_body_empty() {
        session.close_after();
    }
    session.write_head(head, true).await?;
    session.finish(None).await?;
    Ok(())
}

/// A host as certificates have it: without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_address(host: &str) -> bool {
    bare(host).parse::<IpAddr>().is_ok()
}
