//! What a request must be. Pure.

use poem::http::{HeaderMap, StatusCode};
use rialto_adapters::pientegra::contract::{
    DepositRequest, ErrorReply, MAXIMUM_MINOR, MINIMUM_MINOR, Minor, PAGE_MAX, TEXT_MAX, WithdrawalRequest, error,
};
use rialto_adapters::port::Timestamp;
use rialto_adapters::port::ids::iban;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// An error in Pientegra's words, with its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub status: StatusCode,
    pub reply: ErrorReply,
}

impl Wrong {
    pub fn new(status: StatusCode, code: &str, text: impl Into<String>) -> Wrong {
        Wrong { status, reply: ErrorReply { error: code.to_owned(), message: Some(text.into()) } }
    }
}

fn invalid(field: &str, text: &str) -> Wrong {
    Wrong::new(StatusCode::BAD_REQUEST, error::VALIDATION_FAILED, format!("{field}: {text}"))
}

/// The idempotency key: a UUID of version 4 or 7.
pub fn key(headers: &HeaderMap) -> Result<String, Wrong> {
    let Some(value) = headers.get("idempotency-key") else {
        return Err(Wrong::new(StatusCode::BAD_REQUEST, error::KEY_REQUIRED, "an Idempotency-Key is required"));
    };
    let uuid = value.to_str().ok().and_then(|text| Uuid::try_parse(text.trim_matches('"')).ok());
    match uuid.map(|uuid| (uuid, uuid.get_version_num())) {
        Some((uuid, 4 | 7)) => Ok(uuid.to_string()),
        Some(_) | None => Err(invalid("Idempotency-Key", "is not a UUID of version 4 or 7")),
    }
}

pub fn deposit(headers: &HeaderMap, body: &[u8]) -> Result<DepositRequest, Wrong> {
    let request: DepositRequest = read(headers, body)?;
    whose(&request.external_user_id, request.external_user_label.as_deref())?;
    money(request.amount, request.currency.as_deref())?;
    Ok(request)
}

pub fn withdrawal(headers: &HeaderMap, body: &[u8]) -> Result<WithdrawalRequest, Wrong> {
    let request: WithdrawalRequest = read(headers, body)?;
    whose(&request.external_user_id, request.external_user_label.as_deref())?;
    money(request.amount, request.currency.as_deref())?;
    if !request.target_iban.starts_with("TR") || iban::check(&request.target_iban).is_err() {
        return Err(invalid("targetIban", "is not a Turkish IBAN"));
    }
    let holder = request.target_holder_name.trim();
    if holder.is_empty() || holder.chars().count() > TEXT_MAX {
        return Err(invalid("targetHolderName", "must have 1 to 128 characters"));
    }
    Ok(request)
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Wrong> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(invalid("Content-Type", "must be application/json"));
    }
    serde_json::from_slice(body).map_err(|why| invalid("body", &why.to_string()))
}

fn whose(user: &str, label: Option<&str>) -> Result<(), Wrong> {
    if user.is_empty() || user.chars().count() > TEXT_MAX {
        return Err(invalid("externalUserId", "must have 1 to 128 characters"));
    }
    match label {
        Some(label) if label.chars().count() > TEXT_MAX => {
            Err(invalid("externalUserLabel", "must have at most 128 characters"))
        }
        Some(_) | None => Ok(()),
    }
}

fn money(Minor(minor): Minor, currency: Option<&str>) -> Result<(), Wrong> {
    let limit = |code, text: &str| Wrong::new(StatusCode::BAD_REQUEST, code, text);
    match currency {
        Some("TRY") | None => {}
        Some(_) => return Err(invalid("currency", "only TRY is active")),
    }
    if minor < MINIMUM_MINOR {
        return Err(limit(error::AMOUNT_BELOW_MIN, "the amount is below the minimum"));
    }
    if minor > MAXIMUM_MINOR {
        return Err(limit(error::AMOUNT_ABOVE_MAX, "the amount is above the maximum"));
    }
    Ok(())
}

/// What a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub from: Option<Timestamp>,
    /// Not included.
    pub to: Option<Timestamp>,
    pub status: Option<Vec<String>>,
    pub event_type: Option<Vec<String>>,
    pub cursor: Option<String>,
    pub limit: usize,
}

/// Entries of a page that is not asked for by size.
const LIMIT: usize = 50;

/// Reads a query. `status_name` is what the filter by status is called, `statuses` what it may say.
pub fn wanted(query: &str, status_name: &str, statuses: &[&str]) -> Result<Wanted, Wrong> {
    let mut wanted = Wanted { limit: LIMIT, ..Wanted::default() };
    let list = |value: &str| value.split(',').map(str::to_owned).collect::<Vec<_>>();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let time = || Timestamp::parse(&value).ok_or_else(|| invalid(&name, "is not an ISO 8601 time"));
        match name.as_ref() {
            "createdFrom" => wanted.from = Some(time()?),
            "createdTo" => wanted.to = Some(time()?),
            "cursor" => {
                let known = Uuid::try_parse(&value).map_err(|_| invalid("cursor", "is not one of ours"))?;
                wanted.cursor = Some(known.to_string());
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                wanted.limit = limit.ok_or_else(|| invalid("limit", "must be 1 to 100"))?;
            }
            "eventType" => wanted.event_type = Some(list(&value)),
            other if other == status_name => {
                let given = list(&value);
                if given.iter().any(|word| !statuses.contains(&word.as_str())) {
                    return Err(invalid(status_name, "holds an unknown value"));
                }
                wanted.status = Some(given);
            }
            _ => {}
        }
    }
    Ok(wanted)
}
