//! The platform's requests, as its API reference shows them.

use time::macros::format_description;

use super::{HOME, Means, Run};
use crate::conformance::tree::Tree;

/// A published example account.
pub const IBAN: &str = "DE89370400440532013000";
/// The same with a wrong digit.
pub const BAD_IBAN: &str = "DE89370400440532013001";
/// The free map, whose names are data.
pub const FREE: &str = "initialBearer";

impl Run {
    /// What every request has.
    fn common(&self, id: &str, amount: &str) -> Tree {
        Tree::object([
            ("pspSettingsId", Tree::text("")),
            ("transactionId", Tree::text(id)),
            ("requestedAmount", Tree::number(amount)),
            ("currency", Tree::text("EUR")),
            ("webhookTarget", Tree::text(&self.target)),
        ])
    }

    fn charging(&self, id: &str, means: &Means, amount: &str) -> Tree {
        let payer = Tree::object([
            ("externalCustomerId", Tree::text("C-1815")),
            ("companyName", Tree::text("Analytical Engines")),
            ("firstName", Tree::text("Ada")),
            ("lastName", Tree::text("Lovelace")),
            ("emailAddress", Tree::text("ada@example.com")),
            ("language", Tree::text("EN")),
            ("address", Tree::object([("city", Tree::text("London")), ("country", Tree::text("GB"))])),
        ]);
        self.common(id, amount)
            .with("transactionReferenceText", Tree::text("Conformance run"))
            .with("transactionInvoiceReferenceText", Tree::text("Invoice 1"))
            .with("payerData", payer)
            .with("agreementId", Tree::text(&means.agreement))
            .with("paymentMeansReference", Tree::object([("role", Tree::text(means.role))]))
    }

    fn preauth(&self, id: &str, means: &Means, amount: &str, initial: bool, bearer: Option<Tree>) -> Tree {
        let mut reference = Tree::object([
            ("role", Tree::text(means.role)),
            ("successReturnUrl", Tree::text(format!("{HOME}success"))),
            ("errorReturnUrl", Tree::text(format!("{HOME}error"))),
            ("abortReturnUrl", Tree::text(format!("{HOME}abort"))),
        ]);
        if let Some(bearer) = bearer {
            reference = reference.with(FREE, bearer);
        }
        self.charging(id, means, amount).with("paymentMeansReference", reference).with("isInitial", Tree::Bool(initial))
    }

    /// A card that the payer is to give.
    pub(super) fn sign_up(&self, id: &str, agreement: &str, amount: &str) -> Tree {
        let means = Means { agreement: agreement.to_owned(), role: "CreditCard" };
        self.preauth(id, &means, amount, true, None)
    }

    /// An account that is given at once.
    pub(super) fn account(&self, id: &str, agreement: &str) -> Tree {
        self.account_with(id, agreement, IBAN)
    }

    pub(super) fn account_with(&self, id: &str, agreement: &str, iban: &str) -> Tree {
        let means = Means { agreement: agreement.to_owned(), role: "Debit" };
        let bearer = Tree::object([("Holder", Tree::text("Ada Lovelace")), ("IBAN", Tree::text(iban))]);
        self.preauth(id, &means, "10.00", true, Some(bearer))
    }

    /// A reservation on the stored card.
    pub(super) fn again(&self, id: &str, agreement: &str, amount: &str) -> Tree {
        let means = Means { agreement: agreement.to_owned(), role: "CreditCard" };
        self.preauth(id, &means, amount, false, None)
    }

    /// A sign-up that needs nobody: an account where that is taken, else a card that no payer comes for.
    pub(super) fn any_sign_up(&self, id: &str) -> Tree {
        let agreement = self.fresh_agreement();
        match self.takes_account() {
            true => self.account(id, &agreement),
            false => self.sign_up(id, &agreement, "10.00"),
        }
    }

    /// A charge of stored means, a debit to be executed today.
    pub(super) fn payment(&self, id: &str, means: &Means, amount: &str) -> Tree {
        let request = self.charging(id, means, amount);
        match means.role {
            "Debit" => request.with("plannedExecutionDate", Tree::text(self.day(0))),
            _ => request,
        }
    }

    /// A day from today on, as the platform writes it.
    pub(super) fn day(&self, ahead: i64) -> String {
        let day = (self.today() + time::Duration::days(ahead)).date();
        day.format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
    }

    pub(super) fn capturing(&self, id: &str, preauth: &str, agreement: &str, amount: &str) -> Tree {
        let means = Means { agreement: agreement.to_owned(), role: "CreditCard" };
        self.charging(id, &means, amount).with("preauthTransactionId", Tree::text(preauth))
    }

    pub(super) fn refunding(&self, id: &str, payment: &str, amount: &str) -> Tree {
        self.common(id, amount).with("paymentTransactionId", Tree::text(payment))
    }
}
