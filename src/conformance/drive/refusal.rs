//! Requests that are wrong: each is refused with an error body, and blames the request.

use super::{Means, Run, Step};
use crate::conformance::client::Ask;
use crate::conformance::tree::Tree;
use crate::conformance::watch::Kind;
use crate::contracts::billwerk::dto::PaymentErrorCode as Code;

/// A way to make a right request wrong.
type Spoil = fn(Tree) -> Tree;

/// The code that fits, if there is one, with the rule that says so.
type Fitting = Option<(&'static str, Code)>;

const AMOUNT: Fitting = Some(("refusal.amount_code", Code::InvalidAmount));
const CURRENCY: Fitting = Some(("refusal.currency_code", Code::InvalidCurrency));

const ALL: &[Kind] = &[Kind::Preauth, Kind::Payment, Kind::Refund];
/// A preauth may be over nothing.
const MOVING: &[Kind] = &[Kind::Payment, Kind::Refund];
const WITH_ROLE: &[Kind] = &[Kind::Preauth, Kind::Payment];

/// Rule, the code that fits, what is spoiled by it, and how.
const SPOILED: &[(&str, Fitting, &[Kind], Spoil)] = &[
    ("refusal.negative_amount", AMOUNT, ALL, |b| b.with("requestedAmount", Tree::number("-10.00"))),
    ("refusal.zero_amount", AMOUNT, MOVING, |b| b.with("requestedAmount", Tree::number("0"))),
    ("refusal.too_precise", AMOUNT, ALL, |b| b.with("requestedAmount", Tree::number("10.001"))),
    ("refusal.huge_amount", AMOUNT, ALL, |b| b.with("requestedAmount", Tree::number("1e30"))),
    ("refusal.missing_amount", AMOUNT, MOVING, |b| b.without("requestedAmount")),
    ("refusal.amount_text", AMOUNT, ALL, |b| b.with("requestedAmount", Tree::text("ten"))),
    ("refusal.missing_currency", CURRENCY, ALL, |b| b.without("currency")),
    ("refusal.unknown_currency", CURRENCY, ALL, |b| b.with("currency", Tree::text("EURO"))),
    ("refusal.unknown_currency", CURRENCY, ALL, |b| b.with("currency", Tree::text("QQQ"))),
    ("refusal.missing_id", None, ALL, |b| b.without("transactionId")),
    ("refusal.missing_id", None, ALL, |b| b.with("transactionId", Tree::text(""))),
    ("refusal.unknown_role", None, WITH_ROLE, |b| {
        b.with("paymentMeansReference", Tree::object([("role", Tree::text("Seashells"))]))
    }),
    ("refusal.bad_target", None, ALL, |b| b.with("webhookTarget", Tree::text("not an address"))),
];

impl Run {
    pub(super) async fn refusal(&mut self) -> Step {
        let means = self.means_at_hand();
        for (rule, code, kinds, spoil) in SPOILED {
            let bodies = [
                (Kind::Preauth, self.any_sign_up(&self.fresh())),
                (Kind::Payment, self.payment(&self.fresh(), &means, "10.00")),
                // Of a payment nobody made: what is wrong with the form is told first, and nothing can go wrong.
                (Kind::Refund, self.refunding(&self.fresh(), &self.fresh(), "10.00")),
            ];
            for (kind, body) in bodies {
                if !kinds.contains(&kind) {
                    continue;
                }
                let answer = self.try_post(kind, &spoil(body)).await?;
                self.judge_refusal(rule, &answer, "the request is wrong");
                if let Some((rule, code)) = code
                    && answer.is_error()
                {
                    self.judge(rule, &answer, code.name(), answer.has_code(*code));
                }
            }
        }
        for kind in ALL {
            let whole = self.any_sign_up(&self.fresh()).to_string();
            let cut = whole.get(..whole.len() / 2).unwrap_or("{");
            for text in [cut, "{\"transactionId\" \"a\"}", "<xml/>"] {
                let answer = self.ask(Ask::post_text(kind.path(), text)).await?;
                self.judge_refusal("refusal.cut_json", &answer, "the body is not JSON");
            }
            for text in ["[]", "\"text\"", "null", ""] {
                let answer = self.ask(Ask::post_text(kind.path(), text)).await?;
                self.judge_refusal("refusal.not_an_object", &answer, "the body is no object");
            }
        }
        Ok(())
    }

    /// Stored means if there are any: a wrong request must be refused for what is wrong with it.
    fn means_at_hand(&self) -> Means {
        let stored = self.card.clone().or_else(|| self.mandate.clone());
        stored.unwrap_or_else(|| Means { agreement: self.fresh_agreement(), role: "CreditCard" })
    }
}
