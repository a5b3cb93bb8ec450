//! `GET /admin/explain`: one story of anything that was asked for, from any name it has.

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use serde_json::json;
use uuid::Uuid;

use super::auth::MayRead;
use super::dto::{ANSWER, usual};
use super::error::Refused;
use super::{Group, Tag};
use crate::flow::Engine;
use crate::flow::explain::stand::{Alerted, Next, Piece, Wait};
use crate::flow::explain::story::{Line, Part, Story};
use crate::flow::explain::{Candidate, Explanation, REFERENCE_MAX, Waiting};
use crate::http::body::Body;
use crate::http::error::{Kind, Problem};
use crate::http::spec::Example;
use crate::store::find::Looked;

pub(super) struct Explain;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Look")]
impl Explain {
    /// Explain a reference
    ///
    /// Takes any name somebody has for something: our ids, the caller's (also of agreements and customers), the PSP's,
    /// our reference at the PSP, the scheme's, a movement's, a request's. Where it names one thing, the answer is its
    /// story, with what it stands on and what stands on it; where it names several, they are listed, across all tenants;
    /// where it names nothing, the answer says where it was looked for. Right: read.
    #[oai(path = "/explain", method = "get", operation_id = "explain")]
    async fn explain(
        &self,
        _by: MayRead,
        engine: Data<&Engine>,
        /// The name, as you have it; at most 256 bytes.
        reference: Query<String>,
        /// With the scrubbed text of the calls to the PSP.
        #[oai(default)]
        full: Query<bool>,
    ) -> Result<Body<Explained>, Refused> {
        let reference = reference.0;
        if reference.trim().is_empty() || reference.len() > REFERENCE_MAX {
            let text = format!("must have 1 to {REFERENCE_MAX} bytes");
            return Err(Problem::field(Kind::Shape, "reference", text).into());
        }
        Ok(Body(Explained::from(engine.explain(&reference, full.0).await?)))
    }
}

/// What came of it.
#[derive(Clone, Debug, Object)]
pub struct Explained {
    /// As it was looked for.
    pub reference: String,
    pub looked: Vec<LookedItem>,
    /// What may be wrong with the reference.
    pub hints: Vec<String>,
    /// Several things of this name, the newest first. Ask again with the `id` of one.
    pub candidates: Vec<CandidateItem>,
    /// Notices of a PSP that belong to nothing (yet).
    pub notices: Vec<NoticeItem>,
    #[oai(skip_serializing_if_is_none)]
    pub story: Option<StoryItem>,
}

/// Where it was looked for.
#[derive(Clone, Debug, Object)]
pub struct LookedItem {
    /// `intent_id`, `caller_id`, `psp_reference`, …
    pub name: String,
    /// The same for people.
    pub words: String,
    pub count: usize,
    /// There are more than `count`.
    pub more: bool,
}

/// One of several things of a name.
#[derive(Clone, Debug, Object)]
pub struct CandidateItem {
    /// Ask again with this.
    pub id: String,
    pub tenant_id: String,
    pub tenant: String,
    pub contract: String,
    pub kind: String,
    pub caller_id: String,
    /// `25.00 EUR`.
    pub amount: String,
    pub state: String,
    pub at_ms: i64,
    /// By which of the names in `looked` it was found.
    pub found_by: String,
}

/// A notice without a transaction.
#[derive(Clone, Debug, Object)]
pub struct NoticeItem {
    pub id: String,
    pub tenant_id: String,
    pub tenant: String,
    pub connection_id: String,
    pub adapter: String,
    /// `parked`, `unmatched`, `unreadable`, …
    pub state: String,
    pub received_at_ms: i64,
    /// When it is read again.
    #[oai(skip_serializing_if_is_none)]
    pub next_at_ms: Option<i64>,
    /// What has become of it and what to do.
    pub text: String,
}

/// One thing from its beginning until now.
#[derive(Clone, Debug, Object)]
pub struct StoryItem {
    pub tenant_id: String,
    pub tenant: String,
    pub sandbox: bool,
    /// Milliseconds since 1970, UTC, like every time here.
    pub began_at_ms: i64,
    pub told_at_ms: i64,
    /// What was asked for, oldest first: a preauth, its payment, the refunds of that.
    pub parts: Vec<PartItem>,
    pub lines: Vec<LineItem>,
    pub waits: Vec<WaitItem>,
    /// What happens next, soonest first.
    pub next: Vec<NextItem>,
    /// Alerts that nobody has settled.
    pub alerts: Vec<AlertItem>,
    /// What there is more of than is told here.
    pub left_out: Vec<String>,
}

/// Something that was asked for.
#[derive(Clone, Debug, Object)]
pub struct PartItem {
    pub id: String,
    /// `payment`, or `refund 2` where there are several.
    pub label: String,
    /// This one was asked about.
    pub asked: bool,
    pub contract: String,
    pub operation: String,
    pub caller_id: String,
    pub kind: String,
    /// `open`, `done`, `refused`, `expired` or `cancelled`.
    pub state: String,
    pub amount: String,
    pub method: String,
    #[oai(skip_serializing_if_is_none)]
    pub parent_id: Option<String>,
    /// The beginning of the key it was asked with.
    #[oai(skip_serializing_if_is_none)]
    pub key_hint: Option<String>,
    /// The caller's agreementId.
    #[oai(skip_serializing_if_is_none)]
    pub agreement: Option<String>,
    pub connection_id: String,
    pub adapter: String,
    /// The connection leads to a test environment.
    pub test: bool,
    #[oai(skip_serializing_if_is_none)]
    pub trace: Option<String>,
    pub transactions: Vec<PieceItem>,
}

/// One instruction to the PSP as it stands.
#[derive(Clone, Debug, Object)]
pub struct PieceItem {
    pub id: String,
    pub kind: String,
    pub state: String,
    #[oai(skip_serializing_if_is_none)]
    pub stage: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    pub our_reference: String,
    #[oai(skip_serializing_if_is_none)]
    pub psp_reference: Option<String>,
    #[oai(skip_serializing_if_is_none)]
    pub scheme_reference: Option<String>,
    pub attempts: i32,
    pub lookups: i32,
    pub settings_version: i32,
    pub currency: String,
    /// In minor units of the currency, like every figure.
    pub asked_minor: i64,
    #[oai(skip_serializing_if_is_none)]
    pub confirmed_minor: Option<i64>,
    pub captured_minor: i64,
    pub being_captured_minor: i64,
    pub released_minor: i64,
    pub being_released_minor: i64,
    pub refunded_minor: i64,
    pub being_refunded_minor: i64,
    pub charged_back_minor: i64,
    /// What may still be captured of a preauth, or refunded of a payment.
    #[oai(skip_serializing_if_is_none)]
    pub left_minor: Option<i64>,
    /// The same in a sentence.
    pub text: String,
}

/// Something that happened.
#[derive(Clone, Debug, Object)]
pub struct LineItem {
    pub at_ms: i64,
    /// `caller`, `rialto`, `to_psp`, `from_psp`, `money`, `to_caller` or `person`.
    pub actor: String,
    /// The label of the part it belongs to.
    #[oai(skip_serializing_if_is_none)]
    pub part: Option<String>,
    pub text: String,
    /// How long a call took.
    #[oai(skip_serializing_if_is_none)]
    pub took_ms: Option<i64>,
    /// Id of the intent, transaction, call, notice, decision, movement, event or delivery behind it.
    #[oai(skip_serializing_if_is_none)]
    pub id: Option<String>,
    /// The scrubbed text of a call, where it was asked for.
    #[oai(skip_serializing_if_is_none)]
    pub full: Option<String>,
}

/// Who waits for whom.
#[derive(Clone, Debug, Object)]
pub struct WaitItem {
    pub who: String,
    pub whom: String,
    pub what: String,
}

/// What happens next.
#[derive(Clone, Debug, Object)]
pub struct NextItem {
    /// Absent where it happens only when somebody does it.
    #[oai(skip_serializing_if_is_none)]
    pub at_ms: Option<i64>,
    pub what: String,
}

#[derive(Clone, Debug, Object)]
pub struct AlertItem {
    pub kind: String,
    pub text: String,
    pub raised_at_ms: i64,
    /// What to do about it.
    pub advice: String,
    #[oai(skip_serializing_if_is_none)]
    pub transaction_id: Option<String>,
}

fn text(id: Option<Uuid>) -> Option<String> {
    id.map(|id| id.to_string())
}

impl From<Explanation> for Explained {
    fn from(told: Explanation) -> Explained {
        Explained {
            reference: told.reference,
            looked: told.looked.into_iter().map(LookedItem::from).collect(),
            hints: told.hints,
            candidates: told.candidates.into_iter().map(CandidateItem::from).collect(),
            notices: told.notices.into_iter().map(NoticeItem::from).collect(),
            story: told.story.map(|story| StoryItem::from(*story)),
        }
    }
}

impl From<Looked> for LookedItem {
    fn from(looked: Looked) -> LookedItem {
        let Looked { name, count, more } = looked;
        LookedItem { name: name.as_str().to_owned(), words: name.words().to_owned(), count, more }
    }
}

impl From<Candidate> for CandidateItem {
    fn from(candidate: Candidate) -> CandidateItem {
        let Candidate { intent, tenant, by } = candidate;
        CandidateItem {
            id: intent.id.to_string(),
            tenant_id: intent.tenant_id.to_string(),
            tenant,
            contract: intent.contract,
            kind: intent.kind.as_str().to_owned(),
            caller_id: intent.caller_key,
            amount: intent.amount.to_string(),
            state: intent.state.as_str().to_owned(),
            at_ms: intent.created_at.0,
            found_by: by.to_owned(),
        }
    }
}

impl From<Waiting> for NoticeItem {
    fn from(waiting: Waiting) -> NoticeItem {
        let Waiting { notice, tenant, adapter, text } = waiting;
        NoticeItem {
            id: notice.id.to_string(),
            tenant_id: notice.tenant_id.to_string(),
            tenant,
            connection_id: notice.connection_id.to_string(),
            adapter,
            state: notice.state.as_str().to_owned(),
            received_at_ms: notice.received_at.0,
            next_at_ms: notice.next_at.map(|at| at.0),
            text,
        }
    }
}

impl From<Story> for StoryItem {
    fn from(story: Story) -> StoryItem {
        let labels: Vec<String> = story.parts.iter().map(|part| part.label.clone()).collect();
        let line = |line: Line| LineItem {
            at_ms: line.at.0,
            actor: line.actor.as_str().to_owned(),
            part: line.part.and_then(|at| labels.get(at).cloned()),
            text: line.text,
            took_ms: line.took_ms,
            id: text(line.id),
            full: line.full,
        };
        StoryItem {
            tenant_id: story.tenant.id.to_string(),
            tenant: story.tenant.name,
            sandbox: story.tenant.sandbox,
            began_at_ms: story.began_at.0,
            told_at_ms: story.told_at.0,
            lines: story.lines.into_iter().map(line).collect(),
            parts: story.parts.into_iter().map(PartItem::from).collect(),
            waits: story.waits.into_iter().map(WaitItem::from).collect(),
            next: story.next.into_iter().map(NextItem::from).collect(),
            alerts: story.alerts.into_iter().map(AlertItem::from).collect(),
            left_out: story.left_out,
        }
    }
}

impl From<Part> for PartItem {
    fn from(part: Part) -> PartItem {
        PartItem {
            id: part.id.to_string(),
            label: part.label,
            asked: part.asked,
            contract: part.contract,
            operation: part.operation,
            caller_id: part.caller_id,
            kind: part.kind.to_owned(),
            state: part.state.to_owned(),
            amount: part.amount.to_string(),
            method: part.method.to_owned(),
            parent_id: text(part.parent_id),
            key_hint: part.key_hint,
            agreement: part.agreement,
            connection_id: part.connection_id.to_string(),
            adapter: part.adapter,
            test: part.test,
            trace: part.trace,
            transactions: part.pieces.into_iter().map(PieceItem::from).collect(),
        }
    }
}

impl From<Piece> for PieceItem {
    fn from(piece: Piece) -> PieceItem {
        let figures = piece.figures;
        PieceItem {
            id: piece.id.to_string(),
            kind: piece.kind.to_owned(),
            state: piece.state.to_owned(),
            stage: piece.stage.map(str::to_owned),
            reason: piece.reason.map(str::to_owned),
            our_reference: piece.ours,
            psp_reference: piece.theirs,
            scheme_reference: piece.scheme,
            attempts: piece.attempts,
            lookups: piece.lookups,
            settings_version: piece.settings_version,
            currency: figures.asked.currency.code().to_owned(),
            asked_minor: figures.asked.minor,
            confirmed_minor: figures.confirmed.map(|money| money.minor),
            captured_minor: figures.captured,
            being_captured_minor: figures.being_captured,
            released_minor: figures.released,
            being_released_minor: figures.being_released,
            refunded_minor: figures.refunded,
            being_refunded_minor: figures.being_refunded,
            charged_back_minor: figures.charged_back,
            left_minor: figures.left,
            text: piece.text,
        }
    }
}

impl From<Wait> for WaitItem {
    fn from(wait: Wait) -> WaitItem {
        WaitItem { who: wait.who.to_owned(), whom: wait.whom.to_owned(), what: wait.what }
    }
}

impl From<Next> for NextItem {
    fn from(next: Next) -> NextItem {
        NextItem { at_ms: next.at.map(|at| at.0), what: next.what }
    }
}

impl From<Alerted> for AlertItem {
    fn from(alert: Alerted) -> AlertItem {
        AlertItem {
            kind: alert.kind,
            text: alert.text,
            raised_at_ms: alert.raised_at.0,
            advice: alert.advice.to_owned(),
            transaction_id: text(alert.transaction_id),
        }
    }
}

impl Group for Explain {
    fn examples() -> Vec<Example> {
        let value = json!({
            "reference": "nobody-knows-this",
            "looked": [{ "name": "caller_id", "words": "the caller's transactionId", "count": 0, "more": false }],
            "hints": [],
            "candidates": [],
            "notices": []
        });
        vec![usual("explain", ANSWER, value)]
    }
}
