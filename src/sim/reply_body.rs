//! The body of a response: one document, or chunks as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

use super::connection::Active;

/// The body of a response.
pub enum ReplyBody {
    /// All at once. The request counts as under way until this is gone.
    Whole {
        /// What is left to send.
        bytes: Option<Bytes>,
        /// The count; dropped with this.
        _active: Active,
    },
    /// Chunk by chunk; each is flushed.
    Chunks(mpsc::Receiver<Bytes>),
}

impl ReplyBody {
    /// One document.
    pub fn whole(document: String, active: Active) -> Self {
        ReplyBody::Whole { bytes: Some(Bytes::from(document)), _active: active }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            ReplyBody::Whole { bytes, .. } => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            ReplyBody::Chunks(chunks) => chunks.poll_recv(cx).map(|chunk| chunk.map(|b| Ok(Frame::data(b)))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole { bytes, .. } => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            ReplyBody::Chunks(_) => SizeHint::default(),
        }
    }
}
