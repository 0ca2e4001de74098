//! What a guest's calls to others go through. The room that implements [`Outbound`] decides what a guest may reach and
//! sends what it may; here is only what wasmtime has to do with it. A guest whose grant has no `Outbound` may call nobody.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, request};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

/// What the calls of a version's guests go through.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// The fields of a guest's own request that its calls carry on.
    fn carried(&self, request: &HeaderMap) -> HeaderMap;

    /// Sends a call, or refuses it. Dropping the future, or the body of the answer, ends the call.
    fn send(&self, call: Call) -> Sending;
}

/// A call under way, until the head of its answer.
pub type Sending = Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send>>;
/// The body of a call, or of its answer.
pub type CallBody = UnsyncBoxBody<Bytes, CallError>;

/// A call of a guest.
#[derive(Debug)]
pub struct Call {
    /// Its target is absolute.
    pub request: Request<CallBody>,
    pub times: CallTimes,
    pub caller: Arc<Caller>,
}

/// How long a guest is willing to wait, where it says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallTimes {
    pub connect: Option<Duration>,
    /// Until the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two parts of its body.
    pub between_bytes: Option<Duration>,
}

/// The answer to a call.
pub struct Answer {
    pub response: Response<CallBody>,
    /// What has to go on while the body of the answer is read, such as sending the rest of the call's body.
    pub rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The request during which guests make calls.
#[derive(Debug)]
pub struct Caller {
    pub chain: Chain,
    /// The fields that each call carries on.
    pub carried: HeaderMap,
    calls: AtomicU32,
}

/// The chain of calls between guests that a request belongs to. Whoever serves it puts it into the request's extensions;
/// it is not a part of the message, so no client can make one up.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Who sent the first request of the chain.
    pub client: SocketAddr,
    /// How many calls led here; 0 for a request of the client itself.
    pub length: u32,
}

/// Why a call has no answer, or why its answer broke off. The guest learns the kind, and the detail is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It is not in what the guest may reach.
    #[error("{0}")]
    Denied(String),
    /// The name is allowed, and leads to an address that is not.
    #[error("{0}")]
    AddressDenied(String),
    /// The request, or the version, has made too many.
    #[error("{0}")]
    Limit(String),
    #[error("{0}")]
    BadUrl(String),
    /// A CONNECT asks for a tunnel, through which anything could be reached.
    #[error("a call with CONNECT asks for a tunnel")]
    Tunnel,
    #[error("{0}")]
    Lookup(String),
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Timeout(String),
    /// The other end broke off.
    #[error("{0}")]
    Reset(String),
    /// What the other end sent is not HTTP.
    #[error("{0}")]
    Protocol(String),
    /// The guest broke off the body of its call.
    #[error("the guest broke off its request body: {0}")]
    Body(String),
}

impl Caller {
    /// The caller of calls during a request with this head.
    pub fn of(outbound: &dyn Outbound, request: &request::Parts) -> Self {
        let chain = request.extensions.get().copied().unwrap_or_default();
        let carried = outbound.carried(&request.headers);
        Self { chain, carried, calls: AtomicU32::new(0) }
    }

    /// Adds the fields that its calls carry on to those of a call, where the guest has set none. `is_wanted` chooses among
    /// them.
    pub fn carry(&self, headers: &mut HeaderMap, is_wanted: impl Fn(&HeaderName) -> bool) {
        for (name, value) in &self.carried {
            if is_wanted(name) && !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
    }

    /// Counts one more call, and tells how many there were before it.
    pub fn count(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

impl Default for Chain {
    fn default() -> Self {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { client: nobody, length: 0 }
    }
}

/// The calls of one sandbox.
#[derive(Default)]
pub(super) struct Hooks {
    outbound: Option<Arc<dyn Outbound>>,
    caller: Option<Arc<Caller>>,
}

impl Hooks {
    pub fn new(outbound: Option<Arc<dyn Outbound>>) -> Self {
        Self { outbound, caller: None }
    }

    /// Calls are made for this request from now on.
    pub fn begin_request<B>(&mut self, request: Request<B>) -> Request<B> {
        let Some(outbound) = &self.outbound else { return request };
        let (head, body) = request.into_parts();
        self.caller = Some(Arc::new(Caller::of(&**outbound, &head)));
        Request::from_parts(head, body)
    }

    fn call(&self, request: Request<WasiBody>, times: Option<RequestOptions>) -> Option<Sending> {
        let (outbound, caller) = self.outbound.as_ref().zip(self.caller.clone())?;
        let broken = |error: HttpError| CallError::Body(error.to_string());
        let request = request.map(|body| body.map_err(broken).boxed_unsync());
        let times = times.map_or_else(CallTimes::default, |times| CallTimes {
            connect: times.connect_timeout,
            first_byte: times.first_byte_timeout,
            between_bytes: times.between_bytes_timeout,
        });
        Some(outbound.send(Call { request, times, caller }))
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, HttpError>> + Send> {
        let Some(sending) = self.call(request, options) else {
            return Box::new(async { Err(HttpError::HttpRequestDenied) });
        };
        Box::new(async {
            let Answer { response, rest } = sending.await.map_err(told)?;
            let response = response.map(|body| body.map_err(told).boxed_unsync());
            let rest: Box<dyn Future<Output = Result<(), HttpError>> + Send> = match rest {
                Some(rest) => Box::new(async {
                    rest.await;
                    Ok(())
                }),
                None => Box::new(std::future::ready(Ok(()))),
            };
            Ok((response, rest))
        })
    }
}

/// A response, and what must go on while its body is read.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>);

/// What the guest learns.
fn told(error: CallError) -> HttpError {
    match error {
        CallError::Denied(_) => HttpError::HttpRequestDenied,
        CallError::AddressDenied(_) => HttpError::DestinationIpProhibited,
        CallError::Limit(_) => HttpError::ConnectionLimitReached,
        CallError::BadUrl(_) => HttpError::HttpRequestUriInvalid,
        CallError::Tunnel => HttpError::HttpRequestMethodInvalid,
        CallError::Lookup(_) => HttpError::DnsError { rcode: None, info_code: None },
        CallError::Connect(_) => HttpError::ConnectionRefused,
        CallError::Tls(_) => HttpError::TlsProtocolError,
        CallError::Timeout(_) => HttpError::ConnectionReadTimeout,
        CallError::Reset(_) => HttpError::ConnectionTerminated,
        CallError::Protocol(_) | CallError::Body(_) => HttpError::HttpProtocolError,
    }
}
