//! What is stored of one family of intents – a preauth, its payment, the refunds – as one time line. Pure.

use rialto_adapters::port::{Money, Timestamp};
use uuid::Uuid;

use super::stand::{self, Alerted, Next, Piece, Wait};
use super::words;
use crate::core::event::EventType;
use crate::store::deliveries::{Attempt, Delivery};
use crate::store::events::Event;
use crate::store::find::{AlertLine, Ends};
use crate::store::history::{BookedMovement, Fact, StoredExchange};
use crate::store::inbox::NoticeLine;
use crate::store::intents::Intent;
use crate::store::operators::AuditEntry;
use crate::store::tenants::{Connection, Tenant};
use crate::store::transactions::Transaction;

/// Lines told from the beginning and from the end of a long story.
const LINES_FIRST: usize = 60;
const LINES_LAST: usize = 120;

/// The rows.
#[derive(Clone, Debug)]
pub struct Family {
    pub tenant: Tenant,
    /// The one that was asked for, where it was one of them.
    pub asked: Option<Uuid>,
    /// Oldest first.
    pub members: Vec<Member>,
    pub audit: Vec<AuditEntry>,
    /// There are more members than were read.
    pub more: bool,
}

/// One intent with what belongs to it.
#[derive(Clone, Debug)]
pub struct Member {
    pub intent: Intent,
    pub key_hint: Option<String>,
    /// The caller's name of the agreement it was made under.
    pub agreement: Option<String>,
    pub connection: Connection,
    pub strands: Vec<Strand>,
    pub events: Ends<Event>,
    pub notices: Vec<NoticeLine>,
    pub deliveries: Vec<(Delivery, Ends<Attempt>)>,
}

/// One transaction with its history.
#[derive(Clone, Debug)]
pub struct Strand {
    pub t: Transaction,
    pub facts: Ends<Fact>,
    pub movements: Ends<BookedMovement>,
    pub exchanges: Ends<StoredExchange>,
    pub alerts: Vec<AlertLine>,
}

/// Who does what a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Caller,
    Rialto,
    ToPsp,
    FromPsp,
    Money,
    ToCaller,
    Person,
}

impl Actor {
    /// The published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Actor::Caller => "caller",
            Actor::Rialto => "rialto",
            Actor::ToPsp => "to_psp",
            Actor::FromPsp => "from_psp",
            Actor::Money => "money",
            Actor::ToCaller => "to_caller",
            Actor::Person => "person",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub actor: Actor,
    /// Whose line it is, by its place in [`Story::parts`]; none where it is about the whole.
    pub part: Option<usize>,
    pub text: String,
    /// How long a call took.
    pub took_ms: Option<i64>,
    /// The row behind it, to ask for or to act on.
    pub id: Option<Uuid>,
    /// The scrubbed text of a call, where it was wanted.
    pub full: Option<String>,
}

/// One intent as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub id: Uuid,
    /// `payment`, or `refund 2` where there are several.
    pub label: String,
    pub asked: bool,
    pub contract: String,
    pub operation: String,
    pub caller_id: String,
    pub kind: &'static str,
    pub state: &'static str,
    pub amount: Money,
    pub method: &'static str,
    pub parent_id: Option<Uuid>,
    pub key_hint: Option<String>,
    pub agreement: Option<String>,
    pub connection_id: Uuid,
    pub adapter: String,
    pub test: bool,
    pub trace: Option<String>,
    pub pieces: Vec<Piece>,
}

/// The whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub tenant: Tenant,
    pub began_at: Timestamp,
    pub told_at: Timestamp,
    pub parts: Vec<Part>,
    pub lines: Vec<Line>,
    pub waits: Vec<Wait>,
    pub next: Vec<Next>,
    pub alerts: Vec<Alerted>,
    /// What there is more of than was told, for people.
    pub left_out: Vec<String>,
}

impl Family {
    /// The ids of everything that an operator may have done something to.
    pub fn subjects(&self) -> Vec<String> {
        let of = |member: &Member| {
            let mut ids = vec![member.intent.id];
            ids.extend(member.strands.iter().map(|strand| strand.t.id));
            ids.extend(member.notices.iter().map(|notice| notice.id));
            ids.extend(member.deliveries.iter().map(|(delivery, _)| delivery.id));
            ids
        };
        self.members.iter().flat_map(of).map(|id| id.to_string()).collect()
    }
}

/// Tells it.
pub fn tell(family: &Family, now: Timestamp, full: bool) -> Story {
    let labels = labels(&family.members);
    let mut lines = Vec::new();
    let mut left_out = Vec::new();
    let (mut waits, mut next, mut alerts, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (at, (member, label)) in family.members.iter().zip(&labels).enumerate() {
        lines.extend(lines_of(member, at, full));
        left_out.extend(unread(member, label));
        stand::of(member, label, now, &mut waits, &mut next, &mut alerts);
        parts.push(part(member, label, family.asked));
    }
    lines.extend(family.audit.iter().filter_map(audited));
    // What is stored in one unit has one time: then in the order in which it was written down above.
    lines.sort_by_key(|line| line.at);
    let mut lines = folded(lines);
    if lines.len() > LINES_FIRST + LINES_LAST {
        let cut = lines.len() - LINES_FIRST - LINES_LAST;
        lines.drain(LINES_FIRST..LINES_FIRST + cut);
        left_out.push(format!("{cut} lines between the first {LINES_FIRST} and the last {LINES_LAST}"));
    }
    if family.more {
        left_out.push("more was asked for on top of this than is told here".to_owned());
    }
    next.sort_by_key(|next: &Next| next.at.map_or(i64::MAX, |at| at.0));
    Story {
        tenant: family.tenant.clone(),
        began_at: family.members.first().map_or(now, |member| member.intent.created_at),
        told_at: now,
        parts,
        lines,
        waits,
        next,
        alerts,
        left_out,
    }
}

/// What each is called: its kind, with a number where there are several.
fn labels(members: &[Member]) -> Vec<String> {
    let kind = |member: &Member| member.intent.kind;
    let label = |(at, member): (usize, &Member)| {
        let of_kind = members.iter().filter(|other| kind(other) == kind(member)).count();
        let number = members[..=at].iter().filter(|other| kind(other) == kind(member)).count();
        let name = kind(member).as_str();
        if of_kind > 1 { format!("{name} {number}") } else { name.to_owned() }
    };
    members.iter().enumerate().map(label).collect()
}

fn part(member: &Member, label: &str, asked: Option<Uuid>) -> Part {
    let Member { intent, key_hint, agreement, connection, strands, .. } = member;
    Part {
        id: intent.id,
        label: label.to_owned(),
        asked: asked == Some(intent.id),
        contract: intent.contract.clone(),
        operation: intent.operation.clone(),
        caller_id: intent.caller_key.clone(),
        kind: intent.kind.as_str(),
        state: words::intent_state(intent.state),
        amount: intent.amount,
        method: intent.method.as_str(),
        parent_id: intent.parent_id,
        key_hint: key_hint.clone(),
        agreement: agreement.clone(),
        connection_id: connection.id,
        adapter: connection.adapter.clone(),
        test: connection.test,
        trace: intent.trace.clone(),
        pieces: strands.iter().map(|strand| stand::piece(&strand.t)).collect(),
    }
}

/// In the order in which one unit of work brings them about.
fn lines_of(member: &Member, part: usize, full: bool) -> Vec<Line> {
    let line = |at: Timestamp, actor: Actor, text: String, id: Uuid| Line {
        at,
        actor,
        part: Some(part),
        text,
        took_ms: None,
        id: Some(id),
        full: None,
    };
    let intent = &member.intent;
    let mut lines = vec![line(intent.created_at, Actor::Caller, words::request(intent), intent.id)];
    for (number, strand) in member.strands.iter().enumerate() {
        let t = &strand.t;
        if number > 0 {
            lines.push(line(t.created_at, Actor::Rialto, words::started(t.kind, t.amount), t.id));
        }
        for exchange in &strand.exchanges.rows {
            lines.push(Line {
                took_ms: Some(exchange.took_ms),
                full: full.then(|| transcript(exchange)),
                ..line(exchange.started_at, Actor::ToPsp, words::call(exchange), exchange.id)
            });
        }
    }
    for notice in &member.notices {
        lines.push(line(notice.received_at, Actor::FromPsp, words::notice(notice), notice.id));
    }
    for strand in &member.strands {
        for fact in &strand.facts.rows {
            let (actor, text) = words::fact(fact);
            lines.push(line(fact.recorded_at, actor, text, fact.id));
        }
        for booked in &strand.movements.rows {
            lines.push(line(booked.recorded_at, Actor::Money, words::movement(booked), booked.id));
        }
    }
    for event in &member.events.rows {
        if event.event_type == EventType::Created {
            continue;
        }
        lines.push(line(event.recorded_at, Actor::Rialto, told(event, intent), event.id));
    }
    for (delivery, attempts) in &member.deliveries {
        for attempt in &attempts.rows {
            lines.push(Line {
                took_ms: Some(attempt.took_ms),
                ..line(attempt.started_at, Actor::ToCaller, words::attempt(&delivery.url, attempt), delivery.id)
            });
        }
    }
    lines
}

fn told(event: &Event, intent: &Intent) -> String {
    let name = event.event_type.as_str();
    match (&intent.notify_url, event.event_type.webhook_type(intent.kind)) {
        (Some(_), Some(_)) => format!("it is `{name}` now, and the caller is to be told"),
        (Some(_), None) | (None, _) => format!("it is `{name}` now"),
    }
}

fn transcript(exchange: &StoredExchange) -> String {
    let answer = exchange.reply.as_deref().or(exchange.fault.as_deref()).unwrap_or("no answer");
    format!("{}\n\n{answer}", exchange.request.trim_end())
}

/// What an operator did. A resolution is a fact already, which says more.
fn audited(entry: &AuditEntry) -> Option<Line> {
    if entry.action.starts_with("resolve") && entry.outcome.starts_with("now") {
        return None;
    }
    let details = if entry.details.is_empty() { String::new() } else { format!(" {}", words::cut(&entry.details)) };
    Some(Line {
        at: entry.at,
        actor: Actor::Person,
        part: None,
        text: format!("{}: {}{details} → {}", entry.actor, entry.action, words::cut(&entry.outcome)),
        took_ms: None,
        id: entry.subject.as_deref().and_then(|id| Uuid::parse_str(id).ok()),
        full: None,
    })
}

/// Rows of a history that were not read.
fn unread(member: &Member, label: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            texts.push(format!("{count} more {what} of the {label}"));
        }
    };
    for strand in &member.strands {
        note(strand.facts.left_out, "decisions");
        note(strand.exchanges.left_out, "calls to the PSP");
        note(strand.movements.left_out, "movements of money");
    }
    note(member.events.left_out, "events");
    note(member.deliveries.iter().map(|(_, attempts)| attempts.left_out).sum(), "attempts to tell the caller");
    texts
}

/// How many lines may repeat as a block: a call and what came of it.
const BLOCK_MAX: usize = 2;
/// Repetitions that are told one by one.
const REPEATS_TOLD: usize = 2;

/// Blocks of lines that repeat – an hourly look-up that finds nothing – are told a few times and then counted.
fn folded(lines: Vec<Line>) -> Vec<Line> {
    let mut told: Vec<Line> = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let Some((length, times)) = repeated(&lines[at..]) else {
            told.push(lines[at].clone());
            at += 1;
            continue;
        };
        told.extend_from_slice(&lines[at..at + length * REPEATS_TOLD]);
        let last = &lines[at + length * times - 1];
        let what = if length == 1 { "the same" } else { "the same two" };
        let text = format!("… {what} {} more times, at last now", times - REPEATS_TOLD);
        told.push(Line { text, took_ms: None, id: None, full: None, ..last.clone() });
        at += length * times;
    }
    told
}

/// The block with which these lines begin, where it comes more often than is told: its length, and how often it comes.
fn repeated(lines: &[Line]) -> Option<(usize, usize)> {
    let same = |one: &Line, other: &Line| (one.actor, one.part, &one.text) == (other.actor, other.part, &other.text);
    (1..=BLOCK_MAX).find_map(|length| {
        let block = lines.get(..length)?;
        let times =
            lines.chunks_exact(length).take_while(|next| block.iter().zip(*next).all(|(a, b)| same(a, b))).count();
        (times > REPEATS_TOLD + 1).then_some((length, times))
    })
}
