//! PSPs inside this process, under the same rules as those outside.

use std::sync::Arc;

use async_trait::async_trait;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Fault, FaultCause, Reply, Request, Wire};

use super::client::{no_answer, too_late};
use crate::clock::Clock;

/// The host of the sandbox PSP. Reserved: no caller may name it, no name server is asked for it.
pub const SANDBOX_HOST: &str = "sandbox.rialto.internal";

/// A PSP in this process.
#[async_trait]
pub trait LocalPsp: Send + Sync {
    /// Handles one request to its end, even if nobody waits for the answer any more. A fault plays one that a network
    /// would have made.
    async fn handle(&self, request: Request) -> Result<Reply, Fault>;
}

/// The [`Wire`] to a PSP in this process.
pub struct LocalWire {
    psp: Arc<dyn LocalPsp>,
    clock: Clock,
}

impl LocalWire {
    pub fn new(clock: Clock, psp: Arc<dyn LocalPsp>) -> LocalWire {
        LocalWire { psp, clock }
    }
}

#[async_trait]
impl Wire for LocalWire {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        let now = self.clock.now();
        if now > deadlines.send_by || now >= deadlines.answer_by {
            return Err(too_late());
        }
        let psp = self.psp.clone();
        // A task of its own: what the PSP does happens whether or not we are still waiting, as on a network.
        let work = tokio::spawn(async move { psp.handle(request).await });
        match tokio::time::timeout(now.until(deadlines.answer_by), work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Fault::unknown(FaultCause::ConnectionLost, "the PSP in this process broke off")),
            Err(_) => Err(no_answer()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rialto_adapters::port::{Duration, Method, Sent};
    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct Psp {
        go_on: Notify,
        done: Notify,
        effects: AtomicU32,
    }

    #[async_trait]
    impl LocalPsp for Psp {
        async fn handle(&self, request: Request) -> Result<Reply, Fault> {
            match request.url.as_str() {
                "slow" => self.go_on.notified().await,
                "panic" => panic!("a PSP that breaks"),
                "refuse" => return Err(Fault::not_sent(FaultCause::ConnectionRefused, "scripted")),
                _ => {}
            }
            self.effects.fetch_add(1, Ordering::SeqCst);
            self.done.notify_one();
            Ok(Reply { status: 200, headers: Vec::new(), body: request.body })
        }
    }

    fn request(url: &str) -> Request {
        Request { method: Method::Post, url: url.to_owned(), headers: Vec::new(), body: b"hello".to_vec(), scrub: &[] }
    }

    #[tokio::test]
    async fn the_same_deadlines_as_on_a_network() {
        let clock = Clock::default();
        let psp = Arc::new(Psp::default());
        let wire = LocalWire::new(clock.clone(), psp.clone());
        let soon = Duration::from_secs(10);
        let open = Deadlines { send_by: clock.now().plus(soon), answer_by: clock.now().plus(soon) };

        let reply = wire.send(request("fast"), open).await.expect("an answer");
        assert_eq!((reply.status, reply.body), (200, b"hello".to_vec()));
        assert_eq!(psp.effects.load(Ordering::SeqCst), 1);

        let passed = Deadlines { send_by: clock.now().minus(Duration::from_millis(1)), answer_by: open.answer_by };
        assert_eq!(wire.send(request("fast"), passed).await, Err(too_late()));
        assert_eq!(psp.effects.load(Ordering::SeqCst), 1, "nothing reached the PSP");

        let fault = wire.send(request("panic"), open).await.expect_err("a panic");
        assert_eq!((fault.sent, fault.cause), (Sent::Maybe, FaultCause::ConnectionLost));

        let fault = wire.send(request("refuse"), open).await.expect_err("a scripted fault passes through");
        assert_eq!((fault.sent, fault.cause), (Sent::No, FaultCause::ConnectionRefused));
    }

    #[tokio::test]
    async fn the_effect_of_a_slow_call_happens_after_we_stopped_waiting() {
        let clock = Clock::default();
        let psp = Arc::new(Psp::default());
        let wire = LocalWire::new(clock.clone(), psp.clone());
        psp.done.notify_one();
        psp.done.notified().await;
        let answer_by = clock.now().plus(Duration::from_millis(20));
        let fault =
            wire.send(request("slow"), Deadlines { send_by: answer_by, answer_by }).await.expect_err("too slow");
        assert_eq!((fault.sent, fault.cause), (Sent::Maybe, FaultCause::AnswerTimeout));
        assert_eq!(psp.effects.load(Ordering::SeqCst), 0);
        psp.go_on.notify_one();
        psp.done.notified().await;
        assert_eq!(psp.effects.load(Ordering::SeqCst), 1);
    }
}
