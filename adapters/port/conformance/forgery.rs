//! Nothing is believed unsigned: each notice case is forged in every simple way.

use super::case::{Cases, NoticeCase};
use super::{Suite, golden};
use crate::port::manifest::Authenticity;
use crate::port::notice::{NoticeSecrets, RawNotice, Verification};
use crate::port::secret::Secret;
use crate::port::time::{Duration, Timestamp};

/// Older than any tolerance a PSP documents.
const LONG_AGO: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub fn check(suite: &Suite<'_>, cases: &Cases) -> Vec<String> {
    let mut failures = Vec::new();
    let signed = matches!(suite.manifest().notices.authenticity, Authenticity::Signed);
    let mut genuine = 0;
    for case in &cases.notice {
        let notice = golden::raw(suite, case);
        let secret = golden::secret(suite, case);
        match (verify(suite, &secret, &notice, case.now), signed) {
            (Verification::Verified(_), true) => {
                genuine += 1;
                forgeries(suite, case, &notice, &secret, &mut failures);
            }
            (Verification::Verified(_), false) => {
                failures.push(format!("{}: a PSP without authenticity has nothing to verify", case.name));
            }
            (Verification::Nudge(_), true) => failures.push(format!("{}: a signed notice is no nudge", case.name)),
            (Verification::Nudge(_), false) | (Verification::Rejected(_), _) => {}
        }
    }
    if signed && genuine == 0 {
        failures.push("no notice case verifies".to_owned());
    }
    failures
}

fn verify(suite: &Suite<'_>, secret: &Secret, notice: &RawNotice, now: Timestamp) -> Verification {
    suite.adapter.verify(&NoticeSecrets(vec![secret.clone()]), notice, now)
}

fn forgeries(suite: &Suite<'_>, case: &NoticeCase, notice: &RawNotice, secret: &Secret, failures: &mut Vec<String>) {
    let mut refuse = |what: &str, secret: &Secret, notice: &RawNotice, now: Timestamp| {
        if !matches!(verify(suite, secret, notice, now), Verification::Rejected(_)) {
            failures.push(format!("{}: believed although {what}", case.name));
        }
    };
    for at in super::places(notice.body.len()) {
        let mut forged = notice.clone();
        forged.body[at] ^= 1;
        refuse(&format!("byte {at} is flipped"), secret, &forged, case.now);
    }
    let longer = RawNotice { body: [notice.body.as_slice(), b" "].concat(), ..notice.clone() };
    refuse("a byte is added", secret, &longer, case.now);
    refuse("it has no headers", secret, &RawNotice { headers: Vec::new(), ..notice.clone() }, case.now);
    refuse("the secret is another one", &Secret::new("another secret"), notice, case.now);
    refuse("the secret is empty", &Secret::new(""), notice, case.now);
    if suite.adapter.verify(&NoticeSecrets(Vec::new()), notice, case.now) == verify(suite, secret, notice, case.now) {
        failures.push(format!("{}: believed without any secret", case.name));
    }
    if let Some(sign) = suite.sign {
        let unsigned = RawNotice { headers: sign(&Secret::new(""), &notice.body, case.now), ..notice.clone() };
        let nobody = Secret::new("");
        if matches!(verify(suite, &nobody, &unsigned, case.now), Verification::Verified(_)) {
            failures.push(format!("{}: the empty secret signs", case.name));
        }
    }
    if suite.signs_time && !matches!(verify(suite, secret, notice, case.now.plus(LONG_AGO)), Verification::Rejected(_))
    {
        failures.push(format!("{}: believed although it is old", case.name));
    }
    if suite.signs_time && !matches!(verify(suite, secret, notice, case.now.minus(LONG_AGO)), Verification::Rejected(_))
    {
        failures.push(format!("{}: believed although it is from the future", case.name));
    }
}
