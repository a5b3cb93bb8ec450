//! A card that the payer gives on the PSP's page: before he comes, and what he then does.

use super::{Acted, Run, Step, Stop, money, part, parts};
use crate::conformance::answer::{Answer, moment};
use crate::conformance::payer::Act;
use crate::conformance::rules::Need;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::PaymentTransactionStatus as Status;

impl Run {
    pub(super) async fn redirect(&mut self) -> Step {
        if !self.can(&[Need::Card]) {
            return Ok(());
        }
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        let posted = self.post(Kind::Preauth, &self.sign_up(&id, &agreement, "25.00")).await?;
        let url = posted.text("redirectUrl").unwrap_or_default();
        self.judge("preauth.redirect.has_redirect_url", &posted, "200 with a redirectUrl", !url.is_empty());
        if !posted.is_ok() {
            return Err(Stop::Scene(format!("a card sign-up is not taken: {}", posted.told())));
        }
        if !url.is_empty() {
            let absolute = url::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
            let got = format!("redirectUrl {url:?}");
            self.judge_as("preauth.redirect.url_absolute", &posted, "an absolute web address", &got, absolute);
        }
        self.judge("preauth.redirect.status", &posted, "200 Pending or Initiated", posted.is_open());
        let nothing = posted.has_money("authorizedAmount", money("0"));
        self.judge("preauth.redirect.reserves_nothing", &posted, "authorizedAmount 0 or absent", nothing);
        let rule = "preauth.redirect.get_equals_post";
        let shown = self.get_equals_post(rule, Kind::Preauth, &id, &posted).await?;
        if shown.is_open() {
            let shows = shown.text("redirectUrl").is_some_and(|url| !url.is_empty());
            self.judge("preauth.redirect.get_has_url", &shown, "a redirectUrl", shows);
        }
        if self.can(&[Need::Capture]) {
            let capture = self.capturing(&self.fresh(), &id, &agreement, "25.00");
            let answer = self.try_post(Kind::Payment, &capture).await?;
            self.judge_error("preauth.redirect.not_capturable", &answer, "the payer has not come");
        }
        let zero = self.sign_up(&self.fresh(), &self.fresh_agreement(), "0");
        let answer = self.post(Kind::Preauth, &zero).await?;
        self.judge("preauth.redirect.zero", &answer, "200", answer.is_ok());
        Ok(())
    }

    pub(super) async fn payer_acts(&mut self) -> Step {
        if !self.can(&[Need::Card, Need::Payer]) {
            return Ok(());
        }
        let mut first = None;
        part(self.payer_approves().await, &mut first)?;
        // A payer who cannot act once cannot act again.
        if first.is_none() {
            part(self.payer_stores().await, &mut first)?;
            let ways = [
                (Act::Decline, "preauth.payer.declined", "preauth.payer.returns_error", "error"),
                (Act::Abort, "preauth.payer.aborted", "preauth.payer.returns_abort", "abort"),
            ];
            for (act, fails, returns, page) in ways {
                part(self.payer_refuses(act, fails, returns, page).await, &mut first)?;
            }
        }
        parts(first)
    }

    /// A sign-up on whose page the payer has acted, with where the browser ended.
    async fn acted(&mut self, id: &str, agreement: &str, amount: &str, act: Act) -> Step<(Answer, Option<String>)> {
        let posted = self.post(Kind::Preauth, &self.sign_up(id, agreement, amount)).await?;
        match self.act(&posted, act).await? {
            Acted::Done(end) => Ok((posted, end)),
            Acted::Not(why) => Err(Stop::Scene(why)),
        }
    }

    async fn payer_approves(&mut self) -> Step {
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        let (_, end) = self.acted(&id, &agreement, "25.00", Act::Approve).await?;
        let settled = self.settled(Kind::Preauth, &id).await?;
        self.judge("preauth.payer.approved", &settled, "200 Succeeded", settled.is(Status::Succeeded));
        self.returns("preauth.payer.returns_success", &settled, end, "success");
        if !settled.is(Status::Succeeded) {
            return Ok(());
        }
        self.judge_reserved("preauth.payer.authorized_amount", &settled, "25.00");
        let theirs = settled.text("pspTransactionId").is_some_and(|id| !id.is_empty());
        self.judge("preauth.payer.psp_id", &settled, "a pspTransactionId", theirs);
        self.judge("preauth.payer.bearer", &settled, "a bearer that is not empty", settled.bearer_has(""));
        let expires = settled.text("expiresAt").and_then(moment);
        let future = expires.is_some_and(|(at, _)| at > self.today());
        // The reference's GET leaves it out.
        self.judge("preauth.payer.expires_at", &settled, "an expiresAt in the future", future);
        self.card.get_or_insert(super::Means { agreement, role: "CreditCard" });
        Ok(())
    }

    async fn payer_stores(&mut self) -> Step {
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        self.acted(&id, &agreement, "0", Act::Approve).await?;
        let settled = self.settled(Kind::Preauth, &id).await?;
        let nothing = settled.has_money("authorizedAmount", money("0"));
        let good = settled.is(Status::Succeeded) && nothing && settled.bearer_has("");
        self.judge("preauth.payer.zero", &settled, "200 Succeeded, authorizedAmount 0, and a bearer", good);
        Ok(())
    }

    async fn payer_refuses(
        &mut self,
        act: Act,
        fails: &'static str,
        returns: &'static str,
        page: &'static str,
    ) -> Step {
        let (id, agreement) = (self.fresh(), self.fresh_agreement());
        let (_, end) = self.acted(&id, &agreement, "25.00", act).await?;
        let settled = self.settled(Kind::Preauth, &id).await?;
        self.judge_error(fails, &settled, "it has come to nothing");
        self.returns(returns, &settled, end, page);
        Ok(())
    }

    fn returns(&mut self, rule: &'static str, answer: &Answer, end: Option<String>, page: &str) {
        if let Some(end) = end.filter(|_| self.can(&[Need::SeesBrowser])) {
            let wanted = format!("{}{page}", super::HOME);
            let good = end.starts_with(&wanted);
            self.judge_as(rule, answer, &format!("the browser at {wanted}"), &end, good);
        }
    }
}
