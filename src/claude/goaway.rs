//! Hears a GOAWAY as it comes in. Hyper tells of one only when the connection's last answer has ended or the next request
//! is refused; by then a new connection ought to be open already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a frame's header: length (24 bits), type, flags, stream.
const HEADER: usize = 9;
/// The type of a GOAWAY frame (RFC 9113, 6.8).
const GOAWAY: u8 = 7;

/// Walks over the frames that an HTTP/2 server sends; of each it looks at the header alone.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; HEADER],
    have: usize,
    /// Bytes of the payload that are still to come.
    skip: usize,
}

impl Frames {
    /// Whether a GOAWAY begins in these bytes.
    fn goaway_in(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let (payload, rest) = bytes.split_at(self.skip.min(bytes.len()));
                self.skip -= payload.len();
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at((HEADER - self.have).min(bytes.len()));
            if let Some(place) = self.header.get_mut(self.have..self.have + part.len()) {
                place.copy_from_slice(part);
            }
            self.have += part.len();
            bytes = rest;
            if self.have == HEADER {
                let [high, middle, low, kind, ..] = self.header;
                found |= kind == GOAWAY;
                self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.have = 0;
            }
        }
        found
    }
}

/// A stream that calls `heard` when the server says GOAWAY on it.
pub(super) struct Watched<S, F> {
    stream: S,
    frames: Frames,
    heard: F,
}

impl<S, F: FnMut() + Unpin> Watched<S, F> {
    pub(super) fn new(stream: S, heard: F) -> Self {
        Self { stream, frames: Frames::default(), heard }
    }
}

impl<S: AsyncRead + Unpin, F: FnMut() + Unpin> AsyncRead for Watched<S, F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.frames.goaway_in(buf.filled().get(before..).unwrap_or_default()) {
            (this.heard)();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin, F: Unpin> AsyncWrite for Watched<S, F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    proptest! {
        #[test]
        fn it_is_heard_once_however_the_bytes_are_cut(
            before in prop::collection::vec((0u8..7, prop::collection::vec(any::<u8>(), 0..300)), 0..6),
            after in prop::collection::vec(any::<u8>(), 0..20),
            cuts in prop::collection::vec(1usize..40, 1..9),
        ) {
            let mut bytes: Vec<u8> = before.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let at = bytes.len();
            bytes.extend(frame(GOAWAY, &[0, 0, 0, 1, 0, 0, 0, 0]));
            bytes.extend(frame(0, &after));
            let (mut frames, mut rest, mut heard) = (Frames::default(), &bytes[..], Vec::new());
            for cut in cuts.iter().cycle() {
                let (part, tail) = rest.split_at((*cut).min(rest.len()));
                if frames.goaway_in(part) {
                    heard.push(bytes.len() - tail.len());
                }
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(heard.len(), 1);
            prop_assert!(heard[0] >= at + HEADER);
        }
    }
}
