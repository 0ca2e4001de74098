//! Guests of WASI 0.3: what their engine and linker need beside those of 0.2, and a call of
//! `wasi:http/handler`.
//!
//! A handler of 0.3 returns its response before it has written the body, and goes on. The host
//! moves streams only while the store's event loop runs, so a call lasts until the guest has
//! nothing left to do and the response is over, whichever comes last.

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

/// Links what is 0.3. Guests of 0.3 import what is 0.2 too: their standard library does.
pub(super) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    p3::add_to_linker(linker)
}

/// Hands a request to the guest, and waits until it is done with it.
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
            // Its sender goes with the body, and never sends.
            taken.await.ok();
            Ok(())
        };
        // The body is held against its length by whoever pulls it. wasmtime would end one that is
        // too long or too short, and its error gets lost where the last part was not yet taken.
        let headers = std::mem::take(&mut response.headers);
        let response = store.with(|store| response.into_http(store, delivery))?;
        let mut response = response.map(|body| Watched { body, over }.boxed_unsync());
        *response.headers_mut() = headers.into();
        // Whoever waited for it may be gone, and then this call soon is too.
        reply.send(Ok(response)).ok();
        ended.await.ok();
        std::future::poll_fn(|context| store.poll_no_interesting_tasks(context)).await;
        Ok(())
    });
    called.await?
}

/// What the guest sees of a request; an HTTP/1.1 one has its authority in a header.
fn incoming(hooks: &mut dyn WasiHttpHooks, (scheme, request): Incoming) -> Request {
    let (parts, body) = request.into_parts();
    let host = |headers: &http::HeaderMap| Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
    let uri = parts.uri.into_parts();
    let authority = uri.authority.or_else(|| host(&parts.headers));
    let headers = FieldMap::new_immutable(hooks, parts.headers);
    // What the other part tells is how the guest took the request body, which nobody asks.
    Request::new(parts.method, Some(scheme), authority, uri.path_and_query, headers, None, body).0
}

/// A response body that tells when it is over, be it complete or not.
struct Watched {
    body: WasiBody,
    over: Option<[oneshot::Sender<()>; 2]>,
}

/// What to drop when a body is over, and two who wait for that.
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
