//! Every rule of the contract that is known, as data. A rule's id is what `--only` takes and what programs compare; its
//! source says why it is one.

use super::sources::Doc;
use Need::{Cancel, Capture, Card, Debit, Means, Notices, Payer, Refunds, SeesBrowser};

/// How much a rule weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Money, or the platform's view of it, goes wrong without it.
    Must,
    /// The platform, or its user, has a harder time without it.
    Should,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Must => "must",
            Level::Should => "should",
        }
    }
}

/// What a rule cannot be tried out without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Cards are offered.
    Card,
    /// Direct debits are offered, and account data are taken.
    Debit,
    /// Some means are stored: a card, which takes a payer, or a mandate.
    Means,
    /// Somebody who acts on the PSP's page.
    Payer,
    /// Somebody whose browser we see.
    SeesBrowser,
    /// An address for notices.
    Notices,
    Refunds,
    /// Preauthorisations can be cancelled.
    Cancel,
    /// Preauthorisations can be captured.
    Capture,
}

impl Need {
    pub fn as_str(self) -> &'static str {
        match self {
            Need::Card => "card",
            Need::Debit => "debit",
            Need::Means => "means",
            Need::Payer => "payer",
            Need::SeesBrowser => "browser",
            Need::Notices => "notices",
            Need::Refunds => "refunds",
            Need::Cancel => "cancel",
            Need::Capture => "capture",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub id: &'static str,
    /// A sentence without its full stop.
    pub title: &'static str,
    pub level: Level,
    pub doc: Doc,
    /// Where in the document, or why it is a convention.
    pub section: &'static str,
    pub needs: &'static [Need],
}

const fn must(id: &'static str, title: &'static str, doc: Doc, section: &'static str, needs: &'static [Need]) -> Rule {
    Rule { id, title, level: Level::Must, doc, section, needs }
}

const fn should(
    id: &'static str,
    title: &'static str,
    doc: Doc,
    section: &'static str,
    needs: &'static [Need],
) -> Rule {
    Rule { id, title, level: Level::Should, doc, section, needs }
}

/// Rules that are tried out together, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    Access,
    Info,
    Settings,
    Wire,
    Unknown,
    Debit,
    Redirect,
    Payer,
    Stored,
    Cancel,
    Finalize,
    Capture,
    Recurring,
    Refund,
    Repeat,
    Refusal,
    Notices,
    /// Watched in whatever is answered.
    Answers,
    Errors,
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Group::Access => "Authentication",
            Group::Info => "IntegrationInfo",
            Group::Settings => "Settings",
            Group::Wire => "Media types, casing, what may be left out",
            Group::Unknown => "Ids that nobody has used",
            Group::Debit => "Preauth: direct debit",
            Group::Redirect => "Preauth: a card, before the payer has come",
            Group::Payer => "Preauth: what the payer does",
            Group::Stored => "Preauth: stored means",
            Group::Cancel => "Preauth: cancel",
            Group::Finalize => "Preauth: finalize",
            Group::Capture => "Payment: capture",
            Group::Recurring => "Payment: stored means",
            Group::Refund => "Refund",
            Group::Repeat => "The same id again",
            Group::Refusal => "Wrong requests",
            Group::Notices => "Notices",
            Group::Answers => "Every answer",
            Group::Errors => "Every error",
        }
    }

    /// Whether its rules are watched in whatever is answered, instead of being tried out.
    pub fn is_watched(self) -> bool {
        matches!(self, Group::Answers | Group::Errors)
    }
}

/// All rules, by group.
pub const TABLE: &[(Group, &[Rule])] = &[
    (Group::Access, ACCESS),
    (Group::Info, INFO),
    (Group::Settings, SETTINGS),
    (Group::Wire, WIRE),
    (Group::Unknown, UNKNOWN),
    (Group::Debit, DEBIT),
    (Group::Redirect, REDIRECT),
    (Group::Payer, PAYER),
    (Group::Stored, STORED),
    (Group::Cancel, CANCEL),
    (Group::Finalize, FINALIZE),
    (Group::Capture, CAPTURE),
    (Group::Recurring, RECURRING),
    (Group::Refund, REFUND),
    (Group::Repeat, REPEAT),
    (Group::Refusal, REFUSAL),
    (Group::Notices, NOTICES),
    (Group::Answers, ANSWERS),
    (Group::Errors, ERRORS),
];

/// Every rule with its group.
pub fn all() -> impl Iterator<Item = (Group, &'static Rule)> {
    TABLE.iter().flat_map(|(group, rules)| rules.iter().map(move |rule| (*group, rule)))
}

const ACCESS: &[Rule] = &[
    must("auth.no_token", "A call without a token is answered 401", Doc::Introduction, "Security", &[]),
    must("auth.wrong_token", "A call with a token nobody issued is answered 401", Doc::Introduction, "Security", &[]),
    must(
        "auth.before_body",
        "A stranger is answered 401 before his body is looked at",
        Doc::Convention,
        "what is wrong with a body is nobody's business who may not call",
        &[],
    ),
    must(
        "auth.no_login_error",
        "The 401 is neither LoginError nor PermissionDenied, which switch the PSP off",
        Doc::Enums,
        "PaymentErrorCode",
        &[],
    ),
    must("auth.bearer", "The token is taken as Bearer", Doc::PreauthFlow, "Authorization header of the example", &[]),
    should(
        "auth.basic",
        "The token is taken as the password of Basic, with any user name",
        Doc::Sample2020Access,
        "the sample's scheme; which one the platform uses is not published",
        &[],
    ),
];

const INFO: &[Rule] = &[
    must(
        "info.answers",
        "GET /api/IntegrationInfo is answered 200 with an object",
        Doc::IntegrationFlow,
        "IntegrationInfo",
        &[],
    ),
    must(
        "info.methods",
        "A method that is offered is an object of booleans and amounts",
        Doc::Settings,
        "PaymentMethodInfo",
        &[],
    ),
    must("info.flags", "Flags are booleans", Doc::Settings, "IntegrationInfoResponseDto", &[]),
    must(
        "info.merchant_settings",
        "merchantSettings are displayName, keyName and required, each key once",
        Doc::Settings,
        "MerchantSettingDescription",
        &[],
    ),
    should(
        "info.offers_something",
        "At least one method is offered",
        Doc::Settings,
        "IntegrationInfoResponseDto: a method left out is not offered",
        &[],
    ),
];

const SETTINGS: &[Rule] = &[
    must(
        "settings.get",
        "GET /api/Settings is answered 200 with merchantSettings of keyName and keyValue",
        Doc::Settings,
        "ThirdPartyMerchantPspSettings",
        &[],
    ),
    should(
        "settings.described",
        "Every key is described by IntegrationInfo",
        Doc::IntegrationFlow,
        "the form is built from merchantSettings",
        &[],
    ),
    should(
        "settings.secrets_masked",
        "What is secret by its name is not shown in clear",
        Doc::Convention,
        "the reference shows secrets; whoever holds the token would hold the PSP account",
        &[],
    ),
    must(
        "settings.put_back",
        "What GET gave is accepted by PUT",
        Doc::IntegrationFlow,
        "a later edit sends the form back",
        &[],
    ),
    must(
        "settings.put_answer",
        "PUT is answered with isCreditCardValid and its like, as booleans",
        Doc::Settings,
        "IntegrationSettingsResponseDto",
        &[],
    ),
    should(
        "settings.valid_as_offered",
        "With settings that work, offered methods are valid",
        Doc::Settings,
        "IntegrationSettingsResponseDto",
        &[],
    ),
    must(
        "settings.put_back_keeps",
        "Putting back what GET gave changes nothing",
        Doc::Convention,
        "an unchanged mask keeps the value",
        &[],
    ),
    should(
        "settings.put_wrapped",
        "The body in merchantPspSettings is accepted too",
        Doc::Settings,
        "PaymentSettingsRequestDto; which of the two the platform sends is not published",
        &[],
    ),
    should(
        "settings.unknown_key",
        "A key that is not described is refused with a 4xx error that names it",
        Doc::Convention,
        "a setting that is not stored must not look as if it were",
        &[],
    ),
    must(
        "settings.refusal_keeps",
        "A refused PUT changes nothing",
        Doc::IntegrationFlow,
        "settings are checked before they are stored",
        &[],
    ),
];

const WIRE: &[Rule] = &[
    must(
        "wire.content_types",
        "application/json, text/json and application/*+json are taken, with a charset too",
        Doc::PaymentPost,
        "Request content types",
        &[],
    ),
    must(
        "wire.names_pascal",
        "Names are read in PascalCase",
        Doc::Json,
        "PropertyNameCaseInsensitive; the published pages use both casings",
        &[],
    ),
    should("wire.names_any_case", "Names are read in any letter case", Doc::Json, "PropertyNameCaseInsensitive", &[]),
    must(
        "wire.enum_numbers",
        "Enums are read as numbers",
        Doc::Json,
        "JsonStringEnumConverter; the error page writes numbers",
        &[],
    ),
    should("wire.enum_any_case", "Enums are read in any letter case", Doc::Json, "JsonStringEnumConverter", &[]),
    should("wire.trailing_commas", "Trailing commas are tolerated", Doc::Json, "AllowTrailingCommas", &[]),
    must(
        "wire.unknown_fields",
        "Fields nobody knows are ignored",
        Doc::Convention,
        "the platform may be newer than the integrator",
        &[],
    ),
    must("wire.nulls", "null is as good as absent", Doc::PreauthPost, "every text is `string | null`", &[]),
    must(
        "wire.absent_is_default",
        "An amount of 0 may be left out",
        Doc::Json,
        "values that are the default are not written",
        &[],
    ),
    should(
        "wire.paths_any_case",
        "Paths are matched in any letter case",
        Doc::Controllers,
        "routing of the framework",
        &[],
    ),
];

const UNKNOWN: &[Rule] = &[
    must(
        "unknown.preauth",
        "GET /api/Preauth of an id nobody used is a 4xx or 5xx error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    must(
        "unknown.payment",
        "GET /api/Payment of an id nobody used is a 4xx or 5xx error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    must(
        "unknown.refund",
        "GET /api/Refund of an id nobody used is a 4xx or 5xx error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    must(
        "unknown.cancel",
        "Cancelling an id nobody used is a 4xx or 5xx error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    should(
        "unknown.is_4xx",
        "An id nobody used is a 4xx, not a fault of the server",
        Doc::Convention,
        "the reference throws; 404 is nowhere specified",
        &[],
    ),
    should(
        "unknown.weird_ids",
        "Overlong and odd ids are errors like any other",
        Doc::Convention,
        "an id comes from outside",
        &[],
    ),
];

const DEBIT: &[Rule] = &[
    must(
        "preauth.debit.succeeds",
        "An account (Holder, IBAN) is accepted without a page for the payer: Succeeded",
        Doc::PreauthFlow,
        "direct flow",
        &[Debit],
    ),
    must(
        "preauth.debit.reserves_nothing",
        "authorizedAmount is 0 or absent: no money can be reserved",
        Doc::Responses,
        "PreauthResponseDto.authorizedAmount",
        &[Debit],
    ),
    must(
        "preauth.debit.bearer",
        "The bearer says what is stored",
        Doc::Responses,
        "PreauthResponseDto.bearer",
        &[Debit],
    ),
    should(
        "preauth.debit.mandate",
        "The bearer holds the mandate's reference",
        Doc::FakeProvider,
        "bearer of a direct debit",
        &[Debit],
    ),
    must(
        "preauth.debit.bad_iban",
        "An IBAN with wrong check digits is refused: 422 BearerInvalid",
        Doc::Examples,
        "Preauth: 422",
        &[Debit],
    ),
    should(
        "preauth.debit.no_account",
        "A debit without account data is an error with its body",
        Doc::Requests,
        "PaymentMeansReferenceDto.initialBearer",
        &[Debit],
    ),
    must("preauth.debit.get_equals_post", "GET shows what POST answered", Doc::Handlers, "FetchPreauth", &[Debit]),
];

const REDIRECT: &[Rule] = &[
    must(
        "preauth.redirect.has_redirect_url",
        "A card without stored means is answered with a redirectUrl",
        Doc::Responses,
        "PreauthResponseDto.redirectUrl",
        &[Card],
    ),
    must(
        "preauth.redirect.url_absolute",
        "redirectUrl is an absolute web address",
        Doc::Responses,
        "PreauthResponseDto.redirectUrl",
        &[Card],
    ),
    must(
        "preauth.redirect.status",
        "Until the payer has come it is Pending or Initiated",
        Doc::PreauthFlow,
        "redirect flow",
        &[Card],
    ),
    must(
        "preauth.redirect.reserves_nothing",
        "Until then authorizedAmount is 0 or absent",
        Doc::Responses,
        "PreauthResponseDto.authorizedAmount",
        &[Card],
    ),
    must(
        "preauth.redirect.zero",
        "A sign-up over 0 (trial, other card) is taken",
        Doc::States,
        "amount of a preauth: 0 or more",
        &[Card],
    ),
    must("preauth.redirect.get_equals_post", "GET shows what POST answered", Doc::Handlers, "FetchPreauth", &[Card]),
    should(
        "preauth.redirect.get_has_url",
        "GET shows the redirectUrl while it is wanted",
        Doc::Convention,
        "the reference leaves it out; a lost answer would be a dead end",
        &[Card],
    ),
    must(
        "preauth.redirect.not_capturable",
        "It cannot be captured before the payer has come",
        Doc::PaymentFlow,
        "capture follows a successful preauth",
        &[Card, Capture],
    ),
];

const PAYER: &[Rule] = &[
    must(
        "preauth.payer.page_opens",
        "The page behind redirectUrl can be opened",
        Doc::PreauthFlow,
        "redirect flow",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.approved",
        "After approval it is Succeeded, whether or not the browser came back",
        Doc::PreauthFlow,
        "redirect flow",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.authorized_amount",
        "authorizedAmount is then at least what was requested",
        Doc::Responses,
        "PreauthResponseDto.authorizedAmount",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.psp_id",
        "pspTransactionId is then there",
        Doc::Responses,
        "PreauthResponseDto.pspTransactionId",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.bearer",
        "The bearer says what is stored",
        Doc::Responses,
        "PreauthResponseDto.bearer",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.expires_at",
        "expiresAt is in the future",
        Doc::Responses,
        "PreauthResponseDto.expiresAt",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.returns_success",
        "The browser ends at successReturnUrl",
        Doc::Requests,
        "PaymentMeansReferenceDto",
        &[Card, Payer, SeesBrowser],
    ),
    must(
        "preauth.payer.zero",
        "A sign-up over 0 stores the card and reserves nothing",
        Doc::States,
        "amount of a preauth: 0 or more",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.declined",
        "After a decline GET is an error with its body",
        Doc::Handlers,
        "FetchPreauth",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.returns_error",
        "The browser ends at errorReturnUrl",
        Doc::Requests,
        "PaymentMeansReferenceDto",
        &[Card, Payer, SeesBrowser],
    ),
    must(
        "preauth.payer.aborted",
        "After the payer gave up GET is an error with its body",
        Doc::Handlers,
        "FetchPreauth",
        &[Card, Payer],
    ),
    must(
        "preauth.payer.returns_abort",
        "The browser ends at abortReturnUrl",
        Doc::Requests,
        "PaymentMeansReferenceDto",
        &[Card, Payer, SeesBrowser],
    ),
];

const STORED: &[Rule] = &[
    must(
        "preauth.stored.succeeds",
        "isInitial false reserves on the stored card, without the payer",
        Doc::Examples,
        "Preauth: not initial",
        &[Card, Payer],
    ),
    must(
        "preauth.stored.authorized_amount",
        "authorizedAmount is at least what was requested",
        Doc::Responses,
        "PreauthResponseDto.authorizedAmount",
        &[Card, Payer],
    ),
    must(
        "preauth.stored.unknown_agreement",
        "isInitial false under an agreement nobody made is an error with its body",
        Doc::Handlers,
        "agreement must exist",
        &[],
    ),
];

const CANCEL: &[Rule] = &[
    must(
        "cancel.succeeds",
        "POST /api/Preauth/{id}/Cancel is answered Succeeded (or Pending)",
        Doc::Responses,
        "PaymentCancellationResponseDto",
        &[Card, Payer, Cancel],
    ),
    must(
        "cancel.id_echoed",
        "It echoes the transactionId",
        Doc::Responses,
        "PaymentCancellationResponseDto",
        &[Card, Payer, Cancel],
    ),
    must("cancel.is_shown", "GET then shows Cancelled", Doc::Handlers, "PreauthCancel", &[Card, Payer, Cancel]),
    should(
        "cancel.again",
        "What is cancelled is cancelled: Succeeded again",
        Doc::Convention,
        "a retry must not look like a failure",
        &[Card, Payer, Cancel],
    ),
    should(
        "cancel.no_body",
        "The body may be left out",
        Doc::Requests,
        "PaymentCancellationRequestDto: pspSettingsId is not used now",
        &[Card, Payer, Cancel],
    ),
    must(
        "cancel.then_capture",
        "What is cancelled cannot be captured",
        Doc::States,
        "blocked after Cancelled",
        &[Card, Payer, Cancel, Capture],
    ),
    must(
        "cancel.captured",
        "What is captured is not cancelled: an error, NotCancelled or Failed",
        Doc::Convention,
        "money has moved",
        &[Card, Payer, Cancel, Capture],
    ),
    should(
        "cancel.unfinished",
        "A sign-up nobody finished can be cancelled, or is NotCancelled",
        Doc::Convention,
        "the customer has changed his mind",
        &[Card, Cancel],
    ),
];

const FINALIZE: &[Rule] = &[
    should(
        "finalize.pending",
        "POST /api/Preauth/Finalize before the payer has come shows it as it is",
        Doc::Controllers,
        "Finalize; experimental and not public",
        &[Card],
    ),
    should(
        "finalize.done",
        "After approval it shows what GET shows",
        Doc::Controllers,
        "Finalize; experimental and not public",
        &[Card, Payer],
    ),
    should(
        "finalize.unknown",
        "Of an id nobody used it is an error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
];

const CAPTURE: &[Rule] = &[
    must(
        "payment.capture.above",
        "More than is authorised is refused",
        Doc::Convention,
        "no published limit; money that was not reserved is not there",
        &[Card, Payer, Capture],
    ),
    should(
        "payment.capture.above_code",
        "The refusal is InvalidAmount",
        Doc::Convention,
        "the code that fits",
        &[Card, Payer, Capture],
    ),
    must(
        "payment.capture.succeeds",
        "preauthTransactionId captures what was reserved: Succeeded",
        Doc::PaymentFlow,
        "capture",
        &[Card, Payer, Capture],
    ),
    must(
        "payment.capture.twice",
        "A second capture with an id of its own is refused",
        Doc::Convention,
        "one capture per preauth",
        &[Card, Payer, Capture],
    ),
    should(
        "payment.capture.partial",
        "Less than was reserved can be captured",
        Doc::Convention,
        "a plan may have changed",
        &[Card, Payer, Capture],
    ),
    must(
        "payment.capture.unknown",
        "A preauth nobody made cannot be captured",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    should(
        "payment.capture.currency",
        "Another currency than was reserved is refused",
        Doc::Convention,
        "the amount would be another",
        &[Card, Payer, Capture],
    ),
];

const RECURRING: &[Rule] = &[
    must(
        "payment.recurring.succeeds",
        "Without preauthTransactionId the stored means are charged: Succeeded in the end",
        Doc::PaymentFlow,
        "recurring",
        &[Means],
    ),
    must("payment.recurring.get_equals_post", "GET shows what POST answered", Doc::Handlers, "FetchPayment", &[Means]),
    must(
        "payment.recurring.items",
        "Succeeded means that payments add up to the amount, each with a bookingDate",
        Doc::Responses,
        "PaymentResponseDto.payments",
        &[Means],
    ),
    must(
        "payment.recurring.refundable",
        "refundableAmount is what was paid less what was refunded",
        Doc::Responses,
        "PaymentResponseDto.refundableAmount",
        &[Means, Refunds],
    ),
    should(
        "payment.recurring.pending_no_items",
        "A payment item is shown only when money is booked",
        Doc::Convention,
        "the sample shows one while Pending",
        &[Means],
    ),
    must(
        "payment.recurring.unknown_agreement",
        "Means of an agreement nobody made cannot be charged",
        Doc::Handlers,
        "agreement must exist",
        &[],
    ),
    must(
        "payment.declined.error",
        "A decline (11.11) is an error with its body",
        Doc::FakeProvider,
        "amount 11.11: InsufficientBalance",
        &[Means],
    ),
    must(
        "payment.declined.get",
        "GET gives the same error again: code, message, receivedAt",
        Doc::Handlers,
        "FetchPayment",
        &[Means],
    ),
    must(
        "payment.declined.again",
        "The same request again gives the same error, and nothing is tried anew",
        Doc::Convention,
        "the id is the key of the attempt",
        &[Means],
    ),
    must(
        "payment.debit.planned",
        "With plannedExecutionDate a debit is Pending with a dueDate, or executed",
        Doc::PaymentFlow,
        "plannedExecutionDate",
        &[Debit],
    ),
    should(
        "payment.debit.due_date",
        "dueDate is not before the planned day",
        Doc::Prenotification,
        "processing date",
        &[Debit],
    ),
    should(
        "payment.debit.bad_date",
        "A plannedExecutionDate that is no date is refused",
        Doc::Requests,
        "PaymentRequestDto.plannedExecutionDate",
        &[Debit],
    ),
];

const REFUND: &[Rule] = &[
    must(
        "refund.above",
        "More than was paid is refused",
        Doc::Responses,
        "refunded + refundable must not exceed paid",
        &[Means, Refunds],
    ),
    should(
        "refund.above_code",
        "The refusal is InvalidAmount",
        Doc::Convention,
        "the code that fits",
        &[Means, Refunds],
    ),
    must(
        "refund.partial",
        "A part is refunded: Succeeded in the end, refundedAmount as asked",
        Doc::RefundFlow,
        "amount really refunded",
        &[Means, Refunds],
    ),
    must("refund.get_equals_post", "GET shows what POST answered", Doc::Handlers, "FetchRefund", &[Means, Refunds]),
    should(
        "refund.booking_date",
        "bookingDate is there once it has succeeded",
        Doc::Responses,
        "RefundResponseDto.bookingDate",
        &[Means, Refunds],
    ),
    must(
        "refund.second_partial",
        "Another part is refunded",
        Doc::RefundFlow,
        "several refunds per payment",
        &[Means, Refunds],
    ),
    must(
        "refund.shown_at_payment",
        "GET of the payment shows exactly the sum as refundedAmount",
        Doc::Handlers,
        "a refund adds an item to its payment",
        &[Means, Refunds],
    ),
    must(
        "refund.refundable_shrinks",
        "refundableAmount is then what is left",
        Doc::Responses,
        "PaymentResponseDto.refundableAmount",
        &[Means, Refunds],
    ),
    must(
        "refund.above_rest",
        "More than is left is refused",
        Doc::Responses,
        "refunded + refundable must not exceed paid",
        &[Means, Refunds],
    ),
    must(
        "refund.rest",
        "All that is left can be refunded, and then nothing",
        Doc::Responses,
        "PaymentResponseDto.refundableAmount",
        &[Means, Refunds],
    ),
    must(
        "refund.unknown_payment",
        "A payment nobody made cannot be refunded",
        Doc::ErrorHandling,
        "error object",
        &[Refunds],
    ),
    must(
        "refund.of_refund",
        "A refund cannot be refunded",
        Doc::Requests,
        "RefundRequestDto.paymentTransactionId",
        &[Means, Refunds],
    ),
    must(
        "refund.of_declined",
        "A declined payment cannot be refunded",
        Doc::Convention,
        "nothing was paid",
        &[Means, Refunds],
    ),
    should(
        "refund.currency",
        "Another currency than was paid is refused",
        Doc::RefundPost,
        "currency",
        &[Means, Refunds],
    ),
];

const REPEAT: &[Rule] = &[
    must(
        "repeat.preauth",
        "The same Preauth again is answered from what is stored: the same ids",
        Doc::Convention,
        "transactionId is the key: the platform may ask again after a lost answer",
        &[],
    ),
    must(
        "repeat.payment",
        "The same Payment again: the same ids, and paid once",
        Doc::Convention,
        "transactionId is the key: the platform may ask again after a lost answer",
        &[Means],
    ),
    must(
        "repeat.refund",
        "The same Refund again: the same ids, and refunded once",
        Doc::Convention,
        "transactionId is the key: the platform may ask again after a lost answer",
        &[Means, Refunds],
    ),
    must(
        "repeat.at_once",
        "The same Refund four times at once: refunded once",
        Doc::Convention,
        "a retry may overtake what it repeats",
        &[Means, Refunds],
    ),
    should(
        "repeat.other_spelling",
        "The same in another spelling (order, 12.5 for 12.50) is the same",
        Doc::Convention,
        "a serialiser may change",
        &[Means],
    ),
    must(
        "repeat.other_preauth",
        "Another Preauth under a used id is refused, and the first is unchanged",
        Doc::Enums,
        "PaymentErrorCode.AlreadyExecuted",
        &[],
    ),
    must(
        "repeat.other_payment",
        "Another Payment under a used id is refused, and the first is unchanged",
        Doc::Enums,
        "PaymentErrorCode.AlreadyExecuted",
        &[Means],
    ),
    must(
        "repeat.other_refund",
        "Another Refund under a used id is refused, and the first is unchanged",
        Doc::Enums,
        "PaymentErrorCode.AlreadyExecuted",
        &[Means, Refunds],
    ),
    should("repeat.other_code", "The refusal is AlreadyExecuted", Doc::Enums, "PaymentErrorCode.AlreadyExecuted", &[]),
];

const REFUSAL: &[Rule] = &[
    must(
        "refusal.negative_amount",
        "A negative amount is a 4xx error with its body",
        Doc::PreauthPost,
        "requestedAmount: 0 or more",
        &[],
    ),
    must(
        "refusal.zero_amount",
        "A Payment or Refund of 0 is a 4xx error with its body",
        Doc::PaymentPost,
        "requestedAmount: above 0",
        &[],
    ),
    must(
        "refusal.too_precise",
        "An amount with more decimals than the currency has is a 4xx error with its body",
        Doc::Convention,
        "rounding is guessing",
        &[],
    ),
    must(
        "refusal.huge_amount",
        "An amount of 1e30 is a 4xx error with its body",
        Doc::Convention,
        "no account holds it",
        &[],
    ),
    must(
        "refusal.missing_amount",
        "A Payment or Refund without an amount is a 4xx error with its body",
        Doc::PaymentPost,
        "requestedAmount",
        &[],
    ),
    must(
        "refusal.amount_text",
        "An amount that is a word is a 4xx error with its body",
        Doc::PaymentPost,
        "requestedAmount: double",
        &[],
    ),
    must(
        "refusal.missing_currency",
        "A missing currency is a 4xx error with its body",
        Doc::PreauthPost,
        "currency",
        &[],
    ),
    must(
        "refusal.unknown_currency",
        "A currency that is none is a 4xx error with its body",
        Doc::PreauthPost,
        "currency: ISO 4217",
        &[],
    ),
    must(
        "refusal.missing_id",
        "A missing or empty transactionId is a 4xx error with its body",
        Doc::PreauthPost,
        "transactionId",
        &[],
    ),
    should(
        "refusal.unknown_role",
        "A role that is none is a 4xx error with its body",
        Doc::Enums,
        "PublicPaymentProviderRole",
        &[],
    ),
    should(
        "refusal.bad_target",
        "A webhookTarget that is no address is a 4xx error with its body",
        Doc::PaymentPost,
        "webhookTarget: absolute",
        &[],
    ),
    must("refusal.cut_json", "Broken JSON is a 4xx error with its body", Doc::ErrorHandling, "error object", &[]),
    must(
        "refusal.not_an_object",
        "A body that is no object, or none at all, is a 4xx error with its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    should("refusal.amount_code", "A wrong amount is InvalidAmount", Doc::Enums, "PaymentErrorCode.InvalidAmount", &[]),
    should(
        "refusal.currency_code",
        "A wrong currency is InvalidCurrency",
        Doc::Enums,
        "PaymentErrorCode.InvalidCurrency",
        &[],
    ),
];

const NOTICES: &[Rule] = &[
    must(
        "notice.preauth",
        "What the payer did is told: a notice of type Preauth",
        Doc::Notification,
        "Preauth",
        &[Card, Payer, Notices],
    ),
    must(
        "notice.payment",
        "A debit that is confirmed later is told: a notice of type Payment",
        Doc::Notification,
        "Payment",
        &[Debit, Notices],
    ),
    must(
        "notice.failure",
        "A failure is told like a success",
        Doc::Notifier,
        "type from the stored transaction",
        &[Card, Payer, Notices],
    ),
    must(
        "notice.get_after",
        "Once told, GET shows it: the integrator's own state changes first",
        Doc::Notification,
        "the platform fetches after a notice",
        &[Notices],
    ),
    must(
        "notice.shape",
        "A notice is a JSON object with TransactionId and Type, in any casing",
        Doc::Responses,
        "IntegrationWebhookDto",
        &[Notices],
    ),
    must(
        "notice.type",
        "Type is a WebhookType that fits the transaction, by number or name",
        Doc::Enums,
        "WebhookType",
        &[Notices],
    ),
    must(
        "notice.known_id",
        "TransactionId is the platform's id of a transaction",
        Doc::Responses,
        "IntegrationWebhookDto.transactionId",
        &[Notices],
    ),
    should(
        "notice.thin",
        "A notice carries no status and no amounts",
        Doc::Responses,
        "IntegrationWebhookDto",
        &[Notices],
    ),
    must(
        "notice.hides_token",
        "No notice repeats the token",
        Doc::Convention,
        "notices are not encrypted for anybody",
        &[Notices],
    ),
    must(
        "notice.any_2xx",
        "200, 202 and 204 all mean delivered: it is not sent on and on",
        Doc::Convention,
        "the 2020 sample wants 202, the platform answers as it likes",
        &[Notices],
    ),
    should(
        "notice.retried",
        "A notice that was answered 500 is sent again",
        Doc::Sample2020Notices,
        "three retries after 60, 120 and 240 s",
        &[Notices],
    ),
    should(
        "notice.coalesced",
        "Changes that pile up are told together: one on its way, one more for all the rest",
        Doc::Notification,
        "only the latest of several changes is told",
        &[Notices],
    ),
];

const ANSWERS: &[Rule] = &[
    must(
        "answer.comes",
        "Every request is answered, whole and in time",
        Doc::Convention,
        "10 s; the platform's patience is not published",
        &[],
    ),
    must("answer.status_200", "Success is 200, of POST too", Doc::PreauthPost, "Responses: 200", &[]),
    must("answer.json_object", "A success has a JSON object as its body", Doc::Introduction, "JSON both ways", &[]),
    must("answer.media_type", "Answers are declared as JSON", Doc::Introduction, "JSON both ways", &[]),
    must("answer.hides_token", "No answer repeats the token", Doc::Convention, "answers are logged", &[]),
    must(
        "answer.no_card_number",
        "No bearer holds a whole card number",
        Doc::Convention,
        "the platform would have to protect it",
        &[],
    ),
    must("answer.transaction_id", "transactionId is the platform's own id", Doc::Responses, "transactionId", &[]),
    must(
        "answer.external_id",
        "externalTransactionId is there and never changes",
        Doc::Responses,
        "externalTransactionId",
        &[],
    ),
    must("answer.currency", "currency is the one that was asked for", Doc::Responses, "currency", &[]),
    must(
        "answer.requested_amount",
        "requestedAmount is exactly what was asked for",
        Doc::Responses,
        "requestedAmount",
        &[],
    ),
    must(
        "answer.amounts_exact",
        "Amounts are numbers with no more decimals than the currency has",
        Doc::Responses,
        "decimal",
        &[],
    ),
    must("answer.amounts_not_negative", "No amount is negative", Doc::Responses, "decimal ≥ 0", &[]),
    must(
        "answer.refund_bound",
        "refundedAmount and refundableAmount do not exceed what was paid",
        Doc::Responses,
        "PaymentResponseDto",
        &[],
    ),
    must(
        "answer.status",
        "status is a PaymentTransactionStatus, by name or number",
        Doc::Enums,
        "PaymentTransactionStatus",
        &[],
    ),
    must("answer.bearer", "A bearer is a map of texts", Doc::Responses, "bearer", &[]),
    must("answer.dates", "Dates and times can be read", Doc::Json, "DateTime and LocalDate", &[]),
    should("answer.dates_utc", "Times are UTC", Doc::Responses, "lastUpdated", &[]),
    must(
        "answer.last_updated",
        "lastUpdated is there and never goes back",
        Doc::Responses,
        "lastUpdated: an older state does not replace a newer one",
        &[],
    ),
    should(
        "answer.last_updated_moves",
        "lastUpdated moves when it is decided, or decided anew",
        Doc::Responses,
        "lastUpdated",
        &[],
    ),
    must("answer.state_stays", "What has ended stays as it ended", Doc::States, "blocked after an end", &[]),
];

const ERRORS: &[Rule] = &[
    must(
        "error.body",
        "Whatever is not a success has the error object as its body",
        Doc::ErrorHandling,
        "error object",
        &[],
    ),
    must(
        "error.code",
        "errorCode is a PaymentErrorCode, by number or name; absent means UnmappedError",
        Doc::ErrorHandling,
        "ErrorCode",
        &[],
    ),
    must("error.received_at", "receivedAt is there and can be read", Doc::ErrorHandling, "ReceivedAt", &[]),
    must(
        "error.status",
        "status is Failed, Cancelled or Expired; absent means Failed",
        Doc::ErrorHandling,
        "Status",
        &[],
    ),
    should("error.message", "errorMessage says what is wrong", Doc::ErrorHandling, "ErrorMessage", &[]),
    must(
        "error.never_switches_off",
        "No error is LoginError or PermissionDenied, which switch the PSP off",
        Doc::Enums,
        "PaymentErrorCode",
        &[],
    ),
    should(
        "error.decline_is_422",
        "A decline (balance, rejection, bearer) has status 422",
        Doc::Controllers,
        "error mapping",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rules_are_written_as_the_report_needs_them() {
        let mut ids = BTreeSet::new();
        for (_, rule) in all() {
            assert!(ids.insert(rule.id), "{} is there twice", rule.id);
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c)));
            assert!(rule.id.len() <= super::super::report::ID_WIDTH, "{} is too long", rule.id);
            assert!(!rule.title.ends_with('.') && !rule.section.is_empty(), "{}", rule.id);
        }
        assert!(ids.len() > 100, "{}", ids.len());
    }

    #[test]
    fn every_source_is_used_and_has_an_address() {
        for doc in Doc::ALL {
            assert!(all().any(|(_, rule)| rule.doc == doc), "{doc:?} is the source of nothing");
            assert_eq!(doc.url().is_empty(), doc == Doc::Convention, "{doc:?}");
            assert!(doc == Doc::Convention || url::Url::parse(doc.url()).is_ok(), "{doc:?}");
        }
    }
}
