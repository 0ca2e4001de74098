//! Support for guests of WASI 0.3: additional settings of their engine and linker, and the call of
//! `wasi:http/handler`.
//!
//! A 0.3 handler returns its response before it has written the body, and goes on. The host moves
//! streams only while the event loop of the store runs, so a call lasts until the guest has
//! finished and the response is over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::component::Linker;
use wasmtime::{Config, Store};
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{self, Request};
use wasmtime_wasi_http::{Error as HttpError, FieldMap, WasiBody, WasiHttpHooks, WasiHttpView};

use super::invoke::{Incoming, Reply};
use super::sandbox::Sandbox;

/// The guest answered with an error instead of a response.
#[derive(Debug, thiserror::Error)]
#[error("it set the error {0:?}")]
pub(super) struct NoHead(ErrorCode);

/// Adds the component model's own concurrency to the settings of an engine.
pub(super) fn enable(config: &mut Config) {
    config.concurrency_support(true).wasm_component_model_async(true);
}

/// Links the interfaces of 0.3. Guests of 0.3 also import those of 0.2, through their standard
/// library.
pub(super) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    p3::add_to_linker(linker)
}

/// Hands a request to the guest, and waits until it has finished.
pub(super) async fn call(
    store: &mut Store<Sandbox>,
    guest: &Service,
    request: Incoming,
    reply: Reply,
) -> wasmtime::Result<()> {
    let request = incoming(store.data_mut().http().hooks, request);
    let called = store.run_concurrent(async |store| {
        let mut response = guest.handle(store, request).await?.map_err(NoHead)?;
        let (over, [ended, taken]) = over();
        let delivery = async {
            // The sender is dropped with the body, and never sends.
            taken.await.ok();
            Ok(())
        };
        // The caller of the invocation checks the length. wasmtime's own check would end a body of
        // wrong length, and its error is lost if the last part was not taken yet.
        let headers = std::mem::take(&mut response.headers);
        let response = store.with(|store| response.into_http(store, delivery))?;
        let mut response = response.map(|body| Watched { body, over }.boxed_unsync());
        *response.headers_mut() = headers.into();
        // Fails if the caller has gone. Then this call ends soon too.
        reply.send(Ok(response)).ok();
        ended.await.ok();
        std::future::poll_fn(|context| store.poll_no_interesting_tasks(context)).await;
        Ok(())
    });
    called.await?
}

/// The request as the guest sees it. An HTTP/1.1 request has its authority in a header.
fn incoming(hooks: &mut dyn WasiHttpHooks, (scheme, request): Incoming) -> Request {
    let (parts, body) = request.into_parts();
    let host = |headers: &http::HeaderMap| Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
    let uri = parts.uri.into_parts();
    let authority = uri.authority.or_else(|| host(&parts.headers));
    let headers = FieldMap::new_immutable(hooks, parts.headers);
    // The other half reports how the guest read the request body, which is not needed.
    Request::new(parts.method, Some(scheme), authority, uri.path_and_query, headers, None, body).0
}

/// A response body that notifies when it is over, whether complete or not.
struct Watched {
    body: WasiBody,
    over: Option<[oneshot::Sender<()>; 2]>,
}

/// Two senders to drop when a body is over, and their receivers.
fn over() -> (Option<[oneshot::Sender<()>; 2]>, [oneshot::Receiver<()>; 2]) {
    let ((one, first), (other, second)) = (oneshot::channel(), oneshot::channel());
    (Some([one, other]), [first, second])
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.over = None;
        }
        frame
    }
}
