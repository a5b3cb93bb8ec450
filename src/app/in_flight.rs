//! Counts the calls to PSPs that are under way, so that a stop can wait for their answers. Nothing depends on it: a call
//! that is cut off is looked up after the next start.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Fault, Reply, Request, Wire};
use tokio::sync::watch;

/// From an answer to its commit: what was learned is written within this.
const SETTLING: Duration = Duration::from_millis(100);

pub struct InFlight<W> {
    inner: W,
    calls: Arc<watch::Sender<usize>>,
}

/// How many calls are under way.
#[derive(Clone)]
pub struct Calls(watch::Receiver<usize>);

impl<W> InFlight<W> {
    pub fn new(inner: W) -> (InFlight<W>, Calls) {
        let (calls, count) = watch::channel(0);
        (InFlight { inner, calls: Arc::new(calls) }, Calls(count))
    }
}

/// A call under way, also when whoever waits for it goes away.
struct Call(Arc<watch::Sender<usize>>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}

#[async_trait]
impl<W: Wire> Wire for InFlight<W> {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        self.calls.send_modify(|calls| *calls += 1);
        let _call = Call(self.calls.clone());
        self.inner.send(request, deadlines).await
    }
}

impl Calls {
    /// Resolves when no call has been under way for a moment.
    pub async fn settled(&mut self) {
        loop {
            // The sender goes only with the wire itself, and then there are no calls either.
            if self.0.wait_for(|calls| *calls == 0).await.is_err() {
                return;
            }
            tokio::time::sleep(SETTLING).await;
            if *self.0.borrow() == 0 {
                return;
            }
        }
    }
}
