//! The only reader of time and randomness.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rialto_adapters::port::{Duration, Timestamp};
use uuid::Uuid;

/// Tells the time, waits, and makes random bytes. Cheap to clone.
///
/// `scale` divides every wait of ours (`RIALTO_TIME_SCALE`): tests run the same code fifty times faster. Times that other
/// people state (a signature's age, a PSP's expiry) are never scaled.
#[derive(Clone, Debug)]
pub struct Clock {
    scale: u32,
    /// Milliseconds a test has moved the clock ahead.
    ahead: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::scaled(1)
    }
}

impl Clock {
    pub fn scaled(scale: u32) -> Clock {
        Clock { scale: scale.max(1), ahead: Arc::default() }
    }

    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp(millis.saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// Moves the clock ahead, for tests that must see a week go by.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// One of our own waits, as long as it is to last on this clock.
    pub fn wait(&self, nominal: Duration) -> Duration {
        nominal / self.scale
    }

    /// When a wait of ours that starts now ends.
    pub fn after(&self, nominal: Duration) -> Timestamp {
        self.now().plus(self.wait(nominal))
    }

    /// When a deadline of ours for running code ends. However fast the clock is made, a loaded machine needs real time
    /// between two of its steps, so it gets at least a second (or the nominal time, where that is less).
    pub fn deadline(&self, nominal: Duration) -> Timestamp {
        self.now().plus(self.wait(nominal).max(nominal.min(Duration::from_secs(1))))
    }

    /// Sleeps for one of our own waits.
    pub async fn sleep(&self, nominal: Duration) {
        tokio::time::sleep(self.wait(nominal)).await;
    }

    /// Nanoseconds since 1970, of the machine's clock: for spans, which measure and never decide.
    pub fn nanos() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// A number that no other span has.
    pub fn span_id() -> u64 {
        u64::from_ne_bytes(Clock::default().random())
    }

    /// A new time-ordered key.
    pub fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// Random bytes from the operating system.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // Without randomness there are no keys and no tokens: nothing this program could do would be safe.
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}
