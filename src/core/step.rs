//! The one function that says what a transaction becomes by what was learned of it. Pure and total: every pair of a state
//! and a piece of news has an answer, and none of them panics.
//!
//! The rules, of which the table in the tests is the whole:
//! - Only a PSP's explicit no, a believed absence, or the proof that nothing was sent ends a transaction badly.
//! - A report older, by the PSP's own time, than the fact that set the state never moves it. Where either time is missing
//!   a report counts as newer.
//! - A verdict of the other family (Authorised for a Charge, Succeeded for a Preauth) is a word we do not know.
//! - A conflict changes nothing and waits for a person; the fact is kept by the caller all the same.

use rialto_adapters::port::manifest::AmountRule;
use rialto_adapters::port::{Kind, Money, Reason, Stage, Timestamp, Verdict};

use super::alert::Alert;
use super::transaction::{State, View};

/// An as-told amount that is off by more than this part of what was asked is worth a look: 1 in 100 leaves room for a
/// bank's fee and for nothing else.
const TOLERANCE_DIVISOR: i128 = 100;

/// What was learned of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// A PSP's report, from an answer, a notice or a look-up; also what an operator found out there.
    Said { verdict: Verdict, amount: Option<Money>, occurred_at: Option<Timestamp> },
    /// An attempt ended with the proof that nothing left. `may_retry`: `submit_by` has not passed.
    NotSent { may_retry: bool },
    /// An attempt ended without a usable answer, or its sender is gone.
    Unknown,
    /// The PSP has never heard of it, believed: asked after the waits, with the credentials of the call, twice.
    /// `resend`: the PSP takes our reference as an idempotency key and its window is open.
    Absent { resend: bool },
    /// Not found, but too early or too seldom asked to believe it.
    AbsentNotYet,
    /// There is no reference by which this PSP can be asked. `resend` as for `Absent`.
    CannotAsk { resend: bool },
    /// Still Created, and no longer to be sent: `submit_by` has passed.
    NeverSent,
    /// Its instruction cannot be made, because what it needs is gone, or our account is refused to the last; no attempt has
    /// sent anything.
    Impossible(Reason),
    /// Still Created, and its intent was closed.
    IntentClosed,
}

impl Learned {
    /// When it happened, by the PSP's own clock.
    pub fn occurred_at(&self) -> Option<Timestamp> {
        match self {
            Learned::Said { occurred_at, .. } => *occurred_at,
            Learned::NotSent { .. }
            | Learned::Unknown
            | Learned::Absent { .. }
            | Learned::AbsentNotYet
            | Learned::CannotAsk { .. }
            | Learned::NeverSent
            | Learned::Impossible(_)
            | Learned::IntentClosed => None,
        }
    }
}

/// How a fact stands to what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It set the state.
    Applied,
    /// It leaves the state as it is.
    Same,
    /// It says once more what is known.
    Duplicate,
    /// It is overtaken, or has no meaning in this state.
    Ignored,
    /// It contradicts what is known.
    Conflict,
}

impl Standing {
    pub const ALL: &'static [Standing] =
        &[Standing::Applied, Standing::Same, Standing::Duplicate, Standing::Ignored, Standing::Conflict];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Applied => "applied",
            Standing::Same => "same",
            Standing::Duplicate => "duplicate",
            Standing::Ignored => "ignored",
            Standing::Conflict => "conflict",
        }
    }

    pub fn parse(text: &str) -> Option<Standing> {
        Standing::ALL.iter().copied().find(|standing| standing.as_str() == text)
    }
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new state; `None` leaves the old one. With a new state, the fact's PSP time is stored, or cleared.
    pub state: Option<State>,
    pub standing: Standing,
    /// Confirmed amount to store, whatever the standing: a duplicate may bring it. `None` leaves what is there.
    pub confirmed: Option<Money>,
    /// `confirmed` is not what was asked, and was booked as told.
    pub marked: bool,
    /// It became good after it had ended badly.
    pub late: bool,
    pub alert: Option<Alert>,
    /// Ask the PSP now, although the state alone would not make it due.
    pub look_up: bool,
    /// Send the same bytes with the same reference again.
    pub resend: bool,
    /// Although it has ended, keep asking at the adapter's pace: the PSP has not said its last word.
    pub watch: bool,
}

impl Step {
    fn stay(standing: Standing) -> Step {
        Step {
            state: None,
            standing,
            confirmed: None,
            marked: false,
            late: false,
            alert: None,
            look_up: false,
            resend: false,
            watch: false,
        }
    }

    fn to(state: State) -> Step {
        Step { state: Some(state), ..Step::stay(Standing::Applied) }
    }

    fn conflict(alert: Alert) -> Step {
        Step::stay(Standing::Conflict).alert(alert)
    }

    fn alert(self, alert: Alert) -> Step {
        Step { alert: Some(alert), ..self }
    }

    fn look_up(self) -> Step {
        Step { look_up: true, ..self }
    }

    fn resend(self, resend: bool) -> Step {
        Step { resend, ..self }
    }
}

/// What becomes of a transaction by what was learned.
pub fn step(now: &View, learned: &Learned) -> Step {
    match learned {
        Learned::Said { verdict, amount, occurred_at } => said(now, verdict, *amount, *occurred_at),
        Learned::NotSent { may_retry } => not_sent(now, *may_retry),
        Learned::Unknown => unknown(now),
        Learned::Absent { resend } => absent(now, *resend),
        Learned::AbsentNotYet => absent_not_yet(now),
        Learned::CannotAsk { resend } => cannot_ask(now, *resend),
        Learned::NeverSent => unsent(now, State::Declined(Reason::NotSent)),
        Learned::Impossible(reason) => impossible(now, *reason),
        Learned::IntentClosed => unsent(now, State::Cancelled),
    }
}

impl View {
    /// The view after a step, for the next fact of the same answer. `capture_open_or_done` is other rows' business.
    pub fn after(&self, learned: &Learned, step: &Step) -> View {
        let state = step.state.unwrap_or(self.state);
        View {
            kind: self.kind,
            state,
            asked: self.asked,
            confirmed: step.confirmed.or(self.confirmed),
            amount_rule: self.amount_rule,
            state_at_psp: if step.state.is_some() { learned.occurred_at() } else { self.state_at_psp },
            ended_unknown: self.ended_unknown || state == State::Unknown || *learned == Learned::Unknown,
            capture_open_or_done: self.capture_open_or_done,
        }
    }
}

fn said(now: &View, verdict: &Verdict, amount: Option<Money>, occurred_at: Option<Timestamp>) -> Step {
    let older = match (occurred_at, now.state_at_psp) {
        (Some(then), Some(set)) => then < set,
        (None, _) | (_, None) => false,
    };
    match verdict {
        Verdict::Pending(stage) => pending(now, *stage, older),
        Verdict::Authorised if State::Authorised.is_good(now.kind) => good(now, amount, older),
        Verdict::Succeeded if State::Succeeded.is_good(now.kind) => good(now, amount, older),
        Verdict::Authorised | Verdict::Succeeded | Verdict::Unrecognised(_) => unrecognised(now),
        Verdict::Declined(reason) => bad(now, State::Declined(*reason), older),
        Verdict::Expired => bad(now, State::Expired, older),
        Verdict::Cancelled => bad(now, State::Cancelled, older),
    }
}

fn pending(now: &View, stage: Stage, older: bool) -> Step {
    let next = State::Pending(stage);
    match now.state {
        State::Created => Step::to(next).alert(Alert::NewsOfUnsent),
        State::Submitted | State::Unknown => Step::to(next),
        State::Pending(_) if older => Step::stay(Standing::Ignored),
        State::Pending(known) if stage > known => Step::to(next),
        State::Pending(_) => Step::stay(Standing::Same),
        // Money has come after the end, and the PSP is looking at it: it may still stay.
        State::Expired | State::Cancelled if stage == Stage::InReview && !older => {
            Step { watch: true, ..Step::stay(Standing::Ignored) }.alert(Alert::LateMoney)
        }
        State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {
            Step::stay(Standing::Ignored)
        }
    }
}

fn good(now: &View, told: Option<Money>, older: bool) -> Step {
    match now.state {
        State::Authorised | State::Succeeded => good_again(now, told),
        // Done, and later not done: the PSP takes back money it had confirmed. It must not go unseen.
        State::Pending(_) if older => Step::conflict(Alert::Conflict),
        State::Declined(_) if older => Step::conflict(Alert::Conflict).look_up(),
        // Two times of the PSP's own put the success before the end.
        State::Expired | State::Cancelled if older => Step::stay(Standing::Ignored),
        State::Created
        | State::Submitted
        | State::Pending(_)
        | State::Unknown
        | State::Declined(_)
        | State::Expired
        | State::Cancelled => match judge(now, told) {
            Err(alert) => Step::conflict(alert),
            Ok(booked) => first_good(now, booked),
        },
    }
}

fn first_good(now: &View, booked: Booked) -> Step {
    let late = now.state.is_bad();
    // One alert per fact; the graver one. That the amount differs can still be seen by its mark.
    let alert = match (late, now.state) {
        (true, _) => Some(Alert::LateMoney),
        (false, State::Created) => Some(Alert::NewsOfUnsent),
        (false, _) => booked.alert,
    };
    Step { confirmed: booked.confirmed, marked: booked.marked, late, alert, ..Step::to(State::good(now.kind)) }
}

fn good_again(now: &View, told: Option<Money>) -> Step {
    match (now.confirmed, told) {
        (_, None) => Step::stay(Standing::Duplicate),
        (Some(confirmed), Some(told)) if confirmed == told => Step::stay(Standing::Duplicate),
        (Some(confirmed), Some(told)) if confirmed.currency != told.currency => Step::conflict(Alert::CurrencyDiffers),
        (Some(_), Some(_)) => Step::conflict(Alert::AmountConflict),
        (None, Some(_)) => match judge(now, told) {
            Err(alert) => Step::conflict(alert),
            Ok(booked) => Step {
                confirmed: booked.confirmed,
                marked: booked.marked,
                alert: booked.alert,
                ..Step::stay(Standing::Duplicate)
            },
        },
    }
}

struct Booked {
    confirmed: Option<Money>,
    marked: bool,
    alert: Option<Alert>,
}

/// Whether a told amount can be booked against the asked one.
fn judge(now: &View, told: Option<Money>) -> Result<Booked, Alert> {
    let plain = |confirmed| Booked { confirmed, marked: false, alert: None };
    let Some(asked) = now.asked else { return Ok(plain(None)) };
    let Some(told) = told else {
        return Ok(plain(match now.amount_rule {
            AmountRule::Exact => Some(asked),
            // What the payer typed is not known before the PSP says it.
            AmountRule::AsTold => None,
        }));
    };
    if told.currency != asked.currency {
        return Err(Alert::CurrencyDiffers);
    }
    if told == asked {
        return Ok(plain(Some(told)));
    }
    match now.amount_rule {
        AmountRule::Exact => Err(Alert::AmountConflict),
        // Nothing, or less than nothing, is no success.
        AmountRule::AsTold if told.minor <= 0 => Err(Alert::AmountConflict),
        AmountRule::AsTold => {
            let off = (i128::from(told.minor) - i128::from(asked.minor)).abs();
            let far = off * TOLERANCE_DIVISOR > i128::from(asked.minor);
            Ok(Booked { confirmed: Some(told), marked: true, alert: far.then_some(Alert::AmountDiffers) })
        }
    }
}

fn bad(now: &View, end: State, older: bool) -> Step {
    let declined = matches!(end, State::Declined(_));
    match now.state {
        State::Created => Step::to(end).alert(Alert::NewsOfUnsent),
        State::Submitted | State::Unknown => Step::to(end),
        // A card that was declined before the next one was tried.
        State::Pending(_) | State::Authorised | State::Succeeded if older => Step::stay(Standing::Ignored),
        State::Pending(_) => Step::to(end),
        State::Authorised if declined || now.capture_open_or_done => Step::conflict(Alert::Conflict),
        State::Authorised => Step::to(end),
        State::Succeeded => Step::conflict(Alert::Conflict).look_up(),
        State::Declined(_) => Step::stay(if declined { Standing::Duplicate } else { Standing::Ignored }),
        State::Expired | State::Cancelled => Step::stay(if declined { Standing::Ignored } else { Standing::Duplicate }),
    }
}

fn unrecognised(now: &View) -> Step {
    let step = match now.state {
        // The PSP has it and it did something with it: that is all we know.
        State::Submitted => Step::to(State::Unknown),
        State::Pending(_) | State::Unknown => Step::stay(Standing::Same),
        State::Created
        | State::Authorised
        | State::Succeeded
        | State::Declined(_)
        | State::Expired
        | State::Cancelled => Step::stay(Standing::Ignored),
    };
    step.alert(Alert::UnrecognisedWord)
}

fn not_sent(now: &View, may_retry: bool) -> Step {
    match now.state {
        // This attempt did not leave; an earlier one may have.
        State::Submitted if now.ended_unknown => Step::to(State::Unknown),
        State::Submitted if may_retry => Step::to(State::Created),
        State::Submitted => Step::to(State::Declined(Reason::NotSent)),
        State::Pending(_) | State::Unknown => Step::stay(Standing::Same),
        State::Created
        | State::Authorised
        | State::Succeeded
        | State::Declined(_)
        | State::Expired
        | State::Cancelled => Step::stay(Standing::Ignored),
    }
}

fn unknown(now: &View) -> Step {
    match now.state {
        // Cannot be for Created, where no attempt runs; if it comes all the same, sending again would be a guess.
        State::Created | State::Submitted => Step::to(State::Unknown),
        State::Pending(_) | State::Unknown | State::Authorised => Step::stay(Standing::Same),
        State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => Step::stay(Standing::Ignored),
    }
}

fn absent(now: &View, resend: bool) -> Step {
    match now.state {
        State::Submitted | State::Unknown if resend => doubtful(now).resend(true),
        State::Submitted | State::Unknown => match now.kind {
            Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Charge => {
                Step::to(State::Declined(Reason::NotReceived))
            }
            // Wrong here would be money sent out twice: a machine does not decide it.
            Kind::Payout | Kind::Refund => doubtful(now).alert(Alert::NeedsPerson),
        },
        State::Pending(_) | State::Authorised => Step::stay(Standing::Same).alert(Alert::AbsentButKnown),
        State::Succeeded => Step::stay(Standing::Ignored).alert(Alert::AbsentButKnown),
        State::Created | State::Declined(_) | State::Expired | State::Cancelled => Step::stay(Standing::Ignored),
    }
}

fn absent_not_yet(now: &View) -> Step {
    match now.state {
        State::Submitted | State::Pending(_) | State::Unknown | State::Authorised => Step::stay(Standing::Same),
        State::Created | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {
            Step::stay(Standing::Ignored)
        }
    }
}

fn cannot_ask(now: &View, resend: bool) -> Step {
    match now.state {
        State::Submitted | State::Unknown if resend => doubtful(now).resend(true),
        State::Submitted | State::Unknown => doubtful(now).alert(Alert::NeedsPerson),
        // The PSP has it, and will tell.
        State::Pending(_) | State::Authorised => Step::stay(Standing::Same),
        State::Created | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {
            Step::stay(Standing::Ignored)
        }
    }
}

/// Unknown: it becomes so, or stays so.
fn doubtful(now: &View) -> Step {
    if now.state == State::Unknown { Step::stay(Standing::Same) } else { Step::to(State::Unknown) }
}

/// The end of what was never sent; only from Created, and only while no attempt ended unknown.
fn unsent(now: &View, end: State) -> Step {
    match now.state {
        State::Created if now.ended_unknown => Step::to(State::Unknown),
        State::Created => Step::to(end),
        State::Submitted
        | State::Pending(_)
        | State::Unknown
        | State::Authorised
        | State::Succeeded
        | State::Declined(_)
        | State::Expired
        | State::Cancelled => Step::stay(Standing::Ignored),
    }
}

/// As [`unsent`], and also for one that its own unit accepted as submitted: nobody but its sender knows of it yet.
fn impossible(now: &View, reason: Reason) -> Step {
    match now.state {
        State::Submitted if now.ended_unknown => Step::to(State::Unknown),
        State::Submitted => Step::to(State::Declined(reason)),
        State::Created
        | State::Pending(_)
        | State::Unknown
        | State::Authorised
        | State::Succeeded
        | State::Declined(_)
        | State::Expired
        | State::Cancelled => unsent(now, State::Declined(reason)),
    }
}

#[cfg(test)]
mod tests;
