//! The PIX gateway we play over HTTP: the other side of `adapters/pix_gateway`.
//!
//! It checks what it is sent as strictly as the gateway's documents say and keeps its own state. A charge's `qrcode` is, as
//! in the gateway's test accounts, an address: who opens it has paid. Withdrawals settle, and refunds go out, two seconds
//! later. Notices are signed, and repeated after 10, 100 and 1000 seconds.
//!
//! - `api` – requests and answers. `ledger` – what they do. `check` – what a request must be. `page` – where it is paid.
//!
//! Faults: see [`super::simulator`]. Faults of a charge's call stay with it: its notices obey them too. `third-party`,
//! `wrong-amount` and the notices' faults can also be asked for where it is paid: `?simulate=third-party`. A CPF of
//! `000.000.001-91` is refused by compliance.

mod api;
mod check;
mod ledger;
mod page;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use poem::http::StatusCode;
use poem::{Endpoint, Response};
use rialto_adapters::pix_gateway::contract::Transaction;
use rialto_adapters::pix_gateway::notice::SIGNATURE;
use rialto_adapters::port::{Duration, Secret, Timestamp};

use crate::psp::simulator::{Account, Play, Simulator};
use crate::store::simulator::Job;
use crate::store::{Store, StoreError};
use crate::wire::Poster;

/// The adapter's name, by which the rows go.
pub const NAME: &str = "pix_gateway";

/// The older of two documented plans; the newer one, ten times a minute apart, tells no less and takes no longer.
const RETRIES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(100), Duration::from_secs(1000)];

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct PixGatewayPsp {
    simulator: Simulator,
    /// Where it is reached, without a slash at the end.
    public_url: Arc<str>,
}

struct Gateway;

#[async_trait]
impl Play for Gateway {
    fn name(&self) -> &'static str {
        NAME
    }

    fn retries(&self) -> &'static [Duration] {
        &RETRIES
    }

    fn signed(&self, secret: &Secret, body: &[u8], _now: Timestamp) -> Vec<(String, String)> {
        vec![(SIGNATURE.header.to_owned(), SIGNATURE.sign(secret, body))]
    }

    fn failure(&self, status: StatusCode) -> Response {
        api::failure(status)
    }

    async fn act(&self, simulator: &Simulator, job: &Job) -> Result<(), StoreError> {
        ledger::act(simulator, job).await
    }
}

impl PixGatewayPsp {
    /// `public_url` is where it is reached: what the addresses that simulate a payment begin with. Notices, and the end of
    /// withdrawals and refunds, need [`PixGatewayPsp::run`].
    pub fn new(store: Store, poster: Arc<Poster>, public_url: &str) -> PixGatewayPsp {
        let simulator = Simulator::new(Arc::new(Gateway), store, poster);
        PixGatewayPsp { simulator, public_url: public_url.trim_end_matches('/').into() }
    }

    /// Opens an account, or changes the one with this token.
    pub fn set_account(&self, account: Account) {
        self.simulator.set_account(account);
    }

    /// `/api/…`, `/_simulate/…` and `/_control/…`.
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

    /// Every transaction of an account under a `merchant_transaction_id`, as the gateway would tell them: what tests count.
    pub async fn transactions_of(&self, account: &Account, ours: &str) -> Result<Vec<Transaction>, StoreError> {
        ledger::named(&self.simulator, &account.id(), ours).await
    }

    /// Pays a charge, as its address does. False where there is nothing to pay.
    pub async fn pay(&self, id: &str, faults: &str) -> Result<bool, StoreError> {
        let faults = crate::psp::simulator::faults::Faults::parse(faults).unwrap_or_default();
        Ok(ledger::paid(&self.simulator, id, &faults).await? == ledger::Paid::Now)
    }
}
