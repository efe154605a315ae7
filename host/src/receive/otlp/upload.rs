//! The body of an HTTP request, with what becomes of the rest where the request is refused before its end.
//!
//! A connection that is closed over unread bytes is reset: a peer that sends all before it reads never sees the answer,
//! and one that doesn't expect the error dies of it. So an HTTP/1 server reads on (RFC 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{CONNECTION, EXPECT};
use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::receive::connection::Phase;

/// How much is thrown away at a time, before the answer or after it; several times what a request may have by default.
const DISCARD_BYTES: usize = 64 << 20;
/// How long the answer waits for the end of the body: whoever is refused for now need not connect anew.
const BEFORE: Duration = Duration::from_secs(2);
/// How long a slow sender may go on after its answer.
const AFTER: Duration = Duration::from_secs(30);
/// How long it may pause.
const PAUSE: Duration = Duration::from_secs(2);

/// A body that knows how far it was read.
pub(super) struct Upload {
    body: Incoming,
    is_begun: bool,
    is_ended: bool,
}

impl Upload {
    pub(super) fn new(body: Incoming) -> Self {
        let is_ended = body.is_end_stream();
        Self { body, is_begun: false, is_ended }
    }

    /// Reads what is left of an HTTP/1 body, or else has the answer say that the connection ends with it, and reads on
    /// behind it. Stops where the process ends.
    pub(super) async fn settle(mut self, request: &HeaderMap, answer: &mut HeaderMap, phase: watch::Receiver<Phase>) {
        // To read is to ask for the body. Behind the answer it no longer is.
        let is_to_be_asked_for = request.contains_key(EXPECT) && !self.is_begun;
        if !self.is_ended && !is_to_be_asked_for {
            self.discard(BEFORE, phase.clone()).await;
        }
        if !self.is_ended {
            answer.insert(CONNECTION, HeaderValue::from_static("close"));
            tokio::spawn(async move { self.discard(AFTER, phase).await });
        }
    }

    async fn discard(&mut self, time: Duration, mut phase: watch::Receiver<Phase>) {
        let rest = async {
            let mut left = DISCARD_BYTES;
            while let Ok(Some(Ok(frame))) = timeout(PAUSE, self.frame()).await {
                let size = frame.data_ref().map_or(0, Bytes::len);
                let Some(less) = left.checked_sub(size) else { return };
                left = less;
            }
        };
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
            _ = timeout(time, rest) => {}
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_begun = true;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.is_ended = self.body.is_end_stream() || matches!(frame, Poll::Ready(None));
        frame
    }
}
