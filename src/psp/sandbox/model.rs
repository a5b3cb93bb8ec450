//! The stored form of a transaction: what the PSP tells, and what it keeps to itself.

use rialto_adapters::sandbox::contract::{Script, Transaction, kind, stage, state};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::sandbox_psp::TransactionRow;

/// The body of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub transaction: Transaction,
    pub method: String,
    pub notify_url: String,
    /// What its notices are signed with.
    pub signer: Uuid,
    #[serde(default)]
    pub return_url: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub store_means: bool,
    #[serde(default)]
    pub scripted: bool,
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What is to be taken later, where this only stores means.
    #[serde(default)]
    pub expected: Option<i64>,
    /// The token it was made with.
    #[serde(default)]
    pub token: Option<String>,
    /// The card was declined, and the payer may still try another on the page.
    #[serde(default)]
    pub another_card: bool,
}

impl Stored {
    pub fn read(row: &TransactionRow) -> Result<Stored, StoreError> {
        serde_json::from_str(&row.body).map_err(|why| StoreError::Corrupt(format!("sandbox transaction: {why}")))
    }

    /// A new row for it.
    pub fn row(&self, account: &str, session: Option<String>) -> TransactionRow {
        TransactionRow {
            id: self.transaction.id.clone(),
            account: account.to_owned(),
            reference: self.transaction.reference.clone(),
            parent_reference: self.transaction.parent_reference.clone(),
            session,
            kind: self.transaction.kind.clone(),
            state: self.transaction.state.clone(),
            amount_minor: self.transaction.amount,
            used_minor: 0,
            version: 1,
            body: self.text(),
        }
    }

    /// The row that replaces `row`.
    pub fn over(&self, row: &TransactionRow) -> TransactionRow {
        TransactionRow { state: self.transaction.state.clone(), body: self.text(), ..row.clone() }
    }

    fn text(&self) -> String {
        // Texts and whole numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn script(&self) -> Option<Script> {
        if self.scripted { Script::of(self.expected.unwrap_or(self.transaction.amount)) } else { None }
    }

    /// Whether the payer has something to do on the page.
    pub fn awaits_payer(&self) -> bool {
        let asked = self.is_pending() && self.transaction.stage.as_deref() == Some(stage::AWAITING_PAYER);
        asked || self.another_card
    }

    pub fn is_pending(&self) -> bool {
        self.transaction.state == state::PENDING
    }

    /// The state that is the good end of its kind.
    pub fn good_state(&self) -> &'static str {
        if self.transaction.kind == kind::PREAUTH { state::AUTHORISED } else { state::SUCCEEDED }
    }
}
