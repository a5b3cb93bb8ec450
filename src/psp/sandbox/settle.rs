//! How a transaction ends, and what is told about it.

use rialto_adapters::port::{Duration, Timestamp};
use rialto_adapters::sandbox::contract::{
    Notice, Script, Transaction, kind, method, notice_type, reason, stage, state,
};

use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use super::SandboxPsp;
use super::model::Stored;
use crate::store::Unit;
use crate::store::sandbox_psp::{self as table, JobRow};

const DAY: &[FormatItem] = format_description!("[year]-[month]-[day]");

/// How long a direct debit, or script 31, stays pending; how long after success what comes from
/// outside (scripts 41 to 44) comes.
pub const LATER: Duration = Duration::from_secs(2);
/// Between notices whose order matters.
const APART: Duration = Duration::from_millis(200);
/// A notice that its call delivers itself is left to the pump only if that call died.
const LEFT_TO_CALL: Duration = Duration::from_secs(5);
/// How long a reservation holds.
const PREAUTH_VALID_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a job does. The stored word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Posts the notice in the job's body.
    Notice,
    /// The same, once, signed with a secret that is not the account's.
    Forged,
    /// Ends a pending transaction well.
    Settle,
    ChargeBack,
    /// The same; the chargeback is taken back later.
    ChargeBackInError,
    /// Takes the chargeback back whose job this is.
    GiveBack,
    /// Refunds what is left, as somebody would at the portal.
    PortalRefund,
    /// Revokes the means under the token in the job's body.
    Revoke,
    /// The payer has not come in time.
    Expire,
}

impl Action {
    const ALL: [Action; 9] = [
        Action::Notice,
        Action::Forged,
        Action::Settle,
        Action::ChargeBack,
        Action::ChargeBackInError,
        Action::GiveBack,
        Action::PortalRefund,
        Action::Revoke,
        Action::Expire,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Notice => "notice",
            Action::Forged => "forged",
            Action::Settle => "settle",
            Action::ChargeBack => "charge_back",
            Action::ChargeBackInError => "charge_back_in_error",
            Action::GiveBack => "give_back",
            Action::PortalRefund => "portal_refund",
            Action::Revoke => "revoke",
            Action::Expire => "expire",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// How an approved or payer-less transaction goes on.
pub enum Ending {
    Now,
    Later,
    Declined(&'static str, &'static str),
}

/// What the script and the method make of a transaction that is otherwise in order.
pub fn ending(stored: &Stored) -> Ending {
    match stored.script() {
        Some(Script::InsufficientBalance) => {
            Ending::Declined(reason::INSUFFICIENT_BALANCE, "the account does not hold enough")
        }
        Some(Script::Rejected) => Ending::Declined(reason::REJECTED, "the issuer refused"),
        Some(Script::BearerInvalid) => Ending::Declined(reason::BEARER_INVALID, "the means of payment are blocked"),
        Some(Script::PendingThenNotice | Script::NoticesOutOfOrder | Script::VisibleToLookupOnly) => Ending::Later,
        Some(Script::NoticeBeforeAnswer) => Ending::Now,
        Some(
            Script::NotSent
            | Script::AnswerLostAfterEffect
            | Script::AnswerLostWithoutEffect
            | Script::HtmlAfterEffect
            | Script::SlowAbsentInBetween
            | Script::NoticeFiveTimes
            | Script::ForgedNoticeFirst
            | Script::PaidAfterExpiry
            | Script::Chargeback
            | Script::MeansRevoked
            | Script::ChargebackReversed
            | Script::PortalRefund
            | Script::SlowAnswer,
        )
        | None => match stored.transaction.kind == kind::CHARGE && stored.method == method::DIRECT_DEBIT {
            true => Ending::Later,
            false => Ending::Now,
        },
    }
}

/// Turns a transaction into its good end.
pub fn succeed(psp: &SandboxPsp, stored: &mut Stored) {
    let now = psp.clock().now();
    stored.transaction.state = stored.good_state().to_owned();
    stored.transaction.stage = None;
    stored.transaction.redirect_url = None;
    // What was said of a card that was declined before is not said of this one.
    stored.transaction.reason = None;
    stored.transaction.message = None;
    stored.transaction.occurred_at = now.0;
    if stored.transaction.kind != kind::MEANS {
        stored.transaction.movement_id = Some(psp.new_id("mov"));
    }
    if stored.transaction.kind == kind::PREAUTH {
        stored.transaction.valid_until = Some(now.plus(PREAUTH_VALID_FOR).0);
    }
}

pub fn decline(psp: &SandboxPsp, stored: &mut Stored, reason: &str, message: &str) {
    end(psp, stored, state::DECLINED);
    stored.transaction.reason = Some(reason.to_owned());
    stored.transaction.message = Some(message.to_owned());
}

/// Any end without money.
pub fn end(psp: &SandboxPsp, stored: &mut Stored, state: &str) {
    stored.transaction.state = state.to_owned();
    stored.transaction.stage = None;
    stored.transaction.redirect_url = None;
    stored.transaction.occurred_at = psp.clock().now().0;
}

/// Keeps it pending: handed on, not yet confirmed.
pub fn send(psp: &SandboxPsp, stored: &mut Stored) {
    stored.transaction.state = state::PENDING.to_owned();
    stored.transaction.stage = Some(stage::SENT.to_owned());
    stored.transaction.redirect_url = None;
    stored.transaction.occurred_at = psp.clock().now().0;
}

/// Jobs that follow a success. `unseen`: the caller has not learned of it from an answer. The jobs that are to be done
/// before the answer are given back as well.
pub fn after_success(psp: &SandboxPsp, account: &str, stored: &Stored, unseen: bool, unit: &mut Unit) -> Vec<JobRow> {
    let mut jobs = Vec::new();
    let notice = notice(psp, &stored.transaction, notice_type::TRANSACTION);
    let mut tell = |action: Action, body: &str, wait: Duration| {
        jobs.push(job(psp, account, &stored.transaction.id, action, body.to_owned(), wait));
    };
    let mut first = Vec::new();
    match stored.script() {
        Some(Script::NoticeFiveTimes) => {
            for times in 0..5 {
                tell(Action::Notice, &notice, APART * times);
            }
        }
        Some(Script::NoticesOutOfOrder) => {
            tell(Action::Notice, &notice, Duration::ZERO);
            let mut pending = stored.clone();
            send(psp, &mut pending);
            pending.transaction.movement_id = None;
            // It happened before the success and is told after it.
            pending.transaction.occurred_at -= i64::try_from(LATER.as_millis()).unwrap_or(0);
            tell(Action::Notice, &self::notice(psp, &pending.transaction, notice_type::TRANSACTION), APART);
        }
        Some(Script::NoticeBeforeAnswer) if !unseen => {
            let job = job(psp, account, &stored.transaction.id, Action::Notice, notice, LEFT_TO_CALL);
            table::insert_job(unit, &job);
            first.push(job);
        }
        Some(Script::ForgedNoticeFirst) => {
            let mut lie = stored.clone();
            decline(psp, &mut lie, reason::REJECTED, "this notice is forged");
            let lie = self::notice(psp, &lie.transaction, notice_type::TRANSACTION);
            tell(Action::Forged, &lie, Duration::ZERO);
            tell(Action::Notice, &notice, APART);
        }
        Some(Script::VisibleToLookupOnly) => {}
        Some(
            script @ (Script::Chargeback | Script::ChargebackReversed | Script::PortalRefund | Script::MeansRevoked),
        ) => {
            if unseen {
                tell(Action::Notice, &notice, Duration::ZERO);
            }
            match script {
                Script::MeansRevoked => {
                    let stored_now = stored.transaction.means.as_ref().map(|means| &means.token);
                    if let Some(token) = stored_now.or(stored.token.as_ref()) {
                        tell(Action::Revoke, token, LATER);
                    }
                }
                _ if !can_be_charged_back(&stored.transaction) => {}
                Script::ChargebackReversed => tell(Action::ChargeBackInError, "", LATER),
                Script::PortalRefund => tell(Action::PortalRefund, "", LATER),
                _ => tell(Action::ChargeBack, "", LATER),
            }
        }
        Some(
            Script::InsufficientBalance
            | Script::Rejected
            | Script::BearerInvalid
            | Script::NotSent
            | Script::AnswerLostAfterEffect
            | Script::AnswerLostWithoutEffect
            | Script::HtmlAfterEffect
            | Script::SlowAbsentInBetween
            | Script::PendingThenNotice
            | Script::NoticeBeforeAnswer
            | Script::PaidAfterExpiry
            | Script::SlowAnswer,
        )
        | None => {
            if unseen {
                tell(Action::Notice, &notice, Duration::ZERO);
            }
        }
    }
    for job in &jobs {
        table::insert_job(unit, job);
    }
    first
}

/// UTC, `2024-06-18`.
pub fn day(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
    at.ok().and_then(|at| at.format(&DAY).ok()).unwrap_or_default()
}

pub fn can_be_charged_back(transaction: &Transaction) -> bool {
    transaction.state == state::SUCCEEDED && [kind::CHARGE, kind::CAPTURE].contains(&transaction.kind.as_str())
}

/// A job of a transaction, due after one of our waits.
pub fn job(psp: &SandboxPsp, account: &str, transaction: &str, action: Action, body: String, wait: Duration) -> JobRow {
    JobRow {
        id: psp.new_id("job"),
        account: account.to_owned(),
        transaction_id: transaction.to_owned(),
        action: action.as_str().to_owned(),
        body,
        due_ms: psp.clock().after(wait).0,
        attempts: 0,
    }
}

/// The body of a notice.
pub fn notice(psp: &SandboxPsp, transaction: &Transaction, notice_type: &str) -> String {
    let notice = Notice {
        id: psp.new_id("ntc"),
        notice_type: notice_type.to_owned(),
        created_at: psp.clock().now().0,
        transaction: Some(transaction.clone()),
    };
    // Texts and whole numbers always have a JSON form.
    serde_json::to_string(&notice).unwrap_or_default()
}
