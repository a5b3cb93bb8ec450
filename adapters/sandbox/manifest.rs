//! What the sandbox can do.

use crate::port::instruction::Kind;
use crate::port::manifest::{
    AmountRule, Authenticity, Capability, Currencies, Idempotency, LookupKey, LookupRule, MandateReferenceRule,
    Manifest, MethodName, NoticeRule, SettingField, SettingType,
};
use crate::port::reference::ReferenceRule;
use crate::port::time::Duration;

/// The key for the API.
pub const API_KEY: &str = "api_key";
/// The secret that notices are signed with.
pub const WEBHOOK_SECRET: &str = "webhook_secret";
/// Whether the last two digits of an amount choose a script.
pub const SCRIPTED: &str = "scripted";

/// Ten thousand million major units of a two-decimal currency: the sandbox books in 64 bits and has no other limit.
const MAXIMUM_MINOR: i64 = 1_000_000_000_000;

const fn line(kind: Kind, method: MethodName, minimum_minor: i64) -> Capability {
    Capability {
        kind,
        method,
        currencies: Currencies::All,
        destinations: &[],
        minimum_minor,
        maximum_minor: MAXIMUM_MINOR,
        partial: matches!(kind, Kind::Capture | Kind::Release | Kind::Refund),
        amount: AmountRule::Exact,
        interactive: matches!(method, MethodName::Card)
            && matches!(kind, Kind::StoreMeans | Kind::Preauth | Kind::Charge),
    }
}

const CAPABILITIES: &[Capability] = &[
    line(Kind::StoreMeans, MethodName::Card, 0),
    line(Kind::Preauth, MethodName::Card, 0),
    line(Kind::Capture, MethodName::Card, 1),
    line(Kind::Release, MethodName::Card, 0),
    line(Kind::Charge, MethodName::Card, 1),
    line(Kind::Refund, MethodName::Card, 1),
    line(Kind::StoreMeans, MethodName::DirectDebit, 0),
    line(Kind::Charge, MethodName::DirectDebit, 1),
    line(Kind::Refund, MethodName::DirectDebit, 1),
];

const SETTINGS: &[SettingField] = &[
    SettingField {
        key: API_KEY,
        label: "API key",
        help: "Any text. Connections with the same key share one account there; one that begins with `invalid` is refused, and with `unreachable` it cannot be reached.",
        kind: SettingType::Text,
        required: true,
        secret: true,
        identifying: true,
        operator_only: false,
    },
    SettingField {
        key: WEBHOOK_SECRET,
        label: "Webhook secret",
        help: "The sandbox signs its notices with it.",
        kind: SettingType::Text,
        required: true,
        secret: true,
        identifying: false,
        operator_only: false,
    },
    SettingField {
        key: SCRIPTED,
        label: "Scripted",
        help: "The last two digits of an amount choose what happens.",
        kind: SettingType::Switch,
        required: false,
        secret: false,
        identifying: false,
        operator_only: true,
    },
];

pub static MANIFEST: Manifest = Manifest {
    name: "sandbox",
    title: "Sandbox",
    capabilities: CAPABILITIES,
    payer_fields: &[],
    settings: SETTINGS,
    reference: ReferenceRule { max_length: 32, alphabet: ReferenceRule::LOWER_ALPHANUMERIC },
    // A second request with one reference is a second transaction, as at many a real PSP.
    idempotency: Idempotency::No,
    lookup: LookupRule {
        by: LookupKey::Ours,
        absent_after: Duration::from_secs(5),
        pacing: &[
            Duration::from_secs(5),
            Duration::from_secs(10),
            Duration::from_secs(30),
            Duration::from_secs(120),
            Duration::from_secs(600),
        ],
    },
    notices: NoticeRule { authenticity: Authenticity::Signed, accepted_status: 200 },
    can_close: true,
    schedules_debits: false,
    // The length that SEPA allows.
    mandate_reference: Some(MandateReferenceRule { max_length: 35, lower_case: true }),
    takes_over_means: true,
    budget: None,
    // Longer than the slow answer of script 51, which is to be received.
    answer_within: Duration::from_secs(20),
    preauth_valid_for: Duration::from_secs(7 * 24 * 60 * 60),
};
