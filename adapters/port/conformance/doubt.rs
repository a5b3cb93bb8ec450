//! Not knowing stays not knowing: garbage, cut replies and made-up words never become a decline or a success.

use super::case::{CallCase, Cases, call_of};
use super::{Answer, FakeWire, MADE_UP_WORD, Saying, Suite, Vocabulary, render};
use crate::port::instruction::{Instruction, Parent};
use crate::port::notice::{NoticeSecrets, Verification};
use crate::port::outcome::{BalanceAnswer, Feed, Lookup, Outcome, Probe, Read};
use crate::port::report::{Report, Verdict};
use crate::port::wire::Reply;

pub fn check(suite: &Suite<'_>, cases: &Cases) -> Vec<String> {
    let mut failures = Vec::new();
    for case in &cases.encode {
        for reply in garbage() {
            answered(
                suite,
                case,
                &format!("{} {:?}", reply.status, String::from_utf8_lossy(&reply.body)),
                &reply,
                &mut failures,
            );
        }
        same_bytes(suite, case, &mut failures);
        sends_once(suite, case, &mut failures);
    }
    for case in &cases.reply {
        let [.., Ok(last)] = case.replies.as_slice() else { continue };
        let whole = last.body.trim_ascii();
        // A number cut short is still a number; only objects and lists show that they end.
        if !matches!(whole.first(), Some(b'{' | b'[')) {
            continue;
        }
        for length in super::places(whole.len()) {
            let cut = Reply { body: whole[..length].to_vec(), ..last.clone() };
            answered(suite, case, &format!("its reply cut after {length} bytes"), &cut, &mut failures);
        }
    }
    for vocabulary in &suite.vocabularies {
        words(suite, vocabulary, &mut failures);
    }
    super::amounts_survive(suite, cases, &mut failures);
    failures
}

/// Replies no PSP documents, and every proxy gives one day.
fn garbage() -> Vec<Reply> {
    const HTML: &str = "<!doctype html><html><body><h1>Bad Gateway</h1></body></html>";
    let bodies = |status: u16| ["", HTML, "{", "{}", "[]", "null", "\"ok\"", "true", "0"].map(|body| (status, body));
    let errors =
        [301, 302, 400, 404, 409, 418, 422, 500, 502, 503, 504, 520].into_iter().flat_map(|s| [(s, ""), (s, HTML)]);
    let pages = [200, 201, 202, 204].into_iter().flat_map(bodies).chain(errors);
    pages.map(|(status, body)| Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() }).collect()
}

/// Puts a reply in the place of the case's last one; the answer must leave everything open.
fn answered(suite: &Suite<'_>, case: &CallCase, what: &str, reply: &Reply, failures: &mut Vec<String>) {
    let before = case.replies.len().saturating_sub(1);
    let replies = case.replies.iter().take(before).cloned().chain([Ok(reply.clone())]);
    let wire = FakeWire::replaying(replies);
    let answer = suite.call(&suite.settings_with(&case.settings), &wire, &case.call);
    // What is answered without asking the PSP cannot be misled by it.
    if !wire.sent().is_empty() && !leaves_open(&answer) {
        failures.push(format!("{}: {what} became\n{}", case.name, render::answer(&answer)));
    }
}

fn leaves_open(answer: &Answer) -> bool {
    match answer {
        Answer::Submitted(Outcome::Unknown(_))
        | Answer::LookedUp(Lookup::Unknown(_) | Lookup::CannotAsk)
        | Answer::Probed(Probe::Unknown(_))
        | Answer::Balanced(BalanceAnswer::Unknown(_) | BalanceAnswer::Unsupported)
        | Answer::Fed(Feed::Unknown(_) | Feed::Unsupported) => true,
        Answer::Submitted(Outcome::Reported(reports)) | Answer::LookedUp(Lookup::Reported(reports)) => {
            reports.iter().all(unrecognised) && !reports.is_empty()
        }
        Answer::Submitted(Outcome::NotSent(_))
        | Answer::LookedUp(Lookup::Absent)
        | Answer::Probed(Probe::Valid(_) | Probe::Refused(..))
        | Answer::Balanced(BalanceAnswer::Known(_))
        | Answer::Fed(Feed::Page { .. }) => false,
    }
}

fn unrecognised(report: &Report) -> bool {
    matches!(report.verdict, Verdict::Unrecognised(_))
}

/// Same input, same bytes: no clock, no randomness, no map without an order.
fn same_bytes(suite: &Suite<'_>, case: &CallCase, failures: &mut Vec<String>) {
    if super::golden::requests(suite, case) != super::golden::requests(suite, case) {
        failures.push(format!("{}: two calls, two different requests", case.name));
    }
}

/// An adapter sends an instruction once. A lost answer is unknown, and nothing is tried again.
fn sends_once(suite: &Suite<'_>, case: &CallCase, failures: &mut Vec<String>) {
    if !case.replies.is_empty() {
        return;
    }
    let wire = FakeWire::replaying([]);
    let answer = suite.call(&suite.settings_with(&case.settings), &wire, &case.call);
    let sent = wire.sent().len();
    if sent > 1 {
        failures.push(format!("{}: sent {sent} times", case.name));
    }
    if sent == 1 && !leaves_open(&answer) {
        failures.push(format!("{}: a lost connection became\n{}", case.name, render::answer(&answer)));
    }
}

/// Every documented word is known, a made-up one is not.
fn words(suite: &Suite<'_>, vocabulary: &Vocabulary, failures: &mut Vec<String>) {
    for word in vocabulary.documented {
        match said(suite, (vocabulary.says)(word)) {
            Ok(Said::Reports(reports)) if !reports.is_empty() && !reports.iter().any(unrecognised) => {}
            Ok(Said::Ignored) => {}
            Ok(other) => failures.push(format!("{}: {word} is documented, and is {other:?}", vocabulary.name)),
            Err(why) => failures.push(format!("{}: {word}: {why}", vocabulary.name)),
        }
    }
    let saying = (vocabulary.says)(MADE_UP_WORD);
    // A notice of an unknown type concerns nothing we know; a reply must say something.
    let ignorable = matches!(saying, Saying::Notice { .. });
    match said(suite, saying) {
        Ok(Said::Reports(reports)) if reports.iter().all(unrecognised) => {}
        Ok(Said::Nothing) => {}
        Ok(Said::Ignored) if ignorable => {}
        Ok(other) => failures.push(format!("{}: a made-up word is {other:?}", vocabulary.name)),
        Err(why) => failures.push(format!("{}: a made-up word: {why}", vocabulary.name)),
    }
}

#[derive(Debug)]
enum Said {
    Reports(Vec<Report>),
    /// Understood, and of no concern.
    Ignored,
    /// Unknown, or unreadable.
    Nothing,
}

fn said(suite: &Suite<'_>, saying: Saying) -> Result<Said, String> {
    match saying {
        Saying::Reply { call, reply } => {
            let call = call_of(call, suite.manifest())?;
            let wire = FakeWire::replaying([Ok(reply)]);
            let answer = suite.call(&suite.settings_with(&std::collections::BTreeMap::new()), &wire, &call);
            match answer {
                Answer::Submitted(Outcome::NotSent(_)) => Ok(Said::Ignored),
                _ if answer.reports().is_empty() && leaves_open(&answer) => Ok(Said::Nothing),
                _ => Ok(Said::Reports(answer.reports().to_vec())),
            }
        }
        Saying::Notice { body } => {
            let notice = suite.signed(&body).ok_or("the suite cannot sign")?;
            match suite.adapter.verify(&NoticeSecrets(vec![suite.notice_secret()]), &notice, super::NOW) {
                Verification::Verified(verified) => Ok(match suite.adapter.read(&verified) {
                    Read::Reports(reports) => Said::Reports(reports),
                    Read::Ignored(_) => Said::Ignored,
                    Read::Unreadable(_) => Said::Nothing,
                }),
                Verification::Nudge(_) => Ok(Said::Ignored),
                Verification::Rejected(why) => Err(format!("its notice was rejected: {why}")),
            }
        }
    }
}

/// Whether an instruction can be checked to carry our reference; a close speaks of a transaction that exists.
pub fn carries_reference(instruction: &Instruction) -> bool {
    !matches!(instruction, Instruction::Close(_))
}

/// What an instruction follows up, if it does.
pub fn parent(instruction: &Instruction) -> Option<&Parent> {
    match instruction {
        Instruction::Capture(i) => Some(&i.of),
        Instruction::Release(i) => Some(&i.of),
        Instruction::Refund(i) => Some(&i.of),
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Charge(_)
        | Instruction::Close(_)
        | Instruction::Payout(_) => None,
    }
}
