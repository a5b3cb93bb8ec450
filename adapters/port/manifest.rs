//! What a PSP can do, as constant data beside the adapter: settings forms, IntegrationInfo, the console, the docs and the
//! table "which contract works with which adapter" are all made from it. Nothing is a method that answers "not
//! implemented".

use super::instruction::Kind;
use super::money::{Currency, Money};
use super::outcome::Refusal;
use super::reason::Reason;
use super::reference::ReferenceRule;
use super::time::Duration;

/// A way of paying in the field's own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MethodName {
    Card,
    /// SEPA direct debit and its relatives: pulled from an account under a mandate.
    DirectDebit,
    /// Pushed by the payer from an account.
    BankTransfer,
    Pix,
}

impl MethodName {
    pub const ALL: &'static [MethodName] =
        &[MethodName::Card, MethodName::DirectDebit, MethodName::BankTransfer, MethodName::Pix];

    pub fn as_str(self) -> &'static str {
        match self {
            MethodName::Card => "card",
            MethodName::DirectDebit => "direct_debit",
            MethodName::BankTransfer => "bank_transfer",
            MethodName::Pix => "pix",
        }
    }

    pub fn parse(text: &str) -> Option<MethodName> {
        MethodName::ALL.iter().copied().find(|method| method.as_str() == text)
    }
}

/// Currencies a capability covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currencies {
    /// Every currency with an ISO 4217 minor unit.
    All,
    Only(&'static [Currency]),
}

impl Currencies {
    pub fn covers(&self, currency: Currency) -> bool {
        match self {
            Currencies::All => true,
            Currencies::Only(list) => list.contains(&currency),
        }
    }
}

/// Whether the amount that arrives is the amount we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountRule {
    /// Another amount is a conflict (card, payout, refund).
    Exact,
    /// The payer types it (bank transfer, PIX): booked as told and marked.
    AsTold,
}

/// One line of what a PSP can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub kind: Kind,
    pub method: MethodName,
    pub currencies: Currencies,
    /// Kinds of destination, for payouts: `"iban"`, `"pix_key"`.
    pub destinations: &'static [&'static str],
    /// In minor units of whatever currency; the PSP's own limits.
    pub minimum_minor: i64,
    pub maximum_minor: i64,
    /// Less than the whole of the parent is possible (capture, release, refund).
    pub partial: bool,
    pub amount: AmountRule,
    /// The payer takes part on a page: the answer to the call cannot be the end of it.
    pub interactive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingType {
    Text,
    Url,
    Switch,
    Choice(&'static [(&'static str, &'static str)]),
}

/// A line of the settings form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingField {
    pub key: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub kind: SettingType,
    pub required: bool,
    /// Masked wherever it is shown.
    pub secret: bool,
    /// Names the account at the PSP: another value is another account, to which old transactions do not belong.
    pub identifying: bool,
    /// The operator's to set, never a merchant's.
    pub operator_only: bool,
}

/// Whether, and how long, the PSP treats our reference as an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    No,
    For {
        window: Duration,
        /// How long to leave it alone before sending the same bytes again.
        resend_after: Duration,
    },
}

/// By whose reference a PSP can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKey {
    Ours,
    /// Only once the PSP has told its own.
    Theirs,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupRule {
    pub by: LookupKey,
    /// How long after the call's `answer_by` an "absent" is worth believing.
    pub absent_after: Duration,
    /// Waits between look-ups of an open transaction; the last one repeats.
    pub pacing: &'static [Duration],
}

/// How a notice proves that it comes from the PSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticity {
    Signed,
    /// No proof at all: a notice is a nudge to look up, its content is not believed.
    NudgeOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeRule {
    pub authenticity: Authenticity,
    /// The status the PSP expects for "received".
    pub accepted_status: u16,
}

/// Calls per window and account that the PSP allows, and the share of them kept for look-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBudget {
    pub calls: u32,
    pub per: Duration,
    pub kept_for_lookups: u32,
}

/// A field of the payer that a PSP cannot do without; asked on our page where the contract did not bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayerField {
    Name,
    Email,
    Phone,
    Document,
}

/// What a mandate reference that a caller brings may be. The characters are those of SEPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MandateReferenceRule {
    /// In characters.
    pub max_length: usize,
    pub lower_case: bool,
}

impl MandateReferenceRule {
    /// What SEPA allows in a reference besides letters and digits.
    const SIGNS: &'static str = "+?/-:().,' ";

    /// Refuses what the PSP would not take; the text says what is wrong.
    pub fn check(&self, reference: &str) -> Result<(), String> {
        let length = reference.chars().count();
        if length == 0 || length > self.max_length {
            return Err(format!("must have 1 to {} characters", self.max_length));
        }
        if reference.trim() != reference {
            return Err("must not begin or end with a space".to_owned());
        }
        match reference.chars().find(|c| !c.is_ascii_alphanumeric() && !MandateReferenceRule::SIGNS.contains(*c)) {
            Some(wrong) => Err(format!("has a character that SEPA does not allow: {wrong:?}")),
            None if !self.lower_case && reference.chars().any(|c| c.is_ascii_lowercase()) => {
                Err("must not have lower-case letters".to_owned())
            }
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Folder, stored and published name: lower case, digits, underscore.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    pub capabilities: &'static [Capability],
    pub payer_fields: &'static [PayerField],
    pub settings: &'static [SettingField],
    pub reference: ReferenceRule,
    pub idempotency: Idempotency,
    pub lookup: LookupRule,
    pub notices: NoticeRule,
    /// An unpaid charge or unfinished preauth can be ended.
    pub can_close: bool,
    /// The PSP keeps a date and debits then by itself.
    pub schedules_debits: bool,
    /// What a mandate reference of the caller's may be; `None` where the PSP gives its own.
    pub mandate_reference: Option<MandateReferenceRule>,
    /// Means that exist at the PSP already are found by their token: a StoreMeans, or a Preauth that stores, with
    /// `Means::Stored` answers with what may be shown of them, and the payer is not asked.
    pub takes_over_means: bool,
    pub budget: Option<RequestBudget>,
    /// How long the `submit` call may take before its outcome is unknown.
    pub answer_within: Duration,
    /// How long a reservation holds where the PSP does not say.
    pub preauth_valid_for: Duration,
}

impl Manifest {
    /// The capability for a kind, method and currency.
    pub fn capability(&self, kind: Kind, method: MethodName, currency: Currency) -> Option<&'static Capability> {
        self.capabilities.iter().find(|c| c.kind == kind && c.method == method && c.currencies.covers(currency))
    }

    /// Whether an amount is within what the PSP takes for a kind and method.
    pub fn check_amount(&self, kind: Kind, method: MethodName, amount: Money) -> Result<(), Refusal> {
        let Some(line) = self.capability(kind, method, amount.currency) else {
            return Err(Refusal::new("currency", Reason::CurrencyInvalid, "is not one this is possible in"));
        };
        let limit = |minor| Money::new(minor, amount.currency);
        if amount.minor < line.minimum_minor {
            let text = format!("is less than {}", limit(line.minimum_minor));
            return Err(Refusal::new("amount", Reason::AmountInvalid, text));
        }
        if amount.minor > line.maximum_minor {
            let text = format!("is more than {}", limit(line.maximum_minor));
            return Err(Refusal::new("amount", Reason::AmountInvalid, text));
        }
        Ok(())
    }

    pub fn setting(&self, key: &str) -> Option<&'static SettingField> {
        self.settings.iter().find(|field| field.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mandate_reference_obeys_its_rule() {
        let upper = MandateReferenceRule { max_length: 10, lower_case: false };
        let any = MandateReferenceRule { lower_case: true, ..upper };
        let rows = [
            ("MANDATE-1", true, true),
            ("0123456789", true, true),
            ("A/B+C (1)", true, true),
            ("mandate-1", false, true),
            ("", false, false),
            ("01234567890", false, false),
            (" A", false, false),
            ("A ", false, false),
            ("A_B", false, false),
            ("M\u{c4}", false, false),
            ("A\n1", false, false),
        ];
        for (reference, in_upper, in_any) in rows {
            assert_eq!(upper.check(reference).is_ok(), in_upper, "{reference:?}");
            assert_eq!(any.check(reference).is_ok(), in_any, "{reference:?}");
        }
    }
}
