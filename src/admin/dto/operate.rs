//! Bodies of what operators do: attention, resolve, notices, replay.

use poem_openapi::{Enum, Object};
use rialto_adapters::port::Reason;

use crate::flow::attention::{Attention, Item, What};
use crate::flow::operate::{Matched, Replayed};
use crate::flow::resolve::Resolved;
use crate::http::amount::Amount;
use crate::store::attention::Page;
use crate::store::inbox::{NoticeLine, NoticeState, NoticeVerdict};

#[derive(Clone, Debug, Object)]
pub struct AttentionList {
    /// Oldest first.
    pub items: Vec<AttentionItem>,
    /// How many younger ones there are.
    pub left_out: u64,
}

#[derive(Clone, Debug, Object)]
pub struct AttentionItem {
    /// Of the transaction, the notice, the delivery, or the alert that belongs to none of them.
    pub id: String,
    pub tenant_id: String,
    /// Milliseconds since 1970, UTC.
    pub since_ms: i64,
    /// `alert`, `unknown`, `notice`, `delivery`.
    pub what: String,
    /// Of an alert: which; of a notice: its state.
    #[oai(skip_serializing_if_is_none)]
    pub kind: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub transaction_id: Option<String>,
    /// For a person.
    pub text: String,
    /// What can be done about it, ready to be completed and pasted.
    pub commands: Vec<String>,
}

impl From<Attention> for AttentionList {
    fn from(attention: Attention) -> AttentionList {
        AttentionList {
            items: attention.items.into_iter().map(AttentionItem::from).collect(),
            left_out: attention.left_out,
        }
    }
}

impl From<Item> for AttentionItem {
    fn from(item: Item) -> AttentionItem {
        let name = item.what.as_str().to_owned();
        let (kind, transaction_id) = match item.what {
            What::Alert { kind, transaction } => (Some(kind), transaction.map(|id| id.to_string())),
            What::Unknown => (None, Some(item.id.to_string())),
            What::Notice(state) => (Some(state.as_str().to_owned()), None),
            What::Delivery => (None, None),
        };
        AttentionItem {
            id: item.id.to_string(),
            tenant_id: item.tenant_id.to_string(),
            since_ms: item.since.0,
            what: name,
            kind,
            transaction_id,
            text: item.text,
            commands: item.commands,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Word {
    Succeeded,
    Authorised,
    Declined,
    Expired,
    Cancelled,
    /// It stays as it is, and its alerts are settled.
    Keep,
    /// Money that came too late goes back.
    GiveBack,
}

#[derive(Clone, Debug, Object)]
pub struct ResolveWish {
    /// What became of it, or what is to be done.
    #[oai(rename = "as")]
    pub word: Word,
    /// Why it was declined: one of the closed list, such as `insufficient_funds`. Without it: `rejected`.
    pub reason: Option<String>,
    /// What moved, where that is not what was asked for. Never more.
    pub amount: Option<Amount>,
    /// ISO 4217; it must be the transaction's.
    pub currency: Option<String>,
    /// How you know. It stands in the history and in the audit; at most 500 bytes.
    pub why: String,
}

/// The closed list of reasons, for a text.
pub(in crate::admin) fn reasons() -> String {
    Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ")
}

#[derive(Clone, Debug, Object)]
pub struct ResolveDone {
    /// Of the transaction, or of the alert that belongs to none.
    pub id: String,
    #[oai(skip_serializing_if_is_none)]
    pub tenant_id: Option<String>,
    /// Absent for an alert that belongs to no transaction.
    #[oai(skip_serializing_if_is_none)]
    pub before: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub state: Option<String>,
    /// Of a declined one.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// What is booked, in major units.
    #[oai(skip_serializing_if_is_none)]
    pub amount: Option<Amount>,
    #[oai(skip_serializing_if_is_none)]
    pub currency: Option<String>,
    /// Transactions this started: money given back, a rest given free.
    pub started: Vec<String>,
}

impl ResolveDone {
    pub fn of(id: &str, resolved: Option<Resolved>) -> ResolveDone {
        let Some(Resolved { before, after, started }) = resolved else {
            return ResolveDone {
                id: id.to_owned(),
                tenant_id: None,
                before: None,
                state: None,
                reason: None,
                amount: None,
                currency: None,
                started: Vec::new(),
            };
        };
        let booked = after.confirmed.filter(|_| after.state.is_good(after.kind));
        ResolveDone {
            id: id.to_owned(),
            tenant_id: Some(after.tenant_id.to_string()),
            before: Some(before.state.name().to_owned()),
            state: Some(after.state.name().to_owned()),
            reason: after.state.reason().map(str::to_owned),
            amount: booked.map(Amount::from),
            currency: booked.map(|money| money.currency.code().to_owned()),
            started: started.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "NoticeState")]
pub enum NoticeStateName {
    Waiting,
    Done,
    Parked,
    Unmatched,
    Ignored,
    Unreadable,
    Rejected,
}

impl From<NoticeStateName> for NoticeState {
    fn from(name: NoticeStateName) -> NoticeState {
        match name {
            NoticeStateName::Waiting => NoticeState::Waiting,
            NoticeStateName::Done => NoticeState::Done,
            NoticeStateName::Parked => NoticeState::Parked,
            NoticeStateName::Unmatched => NoticeState::Unmatched,
            NoticeStateName::Ignored => NoticeState::Ignored,
            NoticeStateName::Unreadable => NoticeState::Unreadable,
            NoticeStateName::Rejected => NoticeState::Rejected,
        }
    }
}

impl From<NoticeState> for NoticeStateName {
    fn from(state: NoticeState) -> NoticeStateName {
        match state {
            NoticeState::Waiting => NoticeStateName::Waiting,
            NoticeState::Done => NoticeStateName::Done,
            NoticeState::Parked => NoticeStateName::Parked,
            NoticeState::Unmatched => NoticeStateName::Unmatched,
            NoticeState::Ignored => NoticeStateName::Ignored,
            NoticeState::Unreadable => NoticeStateName::Unreadable,
            NoticeState::Rejected => NoticeStateName::Rejected,
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct NoticeItem {
    pub id: String,
    pub tenant_id: String,
    pub connection_id: String,
    /// Milliseconds since 1970, UTC.
    pub received_at_ms: i64,
    pub state: NoticeStateName,
    /// What there is to say about the state.
    #[oai(skip_serializing_if_is_none)]
    pub text: Option<String>,
    /// Whether the provider's signature was on it.
    pub genuine: bool,
    /// How often it was read.
    pub attempts: i32,
    /// When it is read next.
    #[oai(skip_serializing_if_is_none)]
    pub next_at_ms: Option<i64>,
}

impl From<NoticeLine> for NoticeItem {
    fn from(line: NoticeLine) -> NoticeItem {
        NoticeItem {
            id: line.id.to_string(),
            tenant_id: line.tenant_id.to_string(),
            connection_id: line.connection_id.to_string(),
            received_at_ms: line.received_at.0,
            state: line.state.into(),
            text: line.state_text.or(line.verdict_text),
            genuine: match line.verdict {
                NoticeVerdict::Verified => true,
                NoticeVerdict::Nudge | NoticeVerdict::Rejected => false,
            },
            attempts: line.attempts,
            next_at_ms: line.next_at.map(|at| at.0),
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct NoticeList {
    /// Newest first.
    pub notices: Vec<NoticeItem>,
    /// How many older ones there are.
    pub left_out: u64,
}

impl From<Page<NoticeLine>> for NoticeList {
    fn from(page: Page<NoticeLine>) -> NoticeList {
        NoticeList { notices: page.rows.into_iter().map(NoticeItem::from).collect(), left_out: page.left_out }
    }
}

#[derive(Clone, Debug, Object)]
pub struct NoticeShown {
    pub notice: NoticeItem,
    /// What it says in the one model, a line for each piece of news; or why it says nothing.
    pub says: Vec<String>,
    /// A line each. Secrets and signatures are masked.
    pub headers: String,
    /// As it came, cut where it is long. Secrets, documents and account numbers are masked.
    pub body: String,
}

#[derive(Clone, Debug, Object)]
pub struct MatchWish {
    /// The transaction it is about, of the same connection.
    pub transaction_id: String,
    /// How you know; at most 500 bytes.
    pub why: String,
}

#[derive(Clone, Debug, Object)]
pub struct MatchDone {
    pub notice_id: String,
    pub transaction_id: String,
    /// State of the transaction before.
    pub before: String,
    /// And now.
    pub state: String,
}

impl MatchDone {
    pub fn of(notice: &str, transaction: &str, matched: &Matched) -> MatchDone {
        MatchDone {
            notice_id: notice.to_owned(),
            transaction_id: transaction.to_owned(),
            before: matched.before.name().to_owned(),
            state: matched.after.name().to_owned(),
        }
    }
}

#[derive(Clone, Debug, Object)]
pub struct DropWish {
    /// How you know that it is about nothing of ours; at most 500 bytes.
    pub why: String,
}

#[derive(Clone, Debug, Object)]
pub struct DropDone {
    pub id: String,
    /// `ignored`
    pub state: NoticeStateName,
}

#[derive(Clone, Debug, Object)]
pub struct ReplayDone {
    pub id: String,
    /// `notice` or `delivery`.
    pub what: String,
    /// `waiting` to be read, or `due` to be sent.
    pub state: String,
}

impl From<Replayed> for ReplayDone {
    fn from(replayed: Replayed) -> ReplayDone {
        let (id, what, state) = match replayed {
            Replayed::Notice(id) => (id, "notice", NoticeState::Waiting.as_str()),
            Replayed::Delivery(id) => (id, "delivery", crate::store::deliveries::DeliveryState::Due.as_str()),
        };
        ReplayDone { id: id.to_string(), what: what.to_owned(), state: state.to_owned() }
    }
}
