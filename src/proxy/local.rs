//! A call of a guest to a service of this process: a request like any other, decided, limited, counted and logged, but
//! without a socket. The guest's body is read where a client's would be, and its caller gets the response part by part,
//! as fast as it takes them.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, header};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use pingora::http::RequestHeader;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Gateway;
use super::session::{Codec, Gone, Input, Session};
use crate::exchange::ResponseHead;
use crate::outbound::{Allowed, Served};
use crate::routing::Found;
use crate::runtime::{Answer, Call, CallBody, CallError};
use crate::versions::Snapshot;

pub use crate::runtime::Chain;

/// The most requests in a chain of calls, the client's own among them. Longer ones are loops.
pub const LONGEST_CHAIN: u32 = 16;
/// How long the caller may take nothing, unless the limits of the version say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A part of the response; `None` at its end, so that a response that broke off does not look complete.
type Part = Option<Frame<Bytes>>;

/// One call.
pub struct Local {
    request: RequestHeader,
    chain: Chain,
    /// The snapshot in which the service was found that the caller may call.
    snapshot: Arc<Snapshot>,
    body: CallBody,
    head: Option<oneshot::Sender<Response<()>>>,
    parts: mpsc::Sender<Part>,
    patience: Duration,
}

/// The response as its caller sees it.
struct LocalBody {
    parts: mpsc::Receiver<Part>,
    is_over: bool,
}

impl Gateway {
    /// Serves a call of a guest, if its host is that of a service which the guest may call.
    pub fn call(&self, call: Call, allowed: &Allowed<'_>) -> Served {
        let snapshot = self.live.load();
        let Call { request, times, caller } = call;
        let (mut head, body) = request.into_parts();
        // What leads to the service of all other hosts is meant for another server.
        let found = snapshot.routes.named(&head).map(|Found { target, .. }| target.key.clone());
        let again = |head, body| Call {
            request: Request::from_parts(head, body),
            times,
            caller: caller.clone(),
        };
        let Some(key) = found else { return Served::Elsewhere(again(head, body)) };
        if !allowed(&key.environment, &key.service) {
            return Served::NotListed(again(head, body), key.environment, key.service);
        }
        // Not before: whoever is asked over the network gets less.
        caller.carry(&mut head.headers, |_| true);
        let Chain { client, length } = caller.chain;
        let chain = Chain { client, length: length.saturating_add(1) };
        let (local, answered) = Local::new((head, body), chain, snapshot);
        let scheme = local.request.uri.scheme().cloned().unwrap_or(http::uri::Scheme::HTTP);
        let gateway = self.clone();
        Served::Here(Box::pin(async move {
            // A task of its own, so that the request is recorded also where its caller has gone. It ends then.
            tokio::spawn(async move {
                let mut session = Session::new(Codec::Local(Box::new(local)), scheme);
                gateway.exchange(&mut session).await;
            });
            answered.await
        }))
    }
}

impl Local {
    fn new(
        (mut head, body): (http::request::Parts, CallBody),
        chain: Chain,
        snapshot: Arc<Snapshot>,
    ) -> (Self, impl Future<Output = Result<Answer, CallError>> + Send + use<>) {
        // Bodies are framed by themselves here, and trailers pass, as over HTTP/2.
        head.version = Version::HTTP_2;
        let (sender, receiver) = oneshot::channel();
        let (parts, received) = mpsc::channel(1);
        let answered = async move {
            let body = LocalBody { parts: received, is_over: false };
            let head: Response<()> = receiver.await.map_err(|_| broken())?;
            Ok(Answer { response: head.map(|()| body.boxed_unsync()), rest: None })
        };
        let request = RequestHeader::from(head);
        let head = Some(sender);
        (Self { request, chain, snapshot, body, head, parts, patience: PATIENCE }, answered)
    }

    pub fn request(&self) -> &RequestHeader {
        &self.request
    }

    /// The client of the request in which the chain of calls began.
    pub fn client(&self) -> SocketAddr {
        self.chain.client
    }

    pub fn chain(&self) -> Chain {
        self.chain
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub fn is_body_empty(&self) -> bool {
        self.body.is_end_stream()
    }

    pub async fn read(&mut self) -> Input {
        match self.body.frame().await {
            None => Input::End(HeaderMap::new()),
            Some(Err(_)) => Input::Gone,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Input::Data(data),
                Err(frame) => Input::End(frame.into_trailers().unwrap_or_default()),
            },
        }
    }

    pub async fn gone(&mut self) {
        self.parts.closed().await;
    }

    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub fn write_head(&mut self, mut head: ResponseHead) -> Result<(), Gone> {
        head.fields.remove(&header::TRANSFER_ENCODING);
        let sender = self.head.take().ok_or(Gone)?;
        sender.send(head.into_response()).map_err(|_| Gone)
    }

    pub async fn write(&mut self, data: Bytes) -> Result<(), Gone> {
        self.send(Some(Frame::data(data))).await
    }

    pub async fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        if let Some(trailers) = trailers {
            self.send(Some(Frame::trailers(trailers))).await?;
        }
        self.send(None).await
    }

    /// Waits while the caller takes nothing, for as long as its patience lasts.
    async fn send(&mut self, part: Part) -> Result<(), Gone> {
        match timeout(self.patience, self.parts.send(part)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

fn broken() -> CallError {
    CallError::Reset("the service broke off its response".to_owned())
}

impl Body for LocalBody {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let part = match ready!(self.parts.poll_recv(context)) {
            Some(Some(frame)) => Some(Ok(frame)),
            Some(None) => None,
            None => Some(Err(broken())),
        };
        self.is_over = !matches!(part, Some(Ok(_)));
        Poll::Ready(part)
    }
}
