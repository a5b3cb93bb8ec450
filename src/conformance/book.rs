//! What was found out about each rule: it holds if every look at it was good, and the first bad look is told.

use std::collections::BTreeMap;

use super::answer::{Answer, cut};
use super::client::Client;

/// Characters of a request or answer that a report shows.
const EXCERPT_MAX: usize = 700;

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub expected: String,
    pub got: String,
    /// `POST /api/Payment {…}`, without credentials.
    pub request: String,
    /// `422 application/json {…}`, empty where none came.
    pub answer: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail(Failure),
    /// It was not tried out, and why.
    Skipped(String),
    /// The integrator says that it does not offer it.
    NotApplicable(String),
}

impl Verdict {
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Skipped(_) => "skipped",
            Verdict::NotApplicable(_) => "not applicable",
        }
    }
}

#[derive(Default)]
pub struct Book {
    verdicts: BTreeMap<&'static str, Verdict>,
}

impl Book {
    /// One look at a rule: `good`, or what was expected of this answer.
    pub fn judge(&mut self, client: &Client, rule: &'static str, answer: &Answer, expected: &str, good: bool) {
        self.judge_as(client, rule, answer, expected, &answer.told(), good);
    }

    /// The same, where the answer alone does not say what is wrong.
    pub fn judge_as(
        &mut self,
        client: &Client,
        rule: &'static str,
        answer: &Answer,
        expected: &str,
        got: &str,
        good: bool,
    ) {
        if good {
            return self.pass(rule);
        }
        let ask = &answer.ask;
        let body = ask.body.as_deref().unwrap_or_default();
        let request = format!("{} {} {body}", ask.method, ask.path);
        let reply = match &answer.got {
            Ok(reply) => format!("{} {} {}", reply.status, reply.content_type, reply.text),
            Err(_) => String::new(),
        };
        let excerpt = |text: &str| cut(client.scrub(text).trim(), EXCERPT_MAX);
        let failure = Failure {
            expected: expected.to_owned(),
            got: excerpt(got),
            request: excerpt(&request),
            answer: excerpt(&reply),
        };
        self.fail(rule, failure);
    }

    pub fn pass(&mut self, rule: &'static str) {
        if !matches!(self.verdicts.get(rule), Some(Verdict::Fail(_))) {
            self.verdicts.insert(rule, Verdict::Pass);
        }
    }

    pub fn fail(&mut self, rule: &'static str, failure: Failure) {
        if !matches!(self.verdicts.get(rule), Some(Verdict::Fail(_))) {
            self.verdicts.insert(rule, Verdict::Fail(failure));
        }
    }

    pub fn not_applicable(&mut self, rule: &'static str, why: impl Into<String>) {
        self.verdicts.entry(rule).or_insert_with(|| Verdict::NotApplicable(why.into()));
    }

    pub fn take(&mut self, rule: &str) -> Option<Verdict> {
        self.verdicts.remove(rule)
    }

    /// The rules that were looked at.
    pub fn judged(&self) -> Vec<&'static str> {
        self.verdicts.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_look_stands() {
        let failure = |got: &str| Failure {
            expected: String::new(),
            got: got.to_owned(),
            request: String::new(),
            answer: String::new(),
        };
        let mut book = Book::default();
        book.pass("a");
        assert_eq!(book.take("a"), Some(Verdict::Pass));
        book.pass("b");
        book.fail("b", failure("one"));
        book.fail("b", failure("two"));
        book.pass("b");
        book.not_applicable("b", "no");
        assert_eq!(book.take("b"), Some(Verdict::Fail(failure("one"))));
        book.not_applicable("c", "not offered");
        assert_eq!(book.take("c"), Some(Verdict::NotApplicable("not offered".to_owned())));
    }
}
