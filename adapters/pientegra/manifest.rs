//! What Pientegra can do.

use super::contract::{MAXIMUM_MINOR, MINIMUM_MINOR};
use crate::port::instruction::Kind;
use crate::port::manifest::{
    AmountRule, Authenticity, Capability, Currencies, Idempotency, LookupKey, LookupRule, Manifest, MethodName,
    NoticeRule, RequestBudget, SettingField, SettingType,
};
use crate::port::money::Currency;
use crate::port::reference::ReferenceRule;
use crate::port::time::Duration;

/// Where the API is: ends in `/api/v1`.
pub const BASE_URL: &str = "base_url";
/// The site's key.
pub const API_KEY: &str = "api_key";
/// The secret that notices are signed with: the whole of it, `whsec_` and all.
pub const WEBHOOK_SECRET: &str = "webhook_secret";

/// The kind of destination a payout takes.
pub const IBAN: &str = "iban";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const fn line(kind: Kind, destinations: &'static [&'static str], amount: AmountRule) -> Capability {
    Capability {
        kind,
        method: MethodName::BankTransfer,
        currencies: Currencies::Only(&[Currency::TRY]),
        destinations,
        minimum_minor: MINIMUM_MINOR,
        maximum_minor: MAXIMUM_MINOR,
        partial: false,
        amount,
        interactive: matches!(kind, Kind::Charge),
    }
}

const CAPABILITIES: &[Capability] =
    &[line(Kind::Charge, &[], AmountRule::AsTold), line(Kind::Payout, &[IBAN], AmountRule::Exact)];

const fn setting(key: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField {
        key,
        label,
        help,
        kind: SettingType::Text,
        required: true,
        secret: true,
        identifying: false,
        operator_only: false,
    }
}

const SETTINGS: &[SettingField] = &[
    SettingField {
        kind: SettingType::Url,
        secret: false,
        operator_only: true,
        ..setting(
            BASE_URL,
            "API address",
            "As Pientegra handed it out, with `/api/v1`: `https://api.pientegra.com/api/v1`.",
        )
    },
    SettingField {
        identifying: true,
        ..setting(API_KEY, "API key", "The site's key, `sk_live_…`. Pientegra shows it once.")
    },
    setting(
        WEBHOOK_SECRET,
        "Webhook secret",
        "The whole of it, with `whsec_`. After a rotation the older one stays good while transactions made under it are open.",
    ),
];

pub static MANIFEST: Manifest = Manifest {
    name: "pientegra",
    title: "Pientegra",
    capabilities: CAPABILITIES,
    payer_fields: &[],
    settings: SETTINGS,
    // A UUID without its dashes: the idempotency key has to be one.
    reference: ReferenceRule { max_length: 32, alphabet: "0123456789abcdef" },
    // Keys live 24 hours. A call whose claim went stale is run again by Pientegra itself, so one without an answer is left
    // alone for longer than a server works on a request.
    idempotency: Idempotency::For { window: HOUR.saturating_mul(23), resend_after: MINUTE.saturating_mul(2) },
    lookup: LookupRule {
        by: LookupKey::Theirs,
        absent_after: MINUTE,
        // The status look-up is not meant for polling; notices are the main way.
        pacing: &[MINUTE, MINUTE.saturating_mul(5), MINUTE.saturating_mul(15), HOUR],
    },
    notices: NoticeRule { authenticity: Authenticity::Signed, accepted_status: 200 },
    can_close: false,
    schedules_debits: false,
    takes_over_means: false,
    mandate_reference: None,
    budget: Some(RequestBudget { calls: 60, per: MINUTE, kept_for_lookups: 12 }),
    answer_within: Duration::from_secs(30),
    preauth_valid_for: HOUR.saturating_mul(24),
};
