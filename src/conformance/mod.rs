//! A contract's rules, tried out on anybody's server that claims to speak it: what is asked is what the platform asks, and
//! what comes back is held against each rule. Whatever a server answers (HTML, cut JSON, wrong types, nothing at all)
//! becomes a verdict, in a bounded time.
//!
//! - [`rules`] – every rule as data, each with its source in [`sources`]. [`report`] – the verdicts, for people and programs.
//! - `drive` – the scenes in which rules are tried out. `watch` – what is looked at in every answer. `book` – what was found.
//! - `client`, [`payer`], `listen` – HTTP to the server, to the PSP's page, and from the server to us.
//! - `answer`, `tree` – what came back, in the contract's words and as it was written.

mod answer;
mod book;
mod client;
mod drive;
mod listen;
pub mod payer;
pub mod report;
pub mod rules;
pub mod sources;
mod tree;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use rialto_adapters::port::Secret;
use rialto_adapters::port::notice::hex;
use tokio::time::Instant;

use self::client::{Ask, Client, NoReply};
use self::drive::{Parts, Run, Stop};
use self::listen::Listener;
use self::payer::Payer;
use self::report::{Line, Report};
use self::rules::{Group, Rule, TABLE};
use crate::clock::Clock;

pub use self::book::{Failure, Verdict};
pub use self::client::BadUrl;

/// Where notices are said to go when nobody listens: a name that leads nowhere.
const NOBODY_LISTENS: &str = "https://notices.example";

/// How long things may take. None of it is ours to shorten: it is somebody else's server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One answer. The platform's patience is not published; a person waits behind it.
    pub answer_within: Duration,
    /// A decision that comes later: a payer's approval, a test environment's debit.
    pub settle_within: Duration,
    /// The way of a browser over the PSP's page.
    pub page_within: Duration,
    /// A person at the keyboard who acts on the PSP's page.
    pub prompt_within: Duration,
    /// A notice after what it tells.
    pub notice_within: Duration,
    /// Another attempt at a notice that was refused: the published first wait is a minute.
    pub retry_within: Duration,
    pub run_within: Duration,
    /// Requests without an answer in time, after which the rest is not waited for.
    pub late_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            answer_within: Duration::from_secs(10),
            settle_within: Duration::from_secs(60),
            page_within: Duration::from_secs(20),
            prompt_within: Duration::from_secs(300),
            notice_within: Duration::from_secs(60),
            retry_within: Duration::from_secs(150),
            run_within: Duration::from_secs(1_200),
            late_max: 5,
        }
    }
}

/// Tells a person how far it is, and what he is to do.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

pub struct Options {
    /// What the platform is given as the integrator's base address, to which it adds `/api/…`.
    pub url: String,
    pub token: Secret,
    /// Where to listen for notices, `127.0.0.1:9000`.
    pub notice_listen: Option<String>,
    /// How the integrator reaches that, where it is another address.
    pub notice_url: Option<String>,
    pub payer: Payer,
    /// Ids of rules, or their beginnings (`refund`, `payment.capture`); empty for all.
    pub only: Vec<String>,
    pub limits: Limits,
    pub tell: Tell,
}

/// Why nothing was tried out.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("no rule is called {0:?}; there are {1}")]
    UnknownRule(String, String),
    #[error("cannot listen for notices at {0}")]
    Listen(String, #[source] std::io::Error),
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
}

/// Drives a server that claims to speak the billwerk contract through every rule.
///
/// # Errors
/// If there is nothing to try out. Whatever goes wrong later is in the report.
pub async fn billwerk(options: Options) -> Result<Report, ConformanceError> {
    let Options { url, token, notice_listen, notice_url, payer, only, limits, tell } = options;
    let chosen = choose(&only)?;
    let clock = Clock::default();
    let client = Client::new(&url, token, limits.answer_within)?;
    let run_id = hex(&clock.random::<8>());
    let listener = match &notice_listen {
        Some(address) => {
            let started = Listener::start(address, notice_url.as_deref(), &run_id).await;
            Some(started.map_err(|error| ConformanceError::Listen(address.clone(), error))?)
        }
        None => None,
    };
    let target = match &listener {
        Some(listener) => listener.target().to_owned(),
        None => listen::target(notice_url.as_deref().unwrap_or(NOBODY_LISTENS), &run_id),
    };
    if let Err(NoReply::Unreachable(why)) = client.ask(&Ask::get("/api/IntegrationInfo")).await {
        return Err(ConformanceError::Unreachable(client.base().to_owned(), why));
    }
    let (started_at, started) = (clock.now(), Instant::now());
    let notices = listener.as_ref().map(|_| target.clone());
    let parts = Parts { client: client.clone(), listener, clock, payer, target, limits, tell: tell.clone() };
    let mut run = Run::new(parts);
    let mut stopped = drive(&mut run, &chosen, &tell).await;
    let unknown = run.book.judged().into_iter().find(|id| !rules::all().any(|(_, rule)| rule.id == *id));
    debug_assert_eq!(unknown, None, "a rule that stands in no table");
    let mut lines = Vec::new();
    for (group, rules) in TABLE {
        for rule in rules.iter().filter(|rule| chosen.contains(&rule.id)) {
            let blocked = stopped.blocked.iter().find(|(of, _)| of == group).map(|(_, why)| why.as_str());
            lines.push(Line { group: *group, rule, verdict: verdict(&mut run, rule, blocked, stopped.run.as_deref()) });
        }
    }
    Ok(Report {
        url: client.base().to_owned(),
        started_at,
        took: started.elapsed(),
        requests: client.sent(),
        payer,
        notices,
        stopped: stopped.run.take(),
        lines,
    })
}

/// What did not come to its end.
#[derive(Default)]
struct Stopped {
    blocked: Vec<(Group, String)>,
    run: Option<String>,
}

async fn drive(run: &mut Run, chosen: &[&'static str], tell: &Tell) -> Stopped {
    let mut stopped = Stopped::default();
    if let Err(Stop::Run(why) | Stop::Scene(why)) = run.learn().await {
        stopped.run = Some(why);
        return stopped;
    }
    let wanted = |rules: &[Rule]| rules.iter().any(|rule| chosen.contains(&rule.id));
    let watched = TABLE.iter().any(|(group, rules)| group.is_watched() && wanted(rules));
    for (group, rules) in TABLE.iter().filter(|(group, _)| !group.is_watched()) {
        // What is watched in every answer needs answers.
        if !watched && !wanted(rules) {
            continue;
        }
        tell(group.title());
        match run.group(*group).await {
            Ok(()) => {}
            Err(Stop::Scene(why)) => stopped.blocked.push((*group, why)),
            Err(Stop::Run(why)) => {
                stopped.run = Some(why);
                break;
            }
        }
    }
    stopped
}

/// What was found, or why nothing was.
fn verdict(run: &mut Run, rule: &Rule, blocked: Option<&str>, stopped: Option<&str>) -> Verdict {
    let unmet: Vec<Result<String, String>> = rule.needs.iter().filter_map(|need| run.unmet(*need)).collect();
    if let Some(found) = run.book.take(rule.id) {
        return found;
    }
    // Whoever says that it is not offered need not be asked what it would take.
    if let Some(not_offered) = unmet.iter().find_map(|unmet| unmet.as_ref().err()) {
        return Verdict::NotApplicable(not_offered.clone());
    }
    if let Some(why) = unmet.into_iter().find_map(Result::ok) {
        return Verdict::Skipped(why);
    }
    let why = blocked.or(stopped).unwrap_or("nothing came up in this run to which it applies");
    Verdict::Skipped(run.client.scrub(why))
}

/// The ids of the rules that are wanted.
fn choose(only: &[String]) -> Result<Vec<&'static str>, ConformanceError> {
    let all: Vec<&'static str> = rules::all().map(|(_, rule)| rule.id).collect();
    let begins =
        |id: &str, wanted: &str| id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    for wanted in only {
        if !all.iter().any(|id| begins(id, wanted)) {
            let mut heads: Vec<&str> = all.iter().filter_map(|id| id.split('.').next()).collect();
            heads.dedup();
            let near: Vec<&str> = all.iter().filter(|id| id.starts_with(head(wanted))).copied().collect();
            let there_are = if near.is_empty() { heads } else { near };
            return Err(ConformanceError::UnknownRule(wanted.clone(), there_are.join(", ")));
        }
    }
    Ok(all.into_iter().filter(|id| only.is_empty() || only.iter().any(|wanted| begins(id, wanted))).collect())
}

fn head(id: &str) -> &str {
    id.split('.').next().filter(|head| !head.is_empty()).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_chosen_by_their_ids_or_beginnings() {
        let chosen = |only: &[&str]| choose(&only.iter().map(|only| (*only).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).expect("all").len(), rules::all().count());
        assert_eq!(chosen(&["refund.partial"]).expect("one"), ["refund.partial"]);
        let captures = chosen(&["payment.capture"]).expect("some");
        assert!(captures.len() > 3 && captures.iter().all(|id| id.starts_with("payment.capture.")));
        let wrong = chosen(&["refund.part"]).expect_err("no rule").to_string();
        assert!(wrong.contains("refund.partial") && !wrong.contains("payment"), "{wrong}");
        let wrong = chosen(&["banana"]).expect_err("no rule").to_string();
        assert!(wrong.contains("refund, ") || wrong.contains(", refund"), "{wrong}");
    }
}
