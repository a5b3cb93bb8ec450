//! What is due later: notices, and whatever the PSP puts off. Rows of a table, so a kill loses none of them.

use std::collections::BTreeMap;

use rialto_adapters::port::{Duration, Secret};
use tokio::task::JoinSet;

use super::{Account, Simulator};
use crate::store::simulator::{self as table, Job, action, state};
use crate::store::{StoreError, Unit};

/// Jobs read at once.
const BATCH_MAX: u64 = 64;
/// How often to look for jobs that another node, or an earlier life of this one, has left.
const POLL: Duration = Duration::from_secs(1);
/// The shortest wait between two looks, so that a job due "now" is not asked for in a tight loop.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a job is one's own. A claim saves work: a notice delivered twice is an ordinary thing.
const CLAIM: Duration = Duration::from_secs(15);
/// How long the receiver of a notice may take. Not a wait of ours, and so never scaled.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long what was delivered, or given up, can still be seen.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// Looks between two clear-outs.
const LOOKS_PER_CLEAR_OUT: u32 = 1000;
/// What a forged notice is signed with.
const FORGERS_SECRET: &str = "not the secret of this account";

pub async fn run(simulator: &Simulator) {
    let mut looks = 0u32;
    loop {
        let wait = match work(simulator, looks).await {
            Ok(wait) => wait,
            Err(why) => {
                tracing::warn!(psp = simulator.name(), error = %why, "the simulator's jobs wait");
                simulator.clock().wait(POLL)
            }
        };
        looks = looks.wrapping_add(1);
        // Nudged or not, the next look is the same.
        let _ = tokio::time::timeout(wait, simulator.inner.added.notified()).await;
    }
}

/// Does what is due, and answers how long there is nothing to do.
async fn work(simulator: &Simulator, looks: u32) -> Result<Duration, StoreError> {
    let (store, name, clock) = (simulator.store(), simulator.name(), simulator.clock());
    if looks.is_multiple_of(LOOKS_PER_CLEAR_OUT) {
        let mut unit = Unit::new("simulator forgets");
        table::forget(&mut unit, name, clock.now().minus(REMEMBERED));
        // Nothing in it refuses.
        let _ = store.run(unit).await?;
    }
    do_all(simulator, table::due(store, name, clock.now(), BATCH_MAX).await?).await;
    let poll = clock.wait(POLL).max(PAUSE);
    let next = table::next_due(store, name).await?;
    Ok(next.map_or(poll, |at| clock.now().until(at).clamp(PAUSE, poll)))
}

/// Delivers what there is to tell about one subject now.
pub async fn deliver_now(simulator: &Simulator, subject: &str) {
    match table::jobs_of(simulator.store(), simulator.name(), Some(state::OPEN), Some(subject), BATCH_MAX).await {
        Ok(mut jobs) => {
            jobs.retain(|job| matches!(job.action.as_str(), action::NOTICE | action::FORGED));
            jobs.reverse();
            do_all(simulator, jobs).await;
        }
        Err(why) => tracing::warn!(psp = simulator.name(), error = %why, "the simulator's notices wait"),
    }
}

/// Of one subject in their order, of several at once: a slow receiver delays its own.
async fn do_all(simulator: &Simulator, jobs: Vec<Job>) {
    let mut by_subject: BTreeMap<String, Vec<Job>> = BTreeMap::new();
    for job in jobs {
        by_subject.entry(job.subject.clone()).or_default().push(job);
    }
    let mut lanes = JoinSet::new();
    for lane in by_subject.into_values() {
        let simulator = simulator.clone();
        lanes.spawn(async move {
            for job in lane {
                let word = job.action.clone();
                if let Err(why) = claim_and_do(&simulator, job).await {
                    // It is due again when the claim ends.
                    tracing::warn!(psp = simulator.name(), job = word, error = %why, "a job of the simulator failed");
                }
            }
        });
    }
    while lanes.join_next().await.is_some() {}
}

async fn claim_and_do(simulator: &Simulator, mut job: Job) -> Result<(), StoreError> {
    let (store, clock) = (simulator.store(), simulator.clock());
    let mut unit = Unit::new("simulator claim");
    table::claim(&mut unit, &job, clock.now().plus(CLAIM));
    if store.run(unit).await?.is_err() {
        return Ok(());
    }
    job.attempts += 1;
    match job.action.as_str() {
        action::NOTICE => {
            let account = simulator.account(&job.account);
            job.status = post(simulator, &job, account.as_ref(), None).await.into();
            let tried = usize::try_from(job.attempts).unwrap_or(usize::MAX);
            let accepted = (200..300).contains(&job.status);
            match (accepted, simulator.inner.play.retries().get(tried.saturating_sub(1))) {
                (true, _) => job.state = state::DONE.to_owned(),
                (false, Some(wait)) => job.due_ms = clock.after(*wait).0,
                (false, None) => job.state = state::DEAD.to_owned(),
            }
        }
        action::FORGED => {
            let account = simulator.account(&job.account);
            job.status = post(simulator, &job, account.as_ref(), Some(&Secret::new(FORGERS_SECRET))).await.into();
            job.state = state::DONE.to_owned();
        }
        _ => {
            simulator.inner.play.act(simulator, &job).await?;
            job.state = state::DONE.to_owned();
        }
    }
    let mut unit = Unit::new("simulator done");
    table::settle(&mut unit, &job);
    // Nothing in it refuses.
    let _ = store.run(unit).await?;
    Ok(())
}

/// Posts the notice in a job's body, signed now. Answers with the status, 0 where there was none.
async fn post(simulator: &Simulator, job: &Job, account: Option<&Account>, secret: Option<&Secret>) -> u16 {
    let Some(account) = account.filter(|account| !account.webhook_url.is_empty()) else { return 0 };
    let body = job.body.clone().into_bytes();
    let secret = secret.unwrap_or(&account.webhook_secret);
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(simulator.inner.play.signed(secret, &body, simulator.clock().now()));
    match simulator.inner.poster.post(&account.webhook_url, &headers, body, ANSWER_MAX).await {
        Ok(answer) => answer.status,
        Err(fault) => {
            tracing::debug!(psp = simulator.name(), %fault, "a notice found nobody");
            0
        }
    }
}
