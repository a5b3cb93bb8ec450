//! The same id again: with the same request one effect, with another one a refusal.

use futures_util::future::join_all;

use super::{Run, Step, money, part, parts};
use crate::conformance::answer::Answer;
use crate::conformance::client::Ask;
use crate::conformance::rules::Need;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::{PaymentErrorCode as Code, PaymentTransactionStatus as Status};

/// How many of one request are under way at once.
const AT_ONCE: usize = 4;

fn id_of(body: &Tree) -> String {
    body.get("transactionId").and_then(Tree::as_text).unwrap_or_default().to_owned()
}

/// What tells two transactions apart.
fn ids(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.text("externalTransactionId"), answer.text("pspTransactionId"))
}

impl Run {
    pub(super) async fn repeat(&mut self) -> Step {
        let mut first = None;
        part(self.repeat_preauth().await, &mut first)?;
        if self.can(&[Need::Means]) {
            part(self.repeat_payment().await, &mut first)?;
            if self.can(&[Need::Refunds]) {
                part(self.repeat_refund().await, &mut first)?;
            }
        }
        parts(first)
    }

    /// The same again has the same ids. The PSP's may only have been added meanwhile.
    async fn same(&mut self, rule: &'static str, kind: Kind, body: &Tree, before: &Answer) -> Step<Answer> {
        let again = self.post(kind, body).await?;
        let ((external, theirs), (external_now, theirs_now)) = (ids(before), ids(&again));
        let good = again.is_ok() && external == external_now && (theirs.is_none() || theirs == theirs_now);
        let expected = format!("200 with externalTransactionId {}", external.unwrap_or_default());
        let got = format!("{} with externalTransactionId {}", again.told(), external_now.unwrap_or_default());
        self.judge_as(rule, &again, &expected, &got, good);
        Ok(again)
    }

    /// Another request under the id is refused and changes nothing.
    async fn other(&mut self, rule: &'static str, kind: Kind, body: &Tree, amount: &str) -> Step {
        let id = id_of(body);
        let before = self.settled(kind, &id).await?;
        let other = body.clone().with("requestedAmount", Tree::number(amount));
        let answer = self.try_post(kind, &other).await?;
        self.judge_refusal(rule, &answer, "another request has this id");
        if answer.is_error() {
            let good = answer.has_code(Code::AlreadyExecuted);
            self.judge("repeat.other_code", &answer, "AlreadyExecuted", good);
        }
        let after = self.look(kind, &id).await?;
        let shows = |answer: &Answer| answer.money("requestedAmount", super::EUR);
        let same = ids(&before) == ids(&after) && shows(&before) == shows(&after) && before.state() == after.state();
        let good = same && after.is_ok();
        self.judge(rule, &after, &format!("the first request, unchanged: {}", before.told()), good);
        Ok(())
    }

    async fn repeat_preauth(&mut self) -> Step {
        let body = self.any_sign_up(&self.fresh());
        let posted = self.post(Kind::Preauth, &body).await?;
        self.same("repeat.preauth", Kind::Preauth, &body, &posted).await?;
        // Not through `settled`: a card waits for its payer for ever.
        let other = body.clone().with("requestedAmount", Tree::number("99.00"));
        let answer = self.try_post(Kind::Preauth, &other).await?;
        self.judge_refusal("repeat.other_preauth", &answer, "another request has this id");
        if answer.is_error() {
            let good = answer.has_code(Code::AlreadyExecuted);
            self.judge("repeat.other_code", &answer, "AlreadyExecuted", good);
        }
        let after = self.look(Kind::Preauth, &id_of(&body)).await?;
        let good = after.has_money("requestedAmount", money("10.00"));
        self.judge("repeat.other_preauth", &after, "the first request, unchanged: requestedAmount 10.00", good);
        Ok(())
    }

    async fn repeat_payment(&mut self) -> Step {
        let means = self.means().await?;
        let body = self.payment(&self.fresh(), &means, "12.50");
        let posted = self.post(Kind::Payment, &body).await?;
        self.same("repeat.payment", Kind::Payment, &body, &posted).await?;
        let settled = self.settled(Kind::Payment, &id_of(&body)).await?;
        if settled.is(Status::Succeeded) {
            let once = settled.sum("payments", super::EUR) == Some(money("12.50"));
            let got = settled.get("payments").unwrap_or(&Tree::Null).to_string();
            self.judge_as("repeat.payment", &settled, "payments of 12.50 in all", &got, once);
        }
        let Tree::Object(mut members) = body.clone().with("requestedAmount", Tree::number("12.5")) else {
            return Ok(());
        };
        members.reverse();
        let spelled = Tree::Object(members);
        self.same("repeat.other_spelling", Kind::Payment, &spelled, &settled).await?;
        self.other("repeat.other_payment", Kind::Payment, &body, "13.50").await
    }

    async fn repeat_refund(&mut self) -> Step {
        let payment = self.paid("40.00").await?;
        let body = self.refunding(&self.fresh(), &payment, "4.00");
        let posted = self.post(Kind::Refund, &body).await?;
        self.same("repeat.refund", Kind::Refund, &body, &posted).await?;
        self.settled(Kind::Refund, &id_of(&body)).await?;
        self.refunded_in_all("repeat.refund", &payment, "4.00").await?;
        self.other("repeat.other_refund", Kind::Refund, &body, "5.00").await?;
        self.refunded_in_all("repeat.other_refund", &payment, "4.00").await?;

        let body = self.refunding(&self.fresh(), &payment, "3.00");
        let id = id_of(&body);
        self.goes_on()?;
        self.ledger.open(Kind::Refund, &id, money("3.00"));
        let ask = Ask::post(Kind::Refund.path(), &body);
        let (client, ask) = (self.client.clone(), &ask);
        let got = join_all((0..AT_ONCE).map(|_| client.ask(ask))).await;
        let answers: Vec<Answer> = got.into_iter().map(|got| Answer { ask: ask.clone(), got }).collect();
        let good: Vec<&Answer> = answers.iter().filter(|answer| answer.is_ok()).collect();
        let external = good.first().and_then(|answer| answer.text("externalTransactionId"));
        for answer in &answers {
            // One that is told to come again later was not carried out twice.
            let same = !answer.is_success() || answer.text("externalTransactionId") == external;
            self.judge("repeat.at_once", answer, "the same externalTransactionId for all", same && external.is_some());
        }
        self.settled(Kind::Refund, &id).await?;
        self.refunded_in_all("repeat.at_once", &payment, "7.00").await
    }

    async fn refunded_in_all(&mut self, rule: &'static str, payment: &str, amount: &str) -> Step {
        let so = |answer: &Answer| answer.has_money("refundedAmount", money(amount));
        let shown = self.look_until(Kind::Payment, payment, so).await?;
        let got = format!("refundedAmount {}", shown.get("refundedAmount").unwrap_or(&Tree::Null));
        self.judge_as(rule, &shown, &format!("refundedAmount {amount} of the payment"), &got, so(&shown));
        Ok(())
    }
}
