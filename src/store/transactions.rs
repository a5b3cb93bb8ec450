//! Transactions: one instruction each, and its life at the PSP.

use rialto_adapters::port::manifest::MethodName;
use rialto_adapters::port::{Currency, Kind, Money, NextAction, OurReference, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, UpdateMany};
use uuid::Uuid;

use super::entity::transactions::{self, Column};
use super::forms::NextForm;
use super::sql::{from_json, grown, known, row, to_json};
use super::unit::{Refusal, Unit};
use super::{Store, StoreError};
use crate::core::counters::{Counters, Verb};
use crate::core::transaction::State;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub intent_id: Uuid,
    pub connection_id: Uuid,
    /// The settings it was sent with; look-ups use the same.
    pub settings_version: i32,
    pub kind: Kind,
    pub method: MethodName,
    pub parent_id: Option<Uuid>,
    pub ours: OurReference,
    pub theirs: Option<String>,
    pub scheme: Option<String>,
    pub state: State,
    /// What we asked for; zero where no money moves.
    pub amount: Money,
    /// What the PSP confirmed.
    pub confirmed: Option<Money>,
    /// Of what was authorised or taken here.
    pub counters: Counters,
    /// The amount that came is not the one asked for, and was booked as told.
    pub marked: bool,
    pub attempts: i32,
    /// Some attempt has ended without our knowing.
    pub ended_unknown: bool,
    /// Not to be sent earlier.
    pub not_before: Option<Timestamp>,
    pub submit_by: Timestamp,
    pub send_by: Option<Timestamp>,
    pub answer_by: Option<Timestamp>,
    /// When the reconciler is to look at it next.
    pub look_at: Option<Timestamp>,
    pub lookups: i32,
    /// How often in a row the PSP has said, late enough to be believed, that it does not know it.
    pub absences: i32,
    pub state_at_psp: Option<Timestamp>,
    pub next: Option<NextAction>,
    pub valid_until: Option<Timestamp>,
    pub psp_code: Option<String>,
    pub psp_text: Option<String>,
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Transaction {
    /// What came in or was reserved: as confirmed, else as asked.
    pub fn taken(&self) -> Money {
        self.confirmed.unwrap_or(self.amount)
    }
}

/// The counter of a verb, and what is reserved for it.
fn columns(verb: Verb) -> (Column, Column) {
    match verb {
        Verb::Capture => (Column::CapturedMinor, Column::CapturedReservedMinor),
        Verb::Release => (Column::ReleasedMinor, Column::ReleasedReservedMinor),
        Verb::Refund => (Column::RefundedMinor, Column::RefundedReservedMinor),
    }
}

/// Look-ups started by one sweep of the reconciler.
const DUE_PAGE: u64 = 64;

fn by_id(tenant: Uuid, id: Uuid) -> UpdateMany<transactions::Entity> {
    transactions::Entity::update_many().filter(Column::TenantId.eq(tenant)).filter(Column::Id.eq(id))
}

fn col(column: Column) -> SimpleExpr {
    Expr::col(column)
}

/// Adds a transaction in the state it has.
pub fn insert(unit: &mut Unit, transaction: &Transaction) {
    let t = transaction.clone();
    unit.insert(row::<transactions::Entity, _>(transactions::Model {
        id: t.id,
        tenant_id: t.tenant_id,
        intent_id: t.intent_id,
        connection_id: t.connection_id,
        settings_version: t.settings_version,
        kind: t.kind.as_str().to_owned(),
        method: t.method.as_str().to_owned(),
        parent_id: t.parent_id,
        our_reference: t.ours.0,
        their_reference: t.theirs,
        scheme_reference: t.scheme,
        state: t.state.name().to_owned(),
        stage: t.state.stage().map(str::to_owned),
        reason: t.state.reason().map(str::to_owned),
        amount_minor: t.amount.minor,
        currency: t.amount.currency.code().to_owned(),
        confirmed_minor: t.confirmed.map(|money| money.minor),
        captured_minor: 0,
        captured_reserved_minor: 0,
        released_minor: 0,
        released_reserved_minor: 0,
        refunded_minor: 0,
        refunded_reserved_minor: 0,
        charged_back_minor: 0,
        marked: t.marked,
        attempts: t.attempts,
        ended_unknown: t.ended_unknown,
        not_before: t.not_before.map(|at| at.0),
        submit_by: t.submit_by.0,
        send_by: t.send_by.map(|at| at.0),
        answer_by: t.answer_by.map(|at| at.0),
        look_at: t.look_at.map(|at| at.0),
        lookups: t.lookups,
        absences: t.absences,
        state_at_psp: t.state_at_psp.map(|at| at.0),
        next_action: t.next.as_ref().map(|next| to_json(&NextForm::from(next))),
        valid_until: t.valid_until.map(|at| at.0),
        psp_code: t.psp_code,
        psp_text: t.psp_text,
        version: t.version,
        created_at: t.created_at.0,
        updated_at: t.updated_at.0,
    }));
}

/// Writes `after` over `before`, but for what other units move by themselves (the counters). Refused as stale if
/// somebody else has written since `before` was read.
pub fn advance(unit: &mut Unit, before: &Transaction, after: &Transaction, now: Timestamp) {
    let t = after.clone();
    unit.must(
        by_id(before.tenant_id, before.id)
            .filter(Column::Version.eq(before.version))
            .col_expr(Column::SettingsVersion, Expr::value(t.settings_version))
            .col_expr(Column::TheirReference, Expr::value(t.theirs))
            .col_expr(Column::SchemeReference, Expr::value(t.scheme))
            .col_expr(Column::State, Expr::value(t.state.name()))
            .col_expr(Column::Stage, Expr::value(t.state.stage()))
            .col_expr(Column::Reason, Expr::value(t.state.reason()))
            .col_expr(Column::ConfirmedMinor, Expr::value(t.confirmed.map(|money| money.minor)))
            .col_expr(Column::Marked, Expr::value(t.marked))
            .col_expr(Column::Attempts, Expr::value(t.attempts))
            .col_expr(Column::EndedUnknown, Expr::value(t.ended_unknown))
            .col_expr(Column::SendBy, Expr::value(t.send_by.map(|at| at.0)))
            .col_expr(Column::AnswerBy, Expr::value(t.answer_by.map(|at| at.0)))
            .col_expr(Column::LookAt, Expr::value(t.look_at.map(|at| at.0)))
            .col_expr(Column::Lookups, Expr::value(t.lookups))
            .col_expr(Column::Absences, Expr::value(t.absences))
            .col_expr(Column::StateAtPsp, Expr::value(t.state_at_psp.map(|at| at.0)))
            .col_expr(Column::NextAction, Expr::value(t.next.as_ref().map(|next| to_json(&NextForm::from(next)))))
            .col_expr(Column::ValidUntil, Expr::value(t.valid_until.map(|at| at.0)))
            .col_expr(Column::PspCode, Expr::value(t.psp_code))
            .col_expr(Column::PspText, Expr::value(t.psp_text))
            .col_expr(Column::Version, Expr::value(before.version + 1))
            .col_expr(Column::UpdatedAt, grown("updated_at", now.0))
            .into_query(),
        Refusal::Stale,
    );
}

/// Reserves `amount` at the parent for a verb that is about to start; refused as short if less is left, or if the parent
/// is not in the state any more in which it was read and which allows the verb.
///
/// - captured: nothing captured or being captured yet, and `captured + released + their reservations + amount <= taken`
/// - released: `captured + released + their reservations + amount <= taken`
/// - refunded: `refunded + reserved + charged back + amount <= taken`
pub fn reserve(unit: &mut Unit, parent: &Transaction, verb: Verb, amount_minor: i64) {
    let (_, reserved) = columns(verb);
    let taken: SimpleExpr = Expr::col(Column::ConfirmedMinor).if_null(Expr::col(Column::AmountMinor));
    let spoken_for = match verb {
        Verb::Capture | Verb::Release => col(Column::CapturedMinor)
            .add(col(Column::CapturedReservedMinor))
            .add(col(Column::ReleasedMinor))
            .add(col(Column::ReleasedReservedMinor)),
        Verb::Refund => {
            col(Column::RefundedMinor).add(col(Column::RefundedReservedMinor)).add(col(Column::ChargedBackMinor))
        }
    };
    let mut update = by_id(parent.tenant_id, parent.id)
        .filter(Column::State.eq(parent.state.name()))
        .filter(spoken_for.add(amount_minor).lte(taken))
        .col_expr(reserved, col(reserved).add(amount_minor));
    if verb == Verb::Capture {
        // One capture per preauth: a second one is refused while the first is under way, and once it is done.
        update = update.filter(Column::CapturedMinor.eq(0)).filter(Column::CapturedReservedMinor.eq(0));
    }
    unit.must(update.into_query(), Refusal::Short);
}

/// Books what a charge collected: refused as short if it is booked already, if any of it went back or is going back, or if
/// it brought less.
pub fn book(unit: &mut Unit, charge: &Transaction, amount_minor: i64) {
    let taken: SimpleExpr = Expr::col(Column::ConfirmedMinor).if_null(Expr::col(Column::AmountMinor));
    let update = by_id(charge.tenant_id, charge.id)
        .filter(Column::State.eq(charge.state.name()))
        .filter(Column::CapturedMinor.eq(0))
        .filter(Column::RefundedMinor.eq(0))
        .filter(Column::RefundedReservedMinor.eq(0))
        .filter(col(Column::ChargedBackMinor).add(amount_minor).lte(taken))
        .col_expr(Column::CapturedMinor, Expr::value(amount_minor));
    unit.must(update.into_query(), Refusal::Short);
}

/// Refuses the unit as short if a charge is booked: what a payment has taken is not given back behind its back.
pub fn must_be_unbooked(unit: &mut Unit, charge: &Transaction) {
    let update = by_id(charge.tenant_id, charge.id)
        .filter(Column::CapturedMinor.eq(0))
        .col_expr(Column::CapturedMinor, Expr::value(0));
    unit.must(update.into_query(), Refusal::Short);
}

/// The verb succeeded: `amount` counts, and its reservation (if it still held one) is over.
pub fn count(unit: &mut Unit, tenant: Uuid, parent: Uuid, verb: Verb, amount_minor: i64, reserved_minor: i64) {
    let (counted, reserved) = columns(verb);
    unit.update(
        by_id(tenant, parent)
            .col_expr(counted, col(counted).add(amount_minor))
            .col_expr(reserved, col(reserved).sub(reserved_minor))
            .into_query(),
    );
}

/// The verb came to nothing: what it had reserved is free again.
pub fn free(unit: &mut Unit, tenant: Uuid, parent: Uuid, verb: Verb, reserved_minor: i64) {
    count(unit, tenant, parent, verb, 0, reserved_minor);
}

/// Books what the payer's bank took back (`amount_minor > 0`) or gave back again (`< 0`). Never refused: it has happened.
pub fn book_chargeback(unit: &mut Unit, tenant: Uuid, id: Uuid, amount_minor: i64) {
    let booked = col(Column::ChargedBackMinor).add(amount_minor);
    let floored = Expr::case(booked.clone().lt(0), 0).finally(booked);
    unit.update(by_id(tenant, id).col_expr(Column::ChargedBackMinor, floored.into()).into_query());
}

/// Sets when the reconciler looks next, if nobody has since; refused as stale otherwise. Whoever wins does the looking.
pub fn claim_look(unit: &mut Unit, transaction: &Transaction, next: Timestamp) {
    unit.must(
        by_id(transaction.tenant_id, transaction.id)
            .filter(Column::Version.eq(transaction.version))
            .filter(match transaction.look_at {
                Some(at) => Column::LookAt.eq(at.0),
                None => Column::LookAt.is_null(),
            })
            .col_expr(Column::LookAt, Expr::value(next.0))
            .into_query(),
        Refusal::Stale,
    );
}

/// Lets a transaction go that was not to be sent yet; refused as stale if somebody has let it go, or ended it, before.
pub fn let_go(unit: &mut Unit, transaction: &Transaction, submit_by: Timestamp) {
    unit.must(
        by_id(transaction.tenant_id, transaction.id)
            .filter(Column::Version.eq(transaction.version))
            .filter(Column::State.eq(State::Created.name()))
            .filter(Column::NotBefore.is_not_null())
            .col_expr(Column::NotBefore, Expr::value(None::<i64>))
            .col_expr(Column::SubmitBy, Expr::value(submit_by.0))
            .col_expr(Column::LookAt, Expr::value(submit_by.0))
            .col_expr(Column::Version, Expr::value(transaction.version + 1))
            .into_query(),
        Refusal::Stale,
    );
}

/// It has to wait for its turn until `at`, and may be sent until `submit_by`; refused as stale if somebody has written since.
pub fn wait_for_turn(unit: &mut Unit, transaction: &Transaction, at: Timestamp, submit_by: Timestamp) {
    unit.must(
        by_id(transaction.tenant_id, transaction.id)
            .filter(Column::Version.eq(transaction.version))
            .col_expr(Column::LookAt, Expr::value(at.0))
            .col_expr(Column::SubmitBy, Expr::value(submit_by.0))
            .into_query(),
        Refusal::Stale,
    );
}

/// Makes whatever the PSP calls by this name due for a look-up, unless it has ended.
pub fn look_now(unit: &mut Unit, tenant: Uuid, connection: Uuid, namespace: Namespace, value: &str, now: Timestamp) {
    unit.update(
        transactions::Entity::update_many()
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::ConnectionId.eq(connection))
            .filter(namespace.column().eq(value))
            .filter(Column::LookAt.is_not_null())
            .col_expr(Column::LookAt, Expr::value(now.0))
            .into_query(),
    );
}

/// A look-up that was claimed from `t` on was broken off: it is due at once, for whoever is still there. Nothing happens if
/// anything has been learned since.
pub fn give_look_back(unit: &mut Unit, t: &Transaction, now: Timestamp) {
    unit.update(
        by_id(t.tenant_id, t.id)
            .filter(Column::Version.eq(t.version))
            .filter(Column::LookAt.gt(now.0))
            .col_expr(Column::LookAt, Expr::value(now.0))
            .into_query(),
    );
}

/// By which of its names a transaction is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Ours,
    Theirs,
    Scheme,
}

impl Namespace {
    pub fn as_str(self) -> &'static str {
        match self {
            Namespace::Ours => "ours",
            Namespace::Theirs => "theirs",
            Namespace::Scheme => "scheme",
        }
    }

    fn column(self) -> Column {
        match self {
            Namespace::Ours => Column::OurReference,
            Namespace::Theirs => Column::TheirReference,
            Namespace::Scheme => Column::SchemeReference,
        }
    }
}

impl Store {
    pub async fn transaction(&self, tenant: Uuid, id: Uuid) -> Result<Option<Transaction>, StoreError> {
        let found = transactions::Entity::find_by_id(id).filter(Column::TenantId.eq(tenant));
        found.one(self.reader()).await?.map(Transaction::try_from).transpose()
    }

    /// Of one intent, oldest first.
    pub async fn transactions_of(&self, tenant: Uuid, intent: Uuid) -> Result<Vec<Transaction>, StoreError> {
        let found = transactions::Entity::find()
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::IntentId.eq(intent))
            .order_by_asc(Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(Transaction::try_from).collect()
    }

    /// The children of a transaction, oldest first.
    pub async fn transactions_under(&self, tenant: Uuid, parent: Uuid) -> Result<Vec<Transaction>, StoreError> {
        let found = transactions::Entity::find()
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::ParentId.eq(parent))
            .order_by_asc(Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(Transaction::try_from).collect()
    }

    /// Those a PSP calls by this name, oldest first: a preauth and its capture may share one.
    pub async fn transactions_called(
        &self,
        tenant: Uuid,
        connection: Uuid,
        namespace: Namespace,
        value: &str,
    ) -> Result<Vec<Transaction>, StoreError> {
        let found = transactions::Entity::find()
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::ConnectionId.eq(connection))
            .filter(namespace.column().eq(value))
            .order_by_asc(Column::Id)
            .all(self.reader())
            .await?;
        found.into_iter().map(Transaction::try_from).collect()
    }

    /// Those with a time of their own that are to be sent by now, longest due first.
    pub async fn transactions_scheduled(&self, now: Timestamp) -> Result<Vec<Transaction>, StoreError> {
        let found = transactions::Entity::find()
            .filter(Column::State.eq(State::Created.name()))
            .filter(Column::NotBefore.lte(now.0))
            .filter(Column::LookAt.lte(now.0))
            .order_by_asc(Column::LookAt)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Transaction::try_from).collect()
    }

    /// Those the reconciler has to look at by now, longest due first. What is to be sent at a time of its own is not its.
    pub async fn transactions_due(&self, now: Timestamp) -> Result<Vec<Transaction>, StoreError> {
        let found = transactions::Entity::find()
            .filter(Condition::all().add(Column::LookAt.is_not_null()).add(Column::LookAt.lte(now.0)))
            .filter(Condition::any().add(Column::State.ne(State::Created.name())).add(Column::NotBefore.is_null()))
            .order_by_asc(Column::LookAt)
            .limit(DUE_PAGE)
            .all(self.reader())
            .await?;
        found.into_iter().map(Transaction::try_from).collect()
    }
}

impl TryFrom<transactions::Model> for Transaction {
    type Error = StoreError;

    fn try_from(model: transactions::Model) -> Result<Transaction, StoreError> {
        let currency = known(Currency::parse(&model.currency), "currency", &model.currency)?;
        let state = State::from_parts(&model.state, model.stage.as_deref(), model.reason.as_deref());
        let next = model.next_action.as_deref().map(|text| from_json::<NextForm>("next action", text)).transpose()?;
        Ok(Transaction {
            id: model.id,
            tenant_id: model.tenant_id,
            intent_id: model.intent_id,
            connection_id: model.connection_id,
            settings_version: model.settings_version,
            kind: known(Kind::parse(&model.kind), "kind", &model.kind)?,
            method: known(MethodName::parse(&model.method), "method", &model.method)?,
            parent_id: model.parent_id,
            ours: OurReference(model.our_reference),
            theirs: model.their_reference,
            scheme: model.scheme_reference,
            state: known(state, "state", &model.state)?,
            amount: Money::new(model.amount_minor, currency),
            confirmed: model.confirmed_minor.map(|minor| Money::new(minor, currency)),
            counters: Counters {
                total: model.confirmed_minor.unwrap_or(model.amount_minor),
                captured: model.captured_minor,
                captured_reserved: model.captured_reserved_minor,
                released: model.released_minor,
                released_reserved: model.released_reserved_minor,
                refunded: model.refunded_minor,
                refunded_reserved: model.refunded_reserved_minor,
                charged_back: model.charged_back_minor,
            },
            marked: model.marked,
            attempts: model.attempts,
            ended_unknown: model.ended_unknown,
            not_before: model.not_before.map(Timestamp),
            submit_by: Timestamp(model.submit_by),
            send_by: model.send_by.map(Timestamp),
            answer_by: model.answer_by.map(Timestamp),
            look_at: model.look_at.map(Timestamp),
            lookups: model.lookups,
            absences: model.absences,
            state_at_psp: model.state_at_psp.map(Timestamp),
            next: next.map(NextAction::from),
            valid_until: model.valid_until.map(Timestamp),
            psp_code: model.psp_code,
            psp_text: model.psp_text,
            version: model.version,
            created_at: Timestamp(model.created_at),
            updated_at: Timestamp(model.updated_at),
        })
    }
}
