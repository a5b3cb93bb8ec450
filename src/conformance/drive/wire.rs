//! Media types and casing on the way in, and what a request may leave out or bring besides.

use super::requests::FREE;
use super::{Run, Step};
use crate::conformance::client::Ask;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;

const CONTENT_TYPES: &[&str] =
    &["application/json", "application/json; charset=utf-8", "text/json", "application/vnd.billwerk+json"];

impl Run {
    pub(super) async fn wire(&mut self) -> Step {
        for content_type in CONTENT_TYPES {
            let id = self.fresh();
            let body = self.any_sign_up(&id).to_string();
            let ask = Ask { content_type, ..Ask::post_text(Kind::Preauth.path(), body) };
            let answer = self.ask(ask).await?;
            let expected = format!("200 for a body declared as {content_type}");
            self.judge("wire.content_types", &answer, &expected, answer.is_ok());
        }
        let id = self.fresh();
        let plain = self.any_sign_up(&id);
        let role = plain.get("paymentMeansReference").and_then(|m| m.get("role")).and_then(Tree::as_text);
        let role = role.unwrap_or_default();
        let number = if role == "Debit" { "3" } else { "2" };
        let (upper, lower) = (role.to_uppercase(), role.to_lowercase());
        let with_role = |body: Tree, role: Tree| {
            let means = body.get("paymentMeansReference").cloned().unwrap_or(Tree::Null);
            body.with("paymentMeansReference", means.with("role", role))
        };
        let pascal = |name: &str| name[..1].to_uppercase() + &name[1..];
        let rows: [(&'static str, Tree); 8] = [
            ("wire.names_pascal", self.any_sign_up(&self.fresh()).renamed(FREE, &pascal)),
            ("wire.names_any_case", self.any_sign_up(&self.fresh()).renamed(FREE, &str::to_uppercase)),
            ("wire.names_any_case", self.any_sign_up(&self.fresh()).renamed(FREE, &str::to_lowercase)),
            ("wire.enum_numbers", with_role(self.any_sign_up(&self.fresh()), Tree::number(number))),
            ("wire.enum_any_case", with_role(self.any_sign_up(&self.fresh()), Tree::text(upper))),
            ("wire.enum_any_case", with_role(self.any_sign_up(&self.fresh()), Tree::text(lower))),
            (
                "wire.unknown_fields",
                self.any_sign_up(&self.fresh()).with("newerThanYou", Tree::object([("a", Tree::List(Vec::new()))])),
            ),
            ("wire.nulls", self.with_nulls()),
        ];
        for (rule, body) in rows {
            let id = body.get("transactionId").and_then(Tree::as_text).unwrap_or_default().to_owned();
            let answer = self.post(Kind::Preauth, &body).await?;
            self.judge(rule, &answer, "200, as in the usual spelling", answer.is_ok());
            // What was read can be found again.
            if answer.is_ok() {
                let shown = self.look(Kind::Preauth, &id).await?;
                self.judge(rule, &shown, "200: what was taken is there", shown.is_ok());
            }
        }
        let comma = self.any_sign_up(&self.fresh()).to_string().replace("\"}", "\",}");
        let answer = self.ask(Ask::post_text(Kind::Preauth.path(), comma)).await?;
        self.judge("wire.trailing_commas", &answer, "200", answer.is_ok());

        let zero = self.any_sign_up(&self.fresh()).without("requestedAmount");
        let answer = self.post(Kind::Preauth, &zero).await?;
        self.judge("wire.absent_is_default", &answer, "200, as with requestedAmount 0", answer.is_ok());

        self.post(Kind::Preauth, &plain).await?;
        let lower = format!("{}/{id}", Kind::Preauth.path().to_ascii_lowercase());
        let answer = self.ask(Ask::get(lower)).await?;
        self.judge("wire.paths_any_case", &answer, "200, as of /api/Preauth/{id}", answer.is_ok());
        Ok(())
    }

    /// A request with null for all that may be left out.
    fn with_nulls(&self) -> Tree {
        let names = [
            "pspSettingsId",
            "transactionInvoiceReferenceText",
            "transactionReferenceText",
            "migrationToken",
            "orderData",
        ];
        names.iter().fold(self.any_sign_up(&self.fresh()), |body, name| body.with(name, Tree::Null))
    }
}
