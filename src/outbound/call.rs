//! One call over the network: the addresses of its host, checked, then one exchange with the first of them that can be
//! connected to.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue, TE};
use http::{HeaderMap, Method, Request, Uri};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::allow_list::{Destination, Grade};
use super::body::{Direct, Patience, Relayed, pump};
use super::connections::Way;
use super::egress::{Shared, advice};
use super::failed;
use crate::config::{AddressKind, Host};
use crate::exchange::{Event, Feed, ResponseHead};
use crate::runtime::{Answer, Call, CallBody, CallError, CallTimes};
use crate::upstream::{Attempt, Exchange, Failure, FailureKind, Sent, Upstream};

/// The body of a call on its way, until it has ended.
type Pump = Pin<Box<dyn Future<Output = Result<(), (CallError, Feed)>> + Send>>;

/// Sends a call that is allowed by its URL, and waits for the head of the answer.
pub(super) async fn send(
    shared: &Shared,
    mut call: Call,
    to: &Destination,
    grade: Grade,
    permit: OwnedSemaphorePermit,
) -> Result<Answer, CallError> {
    let CallTimes { first_byte, between_bytes, .. } = call.times;
    let addresses = addresses(shared, to, grade).await?;
    let is_within =
        addresses.iter().all(|address| AddressKind::of(*address) != AddressKind::Public);
    shared.carry(&mut call, is_within);
    let asking = at_one_of(shared, call, to, &addresses);
    let answered = match first_byte {
        Some(time) => tokio::time::timeout(time, asking).await.unwrap_or_else(|_| {
            Err(CallError::Timeout(format!("it gave no answer within {time:?}")))
        }),
        None => asking.await,
    };
    let Answered { head, exchange, sending } = answered?;
    let patience = Patience::new(between_bytes);
    let (body, rest) = match sending {
        None => (Direct::new(exchange, patience, permit).boxed_unsync(), None),
        Some(sending) => {
            let (body, drive) = Relayed::new(exchange, sending, patience, permit);
            let drive: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(drive);
            (body.boxed_unsync(), Some(drive))
        }
    };
    Ok(Answer { response: head.into_response().map(|()| body), rest })
}

/// An answer whose call has a place among those in flight until its body is over.
pub(super) fn keep(answer: Answer, permit: OwnedSemaphorePermit) -> Answer {
    let Answer { response, rest } = answer;
    let response = response.map(|body| {
        body.map_frame(move |frame| {
            // Moved into the body, and dropped with it.
            let _held = &permit;
            frame
        })
        .boxed_unsync()
    });
    Answer { response, rest }
}

/// The addresses that a call may be connected to; at least one.
async fn addresses(
    shared: &Shared,
    to: &Destination,
    grade: Grade,
) -> Result<Vec<IpAddr>, CallError> {
    let name = match &to.host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    let found = shared.lookups.addresses(name).await;
    let found = found.map_err(|why| CallError::Lookup(format!("{name} is not found: {why}")))?;
    let allows = |address: &&IpAddr| shared.allowed.allows(to, grade, **address);
    let allowed: Vec<IpAddr> = found.iter().filter(allows).copied().collect();
    match (allowed.is_empty(), found.first()) {
        (true, Some(first)) => Err(CallError::AddressDenied(format!(
            "its name leads to {first}, which it may not; {}",
            advice(&to.entry_of(*first))
        ))),
        _ => Ok(allowed),
    }
}

/// A call whose answer has begun.
struct Answered {
    head: ResponseHead,
    exchange: Exchange,
    /// What sends the rest of the call's body, where there is one.
    sending: Option<Pump>,
}

/// Asks one address after another, until a request was sent.
async fn at_one_of(
    shared: &Shared,
    call: Call,
    to: &Destination,
    addresses: &[IpAddr],
) -> Result<Answered, CallError> {
    let Call { request, times, .. } = call;
    let (request, body) = outgoing(request);
    let mut body = match body {
        Some(body) => begun(&request, body).await,
        None => None,
    };
    let mut last = CallError::Connect("it has no address".to_owned());
    for address in addresses {
        let address = SocketAddr::new(*address, to.port);
        let way = Way::new(to.scheme, &to.host, address, times.connect);
        let upstream = shared.connections.to(way).await;
        let upstream = upstream.map_err(|error| CallError::Tls(error.to_string()))?;
        let mut is_new = false;
        loop {
            match at(&upstream, &request, &mut body, is_new).await {
                Ok(answered) => return Ok(answered),
                // A kept connection that had been closed is nobody's failure.
                Err(Tried::Failed(failure)) if !is_new && is_repeatable(&request, &failure) => {
                    is_new = true;
                }
                Err(Tried::Failed(failure)) if failure.sent == Sent::Nothing => {
                    last = failed(failure);
                    break;
                }
                Err(Tried::Failed(failure)) => return Err(failed(failure)),
                Err(Tried::Broken(error)) => return Err(error),
            }
        }
    }
    Err(last)
}

fn is_repeatable(request: &Request<()>, failure: &Failure) -> bool {
    let is_harmless = match failure.sent {
        Sent::Nothing | Sent::Refused => true,
        Sent::Maybe => request.method().is_idempotent(),
    };
    failure.is_stale && is_harmless
}

/// Why an attempt has no answer.
enum Tried {
    /// The body of the call is as it was.
    Failed(Failure),
    /// No other attempt can be made.
    Broken(CallError),
}

/// One attempt. The body is taken from the guest only once the exchange asks for it.
async fn at(
    upstream: &Arc<Upstream>,
    request: &Request<()>,
    body: &mut Option<CallBody>,
    on_new_connection: bool,
) -> Result<Answered, Tried> {
    let (feed, fed) = body.is_some().then(Feed::new).unzip();
    let attempt = Attempt { on_new_connection, ..Attempt::default() };
    let exchange = upstream.start(request.clone(), fed, &attempt);
    let mut exchange = exchange.map_err(Tried::Failed)?;
    let early = match &feed {
        None => None,
        Some(feed) => tokio::select! {
            biased;
            head = head(&mut exchange) => Some(head.map_err(Tried::Failed)?),
            () = feed.wanted() => None,
        },
    };
    let can_go_again = feed.is_none();
    let mut sending = feed.zip(body.take()).map(|(feed, body)| Box::pin(pump(body, feed)) as Pump);
    if let Some(head) = early {
        return Ok(Answered { head, exchange, sending });
    }
    loop {
        let Some(pump) = &mut sending else {
            let head = head(&mut exchange).await;
            return match head {
                Ok(head) => Ok(Answered { head, exchange, sending }),
                Err(failure) if can_go_again => Err(Tried::Failed(failure)),
                Err(failure) => Err(Tried::Broken(failed(failure))),
            };
        };
        tokio::select! {
            biased;
            head = head(&mut exchange) => {
                let head = head.map_err(|failure| Tried::Broken(failed(failure)))?;
                return Ok(Answered { head, exchange, sending });
            }
            sent = pump => match sent {
                Ok(()) => sending = None,
                Err((error, _feed)) => return Err(Tried::Broken(error)),
            },
        }
    }
}

/// The head of the answer. Guests are not told informational ones.
async fn head(exchange: &mut Exchange) -> Result<ResponseHead, Failure> {
    loop {
        match exchange.next().await {
            Event::Head(head) => return Ok(head),
            Event::Failed(failure) => return Err(failure),
            Event::Informational(_) => {}
            Event::Data(_) | Event::Trailers(_) | Event::End => {
                let detail = "its answer has no head";
                return Err(Failure::unsent(FailureKind::Protocol, detail));
            }
        }
    }
}

/// The request as it is sent, and its body if it has one. The host is in a field of its own, as the guest's URL had it.
fn outgoing(request: Request<CallBody>) -> (Request<()>, Option<CallBody>) {
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().cloned();
    head.uri = target.map_or_else(|| Uri::from_static("/"), Uri::from);
    // Nobody here waits for `100 Continue`, and only trailers are taken as they come.
    head.headers.remove(EXPECT);
    if head.headers.remove(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let has_body = !body.is_end_stream() && body.size_hint().exact() != Some(0);
    (Request::from_parts(head, ()), has_body.then_some(body))
}

/// How long a call of a kind that mostly has no body waits for the first part of its body. Guests of 0.3 have a body in any
/// case, and it turns out to be empty; a chunked body in a GET is what some servers refuse.
const PEEK: Duration = Duration::from_millis(20);

/// The body, unless it ends at once.
async fn begun(request: &Request<()>, mut body: CallBody) -> Option<CallBody> {
    let method = request.method();
    let is_likely = *method == Method::POST || *method == Method::PUT || *method == Method::PATCH;
    if is_likely || request.headers().contains_key(CONTENT_LENGTH) {
        return Some(body);
    }
    match tokio::time::timeout(PEEK, first(&mut body)).await {
        Ok(None) => None,
        Ok(first) => Some(Begun { first, rest: body }.boxed_unsync()),
        Err(_) => Some(body),
    }
}

/// The first part of a body that has something in it. Clients of guests write an empty part where they have no body.
async fn first(body: &mut CallBody) -> Option<Result<Frame<Bytes>, CallError>> {
    loop {
        let frame = body.frame().await?;
        let is_empty = frame.as_ref().is_ok_and(|frame| {
            frame.data_ref().is_some_and(Bytes::is_empty)
                || frame.trailers_ref().is_some_and(HeaderMap::is_empty)
        });
        if !is_empty {
            return Some(frame);
        }
    }
}

/// A body of which a part was taken.
struct Begun {
    first: Option<Result<Frame<Bytes>, CallError>>,
    rest: CallBody,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    /// A body of these parts, which ends then.
    fn body(parts: Vec<Frame<Bytes>>) -> CallBody {
        let end = Empty::new().map_err(|never| match never {}).boxed_unsync();
        parts
            .into_iter()
            .rev()
            .fold(end, |rest, part| Begun { first: Some(Ok(part)), rest }.boxed_unsync())
    }

    #[tokio::test]
    async fn a_body_of_empty_parts_is_none() {
        let request = Request::get("/").body(()).unwrap();
        let empty = || Frame::data(Bytes::new());
        assert!(begun(&request, body(vec![])).await.is_none());
        assert!(begun(&request, body(vec![empty(), empty()])).await.is_none());
        let trailers = Frame::trailers(HeaderMap::new());
        assert!(begun(&request, body(vec![empty(), trailers])).await.is_none());
        let some = body(vec![empty(), Frame::data(Bytes::from_static(b"some"))]);
        let whole = begun(&request, some).await.unwrap().collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "some");
    }
}
