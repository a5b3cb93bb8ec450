//! One story of anything that was ever asked for, from any name that somebody has for it: for operators, across tenants.
//!
//! - here – finds what goes by the name, and reads what is stored of it.
//! - [`story`] – the rows as one time line. [`words`] – each row in a sentence.
//! - [`stand`] – where it stands now, who waits for whom, and what happens next.
//! - [`hints`] – what may be wrong with a name that nobody knows.
//!
//! Only the first of them reads anything; the others are pure.

pub mod hints;
pub mod stand;
pub mod story;
pub mod words;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use uuid::Uuid;

use super::{Engine, FlowError};
use crate::store::find::{Finds, IntentLine, Looked};
use crate::store::inbox::NoticeLine;
use hints::Clues;
use story::{Family, Member, Story, Strand};

/// Longest reference looked for: callers' ids and PSPs' names are shorter, and an index is asked for each.
pub const REFERENCE_MAX: usize = 256;
/// Intents told in one story: a preauth, its payment and some twenty refunds.
const FAMILY_MAX: usize = 24;
/// From a refund to its payment to its preauth is two; a chain that is longer than this is broken.
const DEPTH_MAX: usize = 8;

/// What came of asking for a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// As it was looked for; a hint says so where it was given otherwise.
    pub reference: String,
    /// Where it was looked for, and how much was found there.
    pub looked: Vec<Looked>,
    pub hints: Vec<String>,
    /// Several things go by this name: each with its tenant's name, the newest first.
    pub candidates: Vec<Candidate>,
    /// Notices that belong to nothing (yet).
    pub notices: Vec<Waiting>,
    /// Where one thing goes by this name, with what it stands on and what stands on it.
    pub story: Option<Box<Story>>,
}

/// One of several things of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub intent: IntentLine,
    pub tenant: String,
    /// By which kind of name it was found.
    pub by: &'static str,
}

/// A notice without a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub notice: NoticeLine,
    pub tenant: String,
    pub adapter: String,
    /// What has become of it and what to do, for people.
    pub text: String,
}

impl Engine {
    /// `full`: with the scrubbed text of the calls to the PSP.
    pub async fn explain(&self, given: &str, full: bool) -> Result<Explanation, FlowError> {
        let mut finds = self.store.find(given).await?;
        let (mut reference, mut hints) = (given.to_owned(), Vec::new());
        if finds.is_empty() {
            for spelling in hints::spellings(given) {
                let found = self.store.find(&spelling.text).await?;
                if !found.is_empty() {
                    (finds, reference) = (found, spelling.text);
                    hints.push(spelling.hint);
                    break;
                }
            }
        }
        if finds.is_empty() {
            hints.extend(hints::of(given, &self.clues(given).await?));
        }
        let mut explanation = Explanation {
            reference,
            looked: finds.looked.clone(),
            hints,
            candidates: Vec::new(),
            notices: Vec::new(),
            story: None,
        };
        let found: Vec<Uuid> = finds.intents.iter().map(|(id, _)| *id).collect();
        let mut lines = self.store.intent_lines(&found).await?;
        match self.one_family(&lines).await? {
            Some(root) => {
                let asked = if let [one] = lines.as_slice() { Some(one.id) } else { None };
                let family = self.family(&root, asked).await?;
                explanation.story = Some(Box::new(story::tell(&family, self.clock.now(), full)));
            }
            None => {
                lines.reverse();
                explanation.candidates = self.candidates(lines, &finds).await?;
            }
        }
        for notice in self.store.notice_lines(&finds.notices).await? {
            explanation.notices.push(self.waiting(notice).await?);
        }
        if explanation.story.is_none() && explanation.candidates.is_empty() {
            for (tenant, name) in &finds.agreements {
                let tenant = self.tenant_name(*tenant).await?;
                explanation.hints.push(format!("agreement {name} of tenant {tenant}: nothing was ever asked under it"));
            }
        }
        Ok(explanation)
    }

    async fn clues(&self, given: &str) -> Result<Clues, FlowError> {
        let text = given.trim();
        let mut clues = Clues::default();
        if let Ok(id) = Uuid::parse_str(text) {
            clues.other = self.store.other_thing(id).await?;
        }
        if let Some(prefix) = hints::prefix(text) {
            clues.adapter = self.store.adapter_of_prefix(prefix).await?.map(|adapter| (prefix.to_owned(), adapter));
        }
        Ok(clues)
    }

    /// The intent on which all of these stand, if there is one.
    async fn one_family(&self, lines: &[IntentLine]) -> Result<Option<IntentLine>, FlowError> {
        let mut roots: Vec<IntentLine> = lines.to_vec();
        for _ in 0..DEPTH_MAX {
            let parents: Vec<Uuid> = roots.iter().filter_map(|line| line.parent_id).collect();
            if parents.is_empty() {
                break;
            }
            let above: HashMap<Uuid, IntentLine> =
                self.store.intent_lines(&parents).await?.into_iter().map(|line| (line.id, line)).collect();
            for line in &mut roots {
                if let Some(parent) = line.parent_id.and_then(|id| above.get(&id)) {
                    *line = parent.clone();
                }
            }
        }
        roots.sort_by_key(|line| line.id);
        roots.dedup_by_key(|line| line.id);
        Ok(if let [root] = roots.as_slice() { Some(root.clone()) } else { None })
    }

    /// What stands on `root`, with it, oldest first.
    async fn family(&self, root: &IntentLine, asked: Option<Uuid>) -> Result<Family, FlowError> {
        let (mut all, mut layer) = (vec![root.clone()], vec![root.id]);
        while !layer.is_empty() && all.len() <= FAMILY_MAX {
            let page = u64::try_from(FAMILY_MAX + 1).unwrap_or(u64::MAX);
            let under = self.store.intent_lines_under(&layer, page).await?;
            layer = under.iter().map(|line| line.id).collect();
            all.extend(under);
        }
        let more = all.len() > FAMILY_MAX;
        // The one that was asked for is told, however many are not.
        all.sort_by_key(|line| (Some(line.id) != asked && line.id != root.id, line.id));
        all.truncate(FAMILY_MAX);
        all.sort_by_key(|line| line.id);
        let tenant = self.store.tenant(root.tenant_id).await?;
        let tenant = tenant.ok_or_else(|| FlowError::missing("tenant", root.tenant_id))?;
        let mut family = Family { tenant, asked, members: Vec::new(), audit: Vec::new(), more };
        for line in all {
            family.members.push(self.member(&line).await?);
        }
        family.audit = self.store.audit_about(&family.subjects()).await?;
        Ok(family)
    }

    async fn member(&self, line: &IntentLine) -> Result<Member, FlowError> {
        let (store, tenant) = (&self.store, line.tenant_id);
        let intent = store.intent(tenant, line.id).await?.ok_or_else(|| FlowError::missing("intent", line.id))?;
        let mut strands = Vec::new();
        for t in store.transactions_of(tenant, intent.id).await? {
            strands.push(Strand {
                facts: store.fact_ends(tenant, t.id).await?,
                movements: store.movement_ends(tenant, t.id).await?,
                exchanges: store.exchange_ends(tenant, t.id).await?,
                alerts: store.alert_lines(tenant, t.id).await?,
                t,
            });
        }
        let mut heard: Vec<Uuid> =
            strands.iter().flat_map(|s| s.facts.rows.iter().filter_map(|fact| fact.notice_id)).collect();
        heard.sort_unstable();
        heard.dedup();
        let mut deliveries = Vec::new();
        for delivery in store.deliveries_about(tenant, intent.id).await? {
            let attempts = store.attempt_ends(tenant, delivery.id).await?;
            deliveries.push((delivery, attempts));
        }
        Ok(Member {
            key_hint: store.key_hint(tenant, intent.key_id).await?,
            agreement: match intent.agreement_id {
                Some(id) => store.agreement_name(tenant, id).await?,
                None => None,
            },
            connection: self.connection(tenant, intent.connection_id).await?,
            events: store.event_ends(tenant, intent.id).await?,
            notices: store.notice_lines(&heard).await?,
            deliveries,
            strands,
            intent,
        })
    }

    async fn candidates(&self, lines: Vec<IntentLine>, finds: &Finds) -> Result<Vec<Candidate>, FlowError> {
        let mut candidates = Vec::new();
        for intent in lines {
            let by = finds.intents.iter().find(|(id, _)| *id == intent.id).map_or("", |(_, name)| name.as_str());
            let tenant = self.tenant_name(intent.tenant_id).await?;
            candidates.push(Candidate { intent, tenant, by });
        }
        Ok(candidates)
    }

    async fn waiting(&self, notice: NoticeLine) -> Result<Waiting, FlowError> {
        let connection = self.store.connection(notice.tenant_id, notice.connection_id).await?;
        Ok(Waiting {
            tenant: self.tenant_name(notice.tenant_id).await?,
            adapter: connection.map(|connection| connection.adapter).unwrap_or_default(),
            text: stand::notice(&notice, &self.store.parked_under(notice.id).await?),
            notice,
        })
    }

    async fn tenant_name(&self, id: Uuid) -> Result<String, FlowError> {
        Ok(self.store.tenant(id).await?.map_or_else(|| id.to_string(), |tenant| tenant.name))
    }
}
