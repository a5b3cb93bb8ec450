//! A wire that keeps what was sent and answers what it was told to.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::port::outcome::{Fault, FaultCause};
use crate::port::wire::{Deadlines, Reply, Request, Wire};

enum Answers {
    /// One after the other; then the connection is lost.
    Recorded(VecDeque<Result<Reply, Fault>>),
    By(fn(&Request) -> Reply),
}

/// A [`Wire`] without a network.
pub struct FakeWire {
    answers: Mutex<Answers>,
    sent: Mutex<Vec<Request>>,
}

impl FakeWire {
    /// Answers these, in order. A request too many finds the connection lost.
    pub fn replaying(answers: impl IntoIterator<Item = Result<Reply, Fault>>) -> FakeWire {
        FakeWire { answers: Mutex::new(Answers::Recorded(answers.into_iter().collect())), sent: Mutex::new(Vec::new()) }
    }

    /// Answers each request by a function of it.
    pub fn answering(answer: fn(&Request) -> Reply) -> FakeWire {
        FakeWire { answers: Mutex::new(Answers::By(answer)), sent: Mutex::new(Vec::new()) }
    }

    /// What was sent so far.
    pub fn sent(&self) -> Vec<Request> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl Wire for FakeWire {
    async fn send(&self, request: Request, _deadlines: Deadlines) -> Result<Reply, Fault> {
        let answer = match &mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner) {
            Answers::Recorded(answers) => answers.pop_front(),
            Answers::By(answer) => Some(Ok(answer(&request))),
        };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        answer.unwrap_or_else(|| Err(Fault::unknown(FaultCause::ConnectionLost, "no answer was recorded")))
    }
}

/// A reply with a JSON content type.
pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body: body.into() }
}
