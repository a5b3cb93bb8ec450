//! Notices: what happens later is told, thinly, again where it was not taken, and together where it piles up.

use super::{Acted, Run, Step, Stop, part, parts};
use crate::conformance::answer::{Answer, choice};
use crate::conformance::book::Failure;
use crate::conformance::listen::{HELD_MAX, Notice};
use crate::conformance::payer::Act;
use crate::conformance::rules::Need;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::PaymentTransactionStatus as Status;

/// Notices of one transaction beyond which one that was taken is sent on and on: as many as there are changes in the
/// longest story here, and some that were sent again because an answer was lost.
const NOTICES_OF_ONE_MAX: usize = 12;
/// What may come of one transaction whose first notice is held back: that one, and one for all the rest.
const COALESCED_MAX: usize = 2;
/// Words that a thin notice has nothing to say about.
const NOT_THIN: &[&str] =
    &["status", "amount", "requestedAmount", "authorizedAmount", "refundedAmount", "payments", "bearer"];
/// Types of notices; agreements and mandates belong to no single transaction.
const TYPES: [(&str, i64); 5] = [("Preauth", 1), ("Payment", 2), ("Refund", 3), ("Agreement", 4), ("Mandate", 5)];
const FREE_TYPES: [&str; 2] = ["Agreement", "Mandate"];

fn type_of(notice: &Tree) -> Option<&'static str> {
    let by_name =
        |name: &str| TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(known, _)| *known);
    let by_code = |code: i64| TYPES.iter().find(|(_, known)| *known == code).map(|(known, _)| *known);
    choice(notice.get("Type"), by_name, by_code)
}

impl Run {
    pub(super) async fn notices(&mut self) -> Step {
        if self.listener.is_none() {
            return Ok(());
        }
        let mut first = None;
        // Early, for another attempt takes its time.
        part(self.refuse_one().await, &mut first)?;
        if self.can(&[Need::Card, Need::Payer]) {
            part(self.told_of_payer(Act::Approve, "notice.preauth").await, &mut first)?;
            part(self.told_of_payer(Act::Decline, "notice.failure").await, &mut first)?;
        }
        if self.can(&[Need::Debit]) {
            part(self.told_of_debit().await, &mut first)?;
        }
        if self.can(&[Need::Means, Need::Refunds]) {
            part(self.told_together().await, &mut first)?;
        }
        part(self.told_again().await, &mut first)?;
        self.look_at_all();
        parts(first)
    }

    async fn told_of_payer(&mut self, act: Act, rule: &'static str) -> Step {
        let id = self.fresh();
        let body = self.sign_up(&id, &self.fresh_agreement(), "10.00");
        // What was told before the payer acted is not about him.
        let posted = self.post(Kind::Preauth, &body).await?;
        let before = self.notices_of(&id).len();
        if let Acted::Not(why) = self.act(&posted, act).await? {
            return Err(Stop::Scene(why));
        }
        self.told_later(rule, Kind::Preauth, &id, before, &posted).await
    }

    async fn told_of_debit(&mut self) -> Step {
        let (means, id) = (self.mandate().await?, self.fresh());
        let posted = self.post(Kind::Payment, &self.payment(&id, &means, "21.00")).await?;
        if !posted.is_ok() {
            return Err(Stop::Scene(format!("a debit is not taken: {}", posted.told())));
        }
        if !posted.is_open() {
            return Err(Stop::Scene("the debit was confirmed at once, so there is nothing to tell later".to_owned()));
        }
        self.told_later("notice.payment", Kind::Payment, &id, 0, &posted).await
    }

    /// Waits for a notice after which the transaction is decided.
    async fn told_later(&mut self, rule: &'static str, kind: Kind, id: &str, before: usize, posted: &Answer) -> Step {
        let (mut seen, within) = (before, self.limits.notice_within);
        let until = tokio::time::Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let got = match &self.listener {
                Some(listener) => listener.wait_for(id, left, |got| got.len() > seen).await.len(),
                None => seen,
            };
            if got <= seen {
                break;
            }
            seen = got;
            let shown = self.look(kind, id).await?;
            if shown.got.is_ok() && !shown.is_open() {
                self.judge(rule, &shown, "a notice", true);
                self.book.pass("notice.get_after");
                return Ok(());
            }
        }
        let shown = self.look(kind, id).await?;
        let decided = !shown.is_open();
        if decided && seen > before {
            // It was told, and GET did not show it then.
            self.judge("notice.get_after", &shown, "GET to show the change when it was told", false);
        }
        if !decided && kind == Kind::Payment {
            return Err(Stop::Scene(format!("a debit was not confirmed within {} s", within.as_secs())));
        }
        let expected = format!("a notice about {id} within {} s", within.as_secs());
        let got = format!("{} of them, and GET shows {}", seen - before, shown.told());
        self.judge_as(rule, posted, &expected, &got, seen > before);
        Ok(())
    }

    /// While the first notice of a payment waits for its answer, the payment is refunded three times.
    async fn told_together(&mut self) -> Step {
        let (means, id) = (self.means().await?, self.fresh());
        if let Some(listener) = &self.listener {
            listener.hold(&id);
        }
        let posted = self.post(Kind::Payment, &self.payment(&id, &means, "33.00")).await?;
        let settled = self.settled_payment(&id, posted).await?;
        let came = match &self.listener {
            Some(listener) => listener.wait_for(&id, self.limits.notice_within, |got| !got.is_empty()).await.len(),
            None => 0,
        };
        let started = tokio::time::Instant::now();
        if settled.is(Status::Succeeded) && came > 0 {
            for amount in ["1.00", "2.00", "3.00"] {
                let refund = self.fresh();
                self.post(Kind::Refund, &self.refunding(&refund, &id, amount)).await?;
                self.settled(Kind::Refund, &refund).await?;
            }
        }
        // Let go, all that was held back comes; what still came at once is there already.
        let while_held = self.notices_of(&id).len();
        if let Some(listener) = &self.listener {
            listener.let_go(&id);
        }
        if came == 0 {
            return Err(Stop::Scene("no notice of a payment came that could have been held back".to_owned()));
        }
        if started.elapsed() >= HELD_MAX {
            return Err(Stop::Scene("refunds took too long to pile up while a notice was held back".to_owned()));
        }
        let expected = format!("at most {COALESCED_MAX} notices, one of them held back");
        let got = format!("{while_held} notices while the first waited");
        self.judge_as("notice.coalesced", &settled, &expected, &got, while_held <= COALESCED_MAX);
        Ok(())
    }

    /// The notice that was answered 500 comes again.
    async fn told_again(&mut self) -> Step {
        let (Some(id), Some(listener)) = (self.refused_notice.clone(), &self.listener) else { return Ok(()) };
        let within = self.limits.retry_within;
        let came = |got: &[Notice]| got.iter().any(|notice| notice.answered == 500);
        if !came(&listener.wait_for(&id, self.limits.notice_within, came).await) {
            return Err(Stop::Scene("no notice came that could have been answered 500".to_owned()));
        }
        let again = |got: &[Notice]| {
            let refused = got.iter().position(|notice| notice.answered == 500);
            refused.is_some_and(|at| got.len() > at + 1)
        };
        let got = listener.wait_for(&id, within, again).await;
        let answer = self.look(self.ledger.kind_of(&id).unwrap_or(Kind::Payment), &id).await?;
        let expected = format!("another notice within {} s of one that was answered 500", within.as_secs());
        self.judge_as("notice.retried", &answer, &expected, &format!("{} in all", got.len()), again(&got));
        Ok(())
    }

    /// Makes something happen whose first notice is answered 500.
    async fn refuse_one(&mut self) -> Step {
        let id = self.fresh();
        let (debit, payer) = (self.can(&[Need::Debit]), self.can(&[Need::Card, Need::Payer]));
        if !debit && !payer {
            return Err(Stop::Scene("nothing happens here that is told".to_owned()));
        }
        if let Some(listener) = &self.listener {
            listener.refuse_once(&id);
        }
        self.refused_notice = Some(id.clone());
        if debit {
            let means = self.mandate().await?;
            self.post(Kind::Payment, &self.payment(&id, &means, "22.00")).await?;
            return Ok(());
        }
        let posted = self.post(Kind::Preauth, &self.sign_up(&id, &self.fresh_agreement(), "10.00")).await?;
        match self.act(&posted, Act::Approve).await? {
            Acted::Done(_) => Ok(()),
            Acted::Not(why) => Err(Stop::Scene(why)),
        }
    }

    fn notices_of(&self, id: &str) -> Vec<Notice> {
        self.listener.as_ref().map(|listener| listener.of(id)).unwrap_or_default()
    }

    /// Every notice that came in the whole run.
    fn look_at_all(&mut self) {
        let all = self.listener.as_ref().map(super::Listener::all).unwrap_or_default();
        for notice in &all {
            self.look_at(notice);
            if notice.id().is_empty() {
                continue;
            }
            let taken = all.iter().filter(|other| other.id() == notice.id()).count();
            let expected = format!("at most {NOTICES_OF_ONE_MAX} notices of one transaction");
            let got = format!("{taken} about {}", notice.id());
            self.judge_notice("notice.any_2xx", notice, &expected, &got, taken <= NOTICES_OF_ONE_MAX);
        }
    }

    fn look_at(&mut self, notice: &Notice) {
        let hides = !self.client.tells_token(&notice.text);
        self.judge_notice("notice.hides_token", notice, "a notice without the token", "the token", hides);
        let body = notice.tree.as_ref().ok().filter(|tree| tree.is_object());
        let whole = body.is_some_and(|body| body.get("Type").is_some()) && !notice.id().is_empty();
        let shape = "a JSON object with TransactionId and Type";
        self.judge_notice("notice.shape", notice, shape, &notice.text, whole);
        let Some(body) = body else { return };
        let kind = self.ledger.kind_of(notice.id());
        if !notice.id().is_empty() {
            let known = kind.is_some();
            self.judge_notice("notice.known_id", notice, "the id of a transaction", notice.id(), known);
        }
        let told = type_of(body);
        let fits = match (told, kind) {
            (Some(told), Some(kind)) => told == kind.notice_type().0 || FREE_TYPES.contains(&told),
            (told, None) => told.is_some(),
            (None, Some(_)) => false,
        };
        let wanted = kind.map_or("a WebhookType", |kind| kind.notice_type().0);
        let got = body.get("Type").unwrap_or(&Tree::Null).to_string();
        self.judge_notice("notice.type", notice, wanted, &got, fits);
        let fat = NOT_THIN.iter().find(|name| body.get(name).is_some());
        self.judge_notice(
            "notice.thin",
            notice,
            "ids and a type only",
            fat.copied().unwrap_or_default(),
            fat.is_none(),
        );
    }

    fn judge_notice(&mut self, rule: &'static str, notice: &Notice, expected: &str, got: &str, good: bool) {
        if good {
            return self.book.pass(rule);
        }
        let show = |text: &str| crate::conformance::answer::shown(&self.client.scrub(text));
        let failure = Failure {
            expected: expected.to_owned(),
            got: show(got),
            request: format!("a notice to us: {} {}", show(&notice.content_type), show(&notice.text)),
            answer: notice.answered.to_string(),
        };
        self.book.fail(rule, failure);
    }
}
