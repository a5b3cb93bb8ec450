//! Finding what belongs to a name that somebody has for something, across all tenants: for operators alone. Callers are
//! answered by the functions of each aggregate, owner first.
//!
//! Every list is bounded. Where a history is longer than its page, its beginning and its end are read: how it came to be,
//! and why it is so now.

use rialto_adapters::port::{Currency, Money, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use super::deliveries::{Attempt, Delivery};
use super::entity::{
    agreements, alerts, api_keys, attempts, audit, connections, deliveries, endpoints, events, exchanges, facts,
    intents, movements, notices, parked, tenants, transactions,
};
use super::events::Event;
use super::history::{BookedMovement, Fact, StoredExchange};
use super::inbox::NoticeLine;
use super::operators::AuditEntry;
use super::sql::known;
use super::vault::hash_token;
use super::{Store, StoreError};
use crate::core::intent::{IntentKind, IntentState};

/// Found under one name; a person looks at no more, and asks again with an exact id.
pub const FOUND_MAX: u64 = 20;
/// Rows of a history read from its beginning, and as many from its end.
const END_PAGE: u64 = 60;
/// Deliveries, alerts, notices and audit entries of one intent.
const BESIDE_PAGE: u64 = 60;

/// What a reference may be to the thing it names. The order is the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    IntentId,
    TransactionId,
    NoticeId,
    DeliveryId,
    EventId,
    AgreementId,
    CallerId,
    CallerAgreement,
    Customer,
    OurReference,
    TheirReference,
    SchemeReference,
    Movement,
    Parked,
    Trace,
}

impl Name {
    pub const ALL: [Name; 15] = [
        Name::IntentId,
        Name::TransactionId,
        Name::NoticeId,
        Name::DeliveryId,
        Name::EventId,
        Name::AgreementId,
        Name::CallerId,
        Name::CallerAgreement,
        Name::Customer,
        Name::OurReference,
        Name::TheirReference,
        Name::SchemeReference,
        Name::Movement,
        Name::Parked,
        Name::Trace,
    ];

    /// The published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::IntentId => "intent_id",
            Name::TransactionId => "transaction_id",
            Name::NoticeId => "notice_id",
            Name::DeliveryId => "delivery_id",
            Name::EventId => "event_id",
            Name::AgreementId => "agreement_id",
            Name::CallerId => "caller_id",
            Name::CallerAgreement => "caller_agreement",
            Name::Customer => "customer",
            Name::OurReference => "our_reference",
            Name::TheirReference => "psp_reference",
            Name::SchemeReference => "scheme_reference",
            Name::Movement => "movement",
            Name::Parked => "parked_notice",
            Name::Trace => "trace",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Name::IntentId => "our id of an intent",
            Name::TransactionId => "our id of a transaction",
            Name::NoticeId => "our id of a notice",
            Name::DeliveryId => "our id of a delivery",
            Name::EventId => "our id of an event",
            Name::AgreementId => "our id of an agreement",
            Name::CallerId => "the caller's transactionId",
            Name::CallerAgreement => "the caller's agreementId",
            Name::Customer => "the caller's customer number",
            Name::OurReference => "our reference at the PSP",
            Name::TheirReference => "the PSP's reference",
            Name::SchemeReference => "the scheme's reference (end-to-end id)",
            Name::Movement => "the PSP's id of a movement of money",
            Name::Parked => "a name in a notice that waits for its transaction",
            Name::Trace => "the id of a request (trace)",
        }
    }

    /// Whether it is one of our own ids.
    fn is_id(self) -> bool {
        match self {
            Name::IntentId
            | Name::TransactionId
            | Name::NoticeId
            | Name::DeliveryId
            | Name::EventId
            | Name::AgreementId => true,
            Name::CallerId
            | Name::CallerAgreement
            | Name::Customer
            | Name::OurReference
            | Name::TheirReference
            | Name::SchemeReference
            | Name::Movement
            | Name::Parked
            | Name::Trace => false,
        }
    }
}

/// How much one name gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    pub name: Name,
    /// At most [`FOUND_MAX`]; more where `more`.
    pub count: usize,
    pub more: bool,
}

/// What a reference names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finds {
    pub looked: Vec<Looked>,
    /// Intents, in the order of the names by which they were found, each once.
    pub intents: Vec<(Uuid, Name)>,
    /// Notices that belong to no transaction (yet).
    pub notices: Vec<Uuid>,
    /// Agreements: (tenant, caller's id) of each.
    pub agreements: Vec<(Uuid, String)>,
}

impl Finds {
    pub fn is_empty(&self) -> bool {
        self.intents.is_empty() && self.notices.is_empty() && self.agreements.is_empty()
    }
}

/// An intent as a line in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentLine {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub contract: String,
    pub operation: String,
    pub caller_key: String,
    pub kind: IntentKind,
    pub state: IntentState,
    pub amount: Money,
    pub parent_id: Option<Uuid>,
    pub created_at: Timestamp,
}

/// An alert with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertLine {
    pub transaction_id: Option<Uuid>,
    pub kind: String,
    pub text: String,
    pub raised_at: Timestamp,
    pub settled_at: Option<Timestamp>,
}

/// The beginning and the end of a history, oldest first, and how many rows between them were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends<T> {
    pub rows: Vec<T>,
    pub left_out: u64,
}

impl<T> Default for Ends<T> {
    fn default() -> Ends<T> {
        Ends { rows: Vec::new(), left_out: 0 }
    }
}

/// Something of ours that is not an intent, by its id: what it is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherThing {
    pub what: &'static str,
    pub tenant: Option<String>,
}

/// What one kind of name gave.
#[derive(Default)]
struct Hits {
    intents: Vec<Uuid>,
    notices: Vec<Uuid>,
    agreements: Vec<(Uuid, String)>,
}

impl Hits {
    fn count(&self) -> usize {
        self.intents.len().max(self.notices.len()).max(self.agreements.len())
    }
}

/// Asked for beyond a page, to know whether there is more.
const FOUND_AND_ONE: u64 = FOUND_MAX + 1;

impl Store {
    /// Everything that goes by this name, whatever kind of name it is.
    pub async fn find(&self, reference: &str) -> Result<Finds, StoreError> {
        let mut finds = Finds::default();
        let id = Uuid::parse_str(reference).ok();
        let page = usize::try_from(FOUND_MAX).unwrap_or(usize::MAX);
        for name in Name::ALL {
            let hits = match (name.is_id(), id) {
                // No id looks so.
                (true, None) => Hits::default(),
                (true, Some(id)) => self.find_by_id(name, id).await?,
                (false, _) => self.find_by_name(name, reference).await?,
            };
            let (count, more) = (hits.count().min(page), hits.count() > page);
            finds.looked.push(Looked { name, count, more });
            for intent in hits.intents.into_iter().take(page) {
                if !finds.intents.iter().any(|(found, _)| *found == intent) {
                    finds.intents.push((intent, name));
                }
            }
            finds.notices.extend(hits.notices.into_iter().take(page));
            finds.agreements.extend(hits.agreements.into_iter().take(page));
        }
        finds.notices.sort_unstable();
        finds.notices.dedup();
        Ok(finds)
    }

    async fn find_by_id(&self, name: Name, id: Uuid) -> Result<Hits, StoreError> {
        match name {
            Name::IntentId => self.intents_where(intents::Column::Id.eq(id)).await,
            Name::TransactionId => self.transactions_where(transactions::Column::Id.eq(id)).await,
            Name::NoticeId => {
                let Some(notice) = notices::Entity::find_by_id(id).one(self.reader()).await? else {
                    return Ok(Hits::default());
                };
                let matched = self.matched_by(notice.id).await?;
                let of = self.transactions_where(transactions::Column::Id.is_in(matched)).await?;
                let alone = if of.intents.is_empty() { vec![notice.id] } else { Vec::new() };
                Ok(Hits { notices: alone, ..of })
            }
            Name::DeliveryId => match deliveries::Entity::find_by_id(id).one(self.reader()).await? {
                Some(delivery) => self.events_where(events::Column::Id.eq(delivery.event_id)).await,
                None => Ok(Hits::default()),
            },
            Name::EventId => self.events_where(events::Column::Id.eq(id)).await,
            Name::AgreementId => self.agreements_where(agreements::Column::Id.eq(id)).await,
            Name::CallerId
            | Name::CallerAgreement
            | Name::Customer
            | Name::OurReference
            | Name::TheirReference
            | Name::SchemeReference
            | Name::Movement
            | Name::Parked
            | Name::Trace => Ok(Hits::default()),
        }
    }

    async fn find_by_name(&self, name: Name, text: &str) -> Result<Hits, StoreError> {
        match name {
            Name::CallerId => self.intents_where(intents::Column::CallerKey.eq(text)).await,
            Name::Customer => self.intents_where(intents::Column::CustomerHash.eq(hash_token(text))).await,
            Name::Trace => self.intents_where(intents::Column::Trace.eq(text)).await,
            Name::CallerAgreement => self.agreements_where(agreements::Column::CallerId.eq(text)).await,
            Name::OurReference => self.transactions_where(transactions::Column::OurReference.eq(text)).await,
            Name::TheirReference => self.transactions_where(transactions::Column::TheirReference.eq(text)).await,
            Name::SchemeReference => self.transactions_where(transactions::Column::SchemeReference.eq(text)).await,
            Name::Movement => {
                let booked: Vec<Uuid> = movements::Entity::find()
                    .select_only()
                    .column(movements::Column::TransactionId)
                    .filter(movements::Column::Movement.eq(text))
                    .limit(FOUND_AND_ONE)
                    .into_tuple()
                    .all(self.reader())
                    .await?;
                self.transactions_where(transactions::Column::Id.is_in(booked)).await
            }
            Name::Parked => {
                let notices = parked::Entity::find()
                    .select_only()
                    .column(parked::Column::NoticeId)
                    .filter(parked::Column::Value.eq(text))
                    .order_by_desc(parked::Column::Id)
                    .limit(FOUND_AND_ONE)
                    .into_tuple()
                    .all(self.reader())
                    .await?;
                Ok(Hits { notices, ..Hits::default() })
            }
            Name::IntentId
            | Name::TransactionId
            | Name::NoticeId
            | Name::DeliveryId
            | Name::EventId
            | Name::AgreementId => Ok(Hits::default()),
        }
    }

    async fn intents_where(&self, condition: SimpleExpr) -> Result<Hits, StoreError> {
        let intents = intents::Entity::find()
            .select_only()
            .column(intents::Column::Id)
            .filter(condition)
            .order_by_desc(intents::Column::Id)
            .limit(FOUND_AND_ONE)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(Hits { intents, ..Hits::default() })
    }

    async fn transactions_where(&self, condition: SimpleExpr) -> Result<Hits, StoreError> {
        let intents = transactions::Entity::find()
            .select_only()
            .column(transactions::Column::IntentId)
            .filter(condition)
            .order_by_desc(transactions::Column::Id)
            .limit(FOUND_AND_ONE)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(Hits { intents, ..Hits::default() })
    }

    async fn events_where(&self, condition: SimpleExpr) -> Result<Hits, StoreError> {
        let intents = events::Entity::find()
            .select_only()
            .column(events::Column::IntentId)
            .filter(condition)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(Hits { intents, ..Hits::default() })
    }

    async fn agreements_where(&self, condition: SimpleExpr) -> Result<Hits, StoreError> {
        let found: Vec<(Uuid, Uuid, String)> = agreements::Entity::find()
            .select_only()
            .columns([agreements::Column::Id, agreements::Column::TenantId, agreements::Column::CallerId])
            .filter(condition)
            .order_by_desc(agreements::Column::Id)
            .limit(FOUND_AND_ONE)
            .into_tuple()
            .all(self.reader())
            .await?;
        let under = self.intents_where(intents::Column::AgreementId.is_in(found.iter().map(|(id, ..)| *id))).await?;
        let agreements = found.into_iter().map(|(_, tenant, caller_id)| (tenant, caller_id)).collect();
        Ok(Hits { agreements, ..under })
    }

    /// The transactions that a notice had something to say about.
    async fn matched_by(&self, notice: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let found = facts::Entity::find()
            .select_only()
            .column(facts::Column::TransactionId)
            .filter(facts::Column::NoticeId.eq(notice))
            .distinct()
            .limit(FOUND_AND_ONE)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(found)
    }

    /// Intents as lines, oldest first.
    pub async fn intent_lines(&self, ids: &[Uuid]) -> Result<Vec<IntentLine>, StoreError> {
        self.lines_where(intents::Column::Id.is_in(ids.iter().copied()), FOUND_AND_ONE).await
    }

    /// What was asked for on top of these, oldest first: captures of a preauth, refunds of a payment.
    pub async fn intent_lines_under(&self, parents: &[Uuid], page: u64) -> Result<Vec<IntentLine>, StoreError> {
        self.lines_where(intents::Column::ParentId.is_in(parents.iter().copied()), page).await
    }

    async fn lines_where(&self, condition: SimpleExpr, page: u64) -> Result<Vec<IntentLine>, StoreError> {
        let found = intents::Entity::find()
            .select_only()
            .columns([
                intents::Column::Id,
                intents::Column::TenantId,
                intents::Column::Contract,
                intents::Column::Operation,
                intents::Column::CallerKey,
                intents::Column::Kind,
                intents::Column::State,
                intents::Column::AmountMinor,
                intents::Column::Currency,
                intents::Column::ParentId,
                intents::Column::CreatedAt,
            ])
            .filter(condition)
            .order_by_asc(intents::Column::Id)
            .limit(page)
            .into_model::<LineRow>()
            .all(self.reader())
            .await?;
        found.into_iter().map(IntentLine::try_from).collect()
    }

    /// The beginning of a key, by which its owner knows it.
    pub async fn key_hint(&self, tenant: Uuid, key: Uuid) -> Result<Option<String>, StoreError> {
        let found = api_keys::Entity::find_by_id(key).filter(api_keys::Column::TenantId.eq(tenant));
        Ok(found.one(self.reader()).await?.map(|key| key.hint))
    }

    /// The caller's name of an agreement, without its means, which are sealed.
    pub async fn agreement_name(&self, tenant: Uuid, id: Uuid) -> Result<Option<String>, StoreError> {
        let found = agreements::Entity::find_by_id(id).filter(agreements::Column::TenantId.eq(tenant));
        Ok(found.one(self.reader()).await?.map(|agreement| agreement.caller_id))
    }

    pub async fn fact_ends(&self, tenant: Uuid, transaction: Uuid) -> Result<Ends<Fact>, StoreError> {
        let all = facts::Entity::find()
            .filter(facts::Column::TenantId.eq(tenant))
            .filter(facts::Column::TransactionId.eq(transaction));
        Ok(self.ends(all, facts::Column::Id).await?.map(Fact::from))
    }

    pub async fn exchange_ends(&self, tenant: Uuid, transaction: Uuid) -> Result<Ends<StoredExchange>, StoreError> {
        let all = exchanges::Entity::find()
            .filter(exchanges::Column::TenantId.eq(tenant))
            .filter(exchanges::Column::TransactionId.eq(transaction));
        Ok(self.ends(all, exchanges::Column::Id).await?.map(StoredExchange::from))
    }

    pub async fn movement_ends(&self, tenant: Uuid, transaction: Uuid) -> Result<Ends<BookedMovement>, StoreError> {
        let all = movements::Entity::find()
            .filter(movements::Column::TenantId.eq(tenant))
            .filter(movements::Column::TransactionId.eq(transaction));
        self.ends(all, movements::Column::Id).await?.try_map(BookedMovement::try_from)
    }

    pub async fn event_ends(&self, tenant: Uuid, intent: Uuid) -> Result<Ends<Event>, StoreError> {
        let all = events::Entity::find()
            .filter(events::Column::TenantId.eq(tenant))
            .filter(events::Column::IntentId.eq(intent));
        self.ends(all, events::Column::Id).await?.try_map(Event::try_from)
    }

    pub async fn attempt_ends(&self, tenant: Uuid, delivery: Uuid) -> Result<Ends<Attempt>, StoreError> {
        let all = attempts::Entity::find()
            .filter(attempts::Column::TenantId.eq(tenant))
            .filter(attempts::Column::DeliveryId.eq(delivery));
        Ok(self.ends(all, attempts::Column::Id).await?.map(Attempt::from))
    }

    async fn ends<E>(&self, all: Select<E>, id: E::Column) -> Result<Ends<E::Model>, StoreError>
    where
        E: EntityTrait,
        E::Model: FromQueryResult + Send + Sync + PartialEq,
    {
        let mut rows = all.clone().order_by_asc(id).limit(END_PAGE).all(self.reader()).await?;
        if (rows.len() as u64) < END_PAGE {
            return Ok(Ends { rows, left_out: 0 });
        }
        let mut last = all.clone().order_by_desc(id).limit(END_PAGE).all(self.reader()).await?;
        last.reverse();
        rows.extend(last.into_iter().filter(|row| !rows.contains(row)).collect::<Vec<_>>());
        let left_out = all.count(self.reader()).await?.saturating_sub(rows.len() as u64);
        Ok(Ends { rows, left_out })
    }

    /// The alerts of a transaction, settled ones too, oldest first.
    pub async fn alert_lines(&self, tenant: Uuid, transaction: Uuid) -> Result<Vec<AlertLine>, StoreError> {
        let found = alerts::Entity::find()
            .filter(alerts::Column::TenantId.eq(tenant))
            .filter(alerts::Column::TransactionId.eq(transaction))
            .order_by_asc(alerts::Column::Id)
            .limit(BESIDE_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(AlertLine::from).collect())
    }

    /// Notices, whoever they belong to, oldest first.
    pub async fn notice_lines(&self, ids: &[Uuid]) -> Result<Vec<NoticeLine>, StoreError> {
        let found = notices::Entity::find()
            .filter(notices::Column::Id.is_in(ids.iter().copied()))
            .order_by_asc(notices::Column::Id)
            .limit(BESIDE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(NoticeLine::try_from).collect()
    }

    /// The names under which a notice waits for what it is about: (namespace, value).
    pub async fn parked_under(&self, notice: Uuid) -> Result<Vec<(String, String)>, StoreError> {
        let found = parked::Entity::find()
            .select_only()
            .columns([parked::Column::Namespace, parked::Column::Value])
            .filter(parked::Column::NoticeId.eq(notice))
            .order_by_asc(parked::Column::Id)
            .limit(BESIDE_PAGE)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(found)
    }

    /// The deliveries that tell of an intent's events, oldest first.
    pub async fn deliveries_about(&self, tenant: Uuid, intent: Uuid) -> Result<Vec<Delivery>, StoreError> {
        let told = Query::select()
            .column(events::Column::Id)
            .from(events::Entity)
            .and_where(Expr::col(events::Column::TenantId).eq(tenant))
            .and_where(Expr::col(events::Column::IntentId).eq(intent))
            .to_owned();
        let found = deliveries::Entity::find()
            .filter(deliveries::Column::TenantId.eq(tenant))
            .filter(deliveries::Column::EventId.in_subquery(told))
            .order_by_asc(deliveries::Column::CreatedAt)
            .limit(BESIDE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Delivery::try_from).collect()
    }

    /// What operators and settings did to these things, oldest first.
    pub async fn audit_about(&self, subjects: &[String]) -> Result<Vec<AuditEntry>, StoreError> {
        let found = audit::Entity::find()
            .filter(audit::Column::Subject.is_in(subjects))
            .order_by_asc(audit::Column::Id)
            .limit(BESIDE_PAGE)
            .all(self.reader())
            .await?;
        Ok(found.into_iter().map(AuditEntry::from).collect())
    }

    /// What an id is that no intent has anything to do with, for a hint.
    pub async fn other_thing(&self, id: Uuid) -> Result<Option<OtherThing>, StoreError> {
        let reader = self.reader();
        let (what, owner) = if tenants::Entity::find_by_id(id).one(reader).await?.is_some() {
            ("a tenant", id)
        } else if let Some(connection) = connections::Entity::find_by_id(id).one(reader).await? {
            ("a connection", connection.tenant_id)
        } else if let Some(endpoint) = endpoints::Entity::find_by_id(id).one(reader).await? {
            ("an endpoint", endpoint.tenant_id)
        } else if let Some(key) = api_keys::Entity::find_by_id(id).one(reader).await? {
            ("a key", key.tenant_id)
        } else {
            return Ok(None);
        };
        Ok(Some(OtherThing { what, tenant: self.tenant(owner).await?.map(|tenant| tenant.name) }))
    }

    /// The adapter of a transaction whose PSP's reference begins so, if there is any: PSPs begin their ids alike.
    pub async fn adapter_of_prefix(&self, prefix: &str) -> Result<Option<String>, StoreError> {
        let Some(end) = next_text(prefix) else { return Ok(None) };
        let found = transactions::Entity::find()
            .filter(transactions::Column::TheirReference.gte(prefix))
            .filter(transactions::Column::TheirReference.lt(end))
            .order_by_asc(transactions::Column::TheirReference)
            .one(self.reader())
            .await?;
        // A database may sort texts in another way than by their letters.
        let Some(t) = found.filter(|t| t.their_reference.as_deref().is_some_and(|text| text.starts_with(prefix)))
        else {
            return Ok(None);
        };
        Ok(self.connection(t.tenant_id, t.connection_id).await?.map(|connection| connection.adapter))
    }
}

/// The first text behind all that begin with an ASCII prefix.
fn next_text(prefix: &str) -> Option<String> {
    let (last, rest) = prefix.as_bytes().split_last()?;
    let next = char::from(*last).is_ascii().then(|| last.checked_add(1)).flatten()?;
    let mut text = std::str::from_utf8(rest).ok()?.to_owned();
    text.push(char::from(next));
    Some(text)
}

impl<T> Ends<T> {
    fn map<U>(self, read: impl FnMut(T) -> U) -> Ends<U> {
        Ends { rows: self.rows.into_iter().map(read).collect(), left_out: self.left_out }
    }

    fn try_map<U>(self, read: impl FnMut(T) -> Result<U, StoreError>) -> Result<Ends<U>, StoreError> {
        Ok(Ends { rows: self.rows.into_iter().map(read).collect::<Result<_, _>>()?, left_out: self.left_out })
    }
}

/// The columns of an [`IntentLine`] as they are stored.
#[derive(FromQueryResult)]
struct LineRow {
    id: Uuid,
    tenant_id: Uuid,
    contract: String,
    operation: String,
    caller_key: String,
    kind: String,
    state: String,
    amount_minor: i64,
    currency: String,
    parent_id: Option<Uuid>,
    created_at: i64,
}

impl TryFrom<LineRow> for IntentLine {
    type Error = StoreError;

    fn try_from(row: LineRow) -> Result<IntentLine, StoreError> {
        let currency = known(Currency::parse(&row.currency), "currency", &row.currency)?;
        Ok(IntentLine {
            id: row.id,
            tenant_id: row.tenant_id,
            contract: row.contract,
            operation: row.operation,
            caller_key: row.caller_key,
            kind: known(IntentKind::parse(&row.kind), "intent kind", &row.kind)?,
            state: known(IntentState::parse(&row.state), "intent state", &row.state)?,
            amount: Money::new(row.amount_minor, currency),
            parent_id: row.parent_id,
            created_at: Timestamp(row.created_at),
        })
    }
}

impl From<alerts::Model> for AlertLine {
    fn from(model: alerts::Model) -> AlertLine {
        AlertLine {
            transaction_id: model.transaction_id,
            kind: model.kind,
            text: model.text,
            raised_at: Timestamp(model.raised_at),
            settled_at: model.settled_at.map(Timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_behind_a_prefix() {
        for (prefix, next) in [("chg_", Some("chg`")), ("a", Some("b")), ("", None), ("é", None)] {
            assert_eq!(next_text(prefix).as_deref(), next, "{prefix}");
        }
    }
}
