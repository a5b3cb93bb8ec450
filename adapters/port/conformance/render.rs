//! The readable text of expectations: stable, one fact a line, only what is there.
//!
//! It shows tokens, which a test must see; nothing outside of tests may use it.

use std::fmt::Write as _;

use super::Answer;
use crate::port::instruction::Payer;
use crate::port::notice::Verification;
use crate::port::outcome::{BalanceAnswer, Fault, Feed, Lookup, Outcome, Probe, Read, Sent};
use crate::port::reference::References;
use crate::port::report::{NextAction, Report, ReportKind, Verdict};
use crate::port::time::Timestamp;
use crate::port::wire::{Header, Request};

/// A text under construction, a line at a time.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, indent: usize, text: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:indent$}{text}", "");
    }

    fn field(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.line(4, format_args!("{name} {value}"));
        }
    }
}

/// Method and URL, headers (a secret one is marked), an empty line, the body.
pub fn request(request: &Request) -> String {
    let mut text = Text::default();
    text.line(0, format_args!("{} {}", request.method.as_str(), request.url));
    for (name, header) in &request.headers {
        match header {
            Header::Plain(value) => text.line(0, format_args!("{name}: {value}")),
            Header::Secret(value) => text.line(0, format_args!("{name}: {} (secret)", value.expose())),
        }
    }
    text.line(0, format_args!("(scrubbed: {})", request.scrub.join(", ")));
    text.line(0, "");
    text.line(0, String::from_utf8_lossy(&request.body));
    text.0
}

pub fn answer(answer: &Answer) -> String {
    let mut text = Text::default();
    match answer {
        Answer::Submitted(Outcome::Reported(list)) | Answer::LookedUp(Lookup::Reported(list)) => {
            reports(&mut text, list)
        }
        Answer::Submitted(Outcome::NotSent(why) | Outcome::Unknown(why))
        | Answer::LookedUp(Lookup::Unknown(why))
        | Answer::Probed(Probe::Unknown(why))
        | Answer::Balanced(BalanceAnswer::Unknown(why))
        | Answer::Fed(Feed::Unknown(why)) => fault(&mut text, answer, why),
        Answer::LookedUp(Lookup::Absent) => text.line(0, "absent"),
        Answer::LookedUp(Lookup::CannotAsk) => text.line(0, "cannot ask"),
        Answer::Probed(Probe::Valid(methods)) => {
            text.line(0, "valid");
            for (kind, method) in methods {
                text.line(2, format_args!("{} {}", kind.as_str(), method.as_str()));
            }
        }
        Answer::Probed(Probe::Refused(reason, why)) => {
            text.line(0, format_args!("refused: {}: {why}", reason.as_str()));
        }
        Answer::Balanced(BalanceAnswer::Known(money)) => text.line(0, format_args!("balance {money}")),
        Answer::Balanced(BalanceAnswer::Unsupported) | Answer::Fed(Feed::Unsupported) => text.line(0, "unsupported"),
        Answer::Fed(Feed::Page { reports: list, next_cursor }) => {
            text.line(0, format_args!("page, next {}", next_cursor.as_deref().unwrap_or("-")));
            reports(&mut text, list);
        }
    }
    text.0
}

/// What the check said and, where it verified, what was read.
pub fn notice(verification: &Verification, read: Option<&Read>) -> String {
    let mut text = Text::default();
    match verification {
        Verification::Verified(_) => text.line(0, "verified"),
        Verification::Rejected(why) => text.line(0, format_args!("rejected: {why}")),
        Verification::Nudge(list) => {
            text.line(0, "nudge");
            for references in list {
                text.line(2, "transaction");
                self::references(&mut text, references);
            }
        }
    }
    match read {
        None => {}
        Some(Read::Reports(list)) => reports(&mut text, list),
        Some(Read::Ignored(why)) => text.line(0, format_args!("ignored: {why}")),
        Some(Read::Unreadable(why)) => text.line(0, format_args!("unreadable: {why}")),
    }
    text.0
}

fn fault(text: &mut Text, answer: &Answer, fault: &Fault) {
    // For a look-up the fault's own word matters; of a submit it is the outcome itself.
    let word = match (answer, fault.sent) {
        (Answer::Submitted(Outcome::NotSent(_)), Sent::No) => "not sent",
        (Answer::Submitted(Outcome::Unknown(_)), Sent::Maybe) => "unknown",
        (Answer::Submitted(_), _) => "outcome and fault contradict each other",
        (_, Sent::No) => "unknown, not sent",
        (_, Sent::Maybe) => "unknown",
    };
    text.line(0, format_args!("{word}: {fault}"));
}

fn reports(text: &mut Text, list: &[Report]) {
    text.line(0, "reported");
    for report in list {
        self::report(text, report);
    }
}

fn report(text: &mut Text, report: &Report) {
    let extra = match report.kind {
        ReportKind::Dispute { respond_by: Some(Timestamp(at)) } => format!(" (respond by {at})"),
        ReportKind::Dispute { respond_by: None }
        | ReportKind::Of(_)
        | ReportKind::Return
        | ReportKind::Chargeback
        | ReportKind::ChargebackReversed
        | ReportKind::MeansRevoked => String::new(),
    };
    text.line(2, format_args!("{}{extra}: {}", report.kind.as_str(), verdict(&report.verdict)));
    references(text, &report.references);
    text.field("amount", report.amount);
    text.field("fee", report.fee);
    text.field("reason", report.reason.map(|reason| reason.as_str()));
    text.field("movement", report.movement.as_ref().map(|movement| &movement.0));
    text.field("occurred at", report.occurred_at.map(|at| at.0));
    text.field("valid until", report.valid_until.map(|at| at.0));
    text.field("code", report.psp_code.as_ref());
    text.field("text", report.psp_text.as_ref());
    if let Some(means) = &report.means {
        text.line(4, format_args!("means {}", means.token.expose()));
        for (name, value) in &means.shown {
            text.line(6, format_args!("{name}: {value}"));
        }
    }
    if let Some(party) = &report.party {
        payer(text, party);
    }
    next(text, report.next.as_ref());
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pending(stage) => format!("pending ({})", stage.as_str()),
        Verdict::Authorised => "authorised".to_owned(),
        Verdict::Succeeded => "succeeded".to_owned(),
        Verdict::Declined(reason) => format!("declined ({})", reason.as_str()),
        Verdict::Expired => "expired".to_owned(),
        Verdict::Cancelled => "cancelled".to_owned(),
        Verdict::Unrecognised(word) => format!("unrecognised ({word})"),
    }
}

fn references(text: &mut Text, references: &References) {
    text.field("ours", references.ours.as_ref());
    text.field("theirs", references.theirs.as_ref());
    text.field("scheme", references.scheme.as_ref());
    text.field("parent ours", references.parent_ours.as_ref());
    text.field("parent theirs", references.parent_theirs.as_ref());
}

fn payer(text: &mut Text, payer: &Payer) {
    text.line(4, "party");
    let Payer { customer, name, email, phone, document, country, language } = payer;
    let fields = [
        ("customer", customer),
        ("name", name),
        ("email", email),
        ("phone", phone),
        ("document", document),
        ("country", country),
        ("language", language),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            text.line(6, format_args!("{name}: {value}"));
        }
    }
}

fn next(text: &mut Text, action: Option<&NextAction>) {
    let until = |at: &Option<Timestamp>| at.map_or_else(String::new, |at| format!(" until {}", at.0));
    match action {
        None => {}
        Some(NextAction::Redirect { url }) => text.line(4, format_args!("next redirect {url}")),
        Some(NextAction::ShowCode { text: code, expires_at }) => {
            text.line(4, format_args!("next show code{} {code}", until(expires_at)));
        }
        Some(NextAction::ShowDetails { lines, expires_at }) => {
            text.line(4, format_args!("next show details{}", until(expires_at)));
            for (label, value) in lines {
                text.line(6, format_args!("{label}: {value}"));
            }
        }
        Some(NextAction::Wait) => text.line(4, "next wait"),
    }
}
