//! The bodies of the contract, with its own names and numbers. Field meanings follow billwerk's documentation of the
//! external PSP integration; what it calls mandatory and we can do without is optional here.

use std::collections::BTreeMap;

use poem_openapi::Object;
use poem_openapi::types::Any;
use serde_json::Value;

use crate::contract_enum;
use crate::http::amount::Amount;

contract_enum! {
    /// State of a transaction.
    pub enum PaymentTransactionStatus {
        /// Stored, and not with the PSP yet.
        Initiated = 1,
        /// With the PSP, and not decided.
        Pending = 2,
        Succeeded = 3,
        Failed = 4,
        Cancelled = 5,
        Expired = 6,
    }
}

contract_enum! {
    /// Kind of means of payment. `Default` is the first one the connection offers.
    pub enum PublicPaymentProviderRole {
        Default = 1,
        CreditCard = 2,
        Debit = 3,
        OnAccount = 4,
        Betalingsservice = 5,
        Ideal = 6 as "iDEAL",
        Autogiro = 7,
        Avtalegiro = 8,
        MobilePay = 9,
        AmazonPay = 10,
    }
}

contract_enum! {
    /// Class of an error. It drives the platform's reaction: `LoginError` and `PermissionDenied` switch a PSP off for the
    /// merchant. `LoginError` is answered only for what the PSP refused because of the account's own credentials, once
    /// they are proved wrong or an operator says so; `PermissionDenied` never.
    pub enum PaymentErrorCode {
        UnmappedError = 0,
        LimitExceeded = 1,
        BearerInvalid = 2,
        BearerExpired = 3,
        InvalidCountry = 4,
        InvalidAmount = 5,
        InvalidCurrency = 6,
        LoginError = 7,
        InvalidData = 8,
        InsufficientBalance = 9,
        AlreadyExecuted = 10,
        InvalidPreconditions = 11,
        InternalError = 12,
        InternalProviderError = 13,
        RateLimit = 14,
        InvalidConfiguration = 15,
        PermissionDenied = 16,
        Canceled = 17,
        Rejected = 18,
        PspConnectionProblem = 19 as "PSPConnectionProblem",
        InvalidBic = 20,
        InvalidIban = 21 as "InvalidIBAN",
        PspConnectionTimeout = 22 as "PSPConnectionTimeout",
        InvalidNationalIdNumber = 23,
        FailedCustomerUpdate = 24,
    }
}

contract_enum! {
    /// What became of a cancellation.
    pub enum PaymentCancellationStatus {
        /// The PSP cannot cancel it, or not now.
        NotCancelled = -1,
        Initiated = 1,
        Pending = 2,
        Succeeded = 3,
        Failed = 4,
    }
}

contract_enum! {
    /// Why money was taken back.
    pub enum PaymentChargebackReason {
        Unknown = 1,
        UserInitiated = 2,
        InsufficientBalance = 3,
        BearerInvalid = 4,
        Canceled = 5,
        Rejected = 6,
    }
}

contract_enum! {
    /// Unit of a period.
    pub enum TimePeriod {
        Day = 1,
        Week = 2,
        Month = 3,
        Year = 4,
        Hour = 5,
        Minute = 6,
        Second = 7,
    }
}

contract_enum! {
    /// Tax category of an invoice line.
    pub enum InvoiceDataLineTaxCategory {
        VatStandard = 1,
        TaxFreeExport = 2,
        ReverseCharge = 3,
        ExemptFromTax = 4,
        IntraEuSupply = 5,
    }
}

/// Any request that was not carried out, and the state of any transaction that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentErrorDto {
    pub error_code: PaymentErrorCode,
    /// For people.
    pub error_message: String,
    /// The PSP's own code, if it gave one.
    pub psp_error_code: Option<String>,
    /// When the error was learned of. UTC.
    pub received_at: String,
    /// The state the transaction is in because of it.
    pub status: PaymentTransactionStatus,
}

// `PaymentErrorDto` as it is written: for the document alone.
/// Any request that was not carried out, and the state of any transaction that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "PaymentErrorDto", rename_all = "PascalCase")]
pub struct WrittenError {
    /// Class of the error: 0 UnmappedError, 1 LimitExceeded, 2 BearerInvalid, 3 BearerExpired, 4 InvalidCountry,
    /// 5 InvalidAmount, 6 InvalidCurrency, 7 LoginError, 8 InvalidData, 9 InsufficientBalance, 10 AlreadyExecuted,
    /// 11 InvalidPreconditions, 12 InternalError, 13 InternalProviderError, 14 RateLimit, 15 InvalidConfiguration,
    /// 17 Canceled, 18 Rejected, 19 PSPConnectionProblem, 20 InvalidBic, 21 InvalidIBAN, 22 PSPConnectionTimeout,
    /// 23 InvalidNationalIdNumber, 24 FailedCustomerUpdate. 7 switches a PSP off for the merchant: it is answered only for
    /// what the PSP refused because of the account's own credentials, once they are proved wrong. Never 16
    /// PermissionDenied, which does the same.
    pub error_code: i64,
    /// For people.
    pub error_message: String,
    /// The PSP's own code, if it gave one.
    pub psp_error_code: Option<String>,
    /// When the error was learned of. UTC.
    pub received_at: String,
    /// The state the transaction is in because of it: 4 Failed, 5 Cancelled, 6 Expired.
    pub status: i64,
}

/// Means of payment, and where the payer's browser goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentMeansReferenceDto {
    /// Left out means `Default`.
    pub role: Option<PublicPaymentProviderRole>,
    /// Account data of a direct debit: `Holder` and `IBAN`, and a `MandateReference` where the platform makes them (checked
    /// against what the connection takes). Card data are never taken here: the payer gives them on the
    /// PSP's page.
    #[oai(validator(max_properties = 50))]
    pub initial_bearer: Option<BTreeMap<String, String>>,
    #[oai(validator(max_length = 2048))]
    pub success_return_url: Option<String>,
    #[oai(validator(max_length = 2048))]
    pub error_return_url: Option<String>,
    #[oai(validator(max_length = 2048))]
    pub abort_return_url: Option<String>,
    /// Not used.
    #[oai(validator(max_length = 2048))]
    pub host_url: Option<String>,
    /// Not used.
    #[oai(validator(max_length = 2048))]
    pub terms_of_service_url: Option<String>,
}

/// Where the payer lives. Never asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PayerDataAddressDto {
    #[oai(validator(max_length = 64))]
    pub address_line1: Option<String>,
    #[oai(validator(max_length = 64))]
    pub address_line2: Option<String>,
    #[oai(validator(max_length = 64))]
    pub street: Option<String>,
    #[oai(validator(max_length = 12))]
    pub house_number: Option<String>,
    #[oai(validator(max_length = 12))]
    pub postal_code: Option<String>,
    #[oai(validator(max_length = 128))]
    pub city: Option<String>,
    #[oai(validator(max_length = 64))]
    pub state: Option<String>,
    /// ISO 3166 alpha-2.
    #[oai(validator(max_length = 100))]
    pub country: Option<String>,
}

/// Who pays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PayerDataDto {
    /// The merchant's own customer number.
    #[oai(validator(max_length = 200))]
    pub external_customer_id: Option<String>,
    #[oai(validator(max_length = 500))]
    pub company_name: Option<String>,
    #[oai(validator(max_length = 200))]
    pub first_name: Option<String>,
    #[oai(validator(max_length = 200))]
    pub last_name: Option<String>,
    #[oai(validator(max_length = 100))]
    pub vat_id: Option<String>,
    pub address: Option<PayerDataAddressDto>,
    #[oai(validator(max_length = 320))]
    pub email_address: Option<String>,
    /// ISO 639-1, in any letter case.
    #[oai(validator(max_length = 35))]
    pub language: Option<String>,
    #[oai(validator(max_length = 100))]
    pub phone_number: Option<String>,
}

/// How often a fee falls due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct FeePeriodDto {
    pub unit: Option<TimePeriod>,
    #[oai(validator(minimum(value = "1")))]
    pub quantity: Option<i32>,
}

/// What was ordered. Accepted and not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct OrderDataDto {
    #[oai(validator(max_length = 500))]
    pub plan_name: Option<String>,
    #[oai(validator(max_length = 40))]
    pub next_payment_date: Option<String>,
    pub fee_period: Option<FeePeriodDto>,
    pub recurring_fee: Option<Amount>,
    #[oai(validator(max_length = 200))]
    pub external_contract_id: Option<String>,
}

/// One line of an invoice or a credit note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct InvoiceDataLineItemDto {
    pub tax_category: Option<InvoiceDataLineTaxCategory>,
    #[oai(validator(max_length = 2000))]
    pub description: Option<String>,
    pub total_gross: Option<Amount>,
    pub total_net: Option<Amount>,
    pub vat_percentage: Option<Amount>,
    #[oai(validator(max_length = 40))]
    pub period_start: Option<String>,
    #[oai(validator(max_length = 40))]
    pub period_end: Option<String>,
    pub price_per_unit: Option<Amount>,
    pub quantity: Option<Amount>,
}

/// The invoice or credit note behind a payment or refund. Accepted and not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct InvoiceDataDto {
    #[oai(validator(max_length = 40))]
    pub invoice_date: Option<String>,
    #[oai(validator(max_length = 40))]
    pub due_date: Option<String>,
    #[oai(validator(max_length = 2000))]
    pub description: Option<String>,
    #[oai(validator(max_items = 500))]
    pub line_items: Option<Vec<InvoiceDataLineItemDto>>,
}

/// Reserve money, or keep means of payment.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PreauthRequestDto {
    /// Not used: the credential says which connection.
    #[oai(validator(max_length = 200))]
    pub psp_settings_id: Option<String>,
    /// The platform's id, and the idempotency key. 1 to 100 printable characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub transaction_id: String,
    /// In major units. 0, or left out, keeps the means of payment without reserving anything.
    pub requested_amount: Option<Amount>,
    /// ISO 4217 alphabetic code.
    #[oai(validator(max_length = 16))]
    pub currency: String,
    /// Where changes are told: an absolute https address.
    #[oai(validator(max_length = 2048))]
    pub webhook_target: Option<String>,
    pub payment_means_reference: Option<PaymentMeansReferenceDto>,
    #[oai(validator(max_length = 1000))]
    pub transaction_invoice_reference_text: Option<String>,
    /// What the payer reads on the statement, as far as the PSP takes it.
    #[oai(validator(max_length = 1000))]
    pub transaction_reference_text: Option<String>,
    pub payer_data: Option<PayerDataDto>,
    pub order_data: Option<OrderDataDto>,
    /// The platform's id of the agreement under which the means are kept. Without it nothing can be charged later but by
    /// a capture.
    #[oai(validator(max_length = 100))]
    pub agreement_id: Option<String>,
    /// The PSP's token of means that exist there already, where the connection takes such over: they are kept under
    /// `agreementId`, and the payer is not asked. Only with `isInitial`.
    #[oai(validator(max_length = 2000))]
    pub migration_token: Option<String>,
    /// Left out means true. With false the means stored under `agreementId` are used, and the payer is not asked.
    pub is_initial: Option<bool>,
}

/// A preauthorisation as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PreauthResponseDto {
    pub transaction_id: String,
    /// Our own id of it.
    pub external_transaction_id: String,
    /// The PSP's id, once it is known.
    pub psp_transaction_id: Option<String>,
    pub currency: String,
    pub requested_amount: Amount,
    /// What is reserved: 0 where only means were kept.
    pub authorized_amount: Amount,
    /// Until when the reservation holds; year 9999 where only means were kept. UTC.
    pub expires_at: Option<String>,
    /// What may be shown of the means of payment.
    pub bearer: BTreeMap<String, String>,
    /// While the payer has something to do: the page to send the browser to.
    pub redirect_url: Option<String>,
    /// Not used.
    pub redirect_data: Option<BTreeMap<String, String>>,
    /// Grows with every change. UTC.
    pub last_updated: String,
    pub status: PaymentTransactionStatus,
}

/// Give a reservation free. A body is not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentCancellationRequestDto {
    /// Not used.
    #[oai(validator(max_length = 200))]
    pub psp_settings_id: Option<String>,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentCancellationResponseDto {
    pub cancellation_status: PaymentCancellationStatus,
    pub transaction_id: String,
}

/// Take money: what a preauthorisation reserved, or from stored means.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentRequestDto {
    /// Not used: the credential says which connection.
    #[oai(validator(max_length = 200))]
    pub psp_settings_id: Option<String>,
    /// The platform's id, and the idempotency key. 1 to 100 printable characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub transaction_id: String,
    /// The preauthorisation to capture. Left out, the means stored under `agreementId` are charged.
    #[oai(validator(max_length = 100))]
    pub preauth_transaction_id: Option<String>,
    /// In major units, above 0.
    pub requested_amount: Amount,
    /// ISO 4217 alphabetic code.
    #[oai(validator(max_length = 16))]
    pub currency: String,
    /// Where changes are told: an absolute https address.
    #[oai(validator(max_length = 2048))]
    pub webhook_target: Option<String>,
    pub payment_means_reference: Option<PaymentMeansReferenceDto>,
    #[oai(validator(max_length = 1000))]
    pub transaction_invoice_reference_text: Option<String>,
    /// What the payer reads on the statement, as far as the PSP takes it.
    #[oai(validator(max_length = 1000))]
    pub transaction_reference_text: Option<String>,
    pub payer_data: Option<PayerDataDto>,
    /// The day on which a direct debit is to be executed (`yyyy-MM-dd`, UTC), at most 366 days ahead. Until then it is
    /// `Pending`; today, or a day that has passed, is at once. A card is always charged at once.
    #[oai(validator(max_length = 40))]
    pub planned_execution_date: Option<String>,
    pub invoice_data: Option<InvoiceDataDto>,
    /// Whose stored means to charge.
    #[oai(validator(max_length = 100))]
    pub agreement_id: Option<String>,
}

/// Money that came in.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentItemDto {
    pub external_item_id: Option<String>,
    pub amount: Amount,
    /// `yyyy-MM-dd`.
    pub booking_date: String,
    pub description: Option<String>,
}

/// Money that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentChargebackItemDto {
    pub external_item_id: Option<String>,
    pub amount: Amount,
    /// `yyyy-MM-dd`.
    pub booking_date: String,
    pub description: Option<String>,
    /// What the bank took for it.
    pub fee_amount: Amount,
    pub reason: PaymentChargebackReason,
    pub psp_reason_code: Option<String>,
    pub psp_reason_message: Option<String>,
}

/// A payment as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentResponseDto {
    pub transaction_id: String,
    /// Our own id of it.
    pub external_transaction_id: String,
    /// The PSP's id, once it is known.
    pub psp_transaction_id: Option<String>,
    pub currency: String,
    pub requested_amount: Amount,
    /// Grows with every change. UTC.
    pub last_updated: String,
    pub status: PaymentTransactionStatus,
    /// Only money that is booked.
    pub payments: Vec<PaymentItemDto>,
    pub chargebacks: Vec<PaymentChargebackItemDto>,
    pub refunded_amount: Amount,
    /// What may still be refunded: less what is refunded, being refunded, or charged back.
    pub refundable_amount: Amount,
    /// What may be shown of the means of payment.
    pub bearer: BTreeMap<String, String>,
    /// Planned date of a direct debit. UTC.
    pub due_date: Option<String>,
}

/// Give money of a payment back, in whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct RefundRequestDto {
    /// The platform's id, and the idempotency key. 1 to 100 printable characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub transaction_id: String,
    /// In major units, above 0.
    pub requested_amount: Amount,
    /// ISO 4217 alphabetic code; that of the payment.
    #[oai(validator(max_length = 16))]
    pub currency: String,
    /// Where changes are told: an absolute https address.
    #[oai(validator(max_length = 2048))]
    pub webhook_target: Option<String>,
    /// Not used: the credential says which connection.
    #[oai(validator(max_length = 200))]
    pub psp_settings_id: Option<String>,
    /// The payment to refund.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub payment_transaction_id: String,
    pub payer_data: Option<PayerDataDto>,
    pub invoice_data: Option<InvoiceDataDto>,
}

/// A refund as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct RefundResponseDto {
    pub transaction_id: String,
    /// Our own id of it.
    pub external_transaction_id: String,
    /// The PSP's id, once it is known.
    pub psp_transaction_id: Option<String>,
    pub currency: String,
    pub requested_amount: Amount,
    /// Grows with every change. UTC.
    pub last_updated: String,
    pub status: PaymentTransactionStatus,
    /// What has gone back: 0 until that is certain.
    pub refunded_amount: Amount,
    /// When it went back (`yyyy-MM-dd`).
    pub booking_date: Option<String>,
    pub description: Option<String>,
}

/// The payer is back from the PSP's page.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct FinalizePreauthRequestDto {
    /// The preauthorisation's id. 1 to 100 printable characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub transaction_id: String,
    /// What the return address brought along. Not used: the PSP itself is asked.
    #[oai(validator(max_properties = 50))]
    pub finalization_data: Option<BTreeMap<String, String>>,
}

/// A method, and how it is used. An absent one is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "PaymentMethodInfo", rename_all = "camelCase")]
pub struct PaymentMethodInfoDto {
    /// A preauthorisation reserves money, and the first payment captures it.
    pub use_capture_preauth: bool,
    /// A reservation can be given free.
    pub use_cancel_preauth: bool,
    /// The least that can be reserved.
    pub default_preauth_amount: Option<Amount>,
    /// Account data may come with the request.
    pub has_support_initial_bearer: bool,
}

/// A direct debit, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "PaymentDirectDebitMethodInfo", rename_all = "camelCase")]
pub struct PaymentDirectDebitMethodInfoDto {
    pub use_capture_preauth: bool,
    pub use_cancel_preauth: bool,
    pub default_preauth_amount: Option<Amount>,
    pub has_support_initial_bearer: bool,
    /// A sign-up needs account data and no payer.
    pub support_backend_payments: bool,
    pub unconfirmed_ledger_for_refund: bool,
    /// A payment is not confirmed before we say so.
    pub unconfirmed_ledger: bool,
    /// The platform may bring its own mandate reference, as `MandateReference` of the `initialBearer`.
    pub support_external_mandate_reference: bool,
    /// In characters; 0 where none may be brought.
    pub supported_external_mandate_reference_size: i32,
    pub support_lower_case_mandate_reference: bool,
}

/// A line of the settings form.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "MerchantSettingDescription", rename_all = "camelCase")]
pub struct MerchantSettingDescriptionDto {
    pub display_name: String,
    /// The key in `Settings`.
    pub key_name: String,
    pub required: bool,
    /// What may be chosen: value and what is shown for it. Absent for a free text.
    pub predefined_values: Option<BTreeMap<String, String>>,
    pub place_holder: Option<String>,
}

/// What the connection of the key can do, and which settings it has.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct IntegrationInfoResponseDto {
    pub credit_card_method_info: Option<PaymentMethodInfoDto>,
    pub debit_method_info: Option<PaymentDirectDebitMethodInfoDto>,
    pub black_label_method_info: Option<PaymentMethodInfoDto>,
    pub on_account_method_info: Option<PaymentMethodInfoDto>,
    pub betalingsservice_method_info: Option<PaymentDirectDebitMethodInfoDto>,
    pub autogiro_method_info: Option<PaymentMethodInfoDto>,
    pub avtalegiro_method_info: Option<PaymentMethodInfoDto>,
    pub use_payment_data_confirmation_flow: bool,
    pub use_payment_data_confirmation_flow_for_preauth: bool,
    /// Everything that is offered can be refunded.
    pub support_refunds: bool,
    /// Left open: dunning is the platform's to decide.
    pub support_escalations: Option<bool>,
    pub prevent_recurring_before_capture: bool,
    pub uses_scheduled_payment: bool,
    pub support_multiple_transaction_overpayments: bool,
    /// A payer takes part on a page, and comes back to the return addresses.
    pub requires_return_url: bool,
    pub merchant_settings: Vec<MerchantSettingDescriptionDto>,
    pub has_support_initial_bearer: bool,
    pub has_support_order_data_in_preauth: bool,
    pub has_support_invoice_data: bool,
}

/// A setting, and a new value for it.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "MerchantSetting", rename_all = "camelCase")]
pub struct MerchantSettingValueDto {
    /// A `keyName` of `IntegrationInfo`, in any letter case.
    #[oai(validator(max_length = 100))]
    pub key_name: String,
    /// A text. The mask that is shown of a secret, or eight bullets alone, keep it; an empty text, or none, takes the
    /// setting away.
    pub key_value: Option<Any<Value>>,
}

/// Settings as a merchant fills them in.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct MerchantPspSettingsDto {
    #[oai(validator(max_items = 100))]
    pub merchant_settings: Option<Vec<MerchantSettingValueDto>>,
}

/// All settings of the connection, in one of two shapes: a list, or an object that holds the list.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct PaymentSettingsRequestDto {
    #[oai(validator(max_items = 100))]
    pub merchant_settings: Option<Vec<MerchantSettingValueDto>>,
    pub merchant_psp_settings: Option<MerchantPspSettingsDto>,
}

/// Which methods the merchant may use with the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct IntegrationSettingsResponseDto {
    pub is_credit_card_valid: bool,
    pub is_debit_valid: bool,
    pub is_on_account_valid: bool,
    pub is_black_label_valid: bool,
    pub is_autogiro_valid: bool,
    pub is_avtalegiro_valid: bool,
    pub is_betalingsservice_valid: bool,
}

/// A setting as it is shown: a secret as eight bullets and, if it is long, its last four characters.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "MerchantSettingShown", rename_all = "camelCase")]
pub struct MerchantSettingDto {
    pub key_name: String,
    pub key_value: String,
}

/// The settings of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SettingsResponseDto {
    pub merchant_settings: Vec<MerchantSettingDto>,
}
