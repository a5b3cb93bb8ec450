//! Notices from PSPs: stored raw with the result of their check before they are answered, then read, parked or listed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rialto_adapters::port::{RawNotice, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::entity::{notices, parked};
use super::forms::NoticeForm;
use super::sql::{from_json, known, row, to_json};
use super::transactions::Namespace;
use super::unit::{Refusal, Unit};
use super::vault::Place;
use super::{Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeVerdict {
    Verified,
    Nudge,
    Rejected,
}

impl NoticeVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeVerdict::Verified => "verified",
            NoticeVerdict::Nudge => "nudge",
            NoticeVerdict::Rejected => "rejected",
        }
    }

    pub(in crate::store) fn parse(text: &str) -> Option<NoticeVerdict> {
        [NoticeVerdict::Verified, NoticeVerdict::Nudge, NoticeVerdict::Rejected]
            .into_iter()
            .find(|v| v.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    Waiting,
    Done,
    /// Names a transaction we do not know yet.
    Parked,
    /// Was parked for a day, and nothing came that it belongs to. Listed for a person.
    Unmatched,
    Ignored,
    /// Authentic, but not what the PSP documents. Listed for a person.
    Unreadable,
    Rejected,
}

impl NoticeState {
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeState::Waiting => "waiting",
            NoticeState::Done => "done",
            NoticeState::Parked => "parked",
            NoticeState::Unmatched => "unmatched",
            NoticeState::Ignored => "ignored",
            NoticeState::Unreadable => "unreadable",
            NoticeState::Rejected => "rejected",
        }
    }

    pub const ALL: [NoticeState; 7] = [
        NoticeState::Waiting,
        NoticeState::Done,
        NoticeState::Parked,
        NoticeState::Unmatched,
        NoticeState::Ignored,
        NoticeState::Unreadable,
        NoticeState::Rejected,
    ];

    pub fn parse(text: &str) -> Option<NoticeState> {
        NoticeState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub raw: RawNotice,
    pub verdict: NoticeVerdict,
    pub verdict_text: Option<String>,
    pub state: NoticeState,
    pub state_text: Option<String>,
    pub attempts: i32,
    pub next_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

impl Notice {
    /// The PSP's own signature was on it. Only then may it be read.
    pub fn is_genuine(&self) -> bool {
        match self.verdict {
            NoticeVerdict::Verified => true,
            NoticeVerdict::Nudge | NoticeVerdict::Rejected => false,
        }
    }
}

/// A notice without what it says: for lists, which open no seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeLine {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub connection_id: Uuid,
    pub verdict: NoticeVerdict,
    pub verdict_text: Option<String>,
    pub state: NoticeState,
    pub state_text: Option<String>,
    pub attempts: i32,
    pub next_at: Option<Timestamp>,
    pub received_at: Timestamp,
}

/// Notices one sweep of the inbox worker takes.
const DUE_PAGE: u64 = 64;

fn place(id: Uuid, tenant: Uuid) -> Place {
    Place { table: "notices", column: "sealed", row: id, tenant }
}

/// Says what became of a notice; refused as stale if another worker has taken it since.
pub fn settle_notice(
    unit: &mut Unit,
    notice: &Notice,
    state: NoticeState,
    text: Option<&str>,
    next_at: Option<Timestamp>,
) {
    unit.must(
        notices::Entity::update_many()
            .col_expr(notices::Column::State, Expr::value(state.as_str()))
            .col_expr(notices::Column::StateText, Expr::value(text))
            .col_expr(notices::Column::NextAt, Expr::value(next_at.map(|at| at.0)))
            .col_expr(notices::Column::Attempts, Expr::col(notices::Column::Attempts).add(1))
            .filter(notices::Column::TenantId.eq(notice.tenant_id))
            .filter(notices::Column::Id.eq(notice.id))
            .filter(notices::Column::Attempts.eq(notice.attempts))
            .into_query(),
        Refusal::Stale,
    );
    unit.delete(
        Query::delete()
            .from_table(parked::Entity)
            .and_where(Expr::col(parked::Column::NoticeId).eq(notice.id))
            .to_owned(),
    );
}

/// Waits for a transaction of this name to become known.
pub fn park(unit: &mut Unit, id: Uuid, notice: &Notice, namespace: Namespace, value: &str, now: Timestamp) {
    unit.insert(row::<parked::Entity, _>(parked::Model {
        id,
        tenant_id: notice.tenant_id,
        connection_id: notice.connection_id,
        notice_id: notice.id,
        namespace: namespace.as_str().to_owned(),
        value: value.to_owned(),
        parked_at: now.0,
    }));
}

/// A transaction of this name is known now: whatever is parked under it is due.
pub fn unpark(unit: &mut Unit, tenant: Uuid, connection: Uuid, namespace: Namespace, value: &str, now: Timestamp) {
    let under = Query::select()
        .column(parked::Column::NoticeId)
        .from(parked::Entity)
        .and_where(Expr::col(parked::Column::ConnectionId).eq(connection))
        .and_where(Expr::col(parked::Column::Namespace).eq(namespace.as_str()))
        .and_where(Expr::col(parked::Column::Value).eq(value))
        .to_owned();
    unit.update(
        notices::Entity::update_many()
            .col_expr(notices::Column::NextAt, Expr::value(now.0))
            .filter(notices::Column::TenantId.eq(tenant))
            .filter(notices::Column::State.eq(NoticeState::Parked.as_str()))
            .filter(Expr::col(notices::Column::Id).in_subquery(under))
            .into_query(),
    );
}

impl Store {
    pub fn add_notice(&self, unit: &mut Unit, notice: &Notice) {
        let form = NoticeForm { headers: notice.raw.headers.clone(), body: STANDARD.encode(&notice.raw.body) };
        let sealed = self.vault().seal(&place(notice.id, notice.tenant_id), to_json(&form).as_bytes());
        unit.insert(row::<notices::Entity, _>(notices::Model {
            id: notice.id,
            tenant_id: notice.tenant_id,
            connection_id: notice.connection_id,
            path: notice.raw.path.clone(),
            sealed,
            verdict: notice.verdict.as_str().to_owned(),
            verdict_text: notice.verdict_text.clone(),
            state: notice.state.as_str().to_owned(),
            state_text: notice.state_text.clone(),
            attempts: notice.attempts,
            next_at: notice.next_at.map(|at| at.0),
            received_at: notice.received_at.0,
        }));
    }

    /// Notices to be read by now, longest due first.
    pub async fn notices_due(&self, now: Timestamp) -> Result<Vec<Notice>, StoreError> {
        let found = notices::Entity::find()
            .filter(notices::Column::NextAt.lte(now.0))
            .order_by_asc(notices::Column::NextAt)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(|model| self.read_notice(model)).collect()
    }

    /// A connection's notices, newest first.
    pub async fn notices_of(&self, tenant: Uuid, connection: Uuid) -> Result<Vec<Notice>, StoreError> {
        let found = notices::Entity::find()
            .filter(notices::Column::TenantId.eq(tenant))
            .filter(notices::Column::ConnectionId.eq(connection))
            .order_by_desc(notices::Column::Id)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(|model| self.read_notice(model)).collect()
    }

    /// How many rejected notices a connection has stored since a time: forged ones are sampled, not hoarded.
    pub async fn notices_rejected_since(&self, connection: Uuid, since: Timestamp) -> Result<u64, StoreError> {
        let found = notices::Entity::find()
            .filter(notices::Column::ConnectionId.eq(connection))
            .filter(notices::Column::Verdict.eq(NoticeVerdict::Rejected.as_str()))
            .filter(notices::Column::ReceivedAt.gte(since.0));
        Ok(found.count(self.reader()).await?)
    }

    pub(in crate::store) fn read_notice(&self, model: notices::Model) -> Result<Notice, StoreError> {
        let plain = self.vault().open(&place(model.id, model.tenant_id), &model.sealed)?;
        let text = String::from_utf8(plain).map_err(|_| StoreError::Corrupt("notice is not UTF-8".to_owned()))?;
        let form: NoticeForm = from_json("notice", &text)?;
        let body = STANDARD.decode(&form.body).map_err(|error| StoreError::Corrupt(format!("notice body: {error}")))?;
        Ok(Notice {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            raw: RawNotice { path: model.path, headers: form.headers, body },
            verdict: known(NoticeVerdict::parse(&model.verdict), "notice verdict", &model.verdict)?,
            verdict_text: model.verdict_text,
            state: known(NoticeState::parse(&model.state), "notice state", &model.state)?,
            state_text: model.state_text,
            attempts: model.attempts,
            next_at: model.next_at.map(Timestamp),
            received_at: Timestamp(model.received_at),
        })
    }
}

impl TryFrom<notices::Model> for NoticeLine {
    type Error = StoreError;

    fn try_from(model: notices::Model) -> Result<NoticeLine, StoreError> {
        Ok(NoticeLine {
            id: model.id,
            tenant_id: model.tenant_id,
            connection_id: model.connection_id,
            verdict: known(NoticeVerdict::parse(&model.verdict), "notice verdict", &model.verdict)?,
            verdict_text: model.verdict_text,
            state: known(NoticeState::parse(&model.state), "notice state", &model.state)?,
            state_text: model.state_text,
            attempts: model.attempts,
            next_at: model.next_at.map(Timestamp),
            received_at: Timestamp(model.received_at),
        })
    }
}

impl From<&Notice> for NoticeLine {
    fn from(notice: &Notice) -> NoticeLine {
        NoticeLine {
            id: notice.id,
            tenant_id: notice.tenant_id,
            connection_id: notice.connection_id,
            verdict: notice.verdict,
            verdict_text: notice.verdict_text.clone(),
            state: notice.state,
            state_text: notice.state_text.clone(),
            attempts: notice.attempts,
            next_at: notice.next_at,
            received_at: notice.received_at,
        }
    }
}
