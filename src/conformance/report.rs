//! The verdicts, as text in [`WIDTH`] columns and as JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use rialto_adapters::port::Timestamp;
use serde_json::{Value, json};

use super::book::Verdict;
use super::payer::Payer;
use super::rules::{Group, Level, Rule};
use super::sources::Doc;
use crate::contracts::billwerk::map;

/// Columns of the text; only an address that is longer goes beyond.
pub const WIDTH: usize = 100;
/// Columns of the longest id.
pub const ID_WIDTH: usize = 35;

/// A rule and what was found.
#[derive(Clone, Debug)]
pub struct Line {
    pub group: Group,
    pub rule: &'static Rule,
    pub verdict: Verdict,
}

#[derive(Clone, Debug)]
pub struct Report {
    pub url: String,
    pub started_at: Timestamp,
    pub took: Duration,
    pub requests: usize,
    pub payer: Payer,
    /// Where notices came in.
    pub notices: Option<String>,
    /// Why the run ended before its end.
    pub stopped: Option<String>,
    pub lines: Vec<Line>,
}

/// How many rules came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub pass: usize,
    pub fail_must: usize,
    pub fail_should: usize,
    pub skipped: usize,
    pub not_applicable: usize,
}

impl Report {
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for line in &self.lines {
            let slot = match (&line.verdict, line.rule.level) {
                (Verdict::Pass, _) => &mut count.pass,
                (Verdict::Fail(_), Level::Must) => &mut count.fail_must,
                (Verdict::Fail(_), Level::Should) => &mut count.fail_should,
                (Verdict::Skipped(_), _) => &mut count.skipped,
                (Verdict::NotApplicable(_), _) => &mut count.not_applicable,
            };
            *slot += 1;
        }
        count
    }

    /// Whether nothing failed and the run came to its end.
    pub fn is_good(&self) -> bool {
        let Count { fail_must, fail_should, .. } = self.count();
        fail_must + fail_should == 0 && self.stopped.is_none()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        text.push("Conformance to billwerk's External PSP Integration".to_owned());
        text.push(String::new());
        for (name, value) in [
            ("integrator", self.url.clone()),
            ("tried out", map::minute(self.started_at)),
            ("payer", payer(self.payer).to_owned()),
            ("notices", self.notices.clone().unwrap_or_else(|| "nobody listens (--notice-listen)".to_owned())),
        ] {
            text.push(format!("  {name:<12}{value}"));
        }
        let mut group = None;
        for line in &self.lines {
            if group != Some(line.group) {
                group = Some(line.group);
                text.push(String::new());
                text.push(line.group.title().to_owned());
            }
            text.extend(lines(line));
        }
        text.push(String::new());
        text.push("Sources".to_owned());
        let docs: BTreeSet<Doc> = self.lines.iter().map(|line| line.rule.doc).collect();
        for doc in docs {
            text.push(format!("  {:<18}{}", doc.tag(), doc.title()));
            if !doc.url().is_empty() {
                text.push(format!("  {:<18}{}", "", doc.url()));
            }
        }
        text.push(String::new());
        text.extend(self.summary());
        text.join("\n") + "\n"
    }

    fn summary(&self) -> Vec<String> {
        let Count { pass, fail_must, fail_should, skipped, not_applicable } = self.count();
        let took = self.took.as_secs_f32();
        let mut summary = vec![format!(
            "{pass} pass, {} fail ({fail_must} must, {fail_should} should), {skipped} skipped, {not_applicable} not applicable; \
             {} requests in {took:.1} s",
            fail_must + fail_should,
            self.requests
        )];
        if let Some(why) = &self.stopped {
            summary.extend(wrapped(&format!("The run was stopped: {why}."), WIDTH));
        }
        let verdict = match (self.is_good(), skipped) {
            (true, 0) => "It conforms.",
            (true, _) => "Nothing that was tried out failed.",
            (false, _) => "It does not conform.",
        };
        summary.push(verdict.to_owned());
        summary
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let count = self.count();
        let rules = self.lines.iter().map(|line| {
            let Line { group, rule, verdict } = line;
            let mut object = json!({
                "id": rule.id,
                "group": group.title(),
                "title": rule.title,
                "level": rule.level.as_str(),
                "needs": rule.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>(),
                "source": { "document": rule.doc.title(), "section": rule.section, "url": rule.doc.url() },
                "verdict": verdict.as_str(),
            });
            match verdict {
                Verdict::Pass => {}
                Verdict::Fail(failure) => {
                    object["expected"] = json!(failure.expected);
                    object["got"] = json!(failure.got);
                    object["request"] = json!(failure.request);
                    object["answer"] = json!(failure.answer);
                }
                Verdict::Skipped(why) | Verdict::NotApplicable(why) => object["reason"] = json!(why),
            }
            object
        });
        json!({
            "contract": "billwerk",
            "url": self.url,
            "started_at": map::moment(self.started_at),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "requests": self.requests,
            "payer": payer(self.payer),
            "notices": self.notices,
            "conforms": self.is_good(),
            "stopped": self.stopped,
            "count": {
                "pass": count.pass,
                "fail_must": count.fail_must,
                "fail_should": count.fail_should,
                "skipped": count.skipped,
                "not_applicable": count.not_applicable,
            },
            "rules": rules.collect::<Vec<_>>(),
        })
    }
}

fn payer(payer: Payer) -> &'static str {
    match payer {
        Payer::None => "none",
        Payer::Sandbox => "sandbox",
        Payer::Prompt => "prompt",
    }
}

/// Where titles begin.
const INDENT: usize = 2 + 6 + ID_WIDTH + 1;
/// Where what was found begins.
const DETAIL: usize = 8;
const DETAIL_NAME: usize = 10;

fn lines(line: &Line) -> Vec<String> {
    let Line { rule, verdict, .. } = line;
    let word = match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail(_) => "FAIL",
        Verdict::Skipped(_) => "skip",
        Verdict::NotApplicable(_) => "n/a",
    };
    let level = match rule.level {
        Level::Must => "",
        Level::Should => "should: ",
    };
    let title = format!("{level}{} [{}]", rule.title, rule.doc.tag());
    let mut title = wrapped(&title, WIDTH - INDENT).into_iter();
    let first = title.next().unwrap_or_default();
    let mut lines = vec![format!("  {word:<6}{:<ID_WIDTH$} {first}", rule.id)];
    lines.extend(title.map(|more| format!("{:INDENT$}{more}", "")));
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail(failure) => {
            lines.extend(detail("source", &format!("{}: {}", rule.doc.title(), rule.section)));
            lines.extend(detail("expected", &failure.expected));
            lines.extend(detail("got", &failure.got));
            lines.extend(detail("request", &failure.request));
            lines.extend(detail("answer", &failure.answer));
        }
        Verdict::Skipped(why) | Verdict::NotApplicable(why) => lines.extend(detail("why", why)),
    }
    lines
}

fn detail(name: &str, text: &str) -> Vec<String> {
    let margin = DETAIL + DETAIL_NAME;
    let each = wrapped(text, WIDTH - margin).into_iter().enumerate();
    each.map(|(at, line)| format!("{:DETAIL$}{:<DETAIL_NAME$}{line}", "", if at == 0 { name } else { "" })).collect()
}

/// A text in lines of at most so many characters, broken at blanks where there are any. Nothing for an empty text.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let used = line.chars().count();
            let blank = usize::from(used > 0);
            if used + blank + word.len() <= width {
                if blank == 1 {
                    line.push(' ');
                }
                line.extend(&word);
                break;
            }
            // A long word begins on the line if much of it fits there.
            let room = width.saturating_sub(used + blank);
            if word.len() > width && room > width / 4 {
                if blank == 1 {
                    line.push(' ');
                }
                line.extend(word.drain(..room));
            }
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::book::Failure;
    use super::super::rules;
    use super::*;

    fn report(verdict: impl Fn(&str) -> Verdict) -> Report {
        let lines = rules::all().map(|(group, rule)| Line { group, rule, verdict: verdict(rule.id) }).collect();
        Report {
            url: "https://psp.example".to_owned(),
            started_at: Timestamp(1_718_742_239_007),
            took: Duration::from_millis(12_340),
            requests: 321,
            payer: Payer::Sandbox,
            notices: None,
            stopped: None,
            lines,
        }
    }

    #[test]
    fn texts_are_wrapped() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a abcdefghijkl z", 6), ["a abcd", "efghij", "kl z"]);
        assert!(wrapped("", 8).is_empty());
    }

    #[test]
    fn the_text_stays_in_its_columns() {
        let failure = Failure {
            expected: "status 4xx ".repeat(20),
            got: "x".repeat(300),
            request: format!("POST /api/Payment {{\"transactionId\":\"{}\"}}", "ü".repeat(200)),
            answer: String::new(),
        };
        let report = report(|id| match id.len() % 4 {
            0 => Verdict::Pass,
            1 => Verdict::Fail(failure.clone()),
            2 => Verdict::Skipped("needs a payer ".repeat(20)),
            _ => Verdict::NotApplicable("not offered".to_owned()),
        });
        let text = report.text();
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH || line.contains("https://"), "{line}");
            assert_eq!(line.trim_end(), line, "no blanks at the end");
        }
        assert!(text.ends_with("It does not conform.\n"), "{text}");
    }

    #[test]
    fn nothing_failed_is_good_and_a_stop_is_not() {
        let mut report = report(|_| Verdict::Pass);
        assert!(report.is_good() && report.text().ends_with("It conforms.\n"));
        assert_eq!(report.json()["conforms"], true);
        report.stopped = Some("it took too long".to_owned());
        assert!(!report.is_good());
        assert!(report.text().contains("The run was stopped: it took too long."));
    }

    #[test]
    fn programs_get_every_rule_with_its_source() {
        let json = report(|_| Verdict::Skipped("later".to_owned())).json();
        let listed = json["rules"].as_array().expect("a list");
        assert_eq!(listed.len(), rules::all().count());
        for rule in listed {
            assert!(rule["source"]["section"].is_string() && rule["reason"] == "later", "{rule}");
        }
        assert_eq!(json["count"]["skipped"], listed.len());
    }
}
