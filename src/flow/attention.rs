//! Everything that waits for a person, oldest first, with what can be done about it.

use rialto_adapters::port::Timestamp;
use uuid::Uuid;

use super::limits::NEEDS_ATTENTION_AFTER;
use super::resolve::NotResolved;
use super::{Engine, FlowError};
use crate::core::alert::Alert;
use crate::core::transaction::State;
use crate::store::attention::PAGE;
use crate::store::deliveries::Delivery;
use crate::store::history::StoredAlert;
use crate::store::inbox::{NoticeLine, NoticeState};
use crate::store::transactions::Transaction;

/// One thing that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is asked for by the commands: a transaction's, a notice's, a delivery's or an alert's id.
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub since: Timestamp,
    pub what: What,
    /// For a person, in a sentence or two.
    pub text: String,
    /// What can be done about it, ready to be completed and pasted.
    pub commands: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An open alert, with the transaction it is about.
    Alert { kind: String, transaction: Option<Uuid> },
    /// A transaction of which it has not been known for long what became of it.
    Unknown,
    /// A notice in this state.
    Notice(NoticeState),
    /// A delivery that was given up.
    Delivery,
}

impl What {
    /// The published name: `alert`, `unknown`, `notice`, `delivery`.
    pub fn as_str(&self) -> &'static str {
        match self {
            What::Alert { .. } => "alert",
            What::Unknown => "unknown",
            What::Notice(_) => "notice",
            What::Delivery => "delivery",
        }
    }
}

/// The oldest things that wait, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    pub items: Vec<Item>,
    pub left_out: u64,
}

impl Engine {
    /// Of one tenant, or of all.
    pub async fn attention(&self, tenant: Option<Uuid>) -> Result<Attention, FlowError> {
        let now = self.clock.now();
        let long_ago = now.minus(self.clock.wait(NEEDS_ATTENTION_AFTER));
        let store = &self.store;
        let alerts = store.alerts_open_everywhere(tenant).await?;
        let unknown = store.transactions_unknown_everywhere(tenant, long_ago).await?;
        let notices = store.notices_waiting_everywhere(tenant, long_ago).await?;
        let deliveries = store.deliveries_dead_everywhere(tenant).await?;
        let mut left_out = alerts.left_out + unknown.left_out + notices.left_out + deliveries.left_out;
        let mut items: Vec<Item> = Vec::new();
        for (alert, about) in &alerts.rows {
            let can_go_back = match about {
                Some(t) => self.can_give_back(t, &alert.kind).await?,
                None => false,
            };
            items.push(of_alert(alert, about.as_ref(), can_go_back));
        }
        items.extend(unknown.rows.iter().map(of_unknown));
        items.extend(notices.rows.iter().map(of_notice));
        items.extend(deliveries.rows.iter().map(of_delivery));
        // By id where two are as old, so that the list does not change its order by itself.
        items.sort_by_key(|item| (item.since, item.id));
        let shown = usize::try_from(PAGE).unwrap_or(usize::MAX);
        left_out += items.len().saturating_sub(shown) as u64;
        items.truncate(shown);
        Ok(Attention { items, left_out })
    }

    /// Whether money that is not the merchant's is still here and can go back through the provider.
    async fn can_give_back(&self, t: &Transaction, alert: &str) -> Result<bool, FlowError> {
        if ![Alert::LateMoney, Alert::GiveBackFailed].iter().any(|kind| kind.as_str() == alert) {
            return Ok(false);
        }
        match self.held(t, std::iter::once(alert)).await {
            Ok(_) => Ok(true),
            Err(NotResolved::Flow(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// `refund of 12.23 EUR, unknown, reference r1`.
fn about(t: &Transaction) -> String {
    let theirs = t.theirs.as_ref().map_or(String::new(), |theirs| format!(", theirs {theirs}"));
    format!("{} of {}, {}, reference {}{theirs}", t.kind.as_str(), t.amount, t.state.name(), t.ours)
}

fn resolve(id: Uuid, how: &str) -> String {
    format!("rialto resolve {id} {how} --why '…'")
}

/// How an open outcome can end, the good end first.
fn ends(t: &Transaction) -> [String; 2] {
    [resolve(t.id, &format!("--as {}", State::good(t.kind).name())), resolve(t.id, "--as declined")]
}

fn of_alert(alert: &StoredAlert, transaction: Option<&Transaction>, can_give_back: bool) -> Item {
    let mut commands = Vec::new();
    let mut text = alert.text.clone();
    if let Some(t) = transaction {
        text = format!("{}: {text}", about(t));
        match t.state {
            State::Unknown | State::Pending(_) => commands.extend(ends(t)),
            State::Authorised if alert.kind == Alert::Conflict.as_str() => {
                commands.push(resolve(t.id, "--as cancelled"));
            }
            // Of what could not be given back there is no doubt.
            State::Declined(_) if alert.kind == Alert::GiveBackFailed.as_str() => {}
            State::Declined(_) | State::Expired | State::Cancelled => {
                commands.push(resolve(t.id, &format!("--as {}", State::good(t.kind).name())));
            }
            State::Created | State::Submitted | State::Authorised | State::Succeeded => {}
        }
        if can_give_back {
            commands.push(resolve(t.id, "--give-back"));
        }
    }
    let id = transaction.map_or(alert.id, |t| t.id);
    // Nothing can be kept of which it is not known what it is.
    if !transaction.is_some_and(|t| matches!(t.state, State::Unknown | State::Created | State::Submitted)) {
        commands.push(resolve(id, "--keep"));
    }
    let what = What::Alert { kind: alert.kind.clone(), transaction: alert.transaction_id };
    Item { id, tenant_id: alert.tenant_id, since: alert.raised_at, what, text, commands }
}

fn of_unknown(t: &Transaction) -> Item {
    let asked = match t.lookups {
        0 => "it was not looked up yet".to_owned(),
        lookups => format!("{lookups} look-ups brought nothing"),
    };
    let text = format!("{}: it may or may not have happened; {asked}", about(t));
    let (what, commands) = (What::Unknown, ends(t).to_vec());
    Item { id: t.id, tenant_id: t.tenant_id, since: t.created_at, what, text, commands }
}

fn of_notice(notice: &NoticeLine) -> Item {
    let id = notice.id;
    let (text, mut commands) = match notice.state {
        NoticeState::Unreadable => {
            let why = notice.state_text.as_deref().unwrap_or("it is not what the provider documents");
            (format!("genuine, but it cannot be read: {why}"), vec![format!("rialto replay {id}")])
        }
        NoticeState::Parked => ("waits for a transaction that we do not know yet".to_owned(), Vec::new()),
        NoticeState::Unmatched
        | NoticeState::Waiting
        | NoticeState::Done
        | NoticeState::Ignored
        | NoticeState::Rejected => ("belongs to no transaction that we know".to_owned(), Vec::new()),
    };
    commands.insert(0, format!("rialto notice show {id}"));
    if notice.state != NoticeState::Unreadable {
        commands.push(format!("rialto notice match {id} TRANSACTION --why '…'"));
    }
    commands.push(format!("rialto notice drop {id} --why '…'"));
    let (what, since) = (What::Notice(notice.state), notice.received_at);
    let text = format!("notice for connection {}, {}: {text}", notice.connection_id, notice.state.as_str());
    Item { id, tenant_id: notice.tenant_id, since, what, text, commands }
}

fn of_delivery(delivery: &Delivery) -> Item {
    let host = url::Url::parse(&delivery.url).map_or(String::new(), |url| url.origin().ascii_serialization());
    let text = format!("news for {host} were given up after {} attempts", delivery.attempts);
    let (id, commands) = (delivery.id, vec![format!("rialto replay {}", delivery.id)]);
    Item { id, tenant_id: delivery.tenant_id, since: delivery.created_at, what: What::Delivery, text, commands }
}
