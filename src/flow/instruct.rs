//! A committed transaction as the instruction an adapter understands.

use rialto_adapters::port::{
    Capture, Charge, Instruction, Kind, Means, Parent, Payout, Preauth, Reason, Refund, Release, Secret, StoreMeans,
};

use super::{Engine, FlowError};
use crate::store::agreements::AgreementState;
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;

/// What a transaction is to be sent as.
#[derive(Debug)]
pub enum Instructed {
    Ready(Box<Instruction>),
    /// What it needs is gone: what the caller is told, and a text that says what.
    Impossible(Reason, &'static str),
}

impl Engine {
    pub(super) async fn instruction(&self, intent: &Intent, t: &Transaction) -> Result<Instructed, FlowError> {
        let instruction = match t.kind {
            Kind::StoreMeans | Kind::Preauth | Kind::Charge => {
                let Some(means) = self.means(intent, t).await? else {
                    let why = "the stored means of payment are no longer usable";
                    return Ok(Instructed::Impossible(Reason::MeansInvalid, why));
                };
                self.taking(intent, t, means)
            }
            Kind::Capture | Kind::Release | Kind::Refund => {
                let Some(parent) = self.parent(t).await? else {
                    return Err(FlowError::Broken(format!("transaction {} has no parent", t.id)));
                };
                let of = Parent { ours: parent.ours.clone(), theirs: parent.theirs.clone(), amount: parent.taken() };
                let (reference, amount, description) = (t.ours.clone(), t.amount, intent.details.description.clone());
                match t.kind {
                    Kind::Capture => Instruction::Capture(Capture { reference, of, amount, description }),
                    Kind::Release => Instruction::Release(Release { reference, of, amount }),
                    _ => Instruction::Refund(Refund { reference, of, amount, description }),
                }
            }
            Kind::Payout => {
                let Some(destination) = intent.details.destination() else {
                    let why = "nobody has said where the money is to go";
                    return Ok(Instructed::Impossible(Reason::DestinationInvalid, why));
                };
                Instruction::Payout(Payout {
                    reference: t.ours.clone(),
                    method: t.method,
                    amount: t.amount,
                    destination,
                    payee: intent.details.payer(),
                    description: intent.details.description.clone(),
                })
            }
        };
        Ok(Instructed::Ready(Box::new(instruction)))
    }

    pub(super) async fn parent(&self, t: &Transaction) -> Result<Option<Transaction>, FlowError> {
        match t.parent_id {
            Some(parent) => Ok(self.store.transaction(t.tenant_id, parent).await?),
            None => Ok(None),
        }
    }

    async fn means(&self, intent: &Intent, t: &Transaction) -> Result<Option<Means>, FlowError> {
        let details = &intent.details;
        if let Some(token) = &details.migration_token {
            return Ok(Some(Means::Stored(Secret::new(token.clone()))));
        }
        if !details.use_stored_means {
            return Ok(Some(match details.given.is_empty() {
                true => Means::AskPayer,
                false => Means::Given(details.given.clone()),
            }));
        }
        let Some(id) = intent.agreement_id else { return Ok(None) };
        let agreement = self.store.agreement_by_id(intent.tenant_id, id).await?;
        let Some(agreement) = agreement.filter(|a| a.state == AgreementState::Active) else { return Ok(None) };
        // Newer ones may have taken their place since this was accepted, which its account knows nothing of.
        let versions = (agreement.settings_version, t.settings_version);
        let here = agreement.connection_id == t.connection_id
            && self.store.same_account(t.tenant_id, t.connection_id, versions.0, versions.1).await?;
        Ok(agreement.token.filter(|_| here).map(Means::Stored))
    }

    fn taking(&self, intent: &Intent, t: &Transaction, means: Means) -> Instruction {
        let details = &intent.details;
        let (reference, method, payer) = (t.ours.clone(), t.method, details.payer());
        let description = details.description.clone();
        // Coming back is told apart from coming for the first time, so that nobody is sent round in circles.
        let return_url = match &details.page_token {
            Some(token) => format!("{}?back=1", self.page_url(token)),
            None => self.public_url().to_owned(),
        };
        match t.kind {
            Kind::StoreMeans => Instruction::StoreMeans(StoreMeans {
                reference,
                method,
                currency: t.amount.currency,
                expected: (t.amount.minor > 0).then_some(t.amount),
                means,
                payer,
                return_url,
                description,
            }),
            Kind::Preauth => Instruction::Preauth(Preauth {
                reference,
                method,
                amount: t.amount,
                means,
                payer,
                return_url,
                description,
                store_means: intent.agreement_id.is_some() && !details.use_stored_means,
            }),
            _ => Instruction::Charge(Charge {
                reference,
                method,
                amount: t.amount,
                means,
                payer,
                return_url,
                description,
                expires_at: intent.expires_at,
            }),
        }
    }
}
