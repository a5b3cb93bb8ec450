//! What waits for a person, and what a person does about it.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use rialto_adapters::port::{Currency, Reason, Verdict};
use serde_json::json;
use uuid::Uuid;

use super::auth::{MayRead, MayResolve};
use super::dto::operate::{
    AttentionList, DropDone, DropWish, MatchDone, MatchWish, NoticeItem, NoticeList, NoticeShown, NoticeStateName,
    ReplayDone, ResolveDone, ResolveWish, Word, reasons,
};
use super::dto::{ANSWER, ID, parse_id, usual};
use super::error::Refused;
use super::{Group, Tag};
use crate::flow::Engine;
use crate::flow::operate::NotDone;
use crate::flow::resolve::{Decision, NotResolved};
use crate::http::body::Body;
use crate::http::error::{Kind, Problem};
use crate::http::spec::{At, Example};
use crate::store::inbox::NoticeLine;
use crate::wire::transcript::render_notice;

pub(super) struct Operate;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Operate")]
impl Operate {
    /// Show what waits for a person
    ///
    /// Open alerts, transactions of which it has not been known for a quarter of an hour what became of them, notices that
    /// belong to nothing or cannot be read, deliveries that were given up: the oldest hundred, each with the commands that
    /// can be pasted. Right: read.
    #[oai(path = "/attention", method = "get", operation_id = "listAttention")]
    async fn attention(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// Id of a tenant, for what is its alone.
        tenant: Query<Option<String>>,
    ) -> Result<Body<AttentionList>, Refused> {
        let tenant = optional_id("tenant", tenant.0)?;
        Ok(Body(engine.attention(tenant).await?.into()))
    }

    /// Resolve a transaction
    ///
    /// Says what machines may not: what became of it (`as` succeeded, authorised, declined, expired, cancelled), that it
    /// stays as it is although the provider contradicts itself (`keep`), or that money which came too late goes back
    /// (`give_back`). Only of what is unknown or pending, or has an open alert; of two persons at once one wins. The id of
    /// an alert that belongs to no transaction takes `keep`. Right: resolve.
    #[oai(path = "/transactions/:id/resolve", method = "post", operation_id = "resolveTransaction")]
    async fn resolve(
        &self,
        by: MayResolve,
        engine: Data<&Engine>,
        /// Id of the transaction.
        id: Path<String>,
        wish: Body<ResolveWish>,
    ) -> Result<Body<ResolveDone>, Refused> {
        let parsed = parse_id("transaction", &id.0)?;
        let engine = by.engine(&engine);
        let decision = decision(&engine, parsed, &wish.0).await?;
        let resolved = engine.resolve(parsed, &decision, &wish.0.why).await?;
        Ok(Body(ResolveDone::of(&id.0, resolved)))
    }

    /// List notices
    ///
    /// The newest hundred, without what they say. Right: read.
    #[oai(path = "/notices", method = "get", operation_id = "listNotices")]
    async fn notices(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// Only those in this state.
        state: Query<Option<NoticeStateName>>,
        /// Only those that came for this connection.
        connection: Query<Option<String>>,
        /// Only those of this tenant.
        tenant: Query<Option<String>>,
    ) -> Result<Body<NoticeList>, Refused> {
        let connection = optional_id("connection", connection.0)?;
        let tenant = optional_id("tenant", tenant.0)?;
        let page = engine.store.notices_everywhere(state.0.map(Into::into), connection, tenant).await?;
        Ok(Body(page.into()))
    }

    /// Show a notice
    ///
    /// What it says, its headers and its body; secrets, signatures and documents are masked. Right: read.
    #[oai(path = "/notices/:id", method = "get", operation_id = "getNotice")]
    async fn notice(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// Id of the notice.
        id: Path<String>,
    ) -> Result<Body<NoticeShown>, Refused> {
        let parsed = parse_id("notice", &id.0)?;
        let missing = NotDone::NotFound { what: "notice", id: parsed };
        let notice = engine.store.notice_everywhere(parsed).await?.ok_or(missing)?;
        let connection = engine.store.connection(notice.tenant_id, notice.connection_id).await?;
        let says = connection.map_or(Vec::new(), |connection| engine.notice_says(&connection.adapter, &notice));
        let (headers, body) = render_notice(&notice.raw);
        let notice = NoticeItem::from(NoticeLine::from(&notice));
        Ok(Body(NoticeShown { notice, says, headers, body }))
    }

    /// Match a notice to a transaction
    ///
    /// Applies what a parked or unmatched notice says to this transaction of the same connection. Right: resolve.
    #[oai(path = "/notices/:id/match", method = "post", operation_id = "matchNotice")]
    async fn match_notice(
        &self,
        by: MayResolve,
        engine: Data<&Engine>,
        /// Id of the notice.
        id: Path<String>,
        wish: Body<MatchWish>,
    ) -> Result<Body<MatchDone>, Refused> {
        let notice = parse_id("notice", &id.0)?;
        let transaction = parse_id("transaction", &wish.0.transaction_id)?;
        let matched = by.engine(&engine).match_notice(notice, transaction, &wish.0.why).await?;
        Ok(Body(MatchDone::of(&id.0, &wish.0.transaction_id, &matched)))
    }

    /// Drop a notice
    ///
    /// Puts aside a parked, unmatched or unreadable notice that is about nothing of ours. It stays stored. Right: resolve.
    #[oai(path = "/notices/:id/drop", method = "post", operation_id = "dropNotice")]
    async fn drop_notice(
        &self,
        by: MayResolve,
        engine: Data<&Engine>,
        /// Id of the notice.
        id: Path<String>,
        wish: Body<DropWish>,
    ) -> Result<Body<DropDone>, Refused> {
        by.engine(&engine).drop_notice(parse_id("notice", &id.0)?, &wish.0.why).await?;
        Ok(Body(DropDone { id: id.0, state: NoticeStateName::Ignored }))
    }

    /// Replay a notice or a delivery
    ///
    /// A genuine notice is read again, which books nothing twice; a delivery that was given up is tried again from the
    /// beginning of its schedule. Right: resolve.
    #[oai(path = "/replay/:id", method = "post", operation_id = "replay")]
    async fn replay(
        &self,
        by: MayResolve,
        engine: Data<&Engine>,
        /// Id of the notice or of the delivery.
        id: Path<String>,
    ) -> Result<Body<ReplayDone>, Refused> {
        let replayed = by.engine(&engine).replay(parse_id("notice or delivery", &id.0)?).await?;
        Ok(Body(replayed.into()))
    }
}

pub(super) fn optional_id(what: &'static str, id: Option<String>) -> Result<Option<Uuid>, Refused> {
    id.map(|id| parse_id(what, &id)).transpose()
}

/// What the body asks for, in the one model's words.
async fn decision(engine: &Engine, id: Uuid, wish: &ResolveWish) -> Result<Decision, Refused> {
    let wrong = |field: &str, text: String| Refused::from(Problem::field(Kind::Shape, field, text));
    let reason = match (&wish.reason, wish.word) {
        (None, _) => None,
        (Some(name), Word::Declined) => {
            Some(Reason::parse(name).ok_or_else(|| wrong("reason", format!("must be one of: {}", reasons())))?)
        }
        (Some(_), _) => return Err(wrong("reason", "belongs to declined".to_owned())),
    };
    let verdict = match wish.word {
        Word::Succeeded => Verdict::Succeeded,
        Word::Authorised => Verdict::Authorised,
        Word::Declined => Verdict::Declined(reason.unwrap_or(Reason::Rejected)),
        Word::Expired => Verdict::Expired,
        Word::Cancelled => Verdict::Cancelled,
        Word::Keep | Word::GiveBack if wish.amount.is_some() || wish.currency.is_some() => {
            return Err(wrong("amount", "belongs to what moved".to_owned()));
        }
        Word::Keep => return Ok(Decision::Keep),
        Word::GiveBack => return Ok(Decision::GiveBack),
    };
    let currency = match &wish.currency {
        Some(code) => Some(Currency::parse(code).ok_or_else(|| wrong("currency", "is no currency".to_owned()))?),
        None => None,
    };
    let amount = match &wish.amount {
        None if currency.is_some() => return Err(wrong("currency", "belongs to an amount".to_owned())),
        None => None,
        Some(amount) => {
            let its = match currency {
                Some(currency) => currency,
                None => {
                    let t = engine.store.transaction_everywhere(id).await?;
                    t.ok_or_else(|| Refused::from(NotResolved::NotFound(id)))?.amount.currency
                }
            };
            Some(amount.to_money(its).map_err(|error| wrong("amount", error.to_string()))?)
        }
    };
    Ok(Decision::Says { verdict, amount })
}

impl From<NotResolved> for Refused {
    fn from(error: NotResolved) -> Refused {
        let text = error.to_string();
        let field = |field: &str| Problem::field(Kind::Shape, field, text.clone());
        match error {
            NotResolved::NotFound(_) => Problem::new(Kind::NotFound, text).into(),
            NotResolved::NoWhy => field("why").into(),
            NotResolved::NotItsEnd { .. } | NotResolved::OnlyKeep => field("as").into(),
            NotResolved::NoAmount { .. } | NotResolved::TooMuch { .. } => field("amount").into(),
            NotResolved::OtherCurrency(_) => field("currency").into(),
            NotResolved::NotOpen(_)
            | NotResolved::OnItsWay(_)
            | NotResolved::CannotBecome { .. }
            | NotResolved::NotLate(_)
            | NotResolved::NothingLeft
            | NotResolved::CannotGiveBack
            | NotResolved::AlertSettled
            | NotResolved::Busy => Problem::new(Kind::Conflict, text).into(),
            NotResolved::Flow(error) => error.into(),
        }
    }
}

impl From<NotDone> for Refused {
    fn from(error: NotDone) -> Refused {
        let text = error.to_string();
        match error {
            NotDone::NotFound { .. } => Problem::new(Kind::NotFound, text).into(),
            NotDone::NoWhy => Problem::field(Kind::Shape, "why", text).into(),
            NotDone::Foreign | NotDone::DoesNotFit(_) => Problem::field(Kind::Shape, "transaction_id", text).into(),
            NotDone::State { .. } | NotDone::NotGenuine | NotDone::Changed => Problem::new(Kind::Conflict, text).into(),
            NotDone::Flow(error) => error.into(),
        }
    }
}

impl Group for Operate {
    fn examples() -> Vec<Example> {
        let at = 1_763_640_000_000_i64;
        let notice = json!({
            "id": ID, "tenant_id": ID, "connection_id": ID, "received_at_ms": at, "state": "unmatched",
            "genuine": true, "attempts": 1441
        });
        vec![
            usual(
                "listAttention",
                ANSWER,
                json!({
                    "items": [{
                        "id": ID, "tenant_id": ID, "since_ms": at, "what": "alert", "kind": "needs_person",
                        "transaction_id": ID,
                        "text": "refund of 12.23 EUR, unknown, reference r0193f0: whether this happened cannot be \
                                 found out by machine; ask the PSP and resolve it",
                        "commands": [
                            format!("rialto resolve {ID} --as succeeded --why '…'"),
                            format!("rialto resolve {ID} --as declined --why '…'")
                        ]
                    }],
                    "left_out": 0
                }),
            ),
            usual(
                "resolveTransaction",
                At::Request,
                json!({ "as": "succeeded", "why": "it stands on the provider's settlement report of the 20th" }),
            ),
            usual(
                "resolveTransaction",
                ANSWER,
                json!({
                    "id": ID, "tenant_id": ID, "before": "unknown", "state": "succeeded", "amount": 12.23,
                    "currency": "EUR", "started": []
                }),
            ),
            usual("listNotices", ANSWER, json!({ "notices": [notice], "left_out": 0 })),
            usual(
                "getNotice",
                ANSWER,
                json!({
                    "notice": notice,
                    "says": ["charge succeeded 12.00 EUR, theirs ch_1"],
                    "headers": "content-type: application/json\nx-signature: ***\n",
                    "body": "{\"type\":\"transaction\",\"transaction\":{\"id\":\"ch_1\",\"iban\":\"***\"}}"
                }),
            ),
            usual("matchNotice", At::Request, json!({ "transaction_id": ID, "why": "same amount, payer and minute" })),
            usual(
                "matchNotice",
                ANSWER,
                json!({ "notice_id": ID, "transaction_id": ID, "before": "unknown", "state": "succeeded" }),
            ),
            usual("dropNotice", At::Request, json!({ "why": "a payment made by the provider's support, not ours" })),
            usual("dropNotice", ANSWER, json!({ "id": ID, "state": "ignored" })),
            usual("replay", ANSWER, json!({ "id": ID, "what": "delivery", "state": "due" })),
        ]
    }
}
