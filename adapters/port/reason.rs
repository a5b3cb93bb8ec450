//! Why money did not move: a closed list that maps onto each contract's own codes.

/// The reason of a `Declined` verdict, or of a refused probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    InsufficientFunds,
    /// The issuer, bank or PSP said no and did not say more.
    Rejected,
    /// The stored means or the account data are wrong, blocked or revoked.
    MeansInvalid,
    MeansExpired,
    IbanInvalid,
    BicInvalid,
    /// A payer's document (CPF, CNPJ, national id) was refused.
    DocumentInvalid,
    /// A PIX key or another destination does not exist.
    DestinationInvalid,
    /// Payer and customer are not the same person.
    PayerMismatch,
    AmountInvalid,
    CurrencyInvalid,
    CountryInvalid,
    DataInvalid,
    /// A limit of the account, the method or the day.
    LimitExceeded,
    /// The PSP's compliance rules, or a policy of the tenant.
    Compliance,
    Fraud,
    AuthenticationFailed,
    CancelledByPayer,
    /// Not possible in the state the other side has it in.
    InvalidState,
    /// Our account at the PSP: key wrong, blocked, or not allowed to do this.
    AccountRefused,
    RateLimited,
    /// The PSP says that it failed, and that nothing happened.
    ProviderError,
    /// Proved: never sent, and no longer to be sent.
    NotSent,
    /// The PSP, asked twice, has never heard of it.
    NotReceived,
}

impl Reason {
    /// Every reason, for tables and tests.
    pub const ALL: &'static [Reason] = &[
        Reason::InsufficientFunds,
        Reason::Rejected,
        Reason::MeansInvalid,
        Reason::MeansExpired,
        Reason::IbanInvalid,
        Reason::BicInvalid,
        Reason::DocumentInvalid,
        Reason::DestinationInvalid,
        Reason::PayerMismatch,
        Reason::AmountInvalid,
        Reason::CurrencyInvalid,
        Reason::CountryInvalid,
        Reason::DataInvalid,
        Reason::LimitExceeded,
        Reason::Compliance,
        Reason::Fraud,
        Reason::AuthenticationFailed,
        Reason::CancelledByPayer,
        Reason::InvalidState,
        Reason::AccountRefused,
        Reason::RateLimited,
        Reason::ProviderError,
        Reason::NotSent,
        Reason::NotReceived,
    ];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::InsufficientFunds => "insufficient_funds",
            Reason::Rejected => "rejected",
            Reason::MeansInvalid => "means_invalid",
            Reason::MeansExpired => "means_expired",
            Reason::IbanInvalid => "iban_invalid",
            Reason::BicInvalid => "bic_invalid",
            Reason::DocumentInvalid => "document_invalid",
            Reason::DestinationInvalid => "destination_invalid",
            Reason::PayerMismatch => "payer_mismatch",
            Reason::AmountInvalid => "amount_invalid",
            Reason::CurrencyInvalid => "currency_invalid",
            Reason::CountryInvalid => "country_invalid",
            Reason::DataInvalid => "data_invalid",
            Reason::LimitExceeded => "limit_exceeded",
            Reason::Compliance => "compliance",
            Reason::Fraud => "fraud",
            Reason::AuthenticationFailed => "authentication_failed",
            Reason::CancelledByPayer => "cancelled_by_payer",
            Reason::InvalidState => "invalid_state",
            Reason::AccountRefused => "account_refused",
            Reason::RateLimited => "rate_limited",
            Reason::ProviderError => "provider_error",
            Reason::NotSent => "not_sent",
            Reason::NotReceived => "not_received",
        }
    }

    pub fn parse(text: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}
