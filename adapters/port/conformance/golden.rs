//! Cases against the texts next to them.

use super::case::{CallCase, Cases, NoticeCase};
use super::{BLESS, FakeWire, Suite, render};
use crate::port::notice::{NoticeSecrets, RawNotice, Verification};
use crate::port::wire::Request;

pub fn check(suite: &Suite<'_>, cases: &Cases, bless: bool) -> Vec<String> {
    let mut failures: Vec<String> =
        cases.orphans.iter().map(|path| format!("{}: an expectation without its case", path.display())).collect();
    for case in &cases.encode {
        compare(&case.name, &case.expected, &encoded_text(suite, case), bless, &mut failures);
    }
    for case in &cases.reply {
        if case.replies.is_empty() {
            failures.push(format!("{}: a reply case has replies", case.name));
        }
        let wire = FakeWire::replaying(case.replies.clone());
        let answer = suite.call(&suite.settings_with(&case.settings), &wire, &case.call);
        compare(&case.name, &case.expected, &render::answer(&answer), bless, &mut failures);
    }
    for case in &cases.notice {
        compare(&case.name, &case.expected, &notice_text(suite, case), bless, &mut failures);
    }
    failures
}

/// The requests a case makes when nothing is answered beyond its recorded replies.
pub fn requests(suite: &Suite<'_>, case: &CallCase) -> Vec<Request> {
    let wire = FakeWire::replaying(case.replies.clone());
    suite.call(&suite.settings_with(&case.settings), &wire, &case.call);
    wire.sent()
}

fn encoded_text(suite: &Suite<'_>, case: &CallCase) -> String {
    let sent: Vec<String> = requests(suite, case).iter().map(render::request).collect();
    match sent.is_empty() {
        true => "nothing is sent\n".to_owned(),
        false => sent.join("---\n"),
    }
}

/// The notice as it comes in; `None` where neither the case nor the suite can sign.
pub fn raw(suite: &Suite<'_>, case: &NoticeCase) -> RawNotice {
    let headers = match (&case.headers, suite.sign) {
        (Some(headers), _) => headers.clone(),
        (None, Some(sign)) => sign(&secret(suite, case), &case.body, case.now),
        (None, None) => Vec::new(),
    };
    RawNotice { path: case.path.clone(), headers, body: case.body.clone() }
}

pub fn secret(suite: &Suite<'_>, case: &NoticeCase) -> crate::port::Secret {
    case.secret.clone().unwrap_or_else(|| suite.notice_secret())
}

fn notice_text(suite: &Suite<'_>, case: &NoticeCase) -> String {
    let secrets = NoticeSecrets(vec![secret(suite, case)]);
    let verification = suite.adapter.verify(&secrets, &raw(suite, case), case.now);
    let read = match &verification {
        Verification::Verified(verified) => Some(suite.adapter.read(verified)),
        Verification::Nudge(_) | Verification::Rejected(_) => None,
    };
    render::notice(&verification, read.as_ref())
}

/// Compares a text with its file, or writes the file.
fn compare(name: &str, path: &std::path::Path, actual: &str, bless: bool, failures: &mut Vec<String>) {
    if bless {
        if let Err(why) = std::fs::write(path, actual) {
            failures.push(format!("{name}: cannot write {}: {why}", path.display()));
        }
        return;
    }
    match std::fs::read_to_string(path) {
        Ok(expected) if expected == actual => {}
        Ok(expected) => failures.push(format!("{name}: expected\n{expected}but is\n{actual}")),
        Err(_) => failures.push(format!("{name}: no expectation yet ({BLESS}=1 writes it); it is\n{actual}")),
    }
}
