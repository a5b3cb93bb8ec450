//! What came back, and how it reads in the contract's words.

use rialto_adapters::port::{Currency, Money};
use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::client::{Ask, NoReply, Reply};
use super::tree::Tree;
use crate::contracts::billwerk::dto::{
    PaymentCancellationStatus, PaymentErrorCode as Code, PaymentTransactionStatus as Status,
};

/// Characters of a message or page that are shown.
const SHOWN_MAX: usize = 160;

/// A request with what came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub ask: Ask,
    pub got: Result<Reply, NoReply>,
}

/// An error body as far as it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub code: Code,
    pub message: String,
    pub received_at: String,
    pub status: Status,
}

impl Answer {
    /// 0 where nothing came.
    pub fn status(&self) -> u16 {
        self.got.as_ref().map_or(0, |reply| reply.status)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// The body, if it is a JSON object.
    pub fn tree(&self) -> Option<&Tree> {
        self.got.as_ref().ok()?.tree.as_ref().ok().filter(|tree| tree.is_object())
    }

    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.tree()?.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// A success that can be read.
    pub fn is_ok(&self) -> bool {
        self.is_success() && self.tree().is_some()
    }

    /// The state that a success shows.
    pub fn state(&self) -> Option<Status> {
        if !self.is_ok() {
            return None;
        }
        choice(self.get("status"), Status::by_name, Status::by_code)
    }

    pub fn is(&self, state: Status) -> bool {
        self.state() == Some(state)
    }

    /// Whether it is still to be decided.
    pub fn is_open(&self) -> bool {
        matches!(self.state(), Some(Status::Initiated | Status::Pending))
    }

    pub fn cancellation(&self) -> Option<PaymentCancellationStatus> {
        let by = PaymentCancellationStatus::by_name;
        choice(self.get("cancellationStatus").filter(|_| self.is_ok()), by, PaymentCancellationStatus::by_code)
    }

    /// The error, if it is one with a body that says so.
    pub fn error(&self) -> Option<Told> {
        if self.got.is_err() || self.is_success() {
            return None;
        }
        let body = self.tree()?;
        let names = ["errorCode", "errorMessage", "receivedAt"];
        if !names.iter().any(|name| body.get(name).is_some()) {
            return None;
        }
        let text = |name: &str| body.get(name).and_then(Tree::as_text).unwrap_or_default().to_owned();
        Some(Told {
            code: code(body.get("errorCode")).unwrap_or(Code::UnmappedError),
            message: text("errorMessage"),
            received_at: text("receivedAt"),
            status: choice(body.get("status"), Status::by_name, Status::by_code).unwrap_or(Status::Failed),
        })
    }

    /// An error with its body, 4xx or 5xx.
    pub fn is_error(&self) -> bool {
        self.status() >= 400 && self.error().is_some()
    }

    /// An error with its body that says it is the caller's fault.
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status()) && self.is_error()
    }

    pub fn has_code(&self, code: Code) -> bool {
        self.error().is_some_and(|told| told.code == code)
    }

    /// An amount; what is left out is 0.
    pub fn money(&self, name: &str, currency: Currency) -> Option<Money> {
        match self.get(name) {
            None => Some(Money::new(0, currency)),
            Some(Tree::Number(digits)) => Money::parse_major(digits, currency).ok(),
            Some(Tree::Null | Tree::Bool(_) | Tree::Text(_) | Tree::List(_) | Tree::Object(_)) => None,
        }
    }

    pub fn has_money(&self, name: &str, money: Money) -> bool {
        self.is_ok() && self.money(name, money.currency) == Some(money)
    }

    /// The sum of the amounts of the items of a list.
    pub fn sum(&self, name: &str, currency: Currency) -> Option<Money> {
        let items = self.get(name).map(Tree::items).unwrap_or_default();
        let mut each = items.iter().map(|item| match item.get("amount") {
            Some(Tree::Number(digits)) => Money::parse_major(digits, currency).ok().map(|money| money.minor),
            _ => None,
        });
        let total = each.try_fold(0i64, |sum, minor| sum.checked_add(minor?))?;
        Some(Money::new(total, currency))
    }

    /// Whether something is in the bearer, and under a name with this word in it.
    pub fn bearer_has(&self, word: &str) -> bool {
        let members = self.get("bearer").map(Tree::members).unwrap_or_default();
        members.iter().any(|(name, value)| {
            name.to_ascii_lowercase().contains(word) && value.as_text().is_some_and(|text| !text.trim().is_empty())
        })
    }

    /// In a few words, for `got`.
    pub fn told(&self) -> String {
        let reply = match &self.got {
            Ok(reply) => reply,
            Err(why) => return why.to_string(),
        };
        let status = reply.status;
        if let Some(told) = self.error() {
            let Told { code, message, status: state, .. } = told;
            return format!("{status} {} ({}): {}", code.name(), state.name(), shown(&message));
        }
        match &reply.tree {
            Ok(tree) if self.is_success() => match (self.state(), self.cancellation()) {
                (Some(state), _) => format!("{status} {}", state.name()),
                (None, Some(cancellation)) => format!("{status} {}", cancellation.name()),
                (None, None) => format!("{status} {}", shown(&tree.to_string())),
            },
            Ok(tree) => format!("{status} without an error object: {}", shown(&tree.to_string())),
            Err(_) if reply.text.trim().is_empty() => format!("{status} with an empty body"),
            Err(why) => format!("{status} with a body that is not JSON ({}): {}", shown(why), shown(&reply.text)),
        }
    }
}

/// The beginning of a text.
pub fn shown(text: &str) -> String {
    cut(text.trim(), SHOWN_MAX)
}

/// At most so many characters of a text, and whether there were more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A value of an enum, by name or number.
pub fn choice<T>(
    tree: Option<&Tree>,
    by_name: impl Fn(&str) -> Option<T>,
    by_code: impl Fn(i64) -> Option<T>,
) -> Option<T> {
    match tree? {
        Tree::Text(name) => by_name(name),
        Tree::Number(digits) => by_code(digits.parse().ok()?),
        Tree::Null | Tree::Bool(_) | Tree::List(_) | Tree::Object(_) => None,
    }
}

/// An error code; what is left out is `UnmappedError`.
pub fn code(tree: Option<&Tree>) -> Option<Code> {
    match tree {
        None => Some(Code::UnmappedError),
        tree => choice(tree, Code::by_name, Code::by_code),
    }
}

/// A moment, and whether it says that it is UTC. Without an offset it is taken as UTC, as the reference writes it.
pub fn moment(text: &str) -> Option<(OffsetDateTime, bool)> {
    if let Ok(at) = OffsetDateTime::parse(text, &Iso8601::DEFAULT) {
        return Some((at, at.offset() == UtcOffset::UTC));
    }
    let at = PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok()?;
    Some((at.assume_utc(), true))
}

/// A date, alone or at the beginning of a moment.
pub fn day(text: &str) -> Option<Date> {
    Date::parse(text, &Iso8601::DATE).ok().or_else(|| moment(text).map(|(at, _)| at.date()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        let reply = Reply {
            status,
            content_type: "application/json".to_owned(),
            text: text.to_owned(),
            tree: Tree::read(text.as_bytes()),
        };
        Answer { ask: Ask::get("/api/Payment/x"), got: Ok(reply) }
    }

    #[test]
    fn errors_in_either_casing_with_numbers_or_names() {
        let rows = [
            (
                r#"{"ErrorCode":8,"ErrorMessage":"m","ReceivedAt":"r","Status":4}"#,
                Some((Code::InvalidData, Status::Failed)),
            ),
            (
                r#"{"errorCode":"rejected","receivedAt":"r","status":"Expired"}"#,
                Some((Code::Rejected, Status::Expired)),
            ),
            (r#"{"receivedAt":"r"}"#, Some((Code::UnmappedError, Status::Failed))),
            (r#"{"title":"Not Found","status":404}"#, None),
            ("[]", None),
            ("<html>", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let told = answer(422, text).error();
            assert_eq!(told.map(|told| (told.code, told.status)), expected, "{text}");
        }
        assert_eq!(answer(200, r#"{"errorCode":8}"#).error(), None);
    }

    #[test]
    fn amounts_are_exact_or_none() {
        let eur = |minor| Some(Money::new(minor, Currency::EUR));
        let rows = [
            (r#"{"a":0.3}"#, eur(30)),
            (r#"{"A":0.30000}"#, eur(30)),
            (r#"{}"#, eur(0)),
            (r#"{"a":null}"#, eur(0)),
            (r#"{"a":0.30000000000000004}"#, None),
            (r#"{"a":"0.3"}"#, None),
        ];
        for (text, expected) in rows {
            assert_eq!(answer(200, text).money("a", Currency::EUR), expected, "{text}");
        }
        let items = answer(200, r#"{"payments":[{"amount":0.1},{"amount":0.2}]}"#);
        assert_eq!(items.sum("payments", Currency::EUR), eur(30));
    }

    #[test]
    fn times_as_anybody_writes_them() {
        let rows = [
            ("2024-06-18T20:23:59.0070000Z", Some(true)),
            ("2024-06-18T20:23:59", Some(true)),
            ("2024-06-18T20:23:59+02:00", Some(false)),
            ("9999-12-31T23:59:59.9999999Z", Some(true)),
            ("18.06.2024", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(moment(text).map(|(_, utc)| utc), expected, "{text}");
        }
        assert!(day("2024-06-18").is_some() && day("2024-06-18T00:00:00Z").is_some() && day("June").is_none());
    }

    #[test]
    fn what_came_in_a_few_words() {
        let rows = [
            (answer(200, r#"{"status":"Pending"}"#), "200 Pending"),
            (answer(200, r#"{"cancellationStatus":-1}"#), "200 NotCancelled"),
            (answer(200, r#"{"x":1}"#), r#"200 {"x":1}"#),
            (answer(500, "<html>"), "500 with a body that is not JSON (expected value at line 1 column 1): <html>"),
            (answer(500, ""), "500 with an empty body"),
            (answer(404, r#"{"title":"x"}"#), r#"404 without an error object: {"title":"x"}"#),
            (answer(422, r#"{"ErrorCode":5,"ErrorMessage":"too much"}"#), "422 InvalidAmount (Failed): too much"),
        ];
        for (answer, expected) in rows {
            assert_eq!(answer.told(), expected);
        }
        let late = NoReply::Late(std::time::Duration::from_secs(10));
        assert_eq!(Answer { ask: Ask::get("/"), got: Err(late) }.told(), "no answer within 10 s");
    }
}
