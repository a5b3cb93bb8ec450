//! Refunds: parts, the whole, and never more than was paid.

use super::{Run, Step, Stop, money, part, parts};
use crate::conformance::answer::Answer;
use crate::conformance::rules::Need;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::{PaymentErrorCode as Code, PaymentTransactionStatus as Status};

impl Run {
    pub(super) async fn refund(&mut self) -> Step {
        if !self.can(&[Need::Refunds]) {
            return Ok(());
        }
        let unknown = self.refunding(&self.fresh(), &self.fresh(), "5.00");
        let answer = self.try_post(Kind::Refund, &unknown).await?;
        self.judge_error("refund.unknown_payment", &answer, "nobody has made this payment");
        if !self.can(&[Need::Means]) {
            return Ok(());
        }
        let mut first = None;
        part(self.refund_parts().await, &mut first)?;
        part(self.refund_declined().await, &mut first)?;
        parts(first)
    }

    /// A refund that has succeeded; the answer that shows it.
    async fn refunded(&mut self, rule: &'static str, payment: &str, amount: &str) -> Step<String> {
        let id = self.fresh();
        let posted = self.post(Kind::Refund, &self.refunding(&id, payment, amount)).await?;
        if rule == "refund.partial" {
            self.get_equals_post("refund.get_equals_post", Kind::Refund, &id, &posted).await?;
        }
        let settled = if posted.is_open() { self.settled(Kind::Refund, &id).await? } else { posted };
        let good = settled.is(Status::Succeeded) && settled.has_money("refundedAmount", money(amount));
        self.judge(rule, &settled, &format!("200 Succeeded with refundedAmount {amount}"), good);
        if !settled.is(Status::Succeeded) {
            return Err(Stop::Scene(format!("a refund of {amount} did not succeed: {}", settled.told())));
        }
        if rule == "refund.partial" {
            let dated = settled.text("bookingDate").is_some();
            self.judge("refund.booking_date", &settled, "a bookingDate", dated);
        }
        Ok(id)
    }

    async fn refused(&mut self, rule: &'static str, payment: &str, amount: &str, why: &str) -> Step {
        let answer = self.try_post(Kind::Refund, &self.refunding(&self.fresh(), payment, amount)).await?;
        self.judge_error(rule, &answer, why);
        if answer.is_error() && rule == "refund.above" {
            self.judge("refund.above_code", &answer, "InvalidAmount", answer.has_code(Code::InvalidAmount));
        }
        Ok(())
    }

    /// The parts are chosen so that a sum in binary fractions shows: 0.10 and 0.20.
    async fn refund_parts(&mut self) -> Step {
        let payment = self.paid("30.90").await?;
        self.refused("refund.above", &payment, "40.90", "30.90 were paid").await?;
        let other = self.refunding(&self.fresh(), &payment, "1.00").with("currency", Tree::text("USD"));
        let answer = self.try_post(Kind::Refund, &other).await?;
        self.judge_error("refund.currency", &answer, "EUR were paid");
        let refund = self.refunded("refund.partial", &payment, "0.10").await?;
        self.refused("refund.of_refund", &refund, "0.10", "that is a refund").await?;
        self.refunded("refund.second_partial", &payment, "0.20").await?;
        self.shown_refunds(&payment, "0.30", "30.60").await?;
        self.refused("refund.above_rest", &payment, "30.90", "30.60 are left").await?;
        self.refunded("refund.rest", &payment, "30.60").await?;
        self.refused("refund.rest", &payment, "1.00", "nothing is left").await?;
        Ok(())
    }

    async fn shown_refunds(&mut self, payment: &str, refunded: &str, left: &str) -> Step {
        let so = |answer: &Answer| answer.has_money("refundedAmount", money(refunded));
        let shown = self.look_until(Kind::Payment, payment, so).await?;
        let got = |name: &str| format!("{name} {}", shown.get(name).unwrap_or(&Tree::Null));
        let (sum, rest) = (got("refundedAmount"), got("refundableAmount"));
        self.judge_as("refund.shown_at_payment", &shown, &format!("refundedAmount {refunded}"), &sum, so(&shown));
        let good = shown.has_money("refundableAmount", money(left));
        self.judge_as("refund.refundable_shrinks", &shown, &format!("refundableAmount {left}"), &rest, good);
        Ok(())
    }

    async fn refund_declined(&mut self) -> Step {
        let (body, _) = self.declined().await?;
        let payment = body.get("transactionId").and_then(Tree::as_text).unwrap_or_default().to_owned();
        self.refused("refund.of_declined", &payment, "1.00", "nothing was paid").await
    }
}
