//! The request body as a guest reads it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::p2::body::HyperIncomingBody;

use crate::exchange::{Fed, Feed, Part};

/// A feed, and the body of the guest's request that it feeds.
pub fn fed() -> (Feed, HyperIncomingBody) {
    let (feed, fed) = Feed::new();
    (feed, Incoming(fed).boxed_unsync())
}

struct Incoming(Fed);

impl Body for Incoming {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.0.poll_part(context).map(|part| {
            part.map(|part| {
                Ok(match part {
                    Part::Data(data) => Frame::data(data),
                    Part::Trailers(trailers) => Frame::trailers(trailers),
                })
            })
        })
    }
}
