//! What never reached us, asked for in rounds: events whose delivery failed or was given up, deposits in which money came
//! late, withdrawals that came back. The last two, of which not every one is told by an event, from lists. Pure.

use super::contract::{
    EVENTS, INTENTS, Item, LedgerEvent, PAGE_MAX, Page, WITHDRAWALS, delivery, error, intent, withdrawal,
};
use super::encode::{escaped, get, iso};
use super::normalize::{event, fault, parsed, says, told, unreadable};
use crate::port::instruction::Kind;
use crate::port::outcome::{Feed, Read};
use crate::port::report::Report;
use crate::port::settings::Settings;
use crate::port::time::{Duration, Timestamp};
use crate::port::wire::{Reply, Request};

const HOUR: Duration = Duration::from_secs(3600);
/// How far back the first round looks.
const FIRST_ROUND: Duration = HOUR.saturating_mul(24);
/// An event that is new in one round is given up some minutes later: the next round looks at it again.
const OVERLAP: Duration = HOUR;
/// How long after it was made a deposit may get money, and a withdrawal come back.
const LATE_WITHIN: Duration = HOUR.saturating_mul(24 * 7);
const RETURNED_WITHIN: Duration = HOUR.saturating_mul(24 * 30);

/// One after the other makes a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Events,
    Late,
    Returned,
}

const PARTS: [(Part, &str); 3] = [(Part::Events, "events"), (Part::Late, "late"), (Part::Returned, "returned")];

/// Where a round has got to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    part: Part,
    /// Events of this round are younger than this, the next one's than the time this one began.
    from: Timestamp,
    began: Timestamp,
    /// Pientegra's own cursor within the part.
    page: Option<String>,
}

impl Position {
    /// Reads a cursor of ours. No cursor, and one that we did not write, begin anew.
    pub fn read(cursor: Option<&str>, now: Timestamp) -> Position {
        cursor.and_then(|text| Position::parse(text, now)).unwrap_or(Position {
            part: Part::Events,
            from: now.minus(FIRST_ROUND),
            began: now,
            page: None,
        })
    }

    fn parse(text: &str, now: Timestamp) -> Option<Position> {
        let mut fields = text.splitn(4, '|');
        let name = fields.next()?;
        let (part, _) = *PARTS.iter().find(|(_, known)| *known == name)?;
        let from = Timestamp(fields.next()?.parse().ok()?);
        let began = Timestamp(fields.next()?.parse().ok()?);
        let page = fields.next().filter(|page| !page.is_empty()).map(str::to_owned);
        let began = if part == Part::Events && page.is_none() { now } else { began };
        Some(Position { part, from, began, page })
    }

    fn text(&self) -> String {
        let name = PARTS.iter().find(|(part, _)| *part == self.part).map_or("", |(_, name)| name);
        format!("{name}|{}|{}|{}", self.from.0, self.began.0, self.page.as_deref().unwrap_or_default())
    }

    fn after(self, page: Option<String>) -> Position {
        if page.is_some() {
            return Position { page, ..self };
        }
        match self.part {
            Part::Events => Position { part: Part::Late, page, ..self },
            Part::Late => Position { part: Part::Returned, page, ..self },
            Part::Returned => Position { part: Part::Events, from: self.began.minus(OVERLAP), page, ..self },
        }
    }
}

pub fn request(settings: &Settings, position: &Position) -> Request {
    let (path, filter, from) = match position.part {
        Part::Events => (EVENTS, format!("deliveryStatus={},{}", delivery::DEAD, delivery::FAILED), position.from),
        Part::Late => (INTENTS, format!("status={}", intent::LATE_ARRIVAL), position.began.minus(LATE_WITHIN)),
        Part::Returned => {
            (WITHDRAWALS, format!("status={}", withdrawal::RETURNED), position.began.minus(RETURNED_WITHIN))
        }
    };
    let page = position.page.as_deref().map_or_else(String::new, |page| format!("&cursor={}", escaped(page)));
    get(settings, &format!("{path}?{filter}&createdFrom={}&limit={PAGE_MAX}{page}", iso(from)))
}

pub fn read(position: Position, reply: &Reply) -> Feed {
    // A cursor of theirs that they no longer take must not end the feed: its part begins anew.
    if reply.status == 400 && position.page.is_some() && says(reply, error::VALIDATION_FAILED) {
        return Feed::Page { reports: Vec::new(), next_cursor: Some(Position { page: None, ..position }.text()) };
    }
    if reply.status != 200 {
        return Feed::Unknown(fault(reply));
    }
    let found = match position.part {
        Part::Events => parsed::<Page<LedgerEvent>>(reply)
            .map(|page| (page.data.iter().flat_map(of_event).collect(), page.next_cursor)),
        Part::Late => items(reply, Kind::Charge),
        Part::Returned => items(reply, Kind::Payout),
    };
    match found {
        Some((reports, page)) => Feed::Page { reports, next_cursor: Some(position.after(page).text()) },
        None => Feed::Unknown(unreadable("a 200 that is not a list")),
    }
}

/// What is not to be read here is not to be read as a notice either.
fn of_event(entry: &LedgerEvent) -> Vec<Report> {
    match event(&entry.event_type, entry.occurred_at.as_deref(), &entry.payload) {
        Read::Reports(reports) => reports,
        Read::Ignored(_) | Read::Unreadable(_) => Vec::new(),
    }
}

fn items(reply: &Reply, kind: Kind) -> Option<(Vec<Report>, Option<String>)> {
    let page = parsed::<Page<Item>>(reply)?;
    let of = |item: &Item| told(kind, item, item.status.as_deref().unwrap_or_default(), None).unwrap_or_default();
    Some((page.data.iter().flat_map(of).collect(), page.next_cursor))
}
