//! Who may call, and what an id is answered that nobody has used.

use super::{Run, Step};
use crate::conformance::client::{Ask, Proof};
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::PaymentErrorCode as Code;

impl Run {
    pub(super) async fn access(&mut self) -> Step {
        let path = format!("{}/{}", Kind::Preauth.path(), self.fresh());
        for (rule, proof) in [("auth.no_token", Proof::None), ("auth.wrong_token", Proof::Wrong)] {
            let answer = self.ask(Ask::get(&path).by(proof)).await?;
            self.judge(rule, &answer, "status 401", answer.status() == 401);
            let off = answer.has_code(Code::LoginError) || answer.has_code(Code::PermissionDenied);
            if answer.got.is_ok() {
                self.judge("auth.no_login_error", &answer, "a code that does not switch the PSP off", !off);
            }
        }
        let broken = Ask::post_text(Kind::Payment.path(), "{\"transactionId\":").by(Proof::None);
        let answer = self.ask(broken).await?;
        self.judge("auth.before_body", &answer, "status 401", answer.status() == 401);
        for (rule, proof) in [("auth.bearer", Proof::Bearer), ("auth.basic", Proof::Basic)] {
            let answer = self.ask(Ask::get(&path).by(proof)).await?;
            let known = answer.got.is_ok() && ![401, 403].contains(&answer.status());
            self.judge(rule, &answer, "to be let in", known);
        }
        Ok(())
    }

    pub(super) async fn unknown(&mut self) -> Step {
        let kinds =
            [("unknown.preauth", Kind::Preauth), ("unknown.payment", Kind::Payment), ("unknown.refund", Kind::Refund)];
        for (rule, kind) in kinds {
            let answer = self.ask(Ask::get(format!("{}/{}", kind.path(), self.fresh()))).await?;
            self.judge_error(rule, &answer, "nobody has used this id");
            self.judge("unknown.is_4xx", &answer, "status 4xx", (400..500).contains(&answer.status()));
        }
        let cancel = format!("{}/{}/Cancel", Kind::Preauth.path(), self.fresh());
        let answer = self.ask(Ask::post(cancel, &cancellation())).await?;
        self.judge_error("unknown.cancel", &answer, "nobody has used this id");
        let long = "1".repeat(1_000);
        for id in [long.as_str(), "%00", "a%20b", "%F0%9F%92%B6", "'--"] {
            let answer = self.ask(Ask::get(format!("{}/{id}", Kind::Payment.path()))).await?;
            self.judge_error("unknown.weird_ids", &answer, "nobody has used this id");
        }
        Ok(())
    }
}

pub fn cancellation() -> Tree {
    Tree::object([("pspSettingsId", Tree::text(""))])
}
