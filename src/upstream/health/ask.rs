//! One check of a target, over a connection of its own.

use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use http::{Method, Request, Uri};
use tokio::net::TcpStream;

use super::super::{Call, Event, Exchange, Target, Upstream};
use crate::config::{HealthSpec, HostHeader};

/// How checks name themselves in targets' logs.
const AGENT: &str = concat!("watershed/", env!("CARGO_PKG_VERSION"), " (health check)");

/// Asks a target whether it is well. The caller bounds the time.
///
/// # Errors
///
/// Why it is not.
pub(super) async fn ask(
    upstream: Arc<Upstream>,
    target: Arc<Target>,
    spec: HealthSpec,
) -> Result<(), String> {
    let Some(path) = &spec.path else {
        let connected = TcpStream::connect(target.address()).await;
        return connected.map(drop).map_err(|error| format!("no connection: {error}"));
    };
    let request = request(path, &upstream.spec().host, &target)?.into();
    let limits = upstream.limits_of_checks(spec.timeout);
    let call = Call::uncounted(upstream, target);
    let mut exchange = Exchange::new(call, request, None, &limits, true);
    loop {
        match exchange.next().await {
            Event::Informational(_) => {}
            Event::Head(head) if spec.status.contains(&head.status.as_u16()) => return Ok(()),
            Event::Head(head) => return Err(format!("status {}", head.status.as_u16())),
            Event::Failed(failure) => return Err(failure.detail),
            Event::Data(_) | Event::Trailers(_) | Event::End => {
                return Err("a response without a head".to_owned());
            }
        }
    }
}

fn request(path: &str, host: &HostHeader, target: &Target) -> Result<Request<()>, String> {
    let host = match host {
        // There is no client whose host could be kept.
        HostHeader::Keep | HostHeader::Target => target.declared().to_string(),
        HostHeader::Name(name) => name.clone(),
    };
    let cannot = |error: http::Error| format!("`{path}` cannot be asked for: {error}");
    let uri = Uri::builder().path_and_query(path).build().map_err(cannot)?;
    let request = Request::builder().method(Method::GET).uri(uri);
    request.header(HOST, host).header(USER_AGENT, AGENT).body(()).map_err(cannot)
}
