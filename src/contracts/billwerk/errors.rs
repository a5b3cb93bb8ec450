//! Every refusal and every failed transaction, as the contract's error body with the status that goes with its code.

use std::marker::PhantomData;
use std::time::Duration;

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use rialto_adapters::port::{Reason, Timestamp};

use super::caller::{CHALLENGES, Voice};
use super::dto::{PaymentErrorCode as Code, PaymentErrorDto, PaymentTransactionStatus as Status, WrittenError};
use super::map;
use crate::clock::Clock;
use crate::flow::FlowError;
use crate::http::body::{Case, Enums, Style, respond};
use crate::http::error::{ErrorBody, Kind, Problem, Why};
use crate::store::StoreError;
use crate::store::forms::{EnumStyle, KeyStyle, NameCase, Spelling};
use crate::store::tenants::Told;

/// Error bodies are written as billwerk documents them: names in PascalCase, enums as numbers. Everything is written, so
/// that code 0 is seen too.
pub const ERROR_STYLE: Style = Style { case: Case::Pascal, enums: Enums::Number, omit_defaults: false };

/// The style of errors that a key wants.
pub fn error_style(style: &KeyStyle) -> Style {
    style.errors.map_or(ERROR_STYLE, |spelling| spelled(spelling, ERROR_STYLE))
}

/// The style of successes that a key wants.
pub fn answer_style(style: &KeyStyle) -> Style {
    style.answers.map_or(Style::default(), |spelling| spelled(spelling, Style::default()))
}

fn spelled(spelling: Spelling, usual: Style) -> Style {
    let case = match spelling.case {
        NameCase::Camel => Case::Camel,
        NameCase::Pascal => Case::Pascal,
    };
    let enums = match spelling.enums {
        EnumStyle::Name => Enums::Name,
        EnumStyle::Number => Enums::Number,
    };
    Style { case, enums, ..usual }
}

/// What a caller that came at a busy moment is told to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not carried out, or what became of a transaction that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub http: StatusCode,
    pub code: Code,
    pub message: String,
    /// The field it is about, for the log.
    pub field: Option<String>,
    pub psp_code: Option<String>,
    pub status: Status,
    /// When it was learned of; `None` is now.
    pub received_at: Option<Timestamp>,
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A refusal with the status that goes with its code.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            http: http_status(code),
            code,
            message: message.into(),
            field: None,
            psp_code: None,
            status: Status::Failed,
            received_at: None,
            retry_after: None,
        }
    }

    /// A refusal because of one field.
    pub fn field(code: Code, field: &str, text: impl std::fmt::Display) -> Failure {
        Failure { field: Some(field.to_owned()), ..Failure::new(code, format!("{field}: {text}")) }
    }

    pub fn data(field: &str, text: impl std::fmt::Display) -> Failure {
        Failure::field(Code::InvalidData, field, text)
    }

    pub fn amount(text: impl std::fmt::Display) -> Failure {
        Failure::field(Code::InvalidAmount, "requestedAmount", text)
    }

    pub fn currency(text: impl std::fmt::Display) -> Failure {
        Failure::field(Code::InvalidCurrency, "currency", text)
    }

    pub fn precondition(text: impl Into<String>) -> Failure {
        Failure::new(Code::InvalidPreconditions, text)
    }

    /// There is no such thing, or it belongs to somebody else: nobody can tell which.
    pub fn unknown(what: &str) -> Failure {
        Failure { http: StatusCode::NOT_FOUND, ..Failure::precondition(format!("there is no {what} with this id")) }
    }

    /// Another request was made under this id.
    pub fn differs(field: &str) -> Failure {
        Failure::field(Code::AlreadyExecuted, field, "differs from the request that was made with this transactionId")
    }

    /// The PSP takes no more at the moment, and as much as may wait does so already.
    pub fn turned_away(retry_after: Duration) -> Failure {
        Failure { retry_after: Some(retry_after), ..Failure::busy() }
    }

    fn busy() -> Failure {
        let busy = Failure::new(Code::InternalError, "too much to do at the moment");
        Failure { http: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(RETRY_AFTER), ..busy }
    }

    fn body(&self, now: Timestamp) -> PaymentErrorDto {
        PaymentErrorDto {
            error_code: self.code,
            error_message: self.message.clone(),
            psp_error_code: self.psp_code.clone(),
            received_at: map::moment(self.received_at.unwrap_or(now)),
            status: self.status,
        }
    }
}

/// A fault of ours; the caller is told no more than that.
impl From<FlowError> for Failure {
    fn from(error: FlowError) -> Failure {
        match error {
            FlowError::Store(StoreError::Busy) => Failure::busy(),
            FlowError::Store(StoreError::Database(_) | StoreError::Corrupt(_) | StoreError::Sealed(_))
            | FlowError::Broken(_) => {
                tracing::error!(%error, "a request failed");
                Failure::new(Code::InternalError, "internal error")
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::from(FlowError::from(error))
    }
}

/// The status of each code, as billwerk's own integrator answers them. Two depart from it: there, a request that cannot be
/// carried out in the present state, and one whose id is taken, look like faults of the server.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::BearerInvalid
        | Code::BearerExpired
        | Code::InvalidData
        | Code::InvalidAmount
        | Code::InvalidCountry
        | Code::InvalidCurrency
        | Code::InvalidBic
        | Code::InvalidIban
        | Code::InvalidNationalIdNumber
        | Code::InsufficientBalance
        | Code::Rejected
        | Code::Canceled
        | Code::InvalidPreconditions => StatusCode::UNPROCESSABLE_ENTITY,
        Code::AlreadyExecuted => StatusCode::CONFLICT,
        Code::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        Code::LoginError => StatusCode::UNAUTHORIZED,
        Code::UnmappedError
        | Code::RateLimit
        | Code::InternalError
        | Code::InvalidConfiguration
        | Code::PermissionDenied
        | Code::PspConnectionTimeout
        | Code::InternalProviderError
        | Code::PspConnectionProblem
        | Code::FailedCustomerUpdate => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The contract's code for the reason of a decline, and what to say where the PSP said nothing.
///
/// Never `LoginError` or `PermissionDenied`, which would switch the PSP off for the merchant: see [`told_code`].
pub fn reason_to_code(reason: Reason) -> (Code, &'static str) {
    match reason {
        Reason::InsufficientFunds => (Code::InsufficientBalance, "the balance is not sufficient"),
        Reason::Rejected => (Code::Rejected, "the payment was rejected"),
        Reason::MeansInvalid => (Code::BearerInvalid, "the means of payment cannot be used"),
        // billwerk's own flow of a direct debit answers a wrong IBAN so, although there is an `InvalidIBAN`.
        Reason::IbanInvalid => (Code::BearerInvalid, "the IBAN is wrong"),
        Reason::MeansExpired => (Code::BearerExpired, "the means of payment have expired"),
        Reason::BicInvalid => (Code::InvalidBic, "the BIC is wrong"),
        Reason::DocumentInvalid => (Code::InvalidNationalIdNumber, "the payer's document number is wrong"),
        Reason::DestinationInvalid => (Code::InvalidData, "the destination does not exist"),
        Reason::PayerMismatch => (Code::Rejected, "somebody else than the customer has paid"),
        Reason::AmountInvalid => (Code::InvalidAmount, "the PSP does not take this amount"),
        Reason::CurrencyInvalid => (Code::InvalidCurrency, "the PSP does not take this currency"),
        Reason::CountryInvalid => (Code::InvalidCountry, "the PSP does not serve this country"),
        Reason::DataInvalid => (Code::InvalidData, "the PSP does not accept the data"),
        Reason::LimitExceeded => (Code::LimitExceeded, "a limit is exceeded"),
        Reason::Compliance | Reason::Fraud => (Code::Rejected, "the payment was rejected"),
        // As in billwerk's own example, a failed 3-D Secure check.
        Reason::AuthenticationFailed => (Code::InvalidData, "the payer could not be authenticated"),
        Reason::CancelledByPayer => (Code::Canceled, "the payer has cancelled"),
        Reason::InvalidState => (Code::InvalidPreconditions, "not possible in the state the PSP has it in"),
        Reason::AccountRefused => (Code::InvalidConfiguration, "the PSP refuses the account of this connection"),
        Reason::RateLimited => (Code::RateLimit, "the PSP takes no more requests at the moment"),
        Reason::ProviderError => (Code::InternalProviderError, "the PSP has failed, and nothing has happened"),
        Reason::NotSent => (Code::PspConnectionProblem, "the PSP could not be reached, and nothing was sent"),
        Reason::NotReceived => (Code::PspConnectionTimeout, "the PSP has not received it"),
    }
}

/// The code of a refused account once callers are to be told of it, for what was refused `at` a time.
///
/// The one way to `LoginError`. It switches the PSP off for the merchant, so it takes an operator's word, or the proof:
/// refused again and again, and when it was tried out too. What was refused before this row of refusals began was another
/// matter, and is shown as ever.
pub fn told_code(reason: Reason, told: Option<Told>, since: Option<Timestamp>, at: Timestamp) -> Option<Code> {
    let told = match told {
        Some(Told::Proved | Told::Tell) => since.is_some_and(|since| at >= since),
        Some(Told::Hold) | None => false,
    };
    (reason == Reason::AccountRefused && told).then_some(Code::LoginError)
}

/// What an operation may answer besides success, for the document.
pub trait Operation: Send + Sync + 'static {
    const STATUSES: &'static [(u16, &'static str)];
}

const UNAUTHORISED: (u16, &str) = (
    401,
    "No valid token: `InvalidConfiguration`. With `LoginError` instead: the token is right, and the PSP's own credentials \
     are proved wrong.",
);
const TOO_MANY: (u16, &str) = (429, "A limit at the PSP is exceeded (`LimitExceeded`).");
const INTERNAL: (u16, &str) = (500, "The PSP could not be reached or has failed, or this server has.");
const BUSY: (u16, &str) = (503, "Too much to do at the moment; try the same request again after `Retry-After`.");
const LATE: (u16, &str) = (408, "The body did not arrive in time.");
const TOO_LARGE: (u16, &str) = (413, "The body is larger than 256 KiB.");
const MEDIA_TYPE: (u16, &str) = (415, "The body is not declared as JSON.");
const SYNTAX: (u16, &str) = (400, "The body is not JSON.");
const DIFFERS: (u16, &str) = (409, "Another request was made with this `transactionId` (`AlreadyExecuted`).");
const REFUSED: (u16, &str) = (422, "The request is wrong or cannot be carried out, or the PSP has declined.");

/// Operations that create something of their own.
pub struct Opens;

impl Operation for Opens {
    const STATUSES: &'static [(u16, &'static str)] =
        &[SYNTAX, UNAUTHORISED, LATE, DIFFERS, TOO_LARGE, MEDIA_TYPE, REFUSED, TOO_MANY, INTERNAL, BUSY];
}

/// Operations that create something that acts on another transaction.
pub struct ActsOn;

impl Operation for ActsOn {
    const STATUSES: &'static [(u16, &'static str)] = &[
        SYNTAX,
        UNAUTHORISED,
        (404, "The transaction it acts on does not exist."),
        LATE,
        DIFFERS,
        TOO_LARGE,
        MEDIA_TYPE,
        REFUSED,
        TOO_MANY,
        INTERNAL,
        BUSY,
    ];
}

/// Operations that cancel.
pub struct Cancels;

impl Operation for Cancels {
    const STATUSES: &'static [(u16, &'static str)] = &[
        SYNTAX,
        UNAUTHORISED,
        (404, "There is no such transaction."),
        LATE,
        TOO_LARGE,
        MEDIA_TYPE,
        (422, "It is captured, or has ended otherwise (`InvalidPreconditions`)."),
        INTERNAL,
        BUSY,
    ];
}

/// Operations that show.
pub struct Shows;

impl Operation for Shows {
    const STATUSES: &'static [(u16, &'static str)] = &[
        (400, "The id in the path cannot be read."),
        UNAUTHORISED,
        (404, "There is no such transaction."),
        (422, "The transaction has come to nothing; the same body and status as when it did."),
        TOO_MANY,
        INTERNAL,
        BUSY,
    ];
}

/// Operations that say what there is, and are about nothing that could be unknown.
pub struct Tells;

impl Operation for Tells {
    const STATUSES: &'static [(u16, &'static str)] = &[UNAUTHORISED, INTERNAL, BUSY];
}

/// Operations that change settings.
pub struct Changes;

impl Operation for Changes {
    const STATUSES: &'static [(u16, &'static str)] = &[
        SYNTAX,
        UNAUTHORISED,
        LATE,
        (409, "Somebody else has changed them at the same time (`InvalidPreconditions`): look at them and try again."),
        TOO_LARGE,
        MEDIA_TYPE,
        (
            422,
            "A key is missing, unknown or wrong, or the PSP does not accept the settings (`InvalidData`); or they name \
             another account while transactions of the present one are open (`InvalidPreconditions`).",
        ),
        (500, "The PSP could not be asked (`PSPConnectionProblem`), or this server has failed. Nothing is saved."),
        BUSY,
    ];
}

/// Operations that take a body and ask for news.
pub struct Asks;

impl Operation for Asks {
    const STATUSES: &'static [(u16, &'static str)] = &[
        SYNTAX,
        UNAUTHORISED,
        (404, "There is no such transaction."),
        LATE,
        TOO_LARGE,
        MEDIA_TYPE,
        (422, "A field is wrong, or the transaction has come to nothing; then the same body and status as a GET."),
        TOO_MANY,
        INTERNAL,
        BUSY,
    ];
}

/// A [`Failure`] on its way out, documented with the statuses of its operation.
pub struct Refusal<O> {
    failure: Box<Failure>,
    now: Timestamp,
    style: Style,
    of: PhantomData<O>,
}

impl<O> Refusal<O> {
    pub fn new(failure: Failure, now: Timestamp, style: Style) -> Refusal<O> {
        Refusal { failure: Box::new(failure), now, style, of: PhantomData }
    }
}

impl<O: Operation> From<Refusal<O>> for poem::Error {
    fn from(refusal: Refusal<O>) -> poem::Error {
        let Refusal { failure, now, style, .. } = refusal;
        let mut response = respond(failure.http, &failure.body(now), style);
        if let Some(wait) = failure.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        let mut error = poem::Error::from_response(response);
        error.set_data(Why { code: format!("{:?}", failure.code), field: failure.field });
        error
    }
}

impl<O: Operation> ApiResponse for Refusal<O> {
    fn meta() -> MetaResponses {
        let response = |(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(*status),
            status_range: None,
            content: vec![MetaMediaType { content_type: "application/json", schema: PaymentErrorDto::schema_ref() }],
            headers: Vec::new(),
        };
        MetaResponses { responses: O::STATUSES.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        WrittenError::register(registry);
    }
}

/// Writes what no handler wrote itself: bad bodies, unknown paths, missing tokens, faults.
pub struct Errors {
    pub clock: Clock,
    pub voice: Voice,
}

impl ErrorBody for Errors {
    fn render(&self, problem: &Problem) -> Response {
        let failure = of_problem(problem);
        respond(problem.status, &failure.body(self.clock.now()), error_style(&self.voice.style()))
    }

    fn challenges(&self) -> &'static [&'static str] {
        CHALLENGES
    }
}

fn of_problem(problem: &Problem) -> Failure {
    let code = match (problem.kind, problem.field.as_deref()) {
        (Kind::Shape, Some("currency")) => Code::InvalidCurrency,
        (Kind::Shape, Some("requestedAmount")) => Code::InvalidAmount,
        (
            Kind::Syntax
            | Kind::Parameter
            | Kind::Cut
            | Kind::Method
            | Kind::Late
            | Kind::TooLarge
            | Kind::MediaType
            | Kind::Shape
            | Kind::Refused,
            _,
        ) => Code::InvalidData,
        (Kind::Unauthorised | Kind::Forbidden, _) => Code::InvalidConfiguration,
        (Kind::NotFound, _) => Code::InvalidPreconditions,
        (Kind::Conflict, _) => Code::AlreadyExecuted,
        (Kind::TooMany, _) => Code::RateLimit,
        (Kind::Internal | Kind::Busy, _) => Code::InternalError,
    };
    match &problem.field {
        Some(field) => Failure::field(code, field, &problem.text),
        None => Failure::new(code, &problem.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::{read, render};

    #[test]
    fn no_reason_switches_the_psp_off() {
        for reason in Reason::ALL {
            let (code, text) = reason_to_code(*reason);
            assert!(!matches!(code, Code::LoginError | Code::PermissionDenied), "{reason:?}");
            assert!(!http_status(code).is_success() && http_status(code) != StatusCode::UNAUTHORIZED, "{reason:?}");
            assert!(!text.is_empty());
        }
        for kind in Kind::ALL {
            let code = of_problem(&Problem::new(kind, "text")).code;
            assert!(!matches!(code, Code::LoginError | Code::PermissionDenied), "{kind:?}");
        }
    }

    /// The whole of what can lead to a code that switches the PSP off: a refused account, and callers that are to be told.
    #[test]
    fn one_way_leads_to_login_error() {
        let (since, before, after) = (Timestamp(10), Timestamp(9), Timestamp(10));
        let decisions = Told::ALL.into_iter().map(Some).chain([None]);
        for told in decisions {
            for reason in Reason::ALL {
                for (since, at) in [(None, after), (Some(since), before), (Some(since), after)] {
                    let tells = matches!(told, Some(Told::Proved | Told::Tell));
                    let wanted = *reason == Reason::AccountRefused && tells && since.is_some_and(|since| at >= since);
                    let code = told_code(*reason, told, since, at);
                    assert_eq!(code, wanted.then_some(Code::LoginError), "{reason:?} {told:?} {since:?} {at:?}");
                }
            }
        }
        assert_eq!(http_status(Code::LoginError), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn codes_and_statuses_by_reason() {
        let rows = [
            (Reason::InsufficientFunds, 9, 422),
            (Reason::Rejected, 18, 422),
            (Reason::MeansInvalid, 2, 422),
            (Reason::MeansExpired, 3, 422),
            (Reason::IbanInvalid, 2, 422),
            (Reason::AmountInvalid, 5, 422),
            (Reason::CancelledByPayer, 17, 422),
            (Reason::LimitExceeded, 1, 429),
            (Reason::InvalidState, 11, 422),
            (Reason::RateLimited, 14, 500),
            (Reason::AccountRefused, 15, 500),
            (Reason::ProviderError, 13, 500),
            (Reason::NotSent, 19, 500),
            (Reason::NotReceived, 22, 500),
        ];
        for (reason, number, status) in rows {
            let (code, _) = reason_to_code(reason);
            assert_eq!((code.code(), http_status(code).as_u16()), (number, status), "{reason:?}");
        }
    }

    #[test]
    fn the_body_is_written_as_documented() {
        let mut failure = Failure::amount("must be above 0");
        let body = |failure: &Failure| {
            let bytes = render(&failure.body(Timestamp(1_718_742_239_000)), ERROR_STYLE);
            String::from_utf8(bytes).expect("UTF-8")
        };
        assert_eq!(
            body(&failure),
            r#"{"ErrorCode":5,"ErrorMessage":"requestedAmount: must be above 0","ReceivedAt":"2024-06-18T20:23:59.0000000Z","Status":4}"#
        );
        failure.code = Code::UnmappedError;
        failure.psp_code = Some("422".to_owned());
        failure.status = Status::Expired;
        failure.received_at = Some(Timestamp(1));
        failure.message = String::new();
        assert_eq!(
            body(&failure),
            r#"{"ErrorCode":0,"ErrorMessage":"","PspErrorCode":"422","ReceivedAt":"1970-01-01T00:00:00.0010000Z","Status":6}"#
        );
    }

    #[test]
    fn the_document_shows_errors_as_they_are_written() {
        let failure = Failure { psp_code: Some("51".to_owned()), ..Failure::amount("must be above 0") };
        let written = render(&failure.body(Timestamp(0)), ERROR_STYLE);
        let read: WrittenError = read(&written).expect("the documented shape");
        assert_eq!((read.error_code, read.status), (5, 4));
        assert_eq!(render(&read, Style::default()), written);
        let shown: Vec<i64> = Code::ALL.iter().map(|(.., number)| *number).collect();
        assert_eq!(shown, (0..=24).collect::<Vec<_>>(), "the codes that the document lists");
    }

    #[test]
    fn a_bad_amount_or_currency_has_its_own_code() {
        let shape = |field| of_problem(&Problem::field(Kind::Shape, field, "is required"));
        assert_eq!(shape("requestedAmount").code, Code::InvalidAmount);
        assert_eq!(shape("currency").code, Code::InvalidCurrency);
        assert_eq!(shape("invoiceData.lineItems[0].totalGross").code, Code::InvalidData);
        assert_eq!(shape("currency").message, "currency: is required");
    }
}
