//! Preauthorisations that need no payer on a page: accounts, stored cards, cancelling.

use super::access::cancellation;
use super::requests::BAD_IBAN;
use super::{Acted, Run, Step, money, part, parts};
use crate::conformance::answer::Answer;
use crate::conformance::client::Ask;
use crate::conformance::payer::Act;
use crate::conformance::rules::Need;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::{
    PaymentCancellationStatus as Cancelled, PaymentErrorCode as Code, PaymentTransactionStatus as Status,
};

impl Run {
    pub(super) async fn debit(&mut self) -> Step {
        if !self.can(&[Need::Debit]) {
            return Ok(());
        }
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        let posted = self.post(Kind::Preauth, &self.account(&id, &agreement)).await?;
        if posted.is_ok() {
            self.get_equals_post("preauth.debit.get_equals_post", Kind::Preauth, &id, &posted).await?;
        }
        // A PSP that is slow for once may be waited for; a payer is not.
        let waits = posted.is_open() && posted.text("redirectUrl").is_none();
        let settled = if waits { self.settled(Kind::Preauth, &id).await? } else { posted };
        self.judge("preauth.debit.succeeds", &settled, "200 Succeeded", settled.is(Status::Succeeded));
        if settled.is_ok() {
            let nothing = settled.has_money("authorizedAmount", money("0"));
            self.judge("preauth.debit.reserves_nothing", &settled, "authorizedAmount 0 or absent", nothing);
            self.judge("preauth.debit.bearer", &settled, "a bearer that is not empty", settled.bearer_has(""));
            self.judge("preauth.debit.mandate", &settled, "a mandate in the bearer", settled.bearer_has("mandate"));
        }
        let bad = self.account_with(&self.fresh(), &self.fresh_agreement(), BAD_IBAN);
        let answer = self.try_post(Kind::Preauth, &bad).await?;
        let refused = answer.status() == 422 && answer.has_code(Code::BearerInvalid);
        self.judge("preauth.debit.bad_iban", &answer, "422 BearerInvalid", refused);
        let account = self.account(&self.fresh(), &self.fresh_agreement());
        let means = Tree::object([("role", Tree::text("Debit"))]);
        let answer = self.try_post(Kind::Preauth, &account.with("paymentMeansReference", means)).await?;
        self.judge_error("preauth.debit.no_account", &answer, "there is no account to debit");
        Ok(())
    }

    pub(super) async fn stored(&mut self) -> Step {
        let body = self.again(&self.fresh(), &self.fresh_agreement(), "10.00");
        let answer = self.try_post(Kind::Preauth, &body).await?;
        self.judge_error("preauth.stored.unknown_agreement", &answer, "nobody has made this agreement");
        if !self.can(&[Need::Card, Need::Payer]) {
            return Ok(());
        }
        let card = self.card().await?;
        let id = self.fresh();
        let posted = self.post(Kind::Preauth, &self.again(&id, &card.agreement, "15.00")).await?;
        let settled = if posted.is_open() { self.settled(Kind::Preauth, &id).await? } else { posted };
        self.judge("preauth.stored.succeeds", &settled, "200 Succeeded", settled.is(Status::Succeeded));
        if settled.is(Status::Succeeded) {
            self.judge_reserved("preauth.stored.authorized_amount", &settled, "15.00");
        }
        Ok(())
    }

    /// authorizedAmount is at least this.
    pub(super) fn judge_reserved(&mut self, rule: &'static str, answer: &Answer, least: &str) {
        let told = answer.get("authorizedAmount").unwrap_or(&Tree::Null).to_string();
        let good = answer.money("authorizedAmount", super::EUR).is_some_and(|have| have.minor >= money(least).minor);
        let expected = format!("authorizedAmount {least} or more");
        self.judge_as(rule, answer, &expected, &format!("authorizedAmount {told}"), good);
    }

    async fn cancelling(&mut self, id: &str, body: Option<&Tree>) -> Step<Answer> {
        let path = format!("{}/{id}/Cancel", Kind::Preauth.path());
        let with_body = Ask::post(path, body.unwrap_or(&Tree::Null));
        let ask = if body.is_some() { with_body } else { Ask { body: None, ..with_body } };
        self.ask(ask).await
    }

    pub(super) async fn cancel(&mut self) -> Step {
        let mut first = None;
        if self.can(&[Need::Card, Need::Payer, Need::Cancel]) {
            part(self.cancel_reserved().await, &mut first)?;
            if self.can(&[Need::Capture]) {
                part(self.cancel_captured().await, &mut first)?;
            }
        }
        if self.can(&[Need::Card, Need::Cancel]) {
            part(self.cancel_unfinished().await, &mut first)?;
        }
        parts(first)
    }

    async fn cancel_reserved(&mut self) -> Step {
        let id = self.reserved("12.00").await?;
        let answer = self.cancelling(&id, Some(&cancellation())).await?;
        let done = matches!(answer.cancellation(), Some(Cancelled::Succeeded | Cancelled::Pending));
        self.judge("cancel.succeeds", &answer, "200 Succeeded or Pending", done);
        if answer.is_ok() {
            let echoed = answer.text("transactionId") == Some(id.as_str());
            self.judge("cancel.id_echoed", &answer, &format!("transactionId {id}"), echoed);
        }
        if done {
            // The answer may be an error whose status says Cancelled: it has come to nothing.
            let is_cancelled = |answer: &Answer| {
                answer.is(Status::Cancelled) || answer.error().is_some_and(|told| told.status == Status::Cancelled)
            };
            let shown = self.look_until(Kind::Preauth, &id, is_cancelled).await?;
            self.judge("cancel.is_shown", &shown, "status Cancelled", is_cancelled(&shown));
            let again = self.cancelling(&id, Some(&cancellation())).await?;
            let good = again.cancellation() == Some(Cancelled::Succeeded);
            self.judge("cancel.again", &again, "200 Succeeded", good);
            if self.can(&[Need::Capture]) {
                let agreement = self.card().await?.agreement;
                let capture = self.capturing(&self.fresh(), &id, &agreement, "12.00");
                let answer = self.try_post(Kind::Payment, &capture).await?;
                self.judge_error("cancel.then_capture", &answer, "the preauth is cancelled");
            }
        }
        let id = self.reserved("13.00").await?;
        let answer = self.cancelling(&id, None).await?;
        self.judge("cancel.no_body", &answer, "200, as with a body", answer.cancellation().is_some());
        Ok(())
    }

    async fn cancel_captured(&mut self) -> Step {
        let id = self.reserved("14.00").await?;
        let agreement = self.card().await?.agreement;
        let payment = self.fresh();
        let posted = self.post(Kind::Payment, &self.capturing(&payment, &id, &agreement, "14.00")).await?;
        let captured = if posted.is_open() { self.settled(Kind::Payment, &payment).await? } else { posted };
        if !captured.is(Status::Succeeded) {
            return Err(super::Stop::Scene(format!("nothing could be captured: {}", captured.told())));
        }
        let answer = self.cancelling(&id, Some(&cancellation())).await?;
        let kept = matches!(answer.cancellation(), Some(Cancelled::NotCancelled | Cancelled::Failed));
        let good = answer.is_error() || kept;
        self.judge("cancel.captured", &answer, "an error, NotCancelled or Failed", good);
        Ok(())
    }

    async fn cancel_unfinished(&mut self) -> Step {
        let id = self.fresh();
        let posted = self.post(Kind::Preauth, &self.sign_up(&id, &self.fresh_agreement(), "10.00")).await?;
        if !posted.is_open() {
            return Err(super::Stop::Scene(format!("a sign-up is not open: {}", posted.told())));
        }
        let answer = self.cancelling(&id, Some(&cancellation())).await?;
        self.judge("cancel.unfinished", &answer, "200 with a cancellationStatus", answer.cancellation().is_some());
        self.look(Kind::Preauth, &id).await?;
        Ok(())
    }

    pub(super) async fn finalize(&mut self) -> Step {
        const PATH: &str = "/api/Preauth/Finalize";
        const RULES: [&str; 3] = ["finalize.pending", "finalize.done", "finalize.unknown"];
        let body = |id: &str| {
            let data = Tree::object([("trigger", Tree::text("Return"))]);
            Tree::object([("transactionId", Tree::text(id)), ("finalizationData", data)])
        };
        let unknown = self.fresh();
        let known = self.fresh();
        let posted = match self.offer.card {
            true => self.post(Kind::Preauth, &self.sign_up(&known, &self.fresh_agreement(), "10.00")).await?,
            false => self.post(Kind::Preauth, &self.any_sign_up(&known)).await?,
        };
        if !posted.is_ok() {
            return Err(super::Stop::Scene(format!("there is nothing to finalize: {}", posted.told())));
        }
        let answer = self.ask_quietly(Ask::post(PATH, &body(&known))).await?;
        if [404, 405].contains(&answer.status()) {
            for rule in RULES {
                self.book.not_applicable(rule, "Finalize is not offered; it is experimental, and nothing may need it");
            }
            return Ok(());
        }
        self.judge("finalize.pending", &answer, &format!("200 and {}", posted.told()), answer.is_ok());
        self.watch(Kind::Preauth, &known, &answer);
        let answer = self.ask(Ask::post(PATH, &body(&unknown))).await?;
        self.judge_error("finalize.unknown", &answer, "nobody has used this id");
        if self.can(&[Need::Card, Need::Payer]) {
            if let Acted::Not(why) = self.act(&posted, Act::Approve).await? {
                return Err(super::Stop::Scene(why));
            }
            let shown = self.settled(Kind::Preauth, &known).await?;
            let answer = self.ask(Ask::post(PATH, &body(&known))).await?;
            self.watch(Kind::Preauth, &known, &answer);
            let good = answer.is_ok() && answer.state() == shown.state();
            self.judge("finalize.done", &answer, &shown.told(), good);
        }
        Ok(())
    }
}
