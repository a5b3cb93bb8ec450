//! The last moment before the first byte.
//!
//! A request waits for a name, a connection and a TLS handshake before anything of it is written. The gate is the body of
//! the request: the HTTP library takes it in the same step in which it is about to write, head and body together. Once
//! shut, the gate never lets the body out again, and the library then drops the connection without writing: that is
//! the proof behind "not sent". Held by tests that count the bytes a peer received.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rialto_adapters::port::Timestamp;

use crate::clock::Clock;

const WAITING: u8 = 0;
const OPEN: u8 = 1;
const SHUT: u8 = 2;

#[derive(Debug)]
pub(super) struct Gate {
    state: AtomicU8,
    clock: Clock,
    send_by: Timestamp,
}

#[derive(Debug, thiserror::Error)]
#[error("the time to send had passed")]
pub(super) struct GateShut;

impl Gate {
    pub(super) fn new(clock: Clock, send_by: Timestamp) -> Arc<Gate> {
        Arc::new(Gate { state: AtomicU8::new(WAITING), clock, send_by })
    }

    /// Lets the request out, unless it is too late.
    fn open(&self) -> bool {
        let next = if self.clock.now() <= self.send_by { OPEN } else { SHUT };
        match self.state.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => next == OPEN,
            Err(state) => state == OPEN,
        }
    }

    /// True: nothing has left, and nothing will. False: something may have left.
    pub(super) fn shut(&self) -> bool {
        match self.state.compare_exchange(WAITING, SHUT, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == SHUT,
        }
    }

    fn is_shut(&self) -> bool {
        self.state.load(Ordering::Acquire) == SHUT
    }
}

/// The bytes of a request behind the gate.
pub(super) struct GatedBody {
    gate: Arc<Gate>,
    bytes: Option<Bytes>,
    length: u64,
}

impl GatedBody {
    pub(super) fn new(gate: Arc<Gate>, bytes: Bytes) -> GatedBody {
        let length = bytes.len() as u64;
        GatedBody { gate, bytes: Some(bytes), length }
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = GateShut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GateShut>>> {
        if !self.gate.open() {
            return Poll::Ready(Some(Err(GateShut)));
        }
        Poll::Ready(self.bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
    }

    /// Asked right before the head is written. A request without a body passes the gate here, because its body is never
    /// taken; behind a shut gate it claims one byte more, so that it is taken and fails.
    fn is_end_stream(&self) -> bool {
        match &self.bytes {
            None => true,
            Some(bytes) => bytes.is_empty() && self.gate.open(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let claimed = if self.gate.is_shut() { self.length.max(1) } else { self.length };
        SizeHint::with_exact(claimed)
    }
}
