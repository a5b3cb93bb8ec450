//! Payments: captures, charges of stored means, declines, debits to a day.

use super::{Means, Run, Step, Stop, money, part, parts};
use crate::conformance::answer::{Answer, day};
use crate::conformance::rules::Need;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::{PaymentErrorCode as Code, PaymentTransactionStatus as Status};

/// What billwerk's FakeProvider declines, and Rialto's sandbox.
pub const DECLINED: &str = "11.11";
/// How far ahead a debit is planned: behind every weekend.
const PLANNED_DAYS: i64 = 4;

impl Run {
    pub(super) async fn capture(&mut self) -> Step {
        let agreement = self.fresh_agreement();
        let unknown = self.capturing(&self.fresh(), &self.fresh(), &agreement, "5.00");
        let answer = self.try_post(Kind::Payment, &unknown).await?;
        self.judge_error("payment.capture.unknown", &answer, "nobody has made this preauth");
        if !self.can(&[Need::Card, Need::Payer, Need::Capture]) {
            return Ok(());
        }
        let agreement = self.card().await?.agreement;
        let preauth = self.reserved("20.00").await?;

        // Some reserve more than was asked for.
        let reserved = self.look(Kind::Preauth, &preauth).await?;
        let reserved = reserved.money("authorizedAmount", super::EUR).unwrap_or(money("20.00"));
        let above = rialto_adapters::port::Money { minor: reserved.minor + 1_000, ..reserved }.to_major_padded();
        let answer = self.try_post(Kind::Payment, &self.capturing(&self.fresh(), &preauth, &agreement, &above)).await?;
        self.judge_error("payment.capture.above", &answer, "it is more than is authorised");
        if answer.is_error() {
            self.judge("payment.capture.above_code", &answer, "InvalidAmount", answer.has_code(Code::InvalidAmount));
        }
        let other = self.capturing(&self.fresh(), &preauth, &agreement, "20.00").with("currency", Tree::text("USD"));
        let answer = self.try_post(Kind::Payment, &other).await?;
        self.judge_error("payment.capture.currency", &answer, "EUR were reserved");

        let id = self.fresh();
        let posted = self.post(Kind::Payment, &self.capturing(&id, &preauth, &agreement, "20.00")).await?;
        let settled = self.settled_payment(&id, posted).await?;
        let good = settled.is(Status::Succeeded) && settled.sum("payments", super::EUR) == Some(money("20.00"));
        self.judge("payment.capture.succeeds", &settled, "200 Succeeded, with payments of 20.00", good);
        if settled.is(Status::Succeeded) {
            let again = self.capturing(&self.fresh(), &preauth, &agreement, "20.00");
            let answer = self.try_post(Kind::Payment, &again).await?;
            self.judge_error("payment.capture.twice", &answer, "it is captured");
        }

        let (preauth, id) = (self.reserved("20.00").await?, self.fresh());
        let posted = self.post(Kind::Payment, &self.capturing(&id, &preauth, &agreement, "7.50")).await?;
        let settled = self.settled_payment(&id, posted).await?;
        let good = settled.is(Status::Succeeded) && settled.sum("payments", super::EUR) == Some(money("7.50"));
        self.judge("payment.capture.partial", &settled, "200 Succeeded, with payments of 7.50", good);
        Ok(())
    }

    pub(super) async fn settled_payment(&mut self, id: &str, posted: Answer) -> Step<Answer> {
        if posted.is_open() { self.settled(Kind::Payment, id).await } else { Ok(posted) }
    }

    pub(super) async fn recurring(&mut self) -> Step {
        let nobody = Means { agreement: self.fresh_agreement(), role: "CreditCard" };
        let unknown = self.payment(&self.fresh(), &nobody, "5.00");
        let answer = self.try_post(Kind::Payment, &unknown).await?;
        self.judge_error("payment.recurring.unknown_agreement", &answer, "nobody has made this agreement");
        let mut first = None;
        if self.can(&[Need::Means]) {
            part(self.charge().await, &mut first)?;
            part(self.decline().await, &mut first)?;
        }
        if self.can(&[Need::Debit]) {
            part(self.planned_debit().await, &mut first)?;
        }
        parts(first)
    }

    async fn charge(&mut self) -> Step {
        let (means, id) = (self.means().await?, self.fresh());
        let posted = self.post(Kind::Payment, &self.payment(&id, &means, "19.90")).await?;
        let rule = "payment.recurring.get_equals_post";
        let shown = self.get_equals_post(rule, Kind::Payment, &id, &posted).await?;
        let settled = self.settled_payment(&id, shown).await?;
        if settled.is_open() && means.role == "Debit" {
            return Err(Stop::Scene("a debit was not confirmed while we waited".to_owned()));
        }
        self.judge("payment.recurring.succeeds", &settled, "200 Succeeded", settled.is(Status::Succeeded));
        if !settled.is(Status::Succeeded) {
            return Ok(());
        }
        let items = settled.get("payments").map(Tree::items).unwrap_or_default();
        let dated = items.iter().all(|item| item.get("bookingDate").and_then(Tree::as_text).and_then(day).is_some());
        let whole = settled.sum("payments", super::EUR).is_some_and(|sum| sum.minor >= money("19.90").minor);
        let expected = "payments of 19.90 in all, each with a bookingDate";
        let got = settled.get("payments").unwrap_or(&Tree::Null).to_string();
        self.judge_as("payment.recurring.items", &settled, expected, &got, dated && whole);
        if self.can(&[Need::Refunds]) {
            let got = settled.get("refundableAmount").unwrap_or(&Tree::Null).to_string();
            let good = settled.has_money("refundableAmount", money("19.90"));
            self.judge_as("payment.recurring.refundable", &settled, "refundableAmount 19.90", &got, good);
        }
        Ok(())
    }

    /// A payment that was declined, if the PSP does so.
    pub(super) async fn declined(&mut self) -> Step<(Tree, Answer)> {
        let (means, id) = (self.means().await?, self.fresh());
        let body = self.payment(&id, &means, DECLINED);
        let posted = self.post(Kind::Payment, &body).await?;
        let settled = self.settled_payment(&id, posted).await?;
        if settled.is(Status::Succeeded) || settled.is_open() {
            return Err(Stop::Scene(format!("the PSP does not decline {DECLINED}, so there is no decline to look at")));
        }
        Ok((body, settled))
    }

    async fn decline(&mut self) -> Step {
        let (body, told) = self.declined().await?;
        let id = body.get("transactionId").and_then(Tree::as_text).unwrap_or_default().to_owned();
        self.judge_error("payment.declined.error", &told, "it is declined");
        let expected = format!("as before: {}", told.told());
        let shown = self.look(Kind::Payment, &id).await?;
        let same = shown.status() == told.status() && shown.error().is_some() && shown.error() == told.error();
        self.judge("payment.declined.get", &shown, &expected, same);
        let again = self.post(Kind::Payment, &body).await?;
        let same = again.status() == told.status() && again.error().is_some() && again.error() == told.error();
        self.judge("payment.declined.again", &again, &expected, same);
        Ok(())
    }

    async fn planned_debit(&mut self) -> Step {
        let (means, id) = (self.mandate().await?, self.fresh());
        let planned = self.day(PLANNED_DAYS);
        let body = self.payment(&id, &means, "29.90").with("plannedExecutionDate", Tree::text(&planned));
        let posted = self.post(Kind::Payment, &body).await?;
        let due = posted.text("dueDate").and_then(day);
        let good = posted.is(Status::Succeeded) || (posted.is_open() && due.is_some());
        let got = format!("{} with dueDate {}", posted.told(), posted.get("dueDate").unwrap_or(&Tree::Null));
        self.judge_as("payment.debit.planned", &posted, "200 Pending with a dueDate, or Succeeded", &got, good);
        if let (Some(due), Some(planned)) = (due, day(&planned)) {
            self.judge_as(
                "payment.debit.due_date",
                &posted,
                &format!("dueDate {planned} or later"),
                &got,
                due >= planned,
            );
        }
        let body = self.payment(&self.fresh(), &means, "29.90").with("plannedExecutionDate", Tree::text("soon"));
        let answer = self.try_post(Kind::Payment, &body).await?;
        self.judge_refusal("payment.debit.bad_date", &answer, "\"soon\" is no date");
        Ok(())
    }
}
