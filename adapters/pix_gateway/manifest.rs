//! What the gateway can do.

use crate::port::instruction::Kind;
use crate::port::manifest::{
    AmountRule, Authenticity, Capability, Currencies, Idempotency, LookupKey, LookupRule, Manifest, MethodName,
    NoticeRule, PayerField, SettingField, SettingType,
};
use crate::port::money::Currency;
use crate::port::reference::ReferenceRule;
use crate::port::time::Duration;

/// Where its API is, without `/api`.
pub const BASE_URL: &str = "base_url";
/// The merchant's token; it also chooses the account at the partner bank.
pub const TOKEN: &str = "token";
/// The secret that notices are signed with.
pub const WEBHOOK_SECRET: &str = "webhook_secret";

/// Where a payout goes: a PIX key in the directory's form.
pub const PIX_KEY: &str = "pix_key";

/// Ten digits and two decimals: what fits into an amount of PIX. The gateway documents no limit of its own.
const MAXIMUM_MINOR: i64 = 999_999_999_999;

const fn line(kind: Kind, amount: AmountRule, destinations: &'static [&'static str]) -> Capability {
    Capability {
        kind,
        method: MethodName::Pix,
        currencies: Currencies::Only(&[Currency::BRL]),
        destinations,
        minimum_minor: 1,
        maximum_minor: MAXIMUM_MINOR,
        partial: matches!(kind, Kind::Refund),
        amount,
        interactive: matches!(kind, Kind::Charge),
    }
}

const CAPABILITIES: &[Capability] = &[
    // The payer's bank may let the amount be changed.
    line(Kind::Charge, AmountRule::AsTold, &[]),
    line(Kind::Payout, AmountRule::Exact, &[PIX_KEY]),
    line(Kind::Refund, AmountRule::Exact, &[]),
];

const SETTINGS: &[SettingField] = &[
    SettingField {
        key: BASE_URL,
        label: "Address",
        help: "Of the gateway's API, without /api: https://gateway.example",
        kind: SettingType::Url,
        required: true,
        secret: false,
        identifying: true,
        operator_only: true,
    },
    SettingField {
        key: TOKEN,
        label: "API token",
        help: "The merchant's token, as the gateway gave it.",
        kind: SettingType::Text,
        required: true,
        secret: true,
        // Another token may be another merchant, who has never heard of our transactions.
        identifying: true,
        operator_only: false,
    },
    SettingField {
        key: WEBHOOK_SECRET,
        label: "Webhook secret",
        help: "The gateway signs its notices with it.",
        kind: SettingType::Text,
        required: true,
        secret: true,
        identifying: false,
        operator_only: false,
    },
];

pub static MANIFEST: Manifest = Manifest {
    name: "pix_gateway",
    title: "PIX gateway",
    capabilities: CAPABILITIES,
    payer_fields: &[PayerField::Name, PayerField::Email, PayerField::Document],
    settings: SETTINGS,
    reference: ReferenceRule { max_length: 64, alphabet: ReferenceRule::LOWER_ALPHANUMERIC },
    idempotency: Idempotency::No,
    lookup: LookupRule {
        by: LookupKey::Ours,
        absent_after: Duration::from_secs(60),
        pacing: &[
            Duration::from_secs(10),
            Duration::from_secs(30),
            Duration::from_secs(60),
            Duration::from_secs(300),
            Duration::from_secs(1800),
        ],
    },
    notices: NoticeRule { authenticity: Authenticity::Signed, accepted_status: 200 },
    can_close: false,
    schedules_debits: false,
    mandate_reference: None,
    takes_over_means: false,
    // Told by headers only, without figures.
    budget: None,
    answer_within: Duration::from_secs(15),
    preauth_valid_for: Duration::from_secs(7 * 24 * 60 * 60),
};
