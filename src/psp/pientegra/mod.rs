//! The Pientegra we play over HTTP: the other side of `adapters/pientegra`.
//!
//! It checks what it is sent as strictly as Pientegra's documents say, and keeps its own state. A deposit's page shows what
//! to transfer and has the button "I paid"; two seconds later it is approved, or, where nobody presses it within a quarter
//! of an hour, cancelled, after which money can still arrive late. A withdrawal is approved after two seconds and sent after
//! two more. Notices are signed, and tried eight times within about ten minutes.
//!
//! - `api` – requests and answers. `check` – what a request must be. `ledger` – what they do. `page` – where it is paid.
//!
//! Faults: see [`super::simulator`]. Those of a create call stay with what it made: its notices obey them too. A deposit is
//! rejected by `third-party` and approved for half by `wrong-amount`, a withdrawal is rejected by `bank-refuses` and comes
//! back by `returned`; `early` decides at once. What is made with `missing` stands in the event ledger as given up. They can
//! also be asked for where it is paid: `?simulate=third-party`.

mod api;
mod check;
mod ledger;
mod page;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use poem::http::StatusCode;
use poem::{Endpoint, Response};
use rialto_adapters::pientegra::contract::{Item, Notice};
use rialto_adapters::pientegra::notice::{EVENT_ID_HEADER, SIGNATURE};
use rialto_adapters::port::{Duration, Secret, Timestamp};

use crate::psp::simulator::{Account, Play, Simulator};
use crate::store::simulator::Job;
use crate::store::{Store, StoreError};
use crate::wire::Poster;

/// The adapter's name, by which the rows go.
pub const NAME: &str = "pientegra";

/// Eight attempts within about ten minutes: the one reading of its documents under which their numbers fit together.
const RETRIES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(80),
    Duration::from_secs(160),
    Duration::from_secs(300),
];

/// Calls that a key may make in a minute.
const CALLS_PER_WINDOW: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// Pientegra. Cheap to clone.
#[derive(Clone)]
pub struct PientegraPsp {
    simulator: Simulator,
    /// Where it is reached, without a slash at the end.
    public_url: Arc<str>,
    /// When each account has called of late.
    calls: Arc<Mutex<HashMap<String, VecDeque<Timestamp>>>>,
}

struct Pientegra;

#[async_trait]
impl Play for Pientegra {
    fn name(&self) -> &'static str {
        NAME
    }

    fn retries(&self) -> &'static [Duration] {
        &RETRIES
    }

    /// Signed anew for each attempt, over the same bytes.
    fn signed(&self, secret: &Secret, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
        let event_id = serde_json::from_slice::<Notice>(body).map(|notice| notice.event_id).unwrap_or_default();
        vec![(SIGNATURE.header.to_owned(), SIGNATURE.sign(secret, body, now)), (EVENT_ID_HEADER.to_owned(), event_id)]
    }

    fn failure(&self, status: StatusCode) -> Response {
        api::failure(status)
    }

    async fn act(&self, simulator: &Simulator, job: &Job) -> Result<(), StoreError> {
        ledger::act(simulator, job).await
    }
}

impl PientegraPsp {
    /// `public_url` is where it is reached: what the addresses of its pages begin with. Notices, and whatever happens by
    /// itself, need [`PientegraPsp::run`].
    pub fn new(store: Store, poster: Arc<Poster>, public_url: &str) -> PientegraPsp {
        let simulator = Simulator::new(Arc::new(Pientegra), store, poster);
        PientegraPsp { simulator, public_url: public_url.trim_end_matches('/').into(), calls: Arc::default() }
    }

    /// Opens an account, or changes the one with this token.
    pub fn set_account(&self, account: Account) {
        self.simulator.set_account(account);
    }

    /// `/api/v1/external/…`, `/d/…` and `/_control/…`.
    pub fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        api::endpoint(self)
    }

    /// Does what is due later until the future is dropped.
    pub async fn run(&self) {
        self.simulator.run().await;
    }

    /// The frame, with its faults and jobs.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// What was made under an idempotency key, as Pientegra would tell it now: what tests count. `None`: nothing was.
    pub async fn made_under(&self, account: &Account, key: &str) -> Result<Option<Item>, StoreError> {
        ledger::made_under(&self.simulator, &account.id(), key).await
    }

    /// How many deposits and withdrawals an account has.
    pub async fn count(&self, account: &Account) -> Result<usize, StoreError> {
        let all = ledger::all(&self.simulator, ledger::INTENT, &account.id()).await?;
        Ok(all.len() + ledger::all(&self.simulator, ledger::WITHDRAWAL, &account.id()).await?.len())
    }

    /// Whether an account may make one more call; how long it is to wait where it may not.
    fn admit(&self, account: &str) -> Result<(), Duration> {
        let clock = self.simulator.clock();
        let (now, window) = (clock.now(), clock.wait(WINDOW));
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let own = calls.entry(account.to_owned()).or_default();
        while own.front().is_some_and(|at| at.plus(window) <= now) {
            own.pop_front();
        }
        match own.front() {
            Some(first) if own.len() >= CALLS_PER_WINDOW => Err(now.until(first.plus(window))),
            _ => {
                own.push_back(now);
                Ok(())
            }
        }
    }
}
