//! Operators, and the audit of what they do: one row for each action, in the unit that carries it out.

use rialto_adapters::port::Secret;
use uuid::Uuid;

use super::tenants::{KEY_BYTES, NAME_MAX, SetupError, invalid};
use super::{Engine, FlowError};
use crate::store::operators::{self, AuditEntry, Operator, Right};
use crate::store::{Refusal, Unit, hash_token};

/// The name of the first operator, whose key is `RIALTO_ADMIN_KEY` or stands in the data directory.
pub const FIRST_OPERATOR: &str = "admin";
/// Who stands in the audit where nobody asked: the demo's preparation.
pub const OURSELVES: &str = "rialto";
/// Longest reason an operator gives; the column has no end, a screen has.
pub const WHY_MAX: usize = 500;

/// What came of an action where there is no more to say.
pub const DONE: &str = "done";

/// What somebody did, or tried to do.
#[derive(Clone, Debug)]
pub struct Act {
    action: &'static str,
    tenant: Option<Uuid>,
    subject: Option<String>,
    details: String,
}

impl Act {
    /// `details` is for people, and never has a secret in it.
    pub fn new(action: &'static str, details: impl Into<String>) -> Act {
        Act { action, tenant: None, subject: None, details: details.into() }
    }

    /// The tenant it concerns.
    #[must_use]
    pub fn of(self, tenant: Uuid) -> Act {
        Act { tenant: Some(tenant), ..self }
    }

    /// What it was done to.
    #[must_use]
    pub fn on(self, subject: impl ToString) -> Act {
        Act { subject: Some(subject.to_string()), ..self }
    }
}

impl Engine {
    /// Puts what the actor does into the unit that does it, so that neither is there without the other.
    pub fn audit(&self, unit: &mut Unit, act: Act, outcome: &str) {
        let entry = AuditEntry {
            id: self.clock.new_id(),
            actor: self.actor().to_owned(),
            action: act.action.to_owned(),
            tenant_id: act.tenant,
            subject: act.subject,
            details: act.details,
            outcome: outcome.to_owned(),
            at: self.clock.now(),
        };
        tracing::info!(
            actor = entry.actor,
            action = entry.action,
            subject = entry.subject.as_deref().unwrap_or_default(),
            outcome,
            "audit"
        );
        operators::record(unit, entry);
    }

    /// Keeps an action that came to nothing, for which there is no other unit.
    pub async fn audit_refused(&self, act: Act, why: &str) -> Result<(), FlowError> {
        let mut unit = Unit::new("audit_refused");
        self.audit(&mut unit, act, &format!("refused: {why}"));
        self.run_and_nudge(unit).await
    }

    /// The key itself is returned this once; its hash is kept. A name is never given twice: the audit names operators.
    pub async fn add_operator(&self, name: &str, right: Right) -> Result<Secret, SetupError> {
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(invalid("name", format!("must have 1 to {NAME_MAX} bytes")));
        }
        let ours = [FIRST_OPERATOR, OURSELVES].iter().any(|own| own.eq_ignore_ascii_case(name));
        if ours || name.to_ascii_lowercase().starts_with("key ") {
            return Err(invalid("name", "is one the audit has another meaning for"));
        }
        let key = Secret::new(format!("ok_{}", self.token(KEY_BYTES)));
        let operator = Operator {
            id: self.clock.new_id(),
            name: name.to_owned(),
            right,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        let mut unit = Unit::new("add_operator");
        operators::add(&mut unit, &operator, hash_token(key.expose()));
        self.audit(&mut unit, Act::new("operator.add", format!("right {}", right.as_str())).on(name), DONE);
        match self.store.run(unit).await? {
            Ok(()) => Ok(key),
            Err(
                Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Err(invalid("name", "was given to an operator before")),
        }
    }

    /// From now on the operator's key opens nothing.
    pub async fn revoke_operator(&self, name: &str) -> Result<(), SetupError> {
        let mut unit = Unit::new("revoke_operator");
        operators::revoke(&mut unit, name, self.clock.now());
        self.audit(&mut unit, Act::new("operator.revoke", "").on(name), DONE);
        match self.store.run(unit).await? {
            Ok(()) => Ok(()),
            Err(
                Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Err(SetupError::NotFound { what: "operator with a key", id: name.to_owned() }),
        }
    }
}
