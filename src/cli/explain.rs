//! `rialto explain`: the story of the admin API's answer, as text that fits a screen.

use std::fmt::Write as _;

use anyhow::Context as _;
use poem_openapi::types::ParseFromJSON as _;
use time::OffsetDateTime;
use time::macros::format_description;

use super::door::Door;
use crate::admin::explain::{CandidateItem, Explained, LineItem, PartItem, StoryItem};
use crate::config::Config;

/// Columns of a terminal that is not small.
const WIDTH: usize = 120;

pub async fn run(config: &Config, json: bool, reference: &str, full: bool) -> anyhow::Result<()> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("reference", reference)
        .append_pair("full", if full { "true" } else { "false" })
        .finish();
    let answer = Door::find(config).await?.get(&format!("/admin/explain?{query}")).await?;
    if json {
        println!("{answer}");
        return Ok(());
    }
    let told = Explained::parse_from_json(Some(answer));
    let told =
        told.ok().context("the running server is of another version: it tells a story this program cannot read")?;
    print!("{}", text(&told));
    Ok(())
}

/// Lines of at most [`WIDTH`] columns.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// A line behind a margin; what does not fit goes on below, behind spaces of the margin's width.
    fn line(&mut self, margin: &str, text: &str) {
        let indent = margin.chars().count();
        let room = WIDTH.saturating_sub(indent).max(20);
        let mut rest = text;
        let mut before = margin.to_owned();
        loop {
            let (now, later) = split(rest, room);
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{}", format!("{before}{now}").trim_end());
            if later.is_empty() {
                return;
            }
            (rest, before) = (later, " ".repeat(indent));
        }
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }
}

/// The words that fit, and the rest. A word longer than a line is cut.
fn split(text: &str, room: usize) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(room) else { return (text, "") };
    // A space right behind the last column ends a line too.
    let window = text.char_indices().nth(room + 1).map_or(text, |(after, _)| &text[..after]);
    match window.rfind(' ').filter(|at| *at > 0) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => text.split_at(end),
    }
}

/// What is printed.
pub fn text(told: &Explained) -> String {
    let mut page = Page::default();
    for hint in &told.hints {
        page.line("hint: ", hint);
    }
    for notice in &told.notices {
        let kind = format!("notice {} of {} to tenant {}", notice.id, notice.adapter, notice.tenant);
        page.line("", &format!("{kind}, {}, received {}", notice.state, moment(notice.received_at_ms)));
        page.line("  ", &notice.text);
    }
    match &told.story {
        Some(story) => self::story(&mut page, story),
        None if !told.candidates.is_empty() => candidates(&mut page, told),
        None if told.notices.is_empty() => nothing(&mut page, told),
        None => {}
    }
    page.text
}

fn nothing(page: &mut Page, told: &Explained) {
    page.line("", &format!("Nothing is known of {:?}. It was looked for as:", told.reference));
    for looked in &told.looked {
        page.line(&format!("{:>6}  ", looked.count), &looked.words);
    }
}

fn candidates(page: &mut Page, told: &Explained) {
    let more = told.looked.iter().any(|looked| looked.more);
    let few = if more { ", the newest of them" } else { "" };
    page.line("", &format!("{} things go by {:?}{few}:", told.candidates.len(), told.reference));
    page.gap();
    for candidate in &told.candidates {
        let CandidateItem { id, tenant, kind, caller_id, amount, state, at_ms, found_by, contract, .. } = candidate;
        let words = told.looked.iter().find(|looked| looked.name == *found_by).map_or("", |looked| &looked.words);
        page.line("  ", &format!("{id}  {kind} of {amount}, {state}, {}", moment(*at_ms)));
        page.line("      ", &format!("tenant {tenant}, {contract} {caller_id}; by {words}"));
    }
    page.gap();
    page.line("", "Ask again with one of these ids: rialto explain ID");
}

fn story(page: &mut Page, story: &StoryItem) {
    let many = story.parts.len() > 1;
    head(page, story);
    page.gap();
    for line in &story.lines {
        self::line(page, story, line, many);
    }
    for left_out in &story.left_out {
        page.line("  … ", left_out);
    }
    page.gap();
    stands(page, story, many);
    if story.waits.is_empty() {
        page.line("Waiting  ", "nobody");
    }
    for (at, wait) in story.waits.iter().enumerate() {
        let margin = if at == 0 { "Waiting  " } else { "         " };
        page.line(margin, &format!("{} waits for {} {}", wait.who, wait.whom, wait.what));
    }
    if story.next.is_empty() {
        page.line("Next     ", "nothing is due");
    }
    for (at, next) in story.next.iter().enumerate() {
        let margin = if at == 0 { "Next     " } else { "         " };
        let when = next.at_ms.map(|at| format!("{}: ", ahead(at, story.told_at_ms))).unwrap_or_default();
        page.line(margin, &format!("{when}{}", next.what));
    }
    for alert in &story.alerts {
        page.line("ALERT    ", &format!("{}: {}", alert.kind, alert.text));
        page.line("         → ", &alert.advice);
    }
}

fn head(page: &mut Page, story: &StoryItem) {
    let Some(first) = story.parts.first() else { return };
    let kind = if story.sandbox { "sandbox" } else { "live" };
    for part in &story.parts {
        let mark = if part.asked && story.parts.len() > 1 { "▸ " } else { "" };
        let PartItem { label, caller_id, amount, method, state, .. } = part;
        page.line("", &format!("{mark}{label} {caller_id} – {amount} by {}, {state}", method.replace('_', " ")));
    }
    let mut whose = format!("tenant {} ({kind}), contract {}", story.tenant, first.contract);
    if let Some(hint) = &first.key_hint {
        let _ = write!(whose, ", key {hint}…");
    }
    if let Some(agreement) = &first.agreement {
        let _ = write!(whose, ", agreement {agreement}");
    }
    let test = if first.test { " (test)" } else { "" };
    let _ = write!(whose, ", PSP {}{test}", first.adapter);
    page.line("", &whose);
    for part in &story.parts {
        for piece in &part.transactions {
            let theirs = piece.psp_reference.as_deref().map(|theirs| format!(", there {theirs}")).unwrap_or_default();
            let scheme =
                piece.scheme_reference.as_deref().map(|scheme| format!(", scheme {scheme}")).unwrap_or_default();
            let kind = piece.kind.replace('_', " ");
            page.line("", &format!("{kind}: our reference {}{theirs}{scheme}", piece.our_reference));
        }
    }
    page.line("", &format!("began {}", moment(story.began_at_ms)));
}

fn line(page: &mut Page, story: &StoryItem, line: &LineItem, many: bool) {
    let actor = match line.actor.as_str() {
        "to_psp" => "to PSP",
        "from_psp" => "from PSP",
        "to_caller" => "caller",
        other => other,
    };
    let of = line.part.as_ref().filter(|_| many).map(|part| format!("{part}: ")).unwrap_or_default();
    let took = line.took_ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
    let since = since(line.at_ms - story.began_at_ms);
    page.line(&format!("{since:>12}  {actor:<9} "), &format!("{of}{}{took}", line.text));
    for text in line.full.iter().flat_map(|full| full.lines()) {
        page.line("              | ", text);
    }
}

fn stands(page: &mut Page, story: &StoryItem, many: bool) {
    let mut margin = "Now      ";
    for part in &story.parts {
        let PartItem { label, state, .. } = part;
        let single: Vec<&str> = part.transactions.iter().map(|piece| piece.text.as_str()).collect();
        let of = if many { label.clone() } else { format!("the {}", part.kind) };
        page.line(margin, &format!("{of} is {state}: {}", single.join("; ")));
        margin = "         ";
    }
}

/// From the beginning: `+0.003 s`, `+2 m 05 s`, `+3 h 07 m`, `+12 d 04 h`.
fn since(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let ms = ms.unsigned_abs();
    let (seconds, minutes, hours, days) = (ms / 1000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{seconds}.{:03} s", ms % 1000),
        (0, 0, _) => format!("{sign}{minutes} m {:02} s", seconds % 60),
        (0, _, _) => format!("{sign}{hours} h {:02} m", minutes % 60),
        (_, _, _) => format!("{sign}{days} d {:02} h", hours % 24),
    }
}

/// From now: `in 4.120 s`, and from an hour on the moment itself too.
fn ahead(at_ms: i64, now_ms: i64) -> String {
    const HOUR_MS: i64 = 3_600_000;
    let away = at_ms.saturating_sub(now_ms);
    let span = since(away);
    let span = &span[1..];
    match away {
        ..=0 => format!("due since {span}"),
        _ if away < HOUR_MS => format!("in {span}"),
        _ => format!("in {span} ({})", moment(at_ms)),
    }
}

fn moment(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_say_them() {
        for (ms, text) in [
            (0, "+0.000 s"),
            (7, "+0.007 s"),
            (59_999, "+59.999 s"),
            (125_000, "+2 m 05 s"),
            (3_600_000 + 7 * 60_000, "+1 h 07 m"),
            (12 * 86_400_000 + 4 * 3_600_000, "+12 d 04 h"),
            (-5, "-0.005 s"),
            (i64::MIN, "-106751991167 d 07 h"),
        ] {
            assert_eq!(since(ms), text);
        }
        assert_eq!(ahead(5_000, 1_000), "in 4.000 s");
        assert_eq!(ahead(1_000, 5_000), "due since 4.000 s");
        assert_eq!(ahead(7_200_000, 0), "in 2 h 00 m (1970-01-01 02:00:00 UTC)");
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        let long = "word ".repeat(60) + &"x".repeat(300) + " " + &"é–".repeat(100);
        let mut page = Page::default();
        page.line("  margin  ", &long);
        assert!(page.text.lines().all(|line| line.chars().count() <= WIDTH), "{}", page.text);
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(bare(&page.text), bare(&format!("margin{long}")), "nothing is lost");
        assert_eq!(split("one two", 3), ("one", "two"));
        assert_eq!(split("one two", 7), ("one two", ""));
    }
}
